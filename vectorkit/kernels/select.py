"""Selecting the best slots of each query while scores are made tile by tile.

Every kind of rows has its own way to score a tile; this is what they share. Scores never exist
for more than one tile, only tiles in use are visited, and a change of `count` compiles nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import jax
import jax.numpy as jnp

from vectorkit.kernels.shapes import Array, Bool, Float, Int

TILE_NUMBERS: Final = 1 << 21
"""Numbers scored at once: a tile stays in the cache until it has been multiplied."""

LARGE_TILE_NUMBERS: Final = 1 << 23
"""The same where that is not what costs: one query reads once, a large batch multiplies long."""

TILE_ROWS: Final = 8192
"""Rows scored at once, at most: so closely the cost of a search follows the rows in use."""

LARGE_BATCH: Final = 256
"""From so many queries on a tile has twice the rows: 64 MB of scores for 1,024 queries."""

BLOCK_ROWS: Final = 32
"""Rows whose maximum stands for them: only the best blocks of a tile are looked into."""

NO_SLOT: Final = 2**31 - 1
"""Stands where no slot was found: beyond every capacity."""

Found = tuple[Float[Array, "batch width"], Int[Array, "batch width"]]
ScoreTile = Callable[[Int[Array, ""]], Float[Array, "tile batch"]]


def tile_rows(capacity: int, dim: int, batch: int, width: int) -> int:
    """How many rows one call of `score_tile` must score: a divisor of the capacity.

    `dim` counts the numbers that are multiplied for one row and query.

    >>> tile_rows(64, 50, batch=1, width=16), tile_rows(1 << 20, 50, batch=1, width=16)
    (64, 8192)
    >>> tile_rows(1 << 20, 384, batch=32, width=16), tile_rows(1 << 20, 384, batch=512, width=16)
    (4096, 16384)
    >>> tile_rows(9 << 14, 50, batch=1, width=1 << 17)
    16384
    """
    is_cached = 1 < batch < LARGE_BATCH
    numbers = TILE_NUMBERS if is_cached else LARGE_TILE_NUMBERS
    fitting = 1 << (max(1, numbers // dim).bit_length() - 1)
    preferred = min(fitting, TILE_ROWS if batch < LARGE_BATCH else 2 * TILE_ROWS)
    return min(capacity & -capacity, max(preferred, 1 << (width - 1).bit_length()))


def select_best(
    score_tile: ScoreTile,
    tile: int,
    batch: int,
    width: int,
    count: Int[Array, ""],
    mask: Bool[Array, " capacity"] | None = None,
) -> Found:
    """The `width` best of the first `count` slots for each query, best first.

    `score_tile(start)` gives the float32 scores of the slots start … start + tile − 1, which lie
    within the capacity, for all queries; larger is better, none is NaN. It is called while a loop
    is traced, once. `tile` comes from `tile_rows`. Where `mask` is given
    only slots that it marks count. No slot left out scores above the last one found; places
    without a slot have −inf and a slot beyond every capacity.
    """
    kept = min(width, tile)

    def visit(index: Int[Array, ""], found: Found) -> Found:
        start = index * tile
        places = jnp.arange(tile, dtype=jnp.int32)
        is_wanted = start + places < count
        if mask is not None:
            is_wanted &= jax.lax.dynamic_slice_in_dim(mask, start, tile)
        scores = jnp.where(is_wanted[:, None], score_tile(start), -jnp.inf)
        best, slots = _best_of_tile(scores, kept)
        scores = jnp.concatenate([found[0], best], axis=1)
        slots = jnp.concatenate([found[1], start + slots], axis=1)
        best, order = jax.lax.top_k(scores, width)
        return best, jnp.take_along_axis(slots, order, axis=1)

    nothing = (
        jnp.full((batch, width), -jnp.inf, jnp.float32),
        jnp.full((batch, width), NO_SLOT, jnp.int32),
    )
    tiles = (count.astype(jnp.int32) + tile - 1) // tile
    found: Found = jax.lax.fori_loop(0, tiles, visit, nothing)
    return found


def _best_of_tile(scores: Float[Array, "tile batch"], width: int) -> Found:
    """The best of a tile and their places: all lie in the `width` blocks of largest maximum."""
    tile, batch = scores.shape
    if tile < 2 * width * BLOCK_ROWS:
        best, places = jax.lax.top_k(scores.T, width)
        return best, places
    blocks = scores.reshape(-1, BLOCK_ROWS, batch)
    _, chosen = jax.lax.top_k(blocks.max(axis=1).T, width)
    within = jnp.arange(BLOCK_ROWS, dtype=jnp.int32)
    inside = blocks[chosen[:, :, None], within, jnp.arange(batch)[:, None, None]]
    best, order = jax.lax.top_k(inside.reshape(batch, -1), width)
    places = (chosen[:, :, None] * BLOCK_ROWS + within).reshape(batch, -1)
    return best, jnp.take_along_axis(places, order, axis=1)
