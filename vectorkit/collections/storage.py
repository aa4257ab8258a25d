"""The single-writer core of a collection: state, tables, buffer and digest, changed as one.

Every write is planned first: whatever can fail (an unknown id, growth, padding, copies to the
device) happens in the plan, on values that no reader sees. Calling the plan makes one state change.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import jax
import numpy as np

from vectorkit.collections import compiled
from vectorkit.collections.buffer import BUFFERED_BATCH_MAX, WriteBuffer, padded_batch
from vectorkit.collections.digest import DigestFold, combine, row_hashes
from vectorkit.collections.results import WriteResult
from vectorkit.collections.state import CollectionState, empty_state, padded_size
from vectorkit.collections.tables import Tables, View, close_holes
from vectorkit.operations import CollectionConfig, Payloads
from vectorkit.types import Float32Array, Id, Int32Array, Payload

Change = Callable[[], WriteResult]
"""A planned write: calling it makes it happen."""

_DIGEST_BLOCK: Final = 1 << 16


class Storage:
    """Rows with their ids and payloads. Not thread-safe: the collection's lock guards it."""

    def __init__(self, config: CollectionConfig, device: jax.Device) -> None:
        self.config = config
        self.state: CollectionState = empty_state(config.dim, device)
        self.tables = Tables()
        self.slot_of: dict[Id, int] = {}
        self.version = 0
        self._buffer = WriteBuffer(config.dim)
        self._fold = DigestFold()
        self._is_state_held = False

    def __len__(self) -> int:
        return len(self.tables.ids)

    @property
    def capacity(self) -> int:
        """How many rows the present arrays have room for."""
        return int(self.state.rows.shape[0])

    def view(self) -> View:
        """The present rows; the buffer must have been flushed."""
        return View(self.state, self.tables, len(self), self.version)

    def hold(self) -> View:
        """The present rows, never changed in place from now on."""
        self.flush()
        self._is_state_held = True
        self.tables.is_held = True
        return self.view()

    def flush(self) -> None:
        """Send accepted rows to the device by one scatter. If it fails they stay accepted."""
        if len(self._buffer):
            self._scatter(*self._buffer.padded(self.capacity))
            self._buffer.clear()

    def put(self, slot: int, row: Float32Array) -> WriteResult:
        """Overwrite the vector of one present row: the short way of `plan_update`."""
        if not self._buffer.has_room(1):
            self.flush()
        self._buffer.put(slot, row)
        self._fold.dirty.add(slot)
        self.version += 1
        return WriteResult(updated=1, version=self.version)

    def plan_upsert(
        self, ids: Sequence[Id], rows: Float32Array, payloads: Payloads | None
    ) -> Change:
        """Write whole rows, new ids to the slots behind the last."""
        count = len(self)
        fresh = [row_id for row_id in ids if row_id not in self.slot_of]
        new_slots = dict(zip(fresh, range(count, count + len(fresh)), strict=True))
        slots = [
            new_slots[row_id] if slot is None else slot
            for row_id, slot in zip(ids, map(self.slot_of.get, ids), strict=True)
        ]
        self._reserve(count + len(fresh))
        write = self._plan_rows(np.array(slots, np.int32), rows)
        filled = payloads if payloads is not None else (None,) * len(ids)

        def change() -> WriteResult:
            if len(fresh) < len(slots):
                self.tables = self.tables.for_overwriting()
            write()
            self.tables.ids.extend(fresh)
            self.tables.payloads.extend([None] * len(fresh))
            self.slot_of.update(new_slots)
            self._set_payloads(slots, filled)
            return self._changed(slots, inserted=len(fresh), updated=len(slots) - len(fresh))

        return change

    def plan_update(
        self,
        slots: Sequence[int],
        rows: Float32Array | None,
        payloads: Payloads | None,
    ) -> Change:
        """Overwrite the vectors, the payloads or both of present rows; None leaves them."""
        write = None if rows is None else self._plan_rows(np.array(slots, np.int32), rows)

        def change() -> WriteResult:
            if payloads is not None:
                self.tables = self.tables.for_overwriting()
            if write is not None:
                write()
            if payloads is not None:
                self._set_payloads(slots, payloads)
            return self._changed(slots, updated=len(slots))

        return change

    def plan_delete(self, slots: Sequence[int]) -> Change:
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

        def change() -> WriteResult:
            self.tables = self.tables.for_overwriting()
            if sources:
                held = self._is_state_held
                move = compiled.move_copy if held else compiled.move_in_place
                self.state = move(self.state, padded_sources, padded_targets)
                self._is_state_held = False
            ids, payloads = self.tables.ids, self.tables.payloads
            gone = [ids[slot] for slot in slots]
            for source, target in zip(sources, targets, strict=True):
                ids[target], payloads[target] = ids[source], payloads[source]
                self.slot_of[ids[target]] = target
            del ids[remaining:], payloads[remaining:]
            for row_id in gone:
                del self.slot_of[row_id]
            self._fold.truncate(remaining, len(slots))
            return self._changed(targets, deleted=len(slots))

        return change

    def digest(self) -> str:
        """The content hash: folds in the rows changed since it was last asked for."""
        self.flush()
        dirty = sorted(self._fold.dirty)
        hashes: list[int] = []
        for start in range(0, len(dirty), _DIGEST_BLOCK):
            block = dirty[start : start + _DIGEST_BLOCK]
            slots = np.zeros(padded_size(len(block)), np.int32)
            slots[: len(block)] = block
            rows = np.asarray(compiled.read(self.state, slots))[: len(block)]
            ids = [self.tables.ids[slot] for slot in block]
            hashes += row_hashes(ids, rows, [self.tables.payloads[slot] for slot in block])
        self._fold.replace(dirty, hashes)
        return combine(self.config, self._fold.total, len(self))

    def _plan_rows(self, slots: Int32Array, rows: Float32Array) -> Callable[[], None]:
        if len(slots) <= BUFFERED_BATCH_MAX:
            if not self._buffer.has_room(len(slots)):
                self.flush()
            return lambda: self._buffer.put_many(slots, rows)
        self.flush()
        batch = padded_batch(slots, rows, self.capacity)
        return lambda: self._scatter(*batch)

    def _scatter(self, slots: Int32Array, rows: Float32Array, norms: Float32Array) -> None:
        write = compiled.write_copy if self._is_state_held else compiled.write_in_place
        self.state = write(self.state, slots, rows, norms)
        self._is_state_held = False

    def _reserve(self, count: int) -> None:
        if count > self.capacity:
            self.flush()
            self.state = compiled.grow(self.state, capacity=padded_size(count))
            self._is_state_held = False

    def _set_payloads(self, slots: Sequence[int], payloads: Sequence[Payload | None]) -> None:
        for slot, payload in zip(slots, payloads, strict=True):
            self.tables.payloads[slot] = payload

    def _changed(
        self, slots: Sequence[int], *, inserted: int = 0, updated: int = 0, deleted: int = 0
    ) -> WriteResult:
        self._fold.dirty.update(slots)
        self.version += 1
        return WriteResult(inserted, updated, deleted, self.version)
