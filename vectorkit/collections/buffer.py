"""The host write buffer: accepted rows on their way to the device."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from vectorkit.collections.state import padded_size
from vectorkit.types import Float32Array, Int32Array

BUFFER_ROWS: Final = 1024
BUFFERED_BATCH_MAX: Final = 128
"""Larger batches go to the device directly: for them a scatter costs less than the buffer."""


class Batch(NamedTuple):
    """Rows for one scatter: slots (size,) and rows (size, dim), of which `row_count` are real.

    The slots of padding are the capacity, which drops it.
    """

    slots: Int32Array
    rows: Float32Array
    row_count: int


class WriteBuffer:
    """Rows by slot, one row a slot: a later write to the same slot overwrites.

    A flush gives its arrays away and starts with new ones, since JAX may read the memory of the old
    ones until the scatter has run.
    """

    __slots__ = ("_position_of", "_rows", "dim")

    def __init__(self, dim: int) -> None:
        self.dim = dim
        self.clear()

    def __len__(self) -> int:
        return len(self._position_of)

    def clear(self) -> None:
        """Forget everything."""
        self._position_of: dict[int, int] = {}
        self._rows: Float32Array = np.empty((BUFFER_ROWS, self.dim), np.float32)

    @property
    def nbytes(self) -> int:
        """Host bytes."""
        return self._rows.nbytes

    def has_room(self, count: int) -> bool:
        """Whether `count` more rows fit, whatever their slots."""
        return len(self._position_of) + count <= BUFFER_ROWS

    def put(self, slot: int, row: Float32Array) -> bool:
        """Accept one row of shape (dim,) if there is room, and say so."""
        count = len(self._position_of)
        if count == BUFFER_ROWS:
            return False
        self._rows[self._position_of.setdefault(slot, count)] = row
        return True

    def put_many(self, slots: Int32Array, rows: Float32Array) -> None:
        """Accept rows (count, dim) for distinct slots; there must be room."""
        if len(slots) == 1:
            self.put(slots.item(), rows[0])
            return
        position_of = self._position_of
        places = [position_of.setdefault(slot, len(position_of)) for slot in slots.tolist()]
        self._rows[places] = rows

    def batch(self, capacity: int) -> Batch:
        """Everything accepted, for one scatter."""
        count = len(self._position_of)
        size = padded_size(count)
        slots = np.full(size, capacity, np.int32)
        slots[:count] = list(self._position_of)
        return Batch(slots, self._rows[:size], count)


def padded_batch(slots: Int32Array, rows: Float32Array, capacity: int) -> Batch:
    """Slots (count,) and rows (count, dim), padded for one scatter."""
    count, size = len(slots), padded_size(len(slots))
    if count == size:
        return Batch(slots, rows, count)
    padded_slots = np.full(size, capacity, np.int32)
    padded_slots[:count] = slots
    padded_rows = np.zeros((size, rows.shape[1]), np.float32)
    padded_rows[:count] = rows
    return Batch(padded_slots, padded_rows, count)
