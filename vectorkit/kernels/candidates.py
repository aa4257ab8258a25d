"""Picking candidates: for each query the rows whose score could be largest, by float32 products.

A row is ranked by an upper bound of its true score, its approximate score and its own error. Every
row left out then has a true score of at most the last candidate's bound, which is the proof of an
exact search; a row with a large error merely becomes a candidate.

Derivation. u = 2⁻²⁴; a float32 inner product of length d, summed in any order, errs by at most
γ_d Σ|xᵢtᵢ| ≤ γ_d ‖x‖‖t‖, γ_n = nu / (1 − nu) (Higham, Accuracy and Stability, 3.1 and 3.5), and
by at most d·2⁻¹²⁶ (2 + ‖x‖ + ‖t‖) where subnormals are flushed. Queries are scaled on the host
so that ‖t‖ ≤ 1 + 2u: no term overflows. c = γ_{2d+20} holds γ_d, the error of a stored norm (half
of d + 4 roundings, twice that in its square), and 16 roundings more: of t, of products of norms,
of the bound itself, and of the canonical score, each relative to the same ‖x‖‖t‖.
a = (d + 16)·2⁻¹²⁰ holds what was flushed, and what a norm below 1e-30, stored as 0, would have
added: c·1e-30 < a. Where ‖x‖ > 1 the flushed d·2⁻¹²⁶‖x‖ is below one more u‖x‖, and, as s ≥ 2⁻⁶⁴,
below one more us‖x‖².

- dot, t = q/‖q‖:        x·q/‖q‖    ≤ x·t + c‖x‖ + a
- cosine, t = q/‖q‖:     cos(x, q)  ≤ (x·t + a)/‖x‖ + c, and 0 for a zero vector
- euclidean, t = sq, s = 2⁻ᵉ with s‖q‖ ≤ 1: −s‖x−q‖²/2 = x·t − s‖x‖²/2 − s‖q‖²/2. The product errs
  by c‖x‖‖t‖ ≤ cs(‖x‖² + ‖q‖²)/2. The term of x makes it x·t − s(1 − c)‖x‖²/2; the terms of q
  are the same for all rows and are added in float64 by `canonical.best_possible_outside`.
"""

from __future__ import annotations

from typing import Final

import jax
import jax.numpy as jnp

from vectorkit.kernels.canonical import flushed, relative_error
from vectorkit.kernels.chunks import Chunks, on_tile, rows_at
from vectorkit.kernels.select import select_best, tile_rows
from vectorkit.kernels.shapes import Array, Bool, Float, Int
from vectorkit.types import Metric

_PRECISION: Final = jax.lax.Precision.HIGHEST


def upper_bounds(
    rows: Float[Array, "tile dim"],
    norms: Float[Array, " tile"],
    targets: Float[Array, "batch dim"],
    scales: Float[Array, " batch"],
    metric: Metric,
) -> Float[Array, "tile batch"]:
    """Never below the true scores, up to terms of the query; always finite.

    `targets` and `scales` come from `canonical.scaled_queries`.
    """
    products = _products(rows, targets)
    dim = rows.shape[1]
    error, absolute = relative_error(dim), flushed(dim)
    if metric == "dot":
        return products + (error * norms + absolute)[:, None]
    if metric == "cosine":
        inverse = jnp.where(norms > 0, 1.0 / norms, 0.0)
        errors = jnp.where(norms > 0, error + absolute * inverse, 0.0)
        return products * inverse[:, None] + errors[:, None]
    halves = (0.5 * (1.0 - error)) * jnp.square(norms)
    return products - halves[:, None] * scales


def pick_candidates(
    chunks: Chunks,
    targets: Float[Array, "batch dim"],
    scales: Float[Array, " batch"],
    count: Int[Array, ""],
    mask: Bool[Array, " capacity"] | None,
    metric: Metric,
    width: int,
) -> tuple[
    Float[Array, "batch width"],
    Int[Array, "batch width"],
    Float[Array, "batch width dim"],
]:
    """The `width` rows of largest upper bound among the first `count`, for each query.

    Each chunk has rows (length, dim) and their norms (length,), both float32. Returns upper bounds
    (descending), slots, and the rows themselves. Places that no row fills have the bound −inf and a
    slot beyond every capacity. `mask` takes slots out of the search.
    """
    batch, dim = targets.shape
    tile = tile_rows(chunks[0][0].shape[0], dim, batch, width)

    def score_tile(start: Int[Array, ""]) -> Float[Array, "tile batch"]:
        def bounds_of(rows: Array, norms: Array) -> Array:
            return upper_bounds(rows, norms, targets, scales, metric)

        return on_tile(chunks, start, tile, bounds_of)

    bounds, slots = select_best(score_tile, tile, batch, width, count, mask)
    return bounds, slots, rows_at(tuple([rows for rows, _ in chunks]), slots)


def _products(
    rows: Float[Array, "tile dim"], targets: Float[Array, "batch dim"]
) -> Float[Array, "tile batch"]:
    """x·t for all pairs. One query is a matrix–vector product only in the other orientation."""
    if targets.shape[0] == 1:
        return jnp.matmul(targets, rows.T, precision=_PRECISION).reshape(-1, 1)
    return jnp.matmul(rows, targets.T, precision=_PRECISION)
