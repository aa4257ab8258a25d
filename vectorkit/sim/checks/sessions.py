"""What a client may expect of its own requests, by the histories that it was shown."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from vectorkit.sim.checks.evidence import Evidence
from vectorkit.sim.checks.findings import CheckTally, Finding
from vectorkit.sim.checks.history import NOWHERE, LogPosition
from vectorkit.sim.checks.requests import ObservedRequest
from vectorkit.sim.world.trace_events import HistoryApplied, NodeCrashed, NodeStarted
from vectorkit.units import ns_to_ms


@dataclass(slots=True)
class _Session:
    """A client's last acknowledged write and furthest read so far."""

    written: LogPosition = NOWHERE
    confirmed: LogPosition = NOWHERE
    """The last write whose concern was met: one that was answered as degraded may be lost."""
    read: LogPosition = NOWHERE
    read_by: ObservedRequest | None = None
    proven: LogPosition = NOWHERE
    """The furthest linearizable read."""
    before: dict[
        int, tuple[LogPosition, LogPosition, LogPosition, ObservedRequest | None, LogPosition]
    ] = field(default_factory=dict)
    """All of that at the moment of each request that is under way."""


class _Tallies:
    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self.own_writes = CheckTally("read_your_writes")
        self.reads = CheckTally("monotonic_reads")
        self.writes = CheckTally("monotonic_writes", unpromised=evidence.guarantee.unpromised)
        self.order = CheckTally("writes_follow_reads", unpromised=evidence.guarantee.unpromised)
        self.unsettled = _unsettled(evidence)

    def read_came(self, request: ObservedRequest, session: _Session) -> None:
        written, confirmed, seen, seen_by, _ = session.before.pop(request.number)
        in_force = self._in_force(request)
        if written != NOWHERE:
            is_promised = request.policy == "read_your_writes" or (
                request.policy == "linearizable" and in_force and written == confirmed
            )
            self._check(self.own_writes, request, written, "its write", is_promised)
        if seen_by is not None:
            is_promised = request.policy == "linearizable" and in_force
            is_promised &= seen_by.policy == "linearizable"
            is_promised |= self._sticks(seen_by, request)
            self._check(self.reads, request, seen, "an earlier read", is_promised)
        if request.place >= session.read:
            session.read, session.read_by = request.place, request
        if request.policy == "linearizable":
            session.proven = max(session.proven, request.place)

    def write_came(self, request: ObservedRequest, session: _Session) -> None:
        written, confirmed, seen, _, proven = session.before.pop(request.number)
        # A write that is answered as degraded may be one of a deposed master, which is discarded.
        in_force = self._in_force(request) and request.outcome != "degraded"
        if written != NOWHERE:
            is_promised = in_force and written == confirmed
            self._check(self.writes, request, written, "an earlier write", is_promised)
        if seen != NOWHERE:
            is_promised = in_force and seen == proven
            self._check(self.order, request, seen, "an earlier read", is_promised)
        if request.outcome in ("ok", "degraded"):
            session.written = max(session.written, request.place)
        if request.outcome == "ok":
            session.confirmed = max(session.confirmed, request.place)

    def _in_force(self, request: ObservedRequest) -> bool:
        return self.evidence.guarantee.is_in_force(request.completed_ns or 0)

    def _check(
        self,
        tally: CheckTally,
        request: ObservedRequest,
        wanted: LogPosition,
        what: str,
        is_promised: bool,
    ) -> None:
        tally.see(is_promised=is_promised)
        if not self.evidence.history.contains(request.place, wanted):
            tally.violated(
                f"{request.kind} {request.number} of {request.client} at {request.node} "
                f"({ns_to_ms(request.completed_ns or 0):,} ms, policy {request.policy or 'none'}) "
                f"stands at {self.evidence.place(request.place)}, without {what} at "
                f"{self.evidence.place(wanted)}",
                is_promised=is_promised,
            )

    def _sticks(self, earlier: ObservedRequest, later: ObservedRequest) -> bool:
        """Whether both reads were of a node that lived, and kept its store, between them."""
        if not earlier.policy == later.policy == "sticky" or earlier.node != later.node:
            return False
        begin, end = earlier.invoked_index, later.completed_index or 0
        return not any(begin <= index <= end for index in self.unsettled[later.node])


def _counts(request: ObservedRequest, evidence: Evidence) -> bool:
    """Whether a write has to stand behind what its client was shown before."""
    if request.outcome == "timeout":
        return evidence.history.contains(evidence.history.final, request.place)
    return request.outcome in ("ok", "degraded")


def _unsettled(evidence: Evidence) -> dict[str, list[int]]:
    """When nodes crashed, started or took another store, as places in the trace."""
    found = defaultdict(list)
    for index, event in evidence.events:
        match event:
            case NodeCrashed(node=node) | NodeStarted(node=node):
                found[node].append(index)
            case HistoryApplied(node=node, source="snapshot"):
                found[node].append(index)
            case _:
                pass
    return found


def check_sessions(evidence: Evidence) -> list[Finding]:
    """The four guarantees of a session, by (epoch, offset) of what each request stands at.

    Read-your-writes is promised under the policies `read_your_writes` and, within the guarantee,
    `linearizable`; monotonic reads under `linearizable`, and under `sticky` while the node lives
    and keeps its store; monotonic writes within the guarantee, writes-follow-reads also only after
    linearizable reads. The guarantee is about writes that were not answered as degraded. A write
    that timed out counts where its record is part of the final history: else it never happened.
    """
    tallies = _Tallies(evidence)
    sessions: dict[str, _Session] = defaultdict(_Session)
    moments = [(each.invoked_index, each, False) for each in evidence.requests]
    moments += [
        (each.completed_index, each, True)
        for each in evidence.requests
        if each.completed_index is not None
    ]
    for _, request, is_end in sorted(moments, key=lambda moment: moment[0]):
        session = sessions[request.client]
        if not is_end:
            session.before[request.number] = (
                session.written,
                session.confirmed,
                session.read,
                session.read_by,
                session.proven,
            )
        elif request.is_write:
            if request.place != NOWHERE and _counts(request, evidence):
                tallies.write_came(request, session)
        elif not request.is_write and request.is_ok:
            tallies.read_came(request, session)
    idle = "no client read after a write of its own was acknowledged"
    return [
        tallies.own_writes.finding(of="reads after an own write", idle=idle),
        tallies.reads.finding(of="reads after a read", idle="no client read twice"),
        tallies.writes.finding(of="writes after a write", idle="no client wrote twice"),
        tallies.order.finding(of="writes after a read", idle="no client wrote after a read"),
    ]
