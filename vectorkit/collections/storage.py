"""The single-writer core of a collection: state, tables, buffer and digest, changed as one.

Every write is planned first: whatever can fail (an unknown id, growth, padding, copies to the
device) happens in the plan, on values that no reader sees. Calling the plan makes one state change.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np

from vectorkit.collections.backend import Backend, State
from vectorkit.collections.buffer import BUFFERED_BATCH_MAX, WriteBuffer, padded_batch
from vectorkit.collections.changes import ChangeLog
from vectorkit.collections.digest import DigestFold, combine, parameter_bytes, row_hashes
from vectorkit.collections.files import Contents
from vectorkit.collections.memory import Memory, sizeof_ids, sizeof_payloads
from vectorkit.collections.results import WriteResult
from vectorkit.collections.state import grown_capacity, padded_size
from vectorkit.collections.tables import Tables, View, close_holes
from vectorkit.errors import CorruptSnapshot
from vectorkit.operations import CollectionConfig, Payloads
from vectorkit.types import KEEP, Float32Array, Id, Int32Array, Keep

Change = Callable[[], WriteResult]
"""A planned write: calling it makes it happen."""

PIECE_ROWS: Final = 1 << 16
"""Larger batches that grow the state, or rewrite most of it, are written in pieces of this size to
a state aside, which is published whole."""

_result: Final = tuple.__new__
"""Makes a named tuple in half the time, for the short ways of one row."""

_DIGEST_BLOCK: Final = 1 << 16


class Growth(NamedTuple):
    """The rows got a larger array: at which version, from what capacity, to what capacity."""

    version: int
    before: int
    after: int


class Storage:
    """Rows with their ids and payloads. Not thread-safe: the collection's lock guards it."""

    def __init__(self, config: CollectionConfig, backend: Backend) -> None:
        self.config = config
        self.backend = backend
        self.state: State = backend.empty()
        self.tables = Tables()
        self.slot_of: dict[Id, int] = {}
        self.version = 0
        self.changes = ChangeLog()
        self.growths: list[Growth] = []
        self._buffer = WriteBuffer(config.dim)
        self._fold = DigestFold()
        self._fold.reserve(self.capacity)
        self._is_state_held = False

    def __len__(self) -> int:
        return len(self.tables.ids)

    @property
    def capacity(self) -> int:
        """How many rows the present arrays have room for."""
        return self.backend.capacity(self.state)

    def view(self) -> View:
        """The present rows; the buffer must have been flushed."""
        return View(self.state, self.tables, len(self), self.version)

    def hold(self) -> View:
        """The present rows, never changed in place from now on."""
        self.flush()
        self._is_state_held = True
        self.tables.is_held = True
        return self.view()

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
        self.state = self.backend.adopt(contents.arrays, count)
        self._fold.reserve(self.capacity)
        self._fold.mark(np.arange(count, dtype=np.int32))
        self.tables.append(ids, payloads)
        self.slot_of = slot_of
        self.version = contents.version

    def flush(self) -> None:
        """Send accepted rows to the device by one scatter. If it fails they stay accepted."""
        if len(self._buffer):
            encoded = self.backend.encode(self.state, self._buffer.batch(self.capacity))
            in_place = not self._is_state_held
            self._publish(self.backend.write(self.state, encoded, in_place=in_place))
            self._buffer.clear()

    def put(self, slot: int, row: Float32Array) -> WriteResult:
        """Overwrite the vector of one present row: the short way of `plan_update`."""
        if not self._buffer.put(slot, row):
            self.flush()
            self._buffer.put(slot, row)
        self._fold.marks[slot] = 1
        self.changes.add(slot)
        self.version += 1
        return _result(WriteResult, (0, 1, 0, self.version))

    def plan_upsert(
        self, ids: Sequence[Id], rows: Float32Array, payloads: Payloads | None
    ) -> Change:
        """Write whole rows, new ids to the slots behind the last."""
        count = len(self)
        known = list(map(self.slot_of.get, ids))
        filled = payloads if payloads is not None else (None,) * len(ids)
        old = [(slot, each) for slot, each in zip(known, filled, strict=True) if slot is not None]
        old_slots = [slot for slot, _ in old]
        is_old = np.array([slot is not None for slot in known], np.bool_)
        fresh = [row_id for row_id, slot in zip(ids, known, strict=True) if slot is None]
        fresh_payloads = [each for each, slot in zip(filled, known, strict=True) if slot is None]
        new_slots = range(count, count + len(fresh))
        slots = np.empty(len(ids), np.int32)
        slots[is_old], slots[~is_old] = old_slots, new_slots
        write = self._plan_rows(slots, rows, count + len(fresh))

        def change() -> WriteResult:
            if old_slots:
                self.tables = self.tables.for_overwriting()
            write()
            self.tables.set_payloads(old_slots, [payload for _, payload in old])
            self.tables.append(fresh, fresh_payloads)
            self.slot_of.update(zip(fresh, new_slots, strict=True))
            return self._changed(slots, WriteResult(len(fresh), len(old_slots)))

        return change

    def plan_update(
        self,
        slots: list[int],
        rows: Float32Array | Keep,
        payloads: Payloads | Keep | None,
    ) -> Change:
        """Overwrite the vectors, the payloads or both of present rows; None clears payloads."""
        filled = (None,) * len(slots) if payloads is None else payloads
        if len(slots) == 1 and not self.backend.needs_training(self.state):
            return self._plan_put(slots[0], rows, filled)
        places = np.array(slots, np.int32)
        write = None if isinstance(rows, Keep) else self._plan_rows(places, rows, len(self))

        def change() -> WriteResult:
            if not isinstance(filled, Keep):
                self.tables = self.tables.for_overwriting()
            if write is not None:
                write()
            if not isinstance(filled, Keep):
                self.tables.set_payloads(slots, filled)
            return self._changed(places, WriteResult(updated=len(slots)))

        return change

    def _plan_put(
        self, slot: int, rows: Float32Array | Keep, payloads: Payloads | Keep
    ) -> Change:
        """`plan_update` of one row, as most writes are: no array, nothing to gather."""
        if not isinstance(rows, Keep) and not self._buffer.has_room(1):
            self.flush()

        def change() -> WriteResult:
            if payloads is not KEEP:
                self.tables = self.tables.for_overwriting()
            if rows is not KEEP:
                self._buffer.put(slot, rows[0])
            if payloads is not KEEP:
                self.tables.set_payloads((slot,), payloads)
            self._fold.marks[slot] = 1
            self.changes.add(slot)
            self.version += 1
            return _result(WriteResult, (0, 1, 0, self.version))

        return change

    def plan_delete(self, slots: Int32Array) -> Change:
        """Take rows out and move the last ones into the holes."""
        count = len(self)
        remaining = count - len(slots)
        sources, targets = close_holes(slots, count)
        self.flush()
        size = padded_size(len(sources))
        padded_sources = np.zeros(size, np.int32)
        padded_targets = np.full(size, self.capacity, np.int32)
        padded_sources[: len(sources)] = sources
        padded_targets[: len(targets)] = targets
        moved_from, moved_to = sources.tolist(), targets.tolist()

        def change() -> WriteResult:
            self.tables = self.tables.for_overwriting()
            if moved_to:
                in_place = not self._is_state_held
                self._publish(
                    self.backend.move(self.state, padded_sources, padded_targets, in_place=in_place)
                )
            ids = self.tables.ids
            gone = [ids[slot] for slot in slots.tolist()]
            self.tables.move(moved_from, moved_to)
            self.slot_of.update((ids[target], target) for target in moved_to)
            self.tables.truncate(remaining)
            for row_id in gone:
                del self.slot_of[row_id]
            self._fold.truncate(remaining)
            return self._changed(targets, WriteResult(deleted=len(slots)))

        return change

    def plan_codebook(self, codebook: Float32Array) -> Change:
        """Encode all rows anew."""
        self.flush()
        count = len(self)
        state = self.backend.with_codebook(self.state, codebook, count)

        def change() -> WriteResult:
            is_held = self._is_state_held
            self._publish(state)
            self._is_state_held = is_held  # The float32 rows are still those of a snapshot.
            return self._changed(np.arange(count, dtype=np.int32), WriteResult(updated=count))

        return change

    def reserve(self, count: int) -> None:
        """Make room for `count` rows, so that no write up to there has to grow."""
        if count > self.capacity:
            self.flush()
            self._publish(self.backend.grow(self.state, grown_capacity(self.capacity, count)))

    def memory(self) -> Memory:
        """Bytes by what holds them."""
        self.flush()
        arrays, on_host = self.backend.arrays(self.state), self.backend.host_names()
        sizes = {name: int(array.nbytes) for name, array in arrays.items()}
        learned = self.backend.parameters(self.state).values()
        return Memory(
            row_count=len(self),
            device={name: size for name, size in sizes.items() if name not in on_host},
            host={
                **{name: size for name, size in sizes.items() if name in on_host},
                **({"codebook": sum(each.nbytes for each in learned)} if learned else {}),
                "ids": sizeof_ids(self.tables.ids, self.slot_of),
                "payloads": sizeof_payloads(self.tables.payloads),
                "columns": self.tables.columns.nbytes,
                "write_buffer": self._buffer.nbytes,
                "digest": self._fold.nbytes,
                "change_log": self.changes.nbytes,
            },
        )

    def digest(self) -> str:
        """The content hash: folds in the rows changed since it was last asked for."""
        self.flush()
        dirty = self._fold.dirty()
        hashes = []
        for start in range(0, len(dirty), _DIGEST_BLOCK):
            block = dirty[start : start + _DIGEST_BLOCK]
            slots = np.zeros(padded_size(len(block)), np.int32)
            slots[: len(block)] = block
            rows = np.asarray(self.backend.read(self.state, slots))[: len(block)]
            names = [self.tables.ids[slot] for slot in block.tolist()]
            payloads = [self.tables.payloads[slot] for slot in block.tolist()]
            hashes.append(row_hashes(names, rows, payloads))
        if hashes:
            self._fold.replace(dirty, np.concatenate(hashes))
        learned = parameter_bytes(self.backend.parameters(self.state))
        return combine(self.config, learned, self._fold.total, len(self))

    def _plan_rows(self, slots: Int32Array, rows: Float32Array, count: int) -> Callable[[], None]:
        """Write rows to distinct slots below `count`."""
        is_small = len(slots) <= BUFFERED_BATCH_MAX and count <= self.capacity
        if is_small and not self.backend.needs_training(self.state):
            if not self._buffer.has_room(len(slots)):
                self.flush()
            return lambda: self._buffer.put_many(slots, rows)
        self.flush()
        backend, state, is_mine = self.backend, self.state, False
        if count > self.capacity:
            state, is_mine = backend.grow(state, grown_capacity(self.capacity, count)), True
        capacity = backend.capacity(state)
        is_large = len(slots) > PIECE_ROWS
        if not is_large or (not is_mine and padded_size(len(slots)) <= capacity // 2):
            encoded = backend.encode(state, padded_batch(slots, rows, capacity))
            in_place = is_mine or not self._is_state_held

            def write() -> None:
                self._publish(backend.write(state, encoded, in_place=in_place))
                if is_large:
                    backend.wait(self.state)  # The caller may reuse its memory from here on.

            return write
        for start in range(0, len(slots), PIECE_ROWS):
            piece = slice(start, start + PIECE_ROWS)
            encoded = backend.encode(state, padded_batch(slots[piece], rows[piece], capacity))
            state, is_mine = backend.write(state, encoded, in_place=is_mine), True
            backend.wait(state)  # Else the copies of all pieces would wait in line together.
        return lambda: self._publish(state)

    def _publish(self, state: State) -> None:
        before, after = self.capacity, self.backend.capacity(state)
        self.state = state
        self._is_state_held = False
        if after != before:
            self._fold.reserve(after)
            self.growths.append(Growth(self.version, before, after))

    def _changed(self, slots: Int32Array, result: WriteResult) -> WriteResult:
        if len(slots) == 1:
            slot = slots.item()
            self._fold.marks[slot] = 1
            self.changes.add(slot)
        else:
            self._fold.mark(slots)
            self.changes.add_many(slots)
        self.version += 1
        return result._replace(version=self.version)
