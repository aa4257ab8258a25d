"""Convert a node's `Noted` effects to trace events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from vectorkit.replication import Noted
from vectorkit.replication.protocol.effects import NoteName
from vectorkit.sim.world.trace_events import (
    ConcernDegraded,
    ConcernTimedOut,
    DigestTaken,
    EpochPromised,
    HistoryShown,
    IndexRetired,
    OffsetConfirmed,
    RecordQuarantined,
    RecordsDiscarded,
    StateLost,
    TraceEvent,
)

_EVENT_OF: Final[dict[NoteName, Callable[[Noted, int, str], TraceEvent]]] = {
    "promise": lambda note, now_ns, node: EpochPromised(now_ns, node, note.number),
    "visible": lambda note, now_ns, node: HistoryShown(now_ns, node, note.number),
    "confirm": lambda note, now_ns, node: OffsetConfirmed(now_ns, node, note.number, note.value),
    "degrade": lambda note, now_ns, node: ConcernDegraded(now_ns, node, note.number, note.value),
    "timeout": lambda note, now_ns, node: ConcernTimedOut(now_ns, node, note.number, note.value),
    "discard": lambda note, now_ns, node: RecordsDiscarded(now_ns, node, note.number, note.value),
    "quarantine": lambda note, now_ns, node: RecordQuarantined(
        now_ns, node, note.number, note.text
    ),
    "digest": lambda note, now_ns, node: DigestTaken(
        now_ns, node, note.kind, note.number, note.value, note.text
    ),
    "lost_state": lambda note, now_ns, node: StateLost(now_ns, node, note.number, note.text),
    "retire": lambda note, now_ns, node: IndexRetired(now_ns, node, note.number),
}


def event_of(note: Noted, now_ns: int, node: str) -> TraceEvent:
    """Return the trace event of a node's note.

    >>> event_of(Noted("promise", number=65537), 1_000, "node-1")
    EpochPromised(time_ns=1000, node='node-1', epoch=65537)
    """
    return _EVENT_OF[note.event](note, now_ns, node)
