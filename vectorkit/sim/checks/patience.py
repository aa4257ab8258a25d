"""What was waited for before something was concluded: that a sync is vain, that a node is gone."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence
from typing import Final

from vectorkit.sim.checks.evidence import Evidence
from vectorkit.sim.checks.findings import CheckTally, Finding
from vectorkit.sim.world.trace_events import (
    EpochPromised,
    HealthChanged,
    HistoryApplied,
    IndexRetired,
    MessageDelivered,
    MessageLost,
    MessageSent,
    NodeCrashed,
    NodeStarted,
    RoleTaken,
    StateLost,
    SyncReported,
    TraceEvent,
)
from vectorkit.units import ms_to_ns, ns_to_ms

_LIFE: Final = ("MasterHeartbeat", "Records", "StartPartial", "StartFull", "Chunk")
"""What a replica takes for a sign of life of its master."""

_SLOT_MASK: Final = 0xFF
WORDS: Final = ("Ack", "ReplicaHeartbeat", "Resume", "RequestChunks")
"""What keeps a replica's connection with its master alive."""


def _unpromised(evidence: Evidence) -> str:
    return "clocks were made to go wrong" if evidence.has_clock_faults else ""


def check_attempts(evidence: Evidence) -> Finding:
    """After `sync_attempts_max` failed full syncs a node waits `backoff_ms_max` between them.

    A full sync has failed if the node applied nothing from the stream after it.
    """
    protocol = evidence.options.protocol
    wait_ns = ms_to_ns(protocol.backoff_ms_max)
    tally = CheckTally("full_syncs_are_bounded", unpromised=_unpromised(evidence))
    begun_ns: dict[str, list[int]] = defaultdict(list)
    for _, event in evidence.events:
        match event:
            case HistoryApplied(source="stream"):
                begun_ns[event.node].clear()
            case RoleTaken() | EpochPromised() | NodeCrashed() | NodeStarted():
                begun_ns[event.node].clear()
            case SyncReported(node=node, kind="full", phase="started") if event.peer == node:
                begun = begun_ns[node]
                is_vain = len(begun) >= protocol.sync_attempts_max
                tally.see(is_vain)
                if is_vain and event.time_ns - begun[-1] < wait_ns:
                    tally.violated(
                        f"{node} began full sync {len(begun) + 1} in a row at "
                        f"{ns_to_ms(event.time_ns):,} ms, "
                        f"{ns_to_ms(event.time_ns - begun[-1]):,} ms after the one before"
                    )
                begun.append(event.time_ns)
            case _:
                pass
    idle = f"no node took more than {protocol.sync_attempts_max} full syncs in a row"
    return tally.finding(of="full syncs after too many failures", idle=idle)


def check_silence(evidence: Evidence) -> Finding:
    """A master calls a node Disconnected only after `disconnected_after_ms` without a heartbeat.

    Only what comes by their present connection counts. It begins with a handshake that the master
    accepts, and is over when the master closes it, hears nothing by it for `connection_timeout_ms`
    or takes another role, and when the node loses its state or its index is retired.
    """
    protocol = evidence.options.protocol
    limit_ns = ms_to_ns(protocol.disconnected_after_ms)
    tally = CheckTally("disconnected_is_silent", unpromised=_unpromised(evidence))
    heard = _Heartbeats(evidence.options.node_ids, ms_to_ns(protocol.connection_timeout_ms))
    for index, event in enumerate(evidence.trace):
        if isinstance(event, HealthChanged) and event.master and event.status == "Disconnected":
            tally.see()
            last_ns = heard.last_ns(event.master, event.node)
            if event.time_ns - last_ns <= limit_ns:
                tally.violated(
                    f"{event.master} called {event.node} Disconnected at "
                    f"{ns_to_ms(event.time_ns):,} ms, {ns_to_ms(event.time_ns - last_ns):,} ms "
                    "after it was heard"
                )
        heard.take(index, event)
    return tally.finding(of="disconnections", idle="no master called a node Disconnected")


class _Heartbeats:
    """When each master last heard a heartbeat of each node by their present connection."""

    def __init__(self, node_ids: Sequence[str], over_ns: int) -> None:
        self._node_ids = node_ids
        self._over_ns = over_ns
        self._flights = _Flights()
        self._begun: dict[tuple[str, str], int] = {}
        """Where in the trace the connections began that are there, by master and node."""
        self._alive_ns: dict[tuple[str, str], int] = {}
        self._heard_ns: dict[tuple[str, str], int] = {}

    def last_ns(self, master: str, node: str) -> int:
        return self._heard_ns.get((master, node), 0)

    def take(self, index: int, event: TraceEvent) -> None:
        match event:
            case MessageSent() | MessageLost() | MessageDelivered() if event.message in WORDS:
                self._take_word(index, event)
            case MessageSent(message="Close"):
                self._begun.pop((event.source, event.target), None)
            case SyncReported(phase="started"):  # A handshake that counts.
                ends = event.node, event.peer
                self._begun[ends] = index
                self._alive_ns[ends] = self._heard_ns[ends] = event.time_ns
            case RoleTaken(node=master, role=role):
                for node in self._node_ids:
                    self._begun.pop((master, node), None)
                    if role == "master":
                        self._heard_ns[master, node] = event.time_ns
            case StateLost(node=node):
                for master in self._node_ids:
                    self._begun.pop((master, node), None)
            case IndexRetired(node=master, index=index) if index & _SLOT_MASK < len(self._node_ids):
                self._begun.pop((master, self._node_ids[index & _SLOT_MASK]), None)
            case _:
                pass

    def _take_word(self, index: int, event: MessageSent | MessageLost | MessageDelivered) -> None:
        ends, sent = (event.target, event.source), self._flights.sent(index, event)
        if sent is None or sent < self._begun.get(ends, index):
            return
        if event.time_ns - self._alive_ns[ends] < self._over_ns:
            self._alive_ns[ends] = event.time_ns
            if event.message == "ReplicaHeartbeat":
                self._heard_ns[ends] = event.time_ns


class _Flights:
    """The messages on their way. Of equal ones, the first that was sent arrives first."""

    def __init__(self) -> None:
        self._flying: dict[tuple[str, str, str, int], deque[int]] = defaultdict(deque)

    def sent(self, index: int, event: MessageSent | MessageLost | MessageDelivered) -> int | None:
        """Where in the trace a message was sent that arrives now; None: it is sent, or lost."""
        key = event.source, event.target, event.message, event.number
        if isinstance(event, MessageSent):
            self._flying[key].append(index)
            return None
        sent = self._flying[key].popleft()
        return sent if isinstance(event, MessageDelivered) else None


def check_candidates(evidence: Evidence) -> Finding:
    """A replica that stands for the silence of its master has not heard it for `deadline_ms`.

    Promised of the detector "deadline"; one that learns from intervals has no such bound.
    """
    failover = evidence.options.protocol.failover
    unpromised = _unpromised(evidence)
    if failover is not None and failover.detector != "deadline":
        unpromised = f"the detector is {failover.detector!r}"
    tally = CheckTally("candidates_have_waited", unpromised=unpromised)
    deadline_ns = 0 if failover is None else ms_to_ns(failover.deadline_ms)
    heard = _SignsOfLife(evidence.options.node_ids)
    for index, event in enumerate(evidence.trace):
        if isinstance(event, RoleTaken) and event.role == "candidate" and event.cause == "silence":
            tally.see()
            last_ns = heard.last_ns(event.node)
            if last_ns is not None and event.time_ns - last_ns < deadline_ns:
                tally.violated(
                    f"{event.node} stood at {ns_to_ms(event.time_ns):,} ms, "
                    f"{ns_to_ms(event.time_ns - last_ns):,} ms after a sign of life of its master"
                )
        heard.take(index, event)
    return tally.finding(of="candidates", idle="no replica stood for its master's silence")


class _SignsOfLife:
    """When each node last heard the master of its present connection.

    A message belongs to that connection if it was sent after the master had taken the node's last
    handshake.
    """

    def __init__(self, node_ids: Sequence[str]) -> None:
        self._node_ids = node_ids
        self._asked: dict[str, str] = {}
        self._taken: dict[str, int] = {}
        self._flights = _Flights()
        self._heard_ns: dict[str, int] = {}

    def last_ns(self, node: str) -> int | None:
        return self._heard_ns.get(node)

    def _give_up(self, master: str) -> None:
        """A node that knows a master's new index drops messages sent under the old one."""
        for node in [node for node, asked in self._asked.items() if asked == master]:
            del self._asked[node]

    def take(self, index: int, event: TraceEvent) -> None:
        match event:
            case MessageSent() | MessageLost() | MessageDelivered() if event.message in _LIFE:
                self._take_life(index, event)
            case MessageSent(source=node, message="Hello", note=""):
                self._asked[node] = event.target
                self._taken.pop(node, None)
            case MessageDelivered(source=node, message="Hello"):
                if self._asked.get(node) == event.target:
                    self._taken.setdefault(node, index)
            case MessageDelivered(target=node, message="Close"):
                self._asked.pop(node, None)  # What comes by its connection later is dropped.
            case SyncReported(node=node, phase="lost") if event.peer == node:
                self._asked.pop(node, None)
            case _:
                self._take_end(event)

    def _take_end(self, event: TraceEvent) -> None:
        """A connection is over: its replica has another life or role, or its master has."""
        match event:
            case RoleTaken(node=node) | NodeCrashed(node=node):
                for known in (self._heard_ns, self._asked, self._taken):
                    known.pop(node, None)
                if isinstance(event, NodeCrashed) and event.kind == "lost_disk":
                    self._give_up(node)
            case StateLost(node=node):
                self._give_up(node)
            case IndexRetired(node=node):
                if self._asked.get(node) == self._node_ids[event.index & 0xFF]:
                    del self._asked[node]
            case _:
                pass

    def _take_life(self, index: int, event: MessageSent | MessageLost | MessageDelivered) -> None:
        node, master = event.target, event.source
        sent = self._flights.sent(index, event)
        if sent is None or self._asked.get(node) != master:
            return
        if sent > self._taken.get(node, index):
            self._heard_ns[node] = event.time_ns
