"""The host write buffer: accepted rows on their way to the device."""

from __future__ import annotations

from typing import Final

import numpy as np

from vectorkit.collections.state import padded_size
from vectorkit.kernels.canonical import stored_norms
from vectorkit.types import Float32Array, Int32Array

BUFFER_ROWS: Final = 1024
BUFFERED_BATCH_MAX: Final = 128
"""Larger batches go to the device directly: for them a scatter costs less than the buffer."""


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

    def has_room(self, count: int) -> bool:
        """Whether `count` more rows fit, whatever their slots."""
        return len(self._position_of) + count <= BUFFER_ROWS

    def put(self, slot: int, row: Float32Array) -> None:
        """Accept one row of shape (dim,); there must be room."""
        position = self._position_of.setdefault(slot, len(self._position_of))
        self._rows[position] = row

    def put_many(self, slots: Int32Array, rows: Float32Array) -> None:
        """Accept rows (count, dim) for distinct slots; there must be room."""
        position_of = self._position_of
        places = [position_of.setdefault(slot, len(position_of)) for slot in slots.tolist()]
        self._rows[places] = rows

    def padded(self, capacity: int) -> tuple[Int32Array, Float32Array, Float32Array]:
        """Slots, rows and norms for one scatter; padding goes to `capacity`, which drops it."""
        count = len(self._position_of)
        size = padded_size(count)
        slots = np.full(size, capacity, np.int32)
        slots[:count] = list(self._position_of)
        norms = np.zeros(size, np.float32)
        norms[:count] = stored_norms(self._rows[:count])
        return slots, self._rows[:size], norms


def padded_batch(
    slots: Int32Array, rows: Float32Array, capacity: int
) -> tuple[Int32Array, Float32Array, Float32Array]:
    """Slots (count,), rows (count, dim) and their norms, padded for one scatter."""
    count, size = len(slots), padded_size(len(slots))
    if count == size:
        return slots, rows, stored_norms(rows)
    padded_slots = np.full(size, capacity, np.int32)
    padded_slots[:count] = slots
    padded_rows = np.zeros((size, rows.shape[1]), np.float32)
    padded_rows[:count] = rows
    norms = np.zeros(size, np.float32)
    norms[:count] = stored_norms(rows)
    return padded_slots, padded_rows, norms
