"""What an exact search costs: against the plain product, NumPy and the memory's bandwidth.

    python -m benchmarks.kernels [--rows 262144 --dim 384] [--queries 1 8 32] [--repeats 7]

Medians of milliseconds, the variants interleaved in one run on one machine: compare the ratios.
`memory` reads all rows once, `product` is the better of `rows @ queries.T` and its transpose,
`one top_k` is one product and one `lax.top_k` over all slots, `half` finds only half of the rows
in use in the same capacity, `filtered` keeps every tenth row, `rare` every 1,000th.
"""

import argparse
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from time import perf_counter
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vectorkit.collections import CpuCollection, compiled
from vectorkit.collections.search import find_best
from vectorkit.draws import address, draw_block

PRECISION = jax.lax.Precision.HIGHEST


def drawn(count: int, dim: int, seed: int) -> np.ndarray:
    """Rows of drawn numbers in [−1, 1), block by block."""
    blocks = [
        (draw_block(address(seed << 32 | start), min(4096, count - start) * dim) / 2.0**31 - 1.0)
        for start in range(0, count, 4096)
    ]
    return np.concatenate(blocks).astype(np.float32).reshape(count, dim)


@jax.jit
def rows_first(rows: jax.Array, queries: jax.Array) -> jax.Array:
    return jnp.matmul(rows, queries.T, precision=PRECISION)


@jax.jit
def queries_first(rows: jax.Array, queries: jax.Array) -> jax.Array:
    return jnp.matmul(queries, rows.T, precision=PRECISION)


@jax.jit
def one_top_k(rows: jax.Array, queries: jax.Array) -> Any:
    return jax.lax.top_k(jnp.matmul(queries, rows.T, precision=PRECISION), 16)


def medians_ms(variants: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Medians over interleaved repeats, after two calls that are not counted."""
    times: dict[str, list[float]] = {name: [] for name in variants}
    for repeat in range(-2, repeats):
        for name, variant in variants.items():
            started = perf_counter()
            jax.block_until_ready(variant())
            if repeat >= 0:
                times[name].append((perf_counter() - started) * 1e3)
    return {name: float(np.median(times[name])) for name in variants}


def measured(collection: CpuCollection, half: CpuCollection, batch: int, repeats: int) -> None:
    rows = collection.snapshot()._view.state.rows
    host = np.asarray(rows)
    queries = drawn(batch, collection.dim, seed=2)
    count, every = len(collection), np.arange(len(collection))
    masks = {"filtered": every % 10 == 0, "rare": every % 1_000 == 0}
    total = jax.jit(jnp.sum)
    parts = np.array_split(host, 2)
    search = partial(find_best, collection, queries, 10, collection.metric)
    view = collection.snapshot()._view
    arrays = (view.state.rows, view.state.norms)
    arguments = (arrays, queries, np.ones(batch, np.float32), np.int32(count), None)
    with ThreadPoolExecutor(2) as pool:
        variants: dict[str, Callable[[], Any]] = {
            "sum": lambda: total(rows),
            "max": lambda: list(pool.map(np.max, parts)),
            "rows first": lambda: rows_first(rows, queries),
            "queries first": lambda: queries_first(rows, queries),
            "search": lambda: collection.search_many(queries, k=10),
            "kernel": lambda: compiled.search(*arguments, metric=collection.metric, width=16),
            "half": lambda: half.search_many(queries, k=10),
            "filtered": lambda: search(select=lambda view: masks["filtered"]),
            "rare": lambda: search(select=lambda view: masks["rare"]),
        }
        if batch * len(rows) <= 1 << 26:
            variants["one top_k"] = lambda: one_top_k(rows, queries)
            variants["numpy"] = lambda: queries @ host.T
        medians = medians_ms(variants, repeats)
    memory = min(medians.pop("sum"), medians.pop("max"))
    product = min(medians.pop("rows first"), medians.pop("queries first"))
    own = medians["search"]
    others = " ".join(f"{name}/search {ms / own:.2f}" for name, ms in medians.items())
    print(
        f"{count}×{collection.dim} {batch:>5} queries: search {own:.2f} ms, "
        f"/memory {own / memory:.2f}, /product {own / product:.2f}; {others}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=262_144)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--metric", default="cosine")
    parser.add_argument("--queries", type=int, nargs="+", default=[1, 8, 32, 128, 512, 1024])
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    collections = []
    for count in (options.rows, options.rows // 2):
        collection = CpuCollection(dim=options.dim, metric=options.metric)
        collection.insert(range(options.rows), drawn(options.rows, options.dim, seed=1))
        collection.delete(range(count, options.rows))
        collections.append(collection)
    for batch in options.queries:
        measured(*collections, batch, options.repeats)


if __name__ == "__main__":
    main()
