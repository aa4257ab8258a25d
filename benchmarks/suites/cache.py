"""What a cached query costs: against a fresh search, as it was and after rows have changed.

"second" is a query's second call, straight after the search that swept the processor's caches,
"hit" its third. "patched after n" repeats it after n rows outside of its answer have changed,
against a fresh search after as many changes: both send them to the device first. Where a patch
would cost more than a search, the cache searches too: a ratio of 1 at best. Every answer of the
cache is compared with the fresh one, also once a row has become the best; `wrong_count` says how
often ids or scores differ.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from time import perf_counter

import vectorkit as vk
from benchmarks.rows import Plan, Row
from benchmarks.timing import Timing, drawn
from vectorkit.store.cache import PATCHED_ROWS, PATCHED_SHARE

CHANGED = (1, 10, 100, 1_000)
NAME = "drawn"


def rows(plan: Plan) -> Iterator[Row]:
    for count, dim in plan.pick([(10_000, 128)], [(10_000, 128), (100_000, 128)]):
        taken, searches, wrong = measured(count, dim, plan.repeats)
        is_right = {"wrong_count": float(wrong)}
        case = f"{count:,} × {dim}"
        fresh = Timing(tuple(taken["fresh"]))
        yield Row(case=f"a query again, {case}", who="fresh search", timing=fresh)
        for way in ("second", "hit"):
            mine = Timing(tuple(taken[way]))
            values = {
                "times_faster": fresh.ratio(mine),
                "extra_search_count": float(searches),
            } | is_right
            again = f"a query again, {case}"
            yield Row(case=again, who=f"cache, {way}", timing=mine, values=values)
        for changed in CHANGED:
            fresh_now = Timing(tuple(taken[f"fresh_{changed}"]))
            mine = Timing(tuple(taken[f"patched_{changed}"]))
            after = f"after {changed:,} changes, {case}"
            yield Row(case=after, who="fresh search", timing=fresh_now)
            values = {"times_faster": fresh_now.ratio(mine)} | is_right
            yield Row(case=after, who="cache, patched", timing=mine, values=values)


def timed(search: partial[vk.Matches]) -> tuple[float, vk.Matches]:
    started = perf_counter()
    found = search(NAME)
    return perf_counter() - started, found


def differs(found: vk.Matches, fresh: vk.Matches) -> bool:
    return list(found.ids) != list(fresh.ids) or list(found.scores) != list(fresh.scores)


def measured(count: int, dim: int, repeats: int) -> tuple[dict[str, list[float]], int, int]:
    """Seconds by way, searches that the cache made beyond those that it had to, wrong answers."""
    cache = vk.QueryCache(capacity=repeats + 1)
    cached, plain = vk.VectorStore(cache=cache), vk.VectorStore()
    vectors, queries = drawn(count, dim), drawn(repeats + 1, dim, seed=8)
    for store in (cached, plain):
        store.create_collection(NAME, dim=dim).insert(range(count), vectors)
    times: dict[str, list[float]] = {}
    needed = wrong = 0
    for repeat, query in enumerate(queries):
        ask = partial(cached.search, query=query)
        taken = {}
        taken["fresh"], fresh = timed(partial(plain.search, query=query))
        for way in ("miss", "second", "hit"):
            taken[way], found = timed(ask)
            wrong += differs(found, fresh)
        answer = fresh.ids
        needed += 1
        for changed in CHANGED:
            outside = [row_id for row_id in range(changed + 10) if row_id not in answer][:changed]
            for store in (cached, plain):
                store.update_vectors(NAME, outside, -query + vectors[outside] / 10)
            taken[f"fresh_{changed}"], fresh = timed(partial(plain.search, query=query))
            taken[f"patched_{changed}"], found = timed(ask)
            wrong += differs(found, fresh)
            for store in (cached, plain):
                store.update_vectors(NAME, outside, vectors[outside])
                store.search(NAME, query)
            if changed > PATCHED_ROWS + count // PATCHED_SHARE:
                needed += 2
        newcomer = next(row_id for row_id in range(count) if row_id not in answer)
        for row in (query, vectors[newcomer]):
            for store in (cached, plain):
                store.update_vectors(NAME, [newcomer], row[None, :])
            wrong += differs(ask(NAME), plain.search(NAME, query))
        needed += 1  # Once a row of the answer has left it, nobody knows who comes next.
        for name, each in taken.items():
            times.setdefault(name, []).extend([each] if repeat else [])  # The first one compiles.
    return times, cache.stats().misses - needed, wrong
