"""What a master owes its clients: answers to writes once they are confirmed, to reads once safe."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from typing import Final

from vectorkit.atomic import Calls
from vectorkit.errors import VectorKitError
from vectorkit.replication.master.peer import Peer
from vectorkit.replication.member import Member
from vectorkit.replication.protocol.effects import NO_CLIENT, Noted, NoteName, Writer
from vectorkit.replication.protocol.log import Position
from vectorkit.replication.protocol.messages import (
    Ack,
    ClientRead,
    ClientReply,
    ClientWrite,
    Confirmed,
    ConfirmEpoch,
    EpochConfirmed,
)
from vectorkit.replication.protocol.write_concern import Stage
from vectorkit.replication.reads import payload_of, proves_reads
from vectorkit.units import NS_PER_MS

NOWHERE: Final = Position()
REMEMBERED: Final = 1_024
"""How many writes of a client are remembered: a copy of one must not be a second write."""
NOTHING_WRITTEN: Final = "nothing_written"
"""The error of a write that timed out and is known not to have happened."""
REFUSED_BY_FORM: Final = frozenset(
    {
        *("write_refused", "read_only_replica", "write_in_subscriber", "disk_full"),
        *("invalid_input", "invalid_payload", "invalid_option", "duplicate_id"),
        *("invalid_dimension", "unknown_metric", "device_not_found"),
    }
)
"""Codes of errors that every master gives for the same write, independently of its state.

All other codes count as answers from state. The collection checks the dimension of a vector and
the kind of an id, and under a later master it may be another collection of the same name.
"""


@dataclass(slots=True)
class _Write:
    position: Position
    client: str
    request: int
    deadline_ns: int


@dataclass(slots=True)
class _Read:
    """An answer that is computed and waits until the state that it describes may be shown."""

    position: Position
    client: str
    request: int
    payload: str
    deadline_ns: int
    round: int = 0
    """The round of questions that must be answered before; 0 if none."""
    bound_ns: int | None = None
    """How stale it may be when it is answered; None where nothing is promised."""
    outcome: str = "ok"
    error: str = ""
    late_error: str = ""
    """The error of a time-out: `NOTHING_WRITTEN` for a write that changes nothing."""


class PendingRequests:
    """Writes and reads that wait. Everything is counted again at the moment of an answer.

    Offsets, rounds and deadlines only grow, so whatever can be answered stands at the front.
    """

    def __init__(self, member: Member, epoch: int, peers: Mapping[str, Peer]) -> None:
        self._member = member
        self._epoch = epoch
        self._peers = peers
        self._reached: Callable[[Ack], int] = _REACHED[member.options.write_concern.stage]
        self._timeout_ns = member.options.write_concern.timeout_ms * NS_PER_MS
        self._writes: deque[_Write] = deque()
        self._reads: deque[_Read] = deque()
        """Reads that wait for the own disk."""
        self._confirmed_reads: deque[_Read] = deque()
        """Reads that wait for the write concern."""
        self._proofs: deque[_Read] = deque()
        """Linearizable reads, and answers to writes that depend on the state: they wait for a
        round of questions and for the write concern."""
        self._asking: dict[str, Peer] = {}
        """Replicas that have asked up to which offset the write concern holds."""
        self._can_prove = proves_reads(member.options, len(member.node_ids))
        self._seen: dict[str, dict[int, None]] = {}
        self._forgotten: dict[str, int] = {}
        self._round = 0
        self._round_of = dict.fromkeys(range(len(member.node_ids)), 0)
        """The latest round that each slot has answered."""
        self._ask_again_ns: int | None = None
        self._confirmed_offset = 0
        self.writer: Writer = NO_CLIENT
        """The client and the request whose write the store executes now."""
        self.local_offset = 0
        """The offset of the last record that was written to the store without a client."""

    # What the write concern says now

    @property
    def confirmed_offset(self) -> int:
        """Up to where the write concern holds: by the acks that count now, and the own copy."""
        member = self._member
        own = member.flushed.offset
        if member.options.write_concern.stage == "visible":
            own = min(own, member.visible_offset)
        asked = member.replica_count
        if not asked:
            return own
        offsets = self._offsets()
        if len(offsets) < asked:
            return 0
        offsets.sort(reverse=True)
        return min(own, offsets[asked - 1])

    def confirmed_by(self, offset: int) -> int:
        """How many replicas have confirmed an offset."""
        return sum(reached >= offset for reached in self._offsets())

    def _offsets(self) -> list[int]:
        counted = [peer.counted for peer in self._peers.values()]
        return [self._reached(ack) for ack in counted if ack is not None]

    # Writes

    def write(self, source: str, message: ClientWrite, write: Callable[[], object]) -> None:
        """Execute a client's write once, and answer it when it is confirmed.

        A write that the store refuses, or that changes nothing, is a read: its answer is proven
        like the answer of a linearizable read.
        """
        request = message.request
        if self._is_copy(source, request):
            return
        before = self._member.log.head.offset
        self.writer = source, request
        try:
            write()
        except VectorKitError as error:
            if error.code in REFUSED_BY_FORM:
                self._reply(source, request, "refused", NOWHERE, error=error.code)
            else:
                self._answer_from_state(source, request, "refused", error.code)
            return
        finally:
            self.writer = NO_CLIENT
        if self._member.log.head.offset == before:
            self._answer_from_state(source, request, "ok", "")

    def _answer_from_state(self, client: str, request: int, outcome: str, error: str) -> None:
        """Answer a write from the store's state, once no later master can have another state.

        `confirmed_offset ≥ head` alone is not enough: it holds on an idle master that was deposed
        long ago and does not know it.
        """
        member = self._member
        number = 0
        if self._can_prove:
            number = self._begin_round()
        else:
            member.counters.unproven_answers += 1
        self._proofs.append(
            _Read(
                position=member.log.head,
                client=client,
                request=request,
                payload="",
                deadline_ns=member.now_ns + self._timeout_ns,
                round=number,
                outcome=outcome,
                error=error,
                late_error=NOTHING_WRITTEN,
            )
        )
        self.settle()

    def appending(self, position: Position, writer: Writer) -> Calls:
        """Return the calls that add a record to those that wait for their confirmation."""
        client, request = writer
        deadline_ns = self._member.now_ns + self._timeout_ns
        write = self._writes.append, _Write(position, client, request or 0, deadline_ns)
        if client:
            return [write]
        return [write, (partial(setattr, self, "local_offset"), position.offset)]

    def _is_copy(self, client: str, request: int) -> bool:
        """Whether a write has come before, or is so old that nobody can tell.

        A client's numbers grow. What it asked of an earlier master is not remembered here.
        """
        seen, forgotten = self._seen.setdefault(client, {}), self._forgotten.get(client, -1)
        if request in seen or request <= forgotten:
            return True
        seen[request] = None
        if len(seen) > REMEMBERED:
            oldest = next(iter(seen))
            del seen[oldest]
            self._forgotten[client] = max(forgotten, oldest)
        return False

    # Reads

    def read(self, source: str, message: ClientRead) -> None:
        """Read the present state; answer once it is flushed, confirmed or proven, by the policy."""
        member = self._member
        head, deadline_ns = member.log.head, member.now_ns + self._timeout_ns
        if message.policy == "linearizable":
            payload = payload_of(member.store, message.collection, message.row_id)
            number = self._begin_round()
            self._proofs.append(_Read(head, source, message.request, payload, deadline_ns, number))
        else:
            payload = payload_of(member.readable(), message.collection, message.row_id)
            position = member.visible if member.options.refresh_ms else head
            is_bounded = message.policy == "bounded_staleness"
            bound_ns = message.bound_ms * NS_PER_MS if is_bounded else None
            waiting = self._confirmed_reads if message.policy == "confirmed" else self._reads
            waiting.append(
                _Read(position, source, message.request, payload, deadline_ns, 0, bound_ns)
            )
        self.settle()

    def on_asked(self, peer: Peer, offset: int) -> None:
        """A replica's reads wait until the write concern holds at this offset."""
        peer.wants_confirmed(offset)
        self._asking[peer.id] = peer
        self._tell_confirmed()

    def _tell_confirmed(self) -> None:
        """Tell the replicas that asked up to which offset the write concern holds, if it is news.

        They also get partial answers: under steady writes a replica always asks for more.
        """
        offset = self._confirmed_offset
        if self._member.promise > self._epoch:
            return
        for peer in list(self._asking.values()):
            if peer.asked_until and offset >= peer.asked_from:
                self._member.outbox.send(peer.id, Confirmed(peer.generation, offset))
                peer.asked_from = offset + 1
            if offset >= peer.asked_until:
                peer.asked_until = 0
                del self._asking[peer.id]

    def on_confirmed(self, message: EpochConfirmed, slot: int) -> None:
        """A node has promised nothing higher: good for every read that came before the round."""
        self._round_of[slot] = max(self._round_of[slot], message.round)
        self.settle()

    @property
    def _proven_round(self) -> int:
        """The latest round that N − n nodes have answered, itself included."""
        return sorted(self._round_of.values(), reverse=True)[self._member.quorum - 1]

    def _begin_round(self) -> int:
        """Ask all nodes whether they have promised a higher epoch; return the round's number."""
        self._round += 1
        self._round_of[self._member.slot] = self._round
        self._ask()
        return self._round

    def _ask(self) -> None:
        member = self._member
        for node_id in member.others:
            member.outbox.send(node_id, ConfirmEpoch(self._epoch, self._round))
        self._ask_again_ns = member.now_ns + member.options.resend_after_ms * NS_PER_MS

    # Answers

    def settle(self) -> None:
        """Answer whatever can be answered now; nothing where a higher epoch is promised."""
        member = self._member
        if member.promise > self._epoch:
            return
        confirmed_offset = self.confirmed_offset
        if confirmed_offset > self._confirmed_offset:
            self._confirmed_offset = confirmed_offset
            epoch = member.log.epoch_of(confirmed_offset)
            member.outbox.add(Noted("confirm", number=confirmed_offset, value=epoch))
            member.note_confirmed(confirmed_offset)
            if self._asking:
                self._tell_confirmed()
        writes, reads, proofs = self._writes, self._reads, self._proofs
        while writes and writes[0].position.offset <= confirmed_offset:
            self._answer(writes.popleft(), "ok")
        flushed_offset = member.flushed.offset
        while reads and reads[0].position.offset <= flushed_offset:
            self._answer_read(reads.popleft())
        reads = self._confirmed_reads
        while reads and reads[0].position.offset <= self._confirmed_offset:
            self._answer_read(reads.popleft())
        if proofs and proofs[0].position.offset <= confirmed_offset:
            proven_round = self._proven_round
            while (
                proofs
                and proofs[0].position.offset <= confirmed_offset
                and proofs[0].round <= proven_round
            ):
                self._answer_read(proofs.popleft())

    def tick(self) -> None:
        """Handle time-outs and repeat unanswered questions, unless a higher epoch is promised."""
        member = self._member
        now_ns = member.now_ns
        if member.promise > self._epoch:
            return
        self.settle()
        while self._writes and now_ns >= self._writes[0].deadline_ns:
            self._give_up(self._writes.popleft())
        for waiting in (self._reads, self._confirmed_reads, self._proofs):
            while waiting and now_ns >= waiting[0].deadline_ns:
                late = waiting.popleft()
                self._reply(late.client, late.request, "timeout", NOWHERE, error=late.late_error)
        if self._ask_again_ns is not None and now_ns >= self._ask_again_ns:
            self._ask_again_ns = None
            if self._proofs:
                self._ask()

    @property
    def due_ns(self) -> int | None:
        """The first time-out, or the next time to ask."""
        due_ns = self._ask_again_ns
        for waiting in (self._writes, self._reads, self._confirmed_reads, self._proofs):
            if waiting and (due_ns is None or waiting[0].deadline_ns < due_ns):
                due_ns = waiting[0].deadline_ns
        return due_ns

    def _give_up(self, late: _Write) -> None:
        """A write whose concern is not met in time: degraded, if the own disk has it at least."""
        member, offset = self._member, late.position.offset
        is_degraded = member.options.write_concern.on_timeout == "degrade"
        is_degraded = is_degraded and offset <= member.flushed.offset
        name = "degraded_acks" if is_degraded else "write_concern_timeouts"
        setattr(member.counters, name, getattr(member.counters, name) + 1)
        confirmed = self.confirmed_by(offset)
        event: NoteName = "degrade" if is_degraded else "timeout"
        member.outbox.add(Noted(event, number=offset, value=confirmed))
        self._answer(late, "degraded" if is_degraded else "timeout", confirmed)

    def _answer(self, write: _Write, outcome: str, confirmed: int = 0) -> None:
        if outcome != "timeout":
            self._member.acknowledged = write.position
        if write.client:
            self._reply(write.client, write.request, outcome, write.position, confirmed=confirmed)

    def _answer_read(self, read: _Read) -> None:
        if self._is_too_stale(read):
            self._reply(read.client, read.request, "refused", NOWHERE, error="too_stale")
        elif read.error:
            self._reply(read.client, read.request, read.outcome, NOWHERE, error=read.error)
        else:
            self._reply(
                read.client, read.request, read.outcome, read.position, payload=read.payload
            )

    def _is_too_stale(self, read: _Read) -> bool:
        """Whether it lacks a record older than its bound: the own disk, or readers, were late."""
        log, lacked_offset = self._member.log, read.position.offset + 1
        if read.bound_ns is None or lacked_offset > log.head.offset:
            return False
        if lacked_offset < log.first_offset:
            return True
        return self._member.now_ns - log.entry(lacked_offset).appended_ns > read.bound_ns

    def _reply(
        self,
        client: str,
        request: int,
        outcome: str,
        position: Position,
        *,
        payload: str = "",
        error: str = "",
        confirmed: int = 0,
    ) -> None:
        reply = ClientReply(request, outcome, position, payload, error, confirmed, self._member.id)
        self._member.outbox.send(client, reply)


_REACHED: Final[dict[Stage, Callable[[Ack], int]]] = {
    "received": attrgetter("received_offset"),
    "flushed": attrgetter("flushed_offset"),
    "applied": attrgetter("applied_offset"),
    "visible": attrgetter("visible_offset"),
}
