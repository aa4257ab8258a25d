"""What a node is in every role: its identity, its history, its store, and what its disk holds."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, Literal, Protocol

from vectorkit.atomic import at_once
from vectorkit.errors import VectorKitError
from vectorkit.operations import Operation
from vectorkit.replication.monitoring.stats import Counters
from vectorkit.replication.outbox import Also, Origin, Outbox, nothing
from vectorkit.replication.protocol.durable import (
    AppendRecords,
    Checkpoint,
    Frame,
    Image,
    Install,
    SetCheckpoint,
    SetCounters,
    SetIdentity,
    SetKnownIndices,
    SetMark,
    SetPromise,
    frame_of,
    intact_frames,
)
from vectorkit.replication.protocol.effects import Appended, Applied, Noted
from vectorkit.replication.protocol.epochs import SLOT_BITS, KnownIndices, index_of, owner_of
from vectorkit.replication.protocol.log import Entry, Position, Record, ReplicationLog
from vectorkit.replication.protocol.messages import Ack, StartFull, TellPromise
from vectorkit.replication.protocol.options import ReplicationOptions
from vectorkit.store import StoreSnapshot, VectorStore, store_of
from vectorkit.store.commit import Journal
from vectorkit.units import NS_PER_MS

_BOOT_SHIFT: Final = 24
_INCARNATION_SHIFT: Final = 48


class Hooks(Protocol):
    """What a role does when the node's history or its knowledge of others changes."""

    def on_flushed(self) -> None:
        """The disk holds more of the history, and the store has what of it could be applied."""
        ...

    def on_installed(self) -> None:
        """Another store and history are in place."""
        ...

    def on_replaced(self, node_id: str) -> None:
        """An index of a node was replaced or retired: what it said is void."""
        ...


class Member:
    """A node without its role. Records are flushed, then applied; what its disk holds comes back.

    `promise` is in force as soon as it is set, `durable_promise` once the disk has it.
    """

    switch_role: Callable[[Any], None]
    """Gives the node another role."""
    role: Hooks

    def __init__(
        self, node_id: str, node_ids: Sequence[str], options: ReplicationOptions, now_ns: int
    ) -> None:
        self.id = node_id
        self.node_ids = tuple(node_ids)
        self.slot = self.node_ids.index(node_id)
        self.options = options
        self.replica_count = options.write_concern.replica_count(len(self.node_ids))
        """n: the number of replicas that the write concern requires."""
        self.now_ns = now_ns
        self.equal_ns = now_ns
        """When the node last equalled its master, or was master; else when it started."""
        self.store = VectorStore()
        self.log = self._new_log()
        self.index = index_of(self.slot, 0)
        self.boot = 0
        self.is_lost = False
        self.is_poisoned = False
        self.is_disk_full = False
        self.stopped: Literal["paused", "crashed", ""] = ""
        """Why the process does not run, if so; its store then refuses all writes."""
        self.promise = self.durable_promise = 0
        self.heard_epoch = self.heard_offset = 0
        self.failed_elections = 0
        """Consecutive failed elections since the node last heard from a master."""
        self.known = self._durable_known = KnownIndices.of_nodes(len(self.node_ids))
        """The known indices of all slots."""
        self.heard: dict[int, TellPromise] = {}
        """Promises that other slots reported since this node lost its state."""
        self.flushed = Position()
        self.applied = Position()
        self.visible = Position()
        self.acknowledged = Position()
        """The last record that this node, as a master, has answered a client for."""
        self._confirmed: tuple[int, int] = (0, 0)
        self.counters = Counters()
        self.outbox = Outbox(self.counters, has_disk=options.has_durable_log)
        self.next_refresh_ns = now_ns
        self._published: StoreSnapshot | None = None
        self._to_show: tuple[Position, StoreSnapshot] | None = None
        self._held_offset = 0
        self._recorded: Entry | None = None  # `append` has done everything for it.
        self._unflushed: deque[Entry] = deque()
        self._checkpoint_offset = 0
        self._generations = 0

    def attach(self, journal: Journal) -> None:
        """Put the node into its store's commit path."""
        self._applier = self.store.attach(journal)
        self._show_all()

    # Facts

    @property
    def others(self) -> list[str]:
        """The ids of all other nodes."""
        return [node_id for node_id in self.node_ids if node_id != self.id]

    @property
    def quorum(self) -> int:
        """How many intact nodes a promotion, or a linearizable read, has to hear: N − n."""
        nodes, asked = len(self.node_ids), self.replica_count
        return nodes - asked if asked else nodes // 2 + 1

    @property
    def applied_offset(self) -> int:
        """Up to where the history is flushed and applied."""
        return self.applied.offset

    @property
    def visible_offset(self) -> int:
        """Up to where readers see it."""
        return self.visible.offset

    @property
    def received_offset(self) -> int:
        """The head of the log in memory."""
        return self.log.head.offset

    def next_generation(self) -> int:
        """A number for a connection that no connection of this node has had."""
        self._generations += 1
        incarnation = self.index >> SLOT_BITS
        return (
            incarnation << _INCARNATION_SHIFT | (self.boot - 1) << _BOOT_SHIFT | self._generations
        )

    def note_offset(self, offset: int) -> None:
        """Remember the highest offset that anybody has spoken of."""
        self.heard_offset = max(self.heard_offset, offset)

    # Which indices count

    def learn(self, known: KnownIndices) -> bool:
        """Refuse all that others know to be replaced or retired, from now on; whether it is news.

        It is in force at once. `keep_known` makes it durable.
        """
        before, self.known = self.known, self.known.merged(known)
        for slot, node_id in enumerate(self.node_ids):
            is_newer = self.known.newest[slot] > before.newest[slot]
            is_retired = self.known.retired[slot] > before.retired[slot]
            if slot != self.slot and (is_newer or is_retired):
                self.role.on_replaced(node_id)
        return self.known != before

    def has_kept(self, known: KnownIndices) -> bool:
        """Whether the disk holds all of `known`; the node may answer the sender only then."""
        return self._durable_known.covers(known)

    def keep_known(self, then: Callable[[], None]) -> None:
        """Make all that is known of indices durable, then go on."""
        known = self.known

        def durable() -> None:
            self._durable_known = self._durable_known.merged(known)
            then()

        self.outbox.persist(SetKnownIndices(known), durable)

    @property
    def unheard(self) -> list[str]:
        """The nodes whose promise a node without state lacks; it must not go on before.

        A slot whose newest index is retired counts as heard, and only as long as that is so: its
        replacement may have promised something as soon as it is back.
        """
        return [
            node_id
            for slot, node_id in enumerate(self.node_ids)
            if slot != self.slot and not self._has_heard(slot) and not self.known.is_gone(slot)
        ]

    def _has_heard(self, slot: int) -> bool:
        promise = self.heard.get(slot)
        return promise is not None and promise.index >= self.known.newest[slot]

    # What satisfies the write concern

    def note_confirmed(self, offset: int) -> None:
        """A master has found the write concern met up to here: itself, or the one it follows.

        Of what this node does not have yet, it remembers nothing: it could not name the record.
        """
        offset = min(offset, self.log.head.offset)
        if offset > self._confirmed[1] or not self.is_confirmed(self._confirmed):
            self._confirmed = self.log.epoch_of(offset), offset

    def is_confirmed(self, place: tuple[int, int]) -> bool:
        """Whether a record, by epoch and offset, is known to satisfy the write concern.

        What once did is part of every later master's history, so it holds through changes of role
        and master as long as the record is part of this node's history.
        """
        epoch, offset = self._confirmed
        if place[1] > offset or self.log.epoch_of(offset) != epoch:
            return False
        return self.log.epoch_of(place[1]) == place[0]

    # History

    def append(
        self, operation: Operation, encoded: bytes, epoch: int, place: Origin, also: Also = nothing
    ) -> Entry:
        """A master gives an operation its place; called again after an exception, the rest."""
        offset, writer = place
        if self.log.head.offset < offset:
            self.log.append(operation, epoch=epoch, now_ns=self.now_ns, encoded=encoded)
        entry = self.log.entry(offset)
        if entry is not self._recorded:
            frames = (frame_of(entry),) if self.options.has_durable_log else ()
            appended = Appended(entry.position, type(operation).__name__, *writer)
            flushed = partial(self._flushed_to, offset)
            at_once(
                (partial(setattr, self, "_held_offset"), offset),
                (self._unflushed.append, entry),
                *self.outbox.recording(appended, AppendRecords(frames), flushed),
                *also(entry.position, writer),
                (partial(setattr, self, "_recorded"), entry),
            )
        return entry

    def extend(self, records: Sequence[Record], hashes: Sequence[bytes]) -> None:
        """Take over the next records of the master's history: flush, then apply them."""
        log, now_ns = self.log, self.now_ns
        self._flush(
            [
                log.extend(record, now_ns=now_ns, running=running)
                for record, running in zip(records, hashes, strict=True)
            ]
        )

    def _flush(self, entries: list[Entry]) -> None:
        self._unflushed.extend(entries)
        frames: tuple[Frame, ...] = ()
        if self.options.has_durable_log:
            frames = tuple([frame_of(entry) for entry in entries])
        last = entries[-1].record.offset
        self.outbox.persist(AppendRecords(frames), partial(self._flushed_to, last))

    def _flushed_to(self, offset: int) -> None:
        """The disk holds the history up to here: apply it, and let the role go on."""
        while self._unflushed and self._unflushed[0].record.offset <= offset:
            entry = self._unflushed[0]
            self.flushed = entry.position
            self._apply(entry, "stream")
            self._unflushed.popleft()  # Last: what an exception breaks off is done again.
        self._checkpoint()
        self._show()
        self.role.on_flushed()

    def _apply(self, entry: Entry, source: str) -> None:
        offset = entry.record.offset
        if self.is_poisoned:
            return
        if offset > self._held_offset:
            try:
                self._applier.apply(entry.record.operation, entry)
            except VectorKitError as error:
                self.is_poisoned = True
                self.counters.quarantined_operations += 1
                self.outbox.add(Noted("quarantine", number=offset, text=error.code))
                return
            held = partial(setattr, self, "_held_offset"), offset
            if source == "stream":
                counted = partial(setattr, self.counters, "total_replicated")
                applied = self.outbox.adding(Applied(entry.position, source))
                at_once(held, (counted, self.counters.total_replicated + 1), applied)
            else:
                at_once(held)
        self.applied = entry.position
        if not self.options.refresh_ms:
            self.visible = entry.position

    # What readers see

    def refresh(self) -> bool:
        """Renew what readers see, where that is due; whether they see more now."""
        if self.options.refresh_ms and self.now_ns >= self.next_refresh_ns:
            self.next_refresh_ns = self.now_ns + self.options.refresh_ms * NS_PER_MS
            if self._to_show is None:  # Else a slow disk would never catch up with it.
                self._to_show = self._held, self.store.snapshot()
        return self._show()

    def _show(self) -> bool:
        """Show what was pinned last, once it is flushed: nobody sees what a crash could undo."""
        if self._to_show is None or self.flushed.offset < self._to_show[0].offset:
            return False
        before_offset = self.visible_offset
        (self.visible, self._published), self._to_show = self._to_show, None
        if self.visible_offset == before_offset:
            return False
        self.outbox.add(Noted("visible", number=self.visible_offset))
        return True

    def _show_all(self) -> None:
        """Show another store, that of a disk or of a full sync."""
        self.visible, self._to_show = self.applied, None
        self._published = self.store.snapshot() if self.options.refresh_ms else None

    @property
    def _held(self) -> Position:
        """The history that the store holds: a master's is ahead of its disk."""
        return self.log.head if self._held_offset == self.log.head.offset else self.applied

    @property
    def shown(self) -> Position:
        """The history that `readable` holds."""
        return self._held if self._published is None else self.visible

    def readable(self) -> VectorStore | StoreSnapshot:
        """What readers see now."""
        return self.store if self._published is None else self._published

    @property
    def shows_unflushed(self) -> bool:
        """Whether readers would see more than its disk holds: a node that was master just now."""
        return self._published is None and self._held_offset > self.applied_offset

    def ack(self, generation: int) -> Ack:
        """How far this node has come."""
        here = self.flushed
        received, applied, visible = self.log.head, self.applied, self.visible
        return Ack(generation, here, received.offset, here.offset, applied.offset, visible.offset)

    # Durable facts

    def make_promise(self, epoch: int, then: Callable[[], None]) -> None:
        """Take nothing of a lower epoch from now on; go on once the disk has it."""
        self.promise = max(self.promise, epoch)
        self.heard_epoch = max(self.heard_epoch, epoch)

        def durable() -> None:
            self.durable_promise = max(self.durable_promise, epoch)
            self.outbox.add(Noted("promise", number=epoch))
            then()

        self.outbox.persist(SetPromise(epoch), durable)

    def keep_counters(self) -> None:
        """Let the statistics survive a restart, as they are now."""
        self.outbox.persist(SetCounters(self.counters.facts()))

    def install(self, built: VectorStore, header: StartFull) -> None:
        """Switch to another store and history with one durable write; then `on_installed`."""
        position, shared_offset = header.position, header.shared_offset
        epochs = tuple(zip(header.epochs[::2], header.epochs[1::2], strict=True))
        checkpoint = Checkpoint(position, epochs, header.digest, built.snapshot())
        index = self.index

        def swap() -> None:
            if self.index != index:
                return  # Its index was refused meanwhile: the disk is without state by now.
            lost_count = max(0, self.acknowledged.offset - shared_offset)
            if lost_count:
                self.counters.uncommitted_lost += lost_count
                self.outbox.add(Noted("discard", number=lost_count, value=shared_offset))
            self.acknowledged = Position()
            self._applier.install(built)
            self.log.reset(position, epochs)
            self._unflushed.clear()
            self.flushed = self.applied = position
            self._held_offset = self._checkpoint_offset = position.offset
            self._show_all()
            self.is_lost = self.is_poisoned = False
            self.outbox.add(Applied(position, "snapshot"))
            digest = self.store.digest()
            self.outbox.add(Noted("digest", number=position.offset, text=digest, kind="install"))
            self.role.on_installed()

        self.outbox.persist(Install(checkpoint), swap)

    def _checkpoint(self) -> None:
        """Write a checkpoint where a restart would have to replay too much."""
        options, newer_count = self.options, self.applied.offset - self._checkpoint_offset
        if newer_count < options.checkpoint_operations:
            return
        if not options.has_durable_log or self.is_poisoned:
            return
        position = self._held
        epochs = tuple(each for each in self.log.epochs if each[1] <= position.offset)
        checkpoint = Checkpoint(position, epochs, self.store.digest(), self.store.snapshot())
        self._checkpoint_offset = position.offset
        keep_from = min(position.offset, self.log.base.offset)
        self.outbox.persist(SetCheckpoint(checkpoint, keep_from))

    # Coming up

    def recover(self, image: Image, incarnation: int) -> None:
        """Become what the disk says: all that is flushed is applied, what is torn is cut."""
        self.known = self._durable_known = self.known.merged(image.known)
        self.counters.restore(image.counters)
        frames, problem = intact_frames(image)
        store = None
        if not image.is_lost and not problem and image.checkpoint is not None:
            store = store_of(image.checkpoint.snapshot.operations())
            if store.digest() != image.checkpoint.digest:
                problem = "the checkpoint is damaged"
        if image.index >= 0 and self.known.refuses(image.index):
            problem = f"index {image.index} was replaced or retired"
        self.is_lost = image.is_lost or bool(problem)
        if problem or image.index < 0:
            # Without state a node comes back under an index that it never had.
            given, next_index = index_of(self.slot, incarnation), self.known.next_index(self.slot)
            self.index = next_index if self.known.refuses(given) else given
        else:
            self.index = image.index
        self.boot = image.boot + 1
        # Damage of the log takes away the state, not the promise: others may rely on it.
        self.promise = self.durable_promise = self.heard_epoch = image.promise
        if self.is_lost:
            self.outbox.add(Noted("lost_state", number=self.index, text=problem or "no state"))
        else:
            self._restore(image, frames, store)
        self._keep_index()

    def forget(self) -> None:
        """Drop the state, since the node's own index is refused: another index, durably lost."""
        before, self.index = self.index, self.known.next_index(self.slot)
        self.is_lost, self.is_poisoned = True, False
        self.heard.clear()
        self._applier.install(VectorStore())
        self.log.reset(Position(), ())
        self._unflushed.clear()
        self.flushed = self.applied = self.acknowledged = Position()
        self._confirmed = (0, 0)
        self._held_offset = self._checkpoint_offset = 0
        self._show_all()
        self.outbox.add(
            Noted("lost_state", number=self.index, text=f"index {before} was replaced or retired")
        )
        self._keep_index()

    def _keep_index(self) -> None:
        """Make the node's own index durable, and that it is the newest of its slot."""
        self.known = self.known.with_newest(self.index)
        if not self.has_kept(self.known):
            self._durable_known = self.known  # The node says nothing before this is durable.
            self.outbox.persist(SetKnownIndices(self.known))
        self.outbox.persist(SetIdentity(self.index, self.boot, self.is_lost))

    def _restore(self, image: Image, frames: list[Frame], store: VectorStore | None) -> None:
        checkpoint, has_torn_tail = image.checkpoint, len(frames) < len(image.frames)
        if checkpoint is not None and store is not None:
            self._applier.install(store)
            self.flushed = self.applied = checkpoint.position
            self._held_offset = self._checkpoint_offset = checkpoint.position.offset
            base = checkpoint.position
            if frames and 1 < frames[0].record.offset <= base.offset:
                base = frames.pop(0).position
            if not frames or frames[0].record.offset > 1:
                self.log.reset(base, [each for each in checkpoint.epochs if each[1] <= base.offset])
        for frame in frames:
            entry = self.log.extend(frame.record, now_ns=self.now_ns)
            if entry.record.offset > image.mark:
                self._unflushed.append(entry)
            elif entry.record.offset > self.flushed.offset:
                self.flushed = entry.position
                self._apply(entry, "replay")
        if not self.replica_count and owner_of(self.flushed.epoch) == self.index:
            self.acknowledged = self.flushed  # It answers as soon as its own disk has a write.
        self._show_all()
        if self._unflushed or has_torn_tail:
            last = self.log.head.offset
            self.outbox.persist(SetMark(last), partial(self._flushed_to, last))

    def _new_log(self) -> ReplicationLog:
        return ReplicationLog(
            capacity_operations=self.options.log_capacity_operations,
            capacity_bytes=self.options.log_capacity_bytes,
        )
