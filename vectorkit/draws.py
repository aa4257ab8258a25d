"""Addressed randomness: a draw is a pure function of what it decides, never of call order.

A draw is named by a seed and an address (a short tuple of integers: stream, source, target,
message kind, number, attempt). Removing a fault, adding a node or one more retransmission leaves
every other draw as it was, so runs can be compared pairwise and a failing run can be shrunk.

Every step is a 32-bit operation, so that the same bits come from Python, NumPy and a JAX twin
without 64-bit types. Words are folded by an xor and the bijective finaliser `lowbias32` of
Chris Wellons' hash prospector (bias 0.17).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

MASK32: Final = 0xFFFF_FFFF
_FIRST: Final = 0x7FEB_352D
_SECOND: Final = 0x846C_A68B
_STEP: Final = 0x9E37_79B9
CERTAIN: Final = 1 << 32
"""The threshold of a chance of 1: every draw lies below it."""


def fold(prefix: int, *words: int) -> int:
    """Extend an address by more words; equals drawing the whole address at once.

    >>> fold(fold(address(7), 1), 2) == draw(7, 1, 2)
    True
    """
    mixed = prefix
    for word in words:
        mixed = ((mixed ^ word) + _STEP) & MASK32
        mixed = ((mixed ^ (mixed >> 16)) * _FIRST) & MASK32
        mixed = ((mixed ^ (mixed >> 15)) * _SECOND) & MASK32
        mixed ^= mixed >> 16
    return mixed


def address(seed: int) -> int:
    """The root of all addresses of a seed (any non-negative integer below 2**64)."""
    return fold(0, seed & MASK32, (seed >> 32) & MASK32)


def draw(seed: int, *words: int) -> int:
    """A uint32 that depends on the seed and the address only.

    >>> draw(7, 1, 2, 3) == draw(7, 1, 2, 3) != draw(7, 1, 2, 4)
    True
    """
    return fold(address(seed), *words)


def draw_block(prefix: int, count: int) -> NDArray[np.uint32]:
    """`fold(prefix, i)` for i = 0 … count − 1, as one array: shape (count,), uint32.

    >>> draw_block(address(7), 3).tolist() == [draw(7, i) for i in range(3)]
    True
    """
    mixed = np.arange(count, dtype=np.uint32) ^ np.uint32(prefix)
    mixed += np.uint32(_STEP)
    mixed ^= mixed >> np.uint32(16)
    mixed *= np.uint32(_FIRST)
    mixed ^= mixed >> np.uint32(15)
    mixed *= np.uint32(_SECOND)
    mixed ^= mixed >> np.uint32(16)
    return mixed


def threshold(chance: float) -> int:
    """A chance in [0, 1] as an integer: the event happens where `draw < threshold`.

    >>> threshold(0.0), threshold(0.5), threshold(1.0) == CERTAIN
    (0, 2147483648, True)
    """
    return round(chance * CERTAIN)


def below(word: int, bound: int) -> int:
    """Map a draw to an integer in [0, bound): the high half of a 32 × 32-bit product.

    >>> below(0, 10), below(MASK32, 10)
    (0, 9)
    """
    return (word * bound) >> 32
