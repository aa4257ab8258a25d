"""The replica: a read-only copy that follows a master through cuts, losses and reordering."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Literal

from vectorkit.errors import CorruptSnapshot
from vectorkit.replication.member import Member
from vectorkit.replication.protocol.effects import RoleChanged, SyncChanged
from vectorkit.replication.protocol.epochs import owner_of
from vectorkit.replication.protocol.messages import (
    MASTER_TYPES,
    Announce,
    Chunk,
    ClientRead,
    Close,
    Confirmed,
    Hello,
    MasterHeartbeat,
    Message,
    Records,
    ReplicaHeartbeat,
    RequestChunks,
    Seek,
    StartElection,
    StartFull,
    StartPartial,
)
from vectorkit.replication.protocol.snapshot_transfer import SnapshotAssembly
from vectorkit.replication.reads import HeldReads
from vectorkit.replication.replica.backoff import Backoff
from vectorkit.replication.replica.election_timeout import Suspicion
from vectorkit.replication.replica.master_view import Knowledge
from vectorkit.replication.replica.record_stream import Stream
from vectorkit.replication.role import Reason, Role, RoleName, earliest
from vectorkit.units import NS_PER_MS

State = Literal["promising", "connecting", "full", "installing", "streaming"]


class ReplicaRole(Role):
    """Follows one master at a time: handshake, full or partial sync, stream, heartbeats.

    Its promise of the master's epoch is durable before it shakes hands. It takes records and
    snapshots from the master of its latest connection only. Without a master it seeks one, and
    with `options.failover` it stands itself when it suspects that there is none; `stand` makes
    the candidate.

    >>> from vectorkit.replication import Node
    >>> node = Node("node-1", node_ids=["node-0", "node-1"], now_ns=0)
    >>> isinstance(node.role, ReplicaRole)
    True
    """

    name: ClassVar[RoleName] = "replica"

    def __init__(
        self,
        member: Member,
        stand: Callable[[Reason], Role],
        *,
        master_id: str | None = None,
        epoch: int = 0,
        stands_at_ns: int | None = None,
    ) -> None:
        super().__init__(member)
        self._stand = stand
        self._master_id = master_id
        self._epoch = epoch
        self.state: State = "connecting"
        self._generation = 0
        self._first_generation: int | None = None
        """Of the connections with this master in this epoch."""
        self._wants = "poisoned" if member.is_poisoned else ""
        self._assembly: SnapshotAssembly | None = None
        self._kept: SnapshotAssembly | None = None
        """What has come of a snapshot over a connection that was lost."""
        self.stream = Stream(member)
        self._backoff = Backoff(member.options, member.now_ns)
        self._sync_attempts = 0
        self._began_offset = 0
        """Where the stream of this connection begins."""
        self._is_begun = False
        """Whether it has: something of it is applied, or the master knows that it could be."""
        self._next_beat_ns: int | None = None
        self._ack_at_ns: int | None = None
        self.knows = Knowledge(member)
        self._held_reads = HeldReads(member)
        self._partial_until: int | None = None
        self._timeout_ns = member.options.connection_timeout_ms * NS_PER_MS
        self._last_heard_ns = member.now_ns
        self._suspicion = Suspicion(member, stands_at_ns)

    # Facts

    @property
    def master_id(self) -> str | None:
        """The master that it follows, or hopes to."""
        return self._master_id

    @property
    def epoch(self) -> int:
        """That master's epoch."""
        return self._epoch

    @property
    def known_head(self) -> int:
        """The head of the master's log, as far as it has heard."""
        return max(self.knows.known_head, self.member.applied_offset)

    def lag_ns(self, now_ns: int) -> int:
        """0 while it knows itself equal, else the time since it last did."""
        return self.knows.lag_ns(now_ns, is_following=self._has_own_history)

    def staleness_ns(self, now_ns: int) -> int | None:
        """How old what it shows may be, at most; None where it cannot tell."""
        return self.knows.staleness_ns(now_ns) if self._has_own_history else None

    @property
    def _has_own_history(self) -> bool:
        """Whether the store is not about to be replaced."""
        return self.state not in ("full", "installing") and not self._wants

    # Transitions

    def start(self) -> None:
        """Follow the master that is known, or seek one."""
        self.member.outbox.add(RoleChanged(self.name, self._epoch))
        if self._master_id is not None:
            self._follow(self._master_id, self._epoch)

    def end(self) -> None:
        """Whatever was under way is over; an installation that has begun is not."""
        if self._assembly is not None:
            self._note_sync("lost", self._assembly.header.reason)
            self._kept, self._assembly = self._assembly, None

    def tick(self) -> None:
        """Handshakes, requests that went unanswered, heartbeats, suspicion."""
        member = self.member
        stands_at_ns = self._stands_at_ns()
        if stands_at_ns is not None and member.now_ns >= stands_at_ns:
            member.switch_role(self._stand(self._suspicion.reason))
            return
        if self._held_reads.waiting:
            self._held_reads.release()
        if member.refresh() and self.state == "streaming":
            self._note_progress()
            self._send_ack()
        is_open = self.state not in ("connecting", "promising")
        if is_open and member.now_ns >= self._silence_ends_ns():
            self._reconnect()
        if self.state == "connecting":
            if member.now_ns >= self._backoff.due_ns:
                self._send_hello()
        elif self.state != "promising":
            self._ask_for_missing()
            if self._ack_at_ns is not None:
                self._send_ack()
            self._ask_confirmed()
            if self._next_beat_ns is not None and member.now_ns >= self._next_beat_ns:
                self._send_heartbeat()

    def receive(self, source: str, message: Message) -> None:
        """What the master of this connection sends; all else is dropped.

        A message of an older connection with the same master shows that it lives, and no more.
        """
        if source != self._master_id or self._epoch != self.member.promise:
            return
        if type(message) in MASTER_TYPES and self._is_of_epoch(message):
            is_beat = isinstance(message, MasterHeartbeat)
            self._suspicion.heard(self.member.now_ns, is_beat=is_beat)
        if getattr(message, "generation", None) != self._generation:
            return
        self._last_heard_ns = self.member.now_ns
        self._on_message(message)

    def _is_of_epoch(self, message: Message) -> bool:
        """Whether a connection was made with this master in its present epoch.

        Generations only grow: those of the connections to masters before are lower.
        """
        first, generation = self._first_generation, getattr(message, "generation", None)
        return first is not None and generation is not None and generation >= first

    def hold(self, source: str, read: ClientRead) -> bool:
        """Hold a read under `confirmed` back while the master can be asked; False: answer it."""
        is_held = self.state == "streaming" and self._held_reads.hold(
            source, read, self._master_id or ""
        )
        if is_held:
            self._ask_confirmed()
        return is_held

    def on_announce(self, source: str, message: Announce) -> None:
        """Follow a master of a higher epoch, or the first known master."""
        self.on_master(source, message.epoch)
        is_news = message.epoch > self._epoch or self._master_id is None
        is_over = source == self._master_id and message.generation == self._generation
        if is_over and not is_news and self.state in ("full", "streaming"):
            self._reconnect()  # The master has given this connection up.
        if message.epoch >= self.member.promise and is_news:
            self._leave()
            self._suspicion = Suspicion(self.member)
            self._follow(source, message.epoch)

    def on_master(self, source: str, epoch: int) -> None:
        """A master that is heard lives, connected or not."""
        if source == self._master_id and epoch == self._epoch == self.member.promise:
            self._suspicion.heard(self.member.now_ns)

    def on_replaced(self, node_id: str) -> None:
        """Follow a master no more whose index is refused now."""
        is_refused = self.member.known.refuses(owner_of(self._epoch))
        if node_id == self._master_id and is_refused:
            self._leave()
            self._master_id = None
            self._backoff = Backoff(self.member.options, self.member.now_ns)

    def on_start_election(self, message: StartElection) -> None:
        """Stand, since a candidate has found this node's log the greatest."""
        if message.epoch >= self.member.promise and not self.member.is_lost:
            self.member.switch_role(self._stand("requested"))

    def on_flushed(self) -> None:
        """Confirm what is flushed and applied; a poisoned log needs a full sync."""
        if self.member.is_poisoned:
            if self._wants != "poisoned" and self.state not in ("full", "installing"):
                self._reconnect(wants="poisoned")
        elif self.state == "streaming":
            self._note_progress()
            self._send_ack()

    def on_installed(self) -> None:
        """The snapshot stands: go on with the stream behind it."""
        self._wants = ""
        self._kept = None
        if self.state != "installing" or self._assembly is None:
            return
        reason, self._assembly = self._assembly.header.reason, None
        self.state = "streaming"
        self._began_offset, self._is_begun = self.member.applied_offset, False
        self.stream.restart()
        self.member.counters.full_syncs += 1
        self._note_sync("finished", reason)
        self.knows.note_freshness()
        self.knows.note_equality(is_following=True)
        self._send_ack()

    def due_ns(self) -> int | None:
        """Handshake, silence, heartbeat, gap, chunk, refresh, suspicion: whichever is next."""
        due_ns = self._stands_at_ns()
        if self._held_reads.waiting:
            held_ns = self._held_reads.due_ns(is_asking=self.state == "streaming")
            due_ns = earliest(due_ns, held_ns)
        if self.member.options.refresh_ms:
            due_ns = earliest(due_ns, self.member.next_refresh_ns)
        if self.state == "connecting":
            return earliest(due_ns, self._backoff.due_ns)
        if self.state == "promising":
            return due_ns
        if self._assembly is not None:
            due_ns = earliest(due_ns, self._assembly.next_deadline_ns)
        due_ns = earliest(earliest(due_ns, self.stream.gap_ends_ns), self._ack_at_ns)
        due_ns = earliest(due_ns, self._next_beat_ns)
        return earliest(due_ns, self._silence_ends_ns())

    # Connections

    def _follow(self, master_id: str, epoch: int) -> None:
        """Shake hands with a master, once the promise of its epoch is durable."""
        member, self._master_id, self._epoch = self.member, master_id, epoch
        self._first_generation = None
        self._kept = None  # Only one master serves an epoch's snapshots.
        self.knows.forget_freshness()
        self._backoff = Backoff(member.options, member.now_ns)
        if member.durable_promise >= epoch:
            self.state = "connecting"
            return
        self.state = "promising"

        def promised() -> None:
            if member.role is self and self._epoch == epoch and self.state == "promising":
                self.state = "connecting"
                self._send_hello()

        member.make_promise(epoch, promised)

    def _send_hello(self) -> None:
        member = self.member
        self._generation = member.next_generation()
        if self._first_generation is None:
            self._first_generation = self._generation
        self.stream.restart()
        self._backoff.tried(member.now_ns)
        is_known = self._epoch == member.promise
        if self._master_id is not None and is_known:
            wants = self._wants or ("first_sync" if member.is_lost else "")
            resumes = 0 if self._kept is None else self._kept.header.position.offset
            hello = Hello(
                self._generation, member.index, self._epoch, member.log.head, wants, resumes
            )
            member.outbox.send(self._master_id, hello)
        if self._backoff.attempts > 1 or self._master_id is None or not is_known:
            for node_id in member.others:
                member.outbox.send(node_id, Seek(member.index, member.promise))

    def _leave(self) -> None:
        """The connection is over; messages that are still on their way belong to none."""
        self.end()
        self.state = "connecting"
        self._generation = 0
        self.stream.restart()
        self._partial_until = self._next_beat_ns = self._ack_at_ns = None

    def _reconnect(self, wants: str = "") -> None:
        """Start another handshake, immediately or after a back-off if too many syncs failed."""
        self._leave()
        self._wants = wants or self._wants
        is_hopeless = self._sync_attempts >= self.member.options.sync_attempts_max
        self._backoff.wait(self.member.now_ns, is_hopeless=is_hopeless)

    def _connected(self, state: State) -> None:
        self.state = state
        self._began_offset, self._is_begun = self.member.applied_offset, False
        self._backoff.succeeded()
        self.knows.connected()
        self._next_beat_ns = self.member.now_ns + self.member.options.heartbeat_ms * NS_PER_MS

    def _on_message(self, message: Message) -> None:
        match message:
            case Records() if self.state in ("connecting", "streaming"):
                self._on_records(message)
            case MasterHeartbeat() if self.state != "connecting":
                self._on_heartbeat(message)
            case Confirmed() if self.state == "streaming":
                self.member.note_confirmed(message.offset)
                self._held_reads.release()
            case Chunk() if self._assembly is not None and self.state == "full":
                self._assembly.accept(message, self.member.now_ns)
                self._go_on(self._assembly)
            case StartPartial() if self.state == "connecting":
                self._kept = None
                self._connected("streaming")
                self.knows.name_head(message.head_offset)
                self._partial_until = message.head_offset
                self._take_held()
            case StartFull() if self.state == "connecting":
                self._on_start_full(message)
            case Close() if self.state not in ("connecting", "installing"):
                self._reconnect()
            case _:
                pass  # A duplicate, or late: its state has passed.

    # Full sync

    def _on_start_full(self, header: StartFull) -> None:
        here, there = self.member.flushed, header.position
        is_below = (there.epoch, there.offset) < (here.epoch, here.offset)
        if is_below and not self.member.is_lost:
            return  # It would take back what this node has confirmed.
        self._connected("full")
        self._sync_attempts += 1
        self.knows.name_head(there.offset)
        self._assembly = SnapshotAssembly(header, self.member.options, self._kept)
        self._kept = None
        self._note_sync("started", header.reason)
        self._go_on(self._assembly)

    def _go_on(self, assembly: SnapshotAssembly) -> None:
        """Ask for chunks; with all of them build aside, verify, then switch."""
        numbers = assembly.due(self.member.now_ns)
        if numbers:
            self._send(RequestChunks(self._generation, numbers))
        if not assembly.is_complete:
            return
        self.member.counters.snapshot_size = assembly.wire_bytes
        header = assembly.header
        try:
            built = assembly.build()
        except CorruptSnapshot:
            self._reconnect(wants="digest_mismatch")
            self._kept = None  # One of its chunks is wrong, and nobody knows which.
            return
        self.state = "installing"
        self.member.install(built, header)

    def _note_sync(self, phase: str, reason: str) -> None:
        self.member.outbox.add(SyncChanged(self.member.id, phase, "full", reason))

    # Streaming

    def _on_records(self, message: Records) -> None:
        """Hold records until their turn; those that overtake their handshake's answer too."""
        self.stream.hold(message)
        if self.state == "streaming":
            self._take_held()

    def _take_held(self) -> None:
        member = self.member
        before = member.log.head.offset
        if not self.stream.take():
            self._reconnect(wants="different_history")
            return
        self._note_progress()
        is_new = member.log.head.offset > before
        if not is_new or member.options.write_concern.stage == "received":
            self._send_ack()

    def _note_progress(self) -> None:
        member = self.member
        applied_offset = member.applied.offset
        if self._partial_until is not None and applied_offset >= self._partial_until:
            member.counters.partial_syncs += 1
            self._partial_until = None
        self.knows.note_freshness()
        self.knows.note_equality(is_following=self._has_own_history)
        # A heartbeat from before the snapshot was installed may name a head that is long past.
        has_begun = self._is_begun or applied_offset > self._began_offset
        is_level = self.state == "streaming" and applied_offset >= self.knows.known_head
        if is_level and has_begun:
            self._sync_attempts = 0

    def _ask_for_missing(self) -> None:
        """What was asked for and has not come: chunks, or the records of a gap."""
        if self._assembly is not None and self.state == "full":
            self._go_on(self._assembly)
        elif self.state == "streaming":
            resume = self.stream.due(self._generation)
            if resume is not None:
                self._send(resume)

    def _on_heartbeat(self, message: MasterHeartbeat) -> None:
        self.knows.note_equality(is_following=self._has_own_history)  # With the head until now.
        self.knows.hear(message)
        if self.state == "streaming":
            self.stream.note_sent(message.sent_offset)
            self._is_begun |= message.sent_offset >= self._began_offset
        self._note_progress()

    # Words to the master

    def _send_ack(self) -> None:
        """Confirm, at once or together with what comes within `ack_delay_ms`."""
        member = self.member
        if self._ack_at_ns is None:
            self._ack_at_ns = member.now_ns + member.options.ack_delay_ms * NS_PER_MS
        if member.now_ns >= self._ack_at_ns:
            self._ack_at_ns = None
            if not member.is_lost and self._epoch == member.promise:
                self._send(member.ack(self._generation))

    def _ask_confirmed(self) -> None:
        """Ask how far the write concern holds, where reads wait for that."""
        if self.state == "streaming" and self._held_reads.waiting:
            question = self._held_reads.question(self._generation)
            if question is not None:
                self._send(question)

    def _send_heartbeat(self) -> None:
        member = self.member
        self._next_beat_ns = member.now_ns + member.options.heartbeat_ms * NS_PER_MS
        if member.is_lost or self._epoch != member.promise:
            return
        digest = member.store.digest() if member.applied_offset == member.flushed.offset else ""
        beat, heard = self.knows.next_beat(), self.knows.heard_beat
        ack, held_ns = member.ack(self._generation), self.knows.held_ns
        self._send(ReplicaHeartbeat(self._generation, beat, ack, digest, heard, held_ns))
        member.keep_counters()

    def _send(self, message: Message) -> None:
        if self._master_id is not None:
            self.member.outbox.send(self._master_id, message)

    def _silence_ends_ns(self) -> int:
        return self._last_heard_ns + self._timeout_ns

    def _stands_at_ns(self) -> int | None:
        if self.member.is_lost or self.state == "installing":
            return None
        return self._suspicion.due_ns
