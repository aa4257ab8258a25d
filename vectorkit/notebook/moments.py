"""The state of a finished run at any time: nodes, links, clients, faults and latest events.

`Moments` computes everything once from the trace and the samples; each moment is then a look-up.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, TypeVar

import numpy as np

from vectorkit.notebook.events import Event, describe, events_of
from vectorkit.notebook.node_lives import NodeLife, lives_of_nodes
from vectorkit.sim import (
    Block,
    Clog,
    Degrade,
    Fault,
    FullDisk,
    Partition,
    Pause,
    SlowCpu,
    SlowDisk,
    StalledDisk,
    fault_from_dict,
)
from vectorkit.sim.faults.faults import LinkFault
from vectorkit.sim.world.inject import cut_by
from vectorkit.sim.world.trace_events import RoleTaken
from vectorkit.types import Float64Array
from vectorkit.units import ns_to_ms

if TYPE_CHECKING:
    from vectorkit.sim import Run

T = TypeVar("T")

LATEST_COUNT: Final = 5
"""The number of latest events in a moment."""
_SLOWEST: Final = 4.0
"""A message that takes longer than this many median travel times is drawn waiting at its end."""
_STATES: Final = ("cut", "clogged", "blocked", "degraded")


@dataclass(frozen=True, slots=True)
class NodeMoment:
    """A node at one time. `status` and `lag_ms` are what its master knew at the last sample."""

    node: str
    role: str
    epoch: str
    """The highest epoch that the node has promised or served, as "node@round"; "" before any."""
    condition: str
    """ "up", "down", "paused" or "slow"."""
    disk: str
    """ "ok", "slow ×…", "stalled", "full", "lost", or "none" where nodes have none."""
    status: str | None
    lag_ms: float | None
    lag_ms_true: float | None
    first_offset: int
    """The first record in its log at the last sample."""
    received: int
    flushed: int
    applied: int


@dataclass(frozen=True, slots=True)
class LinkMoment:
    """One direction of a link between two nodes at one time."""

    source: str
    target: str
    state: str
    """ "open", "cut", "clogged", "blocked" or "degraded": the worst of its active faults."""
    progress: tuple[float, ...]
    """The position of each message in flight, from 0 (sender) to 1 (receiver), oldest first."""

    @property
    def in_flight(self) -> int:
        """The number of messages in flight."""
        return len(self.progress)


@dataclass(frozen=True, slots=True)
class RequestCounts:
    """The number of requests so far, and of their outcomes."""

    asked: int
    ok: int
    failed: int

    @property
    def waiting(self) -> int:
        """The number of requests without an answer."""
        return self.asked - self.ok - self.failed


@dataclass(frozen=True, slots=True)
class Moment:
    """A cluster at one time."""

    time_ms: float
    nodes: tuple[NodeMoment, ...]
    links: tuple[LinkMoment, ...]
    writes: RequestCounts
    reads: RequestCounts
    faults: tuple[str, ...]
    """The active faults, with the time that is left of each."""
    latest: tuple[Event, ...]
    """The latest events, newest first."""


class Steps(Generic[T]):
    """A value over time. Each change holds from its time on.

    >>> steps = Steps("a", [(10, "b"), (20, "c")])
    >>> steps.at(9.9), steps.at(10), steps.at(25)
    ('a', 'b', 'c')
    """

    def __init__(self, first: T, changes: Iterable[tuple[float, T]]) -> None:
        listed = list(changes)
        self.times_ms = [time_ms for time_ms, _ in listed]
        self._values = [first, *(value for _, value in listed)]

    def at(self, time_ms: float) -> T:
        """Return the value at a time in ms."""
        return self._values[bisect_right(self.times_ms, time_ms)]


class Stretch(NamedTuple):
    """A time in which a node has the same role and the same status at its master."""

    start_ms: float
    end_ms: float
    role: str
    status: str | None


class Window(NamedTuple):
    """An active fault, with its time and the links that it affects."""

    start_ms: float
    end_ms: float
    fault: Fault
    ways: frozenset[tuple[str, str]]


class Moments:
    """The state of a finished run at each time.

    >>> from vectorkit import sim
    >>> moments = Moments(sim.simulate(sim.ClusterOptions(replicas=1), duration_ms=500))
    >>> [each.role for each in moments.at(100).nodes]
    ['master', 'replica']
    """

    def __init__(self, run: Run) -> None:
        self.node_ids = run.options.node_ids
        self.duration_ms = run.duration_ms
        self.windows = _windows(run)
        self.events = events_of(run)
        self._epoch_name = run.evidence.epoch_name
        self._has_disks = run.options.protocol.has_durable_log
        lives, healths = lives_of_nodes(run), _healths(run)
        self._lives = {node: Steps(NodeLife(), lives[node]) for node in self.node_ids}
        self._healths = {node: Steps(None, healths[node]) for node in self.node_ids}
        self._firsts = {
            node: Steps(1, [(s.time_ms, s.first_offset) for s in run.log_samples if s.node == node])
            for node in self.node_ids
        }
        self._flights = _flights(run)
        self._writes, self._reads = _requests(run, is_write=True), _requests(run, is_write=False)
        self._event_times_ms = [each.time_ms for each in self.events]

    def at(self, time_ms: float) -> Moment:
        """Return the cluster at a time in ms, including the events at exactly that time."""
        active = [each for each in self.windows if each.start_ms <= time_ms < each.end_ms]
        seen = bisect_right(self._event_times_ms, time_ms)
        return Moment(
            time_ms=time_ms,
            nodes=tuple(self._node(node, time_ms, active) for node in self.node_ids),
            links=tuple(
                LinkMoment(*way, _state(way, active), self._progress(way, time_ms))
                for way in permutations(self.node_ids, 2)
            ),
            writes=_counted(self._writes, time_ms),
            reads=_counted(self._reads, time_ms),
            faults=tuple(
                f"{describe(each.fault)}, {each.end_ms - time_ms:,.0f} ms left" for each in active
            ),
            latest=tuple(self.events[max(0, seen - LATEST_COUNT) : seen][::-1]),
        )

    def after(self, time_ms: float, *, step_ms: int = 1) -> int | None:
        """Return the first multiple of `step_ms` after `time_ms` that follows an event, or None."""
        later = (math.ceil(each / step_ms) * step_ms for each in self._event_times_ms)
        return next((each for each in later if each > time_ms), None)

    def before(self, time_ms: float, *, step_ms: int = 1) -> int | None:
        """Return the last such multiple before `time_ms`, or None."""
        earlier = (math.ceil(each / step_ms) * step_ms for each in reversed(self._event_times_ms))
        return next((each for each in earlier if each < time_ms), None)

    def stretches(self, node: str) -> list[Stretch]:
        """Return the stretches of a node, without gaps, to the end of the run."""
        lives, healths = self._lives[node], self._healths[node]
        found: list[Stretch] = []
        for start_ms in sorted({*lives.times_ms, *healths.times_ms}):
            health = healths.at(start_ms)
            now = (lives.at(start_ms).role, None if health is None else health[0])
            if found and found[-1][2:] == now:
                continue
            if found:
                found[-1] = found[-1]._replace(end_ms=start_ms)
            found.append(Stretch(start_ms, self.duration_ms, *now))
        return [each for each in found if each.end_ms > each.start_ms]

    def _node(self, node: str, time_ms: float, active: Sequence[Window]) -> NodeMoment:
        life = self._lives[node].at(time_ms)
        mine = [each.fault for each in active if node == getattr(each.fault, "node", None)]
        health = self._healths[node].at(time_ms)
        status, lag_ms, lag_ms_true = (None, None, None) if health is None else health
        flushed = life.flushed if self._has_disks else life.received
        # Only a master counts records as applied before they are flushed.
        applied = life.applied if life.role == "master" else min(life.applied, flushed)
        return NodeMoment(
            node=node,
            role=life.role,
            epoch=self._epoch_name(life.epoch) if life.epoch else "",
            condition=_condition(life, mine),
            disk=_disk(life, mine) if self._has_disks else "none",
            status=status,
            lag_ms=lag_ms,
            lag_ms_true=lag_ms_true,
            first_offset=self._firsts[node].at(time_ms),
            received=life.received,
            flushed=flushed,
            applied=applied,
        )

    def _progress(self, way: tuple[str, str], time_ms: float) -> tuple[float, ...]:
        if way not in self._flights:
            return ()
        sent_ms, ended_ms, held_ms = self._flights[way]
        count = int(np.searchsorted(sent_ms, time_ms, side="right"))
        is_there = np.flatnonzero(ended_ms[:count] > time_ms)
        gone = (time_ms - sent_ms[is_there]) / held_ms[is_there]
        return tuple(np.minimum(gone, 1.0).tolist())


def _windows(run: Run) -> list[Window]:
    node_ids = run.options.node_ids
    ways = list(permutations(node_ids, 2))
    windows = []
    for each in run.fault_windows.to_dict("records"):
        if each["started_ms"] == each["ended_ms"]:
            continue
        fault = fault_from_dict(json.loads(each["details"]))
        hit: Iterable[tuple[str, str]] = ()
        if isinstance(fault, Partition):
            hit = cut_by(fault, node_ids, ways)
        elif isinstance(fault, LinkFault):
            source, target = fault.source, fault.target
            hit = [(a, b) for a, b in ways if source in (None, a) and target in (None, b)]
        windows.append(Window(each["started_ms"], each["ended_ms"], fault, frozenset(hit)))
    return windows


def _state(way: tuple[str, str], active: Sequence[Window]) -> str:
    states = {_state_of(each.fault) for each in active if way in each.ways}
    return next((state for state in _STATES if state in states), "open")


def _state_of(fault: Fault) -> str:
    match fault:
        case Clog():
            return "clogged"
        case Block():
            return "blocked"
        case Degrade():
            return "degraded"
    return "cut"


def _condition(life: NodeLife, mine: Sequence[Fault]) -> str:
    if life.role == "down":
        return "down"
    if any(isinstance(fault, Pause) for fault in mine):
        return "paused"
    return "slow" if any(isinstance(fault, SlowCpu) for fault in mine) else "up"


def _disk(life: NodeLife, mine: Sequence[Fault]) -> str:
    if life.is_disk_lost:
        return "lost"
    if any(isinstance(fault, FullDisk) for fault in mine):
        return "full"
    if any(isinstance(fault, StalledDisk) for fault in mine):
        return "stalled"
    slower = math.prod(fault.factor for fault in mine if isinstance(fault, SlowDisk))
    return f"slow ×{slower:g}" if slower != 1 else "ok"


Health = tuple[str, float, float]


def _healths(run: Run) -> dict[str, list[tuple[float, Health | None]]]:
    """Return the sampled status and lags of each node; None while it was master."""
    found: dict[str, list[tuple[float, Health | None]]] = {n: [] for n in run.options.node_ids}
    for each in run.samples:
        health = (each.status, each.lag_ms, each.lag_ms_true)
        found[each.node].append((each.time_ms, health))
    for event in run.trace.of(RoleTaken):
        if event.role == "master":
            found[event.node].append((ns_to_ms(event.time_ns), None))
    return {node: sorted(own, key=lambda each: each[0]) for node, own in found.items()}


def _flights(run: Run) -> dict[tuple[str, str], tuple[Float64Array, ...]]:
    """Return, for each link, when its messages were sent and ended and how long each moved (ms)."""
    flights: dict[tuple[str, str], tuple[Float64Array, ...]] = {}
    for (source, target), mine in run.messages.groupby(["source", "target"]):
        sent_ms = mine["sent_ms"].to_numpy()
        taken_ms = (mine["arrived_ms"] - mine["sent_ms"]).dropna()
        usual_ms = float(taken_ms.median()) if len(taken_ms) else 1.0
        ended_ms = mine["arrived_ms"].fillna(mine["lost_ms"]).fillna(np.inf).to_numpy()
        moving_ms = np.clip(ended_ms - sent_ms, 1e-6, _SLOWEST * max(usual_ms, 1e-6))
        flights[str(source), str(target)] = sent_ms, ended_ms, moving_ms
    return flights


def _requests(run: Run, *, is_write: bool) -> list[Float64Array]:
    """Return the sorted times (ms) at which requests were sent, succeeded and failed."""
    mine = [each for each in run.evidence.requests if each.is_write is is_write]
    invoked_ns = [each.invoked_ns for each in mine]
    ok_ns = [each.completed_ns for each in mine if each.completed_ns is not None and each.is_ok]
    failed_ns = [
        each.completed_ns for each in mine if each.completed_ns is not None and not each.is_ok
    ]
    return [np.sort(times) / 1e6 for times in (invoked_ns, ok_ns, failed_ns)]


def _counted(times_ms: Sequence[Float64Array], time_ms: float) -> RequestCounts:
    return RequestCounts(*(int(np.searchsorted(t, time_ms, side="right")) for t in times_ms))
