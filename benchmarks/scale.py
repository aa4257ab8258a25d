"""A million rows: load, update, search, and the memory that the process really takes.

    python -m benchmarks.scale [--ids str,int] [--rows 1000000]

Each kind of ids has a fresh process. Memory is the process's own high-water mark (VmHWM) and
resident size (VmRSS) less what was resident once everything was imported, the rows were drawn and
a small collection had compiled the programs; the caller's own array and ids are therefore not
counted, the collection's ids, dict, payload table, digest's set and buffers are. The ratio is to
the raw float32 rows.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks import common

DIM = 128
UPDATES = 4_096
BATCH = 8_192
QUERIES = (1, 32)


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--ids", default="str,int", help="kinds of ids")
    parser.add_argument("--child", help="measure this kind in this process, print JSON")
    options = common.parse(parser)
    count = 50_000 if options.quick else options.rows
    if options.child:
        print(json.dumps(measure(count, options.child, options.repeats)))
        return
    report = common.Report("scale", options)
    lines = []
    for kind in options.ids.split(","):
        command = [sys.executable, "-m", "benchmarks.scale", "--child", kind]
        command += ["--rows", str(count), "--repeats", str(options.repeats)]
        with common.exclusive(options.lock):
            done = subprocess.run(command, capture_output=True, text=True, check=True)
        lines.append({"ids": kind, **json.loads(done.stdout)})
    report.table(f"{count:,} × {DIM} float32", lines)
    for line in lines:
        name = f"peak memory by raw rows, {line['ids']} ids"
        print(f"        {name}: {line['peak_by_raw']:.2f}, held {line['held_by_raw']:.2f}")


def measure(count: int, kind: str, repeats: int) -> dict[str, Any]:
    """One process's life, and the medians of what it did."""
    import vectorkit as vk

    rows = common.drawn(count, DIM)
    ids: list[Any] = common.names(count) if kind == "str" else list(range(count))
    small = vk.CpuCollection(dim=DIM, metric="dot")
    small.upsert(ids[:64], rows[:64])
    small.search(rows[0])
    del small
    base = memory_bytes("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # The high-water mark starts from here.
    collection = vk.CpuCollection(dim=DIM, metric="dot")
    started = perf_counter()
    collection.upsert(ids, rows)
    collection.get(ids[0])
    found = {"load_s": perf_counter() - started, "load_peak_by_raw": above(base, "VmHWM", rows)}
    found["first_search_ms"] = median_ms(lambda _: collection.search(rows[0]), 1)
    found["search_ms"] = median_ms(lambda each: collection.search(rows[each]), repeats)
    for batch in QUERIES[1:]:
        collection.search_many(rows[:batch])
        many = median_ms(lambda _, batch=batch: collection.search_many(rows[:batch]), repeats)
        found[f"search_{batch}_ms"] = many
    slots = [common.shuffled(count, BATCH, seed).tolist() for seed in range(repeats)]

    def one_by_one(each: int) -> None:
        for slot in slots[each][:UPDATES]:
            collection.update_vector(ids[slot], rows[slot - 1])
        collection.get(ids[0])

    def batch_wise(each: int) -> None:
        collection.update_vectors([ids[slot] for slot in slots[each]], rows[slots[each]])
        collection.get(ids[0])

    one_by_one(0)
    found["update_us"] = median_ms(one_by_one, repeats) * 1e3 / UPDATES
    batch_wise(0)
    found["batch_us_per_row"] = median_ms(batch_wise, repeats) * 1e3 / BATCH
    started = perf_counter()
    collection.digest()
    found["digest_s"] = perf_counter() - started
    found["held_by_raw"] = above(base, "VmRSS", rows)
    found["peak_by_raw"] = above(base, "VmHWM", rows)
    return found


def median_ms(call: Any, repeats: int) -> float:
    times = []
    for each in range(repeats):
        started = perf_counter()
        call(each)
        times.append((perf_counter() - started) * 1e3)
    return float(np.median(times))


def above(base: int, field: str, rows: np.ndarray) -> float:
    return (memory_bytes(field) - base) / rows.nbytes


def memory_bytes(field: str) -> int:
    """VmRSS or VmHWM of this process, which Linux counts in kB of 1,024."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field + ":"))


if __name__ == "__main__":
    main()
