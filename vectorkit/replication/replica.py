"""The replica: a read-only copy that follows one master through cuts, losses and reordering."""

from __future__ import annotations

from typing import Final, Literal

from vectorkit.errors import CorruptSnapshot, ReadOnlyReplica, VectorKitError
from vectorkit.operations import Operation
from vectorkit.replication.effects import Applied, Effect, SyncChanged
from vectorkit.replication.log import Record, ReplicationLog, next_hash
from vectorkit.replication.messages import (
    Ack,
    Chunk,
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
from vectorkit.replication.reorder import ReorderBuffer
from vectorkit.replication.stats import Counters, ReplicationStats
from vectorkit.replication.transfer import SnapshotAssembly
from vectorkit.replication.wire import wire_size
from vectorkit.store import VectorStore
from vectorkit.units import NS_PER_MS, ns_to_ms

State = Literal["connecting", "full", "streaming"]
_FRESH_BEATS: Final = 2
"""The head that a master names, in a heartbeat or a handshake, is news for so many intervals."""


class ReplicaNode:
    """A pure state machine: messages and timers come in with a time, effects go out.

    The store can be read at any time and shows the history up to `log.head`; a client's write to
    it raises ReadOnlyReplica. Call `tick` once to start it. A full sync replaces all
    collections: take them from the store anew.

    >>> node = ReplicaNode("node-1", master_id="node-0", now_ns=0)
    >>> hello, timer = node.tick(now_ns=0)
    >>> hello.target, type(hello.message).__name__
    ('node-0', 'Hello')
    >>> node.store.create_collection("words", dim=2)
    Traceback (most recent call last):
    vectorkit.errors.ReadOnlyReplica: node-1 is a replica: got a write, wanted reads only; ...
    """

    def __init__(
        self,
        node_id: str,
        *,
        master_id: str,
        now_ns: int,
        options: ReplicationOptions | None = None,
    ) -> None:
        self.id = node_id
        self.master_id = master_id
        self.options = options or ReplicationOptions()
        self.store = VectorStore()
        self.log = ReplicationLog(
            capacity_operations=self.options.log_capacity_operations,
            capacity_bytes=self.options.log_capacity_bytes,
        )
        self._applier = self.store.attach(self)
        self._state: State = "connecting"
        self._now_ns = now_ns
        self._generation = 0
        self._master_epoch = 0
        self._wants = ""
        self._assembly: SnapshotAssembly | None = None
        self._reorder = ReorderBuffer(self.options.reorder_window)
        self._sync_attempts = 0
        self._hello_attempts = 0
        self._next_hello_ns = now_ns
        self._next_beat_ns: int | None = None
        self._beat = 0
        self._gap_since_ns: int | None = None
        self._gap_offset = self._gap_wait_ns = 0
        self._partial_until: int | None = None
        self._known_head = 0
        self._known_sent = 0
        self._last_heard_ns = now_ns
        self._heard_beat = 0
        self._heard_beat_ns: int | None = None
        self._named_head_ns: int | None = None
        self._started_ns = now_ns
        self._last_equal_ns: int | None = None
        self._counters = Counters()
        self._outbox = Outbox(self._counters)

    # The journal of the store

    def admit(self) -> None:
        """A replica takes writes from its master only."""
        raise ReadOnlyReplica(
            f"{self.id} is a replica",
            got="a write",
            wanted="reads only",
            remedy=f"write to its master, {self.master_id}",
        )

    def append(self, operation: Operation, encoded: bytes) -> None:
        """Never reached: `admit` refuses first."""
        self.admit()

    # Transitions

    def tick(self, now_ns: int) -> list[Effect]:
        """The timer has fired: handshakes, requests that went unanswered, heartbeats."""
        self._now_ns = now_ns
        self._outbox.timer_fired()
        if self._state != "connecting" and now_ns >= self._silence_ends_ns():
            self._reconnect()
        if self._state == "connecting":
            if now_ns >= self._next_hello_ns:
                self._send_hello()
        else:
            self._ask_for_missing()
            if self._next_beat_ns is not None and now_ns >= self._next_beat_ns:
                self._send_heartbeat()
        return self._drain()

    def receive(self, source: str, message: Message, now_ns: int) -> list[Effect]:
        """A message has come. One of an older connection, or not from the master, is dropped."""
        self._now_ns = now_ns
        self._counters.bytes_received += wire_size(message)
        if source == self.master_id and message.generation == self._generation:
            self._last_heard_ns = now_ns
            self._on_message(message)
        return self._drain()

    # What the node can say of itself

    def stats(self, now_ns: int) -> ReplicationStats:
        """The node's own figures, counted at the source."""
        first_ns = next((each.appended_ns for each in self.log.since(self.log.base.offset)), now_ns)
        return ReplicationStats(
            role="replica",
            epoch=self._master_epoch,
            repl_id=f"{self.master_id}@{self._master_epoch >> 16}",
            lag_ms=ns_to_ms(self._lag_ns(now_ns)),
            lag_operations=max(0, self._known_head - self.log.head.offset),
            master_offset=max(self._known_head, self.log.head.offset),
            replica_offset=self.log.head.offset,
            operations_pending=len(self._reorder),
            last_sync=None if self._last_equal_ns is None else ns_to_ms(self._last_equal_ns),
            connected_replicas=None,
            log_first_offset=self.log.first_offset,
            log_headroom_ms=ns_to_ms(now_ns - first_ns),
            **self._counters.facts(),
        )

    def _lag_ns(self, now_ns: int) -> int:
        """0 while it knows itself equal, else the time since it last did."""
        if self._knows_itself_equal(now_ns):
            return 0
        since_ns = self._started_ns if self._last_equal_ns is None else self._last_equal_ns
        return now_ns - since_ns

    def _knows_itself_equal(self, now_ns: int) -> bool:
        is_following = self._state != "full" and not self._wants
        if not is_following or self._named_head_ns is None:
            return False
        if self.log.head.offset < self._known_head:
            return False
        worth_ns = _FRESH_BEATS * self.options.heartbeat_ms * NS_PER_MS
        return now_ns - self._named_head_ns < worth_ns

    def _note_equality(self) -> None:
        if self._knows_itself_equal(self._now_ns):
            self._last_equal_ns = self._now_ns

    def _note_stream(self) -> None:
        """The stream came, or had nothing to add: the last full sync was not in vain."""
        self._note_equality()
        if self._state == "streaming" and self.log.head.offset >= self._known_head:
            self._sync_attempts = 0

    # Connections

    def _send_hello(self) -> None:
        self._generation += 1
        self._reorder.clear()
        self._known_sent = self.log.head.offset
        self._hello_attempts += 1
        wait_ms = self.options.backoff_ms_min << min(self._hello_attempts - 1, 16)
        wait_ms = min(wait_ms, self.options.backoff_ms_max)
        self._next_hello_ns = self._now_ns + wait_ms * NS_PER_MS
        hello = Hello(self._generation, self.log.head, self._wants)
        self._outbox.send(self.master_id, hello)

    def _reconnect(self, wants: str = "") -> None:
        """The connection is over: shake hands again, at once or after too many syncs in vain."""
        if self._assembly is not None:
            self._outbox.add(SyncChanged(self.id, "lost", "full", self._assembly.header.reason))
        self._state = "connecting"
        self._generation += 1  # What is still on its way belongs to no connection.
        self._wants = wants or self._wants
        self._assembly = None
        self._reorder.clear()
        self._gap_since_ns = None
        self._partial_until = None
        self._next_beat_ns = None
        is_hopeless = self._sync_attempts >= self.options.sync_attempts_max
        wait_ms = self.options.backoff_ms_max if is_hopeless else 0
        self._next_hello_ns = self._now_ns + wait_ms * NS_PER_MS

    def _connected(self, state: State, epoch: int) -> None:
        self._state = state
        self._master_epoch = epoch
        self._hello_attempts = 0
        self._named_head_ns = self._now_ns
        self._next_beat_ns = self._now_ns + self.options.heartbeat_ms * NS_PER_MS

    def _on_message(self, message: Message) -> None:
        match message:
            case Records() if self._state != "full":
                self._on_records(message)
            case MasterHeartbeat() if self._state != "connecting":
                self._on_heartbeat(message)
            case Chunk() if self._assembly is not None:
                self._on_chunk(message, self._assembly)
            case StartPartial() if self._state == "connecting":
                self._connected("streaming", message.epoch)
                self._known_head = self._partial_until = message.head_offset
                self._take_held()
            case StartFull() if self._state == "connecting":
                self._on_start_full(message)
            case Close() if self._state != "connecting":
                self._reconnect()
            case _:
                pass  # A duplicate, or late: its state has passed.

    # Full sync

    def _on_start_full(self, header: StartFull) -> None:
        here, there = self.log.head, header.position
        if (there.epoch, there.offset) < (here.epoch, here.offset):
            return  # It would take back what this node has confirmed.
        self._connected("full", header.epoch)
        self._sync_attempts += 1
        self._known_head = max(self._known_head, there.offset)
        self._counters.snapshot_size = wire_size(header)
        self._assembly = SnapshotAssembly(header, self.options)
        self._outbox.add(SyncChanged(self.id, "started", "full", header.reason))
        self._go_on(self._assembly)

    def _on_chunk(self, chunk: Chunk, assembly: SnapshotAssembly) -> None:
        if assembly.accept(chunk) and self._counters.snapshot_size is not None:
            self._counters.snapshot_size += wire_size(chunk)
        self._go_on(assembly)

    def _go_on(self, assembly: SnapshotAssembly) -> None:
        if assembly.is_complete:
            self._install(assembly)
        elif numbers := assembly.due(self._now_ns):
            self._outbox.send(self.master_id, RequestChunks(self._generation, numbers))

    def _install(self, assembly: SnapshotAssembly) -> None:
        """Build aside, verify, then swap: a reader sees the old store or the new one."""
        try:
            built = assembly.build()
        except CorruptSnapshot:
            self._reconnect(wants="digest_mismatch")
            return
        self._applier.install(built)
        self.log.reset(assembly.header.position)
        self._assembly = None
        self._wants = ""
        self._state = "streaming"
        self._known_sent = self.log.head.offset
        self._counters.full_syncs += 1
        self._outbox.add(SyncChanged(self.id, "finished", "full", assembly.header.reason))
        self._outbox.add(Applied(self.log.head, is_by_snapshot=True))
        self._note_equality()
        self._send_ack()

    # Streaming

    def _on_records(self, message: Records) -> None:
        """Hold records until their turn; those that overtake their handshake's answer too."""
        self._reorder.hold(message, self.log.head.offset)
        self._known_sent = max(self._known_sent, message.records[-1].offset)
        if self._state == "streaming":
            self._take_held()

    def _take_held(self) -> None:
        while (batch := self._reorder.next_after(self.log.head.offset)) is not None:
            fresh = [each for each in batch.records if each.offset > self.log.head.offset]
            if not self._take(fresh, batch.hash):
                return
        self._note_partial()
        self._note_gap()
        self._note_stream()
        self._send_ack()

    def _take(self, records: list[Record], final_hash: bytes) -> bool:
        """Apply and log the next records of the history; False where the connection ends."""
        running = self.log.head.hash
        for record in records:
            running = next_hash(running, record)
        if running != final_hash:
            self._reconnect(wants="different_history")
            return False
        for record in records:
            try:
                self._applier.apply(record.operation)
            except VectorKitError:
                self._counters.quarantined_operations += 1
                self._reconnect(wants="poisoned")
                return False
            self.log.extend(record, now_ns=self._now_ns)
            self._counters.total_replicated += 1
            self._outbox.add(Applied(self.log.head))
        return True

    def _on_heartbeat(self, message: MasterHeartbeat) -> None:
        self._note_equality()  # With the head known until now.
        self._heard_beat, self._heard_beat_ns = message.beat, self._now_ns
        self._named_head_ns = self._now_ns
        self._known_head = max(self._known_head, message.head_offset)
        self._known_sent = max(self._known_sent, message.sent_offset)
        self._note_gap()
        self._note_stream()

    def _note_partial(self) -> None:
        """A partial sync ends where the master's head was when it began."""
        if self._partial_until is not None and self.log.head.offset >= self._partial_until:
            self._partial_until = None
            self._counters.partial_syncs += 1

    def _note_gap(self) -> None:
        """Something was sent that is not here: it may be late, so wait before asking for it."""
        head_offset = self.log.head.offset
        if self._state != "streaming" or head_offset >= self._known_sent:
            self._gap_since_ns = None
        elif self._gap_since_ns is None or head_offset != self._gap_offset:
            self._gap_since_ns, self._gap_offset = self._now_ns, head_offset
            self._gap_wait_ns = self.options.resume_after_ms * NS_PER_MS

    def _ask_for_missing(self) -> None:
        if self._assembly is not None:
            self._go_on(self._assembly)
        elif self._gap_since_ns is not None and self._now_ns >= self._gap_ends_ns():
            held_offset = self._reorder.first_offset
            until_offset = self._known_sent if held_offset is None else held_offset - 1
            resume = Resume(self._generation, self.log.head.offset, until_offset)
            self._outbox.send(self.master_id, resume)
            self._gap_since_ns = self._now_ns
            self._gap_wait_ns = longer(self._gap_wait_ns, self.options.resume_after_ms)

    # What it says to its master

    def _ack(self) -> Ack:
        offset = self.log.head.offset
        return Ack(self._generation, self.log.head, offset, offset, offset, offset)

    def _send_ack(self) -> None:
        self._outbox.send(self.master_id, self._ack())

    def _send_heartbeat(self) -> None:
        self._beat += 1
        self._next_beat_ns = self._now_ns + self.options.heartbeat_ms * NS_PER_MS
        held_ns = 0 if self._heard_beat_ns is None else self._now_ns - self._heard_beat_ns
        heartbeat = ReplicaHeartbeat(
            self._generation,
            self._beat,
            self._ack(),
            self.store.digest(),
            self._heard_beat,
            held_ns,
        )
        self._outbox.send(self.master_id, heartbeat)

    def _gap_ends_ns(self) -> int:
        assert self._gap_since_ns is not None
        return self._gap_since_ns + self._gap_wait_ns

    def _silence_ends_ns(self) -> int:
        return self._last_heard_ns + self.options.connection_timeout_ms * NS_PER_MS

    def _drain(self) -> list[Effect]:
        if self._state == "connecting":
            return self._outbox.drain([self._next_hello_ns])
        return self._outbox.drain(
            [
                self._silence_ends_ns(),
                self._next_beat_ns,
                None if self._gap_since_ns is None else self._gap_ends_ns(),
                None if self._assembly is None else self._assembly.next_deadline_ns,
            ]
        )
