"""Sizes: how long arrays of rows are, how they are padded, and how many chunks they have."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vectorkit.types import Float32Array, Int32Array

CAPACITY_MIN: Final = 8
CHUNKS_MAX: Final = 16
CHUNK_ROWS_MIN: Final = 1 << 13
"""So many rows are copied in less than a millisecond."""

_STEPPED_FROM: Final = 1 << 17
_ALIGNMENT_BYTES: Final = 64


Positions: TypeAlias = slice | NDArray[np.intp]
"""Positions in an array: a range of them, or any."""


def padded_size(count: int) -> int:
    """The power of two, at least `CAPACITY_MIN`, that holds `count`.

    Rows, batches and queries all come in these sizes, so that few programs are compiled.

    >>> padded_size(3), padded_size(8), padded_size(9)
    (8, 8, 16)
    """
    return max(CAPACITY_MIN, 1 << (count - 1).bit_length())


def padded(array: NDArray[Any], size: int | None = None) -> NDArray[Any]:
    """The array with zeros behind it, up to `size` or its padded size; one stays one.

    >>> padded(np.ones(3)).tolist()
    [1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    """
    length = size or (1 if len(array) == 1 else padded_size(len(array)))
    if length == len(array):
        return array
    longer = np.zeros((length, *array.shape[1:]), array.dtype)
    longer[: len(array)] = array
    return longer


def grown_capacity(capacity: int, count: int) -> int:
    """The capacity that follows `capacity` when `count` rows need room.

    The next power of two up to `_STEPPED_FROM`, beyond it at least twice the old one and a multiple
    of an eighth of a power of two, so that appending costs O(1) a row and a large load wastes
    little. A mesh of three devices rounds 8 up to 9: what follows is still 16.

    >>> grown_capacity(8, 9), grown_capacity(65_536, 65_537), grown_capacity(8, 1_000_000)
    (16, 131072, 1048576)
    >>> grown_capacity(9, 10), grown_capacity(8, 1_100_000)
    (16, 1179648)
    """
    wanted = padded_size(max(count, capacity + 1))
    if wanted <= _STEPPED_FROM:
        return wanted
    doubled = max(count, 2 * capacity)
    step = padded_size(doubled) // 16
    return -(-doubled // step) * step


def chunk_length(capacity: int, least: int = CHUNK_ROWS_MIN) -> int:
    """How many rows each chunk of a collection of this capacity has.

    A write after a snapshot copies the chunks that it changes, so there are several; a search takes
    a little time for each of them, so there are at most 16.

    >>> [chunk_length(capacity) for capacity in (64, 8_192, 16_384, 131_072, 1 << 20, 9 << 17)]
    [64, 8192, 8192, 8192, 65536, 131072]
    """
    if capacity <= least:
        return capacity
    return max(least, padded_size(capacity) // CHUNKS_MAX)


def by_chunk(slots: Int32Array, length: int) -> Iterator[tuple[int, Positions]]:
    """Divide slots by chunks of `length` rows.

    Yields the number of each chunk that has some of them, and their positions in `slots`: as a
    slice where the slots ascend.

    >>> list(by_chunk(np.array([3, 8, 9], np.int32), 8))
    [(0, slice(0, 1, None)), (1, slice(1, 3, None))]
    """
    chunk_of = slots // length
    if len(slots) == 0:
        return
    if (chunk_of == chunk_of[0]).all():
        yield int(chunk_of[0]), slice(None)
        return
    order = None if (chunk_of[1:] >= chunk_of[:-1]).all() else np.argsort(chunk_of, kind="stable")
    numbers, starts = np.unique(chunk_of if order is None else chunk_of[order], return_index=True)
    ends = [*starts[1:].tolist(), len(slots)]
    for number, start, end in zip(numbers.tolist(), starts.tolist(), ends, strict=True):
        yield number, slice(start, end) if order is None else order[start:end]


def aligned_zeros(shape: tuple[int, ...]) -> Float32Array:
    """Zeros that JAX takes as a CPU array without a copy, where nobody changes them any more.

    >>> aligned_zeros((3, 5)).ctypes.data % 64
    0
    """
    size = math.prod(shape) * 4
    memory = np.zeros(size + _ALIGNMENT_BYTES, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT_BYTES
    return memory[start : start + size].view(np.float32).reshape(shape)
