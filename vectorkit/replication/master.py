"""The master: takes writes into its log, streams them, and brings replicas into line."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from typing import Final

from vectorkit.errors import WriteRefused
from vectorkit.operations import EpochStart, Operation, encode
from vectorkit.replication.effects import Applied, Effect, SyncChanged
from vectorkit.replication.health import ReplicaStatus
from vectorkit.replication.log import Entry, ReplicationLog, within
from vectorkit.replication.messages import (
    Ack,
    Close,
    Hello,
    MasterHeartbeat,
    Message,
    Records,
    ReplicaHeartbeat,
    RequestChunks,
    Resume,
    StartFull,
    StartPartial,
)
from vectorkit.replication.options import ReplicationOptions, longer
from vectorkit.replication.outbox import Outbox
from vectorkit.replication.peer import Peer
from vectorkit.replication.stats import Counters, ReplicaInfo, ReplicationStats
from vectorkit.replication.transfer import SnapshotSource
from vectorkit.replication.wire import wire_size
from vectorkit.store import VectorStore
from vectorkit.units import NS_PER_MS, ns_to_ms

_EPOCH_ROUND_BITS: Final = 16


class MasterNode:
    """A pure state machine: messages, timers and writes come in with a time, effects go out.

    The node owns its store's commit path: whoever writes to `store` writes to the log, and
    `flush(now_ns)` gives the effects of those writes. `observe(now_ns)` tells it the time first.

    >>> node = MasterNode("node-0", replica_ids=["node-1"], now_ns=0)
    >>> _ = node.store.create_collection("words", dim=2)
    >>> node.stats(now_ns=0).master_offset
    2
    >>> [info.status.value for info in node.replicas(now_ns=0)]
    ['Syncing']
    """

    def __init__(
        self,
        node_id: str,
        *,
        replica_ids: Sequence[str],
        now_ns: int,
        index: int = 0,
        store: VectorStore | None = None,
        options: ReplicationOptions | None = None,
    ) -> None:
        self.id = node_id
        self.options = options or ReplicationOptions()
        self.store = VectorStore() if store is None else store
        if len(self.store):
            raise WriteRefused(
                "a master's history begins with an empty store",
                got=repr(self.store),
                wanted="a VectorStore without collections",
                remedy="make the node first, then write to its store",
            )
        self.epoch = 1 << _EPOCH_ROUND_BITS | index
        self.log = ReplicationLog(
            capacity_operations=self.options.log_capacity_operations,
            capacity_bytes=self.options.log_capacity_bytes,
        )
        self._now_ns = now_ns
        self._heartbeat_ns = self.options.heartbeat_ms * NS_PER_MS
        self._next_beat_ns = now_ns + self._heartbeat_ns
        self._beat = 0
        self._last_equal_ns: int | None = None
        self._source: SnapshotSource | None = None
        self._counters = Counters()
        self._outbox = Outbox(self._counters)
        self._peers = {replica_id: Peer(replica_id, now_ns) for replica_id in replica_ids}
        start = EpochStart(self.epoch)
        self.append(start, encode(start))
        self.store.attach(self)

    # The journal of the store

    def admit(self) -> None:
        """A master takes writes."""

    def append(self, operation: Operation, encoded: bytes) -> None:
        """Give an operation its place in history; `flush` sends it."""
        entry = self.log.append(operation, epoch=self.epoch, now_ns=self._now_ns, encoded=encoded)
        self._outbox.add(Applied(entry.position, type(operation).__name__))

    # Transitions

    def observe(self, now_ns: int) -> None:
        """Tell the node the time, before its store is written to."""
        self._now_ns = now_ns

    def flush(self, now_ns: int) -> list[Effect]:
        """The effects of the writes made to the store since the last transition."""
        self._now_ns = now_ns
        for peer in self._open_peers():
            self._pump(peer)
        return self._drain()

    def tick(self, now_ns: int) -> list[Effect]:
        """The timer has fired: heartbeats, connections that are over, records sent again."""
        self._now_ns = now_ns
        self._outbox.timer_fired()
        timeout_ns = self.options.connection_timeout_ms * NS_PER_MS
        for peer in self._open_peers():
            if now_ns >= peer.last_heard_ns + timeout_ns:
                self._end_sync(peer, "lost")
                peer.close()
                self._release_source()
            elif peer.resend_at_ns is not None and now_ns >= peer.resend_at_ns:
                self._resend_first(peer)
        if now_ns >= self._next_beat_ns:
            self._beat += 1
            self._next_beat_ns = now_ns + self._heartbeat_ns
            for peer in self._open_peers():
                self._send_heartbeat(peer)
        return self._drain()

    def receive(self, source: str, message: Message, now_ns: int) -> list[Effect]:
        """A message has come. One of an older connection, or of a stranger, is dropped."""
        self._now_ns = now_ns
        self._counters.bytes_received += wire_size(message)
        peer = self._peers.get(source)
        if peer is not None:
            if isinstance(message, Hello):
                self._on_hello(peer, message)
            elif peer.is_open and message.generation == peer.generation:
                peer.last_heard_ns = now_ns
                if peer.answer is not None:  # It has come, or the replica would not speak.
                    peer.answer = None
                    peer.restart_resending(now_ns, self.options)
                self._on_message(peer, message)
        return self._drain()

    # What the node can say of itself

    def stats(self, now_ns: int) -> ReplicationStats:
        """The node's own figures, counted at the source."""
        active = [peer for peer in self._peers.values() if self._is_active(peer, now_ns)]
        slowest_offset = min((peer.applied_offset for peer in active), default=self.log.head.offset)
        first_ns = next((each.appended_ns for each in self.log.since(self.log.base.offset)), now_ns)
        return ReplicationStats(
            role="master",
            epoch=self.epoch,
            repl_id=f"{self.id}@{self.epoch >> _EPOCH_ROUND_BITS}",
            lag_ms=ns_to_ms(max((peer.lag_ns(now_ns) for peer in active), default=0)),
            lag_operations=self.log.head.offset - slowest_offset,
            master_offset=self.log.head.offset,
            replica_offset=None,
            operations_pending=self.log.head.offset - slowest_offset,
            last_sync=None if self._last_equal_ns is None else ns_to_ms(self._last_equal_ns),
            connected_replicas=len(active),
            log_first_offset=self.log.first_offset,
            log_headroom_ms=ns_to_ms(now_ns - first_ns),
            **self._counters.facts(),
        )

    def replicas(self, now_ns: int) -> list[ReplicaInfo]:
        """All configured replicas, disconnected ones with their last known state."""
        return [self.replica(replica_id, now_ns) for replica_id in self._peers]

    def replica(self, replica_id: str, now_ns: int) -> ReplicaInfo:
        """One of them."""
        return self._peers[replica_id].info(now_ns, self.log, self.options)

    def status(self, replica_id: str, now_ns: int) -> ReplicaStatus:
        """The health of one of them, computed now."""
        return self._peers[replica_id].status(now_ns, self.options)

    # Connections

    def _on_hello(self, peer: Peer, hello: Hello) -> None:
        if hello.generation < peer.generation:
            return
        peer.last_heard_ns = self._now_ns
        if hello.generation > peer.generation:
            peer.last_heartbeat_ns = self._now_ns
            self._connect(peer, hello)
        if peer.is_open and peer.answer is not None:
            self._outbox.send(peer.id, peer.answer)
            self._pump(peer)
            peer.restart_resending(self._now_ns, self.options)

    def _connect(self, peer: Peer, hello: Hello) -> None:
        if peer.has_installed(hello):
            peer.take_snapshot_offset()
            self._finish_full(peer)
        self._end_sync(peer, "lost")
        peer.close()
        peer.generation = hello.generation
        peer.is_open = True
        peer.has_caught_up = False
        if reason := peer.needs_full or hello.wants or self.log.refusal(hello.position):
            self._start_full(peer, hello, reason)
        else:
            peer.phase = "partial"
            peer.sync_target_offset = self.log.head.offset
            peer.sent_offset = peer.received_offset = hello.position.offset
            peer.answer = StartPartial(peer.generation, self.epoch, self.log.head.offset)
        self._release_source()
        self._outbox.add(SyncChanged(peer.id, "started", peer.phase, reason))

    def _start_full(self, peer: Peer, hello: Hello, reason: str) -> None:
        if self._source is None or self._source.position != self.log.head:
            self._source = SnapshotSource(
                self.store.snapshot(), self.log.head, self.store.digest(), self.options.chunk_bytes
            )
        source = self._source
        peer.phase = "full"
        peer.source = source
        peer.offered = (hello.position.offset, source.position)
        peer.served.clear()
        peer.sync_reason = reason
        peer.sync_attempts += 1
        peer.answer = StartFull(
            peer.generation,
            self.epoch,
            reason,
            source.position,
            source.digest,
            source.chunk_count,
            len(source.data),
        )
        self._counters.snapshot_size = wire_size(peer.answer) + source.chunks_wire_bytes
        self._counters.partial_sync_refusals[reason] += 1

    def _close(self, peer: Peer, reason: str) -> None:
        self._outbox.send(peer.id, Close(peer.generation, reason))
        self._end_sync(peer, "lost")
        peer.close()
        self._release_source()

    def _end_sync(self, peer: Peer, phase: str) -> None:
        if peer.phase in ("full", "partial"):
            reason = peer.sync_reason if peer.phase == "full" else ""
            self._outbox.add(SyncChanged(peer.id, phase, peer.phase, reason))

    # Messages of the present connection

    def _on_message(self, peer: Peer, message: Message) -> None:
        match message:
            case Ack():
                self._on_ack(peer, message)
            case ReplicaHeartbeat():
                self._on_heartbeat(peer, message)
            case Resume():
                self._send_again(peer, message.offset, message.until_offset)
            case RequestChunks() if peer.source is not None:
                for number in message.numbers:
                    if 0 <= number < peer.source.chunk_count:
                        peer.served.add(number)
                        self._outbox.send(peer.id, peer.source.chunk(peer.generation, number))
            case _:
                pass  # Late, or not for a master: nothing to do.

    def _on_heartbeat(self, peer: Peer, message: ReplicaHeartbeat) -> None:
        peer.note_echo(message, self._now_ns)
        if peer.source is not None and message.digest != peer.source.digest:
            return  # It still shows the store that the full sync is to replace.
        self._on_ack(peer, message.ack)
        is_equal = peer.phase == "streaming" and message.ack.position == self.log.head
        if is_equal and message.digest != self.store.digest():
            peer.needs_full = "digest_mismatch"
            self._close(peer, peer.needs_full)

    def _on_ack(self, peer: Peer, ack: Ack) -> None:
        if peer.source is not None:
            if ack.position != peer.source.position:
                return
            has_progress = True
            peer.take_positions(ack)
            self._finish_full(peer)
        elif ack.received_offset < peer.received_offset or not self.log.holds(ack.position):
            return
        else:
            has_progress = ack.received_offset > peer.received_offset
            newly_applied = peer.take_positions(ack)
            peer.operations_synced += newly_applied
            self._counters.total_replicated += newly_applied
        if peer.phase == "partial" and ack.applied_offset >= peer.sync_target_offset:
            self._counters.partial_syncs += 1
            self._end_sync(peer, "finished")
            peer.phase = "streaming"
        if peer.phase == "streaming" and ack.applied_offset >= peer.sync_target_offset:
            peer.has_caught_up = True
            peer.sync_attempts = 0
        if ack.applied_offset == self.log.head.offset:
            self._last_equal_ns = self._now_ns
        peer.note_lag(self.log)
        peer.applied_bytes = self.log.bytes_until(ack.applied_offset)
        if has_progress:
            peer.restart_resending(self._now_ns, self.options)
        self._pump(peer)

    def _finish_full(self, peer: Peer) -> None:
        self._counters.full_syncs += 1
        self._end_sync(peer, "finished")
        peer.phase = "streaming"
        peer.source = peer.offered = None
        peer.needs_full = ""
        peer.sent_offset = peer.received_offset
        peer.sync_target_offset = self.log.head.offset
        self._release_source()

    def _release_source(self) -> None:
        """Let go of the pinned snapshot where nobody needs it."""
        if not any(each.source is self._source for each in self._peers.values()):
            self._source = None

    # Records on their way

    def _pump(self, peer: Peer) -> None:
        """Send what the window lets through; a replica that the log has left behind must sync."""
        peer.note_lag(self.log)
        if peer.phase not in ("partial", "streaming") or peer.sent_offset >= self.log.head.offset:
            return
        if peer.received_offset < self.log.base.offset:
            self._close(peer, "too_old")
            return
        was_idle = peer.sent_offset == peer.received_offset
        unconfirmed_bytes = self.log.bytes_until(peer.sent_offset)
        unconfirmed_bytes -= self.log.bytes_until(peer.received_offset)
        room_bytes = self.options.window_bytes - unconfirmed_bytes
        entries = within(self.log.since(peer.sent_offset), room_bytes, is_first_free=was_idle)
        if entries:
            peer.sent_offset = entries[-1].record.offset
            self._send_records(peer, entries)
            if was_idle:
                peer.restart_resending(self._now_ns, self.options)

    def _send_again(self, peer: Peer, offset: int, until_offset: int) -> None:
        if peer.phase not in ("partial", "streaming"):
            return
        offset = max(offset, peer.received_offset)  # The question may be older than that.
        if offset < self.log.base.offset:
            self._close(peer, "too_old")
            return
        last_offset = min(until_offset, peer.sent_offset)
        wanted = takewhile(lambda each: each.record.offset <= last_offset, self.log.since(offset))
        self._send_records(peer, within(wanted, self.options.window_bytes, is_first_free=True))

    def _resend_first(self, peer: Peer) -> None:
        """Probe with the answer or the first unconfirmed batch, each time after twice the wait."""
        if peer.answer is not None:
            self._outbox.send(peer.id, peer.answer)
        elif peer.received_offset < self.log.base.offset:
            self._close(peer, "too_old")
            return
        else:
            unconfirmed = self.log.since(peer.received_offset)
            first = within(unconfirmed, self.options.batch_bytes, is_first_free=True)
            self._send_records(peer, first)
        peer.resend_wait_ns = longer(peer.resend_wait_ns, self.options.resend_after_ms)
        peer.resend_at_ns = self._now_ns + peer.resend_wait_ns

    def _send_records(self, peer: Peer, entries: list[Entry]) -> None:
        """One message for each batch."""
        while entries:
            batch = within(entries, self.options.batch_bytes, is_first_free=True)
            records = tuple(entry.record for entry in batch)
            self._outbox.send(peer.id, Records(peer.generation, records, batch[-1].hash))
            entries = entries[len(batch) :]

    def _send_heartbeat(self, peer: Peer) -> None:
        peer.note_beat_sent(self._beat, self._now_ns)
        self._outbox.send(
            peer.id,
            MasterHeartbeat(peer.generation, self._beat, self.log.head.offset, peer.sent_offset),
        )

    def _is_active(self, peer: Peer, now_ns: int) -> bool:
        status = peer.status(now_ns, self.options)
        return peer.generation > 0 and status is not ReplicaStatus.DISCONNECTED

    def _open_peers(self) -> list[Peer]:
        return [peer for peer in self._peers.values() if peer.is_open]

    def _drain(self) -> list[Effect]:
        timeout_ns = self.options.connection_timeout_ms * NS_PER_MS
        deadlines: list[int | None] = [self._next_beat_ns]
        for peer in self._open_peers():
            deadlines += [peer.resend_at_ns, peer.last_heard_ns + timeout_ns]
        return self._outbox.drain(deadlines)
