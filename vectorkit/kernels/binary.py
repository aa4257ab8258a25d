"""Scanning sign bits with a query of several bits: xor and population count, plane by plane.

A row is `scale · s` with signs s, a query is `half_step · Σ 2ᵏ pₖ` with planes of signs pₖ. The
product of two vectors of signs is `dim − 2 · popcount(s xor p)`, so a query of B bits costs B
population counts a word, and is far closer to the true product than its signs alone (RaBitQ, Gao
and Long, SIGMOD 2024).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from vectorkit.kernels.estimates import estimated_scores
from vectorkit.kernels.shapes import Array, Float, UInt32
from vectorkit.types import Metric

Codes = tuple[UInt32[Array, "tile words"], Float[Array, " tile"], Float[Array, " tile"]]


def tile_scores(
    codes: Codes, prepared: dict[str, Array], metric: Metric
) -> Float[Array, "batch tile"]:
    """Estimated scores of a tile: sign words, scales and norms of its rows, for every query.

    `prepared` has `planes` (batch, bits, words) uint32, the lowest bit first, and float32 arrays
    (batch,): a product of signs is `offsets − steps · Σ 2ᵏ popcount`, `shifts` is added to the
    product of a row, `norms` are the query's.
    """
    words, scales, norms = codes
    planes = prepared["planes"]
    counts = sum(
        (_differing_bits(words, planes[:, bit]) << bit for bit in range(planes.shape[1])),
        start=jnp.zeros((planes.shape[0], words.shape[0]), jnp.int32),
    )
    signs = prepared["offsets"][:, None] - prepared["steps"][:, None] * counts.astype(jnp.float32)
    products = signs * scales + prepared["shifts"][:, None]
    return estimated_scores(products, norms, prepared["norms"], metric)


def _differing_bits(words: Array, plane: Array) -> Array:
    differing = jax.lax.population_count(words[None] ^ plane[:, None])
    return jnp.sum(differing.astype(jnp.int32), axis=-1)
