"""What a master owes its clients: answers to writes once they are confirmed, to reads once safe."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from vectorkit.errors import VectorKitError
from vectorkit.replication.concern import Stage
from vectorkit.replication.effects import Noted
from vectorkit.replication.log import Position
from vectorkit.replication.member import Member
from vectorkit.replication.messages import (
    ClientRead,
    ClientReply,
    ClientWrite,
    ConfirmEpoch,
    EpochConfirmed,
)
from vectorkit.replication.peer import Peer
from vectorkit.replication.reads import payload_of
from vectorkit.units import NS_PER_MS

NOWHERE: Final = Position()


@dataclass(slots=True)
class _Write:
    position: Position
    client: str
    request: int
    deadline_ns: int


@dataclass(slots=True)
class _Read:
    position: Position
    client: str
    request: int
    payload: str
    deadline_ns: int
    round: int = 0
    """The round of questions that has to be answered; 0 where none has."""
    confirmed_by: set[int] = field(default_factory=set)


class Clients:
    """Writes and reads that wait. Everything is counted again at the moment of an answer."""

    def __init__(self, member: Member, epoch: int, peers: Mapping[str, Peer]) -> None:
        self._member = member
        self._epoch = epoch
        self._peers = peers
        self._writes: deque[_Write] = deque()
        self._reads: deque[_Read] = deque()
        self._round = 0
        self._ask_again_ns: int | None = None
        self._confirmed_offset = 0

    @property
    def confirmed_offset(self) -> int:
        """Up to where the write concern holds: by the acks that count now, and the own copy."""
        member, concern = self._member, self._member.options.write_concern
        own = self._own(concern.stage)
        asked = member.replica_count
        if not asked:
            return own
        offsets = sorted((self._reached(peer) for peer in self._peers.values()), reverse=True)
        return min(own, offsets[asked - 1]) if len(offsets) >= asked else 0

    def confirmed_by(self, offset: int) -> int:
        """How many replicas have confirmed an offset."""
        return sum(self._reached(peer) >= offset for peer in self._peers.values())

    def write(self, source: str, message: ClientWrite, write: Callable[[], object]) -> None:
        """Make a client's write by the store's own path; the answer comes when it is confirmed."""
        before = self._member.log.head.offset
        try:
            write()
        except VectorKitError as error:
            self._reply(source, message.request, "refused", NOWHERE, error=error.code)
            return
        head = self._member.log.head
        if head.offset == before:  # Nothing to do, such as a delete of what is not there.
            self._reply(source, message.request, "ok", head)
            return
        self._writes[-1].client, self._writes[-1].request = source, message.request

    def appended(self, position: Position) -> None:
        """A record waits for its confirmation, whoever wrote it."""
        timeout_ns = self._member.options.write_concern.timeout_ms * NS_PER_MS
        self._writes.append(_Write(position, "", 0, self._member.now_ns + timeout_ns))

    def read(self, source: str, message: ClientRead) -> None:
        """Read the present state; answer once its last record is flushed, or the read proven."""
        member = self._member
        payload = payload_of(member.readable(), message.collection, message.row_id)
        timeout_ns = member.options.write_concern.timeout_ms * NS_PER_MS
        position = member.visible if member.options.refresh_ms else member.log.head
        if message.policy == "linearizable":
            position = member.log.head
            payload = payload_of(member.store, message.collection, message.row_id)
        waiting = _Read(position, source, message.request, payload, member.now_ns + timeout_ns)
        if message.policy == "linearizable":
            self._round += 1
            waiting.round = self._round
            waiting.confirmed_by.add(member.slot)
            self._ask()
        self._reads.append(waiting)
        self.settle()

    def on_confirmed(self, message: EpochConfirmed, slot: int) -> None:
        """A node has promised nothing higher: good for every read that came before the round."""
        for waiting in self._reads:
            if 0 < waiting.round <= message.round:
                waiting.confirmed_by.add(slot)
        self.settle()

    def settle(self) -> None:
        """Answer whatever can be answered now."""
        member = self._member
        confirmed_offset = self.confirmed_offset
        if confirmed_offset > self._confirmed_offset:
            self._confirmed_offset = confirmed_offset
            epoch = member.log.epoch_of(confirmed_offset)
            member.outbox.add(Noted("confirm", number=confirmed_offset, value=epoch))
        while self._writes and self._writes[0].position.offset <= confirmed_offset:
            self._answer(self._writes.popleft(), "ok")
        for waiting in [each for each in self._reads if self._is_safe(each, confirmed_offset)]:
            self._reads.remove(waiting)
            self._reply(
                waiting.client, waiting.request, "ok", waiting.position, payload=waiting.payload
            )

    def tick(self) -> None:
        """Time-outs, and questions that went unanswered."""
        member = self._member
        while self._writes and member.now_ns >= self._writes[0].deadline_ns:
            late = self._writes.popleft()
            is_degraded = member.options.write_concern.on_timeout == "degrade"
            name = "degraded_acks" if is_degraded else "write_concern_timeouts"
            setattr(member.counters, name, getattr(member.counters, name) + 1)
            confirmed = self.confirmed_by(late.position.offset)
            event = "degrade" if is_degraded else "timeout"
            member.outbox.add(Noted(event, number=late.position.offset, value=confirmed))
            self._answer(late, "degraded" if is_degraded else "timeout", confirmed)
        while self._reads and member.now_ns >= self._reads[0].deadline_ns:
            late_read = self._reads.popleft()
            self._reply(late_read.client, late_read.request, "timeout", NOWHERE)
        if self._ask_again_ns is not None and member.now_ns >= self._ask_again_ns:
            self._ask_again_ns = None
            if any(each.round for each in self._reads):
                self._ask()

    def deadlines(self) -> Iterable[int | None]:
        """The first time-out, and the next time to ask."""
        yield self._ask_again_ns
        yield self._writes[0].deadline_ns if self._writes else None
        yield self._reads[0].deadline_ns if self._reads else None

    def _own(self, stage: Stage) -> int:
        member = self._member
        if stage == "visible":
            return min(member.visible_offset, member.flushed.offset)
        return member.flushed.offset

    def _reached(self, peer: Peer) -> int:
        ack = peer.counted
        return (
            0
            if ack is None
            else int(getattr(ack, _FIELD[self._member.options.write_concern.stage]))
        )

    def _is_safe(self, waiting: _Read, confirmed_offset: int) -> bool:
        if not waiting.round:
            return self._member.flushed.offset >= waiting.position.offset
        is_confirmed = confirmed_offset >= waiting.position.offset
        return is_confirmed and len(waiting.confirmed_by) >= self._member.quorum

    def _ask(self) -> None:
        member = self._member
        for node_id in member.others:
            member.outbox.send(node_id, ConfirmEpoch(self._epoch, self._round))
        self._ask_again_ns = member.now_ns + member.options.resend_after_ms * NS_PER_MS

    def _answer(self, write: _Write, outcome: str, confirmed: int = 0) -> None:
        if outcome != "timeout":
            self._member.acknowledged = write.position
        if write.client:
            self._reply(write.client, write.request, outcome, write.position, confirmed=confirmed)

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


_FIELD: Final[dict[Stage, str]] = {
    "received": "received_offset",
    "flushed": "flushed_offset",
    "applied": "applied_offset",
    "visible": "visible_offset",
}
