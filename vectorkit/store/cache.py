"""Answers to queries that are asked again: the bits of a fresh search, whatever was written since.

No write touches the cache. An entry says which version of its collection it answers for. Where
that has passed, the rows changed since are scored again and merged with the others of the answer.
This is exact as long as the k-th row does not get worse: no row that is neither changed nor in the
answer could beat the old k-th. Otherwise, and where too much has changed, a fresh search is made.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final, NamedTuple, ParamSpec, TypeVar

import numpy as np
from cachetools import Cache, TTLCache

from vectorkit.collections import Collection, Matches
from vectorkit.collections.execution.guard import Guard
from vectorkit.collections.execution.jax_context import plain_jax
from vectorkit.collections.filters.filter import Filter, parse
from vectorkit.collections.storage.tables import StateView
from vectorkit.collections.validation import check_k, check_row
from vectorkit.collections.values.conversion import whole_number
from vectorkit.collections.values.not_storable import short
from vectorkit.display import facts_table, record_table
from vectorkit.errors import InvalidOption
from vectorkit.kernels.canonical import canonical_scores
from vectorkit.types import Float32Array, Id, Int32Array, Where

P = ParamSpec("P")
R = TypeVar("R")

Key = tuple[object, int, str | None, bytes]
"""A collection's incarnation, which settles its configuration; k; the filter; the query's bits."""

CAPACITY: Final = 1_000

PATCHED_ROWS: Final = 64
PATCHED_SHARE: Final = 16
"""A patch looks at so many changed rows, and one more for so many rows that a search would scan.

A changed row costs a patch, which scores it in float64 on the host, as much as about 16 rows cost
a search; both have a fixed cost, the search the larger one (`benchmarks/suites/cache.py`).
"""


class CacheStats(NamedTuple):
    """What a cache has done so far, and how many answers it holds.

    Every search is a hit, a miss or bypassed.

    >>> import vectorkit as vk
    >>> vk.QueryCache().stats()
    CacheStats(hits=0, misses=0, patched=0, evicted=0, expired=0, bypassed=0, size=0)
    """

    hits: int
    """Answered without a search, the patched ones among them."""
    misses: int
    """Searched afresh: not there, or no longer to be patched."""
    patched: int
    """Hits for which rows changed since had to be looked at."""
    evicted: int
    """Answers that made room for others: those used least recently."""
    expired: int
    """Answers that were dropped because of their age."""
    bypassed: int
    """Searched without a look-up: k is 0, or the filter is a function, which has no key."""
    size: int

    def _repr_html_(self) -> str:
        return record_table(self)


class QueryCache:
    """Exact answers, kept for `VectorStore.search`: equal to a fresh search, bit for bit.

    Holds up to `capacity` answers and drops the one used least recently. With `max_age_s`, seconds
    of `timer` (monotonic unless given), an answer goes once it was searched or patched that long
    ago. Safe in threads; may serve several stores. Entries belong to a collection itself: renaming
    keeps them, and another collection of the same name never sees them.

    >>> import vectorkit as vk
    >>> cache = vk.QueryCache(capacity=100)
    >>> store = vk.VectorStore(cache=cache)
    >>> words = store.create_collection("words", dim=2)
    >>> _ = words.upsert(["east", "north"], [[1, 0], [0, 1]])
    >>> [store.search("words", [1, 0], k=1).ids for _ in range(2)]
    [('east',), ('east',)]
    >>> _ = words.update_vector("north", [-1, 0])
    >>> _ = store.search("words", [1, 0], k=1)
    >>> cache
    QueryCache(1 of 100, 2 hits (1 patched), 1 misses)
    """

    def __init__(
        self,
        capacity: int = CAPACITY,
        max_age_s: float | None = None,
        *,
        timer: Callable[[], float] | None = None,
    ) -> None:
        self.capacity = _check_capacity(capacity)
        self.max_age_s = _check_age(max_age_s)
        seconds = math.inf if self.max_age_s is None else self.max_age_s
        clock = () if timer is None else (_check_timer(timer),)
        self._timer = timer
        self._make_entries = partial(_Entries, self.capacity, seconds, *clock)
        self._entries = self._make_entries()
        self._guard = Guard()
        self._counts = _Counts()
        self._is_touched = False

    def __reduce__(self) -> tuple[Any, ...]:
        # A copy, or what a pickle holds, is an empty cache: answers belong to their collections.
        return partial(QueryCache, timer=self._timer), (self.capacity, self.max_age_s)

    def search(
        self, collection: Collection, query: Any, k: int = 10, *, where: Where | None = None
    ) -> Matches:
        """`collection.search`, without a search wherever that gives the same bits.

        >>> import vectorkit as vk
        >>> c = vk.CpuCollection(dim=2, metric="dot")
        >>> _ = c.upsert(["a"], [[1, 2]])
        >>> list(vk.QueryCache().search(c, [1, 1]))
        [('a', 3.0)]
        """
        row, count = check_row(query, collection.dim), check_k(k)
        wanted = None if where is None else parse(where)
        text = None if wanted is None else wanted.key
        if self._guard.is_owned:  # The timer, or a signal handler, amid a change of the entries.
            return collection._search(row[None, :], count, wanted).matches[0]
        if count == 0 or (wanted is not None and text is None):
            found = collection._search(row[None, :], count, wanted).matches[0]
            self._guard.run(self._count, bypassed=1)
            return found
        key = (collection._incarnation, count, text, row.tobytes())
        version = collection.version
        entry = self._touch(self._find, key, version)
        if entry is None or entry.version < version:
            entry = self._renew(key, entry, collection, row, wanted)
        return Matches(entry.ids, entry.scores.copy(), collection.metric)

    def clear(self) -> None:
        """Drop all answers; the counters continue.

        >>> import vectorkit as vk
        >>> vk.QueryCache().clear()
        """
        self._touch(self._entries.clear)

    def stats(self) -> CacheStats:
        """The counters since the cache was made, and its present size.

        >>> import vectorkit as vk
        >>> vk.QueryCache().stats().hits
        0
        """
        if self._guard.is_owned:  # As in `search`: nothing may be touched now.
            return self._stats(Cache.__len__)
        return self._touch(self._stats)

    def _facts(self) -> dict[str, str]:
        counts = {name: f"{count:,}" for name, count in self.stats()._asdict().items()}
        return {"answers": f"{counts.pop('size')} of {self.capacity:,}", **counts}

    def __repr__(self) -> str:
        line = "QueryCache({answers}, {hits} hits ({patched} patched), {misses} misses)"
        return line.format(**self._facts())

    def _repr_html_(self) -> str:
        return facts_table(self._facts())

    def _renew(
        self,
        key: Key,
        entry: _Entry | None,
        collection: Collection,
        query: Float32Array,
        wanted: Filter | None,
    ) -> _Entry:
        """The answer now, by a patch if possible, kept unless a later one is kept already."""
        k = key[1]
        patched = None if entry is None else _patch(entry, collection, query, k, wanted)
        renewed = patched or _search(collection, query, k, wanted)
        self._touch(self._keep, key, renewed, patched is not None)
        return renewed

    # Under the lock

    def _touch(self, function: Callable[P, R], *arguments: P.args, **options: P.kwargs) -> R:
        """Call a function that touches the entries.

        They are ordered and dated in several steps. Where an exception has broken one of these
        off, all are dropped: a fresh search is never wrong.
        """
        return self._guard.run(self._touch_whole, partial(function, *arguments, **options))

    def _touch_whole(self, function: Callable[[], R]) -> R:
        if self._is_touched:
            old, fresh = self._entries, self._make_entries()
            fresh.evicted_count = old.evicted_count
            fresh.expired_count = old.expired_count
            self._entries = fresh  # Last: an exception before this loses no count.
        self._is_touched = True
        result = function()
        self._is_touched = False
        return result

    def _find(self, key: Key, version: int) -> _Entry | None:
        entry = self._entries.find(key)
        if entry is not None and entry.version >= version:
            self._count(hits=1)
        return entry

    def _keep(self, key: Key, renewed: _Entry, is_patched: bool) -> None:
        if is_patched:
            self._count(hits=1, patched=1)
        else:
            self._count(misses=1)
        kept = self._entries.find(key)
        if kept is None or kept.version < renewed.version:
            self._entries[key] = renewed

    def _stats(self, length: Callable[[_Entries], int] = len) -> CacheStats:
        size = length(self._entries)  # `len` lets go of what has expired, so it comes first.
        counts, entries = self._counts, self._entries
        return CacheStats(
            hits=counts.hits,
            misses=counts.misses,
            patched=counts.patched,
            evicted=entries.evicted_count,
            expired=entries.expired_count,
            bypassed=counts.bypassed,
            size=size,
        )

    def _count(
        self, *, hits: int = 0, misses: int = 0, patched: int = 0, bypassed: int = 0
    ) -> None:
        now = self._counts
        self._counts = _Counts(
            now.hits + hits, now.misses + misses, now.patched + patched, now.bypassed + bypassed
        )


class _Counts(NamedTuple):
    """What searches were, counted in one store."""

    hits: int = 0
    misses: int = 0
    patched: int = 0
    bypassed: int = 0


class _Entry(NamedTuple):
    """The answer to one query at one version, best first."""

    version: int
    slots: Int32Array
    ids: tuple[Id, ...]
    scores: Float32Array


class _Entries(TTLCache[Key, _Entry]):
    """Entries by key; counts those that it lets go."""

    evicted_count = 0
    expired_count = 0

    def find(self, key: Key) -> _Entry | None:
        """The entry, used now; in half the time of `get`."""
        try:
            return self[key]
        except KeyError:
            return None

    def popitem(self) -> tuple[Key, _Entry]:
        """Make room."""
        self.evicted_count += 1
        return super().popitem()

    def expire(self, time: float | None = None) -> list[tuple[Key, _Entry]]:
        """Drop answers that are too old; every other method calls this."""
        gone = list(super().expire(time))
        self.expired_count += len(gone)
        return gone


def _search(collection: Collection, query: Float32Array, k: int, wanted: Filter | None) -> _Entry:
    """A fresh answer under the version that it was found in, whatever is written meanwhile."""
    found = collection._search(query[None, :], k, wanted)
    best, slots = found.matches[0], found.slots[0, : found.matches.counts[0]]
    return _Entry(found.version, slots, best.ids, best.scores)


def _patch(
    entry: _Entry, collection: Collection, query: Float32Array, k: int, wanted: Filter | None
) -> _Entry | None:
    """The entry brought up to the present; None where only a search can tell.

    The version, the slots changed since, their rows, payloads and ids are one consistent read.
    """
    if not collection._backend.is_exact:
        return None
    backend, storage = collection._backend, collection._storage

    def dispatch(view: StateView) -> tuple[Int32Array, Int32Array, Any] | None:
        changed = storage.changed_since(entry.version)
        if changed is None or len(changed) > PATCHED_ROWS + view.count // PATCHED_SHARE:
            return None
        asked = changed[changed < view.count]
        if wanted is not None:
            asked = asked[wanted.mask_at(view.tables.columns, asked)]
        return changed, asked, backend.read(view.state, asked)

    with plain_jax():
        view, known = collection._read(dispatch)
        if known is None:
            return None
        changed, asked, rows = known
        found = rows()
    scores = canonical_scores(found, query, collection.metric)
    stays = (entry.slots < view.count) & ~np.isin(entry.slots, changed)
    slots = np.concatenate((entry.slots[stays], asked))
    scores = np.concatenate((entry.scores[stays], scores))
    best = np.lexsort((slots, -scores))[:k]
    slots, scores = slots[best], scores[best]
    if len(entry.slots) == k and not _reaches(slots, scores, entry):
        return None
    ids = view.tables.ids
    return _Entry(view.version, slots, tuple(ids[slot] for slot in slots.tolist()), scores)


def _reaches(slots: Int32Array, scores: Float32Array, entry: _Entry) -> bool:
    """Whether these are as many as the entry's, and the last no worse than its last."""
    if len(slots) < len(entry.slots):
        return False
    return (-scores[-1], slots[-1]) <= (-entry.scores[-1], entry.slots[-1])


def check_cache(cache: object) -> QueryCache:
    """A cache for a store."""
    if isinstance(cache, QueryCache):
        return cache
    raise InvalidOption(
        "a store cannot use this as its cache",
        got=f"cache={short(cache)}",
        wanted="a QueryCache, or None",
        remedy=f"pass vk.QueryCache(capacity={CAPACITY:_})",
    )


def _check_capacity(capacity: object) -> int:
    if (number := whole_number(capacity)) is not None and number > 0:
        return number
    raise InvalidOption(
        "a cache cannot hold this number of answers",
        got=f"capacity={short(capacity)}",
        wanted="an integer of 1 or more",
        remedy="make the store without a cache to keep no answers",
    )


def _check_age(max_age_s: Any) -> float | None:
    if max_age_s is None:
        return None
    is_number = isinstance(max_age_s, float | np.floating) or whole_number(max_age_s) is not None
    with suppress(OverflowError):  # An int beyond every float.
        if is_number and 0 < float(max_age_s) < math.inf:
            return float(max_age_s)
    raise InvalidOption(
        "a cache cannot keep answers for this long",
        got=f"max_age_s={short(max_age_s)}",
        wanted="a finite number of seconds above 0, or None",
        remedy="pass None to keep answers of any age: they are exact",
    )


def _check_timer(timer: Callable[[], float]) -> Callable[[], float]:
    if callable(timer):
        return timer
    raise InvalidOption(
        "a timer must be callable",
        got=f"timer={short(timer)}",
        wanted="a function without arguments that returns seconds",
        remedy="leave it out to use the monotonic clock",
    )
