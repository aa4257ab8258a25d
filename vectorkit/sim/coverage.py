"""Which of the rare things a simulation can run into have happened in a run."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple, get_args

from vectorkit.replication import ReplicaStatus
from vectorkit.replication.role import RoleName
from vectorkit.sim.checks.service import REASONS
from vectorkit.sim.fault_lists import FAULTS
from vectorkit.sim.network import MESSAGE_NAMES
from vectorkit.sim.run import Run
from vectorkit.sim.trace import TraceRow


class Place(NamedTuple):
    """Something that may happen: its name, and the kind of thing it is."""

    group: str
    name: str


_BY_EVENT: Final = {
    "lost_state": "state lost",
    "retire": "index retired",
    "quarantine": "operation quarantined",
    "discard": "acknowledged write given up",
    "degrade": "write answered as degraded",
    "timeout": "write concern timed out",
}
_BY_KIND: Final = {
    ("send", "Resume"): "gap resumed",
    ("send", "Stand"): "candidacy delegated",
    ("send", "Reject"): "promise refused",
    ("crash", "lost_disk"): "disk lost",
    ("fault", "none"): "fault without a master to befall",
}
_BY_TEXT: Final = {
    ("send", "copy"): "message duplicated",
    ("send", "corrupt"): "chunk corrupted",
    ("lost", "loss"): "message lost",
    ("lost", "cut"): "message cut",
    ("lost", "blocked"): "message blocked",
    ("lost", "down"): "message to a node that is down",
}
_OUTCOMES: Final = ("ok", "degraded", "timeout", "refused", "not_master", "silent")
_FORCED: Final = "epoch forced"
_KEPT: Final = "unsynced records kept"
_REPLAYED: Final = "checkpoint replayed"
_STUCK: Final = "nobody left to be master"

PLACES: Final = tuple(
    Place(group, name)
    for group, names in (
        ("fault", tuple(FAULTS)),
        ("full sync", REASONS),
        ("sync", ("partial", "full", "lost")),
        ("role", get_args(RoleName)),
        ("status", tuple(map(str, ReplicaStatus))),
        ("outcome", _OUTCOMES),
        (
            "rare path",
            (
                *(*_BY_EVENT.values(), *_BY_KIND.values(), *_BY_TEXT.values()),
                *(_KEPT, _REPLAYED, _FORCED, _STUCK),
            ),
        ),
        ("message", MESSAGE_NAMES),
    )
    for name in names
)
"""All of them, by group, in the order in which they are told."""


def places_of(run: Run) -> tuple[Place, ...]:
    """Which of `PLACES` the run has been to, in their order.

    >>> from vectorkit import sim
    >>> run = sim.simulate(sim.ClusterOptions(replicas=1), duration_ms=500)
    >>> [place.name for place in places_of(run) if place.group == "full sync"]
    ['first_sync']
    """
    seen = {place for row in run.trace.rows if row.event in _READERS for place in _places(row)}
    seen |= {Place("rare path", _REPLAYED)} if _has_checkpoint_replay(run) else set()
    seen |= {Place("rare path", _STUCK)} if run.stuck else set()
    return tuple(place for place in PLACES if place in seen)


def _places(row: TraceRow) -> Iterator[Place]:
    for group, name in _READERS[row.event](row):
        yield Place(group, name)


def _rare(row: TraceRow) -> Iterator[tuple[str, str]]:
    for table, key in ((_BY_KIND, row.kind), (_BY_TEXT, row.text)):
        if (row.event, key) in table:
            yield "rare path", table[row.event, key]
    if row.event in _BY_EVENT:
        yield "rare path", _BY_EVENT[row.event]


def _fault(row: TraceRow) -> Iterator[tuple[str, str]]:
    yield from _rare(row)
    if row.kind == "start":
        yield "fault", json.loads(row.text)["kind"]


def _sync(row: TraceRow) -> Iterator[tuple[str, str]]:
    phase, _, reason = row.text.partition(" ")
    yield "sync", "lost" if phase == "lost" else row.kind
    if reason:
        yield "full sync", reason


def _role(row: TraceRow) -> Iterator[tuple[str, str]]:
    yield "role", row.kind
    if row.value:
        yield "rare path", _FORCED


def _crash(row: TraceRow) -> Iterator[tuple[str, str]]:
    yield from _rare(row)
    if row.number:
        yield "rare path", _KEPT


def _message(row: TraceRow) -> Iterator[tuple[str, str]]:
    yield "message", row.kind


_READERS: Final[dict[str, Callable[[TraceRow], Iterator[tuple[str, str]]]]] = {
    "fault": _fault,
    "sync": _sync,
    "role": _role,
    "deliver": _message,
    "send": _rare,
    "lost": _rare,
    "crash": _crash,
    **dict.fromkeys(_BY_EVENT, _rare),
    "status": lambda row: iter([("status", row.kind)]),
    "complete": lambda row: iter([("outcome", row.kind)]),
}


def _has_checkpoint_replay(run: Run) -> bool:
    """Whether a node started again from a checkpoint and replayed what came after it."""
    starting: set[str] = set()
    for row in run.trace.rows:
        if row.event == "start" and row.kind == "restart":
            starting.add(row.node)
        elif row.event == "apply" and row.node in starting:
            starting.discard(row.node)
            if row.kind == "replay" and row.number > 1:
                return True
    return False
