"""Rows in chunks of equal length, read by one program.

The slot s is the row s % length of the chunk s // length.

A program takes the chunks as separate arrays. Joining them would copy all rows, and unrolling the
program over the chunks would make it as many times as long to compile. So a conditional picks the
chunk of a tile: it costs less than a microsecond, and its branches hold the products of one tile.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from vectorkit.kernels.shapes import Array, Int, Shaped

Chunk = tuple[Shaped[Array, "length ..."], ...]
Chunks = tuple[Chunk, ...]
LongerChunks = tuple[tuple[Shaped[Array, "longer ..."], ...], ...]


def capacity_of(chunks: Chunks) -> int:
    """How many rows the chunks have room for."""
    return len(chunks) * int(chunks[0][0].shape[0])


def on_tile(
    chunks: Chunks, start: Int[Array, ""], tile: int, function: Callable[..., Array]
) -> Array:
    """Return `function(*arrays)` of the slots start … start + tile − 1, which lie in one chunk.

    `tile` divides the length of a chunk, and `start` is a multiple of it.
    """
    length = chunks[0][0].shape[0]

    def of(chunk: Chunk) -> Callable[[Int[Array, ""]], Array]:
        def branch(first: Int[Array, ""]) -> Array:
            return function(*[jax.lax.dynamic_slice_in_dim(array, first, tile) for array in chunk])

        return branch

    if len(chunks) == 1:
        return of(chunks[0])(start)
    found: Array = jax.lax.switch(start // length, list(map(of, chunks)), start % length)
    return found


def rows_at(arrays: tuple[Array, ...], slots: Int[Array, "*batch"]) -> Array:
    """The rows at `slots` of one array in chunks. A slot beyond the capacity gets any row.

    Every chunk is read at every place, and all but one of the rows are dropped. That is faster
    than a conditional for each slot, up to thousands of slots.
    """
    length = arrays[0].shape[0]
    chunk, place = slots // length, slots % length
    found = arrays[0].at[place].get(mode="promise_in_bounds")
    for number, array in enumerate(arrays[1:], start=1):
        is_here = (chunk == number).reshape(*slots.shape, *[1] * (array.ndim - 1))
        found = jnp.where(is_here, array.at[place].get(mode="promise_in_bounds"), found)
    return found


def regrouped(chunks: Chunks, length: int, count: int) -> LongerChunks:
    """The same rows in `count` longer chunks of `length` rows, with zeros behind them.

    `length` is a multiple of the present length, or there is one chunk only.
    """
    made: list[Any] = []
    in_one = max(1, length // chunks[0][0].shape[0])
    for first in range(0, count * in_one, in_one):
        group = chunks[first : first + in_one]
        made.append(
            tuple(
                _padded([chunk[place] for chunk in group], like, length)
                for place, like in enumerate(chunks[0])
            )
        )
    return tuple(made)


def _padded(arrays: list[Array], like: Array, length: int) -> Array:
    missing = length - sum(len(array) for array in arrays)
    zeros = jnp.zeros((missing, *like.shape[1:]), like.dtype)
    return jnp.concatenate([*arrays, zeros])
