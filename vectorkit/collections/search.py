"""Exact search: candidates from the device, one canonical scoring, a proof for every query.

The device ranks rows by upper bounds of their scores and returns a little more than k candidates
for a query. They are scored canonically and ordered by (score, slot). The answer stands where the
last candidate's bound lies below the k-th score, so that no other row could reach it. Where that
is not proven the state is pinned and the search made again on it with more candidates, at last
over all rows by the canonical formula itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from vectorkit.collections.backends.base import SELECTION_PRODUCTS, Backend, Candidates, Pending
from vectorkit.collections.backends.state import padded_size
from vectorkit.collections.results import BatchMatches
from vectorkit.collections.storage.tables import StateView
from vectorkit.kernels.canonical import canonical_scores
from vectorkit.types import Float32Array, Int32Array, MaskArray, Metric

WIDENINGS: Final = 2
"""How often the candidates are made four times as many before all rows are scored."""

QUERIES_MAX: Final = 1024
"""Queries of one call of the device: more of them are asked in turn, of one pinned state."""

QUERIES_MIN: Final = 8
"""Queries of one call, however many rows there are: a program takes one of them or eight."""

CANDIDATE_NUMBERS_MAX: Final = 1 << 24
"""Numbers in the candidates' rows of one call: 64 MB on the device, twice that on the host."""

GATHERED_NUMBERS_MAX: Final = 1 << 18
"""A filter that leaves fewer numbers (rows × queries × dim) has its rows scored without a scan."""

_BLOCK_ROWS: Final = 1 << 14

Select = Callable[[StateView], MaskArray | None]
"""Which of the first `view.count` slots a search may find; None for all. Runs under the lock."""


class Source(Protocol):
    """Rows that can be searched: a collection or a snapshot."""

    _backend: Backend

    def __len__(self) -> int:
        """How many rows a read would see."""
        ...

    @property
    def version(self) -> int:
        """Which state a read would see."""
        ...

    def snapshot(self) -> Source:
        """The present state, held."""
        ...

    def _read(self, dispatch: Callable[[StateView], Any]) -> tuple[StateView, Any]:
        """Run `dispatch` on the present state; its tables stay as long as the view is there."""
        ...


class Found(NamedTuple):
    """Matches, the slots (queries, k) that they came from, and the version that was searched.

    Slots beyond a query's count of matches mean nothing.
    """

    matches: BatchMatches
    slots: Int32Array
    version: int


def find_best(
    source: Source,
    queries: Float32Array,
    k: int,
    metric: Metric,
    select: Select | None = None,
) -> Found:
    """The k best rows for each of the queries (batch, dim), all found in one state.

    `select` filters first: the k best come from the slots that it marks in the state searched. It
    is called once for every pass over a state, also when one is searched again.

    One call of the device takes as many queries as a CPU answers in about a fifth of a second,
    because an interrupt is seen when a call ends, not before.
    """
    search = _Search(source, queries, k, metric, select)
    everything = np.arange(len(queries))
    width = padded_size(source._backend.candidate_count(k))
    first = source if len(queries) <= search.queries_at_once(width) else source.snapshot()
    version, pending = search.attempt(first, everything, width)
    if pending.size == 0:
        return Found(search.matches, search.slots, version)
    pinned = first.snapshot()
    if pinned.version != version:
        pending = everything
    for _ in range(WIDENINGS):
        width *= 4
        _, pending = search.attempt(pinned, pending, width)
        if pending.size == 0:
            return Found(search.matches, search.slots, pinned.version)
    search.score_everything(pinned, pending)
    return Found(search.matches, search.slots, pinned.version)


class _Search:
    """One search and its matches as they are found."""

    def __init__(
        self,
        source: Source,
        queries: Float32Array,
        k: int,
        metric: Metric,
        select: Select | None,
    ) -> None:
        # Of the rows now, once for all: a source that grows meanwhile must not be asked in turn.
        products = padded_size(len(source)) * (queries.shape[1] + SELECTION_PRODUCTS)
        self._queries_in_time = source._backend.products_at_once // products
        self._masked: tuple[StateView, MaskArray | None] | None = None
        self.queries = queries
        self.k = k
        self.metric = metric
        self.select = select
        self.matches = BatchMatches(
            ids=np.full((len(queries), k), None, dtype=object),
            scores=np.full((len(queries), k), -np.inf, np.float32),
            counts=np.zeros(len(queries), np.int32),
            metric=metric,
        )
        self.slots = np.zeros((len(queries), k), np.int32)

    def queries_at_once(self, width: int) -> int:
        """How many queries one call of the device takes: a power of two."""
        fitting = CANDIDATE_NUMBERS_MAX // (width * max(1, self.queries.shape[1]))
        fitting = min(QUERIES_MAX, fitting, max(QUERIES_MIN, self._queries_in_time))
        return int(2 ** max(0, fitting.bit_length() - 1))

    def attempt(
        self, source: Source, pending: NDArray[np.int64], width: int
    ) -> tuple[int, NDArray[np.int64]]:
        """Answer pending queries from `width` candidates: the version, and who has no proof.

        The source must be pinned where they are more than `queries_at_once`.
        """
        version, unproven, step = source.version, [pending[:0]], self.queries_at_once(width)
        self._masked = None
        for start in range(0, len(pending), step):
            part = pending[start : start + step]
            version, is_proven = self._attempt_at_once(source, part, width)
            unproven.append(part[~is_proven])
        return version, np.concatenate(unproven)

    def _attempt_at_once(
        self, source: Source, pending: NDArray[np.int64], width: int
    ) -> tuple[int, MaskArray]:
        asked, backend = self.queries[pending], source._backend
        prepared = backend.prepare(asked)

        def dispatch(view: StateView) -> Pending:
            mask = self._mask(view)
            if view.count == 0:
                return lambda: _nothing(asked)
            if mask is not None:
                wanted_count = int(np.count_nonzero(mask))
                # Of all queries, not of these: how many are asked at once changes no answer.
                if wanted_count * self.queries.size <= GATHERED_NUMBERS_MAX:
                    return _gather(backend, view, np.flatnonzero(mask), len(asked))
            return backend.search(view.state, prepared, view.count, mask, width, self.k)

        view, begun = source._read(dispatch)
        slots, rows, outside = begun()
        scores = canonical_scores(rows, asked, self.metric)
        scores[slots >= view.count] = -np.inf
        self._put(pending, view, slots, scores)
        if outside is None or self.k == 0:
            return view.version, np.ones(len(asked), np.bool_)
        return view.version, outside < self.matches.scores[pending, self.k - 1]

    def _mask(self, view: StateView) -> MaskArray | None:
        """What `select` marks in this view, which is the same for all pieces of a pass."""
        if self._masked is None or self._masked[0] is not view:
            self._masked = view, None if self.select is None else self.select(view)
        return self._masked[1]

    def score_everything(self, source: Source, pending: NDArray[np.int64]) -> None:
        """Answer the pending queries from all rows that are wanted, by the canonical formula."""

        def dispatch(view: StateView) -> tuple[Float32Array, MaskArray | None]:
            mask = None if self.select is None else self.select(view)
            return source._backend.rows(view.state, view.count), mask

        view, (rows, mask) = source._read(dispatch)
        slots = np.arange(view.count, dtype=np.int32)
        wanted = rows if mask is None else rows[mask]
        slots = slots if mask is None else slots[mask]
        for index in pending:
            scores = _score_all(wanted, self.queries[index], self.metric)
            best = np.argsort(-scores, kind="stable")[: self.k]
            self._put(index[None], view, slots[None, best], scores[None, best])

    def _put(
        self, indices: NDArray[np.int64], view: StateView, slots: Int32Array, scores: Float32Array
    ) -> None:
        """The k best of `slots` by (score, slot) answer the queries `indices`.

        Shapes: (queries, any) both; a slot of `view.count` or more is none, and scores −inf.
        """
        best = np.lexsort((slots, -scores), axis=-1)[:, : self.k]
        slots = np.take_along_axis(slots, best, axis=1)
        scores = np.take_along_axis(scores, best, axis=1)
        found, ids, count = slots.shape[1], view.tables.ids, view.count
        names = [ids[slot] if slot < count else None for slot in slots.ravel().tolist()]
        self.matches.ids[indices, :found] = np.array(names, dtype=object).reshape(slots.shape)
        self.matches.ids[indices, found:] = None
        self.slots[indices, :found] = slots
        self.matches.scores[indices, :found] = scores
        self.matches.scores[indices, found:] = -np.inf
        self.matches.counts[indices] = (slots < view.count).sum(axis=1)


def _gather(backend: Backend, view: StateView, slots: NDArray[np.int64], batch: int) -> Pending:
    """All of a few slots as the candidates of every query: no other row is wanted."""
    wanted = slots.astype(np.int32)
    rows = backend.read(view.state, wanted)

    def wait() -> Candidates:
        shape = (batch, len(wanted))
        found = rows()
        return Candidates(
            np.broadcast_to(wanted, shape), np.broadcast_to(found, (*shape, found.shape[1])), None
        )

    return wait


def _nothing(queries: Float32Array) -> Candidates:
    """No candidates: a codec that learns from the first rows cannot even prepare queries yet."""
    batch, dim = queries.shape
    return Candidates(np.zeros((batch, 0), np.int32), np.zeros((batch, 0, dim), np.float32), None)


def _score_all(rows: Float32Array, query: Float32Array, metric: Metric) -> Float32Array:
    blocks = [
        canonical_scores(rows[start : start + _BLOCK_ROWS], query, metric)
        for start in range(0, len(rows), _BLOCK_ROWS)
    ]
    return np.concatenate(blocks)
