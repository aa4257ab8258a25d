"""What a cached query costs: against a fresh search, as it was and after rows have changed.

    python -m benchmarks.cache [--quick]

Medians of microseconds of one run on one machine, the ways interleaved: compare the ratios. k = 10
under cosine. `second` is a query's second call, straight after the search that swept the
processor's caches; `hit` is its third. `patched_<n>` repeats it after `n` rows outside of its
answer have changed, and `fresh_<n>` is a search after as many changes: both send them to the device
first. Where a patch would cost more than a search, the cache searches too: a ratio of 1 at best.
"""

import argparse
from functools import partial
from time import perf_counter

import numpy as np
import pandas as pd

import vectorkit as vk
from vectorkit.cache import PATCHED_ROWS, PATCHED_SHARE
from vectorkit.draws import address, draw_block

KINDS = ("second", "hit")
CHANGED = (1, 10, 100, 1_000)
NAME = "drawn"


def drawn(count: int, dim: int, seed: int) -> np.ndarray:
    """Rows of drawn numbers in [−1, 1)."""
    numbers = draw_block(address(seed), count * dim).astype(np.float64) / 2.0**31 - 1.0
    return numbers.astype(np.float32).reshape(count, dim)


def microseconds(search) -> float:
    started = perf_counter()
    search(NAME)
    return (perf_counter() - started) * 1e6


def measured(count: int, dim: int, repeats: int) -> dict[str, float]:
    cache = vk.QueryCache(capacity=repeats + 1)
    cached, plain = vk.VectorStore(cache=cache), vk.VectorStore()
    rows, queries = drawn(count, dim, seed=7), drawn(repeats + 1, dim, seed=8)
    for store in (cached, plain):
        store.create_collection(NAME, dim=dim).insert(range(count), rows)
    times: dict[str, list[float]] = {}
    for repeat, query in enumerate(queries):
        ask = partial(cached.search, query=query)
        taken = {
            "fresh": microseconds(partial(plain.search, query=query)),
            "miss": microseconds(ask),
            "second": microseconds(ask),
            "hit": microseconds(ask),
        }
        answer = ask(NAME).ids
        for changed in CHANGED:
            outside = [row_id for row_id in range(changed + 10) if row_id not in answer][:changed]
            for store in (cached, plain):
                store.update_vectors(NAME, outside, -query + rows[outside] / 10)
            for name, store in (("fresh", plain), ("patched", cached)):
                taken[f"{name}_{changed}"] = microseconds(partial(store.search, query=query))
            for store in (cached, plain):
                store.update_vectors(NAME, outside, rows[outside])
                store.search(NAME, query)
        for name, each in taken.items():
            times.setdefault(name, []).extend([each] if repeat else [])  # The first one compiles.
    searched = sum(changed > PATCHED_ROWS + count // PATCHED_SHARE for changed in CHANGED)
    counted = cache.stats()
    assert (counted.misses, counted.evicted) == ((repeats + 1) * (1 + 2 * searched), 0)
    return {name: float(np.median(each)) for name, each in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one small size, few repeats")
    quick = parser.parse_args().quick
    sizes = [(10_000, 128)] if quick else [(10_000, 128), (100_000, 128)]
    rows = []
    for count, dim in sizes:
        taken = measured(count, dim, repeats=5 if quick else 25)
        row = {"rows": count, "fresh_us": taken["fresh"]}
        row |= {f"fresh_to_{name}": taken["fresh"] / taken[name] for name in KINDS}
        for changed in CHANGED:
            row[f"fresh_to_patched_{changed}"] = (
                taken[f"fresh_{changed}"] / taken[f"patched_{changed}"]
            )
        rows.append(row)
    print(pd.DataFrame(rows).round(2).to_string(index=False))


if __name__ == "__main__":
    main()
