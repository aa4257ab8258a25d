"""Many rows in one process: load, and the memory that the process really takes.

Memory is the process's own high-water mark (VmHWM) and resident size (VmRSS) less what was resident
once everything was imported, the rows were drawn and a small collection had compiled the programs;
the caller's own array and ids are therefore not counted, the collection's ids, dict, payload table,
digest's set and buffers are. The ratios are to the raw float32 rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

import vectorkit as vk
from benchmarks.isolated import Isolated, memory_bytes
from benchmarks.rows import Plan, Row
from benchmarks.timing import Timing, drawn, names, shuffled

DIM = 128
BATCH = 8_192
LIMIT_S = 600.0


def rows(plan: Plan) -> Iterator[Row]:
    count = plan.pick(50_000, 1_000_000)
    for kind in ("str", "int"):
        process = Isolated(measure, count, kind, cores=plan.cores)
        load_s, values = process.receive(LIMIT_S)
        process.close()
        yield Row(
            case=f"load, update, search, digest, {count:,} × {DIM}, {kind} ids",
            timing=Timing((load_s,)),
            operations=count,
            values=values,
        )


def measure(connection: Connection, count: int, kind: str) -> None:
    """One process's life."""
    vectors = drawn(count, DIM)
    ids: list[Any] = names(count) if kind == "str" else list(range(count))
    small = vk.CpuCollection(dim=DIM, metric="dot")
    small.upsert(ids[:64], vectors[:64])
    small.search(vectors[0])
    del small
    base = memory_bytes("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", "utf-8")  # The mark starts from here.
    collection = vk.CpuCollection(dim=DIM, metric="dot")
    started = perf_counter()
    collection.upsert(ids, vectors)
    collection.get(ids[0])
    load_s = perf_counter() - started
    loaded = above(base, "VmHWM", vectors)
    slots = shuffled(count, BATCH, 0).tolist()
    collection.update_vectors([ids[slot] for slot in slots], vectors[slots])
    collection.search(vectors[0])
    collection.search_many(vectors[:32])
    collection.digest()
    connection.send(
        (
            load_s,
            {
                "load_peak_by_raw": loaded,
                "peak_by_raw": above(base, "VmHWM", vectors),
                "held_by_raw": above(base, "VmRSS", vectors),
                "memory_by_raw": collection.memory().total_bytes / vectors.nbytes,
            },
        )
    )


def above(base: int, field: str, vectors: np.ndarray) -> float:
    return (memory_bytes(field) - base) / vectors.nbytes
