"""Updates against delete + insert of the same rows, by `vectorkit.measure`: kind, N, d, batch.

Public calls, each committed, one read at the end of each stretch. All kinds lie on the devices that
there are: a "gpu" may be the CPU, a mesh may have one device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import jax

from benchmarks.rows import Plan, Row
from benchmarks.timing import Timing, drawn, names
from vectorkit import (
    Collection,
    CpuCollection,
    GpuCollection,
    QuantizedCollection,
    ShardedCollection,
    measure,
)
from vectorkit.datasets import Dataset

BATCHES = (1, 16, 128, 1_024, 8_192)


def kinds() -> dict[str, Callable[..., Collection]]:
    return {
        "cpu": CpuCollection,
        "gpu": partial(GpuCollection, device=jax.local_devices()[0]),
        "sharded": ShardedCollection,
        **{
            f"{codec}, rows {where}": partial(QuantizedCollection, codec=codec, rows=where)
            for where in ("device", "none")
            for codec in ("int8", "binary", "pq")
        },
    }


def cases(plan: Plan) -> Iterator[tuple[int, int, str, tuple[int, ...]]]:
    """Rows, dimensions, kind, batches: every kind at one size, the first one at more."""
    made = kinds()
    if plan.form == "quick":
        yield from ((4_000, 64, kind, (1, 1_024)) for kind in ("cpu", "int8, rows none"))
        return
    for count, dim in ((10_000, 128), (100_000, 50), (100_000, 384)):
        yield count, dim, "cpu", BATCHES
    yield from ((100_000, 128, kind, BATCHES) for kind in made)


def rows(plan: Plan) -> Iterator[Row]:
    made = kinds()
    for count, dim, kind, batches in cases(plan):
        payloads = tuple({"index": index} for index in range(count))
        data = Dataset("drawn", tuple(names(count)), drawn(count, dim), payloads)
        frame = measure.update_latency(data, make=made[kind], batches=batches, repeats=plan.repeats)
        faster = measure.summarise_updates(frame).set_index("batch")["speedup"]
        for (batch, method), repeats in frame.groupby(["batch", "method"], sort=False):
            is_update = method == measure.UPDATE
            yield Row(
                case=f"batch {batch:,}, {kind}, {count:,} × {dim}",
                who="vectorkit" if is_update else "vectorkit, delete + insert",
                timing=Timing(tuple((repeats["us_per_row"] / 1e6).tolist())),
                values={"speedup": float(faster[batch])} if is_update else {},
            )
