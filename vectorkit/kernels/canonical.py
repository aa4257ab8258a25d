"""The one way to score: float64 on the host, so that every path gives the same bits.

The last bits of a float32 score depend on the formulation and on the batch size, so a float32
product only picks candidates. Their scores come from here, and `best_possible_outside` says what
no other row can exceed: a search is exact where that lies below the k-th score.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from vectorkit.types import Float32Array, Float64Array, Metric

ZERO_NORM: Final = 1e-30
"""A vector with a smaller norm is a zero vector: under cosine it scores 0 with everything."""

NORM_MAX: Final = float(np.nextafter(np.float32(2.0**64), np.float32(0.0)))
"""The largest norm whose square float32 can hold; a norm that rounds beyond it counts as this."""

_SQUARE_MIN: Final = 2.0**-80
_SQUARE_MAX: Final = 2.0**126
_UNIT_ROUNDOFF: Final = 2.0**-24
_TINY: Final = 2.0**-120


def canonical_norms(rows: Float32Array) -> Float64Array:
    """Norms of rows (…, dim) in float64: shape (…), 0 below `ZERO_NORM`."""
    norms = _lengths(rows)
    return np.where(norms < ZERO_NORM, 0.0, norms)


def stored_norms(rows: Float32Array) -> Float32Array:
    """Norms of rows (count, dim) as float32, off by at most a relative (dim + 4) u / 2.

    A float32 sum of squares where it can neither overflow nor lose small terms, which is five
    times as fast as the canonical norm; the canonical norm elsewhere.
    """
    with np.errstate(over="ignore"):
        squares = np.vecdot(rows, rows)
    norms: Float32Array = np.sqrt(squares)
    is_risky = ~((squares > _SQUARE_MIN) & (squares < _SQUARE_MAX))
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


class ScaledQueries(NamedTuple):
    """Targets (batch, dim) of length at most 1, euclidean's factors, and the queries' lengths."""

    targets: Float32Array
    scales: Float32Array
    lengths: Float64Array


def scaled_queries(queries: Float32Array, metric: Metric) -> ScaledQueries:
    """Queries as candidates are picked by.

    Dot and cosine take queries of length 1, a zero vector stays zero. Euclidean takes powers of
    two, at most 1, which change no bit of a query.
    """
    lengths = canonical_norms(queries) if metric == "cosine" else _lengths(queries)
    if metric == "euclidean":
        factors = np.ldexp(1.0, -np.maximum(np.frexp(lengths)[1], 0))
    else:
        factors = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    targets = (queries.astype(np.float64) * factors[:, None]).astype(np.float32)
    return ScaledQueries(targets, np.minimum(factors, 1.0).astype(np.float32), lengths)


def relative_error(dim: int) -> float:
    """γ_{2d+20}: what an upper bound of `kernels.candidates` adds, relative to ‖x‖‖t‖."""
    roundings = (2 * dim + 20) * _UNIT_ROUNDOFF
    return roundings / (1.0 - roundings)


def flushed(dim: int) -> float:
    """What subnormals that count as zero can take from a product of length `dim`."""
    return (dim + 16) * _TINY


def best_possible_outside(
    last_bounds: Float32Array, queries: ScaledQueries, metric: Metric
) -> Float32Array:
    """An upper bound of the canonical score of every row that is not a candidate, per query.

    `last_bounds` (batch,) are the upper bounds of the last candidates, −inf where no row is left
    out. Here the terms of the query are put back
    (see `kernels.candidates`). Rounding is monotone, so the bound of a true score, rounded, is one
    of the canonical score.
    """
    last, dim = last_bounds.astype(np.float64), queries.targets.shape[1]
    lengths, scales = queries.lengths, queries.scales
    if metric == "cosine":
        bound = last
    elif metric == "dot":
        bound = np.multiply(last, lengths, out=last.copy(), where=np.isfinite(last))
    else:
        own = (1.0 - relative_error(dim)) * lengths * lengths
        bound = -np.sqrt(np.maximum(own - 2.0 * (last + flushed(dim)) / scales, 0.0))
    with np.errstate(over="ignore"):
        rounded: Float32Array = bound.astype(np.float32)
    return rounded


def _lengths(rows: Float32Array) -> Float64Array:
    wide = rows.astype(np.float64)
    return np.asarray(np.sqrt((wide * wide).sum(axis=-1)))
