"""Which of the rare things a simulation can run into have happened in a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple, get_args

from vectorkit.replication import ReplicaStatus
from vectorkit.replication.protocol.messages import MESSAGE_NAMES
from vectorkit.replication.role import RoleName
from vectorkit.sim.checks.service import REASONS
from vectorkit.sim.faults.faults import FAULTS
from vectorkit.sim.run import Run
from vectorkit.sim.world.trace_events import (
    ConcernDegraded,
    ConcernTimedOut,
    FaultChanged,
    HealthChanged,
    HistoryApplied,
    IndexRetired,
    MessageDelivered,
    MessageLost,
    MessageSent,
    NodeCrashed,
    NodeStarted,
    RecordQuarantined,
    RecordsDiscarded,
    RequestCompleted,
    RoleTaken,
    StateLost,
    SyncReported,
    TraceEvent,
)


class CoverageGoal(NamedTuple):
    """Something that may happen: its name, and the kind of thing it is."""

    group: str
    name: str


_BY_EVENT: Final[dict[type[TraceEvent], str]] = {
    StateLost: "state lost",
    IndexRetired: "index retired",
    RecordQuarantined: "operation quarantined",
    RecordsDiscarded: "acknowledged write given up",
    ConcernDegraded: "write answered as degraded",
    ConcernTimedOut: "write concern timed out",
}
_BY_MESSAGE: Final = {
    "Resume": "gap resumed",
    "StartElection": "candidacy delegated",
    "Reject": "promise refused",
}
_DISK_LOST: Final = "disk lost"
_NO_MASTER: Final = "fault without a master to befall"
_BY_NOTE: Final = {"copy": "message duplicated", "corrupt": "chunk corrupted"}
_BY_LOSS: Final = {
    "loss": "message lost",
    "cut": "message cut",
    "blocked": "message blocked",
    "down": "message to a node that is down",
}
_OUTCOMES: Final = ("ok", "degraded", "timeout", "refused", "not_master", "silent")
_FORCED: Final = "epoch forced"
_KEPT: Final = "unsynced records kept"
_REPLAYED: Final = "checkpoint replayed"
_STUCK: Final = "nobody left to be master"

COVERAGE_GOALS: Final = tuple(
    CoverageGoal(group, name)
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
                *(*_BY_EVENT.values(), *_BY_MESSAGE.values(), _DISK_LOST, _NO_MASTER),
                *(*_BY_NOTE.values(), *_BY_LOSS.values()),
                *(_KEPT, _REPLAYED, _FORCED, _STUCK),
            ),
        ),
        ("message", MESSAGE_NAMES),
    )
    for name in names
)
"""All goals, by group, in the order of the report."""


def goals_reached(run: Run) -> tuple[CoverageGoal, ...]:
    """Which of `COVERAGE_GOALS` the run has been to, in their order.

    >>> from vectorkit import sim
    >>> run = sim.simulate(sim.ClusterOptions(replicas=1), duration_ms=500)
    >>> [place.name for place in goals_reached(run) if place.group == "full sync"]
    ['first_sync']
    """
    seen = {CoverageGoal(*place) for event in run.trace.events for place in _places(event)}
    seen |= {CoverageGoal("rare path", _REPLAYED)} if _has_checkpoint_replay(run) else set()
    seen |= {CoverageGoal("rare path", _STUCK)} if run.stuck else set()
    return tuple(place for place in COVERAGE_GOALS if place in seen)


def _places(event: TraceEvent) -> Iterator[tuple[str, str]]:
    kind = type(event)
    if kind in _READERS:
        yield from _READERS[kind](event)
    elif kind in _BY_EVENT:
        yield "rare path", _BY_EVENT[kind]


def _sent(event: MessageSent) -> Iterator[tuple[str, str]]:
    if event.message in _BY_MESSAGE:
        yield "rare path", _BY_MESSAGE[event.message]
    if event.note:
        yield "rare path", _BY_NOTE[event.note]


def _fault(event: FaultChanged) -> Iterator[tuple[str, str]]:
    if event.phase == "none":
        yield "rare path", _NO_MASTER
    elif event.phase == "start":
        yield "fault", type(event.fault).__name__


def _sync(event: SyncReported) -> Iterator[tuple[str, str]]:
    yield "sync", "lost" if event.phase == "lost" else event.kind
    if event.reason:
        yield "full sync", event.reason


def _role(event: RoleTaken) -> Iterator[tuple[str, str]]:
    yield "role", event.role
    if event.is_forced:
        yield "rare path", _FORCED


def _crash(event: NodeCrashed) -> Iterator[tuple[str, str]]:
    if event.kind == "lost_disk":
        yield "rare path", _DISK_LOST
    if event.kept_count:
        yield "rare path", _KEPT


_READERS: Final[dict[type[TraceEvent], Callable[[Any], Iterator[tuple[str, str]]]]] = {
    MessageSent: _sent,
    MessageLost: lambda event: iter([("rare path", _BY_LOSS[event.reason])]),
    MessageDelivered: lambda event: iter([("message", event.message)]),
    FaultChanged: _fault,
    SyncReported: _sync,
    RoleTaken: _role,
    NodeCrashed: _crash,
    HealthChanged: lambda event: iter([("status", event.status)]),
    RequestCompleted: lambda event: iter([("outcome", event.outcome)]),
}


def _has_checkpoint_replay(run: Run) -> bool:
    """Whether a node started again from a checkpoint and replayed what came after it."""
    starting: set[str] = set()
    for event in run.trace.of(NodeStarted, HistoryApplied):
        if isinstance(event, NodeStarted):
            if event.cause == "restart":
                starting.add(event.node)
        elif event.node in starting:
            starting.discard(event.node)
            if event.source == "replay" and event.offset > 1:
                return True
    return False
