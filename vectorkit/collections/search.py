"""Exact search: candidates from the device, one canonical scoring, a proof for every query.

The device's float32 scores choose a little more than k candidates for a query. They are scored
canonically and ordered by (score, slot). The answer stands where no row outside of the candidates
could reach the k-th score. Where that is not proven the state is pinned and the search made again
on it with more candidates, at last over all rows by the canonical formula itself.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
from jax import Array
from numpy.typing import NDArray

from vectorkit.collections import compiled
from vectorkit.collections.results import BatchMatches
from vectorkit.collections.state import padded_size
from vectorkit.collections.tables import View
from vectorkit.kernels.canonical import (
    NORM_MAX,
    best_possible_outside,
    canonical_norms,
    canonical_scores,
    unit_queries,
)
from vectorkit.types import Float32Array, Int32Array, Metric

MARGIN: Final = 6
"""Candidates beyond k at the first attempt: 16 of them for the usual k = 10."""

WIDENINGS: Final = 2
"""How often the candidates are made four times as many before all rows are scored."""

_BLOCK_ROWS: Final = 1 << 14


class Source(Protocol):
    """Rows that can be searched: a collection or a snapshot."""

    @property
    def version(self) -> int:
        """Which state a read would see."""
        ...

    def snapshot(self) -> Source:
        """The present state, held."""
        ...

    def _read(self, dispatch: Callable[[View], Any]) -> AbstractContextManager[tuple[View, Any]]:
        """Run `dispatch` on the present state and keep that state's tables meanwhile."""
        ...


class Found(NamedTuple):
    """Matches, the slots (queries, k) that they came from, and the version that was searched.

    Slots beyond a query's count of matches mean nothing.
    """

    matches: BatchMatches
    slots: Int32Array
    version: int


def search_exactly(source: Source, queries: Float32Array, k: int, metric: Metric) -> Found:
    """The k best rows for each of the queries (batch, dim), all found in one state."""
    everything = np.arange(len(queries))
    answer = _Answer(len(queries), k, metric)
    width = padded_size(k + MARGIN)
    version, pending = _search_candidates(source, queries, everything, width, answer)
    if pending.size == 0:
        return answer.found(version)
    pinned = source.snapshot()
    if pinned.version != version:
        pending = everything
    for _ in range(WIDENINGS):
        width *= 4
        _, pending = _search_candidates(pinned, queries, pending, width, answer)
        if pending.size == 0:
            return answer.found(pinned.version)
    with pinned._read(lambda view: np.asarray(view.state.rows)) as (view, rows):
        for index in pending:
            scores = _score_all(rows[: view.count], queries[index], metric)
            answer.put(index, view, np.arange(view.count, dtype=np.int32), scores)
    return answer.found(pinned.version)


class _Answer:
    """The matches as they are found, query by query."""

    def __init__(self, query_count: int, k: int, metric: Metric) -> None:
        self.k = k
        self.matches = BatchMatches(
            ids=np.full((query_count, k), None, dtype=object),
            scores=np.full((query_count, k), -np.inf, np.float32),
            counts=np.zeros(query_count, np.int32),
            metric=metric,
        )
        self.slots = np.zeros((query_count, k), np.int32)

    def found(self, version: int) -> Found:
        """Everything found, in the state of this version."""
        return Found(self.matches, self.slots, version)

    def put(self, index: int, view: View, slots: Int32Array, scores: Float32Array) -> None:
        """The k best of `slots` by (score, slot) are the answer to query `index`."""
        best = np.lexsort((slots, -scores))[: min(self.k, view.count)]
        ids = view.tables.ids
        self.matches.ids[index, : best.size] = [ids[slot] for slot in slots[best].tolist()]
        self.matches.scores[index, : best.size] = scores[best]
        self.slots[index, : best.size] = slots[best]
        self.matches.ids[index, best.size :] = None
        self.matches.scores[index, best.size :] = -np.inf
        self.matches.counts[index] = best.size


def _search_candidates(
    source: Source,
    queries: Float32Array,
    pending: NDArray[np.int64],
    width: int,
    answer: _Answer,
) -> tuple[int, NDArray[np.int64]]:
    """Answer the pending queries from `width` candidates; the version, and who has no proof."""
    metric, k = answer.matches.metric, answer.k
    asked = queries[pending]
    norms = canonical_norms(asked)
    batch, dim = asked.shape
    size = padded_size(batch) if batch > 1 else 1
    targets = np.zeros((size, dim), np.float32)
    targets[:batch] = unit_queries(asked, norms) if metric == "cosine" else asked
    target_norms = np.zeros(size, np.float32)
    target_norms[:batch] = np.minimum(norms, NORM_MAX)

    def dispatch(view: View) -> tuple[Array, ...]:
        within = min(width, view.state.rows.shape[0])
        found: tuple[Array, ...] = compiled.search(
            view.state, targets, target_norms, np.int32(view.count), metric=metric, width=within
        )
        return found

    with source._read(dispatch) as (view, output):
        approximate, slots, rows, largest_norm = (np.asarray(array) for array in output)
        slots = slots[:batch]
        scores = canonical_scores(rows[:batch], asked, metric)
        scores[slots >= view.count] = -np.inf
        for place, index in enumerate(pending):
            answer.put(index, view, slots[place], scores[place])
        if slots.shape[1] >= view.count or k == 0:
            return view.version, pending[:0]
        outside = best_possible_outside(
            approximate[:batch, -1], norms, float(largest_norm), dim, metric
        )
        is_proven = outside < answer.matches.scores[pending, k - 1]
        return view.version, pending[~is_proven]


def _score_all(rows: Float32Array, query: Float32Array, metric: Metric) -> Float32Array:
    blocks = [
        canonical_scores(rows[start : start + _BLOCK_ROWS], query, metric)
        for start in range(0, len(rows), _BLOCK_ROWS)
    ]
    return np.concatenate(blocks)
