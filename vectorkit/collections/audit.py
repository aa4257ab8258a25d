"""Check of each stored row: whether a search for its own vector finds it, and why not first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from vectorkit.collections.results import BatchMatches, Row
from vectorkit.collections.validation import check_row_count
from vectorkit.draws import address, draw_block, fold
from vectorkit.kernels.canonical import ZERO_NORM, canonical_norms, canonical_scores
from vectorkit.tabular import Schema, frame_of_rows
from vectorkit.types import Float32Array, Float64Array, Id, Metric

if TYPE_CHECKING:
    from vectorkit.tabular import DataFrame

AUDIT_K: Final = 10
"""How many neighbours of its own vector a row is looked for in."""
AUDIT: Final[Schema] = {
    "id": "object",
    "is_found": "bool",
    "rank": "int64",
    "own_score": "float32",
    "best_id": "object",
    "best_score": "float32",
    "reason": "str",
}
"""Columns and dtypes of `Reader.audit()`."""
_AUDIT_STREAM: Final = 1
_BLOCK_QUERIES: Final = 256
_BLOCK_ROWS: Final = 1 << 14
_WIDE_ROUNDING: Final = 2.0**-50
_ROUNDING: Final = 2.0**-23
_TINY: Final = 2.0**-148


class AuditedRows(Protocol):
    """What an audit reads: a snapshot of a collection."""

    def __len__(self) -> int:
        """Return the number of rows."""

    @property
    def metric(self) -> Metric:
        """The metric of its searches."""

    def ids(self) -> Sequence[Id]:
        """Return all ids, in slot order."""

    def vectors(self) -> Float32Array:
        """Return all vectors (count, dim), in slot order."""

    def get(self, row_id: Id) -> Row:
        """Return the row of an id."""

    def search_many(self, queries: Any, k: int) -> BatchMatches:
        """Return the k best rows for each query."""


def audit(now: AuditedRows, sample: int | None, seed: int) -> DataFrame:
    """One row an audited row, in slot order; see `Reader.audit`.

    A row is found where a search for its vector returns it among `AUDIT_K`, or returns that many
    that score as well or better. `rank` is its exact place by (score, slot), computed apart from
    the search where the search does not prove it.
    """
    slots = drawn_slots(len(now), sample, seed, _AUDIT_STREAM)
    vectors, ids = now.vectors(), now.ids()
    rows: list[tuple[Any, ...]] = []
    for start in range(0, len(slots), _BLOCK_QUERIES):
        block = slots[start : start + _BLOCK_QUERIES]
        asked = vectors[block]
        found = now.search_many(asked, AUDIT_K)
        own = canonical_scores(asked[:, None, :], asked, now.metric)[:, 0]
        ranks = _ranks(vectors, block, own, now.metric)
        for matches, slot, score, rank in zip(
            found, block.tolist(), own.tolist(), ranks.tolist(), strict=True
        ):
            best_id, best_score = matches[0] if len(matches) else (None, np.nan)
            is_full = len(matches) == min(AUDIT_K, len(now))
            is_outdone = is_full and float(matches.scores[-1]) >= score
            is_found = ids[slot] in matches.ids or is_outdone
            reason = "candidates missed it"
            if is_found:
                reason = _reason(now, vectors[slot], score, rank, best_id, best_score)
            rows.append((ids[slot], is_found, rank, score, best_id, best_score, reason))
    return frame_of_rows(rows, AUDIT)


def drawn_slots(count: int, sample: int | None, seed: int, stream: int) -> NDArray[np.int64]:
    """Return slots below `count`, ascending: all, or `sample` of them, drawn from the seed."""
    if sample is None or check_row_count(sample) >= count:
        return np.arange(count)
    order = np.argsort(draw_block(fold(address(seed), stream), count), kind="stable")
    return np.sort(order[:sample])


def _reason(
    now: AuditedRows, vector: Float32Array, score: float, rank: int, best_id: Any, best_score: float
) -> str:
    """Why a row is not the first for its own vector."""
    if now.metric == "cosine" and canonical_norms(vector) == 0:
        return "zero vector"
    if rank == 1:
        return ""
    if best_score > score:
        return "dot: a longer row wins"
    is_copy = now.get(best_id).vector.tobytes() == vector.tobytes()
    return "duplicate" if is_copy else "tie"


def _ranks(
    rows: Float32Array, slots: NDArray[np.int64], own: Float32Array, metric: Metric
) -> NDArray[np.int64]:
    """The places of rows for their own vectors among all rows, by (score, slot) and from 1.

    Float64 products, whose error is bounded, tell which rows lie surely above or below; only rows
    too near to tell are scored canonically.
    """
    ranks = np.ones(len(slots), np.int64)
    asked = rows[slots]
    for start in range(0, len(rows), _BLOCK_ROWS):
        block = rows[start : start + _BLOCK_ROWS]
        scores, errors = _estimates(block, asked, metric)
        gaps = scores - own[:, None].astype(np.float64)
        ranks += (gaps > errors).sum(axis=1)
        for place in range(len(slots)):
            near = np.flatnonzero(np.abs(gaps[place]) <= errors[place])
            exact = canonical_scores(block[near], asked[place], metric)
            is_first = (exact == own[place]) & (near + start < slots[place])
            ranks[place] += np.count_nonzero((exact > own[place]) | is_first)
    return ranks


def _estimates(
    rows: Float32Array, queries: Float32Array, metric: Metric
) -> tuple[Float64Array, Float64Array]:
    """Scores (queries, rows) in float64 that order as the canonical ones do, and how far off.

    A row is surely above or below a query's own score only if it is further away than that, which
    covers the products' error and the rounding of canonical scores to float32. Euclidean scores
    come as −‖x − q‖²: the own score is 0 either way, and float32 has every other distance.
    """
    wide_rows, asked = rows.astype(np.float64), queries.astype(np.float64)
    norms, lengths = (np.sqrt((each * each).sum(axis=1)) for each in (wide_rows, asked))
    products: Float64Array = asked @ wide_rows.T
    both = lengths[:, None] * norms
    error = (rows.shape[1] + 8) * _WIDE_ROUNDING
    if metric == "cosine":
        is_zero = (lengths < ZERO_NORM)[:, None] | (norms < ZERO_NORM)
        scores = np.divide(products, both, out=np.zeros_like(products), where=~is_zero)
        return scores, np.full_like(scores, error + _ROUNDING)
    if metric == "dot":
        return products, error * both + _ROUNDING * np.square(lengths)[:, None] + _TINY
    scores = 2.0 * products - np.square(norms) - np.square(lengths)[:, None]
    return scores, error * np.square(lengths[:, None] + norms)
