"""What an update costs: against delete + insert, and against the floor, for sizes and batches.

    python -m benchmarks.update [--quick]

Medians of microseconds a row, all of one run on one machine: compare the ratios. The floor is
what Python alone can do, `rows[slot_of[id]] = vector` in NumPy: no validation, no device.
"""

import argparse
from time import perf_counter

import numpy as np
import pandas as pd

from vectorkit import measure
from vectorkit.datasets import Dataset
from vectorkit.draws import address, draw_block

BATCHES = (1, 16, 128, 1_024, 8_192)


def drawn(count: int, dim: int, seed: int) -> Dataset:
    """Rows of drawn numbers in [−1, 1)."""
    numbers = draw_block(address(seed), count * dim).astype(np.float64) / 2.0**31 - 1.0
    ids = tuple(f"row-{index}" for index in range(count))
    vectors = numbers.astype(np.float32).reshape(count, dim)
    return Dataset("drawn", ids, vectors, tuple({"index": index} for index in range(count)))


def floor_us(data: Dataset, repeats: int) -> float:
    """Microseconds for one row, drawn as in the other columns, into an array through a dict."""
    slot_of = {row_id: slot for slot, row_id in enumerate(data.ids)}
    rows = data.vectors.copy()
    times = []
    for repeat in range(repeats):
        order = np.argsort(draw_block(address(repeat), len(data)), kind="stable")[:1_000]
        chosen = [data.ids[slot] for slot in order]
        vectors = data.vectors[order[::-1]]
        started = perf_counter()
        for row_id, vector in zip(chosen, vectors, strict=True):
            rows[slot_of[row_id]] = vector
        times.append((perf_counter() - started) * 1e6 / len(chosen))
    return float(np.median(times))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one small size, few repeats")
    quick = parser.parse_args().quick
    sizes = [(10_000, 50)] if quick else [(10_000, 128), (100_000, 50), (100_000, 128)]
    repeats = 3 if quick else 9
    tables = []
    for count, dim in sizes:
        data = drawn(count, dim, seed=7)
        times = measure.update_latency(data, batches=BATCHES, repeats=repeats)
        table = measure.summarise_updates(times)[
            ["batch", "update_us", "delete_insert_us", "speedup"]
        ]
        table.insert(0, "dim", dim)
        table.insert(0, "rows", count)
        table["floor_us"] = floor_us(data, repeats)
        table["update_to_floor"] = table["update_us"] / table["floor_us"]
        tables.append(table)
    print(pd.concat(tables).round(2).to_string(index=False))


if __name__ == "__main__":
    main()
