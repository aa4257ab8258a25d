"""What a collection holds on its device: frozen arrays, no behaviour."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import jax
import numpy as np
from numpy.typing import NDArray

from vectorkit.kernels.shapes import Array, Float
from vectorkit.types import Float32Array

CAPACITY_MIN: Final = 8
_STEPPED_FROM: Final = 1 << 17
_ALIGNMENT_BYTES: Final = 64


@jax.tree_util.register_dataclass
@dataclass(frozen=True, slots=True)
class CollectionState:
    """The rows as they were given, and their canonical norms. Unused slots hold zeros or leftovers.

    Shapes: rows (capacity, dim) float32, norms (capacity,) float32.
    """

    rows: Float[Array, "capacity dim"]
    norms: Float[Array, " capacity"]


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


def aligned_zeros(shape: tuple[int, ...]) -> Float32Array:
    """Zeros that JAX takes as a CPU array without a copy, where nobody changes them any more.

    >>> aligned_zeros((3, 5)).ctypes.data % 64
    0
    """
    size = math.prod(shape) * 4
    memory = np.zeros(size + _ALIGNMENT_BYTES, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT_BYTES
    return memory[start : start + size].view(np.float32).reshape(shape)
