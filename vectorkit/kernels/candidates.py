"""Picking candidates: float32 scores by one matrix product, then the best few of each query.

These scores are approximate and serve only to choose which rows `kernels.canonical` scores.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from vectorkit.types import Metric


def approximate_scores(
    rows: Float[Array, "capacity dim"],
    norms: Float[Array, " capacity"],
    queries: Float[Array, "batch dim"],
    query_norms: Float[Array, " batch"],
    metric: Metric,
) -> Float[Array, "batch capacity"]:
    """Larger is better. Cosine expects unit queries; euclidean gives −‖x − q‖²."""
    products = jnp.matmul(queries, rows.T, precision=jax.lax.Precision.HIGHEST)
    if metric == "dot":
        return products
    if metric == "cosine":
        return jnp.where(norms > 0, products / norms, 0.0)
    return 2.0 * products - jnp.square(norms) - jnp.square(query_norms)[:, None]


def pick_candidates(
    rows: Float[Array, "capacity dim"],
    norms: Float[Array, " capacity"],
    queries: Float[Array, "batch dim"],
    query_norms: Float[Array, " batch"],
    count: Int[Array, ""],
    metric: Metric,
    width: int,
) -> tuple[
    Float[Array, "batch width"],
    Int[Array, "batch width"],
    Float[Array, "batch width dim"],
    Float[Array, ""],
]:
    """The `width` best of the first `count` rows for each query, ties by lowest slot.

    Returns approximate scores (descending; −inf beyond `count`), slots, the rows themselves, and
    the largest norm in use, which the error bound needs.
    """
    is_used = jnp.arange(rows.shape[0]) < count
    scores = approximate_scores(rows, norms, queries, query_norms, metric)
    scores, slots = jax.lax.top_k(jnp.where(is_used, scores, -jnp.inf), width)
    return scores, slots, rows[slots], jnp.max(jnp.where(is_used, norms, 0.0))
