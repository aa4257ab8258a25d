"""Scan planes of bits with queries of several bits: count differing bits, or multiply as int8.

A row is a height on the first axis and `scale · l` on the other axes. Its levels l are Σ 2ʲ sⱼ with
planes of signs sⱼ, a query is `half_step · Σ 2ᵏ pₖ` with planes of signs pₖ. The product of two
vectors of signs is `dim − 2 · popcount(s xor p)`. So one plane of a row and a query of B bits cost
B population counts per word, and the result is far closer to the true product than that of the
query's signs alone (RaBitQ, Gao and Long, SIGMOD 2024). For a batch a tile's bits are unpacked once
and multiplied with all queries as int8, which gives the same counts: two numbers b and q of one bit
differ b + q − 2bq times.
"""

from __future__ import annotations

from typing import Final

import jax
import jax.numpy as jnp

from vectorkit.kernels.shapes import Array, Float, Int, Int8, UInt32
from vectorkit.types import Metric

PRODUCT_BATCH_MIN: Final = 8
"""From this many queries on, products of unpacked bits beat population counts."""

_HALF_SQUARE_MAX: Final = 2.0**127 * (1.0 - 2.0**-20)

Codes = tuple[UInt32[Array, "tile words"], Float[Array, " tile"], Float[Array, " tile"]]


def tile_scores(
    codes: Codes, prepared: dict[str, Array], metric: Metric
) -> Float[Array, "tile batch"]:
    """Estimated scores of a tile: words, scales and heights of its rows, for every query.

    Larger is better; never NaN. Cosine expects unit queries; euclidean gives −‖x − q‖². `prepared`
    has `planes` (batch, bits, words) uint32, the lowest bit first, and float32 arrays (batch,):
    a product of levels is `offsets − steps · Σ 2ʲ⁺ᵏ popcount`, `heights` are the queries' and
    `norms` those of their other coordinates. `constants` are the number of these, and the factor
    of the mean square of rows over that of decoded rows.
    """
    words, scales, heights = codes
    planes = prepared["planes"]
    count = counts_by_words if planes.shape[0] < PRODUCT_BATCH_MIN else counts_by_products
    levels = prepared["offsets"] - prepared["steps"] * count(words, planes).astype(jnp.float32)
    products = levels * scales[:, None]
    if metric == "dot":
        return products + heights[:, None] * prepared["heights"]
    squares = _squared_levels(words, planes.shape[2], prepared["constants"])
    if metric == "cosine":
        products += heights[:, None] * prepared["heights"]
        return products * _reciprocal_norms(heights, scales, squares)[:, None]
    # Halves: the sum of two halved squares cannot overflow, so an infinite product meets no
    # infinity of the other sign. Heights are subtracted before they are squared: rows and queries
    # may all lie far from the origin and close to each other.
    apart = heights[:, None] - prepared["heights"]
    halves = jnp.minimum((0.5 * scales) * (scales * squares), _HALF_SQUARE_MAX)
    products -= halves[:, None] + 0.5 * jnp.square(prepared["norms"])
    return 2.0 * (products - apart * (0.5 * apart))


def _reciprocal_norms(
    heights: Float[Array, " tile"], scales: Float[Array, " tile"], squares: Float[Array, " tile"]
) -> Float[Array, " tile"]:
    """1 / √(height² + scale² · squares), and 0 for a row of zeros; no square overflows."""
    largest = jnp.maximum(jnp.abs(heights), scales)
    inverse = 1.0 / jnp.where(largest > 0, largest, 1.0)
    sums = jnp.square(heights * inverse) + jnp.square(scales * inverse) * squares
    return jnp.where(largest > 0, jax.lax.rsqrt(sums) * inverse, 0.0)


def _squared_levels(
    words: UInt32[Array, "tile words"], plane_words: int, constants: Float[Array, " 2"]
) -> Float[Array, " tile"]:
    """Σ l² of every row, times the factor by which the squares of decoded rows are too small.

    With two planes l is ±1 where the bits differ, and ±3 elsewhere.
    """
    if words.shape[1] == plane_words:
        return jnp.full(words.shape[0], constants[0] * constants[1])
    differing = jax.lax.population_count(words[:, :plane_words] ^ words[:, plane_words:])
    inner = jnp.sum(differing, axis=1, dtype=jnp.int32).astype(jnp.float32)
    return (9.0 * constants[0] - 8.0 * inner) * constants[1]


def counts_by_words(
    words: UInt32[Array, "tile words"], planes: UInt32[Array, "batch bits plane_words"]
) -> Int[Array, "tile batch"]:
    """Σ 2ʲ⁺ᵏ · (bits of plane j of a row that differ from plane k), for all pairs, by counting."""
    width = planes.shape[2]
    differing = sum(
        jax.lax.population_count(words[:, None, first : first + width] ^ planes[:, bit])
        << (bit + first // width)
        for first in range(0, words.shape[1], width)
        for bit in range(planes.shape[1])
    )
    return jnp.sum(differing, axis=-1, dtype=jnp.int32)


def counts_by_products(
    words: UInt32[Array, "tile words"], planes: UInt32[Array, "batch bits plane_words"]
) -> Int[Array, "tile batch"]:
    """The same numbers by one int8 product of the numbers of rows with those of queries."""
    row_planes = words.reshape(words.shape[0], -1, planes.shape[2])
    queries = _numbers(planes)
    products = jax.lax.dot_general(
        _numbers(row_planes), queries, (((1,), (1,)), ((), ())), preferred_element_type=jnp.int32
    )
    ones = jax.lax.population_count(row_planes).astype(jnp.int32).sum(axis=2)
    row_sums = jnp.sum(ones << jnp.arange(ones.shape[1]), axis=1, dtype=jnp.int32)
    query_sums = queries.astype(jnp.int32).sum(axis=1)
    row_top, query_top = (1 << ones.shape[1]) - 1, (1 << planes.shape[1]) - 1
    return row_sums[:, None] * query_top + query_sums * row_top - 2 * products


def _numbers(planes: UInt32[Array, "count bits words"]) -> Int8[Array, "count dim"]:
    weights = jnp.int8(1) << jnp.arange(planes.shape[1], dtype=jnp.int8)
    return jnp.sum(_unpacked(planes) * weights[:, None], axis=1, dtype=jnp.int8)


def _unpacked(words: UInt32[Array, "... words"]) -> Int8[Array, "... bits"]:
    bits: Array = (words[..., None] >> jnp.arange(32, dtype=jnp.uint32)) & jnp.uint32(1)
    return bits.astype(jnp.int8).reshape(*words.shape[:-1], -1)
