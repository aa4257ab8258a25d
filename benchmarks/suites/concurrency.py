"""Readers in threads while a writer flips a row between A and B: torn, stale, wrong, errors.

The hot row is A or B, never anything else. A read is *torn* if its score (or vector) is neither
A's nor B's, *stale* if it shows a write older than the last one that had returned when the read
started, *wrong* if it names another id or payload. To tell how old a value is, every write has
a number and its vector is A or B scaled by it exactly: the number can be read off the score.
The writer reads every eighth write back itself. Beside that it updates, inserts and deletes other
rows and takes snapshots, so that slots move, tables are copied and memory is donated while reads
are in flight.
"""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter

import numpy as np

import vectorkit as vk
from benchmarks.rows import Plan, Row
from benchmarks.timing import Timing, drawn, names

ROWS, DIM = 256, 16
HOT = "hot"
NUMBER_MAX = 1 << 23  # Half of what float32 counts exactly.
READERS = {"get": 3, "search": 2, "search_many": 1}
A = np.eye(DIM, dtype=np.float32)[0]
B = np.eye(DIM, dtype=np.float32)[1]
PROBE = A + B


def hot_row(number: int) -> np.ndarray:
    """A or B in turn, times the write's number: whole numbers that float32 holds exactly."""
    return (A if number % 2 == 0 else B) * np.float32(number)


@dataclass
class Shared:
    """What readers and the writer tell each other; each field has one writing thread."""

    collection: vk.Collection
    returned: int = 1
    started: int = 1
    is_over: bool = False
    counts: list[Counter[str]] = field(default_factory=list)


def rows(plan: Plan) -> Iterator[Row]:
    """How many reads of each kind there were, and what was wrong with any of them."""
    sys.setswitchinterval(1e-4)  # Threads change places fifty times as often as they would.
    collection = vk.CpuCollection(dim=DIM, metric="dot")
    cold = drawn(ROWS, DIM) * np.float32(0.5)
    collection.upsert([HOT, *names(ROWS)], np.vstack([hot_row(1), cold]))
    for observe in OBSERVE.values():
        observe(collection)  # Compiles.
    wanted, seconds = plan.pick((10_000, 8.0), (1_000_000, 150.0))
    counts, elapsed_s = run(Shared(collection), cold, wanted, seconds)
    reads = sum(counts[kind] for kind in READERS)
    case = f"one writer, six readers, {ROWS + 1} × {DIM}"
    yield Row(
        case=case,
        who="vectorkit",
        timing=Timing((elapsed_s,)),
        operations=reads,
        values={"reads_count": float(reads)}
        | {f"{what}_count": float(counts[what]) for what in ("torn", "stale", "wrong", "errors")},
    )
    for what, count in counts.items():
        if what not in {"torn", "stale", "wrong", "errors"}:
            values = {"done_count": float(count)}
            timing = Timing((elapsed_s,))
            yield Row(case=f"{case}: {what}", timing=timing, operations=max(count, 1),
                      values=values)  # fmt: skip


def run(
    shared: Shared, cold: np.ndarray, wanted: int, seconds: float
) -> tuple[Counter[str], float]:
    """Read and write until enough has been read or the time is over."""
    tasks = [partial(write, shared, cold)]
    tasks += [partial(read, shared, kind) for kind, count in READERS.items() for _ in range(count)]
    shared.counts = [Counter() for _ in tasks]
    threads = [
        threading.Thread(target=task, args=(counts,))
        for task, counts in zip(tasks, shared.counts, strict=True)
    ]
    started = perf_counter()
    for thread in threads:
        thread.start()
    over = threading.Event()
    while perf_counter() - started < seconds:
        over.wait(0.05)
        if sum(counts[kind] for counts in shared.counts for kind in READERS) >= wanted:
            break
    shared.is_over = True
    for thread in threads:
        thread.join()
    elapsed_s = perf_counter() - started
    total = Counter({"errors": 0, "torn": 0, "stale": 0, "wrong": 0})
    for counts in shared.counts:
        total.update(counts)
    return total, elapsed_s


def write(shared: Shared, cold: np.ndarray, counts: Counter[str]) -> None:
    """Flip the hot row; between flips disturb everything else."""
    collection, cold_ids = shared.collection, names(ROWS)
    number = shared.returned
    while not shared.is_over and number < NUMBER_MAX:
        number += 1
        shared.started = number
        try:
            collection.update_vector(HOT, hot_row(number))
            shared.returned = number
            if number % 8 == 0:
                counts["stale"] += observe_get(collection) != (HOT, number)
                counts["get by the writer"] += 1
            disturb(collection, cold_ids, cold, number, counts)
        except Exception as error:
            counts["errors"] += 1
            counts[f"{type(error).__name__} in a write"] += 1
        counts["flips"] += 1


def disturb(
    collection: vk.Collection, ids: list[str], cold: np.ndarray, number: int, counts: Counter[str]
) -> None:
    """Now and then: a batch, a row that goes and comes back, the hot row moved, a snapshot."""
    some = slice(number % 7, None, 7)
    if number % 16 == 0:
        collection.update_vectors(ids[some], cold[some])
        counts["batches"] += 1
    if number % 64 == 0:
        collection.delete(ids[some])
        collection.insert(ids[some], cold[some])
        counts["deletes + inserts"] += 1
    if number % 256 == 0:
        collection.snapshot()
        counts["snapshots"] += 1


def read(shared: Shared, kind: str, counts: Counter[str]) -> None:
    """Read the hot row again and again and judge what comes back."""
    observe = OBSERVE[kind]
    while not shared.is_over:
        oldest = shared.returned
        try:
            row_id, value = observe(shared.collection)
        except Exception as error:
            counts["errors"] += 1
            counts[f"{type(error).__name__} in {kind}"] += 1
        else:
            newest = shared.started
            counts["wrong"] += row_id != HOT
            is_whole = value == int(value) and 1 <= value <= NUMBER_MAX
            counts["torn"] += not is_whole
            counts["stale"] += is_whole and not oldest <= value <= newest
        counts[kind] += 1


def observe_get(collection: vk.Collection) -> tuple[str, float]:
    """The number in the hot row; not a whole number where the row is neither A's nor B's."""
    row = collection.get(HOT)
    number = float(row.vector.max())
    is_whole = np.array_equal(row.vector, hot_row(int(number)))
    return row.id, number if is_whole else 0.5


def observe_search(collection: vk.Collection) -> tuple[str, float]:
    found = collection.search(PROBE, k=1)
    return found.ids[0], float(found.scores[0])


def observe_many(collection: vk.Collection) -> tuple[str, float]:
    """Two queries in one state: one of the scores is the number, the other is below any."""
    found = collection.search_many(np.stack([PROBE, A, B]), k=1)
    number = float(found.scores[0, 0])
    seen = float(found.scores[1 if number % 2 == 0 else 2, 0])
    return found.ids[0, 0], number if seen == number else 0.5


OBSERVE = {"get": observe_get, "search": observe_search, "search_many": observe_many}
