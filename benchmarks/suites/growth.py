"""How the cost of one operation grows with the rows: the slope of log cost over log rows.

0 is a cost that does not depend on the rows, 1 one that is proportional to them. The interval is
Student's, 95 %, of the least-squares slope over all repeats.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from scipy import stats

import vectorkit as vk
from benchmarks.rows import Plan, Row
from benchmarks.timing import Timing, drawn, in_turn, local, names

DIM = 64
UPDATES = 256
BATCH = 256


def rows(plan: Plan) -> Iterator[Row]:
    sizes = plan.pick((2_048, 8_192, 32_768), (4_096, 16_384, 65_536, 262_144, 1_048_576))
    found: dict[str, dict[int, Timing]] = {}
    for count in sizes:
        for name, timing in measured(count, plan.repeats).items():
            found.setdefault(name, {})[count] = timing
    for name, by_size in found.items():
        for count, timing in by_size.items():
            operations = UPDATES if name == "update_vector" else 1
            yield Row(case=f"{name}, {count:,} × {DIM}", timing=timing, operations=operations)
        slope, low, high = slope_of(by_size)
        yield Row(
            case=f"growth of {name}",
            values={"slope": slope, "slope_low": low, "slope_high": high},
        )


def measured(count: int, repeats: int) -> dict[str, Timing]:
    """Every operation on a collection of so many rows, in turn."""
    ids, vectors = names(count), drawn(count, DIM)
    collection = vk.CpuCollection(dim=DIM, metric="dot")
    collection.upsert(ids, vectors)
    collection.digest()
    some = [int(slot) for slot in np.linspace(0, count - 1, BATCH)]
    chosen, moved = [ids[slot] for slot in some], vectors[some[::-1]]

    def update_each(_: int) -> None:
        for row_id, vector in zip(chosen[:UPDATES], moved, strict=False):
            collection.update_vector(row_id, vector)
        collection.get(chosen[0])

    def update_many(_: int) -> None:
        collection.update_vectors(chosen, moved)
        collection.get(chosen[0])

    def replace(_: int) -> None:
        collection.delete(chosen)
        collection.insert(chosen, moved)
        collection.get(chosen[0])

    def digest(_: int) -> None:
        collection.update_vector(chosen[0], moved[0])
        collection.digest()

    calls: Mapping[str, Callable[[int], Any]] = {
        "update_vector": update_each,
        f"update_vectors of {BATCH}": update_many,
        f"delete + insert of {BATCH}": replace,
        "digest after one write": digest,
        "get": lambda number: collection.get(ids[number]),
        "search": lambda number: collection.search(vectors[number]).scores,
        "search of 32": lambda _: collection.search_many(vectors[:32]).scores,
    }
    alone = {"snapshot": lambda _: len(collection.snapshot())}  # The next write pays a copy for it.
    return in_turn({name: local(call) for name, call in calls.items()}, repeats, budget_s=3.0) | (
        in_turn({name: local(call) for name, call in alone.items()}, repeats)
    )


def slope_of(by_size: Mapping[int, Timing]) -> tuple[float, float, float]:
    """Slope of log seconds over log rows, with the ends of its 95 % interval."""
    sizes, costs = [], []
    for count, timing in by_size.items():
        sizes += [np.log(count)] * len(timing.seconds)
        costs += list(np.log(timing.seconds))
    fit = stats.linregress(sizes, costs)
    half = float(stats.t.ppf(0.975, len(sizes) - 2)) * fit.stderr
    return fit.slope, fit.slope - half, fit.slope + half
