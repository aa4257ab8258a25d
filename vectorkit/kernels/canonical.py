"""The one way to score: float64 on the host, so that every path gives the same bits.

The last bits of a float32 score depend on the formulation and on the batch size, so a float32
product only picks candidates. Their scores come from here, and `error_bound` says how far an
approximate score can lie from the true one: a search is exact where no row outside of the
candidates could reach the k-th.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from vectorkit.types import Float32Array, Float64Array, Metric

ZERO_NORM: Final = 1e-30
"""A vector with a smaller norm is a zero vector: under cosine it scores 0 with everything."""

NORM_MAX: Final = float(np.nextafter(np.float32(2.0**64), np.float32(0.0)))
"""The largest norm whose square float32 can hold; a norm that rounds beyond it counts as this."""

_SQUARE_MIN: Final = 2.0**-80
_ROUNDING: Final = 2.0**-23
_TINY: Final = 2.0**-120
_SAFE: Final = 2.0**126


def canonical_norms(rows: Float32Array) -> Float64Array:
    """Norms of rows (…, dim) in float64: shape (…), 0 below `ZERO_NORM`."""
    wide = rows.astype(np.float64)
    norms: Float64Array = np.sqrt((wide * wide).sum(axis=-1))
    return np.where(norms < ZERO_NORM, 0.0, norms)


def stored_norms(rows: Float32Array) -> Float32Array:
    """Norms of rows (count, dim) as float32, off by at most a relative (dim + 4) 2⁻²⁵.

    A float32 sum of squares where it can neither overflow nor lose small terms, which is five
    times as fast as the canonical norm; the canonical norm elsewhere.
    """
    with np.errstate(over="ignore"):
        squares = np.vecdot(rows, rows)
    norms: Float32Array = np.sqrt(squares)
    is_risky = ~((squares > _SQUARE_MIN) & (squares < _SAFE))
    if is_risky.any():
        norms[is_risky] = np.minimum(canonical_norms(rows[is_risky]), NORM_MAX)
    return norms


def canonical_scores(rows: Float32Array, queries: Float32Array, metric: Metric) -> Float32Array:
    """Scores of rows (…, count, dim) for queries (…, dim): float64 inside, float32 (…, count).

    Dot: x·q. Cosine: x·q / (‖x‖ ‖q‖), 0 for a zero vector. Euclidean: −‖x − q‖ by differences.
    Adding 0.0 turns −0.0, which sorts below 0.0, into 0.0.
    """
    wide, targets = rows.astype(np.float64), queries.astype(np.float64)[..., None, :]
    if metric == "euclidean":
        differences = wide - targets
        scores = -np.sqrt((differences * differences).sum(axis=-1))
    else:
        scores = (wide * targets).sum(axis=-1)
    if metric == "cosine":
        norms = canonical_norms(rows) * canonical_norms(queries)[..., None]
        scores = np.divide(scores, norms, out=np.zeros_like(scores), where=norms > 0)
    with np.errstate(over="ignore"):
        rounded: Float32Array = scores.astype(np.float32)
    return rounded + np.float32(0.0)


def unit_queries(queries: Float32Array, norms: Float64Array) -> Float32Array:
    """Queries (batch, dim) divided by their norms; a zero vector stays zero."""
    safe = np.where(norms > 0, norms, np.inf)
    return (queries / safe[:, None]).astype(np.float32)


def best_possible_outside(
    last_scores: Float32Array,
    query_norms: Float64Array,
    largest_norm: float,
    dim: int,
    metric: Metric,
) -> Float32Array:
    """An upper bound of the canonical score of every row that is not a candidate, per query.

    `last_scores` (batch,) are the approximate scores of the last candidates. A float32 dot product
    of length d in any order errs by at most γ_d ‖x‖ ‖q‖ (Higham, Accuracy and Stability, 3.5);
    doubled here for the rounding of norms, and with an absolute term for flushed subnormals.
    Where a float32 term could have overflowed nothing is known: the bound is infinite.
    """
    last = last_scores.astype(np.float64)
    bound: Float64Array
    if metric == "cosine":
        bound = last + (dim + 8) * _ROUNDING
    elif metric == "dot":
        absolute = dim * _TINY * (1.0 + largest_norm + query_norms)
        largest_term = largest_norm * query_norms
        bound = last + (dim + 8) * _ROUNDING * largest_term + absolute
        bound = np.where(largest_term < _SAFE, bound, np.inf)
    else:
        reach = largest_norm + query_norms
        error = (dim + 8) * 2.0 * _ROUNDING * reach * reach + dim * _TINY * (1.0 + reach)
        bound = -np.sqrt(np.maximum(-last - error, 0.0))
        bound = np.where(reach * reach < _SAFE, bound, np.inf)
    return bound.astype(np.float32)
