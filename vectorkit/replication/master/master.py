"""The master: takes writes into its log, streams them, and brings replicas into line."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from vectorkit.errors import WriteRefused
from vectorkit.operations import EpochStart, Operation, encode
from vectorkit.replication.master.peer import Peer
from vectorkit.replication.master.pending_requests import PendingRequests
from vectorkit.replication.master.replication_stream import Sender
from vectorkit.replication.master.snapshot_offers import Offers
from vectorkit.replication.member import Member
from vectorkit.replication.outbox import Origin
from vectorkit.replication.protocol.effects import NO_CLIENT, RoleChanged, SyncChanged
from vectorkit.replication.protocol.epochs import slot_of
from vectorkit.replication.protocol.messages import (
    Ack,
    Announce,
    AskConfirmed,
    ClientRead,
    ClientWrite,
    Close,
    EpochConfirmed,
    Hello,
    MasterHeartbeat,
    Message,
    ReplicaHeartbeat,
    RequestChunks,
    Resume,
    Seek,
    StartPartial,
)
from vectorkit.replication.reads import master_refusal, refused
from vectorkit.replication.role import Reason, Role, RoleName
from vectorkit.store import write
from vectorkit.units import NS_PER_MS


class MasterRole(Role):
    """Serves one epoch, from its `EpochStart` on: writes, syncs, streams, reads.

    It serves nobody before that record is flushed, and is master no more as soon as its node has
    promised a higher epoch. `step_down` makes the role after it for a master of a higher epoch,
    `stand` a candidate above a promise that it has heard of.

    >>> from vectorkit.replication import Node
    >>> node = Node("node-0", node_ids=["node-0", "node-1"], now_ns=0)
    >>> isinstance(node.role, MasterRole), node.role.epoch
    (True, 65536)
    """

    name: ClassVar[RoleName] = "master"

    def __init__(
        self,
        member: Member,
        epoch: int,
        *,
        step_down: Callable[[str, int], Role],
        stand: Callable[[Reason], Role],
        is_forced: bool = False,
    ) -> None:
        super().__init__(member)
        self._epoch = epoch
        self._step_down = step_down
        self._stand = stand
        self._is_forced = is_forced
        self._start_offset: int | None = None
        self._is_serving = False
        self._heartbeat_ns = member.options.heartbeat_ms * NS_PER_MS
        self._timeout_ns = member.options.connection_timeout_ms * NS_PER_MS
        self._next_beat_ns = member.now_ns + self._heartbeat_ns
        self._beat = 0
        self.last_equal_ns: int | None = None
        self._peers = {node_id: Peer(node_id, member.now_ns) for node_id in member.others}
        self._sender = Sender(member)
        self._offers = Offers(member, epoch)
        self.clients = PendingRequests(member, epoch, self._peers)

    @property
    def master_id(self) -> str | None:
        """Itself."""
        return self.member.id

    @property
    def epoch(self) -> int:
        """The epoch that it serves."""
        return self._epoch

    @property
    def peers(self) -> list[Peer]:
        """All other nodes, connected or not."""
        return list(self._peers.values())

    def admit(self) -> None:
        """Take writes once the epoch has begun."""
        if not self._is_serving:
            raise WriteRefused(
                f"{self.member.id} is not serving yet",
                got="a write",
                wanted="a master whose epoch has begun",
                remedy="let time pass until the start of its epoch is flushed",
            )

    def peer(self, node_id: str) -> Peer:
        """What it knows of one of them."""
        return self._peers[node_id]

    # The journal of the store

    def append(self, operation: Operation, encoded: bytes, place: Origin) -> None:
        """Give an operation its place in history; `flush` sends it."""
        self.member.append(operation, encoded, self._epoch, place, self.clients.appending)

    # Transitions

    def start(self) -> None:
        """Begin the epoch, unless the cluster's construction has."""
        member = self.member
        member.outbox.add(RoleChanged(self.name, self._epoch, self._is_forced))
        if member.log.head.epoch == self._epoch:
            self._start_offset = member.log.head.offset
            self._is_serving = True
            return
        start = EpochStart(self._epoch)
        self._start_offset = member.append(
            start, encode(start), self._epoch, (member.log.head.offset + 1, NO_CLIENT)
        ).record.offset

    def end(self) -> None:
        """Close all connections; pending requests get no answer."""
        for peer in self._open_peers():
            self._end_sync(peer, "lost")
            peer.close()
        self.member.equal_ns = self.member.now_ns  # Until now its own history was the master's.

    def flush(self) -> None:
        """Send what has been written since."""
        for peer in self._peers.values():
            peer.note_lag(self.member.log)
            if self._is_serving and peer.is_open:
                self._send_window(peer)

    def on_flushed(self) -> None:
        """The own copy has come further: begin to serve, answer, offer snapshots that waited."""
        member = self.member
        start_offset = self._start_offset
        if not self._is_serving and start_offset is not None:
            self._is_serving = member.flushed.offset >= start_offset
            if self._is_serving:
                for node_id in member.others:
                    self._announce(node_id)
        for peer in self._peers.values():
            if peer.is_held:
                self._offers.release_held(peer)
        self.clients.settle()

    def tick(self) -> None:
        """The timer has fired: heartbeats, connections that are over, records sent again."""
        member, now_ns = self.member, self.member.now_ns
        for peer in self._open_peers():
            if now_ns >= peer.last_heard_ns + self._timeout_ns:
                self._drop(peer)
            elif peer.is_due(now_ns) and not self._sender.probe(peer):
                self._close(peer, "too_old")
        self.clients.tick()
        if member.refresh():
            self.clients.settle()
        if now_ns >= self._next_beat_ns:
            self._beat += 1
            self._next_beat_ns = now_ns + self._heartbeat_ns
            for peer in self._peers.values():
                if peer.is_open:
                    self._send_heartbeat(peer)
                elif self._is_serving:
                    self._announce(peer.id)
            self._offers.expire(self._peers.values())
            member.keep_counters()

    def receive(self, source: str, message: Message) -> None:
        """A message from a replica; one of an older connection is dropped."""
        match message:
            case EpochConfirmed():
                if message.epoch == self._epoch:
                    self.clients.on_confirmed(message, slot_of(message.index))
            case Hello() if source in self._peers:
                self._on_hello(self._peers[source], message)
            case _ if source in self._peers:
                self._on_connection(self._peers[source], message)
            case _:
                pass

    def on_announce(self, source: str, message: Announce) -> None:
        """Somebody serves a higher epoch: step down."""
        if message.epoch > self._epoch:
            self.member.switch_role(self._step_down(source, message.epoch))

    def on_seek(self, source: str, message: Seek) -> None:
        """Show itself to a node that looks for a master; stand anew where it has promised more."""
        if message.promise > self._epoch:
            self.member.heard_epoch = max(self.member.heard_epoch, message.promise)
            self.member.switch_role(self._stand("promise"))
        elif self._is_serving:
            self._announce(source)

    def on_replaced(self, node_id: str) -> None:
        """What an index said that was replaced or retired counts no more."""
        peer = self._peers[node_id]
        peer.counted = None
        if peer.is_open:
            self._drop(peer)
        peer.kept = None  # Its chunks are gone with the rest of its state.
        self._offers.release(self._peers.values())

    def lag_ns(self, now_ns: int) -> int:
        """The largest of its active replicas."""
        options = self.member.options
        active = [peer for peer in self._peers.values() if peer.is_active(now_ns, options)]
        return max((peer.lag_ns(now_ns) for peer in active), default=0)

    def due_ns(self) -> int | None:
        """Heartbeat, time-outs of clients, refresh, and each connection's silence and probes."""
        due_ns = self._next_beat_ns
        clients_ns = self.clients.due_ns
        if clients_ns is not None and clients_ns < due_ns:
            due_ns = clients_ns
        if self.member.options.refresh_ms:
            due_ns = min(due_ns, self.member.next_refresh_ns)
        for peer in self._peers.values():
            if peer.is_open:
                due_ns = min(due_ns, peer.last_heard_ns + self._timeout_ns)
                if peer.resend_at_ns is not None and peer.resend_at_ns < due_ns:
                    due_ns = peer.resend_at_ns
        return due_ns

    # Clients

    def on_client(self, source: str, message: ClientWrite | ClientRead) -> None:
        """What a client asks for, refused before the epoch has begun."""
        member = self.member
        refusal = "" if self._is_serving else "not_master"
        if not refusal and isinstance(message, ClientRead):
            refusal = master_refusal(member, message)
        if refusal:
            member.outbox.send(source, refused(member, self, message.request, refusal))
        elif isinstance(message, ClientWrite):
            operation = message.operation
            self.clients.write(source, message, lambda: write(member.store, operation))
            self.flush()
        else:
            self.clients.read(source, message)

    # Connections

    def _announce(self, node_id: str) -> None:
        peer, head_offset = self._peers[node_id], self.member.log.head.offset
        given_up = 0 if peer.is_open else peer.generation
        self.member.outbox.send(node_id, Announce(self._epoch, head_offset, given_up))

    def _on_hello(self, peer: Peer, hello: Hello) -> None:
        member = self.member
        if hello.generation < peer.generation:
            return
        if hello.epoch != self._epoch or not self._is_serving:
            if self._is_serving:
                self._announce(peer.id)
            return
        peer.last_heard_ns = member.now_ns
        if hello.generation > peer.generation:
            peer.last_heartbeat_ns = member.now_ns
            self._connect(peer, hello)
        if peer.is_open and peer.answer is not None and not peer.is_held:
            member.outbox.send(peer.id, peer.answer)
            peer.note_lag(member.log)
            self._send_window(peer)
            peer.restart_resending(member.now_ns, member.options)

    def _connect(self, peer: Peer, hello: Hello) -> None:
        log = self.member.log
        if peer.has_installed(hello):
            peer.take_snapshot_offset()
            self._finish_full(peer)
        self._end_sync(peer, "lost")
        peer.close()
        peer.generation = hello.generation
        peer.is_open = True
        peer.has_caught_up = False
        peer.counted = None  # Only acks of this connection confirm.
        reason = peer.needs_full or hello.wants or log.refusal(hello.position)
        peer.kept = self._offers.resumable(peer.kept, hello) if reason else None
        self._offers.release(self._peers.values())
        if reason:
            self._offers.begin(peer, hello, reason)
        else:
            peer.phase = "partial"
            peer.sync_target_offset = log.head.offset
            peer.sent_offset = peer.received_offset = hello.position.offset
            peer.answer = StartPartial(peer.generation, self._epoch, log.head.offset)
        self.member.outbox.add(SyncChanged(peer.id, "started", peer.phase, reason))

    def _close(self, peer: Peer, reason: str) -> None:
        self.member.outbox.send(peer.id, Close(peer.generation, reason))
        self._drop(peer)

    def _drop(self, peer: Peer) -> None:
        self._end_sync(peer, "lost")
        peer.close()
        self._offers.release(self._peers.values())

    def _end_sync(self, peer: Peer, phase: str) -> None:
        if peer.phase in ("full", "partial"):
            reason = peer.sync_reason if peer.phase == "full" else ""
            self.member.outbox.add(SyncChanged(peer.id, phase, peer.phase, reason))

    # Messages of the present connection

    def _on_connection(self, peer: Peer, message: Message) -> None:
        member = self.member
        if not peer.is_open or getattr(message, "generation", None) != peer.generation:
            return
        peer.last_heard_ns = member.now_ns
        if peer.answer is not None and not peer.is_held:
            peer.answer = None  # It has come, or the replica would not speak.
            peer.restart_resending(member.now_ns, member.options)
        match message:
            case Ack():
                self._on_ack(peer, message)
            case ReplicaHeartbeat():
                self._on_heartbeat(peer, message)
            case AskConfirmed():
                self.clients.on_asked(peer, message.offset)
            case Resume():
                if not self._sender.send_again(peer, message.offset, message.until_offset):
                    self._close(peer, "too_old")
            case RequestChunks() if peer.source is not None:
                for number in message.numbers:
                    if 0 <= number < peer.source.chunk_count:
                        peer.served.add(number)
                        member.outbox.send(peer.id, peer.source.chunk(peer.generation, number))
            case _:
                pass  # Late, or not for a master: nothing to do.

    def _on_heartbeat(self, peer: Peer, message: ReplicaHeartbeat) -> None:
        member = self.member
        peer.note_echo(message, member.now_ns)
        if peer.source is not None and message.digest != peer.source.digest:
            return  # It still shows the store that the full sync is to replace.
        self._on_ack(peer, message.ack)
        is_equal = peer.phase == "streaming" and message.ack.position == member.log.head
        is_equal = is_equal and message.ack.applied_offset == member.log.head.offset
        if is_equal and message.digest not in ("", member.store.digest()):
            peer.needs_full = "digest_mismatch"
            self._close(peer, peer.needs_full)

    def _on_ack(self, peer: Peer, ack: Ack) -> None:
        member, log = self.member, self.member.log
        if peer.source is not None:
            if ack.position != peer.source.position:
                return
            has_progress = True
            peer.take_positions(ack)
            self._finish_full(peer)
        elif peer.is_old(ack) or not log.holds(ack.position):
            return
        else:
            has_progress = ack.received_offset > peer.received_offset
            newly_applied = peer.take_positions(ack)
            peer.operations_synced += newly_applied
            member.counters.total_replicated += newly_applied
        peer.count(ack, self._epoch)
        if peer.phase == "partial" and ack.applied_offset >= peer.sync_target_offset:
            member.counters.partial_syncs += 1
            self._end_sync(peer, "finished")
            peer.phase = "streaming"
        if peer.phase == "streaming" and ack.applied_offset >= peer.sync_target_offset:
            peer.has_caught_up = True
            peer.sync_attempts = 0
        if ack.applied_offset == log.head.offset:
            self.last_equal_ns = member.now_ns
        peer.note_lag(log)
        peer.applied_bytes = log.bytes_until(ack.applied_offset)
        if has_progress:
            peer.restart_resending(member.now_ns, member.options)
        self.clients.settle()
        self._send_window(peer)

    def _finish_full(self, peer: Peer) -> None:
        self.member.counters.full_syncs += 1
        self._end_sync(peer, "finished")
        peer.phase = "streaming"
        peer.source = peer.kept = peer.offered = None
        peer.needs_full = ""
        peer.sent_offset = peer.received_offset
        peer.sync_target_offset = self.member.log.head.offset
        self._offers.release(self._peers.values())

    def _send_window(self, peer: Peer) -> None:
        if not self._sender.send_window(peer):
            self._close(peer, "too_old")

    def _send_heartbeat(self, peer: Peer) -> None:
        peer.note_beat_sent(self._beat, self.member.now_ns)
        head_offset = self.member.log.head.offset
        sent, heard = peer.sent_offset, peer.heard_beat
        beat = MasterHeartbeat(peer.generation, self._beat, head_offset, sent, heard)
        self.member.outbox.send(peer.id, beat)

    def _open_peers(self) -> list[Peer]:
        return [peer for peer in self._peers.values() if peer.is_open]
