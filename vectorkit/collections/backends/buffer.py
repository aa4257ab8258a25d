"""The host write buffer: accepted rows that the device does not have yet."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np

from vectorkit.collections.backends.state import Positions, by_chunk, padded_size
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
    capacity: int

    def in_chunks(self, length: int) -> Iterator[tuple[int, Batch, Positions]]:
        """Divide the batch by chunks of `length` rows.

        Yields each chunk's number, its part, and the positions of the part's rows in this batch.
        Slots count from the start of the chunk. A part shares the memory of the batch only if it
        has all its rows.
        """
        if length == self.capacity:
            yield 0, self, slice(None)
            return
        slots, dim = self.slots[: self.row_count], self.rows.shape[1]
        for number, which in by_chunk(slots, length):
            own = slots[which]
            count, size = len(own), padded_size(len(own))
            places = np.full(size, length, np.int32)
            np.subtract(own, number * length, out=places[:count])
            rows = self.rows
            if count < self.row_count:
                rows = np.zeros((size, dim), np.float32)
                rows[:count] = self.rows[: self.row_count][which]
            yield number, Batch(places, rows, count, length), which


class WriteBuffer:
    """Rows and their slots in the order in which they were accepted; the last one of a slot counts.

    The buffer does not know how many rows are accepted: the collection's `Head` has that number, so
    that one assignment accepts rows. Rows after the accepted ones do not count and are overwritten.
    A flush takes another buffer, because JAX may read this one's memory until the scatter has run.
    """

    __slots__ = ("_looked_at", "_position_of", "rows", "slots")

    def __init__(self, dim: int) -> None:
        self.rows: Float32Array = np.empty((BUFFER_ROWS, dim), np.float32)
        self.slots = [0] * BUFFER_ROWS
        self._position_of: dict[int, int] = {}
        self._looked_at = 0

    @property
    def nbytes(self) -> int:
        """Host bytes."""
        return self.rows.nbytes + sys.getsizeof(self.slots) + sys.getsizeof(self._position_of)

    def put(self, used: int, slots: Int32Array, rows: Float32Array) -> int:
        """Put rows (count, dim) behind the first `used` ones, where there is room for them.

        Returns the number of rows that the buffer has once these are accepted.
        """
        end = used + len(slots)
        self.rows[used:end] = rows
        self.slots[used:end] = slots.tolist()
        return end

    def find(self, slot: int, used: int) -> Float32Array | None:
        """The last row for a slot among the first `used` ones; it shares the buffer's memory."""
        first = self._looked_at
        self._position_of.update(zip(self.slots[first:used], range(first, used), strict=True))
        self._looked_at = used
        position = self._position_of.get(slot)
        return None if position is None else self.rows[position]

    def batch(self, used: int, capacity: int) -> Batch:
        """The first `used` rows, one for each slot, for one scatter."""
        position_of = dict(zip(self.slots[:used], range(used), strict=True))
        count = len(position_of)
        size = padded_size(count)
        slots = np.full(size, capacity, np.int32)
        slots[:count] = list(position_of)
        if count == used:
            return Batch(slots, self.rows[:size], count, capacity)
        rows = np.zeros((size, self.rows.shape[1]), np.float32)
        rows[:count] = self.rows[list(position_of.values())]
        return Batch(slots, rows, count, capacity)


def padded_batch(slots: Int32Array, rows: Float32Array, capacity: int) -> Batch:
    """Slots (count,) and rows (count, dim), padded for one scatter."""
    count, size = len(slots), padded_size(len(slots))
    if count == size:
        return Batch(slots, rows, count, capacity)
    padded_slots = np.full(size, capacity, np.int32)
    padded_slots[:count] = slots
    padded_rows = np.zeros((size, rows.shape[1]), np.float32)
    padded_rows[:count] = rows
    return Batch(padded_slots, padded_rows, count, capacity)
