"""The single-writer core of a collection: rows, tables, buffer and digest, changed as one.

A write is a redo log of one entry. First comes the plan: everything that can be refused or can fail
(an unknown id, growth, padding, compilation, copies) happens there, on values that no reader sees.
Then one assignment of one immutable record, the `Head`, commits the write. The work that is left is
done at once, and each part of it may be repeated: if an exception interrupts it, at any bytecode,
the next call finishes it before it reads anything. So a write has happened when its head is
stored, and not before.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import starmap
from typing import Final

import jax
import numpy as np

from vectorkit.collections.backends.base import Backend, Block, Learned, State, Step
from vectorkit.collections.backends.buffer import (
    BUFFER_ROWS,
    BUFFERED_BATCH_MAX,
    WriteBuffer,
    padded_batch,
)
from vectorkit.collections.backends.compiled import warm_up
from vectorkit.collections.backends.state import grown_capacity, padded_size
from vectorkit.collections.execution.guard import Guard
from vectorkit.collections.execution.jax_context import plain_jax
from vectorkit.collections.files import Contents
from vectorkit.collections.memory import Memory, sizeof_ids, sizeof_payloads
from vectorkit.collections.results import WriteResult
from vectorkit.collections.storage.change_log import ChangeLog
from vectorkit.collections.storage.digest import DigestFold, combine, parameter_bytes
from vectorkit.collections.storage.pins import Pinned
from vectorkit.collections.storage.redo import (
    Change,
    Growth,
    Head,
    Published,
    Redo,
    Rows,
    published_at,
)
from vectorkit.collections.storage.tables import StateView, Tables, close_holes
from vectorkit.errors import CorruptSnapshot
from vectorkit.operations import CollectionConfig, Payloads
from vectorkit.types import KEEP, Float32Array, Id, Int32Array, Keep

PIECE_ROWS: Final = 1 << 16
"""Larger batches go to the device in pieces of this size. Those that grow the rows, or rewrite most
of them, are written to blocks aside, which are published whole."""

_new: Final = tuple.__new__
"""Makes a named tuple in half the time, for the short ways of one row."""


class Storage:
    """Rows with their ids and payloads. Not thread-safe: the collection's guard guards it."""

    def __init__(self, config: CollectionConfig, backend: Backend) -> None:
        self.config = config
        self.backend = backend
        self.tables = Tables()
        self.slot_of: dict[Id, int] = {}
        self.growths: list[Growth] = []
        self.head = Head(0, 0, WriteBuffer(config.dim), 0, None)
        self._learned, blocks = backend.empty()
        self._blocks = list(blocks)
        self._pinned = [Pinned() for _ in blocks]
        self._changes = ChangeLog()
        self._fold = DigestFold()
        self._fold.reserve(self.capacity)

    @property
    def version(self) -> int:
        """How many writes have changed the rows."""
        return self.head.version

    def __len__(self) -> int:
        return self.head.size

    @property
    def capacity(self) -> int:
        """How many rows the present arrays have room for."""
        return self.backend.capacity(self._blocks)

    @property
    def state(self) -> State:
        """The rows on the devices, without those in the buffer."""
        return self.backend.state(self._learned, self._blocks)

    # Reading

    def peek(self) -> StateView:
        """Return the present tables; the newest rows may still be in the buffer."""
        self.finish()
        return StateView(self.state, self.tables, len(self), self.version)

    def view(self) -> StateView:
        """Return the present rows. Their tables do not change while the view exists."""
        self.flush()
        pins = (self.tables.pinned.hold(),)
        return StateView(self.state, self.tables, len(self), self.version, pins)

    def hold(self) -> StateView:
        """Return the present rows; they are not changed in place while the view exists."""
        view = self.view()
        pins = (*view.pins, *[each.hold() for each in self._pinned])
        return StateView(view.state, view.tables, view.count, view.version, pins)

    def find(self, row_id: Id) -> int | None:
        """The slot of a row."""
        self.finish()
        return self.slot_of.get(row_id)

    def buffered(self, slot: int) -> Float32Array | None:
        """Return a copy of a slot's row if it is in the buffer, else None."""
        head = self.head
        row = head.buffer.find(slot, head.accepted) if head.accepted else None
        return None if row is None else row.copy()

    def changed_since(self, version: int) -> Int32Array | None:
        """Return the distinct slots changed after `version`, ascending; None if unknown."""
        self._settle()
        return self._changes.last(self.version - version)

    # Writing

    def put(self, slot: int, row: Float32Array) -> WriteResult:
        """Overwrite the vector of one present row: the fast path of `plan_update`.

        The digest's marks and the log of changes are updated when they are next read.
        """
        version, count, buffer, accepted, redo = self.head
        if redo is not None or accepted == BUFFER_ROWS:
            self.flush()
            version, count, buffer, accepted, _ = self.head
        buffer.rows[accepted] = row
        buffer.slots[accepted] = slot
        version += 1
        self.head = _new(Head, (version, count, buffer, accepted + 1, None))
        return _new(WriteResult, (0, 1, 0, version))

    def plan_upsert(
        self, ids: Sequence[Id], rows: Float32Array, payloads: Payloads | None
    ) -> Change:
        """Write whole rows, new ids to the slots behind the last."""
        self._settle()
        count = len(self)
        known = list(map(self.slot_of.get, ids))
        filled = payloads if payloads is not None else (None,) * len(ids)
        old = [(slot, each) for slot, each in zip(known, filled, strict=True) if slot is not None]
        old_slots = [slot for slot, _ in old]
        is_old = np.array([slot is not None for slot in known], np.bool_)
        fresh = [row_id for row_id, slot in zip(ids, known, strict=True) if slot is None]
        slots = np.empty(len(ids), np.int32)
        slots[is_old], slots[~is_old] = old_slots, range(count, count + len(fresh))
        redo = Redo(
            self._plan_rows(slots, rows, count + len(fresh)),
            self.tables.for_overwriting() if old_slots else self.tables,
            slots=slots,
            payload_slots=old_slots,
            payloads=[payload for _, payload in old],
            appended_at=count,
            ids=fresh,
            id_payloads=[each for each, slot in zip(filled, known, strict=True) if slot is None],
        )
        return self._change(redo, count + len(fresh), WriteResult(len(fresh), len(old_slots)))

    def plan_update(
        self,
        slots: list[int],
        rows: Float32Array | Keep,
        payloads: Payloads | Keep | None,
    ) -> Change:
        """Overwrite the vectors, the payloads or both of present rows; None clears payloads."""
        filled = (None,) * len(slots) if payloads is None else payloads
        if len(slots) == 1 and not (rows is KEEP and filled is KEEP):
            return self._plan_one(slots[0], rows, filled)
        self._settle()
        places, tables = np.array(slots, np.int32), self.tables
        planned = Rows(self.head.accepted, self._learned)
        if rows is not KEEP:
            planned = self._plan_rows(places, rows, len(self))
        if filled is KEEP:
            redo = Redo(planned, tables, slots=places)
        else:
            tables = tables.for_overwriting()
            redo = Redo(planned, tables, slots=places, payload_slots=slots, payloads=filled)
        return self._change(redo, len(self), WriteResult(updated=len(slots)))

    def _plan_one(self, slot: int, rows: Float32Array | Keep, payloads: Payloads | Keep) -> Change:
        """Plan `plan_update` of one row, as most writes are: no array, no device but to flush."""
        version, count, buffer, accepted, redo = self.head
        if redo is not None or accepted == BUFFER_ROWS:
            self.flush()
            version, count, buffer, accepted, redo = self.head
        if rows is KEEP:
            self._settle()  # The buffer's end does not name this write: it is marked at once.
        else:
            buffer.rows[accepted] = rows[0]
            buffer.slots[accepted] = slot
            accepted += 1
        if payloads is not KEEP:
            planned = _new(Rows, (accepted, self._learned, (), ()))
            marked = slot if rows is KEEP else None
            tables = self.tables.for_overwriting()
            redo = Redo(planned, tables, None, marked, (slot,), payloads)
        head = _new(Head, (version + 1, count, buffer, accepted, redo))

        def change() -> WriteResult:
            self._commit(head)
            return _new(WriteResult, (0, 1, 0, version + 1))

        return _new(Change, (change, lambda: self.head.version > version))

    def plan_delete(self, slots: Int32Array) -> Change:
        """Take rows out and move the last ones into the holes."""
        self.flush()
        self._settle()
        count = len(self)
        remaining = count - len(slots)
        sources, targets = close_holes(slots, count)
        steps = self.backend.move(self._blocks, sources, targets) if len(sources) else ()
        ids, payloads, moved_from = self.tables.ids, self.tables.payloads, sources.tolist()
        moved_to = targets.tolist()
        redo = Redo(
            self._placed(steps, self._learned),
            self.tables.for_overwriting(),
            slots=targets,
            payload_slots=moved_to,
            payloads=[payloads[slot] for slot in moved_from],
            appended_at=remaining,
            moved=[ids[slot] for slot in moved_from],
            moved_to=moved_to,
            gone=[ids[slot] for slot in slots.tolist()],
        )
        return self._change(redo, remaining, WriteResult(deleted=len(slots)))

    def plan_codebook(self, codebook: Float32Array) -> Change:
        """Encode all rows again."""
        self.flush()
        self._settle()
        count = len(self)
        learned, blocks = self.backend.with_codebook(self.state, codebook, count)
        # Arrays of float32 rows are still those of a snapshot: its pins go on.
        published = tuple([Published(place, block, True) for place, block in enumerate(blocks)])
        rows = Rows(0, learned, published=published)
        redo = Redo(rows, self.tables, slots=np.arange(count, dtype=np.int32))
        return self._change(redo, count, WriteResult(updated=count))

    def reserve(self, count: int, guard: Guard) -> None:
        """Reserve capacity for `count` rows, so that no write up to that count has to grow."""
        guard.refuse_in_filter()
        self.finish()
        if count > self.capacity:
            self.flush()
            capacity = grown_capacity(self.capacity, count)
            blocks = self.backend.grow(self._blocks, capacity)
            published = published_at(blocks, self._new(blocks))
            redo = Redo(Rows(0, self._learned, published=published), self.tables)
            self._commit(self._head(redo, self.version, len(self)))

    def flush(self) -> None:
        """Send accepted rows to the device by one scatter. If it fails they stay accepted."""
        self.finish()
        head = self.head
        if head.accepted:
            with plain_jax():  # `put` comes here without it once the buffer is full.
                self._settle()
                batch = head.buffer.batch(head.accepted, self.capacity)
                learned, steps = self.backend.encode(self._learned, batch)
                redo = Redo(self._placed(steps, learned), self.tables)
                buffer = WriteBuffer(self.config.dim)
                self._commit(Head(head.version, head.size, buffer, 0, redo))

    def finish(self) -> None:
        """Finish the last write if an exception interrupted it."""
        head = self.head
        if head.redo is not None:
            with plain_jax():  # Any call comes here first, also one that needs no device.
                self._finish(head, head.redo)

    def adopt(self, contents: Contents) -> None:
        """Begin with these rows in place of none, as if all writes up to their version were here.

        Takes the lists over. Raises CorruptSnapshot where the parts do not fit each other.
        """
        ids, payloads, count = contents.ids, contents.payloads, len(contents.ids)
        slot_of = dict(zip(ids, range(count), strict=True))
        if len(slot_of) != count or len(payloads) != count:
            raise CorruptSnapshot(
                "the parts of a saved collection do not fit each other",
                got=f"{len(slot_of)} distinct of {count} ids, {len(payloads)} payloads",
                wanted="distinct ids and a payload for each",
                remedy="save it again, or take another copy",
            )
        self._learned, blocks = self.backend.adopt(contents.arrays, count)
        self._blocks = list(blocks)
        self._fold.reserve(self.capacity)
        self._fold.mark(np.arange(count, dtype=np.int32))
        self.tables.append(0, ids, payloads)
        self.slot_of = slot_of
        self._changes = ChangeLog(contents.version)
        self.head = Head(contents.version, count, self.head.buffer, 0, None)

    # The whole

    def memory(self) -> Memory:
        """Bytes by what holds them."""
        self.flush()
        state = self.state
        sizes, on_host = self.backend.sizes(state), self.backend.host_names()
        learned = self.backend.parameters(state)
        return Memory(
            row_count=len(self),
            device={name: size for name, size in sizes.items() if name not in on_host},
            host={
                **{name: size for name, size in sizes.items() if name in on_host},
                **{name: each.nbytes for name, each in learned.items()},
                "ids": sizeof_ids(self.tables.ids, self.slot_of),
                "payloads": sizeof_payloads(self.tables.payloads),
                "columns": self.tables.columns.nbytes,
                "write_buffer": self.head.buffer.nbytes,
                "digest": self._fold.nbytes,
                "change_log": self._changes.nbytes,
            },
        )

    def digest(self) -> str:
        """The content hash: folds in the rows changed since it was last asked for."""
        self.flush()
        self._settle()
        state, tables = self.state, self.tables

        def read(slots: Int32Array) -> Float32Array:
            return self.backend.read(state, slots)()

        total = self._fold.fold(read, tables.ids, tables.payloads, len(self))
        learned = parameter_bytes(self.backend.parameters(state))
        return combine(self.config, learned, total, len(self))

    # Plans

    def _plan_rows(self, slots: Int32Array, rows: Float32Array, count: int) -> Rows:
        """Write rows to distinct slots below `count`."""
        is_small = len(slots) <= BUFFERED_BATCH_MAX and count <= self.capacity
        if is_small and not self.backend.needs_training(self._learned):
            if self.head.accepted + len(slots) > BUFFER_ROWS:
                self.flush()
            accepted = self.head.buffer.put(self.head.accepted, slots, rows)
            return Rows(accepted, self._learned)
        self.flush()
        backend, learned, capacity = self.backend, self._learned, self.capacity
        made: list[Block] = list(self._blocks)
        mine, is_large = set[int](), len(slots) > PIECE_ROWS
        is_aside = is_large and padded_size(len(slots)) > capacity // 2
        if count > capacity:
            made[:] = backend.grow(made, grown_capacity(capacity, count))
            mine, capacity, is_aside = self._new(made), backend.capacity(made), is_large
        steps: list[Step] = []
        for start in range(0, len(slots), PIECE_ROWS):
            piece = slice(start, start + PIECE_ROWS)
            # A step that runs later needs its own copy: the caller may change the rows by then.
            some = np.array(rows[piece]) if is_large and not is_aside else rows[piece]
            learned, asked = backend.encode(learned, padded_batch(slots[piece], some, capacity))
            steps += self._aside(made, mine, asked, is_aside=is_aside)
            if is_large and is_aside:
                jax.block_until_ready(made)  # Otherwise the copies of all pieces would queue.
        return Rows(0, learned, tuple(steps), published_at(made, mine))

    def _placed(self, steps: Sequence[Step], learned: Learned) -> Rows:
        """Plan the steps: in place, or on copies of the blocks that a reader holds."""
        made, mine = list(self._blocks), set[int]()
        rest = self._aside(made, mine, steps, is_aside=False)
        return Rows(0, learned, rest, published_at(made, mine))

    def _new(self, blocks: Sequence[Block]) -> set[int]:
        """The places of the blocks that no reader has seen."""
        old = self._blocks
        return {at for at, block in enumerate(blocks) if at >= len(old) or block is not old[at]}

    def _aside(
        self, made: list[Block], mine: set[int], steps: Sequence[Step], *, is_aside: bool
    ) -> tuple[Step, ...]:
        """Run the steps whose blocks must not change in place, and return the other steps.

        `mine` are the places in `made` whose blocks no reader has seen.
        """
        rest = []
        for step in steps:
            place = step.block
            if place in mine:
                warm_up(step.warm, made[place], step.arguments)
                made[place] = step.in_place(made[place], *step.arguments)
            elif is_aside or self._pinned[place].is_held:
                made[place] = step.copying(made[place], *step.arguments)
                mine.add(place)
            else:
                warm_up(step.warm, made[place], step.arguments)
                rest.append(step)
        return tuple(rest)

    def _change(self, redo: Redo, count: int, result: WriteResult) -> Change:
        head = self._head(redo, self.version + 1, count)
        done = WriteResult(*result[:3], head.version)

        def change() -> WriteResult:
            self._commit(head)
            return done

        return Change(change, lambda: self.head.version >= head.version)

    def _head(self, redo: Redo, version: int, count: int) -> Head:
        blocks = list(self._blocks)
        for place, block, _ in redo.rows.published:
            blocks[place : place + 1] = [block]
        before, after = self.capacity, self.backend.capacity(blocks)
        if before != after:
            redo = redo._replace(growth=Growth(self.version, before, after))
        return Head(version, count, self.head.buffer, redo.rows.accepted, redo)

    # Committing and finishing

    def _commit(self, head: Head) -> None:
        before, redo = self.head, head.redo
        self.head = head
        if redo is not None:
            self._finish(head, redo, before)

    def _finish(self, head: Head, redo: Redo, before: Head | None = None) -> None:
        version, size, buffer, accepted, _ = head
        rows, tables, growth, slots, payload_slots, payloads = redo[:6]
        appended_at, ids, id_payloads, moved, moved_to, gone = redo[6:]
        for step in rows.steps:
            self._run(step, before)
            before = None
        self._publish(rows)
        if growth is not None:
            self._fold.reserve(growth.after)
            if growth not in self.growths[-1:]:
                self.growths.append(growth)
        self.tables = tables
        if payload_slots:
            tables.set_payloads(payload_slots, payloads)
        if ids:
            tables.append(appended_at, ids, id_payloads)
            self.slot_of.update(zip(ids, range(appended_at, size), strict=True))
        if gone:
            tables.set_ids(moved_to, moved)
            self.slot_of.update(zip(moved, moved_to, strict=True))
            for row_id in gone:
                self.slot_of.pop(row_id, None)
            tables.truncate(size)
            self._fold.mark(slice(size, size + len(gone)))
        if slots is not None:
            self._fold.mark(slots)
            self._changes.note(version, slots)
        self.head = _new(Head, (version, size, buffer, accepted, None))

    def _run(self, step: Step, before: Head | None) -> None:
        """Change a block in place.

        `starmap` calls the program and the slice assignment stores its result within one bytecode:
        no exception can arrive between the donation of the old arrays and the store of the new
        ones. If the device refuses the first step of a write, the head `before` is restored.
        """
        blocks, place = self._blocks, step.block
        block = blocks[place]
        try:
            warm_up(step.warm, block, step.arguments)  # JAX's tables may be empty since the plan.
            with plain_jax():  # JAX may trace still if it caught an exception amid the warm-up.
                blocks[place : place + 1] = starmap(step.in_place, ((block, *step.arguments),))
        except Exception:
            is_as_it_was = blocks[place] is block and not any(each.is_deleted() for each in block)
            if before is not None and is_as_it_was:
                self.head = before
            raise

    def _publish(self, rows: Rows) -> None:
        self._learned = rows.learned
        for place, block, keeps_pins in rows.published:
            if not keeps_pins:
                self._pinned[place : place + 1] = [Pinned()]  # Behind the last one: it is added.
            self._blocks[place : place + 1] = [block]

    def _settle(self) -> None:
        """Bring the marks of the digest and the log of changes up to the present version.

        Each write that they lack is one row at the end of the buffer.
        """
        self.finish()
        version, _, buffer, accepted, _ = self.head
        missing = version - self._changes.version
        if missing:
            slots = buffer.slots[accepted - missing : accepted]
            self._fold.mark(slots)
            self._changes.note_each(version, slots)
