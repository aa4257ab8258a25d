"""Rescoring: float32 scores of the rows that a scan of codes proposed, for each query its own.

They stand between estimates and canonical scores: good enough to say which few of the proposed
rows deserve the canonical scoring, at a fraction of its cost.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from vectorkit.kernels.canonical import ZERO_NORM
from vectorkit.kernels.select import NO_SLOT
from vectorkit.kernels.shapes import Array, Float, Int
from vectorkit.types import Metric


def best_rows(
    rows: Float[Array, "capacity dim"],
    queries: Float[Array, "batch dim"],
    slots: Int[Array, "batch proposed"],
    metric: Metric,
    width: int,
) -> tuple[Int[Array, "batch width"], Float[Array, "batch width dim"]]:
    """The `width` of the proposed slots whose rows score best in float32, and these rows.

    Best first, ties as they were proposed; places that were `NO_SLOT` come last and stay so.
    """

    def best_of(asked: tuple[Array, Array]) -> tuple[Array, Array]:
        query, places = asked
        found = rows.at[places].get(mode="clip")
        scores = jnp.where(places < NO_SLOT, row_scores(found, query, metric), -jnp.inf)
        _, order = jax.lax.top_k(scores, width)
        return places[order], found[order]

    best: tuple[Array, Array] = jax.lax.map(best_of, (queries, slots))
    return best


def row_scores(
    rows: Float[Array, "count dim"], query: Float[Array, " dim"], metric: Metric
) -> Float[Array, " count"]:
    """Scores in float32, up to a positive factor of the query; finite for all rows and queries.

    Everything is divided by its largest coordinate first, so no square overflows or is lost, and
    euclidean sums squares of differences, so near duplicates get different scores.
    """
    if metric == "euclidean":
        directions, scales = _scaled(rows - query)
        return -scales * jnp.sqrt(jnp.sum(directions * directions, axis=-1))
    target, _ = _scaled(query)
    if metric == "dot":
        return jnp.sum(rows * target, axis=-1)
    directions, scales = _scaled(rows)
    lengths = jnp.sqrt(jnp.sum(directions * directions, axis=-1))
    products = jnp.sum(directions * target, axis=-1)
    return jnp.where(scales * lengths >= ZERO_NORM, products / jnp.maximum(lengths, 1.0), 0.0)


def _scaled(
    vectors: Float[Array, "... dim"],
) -> tuple[Float[Array, "... dim"], Float[Array, ...]]:
    """Vectors by their largest magnitudes, and these; zeros stay zeros."""
    scales = jnp.max(jnp.abs(vectors), axis=-1)
    return vectors / jnp.where(scales > 0, scales, 1.0)[..., None], scales
