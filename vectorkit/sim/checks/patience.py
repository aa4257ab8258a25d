"""What was waited for before something was concluded: that a sync is vain, that a node is gone."""

from __future__ import annotations

from collections import defaultdict, deque
from typing import Final

from vectorkit.sim.checks.facts import Facts
from vectorkit.sim.checks.findings import Finding, Tally
from vectorkit.sim.trace import TraceRow
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
    for _, row in facts.events:
        begun = begun_ns[row.node]
        is_progress = row.event == "apply" and row.kind == "stream"
        if is_progress or row.event in ("role", "promise", "crash", "start"):
            begun.clear()
        elif _is_begun(row):
            is_vain = len(begun) >= protocol.sync_attempts_max
            tally.see(is_vain)
            if is_vain and row.time_ns - begun[-1] < wait_ns:
                tally.violated(
                    f"{row.node} began full sync {len(begun) + 1} in a row at "
                    f"{ns_to_ms(row.time_ns):,} ms, {ns_to_ms(row.time_ns - begun[-1]):,} ms after "
                    "the one before"
                )
            begun.append(row.time_ns)
    idle = f"no node took more than {protocol.sync_attempts_max} full syncs in a row"
    return tally.finding(of="full syncs after many in vain", idle=idle)


def _is_begun(row: TraceRow) -> bool:
    """Whether a node says of itself that it has begun a full sync."""
    is_own = row.event == "sync" and row.peer == row.node
    return is_own and row.kind == "full" and row.text.startswith("started")


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
    for row in facts.rows:
        if row.event == "deliver" and row.kind in _WORDS:
            ends = row.node, row.peer
            if row.time_ns - alive_ns.get(ends, -over_ns) < over_ns:
                alive_ns[ends] = row.time_ns
                if row.kind == "ReplicaHeartbeat":
                    heard_ns[ends] = row.time_ns
        elif row.event == "sync" and row.text.startswith("started"):  # A handshake that counts.
            alive_ns[row.node, row.peer] = heard_ns[row.node, row.peer] = row.time_ns
        elif row.event == "role" and row.kind == "master":
            for node in facts.options.node_ids:
                heard_ns[row.node, node] = row.time_ns
        elif row.event == "status" and row.kind == "Disconnected" and row.node:
            tally.see()
            last_ns = heard_ns.get((row.node, row.peer), 0)
            if row.time_ns - last_ns <= limit_ns:
                tally.violated(
                    f"{row.node} called {row.peer} Disconnected at {ns_to_ms(row.time_ns):,} ms, "
                    f"{ns_to_ms(row.time_ns - last_ns):,} ms after it was heard"
                )
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
    heard = _SignsOfLife()
    for index, row in enumerate(facts.rows):
        if row.event == "role" and row.kind == "candidate" and row.text == "silence":
            tally.see()
            last_ns = heard.last_ns(row.node)
            if last_ns is not None and row.time_ns - last_ns < deadline_ns:
                tally.violated(
                    f"{row.node} stood at {ns_to_ms(row.time_ns):,} ms, "
                    f"{ns_to_ms(row.time_ns - last_ns):,} ms after a sign of life of its master"
                )
        heard.take(index, row)
    return tally.finding(of="candidates", idle="no replica stood for its master's silence")


def _is_given_up(row: TraceRow) -> bool:
    """Whether a replica gives its connection up with this: what comes by it later is dropped."""
    if row.event == "sync":
        return row.node == row.peer and row.text.startswith("lost")
    return row.event == "deliver" and row.kind == "Close"


class _SignsOfLife:
    """When each node last heard the master of its present connection.

    A message belongs to that connection if it was sent after the master had taken the node's last
    handshake.
    """

    def __init__(self) -> None:
        self._asked: dict[str, str] = {}
        self._taken: dict[str, int] = {}
        self._flying: dict[tuple[str, str, str, int], deque[int]] = defaultdict(deque)
        self._heard_ns: dict[str, int] = {}

    def last_ns(self, node: str) -> int | None:
        return self._heard_ns.get(node)

    def take(self, index: int, row: TraceRow) -> None:
        node, peer = row.node, row.peer
        if row.event in ("role", "crash"):
            for known in (self._heard_ns, self._asked, self._taken):
                known.pop(node, None)  # A new life or role begins without a connection.
        elif _is_given_up(row):
            self._asked.pop(node, None)
        elif row.kind == "Hello":
            if row.event == "send" and not row.text:
                self._asked[node] = peer
                self._taken.pop(node, None)
            elif row.event == "deliver" and self._asked.get(peer) == node:
                self._taken.setdefault(peer, index)
        elif row.kind in _LIFE:
            if row.event == "send":
                self._flying[node, peer, row.kind, row.number].append(index)
            elif row.event == "lost":
                self._flying[node, peer, row.kind, row.number].popleft()
            elif row.event == "deliver":
                sent = self._flying[peer, node, row.kind, row.number].popleft()
                is_its_master = self._asked.get(node) == peer
                if is_its_master and sent > self._taken.get(node, index):
                    self._heard_ns[node] = row.time_ns
