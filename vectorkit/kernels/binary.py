"""Scanning sign bits with queries of several bits: counts of differing bits, or int8 products.

A row is `scale · s` with signs s, a query is `half_step · Σ 2ᵏ pₖ` with planes of signs pₖ. The
product of two vectors of signs is `dim − 2 · popcount(s xor p)`, so a query of B bits costs B
population counts a word, and is far closer to the true product than its signs alone (RaBitQ, Gao
and Long, SIGMOD 2024). One query is counted so. For a batch a tile's bits are unpacked once and
multiplied with all queries as int8, which gives the same counts: two numbers b and q of one bit
differ b + q − 2bq times.
"""

from __future__ import annotations

from typing import Final

import jax
import jax.numpy as jnp

from vectorkit.kernels.estimates import estimated_scores
from vectorkit.kernels.shapes import Array, Float, Int, Int8, UInt32
from vectorkit.types import Metric

PRODUCT_BATCH_MIN: Final = 8
"""From this many queries on, products of unpacked bits beat population counts."""

Codes = tuple[UInt32[Array, "tile words"], Float[Array, " tile"], Float[Array, " tile"]]


def tile_scores(
    codes: Codes, prepared: dict[str, Array], metric: Metric
) -> Float[Array, "tile batch"]:
    """Estimated scores of a tile: sign words, scales and norms of its rows, for every query.

    `prepared` has `planes` (batch, bits, words) uint32, the lowest bit first, and float32 arrays
    (batch,): a product of signs is `offsets − steps · Σ 2ᵏ popcount`, `shifts` is added to the
    product of a row, `norms` are the query's.
    """
    words, scales, norms = codes
    planes = prepared["planes"]
    count = counts_by_words if planes.shape[0] < PRODUCT_BATCH_MIN else counts_by_products
    signs = prepared["offsets"] - prepared["steps"] * count(words, planes).astype(jnp.float32)
    products = signs * scales[:, None] + prepared["shifts"]
    return estimated_scores(products, norms, prepared["norms"], metric)


def counts_by_words(
    words: UInt32[Array, "tile words"], planes: UInt32[Array, "batch bits words"]
) -> Int[Array, "tile batch"]:
    """Σ 2ᵏ · (bits of a row that differ from plane k), for all pairs, by counting them."""
    differing = sum(
        (jax.lax.population_count(words[:, None] ^ planes[:, bit]) << bit)
        for bit in range(planes.shape[1])
    )
    return jnp.sum(differing, axis=-1, dtype=jnp.int32)


def counts_by_products(
    words: UInt32[Array, "tile words"], planes: UInt32[Array, "batch bits words"]
) -> Int[Array, "tile batch"]:
    """The same numbers by one int8 product of unpacked bits with unpacked levels."""
    weights = jnp.int8(1) << jnp.arange(planes.shape[1], dtype=jnp.int8)
    levels = jnp.sum(_unpacked(planes) * weights[:, None], axis=1, dtype=jnp.int8)
    ones = jax.lax.population_count(words).astype(jnp.int32).sum(axis=1)
    products = jax.lax.dot_general(
        _unpacked(words), levels, (((1,), (1,)), ((), ())), preferred_element_type=jnp.int32
    )
    heights = levels.astype(jnp.int32).sum(axis=1)
    return ones[:, None] * ((1 << planes.shape[1]) - 1) + heights - 2 * products


def _unpacked(words: UInt32[Array, "... words"]) -> Int8[Array, "... bits"]:
    bits: Array = (words[..., None] >> jnp.arange(32, dtype=jnp.uint32)) & jnp.uint32(1)
    return bits.astype(jnp.int8).reshape(*words.shape[:-1], -1)
