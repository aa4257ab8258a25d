"""Scanning codes in two passes: the best of every block of rows, then the rows of the best blocks.

The best w rows lie in the w blocks of largest maximum. So the first pass over all codes keeps one
number a block, which costs a batch of queries far less than selecting rows in every tile, and the
second scores the few rows of each query's blocks again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import jax
import jax.numpy as jnp
import numpy as np

from vectorkit.kernels.select import NO_SLOT, select_best, tile_rows
from vectorkit.kernels.shapes import Array, Bool, Float, Int, Shaped
from vectorkit.types import Metric

BLOCK_ROWS: Final = 8
"""Rows that share a maximum: fewer make the selection of blocks dearer, more the second pass."""

MAXIMA_NUMBERS: Final = 1 << 22
"""Maxima of all queries that are kept at once: 16 MB."""

SHARED: Final = frozenset({"codebook", "constants"})
"""What of prepared queries belongs to all of them; all else has the queries as its first axis."""

_LOWEST: Final = float(np.finfo(np.float32).min)

Codes = tuple[Shaped[Array, "capacity ..."], ...]
Prepared = dict[str, Array]

TileScores = Callable[[Any, Prepared, Metric], Array]
"""`(codes of a tile, prepared queries, metric) -> scores (tile, batch)`."""


def scan_codes(
    codes: Codes,
    prepared: Prepared,
    count: Int[Array, ""],
    mask: Bool[Array, " capacity"] | None,
    tile_scores: TileScores,
    metric: Metric,
    width: int,
    dim: int,
) -> Int[Array, "batch width"]:
    """The slots of the `width` rows whose codes score best, best first; then `NO_SLOT`."""
    capacity, batch = codes[0].shape[0], len(prepared["norms"])
    rows_in_block = min(BLOCK_ROWS, capacity & -capacity)
    tile = max(rows_in_block, tile_rows(capacity, dim, batch, 1))

    def tile_maxima(start: Int[Array, ""]) -> Float[Array, "blocks batch"]:
        some = tuple(jax.lax.dynamic_slice_in_dim(array, start, tile) for array in codes)
        scores = jnp.maximum(tile_scores(some, prepared, metric), _LOWEST)
        is_wanted = start + jnp.arange(tile, dtype=jnp.int32) < count
        if mask is not None:
            is_wanted &= jax.lax.dynamic_slice_in_dim(mask, start, tile)
        scores = jnp.where(is_wanted[:, None], scores, -jnp.inf)
        return scores.reshape(-1, rows_in_block, batch).max(axis=1)

    blocks = _best_blocks(tile_maxima, tile, rows_in_block, capacity, batch, width, count)
    within = jnp.arange(rows_in_block, dtype=jnp.int32)
    is_block = blocks < NO_SLOT
    slots = jnp.where(is_block, blocks, 0)[:, :, None] * rows_in_block + within
    slots = jnp.where(is_block[:, :, None], slots, NO_SLOT).reshape(batch, -1)
    each = {name: array for name, array in prepared.items() if name not in SHARED}
    shared = {name: array for name, array in prepared.items() if name in SHARED}

    def best_rows(asked: tuple[Array, Prepared]) -> Int[Array, " width"]:
        places, own = asked
        query = {name: array[None] for name, array in own.items()} | shared
        some = tuple(array.at[places].get(mode="clip") for array in codes)
        scores = jnp.maximum(tile_scores(some, query, metric)[:, 0], _LOWEST)
        is_wanted = places < count
        if mask is not None:
            is_wanted &= mask.at[places].get(mode="clip")
        best, order = jax.lax.top_k(jnp.where(is_wanted, scores, -jnp.inf), width)
        return jnp.where(best > -jnp.inf, places[order], NO_SLOT)

    found: Array = jax.lax.map(best_rows, (slots, each))
    return found


def _best_blocks(
    tile_maxima: Callable[[Int[Array, ""]], Float[Array, "blocks batch"]],
    tile: int,
    rows_in_block: int,
    capacity: int,
    batch: int,
    width: int,
    count: Int[Array, ""],
) -> Int[Array, "batch blocks"]:
    """The blocks of largest maximum in ascending order, `NO_SLOT` behind them.

    Maxima of as many rows as fit are made tile by tile before any block is selected.
    """
    fitting = max(1, MAXIMA_NUMBERS // batch)
    span = max(tile, min(capacity & -capacity, rows_in_block << (fitting.bit_length() - 1)))
    blocks = span // rows_in_block

    def span_maxima(first: Int[Array, ""]) -> Float[Array, "blocks batch"]:
        start = first * rows_in_block

        def visit(index: Int[Array, ""], maxima: Array) -> Array:
            made = tile_maxima(start + index * tile)
            return jax.lax.dynamic_update_slice_in_dim(
                maxima, made, index * (tile // rows_in_block), 0
            )

        nothing = jnp.full((blocks, batch), -jnp.inf, jnp.float32)
        tiles = jnp.minimum((count - start + tile - 1) // tile, span // tile)
        filled: Array = jax.lax.fori_loop(0, tiles, visit, nothing)
        return filled

    in_use = (count + rows_in_block - 1) // rows_in_block
    _, best = select_best(span_maxima, blocks, batch, min(width, capacity // rows_in_block), in_use)
    return jnp.sort(best, axis=1)
