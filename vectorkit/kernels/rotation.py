"""A random rotation by additions: the same bits for a row in whatever batch it comes.

Signs are flipped at random, then a fast Walsh–Hadamard transform mixes the first 2ᵏ coordinates
and another the last 2ᵏ, the largest power that fits; where the two overlap too little, one step
that pairs the halves carries what is left (compare Kac's walk in the RaBitQ library). Every
operation is elementwise float32 on NumPy arrays, so neither the batch nor the machine's matrix
product has a say, and no coordinate is padded: the rotation is square and can be undone.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from vectorkit.draws import address, draw_block, fold
from vectorkit.types import Float32Array

ROUNDS: Final = 2
STREAM: Final = 0x524F_5441
"""The stream of the rotation's draws, so that no other user of the seed shares them."""

_BLOCK_BYTES: Final = 1 << 18
_HALF_ROOT: Final = np.float32(np.sqrt(0.5))


def rotation_signs(dim: int, seed: int) -> Float32Array:
    """Signs (rounds, 2, dim) of ±1: a pure function of dimension and seed.

    >>> rotation_signs(3, seed=7).shape
    (2, 2, 3)
    """
    prefix = fold(address(seed), STREAM, dim)
    draws = draw_block(prefix, ROUNDS * 2 * dim).reshape(ROUNDS, 2, dim)
    return np.where(draws >> np.uint32(31), np.float32(1), np.float32(-1))


def rotate(rows: Float32Array, signs: Float32Array) -> Float32Array:
    """Rows (count, dim), rotated: lengths and products stay, directions become random.

    >>> row = np.array([[3, 4, 0]], np.float32)
    >>> signs = rotation_signs(3, seed=7)
    >>> np.allclose(rotate_back(rotate(row, signs), signs), row, atol=1e-6)
    True
    """
    return _in_blocks(rows, signs, is_back=False)


def rotate_back(rows: Float32Array, signs: Float32Array) -> Float32Array:
    """Undo `rotate`, up to rounding."""
    return _in_blocks(rows, signs, is_back=True)


def _in_blocks(rows: Float32Array, signs: Float32Array, *, is_back: bool) -> Float32Array:
    """Transposed blocks that fit into the cache: every addition runs over contiguous memory."""
    count, dim = rows.shape
    turned = np.empty((count, dim), np.float32)
    block_rows = max(1, _BLOCK_BYTES // (4 * dim))
    for start in range(0, count, block_rows):
        block = np.array(rows[start : start + block_rows].T, order="C")
        _turn(block, signs[..., None], is_back=is_back)
        turned[start : start + block_rows] = block.T
    return turned


def _turn(block: Float32Array, signs: Float32Array, *, is_back: bool) -> None:
    dim = len(block)
    power = 1 << (dim.bit_length() - 1)
    first, last = block[:power], block[dim - power :]
    scratch = np.empty_like(first)
    for first_signs, last_signs in reversed(signs) if is_back else signs:
        if is_back:
            if power < dim:
                _pair_halves(block)
                _transform(last, scratch)
                block *= last_signs
            _transform(first, scratch)
            block *= first_signs
        else:
            block *= first_signs
            _transform(first, scratch)
            if power < dim:
                block *= last_signs
                _transform(last, scratch)
                _pair_halves(block)


def _transform(block: Float32Array, scratch: Float32Array) -> None:
    """The orthonormal Walsh–Hadamard transform of axis 0, in place; it is its own inverse."""
    size, count = block.shape
    source, target = block, scratch
    step = 1
    while step < size:
        pairs = source.reshape(size // (2 * step), 2, step * count)
        sums = target.reshape(size // (2 * step), 2, step * count)
        np.add(pairs[:, 0], pairs[:, 1], out=sums[:, 0])
        np.subtract(pairs[:, 0], pairs[:, 1], out=sums[:, 1])
        source, target = target, source
        step *= 2
    np.multiply(source, np.float32(size**-0.5), out=block)


def _pair_halves(block: Float32Array) -> None:
    """Mix coordinate i with coordinate i + ⌈dim / 2⌉, in place; it is its own inverse."""
    half = len(block) // 2
    lower, upper = block[:half], block[len(block) - half :]
    sums = (lower + upper) * _HALF_ROOT
    np.multiply(lower - upper, _HALF_ROOT, out=upper)
    lower[:] = sums
