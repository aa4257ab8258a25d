"""What was waited for before something was concluded: that a sync is vain, that a node is gone."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence
from typing import Final

from vectorkit.sim.checks.facts import Facts
from vectorkit.sim.checks.findings import Finding, Tally
from vectorkit.sim.trace_events import (
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

_WORDS: Final = ("Ack", "ReplicaHeartbeat", "Resume", "RequestChunks")
"""What keeps a replica's connection with its master alive."""


def _unpromised(facts: Facts) -> str:
    return "clocks were made to go wrong" if facts.has_clock_faults else ""


def check_attempts(facts: Facts) -> Finding:
    """After `sync_attempts_max` full syncs in vain a node waits the longest back-off between them.

    In vain are those after which it has applied nothing from the stream.
    """
    protocol = facts.options.protocol
    wait_ns = ms_to_ns(protocol.backoff_ms_max)
    tally = Tally("full_syncs_are_bounded", unpromised=_unpromised(facts))
    begun_ns: dict[str, list[int]] = defaultdict(list)
    for _, event in facts.events:
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
    return tally.finding(of="full syncs after many in vain", idle=idle)


def check_silence(facts: Facts) -> Finding:
    """A master calls a node Disconnected only after `disconnected_after_ms` without a heartbeat.

    What comes by a connection that was silent for `connection_timeout_ms` before does not count:
    that one is over, until the next handshake that the master accepts.
    """
    protocol = facts.options.protocol
    limit_ns = ms_to_ns(protocol.disconnected_after_ms)
    over_ns = ms_to_ns(protocol.connection_timeout_ms)
    tally = Tally("disconnected_is_silent", unpromised=_unpromised(facts))
    heard_ns: dict[tuple[str, str], int] = {}
    alive_ns: dict[tuple[str, str], int] = {}
    for event in facts.trace:
        now_ns = event.time_ns
        match event:
            case MessageDelivered() if event.message in _WORDS:
                ends = event.target, event.source
                if now_ns - alive_ns.get(ends, -over_ns) < over_ns:
                    alive_ns[ends] = now_ns
                    if event.message == "ReplicaHeartbeat":
                        heard_ns[ends] = now_ns
            case SyncReported(phase="started"):  # A handshake that counts.
                ends = event.node, event.peer
                alive_ns[ends] = heard_ns[ends] = now_ns
            case RoleTaken(node=master, role="master"):
                for node in facts.options.node_ids:
                    heard_ns[master, node] = now_ns
            case HealthChanged(master=master, node=node, status="Disconnected") if master:
                tally.see()
                last_ns = heard_ns.get((master, node), 0)
                if now_ns - last_ns <= limit_ns:
                    tally.violated(
                        f"{master} called {node} Disconnected at {ns_to_ms(now_ns):,} ms, "
                        f"{ns_to_ms(now_ns - last_ns):,} ms after it was heard"
                    )
            case _:
                pass
    return tally.finding(of="disconnections", idle="no master called a node Disconnected")


def check_candidates(facts: Facts) -> Finding:
    """A replica that stands for the silence of its master has not heard it for `deadline_ms`.

    Promised of the detector "deadline"; one that learns from intervals has no such bound.
    """
    failover = facts.options.protocol.failover
    unpromised = _unpromised(facts)
    if failover is not None and failover.detector != "deadline":
        unpromised = f"the detector is {failover.detector!r}"
    tally = Tally("candidates_have_waited", unpromised=unpromised)
    deadline_ns = 0 if failover is None else ms_to_ns(failover.deadline_ms)
    heard = _SignsOfLife(facts.options.node_ids)
    for index, event in enumerate(facts.trace):
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
        self._flying: dict[tuple[str, str, str, int], deque[int]] = defaultdict(deque)
        self._heard_ns: dict[str, int] = {}

    def last_ns(self, node: str) -> int | None:
        return self._heard_ns.get(node)

    def _give_up(self, master: str) -> None:
        """Whoever knows of a master's new index drops what it has sent under the one before."""
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
        flying = self._flying[master, node, event.message, event.number]
        if isinstance(event, MessageSent):
            flying.append(index)
            return
        sent = flying.popleft()
        is_its_master = isinstance(event, MessageDelivered) and self._asked.get(node) == master
        if is_its_master and sent > self._taken.get(node, index):
            self._heard_ns[node] = event.time_ns
