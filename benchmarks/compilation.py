"""How often a stream of writes and searches compiles: never, once each shape has been met.

    python -m benchmarks.compilation

A runbook of drawn steps (insert, delete, update, replace, search) with batches of all sizes up to
`BATCH_MAX`, over a collection whose size wanders but whose capacity was reached before: once to
warm up, once more with other draws to count. Growth is apart: a larger capacity means new shapes,
and its compilations are counted in a table of their own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

import jax
import numpy as np
from jax import monitoring

import vectorkit as vk
from benchmarks import common
from vectorkit.draws import address, below, draw, draw_block

STEPS = 200
BATCH_MAX = 1_024
K = (1, 10, 100)
KINDS = ("insert", "delete", "update", "update_one", "search", "search_one")
COMPILED = "/jax/core/compile/backend_compile_duration"


class Compilations:
    """What XLA really compiled, by JAX's own event, whoever asked for it."""

    def __init__(self) -> None:
        self.count, self.seconds = 0, 0.0
        monitoring.register_event_duration_secs_listener(self._listen)

    def _listen(self, event: str, seconds: float, **_: object) -> None:
        if event == COMPILED:
            self.count += 1
            self.seconds += seconds

    @contextmanager
    def counted(self, line: dict[str, object]) -> Iterator[None]:
        count, compiling, started = self.count, self.seconds, perf_counter()
        yield
        line["compilations"] = self.count - count
        line["compile_s"] = self.seconds - compiling
        line["total_s"] = perf_counter() - started


class Stream:
    """A collection and the ids that are in it, driven by draws alone."""

    def __init__(self, count: int, dim: int, metric: str) -> None:
        self.collection = vk.CpuCollection(dim=dim, metric=metric)
        self.dim, self.next_id, self.base = dim, 0, count
        self.ids: list[str] = []
        self.done: Counter[str] = Counter()
        self.insert(2 * count)  # The capacity that the stream will never exceed.
        self.delete(count, seed=0)

    def run(self, seed: int, steps: int) -> None:
        for step in range(steps):
            kind = KINDS[below(draw(seed, step, 0), len(KINDS))]
            size = 1 + below(draw(seed, step, 1), BATCH_MAX)
            if kind == "insert" and len(self.ids) + size > 2 * self.base:
                kind = "delete"
            elif kind == "delete" and len(self.ids) - size < self.base // 2:
                kind = "insert"
            self.done[kind] += 1
            self.step(kind, size, draw(seed, step, 2))

    def step(self, kind: str, size: int, seed: int) -> None:
        if kind == "insert":
            self.insert(size)
        elif kind == "delete":
            self.delete(size, seed)
        elif kind == "update":
            self.collection.update_vectors(self.some(size, seed), self.rows(size, seed))
        elif kind == "update_one":
            self.collection.update_vector(self.some(1, seed)[0], self.rows(1, seed)[0])
        elif kind == "search":
            self.collection.search_many(self.rows(size, seed), k=K[seed % len(K)])
        else:
            self.collection.search(self.rows(1, seed)[0], k=K[seed % len(K)])

    def insert(self, size: int) -> None:
        fresh = [f"row-{number}" for number in range(self.next_id, self.next_id + size)]
        self.next_id += size
        self.collection.insert(fresh, self.rows(size, self.next_id))
        self.ids += fresh

    def delete(self, size: int, seed: int) -> None:
        gone = self.some(size, seed)
        self.collection.delete(gone)
        left = set(gone)
        self.ids = [row_id for row_id in self.ids if row_id not in left]

    def some(self, size: int, seed: int) -> list[str]:
        return [self.ids[slot] for slot in common.shuffled(len(self.ids), size, seed)]

    def rows(self, size: int, seed: int) -> np.ndarray:
        return draw_block(address(seed), size * self.dim).reshape(size, self.dim) / 2.0**32 - 0.5


def main() -> None:
    options = common.parse(common.parser(__doc__))
    report = common.Report("compilation", options)
    compilations = Compilations()
    count, steps = (4_096, 40) if options.quick else (16_384, STEPS)
    jax.clear_caches()
    for metric in ("cosine", "dot", "euclidean"):
        lines: list[dict[str, object]] = []

        def phase(name: str, lines: list[dict[str, object]] = lines) -> dict[str, object]:
            lines.append({"phase": name})
            return lines[-1]

        with compilations.counted(phase("load")):
            stream = Stream(count, 64, metric)
        with compilations.counted(phase(f"warm-up: every size, then {steps} steps")):
            for size in (1 << power for power in range(BATCH_MAX.bit_length())):
                for kind in KINDS:
                    for turn in range(len(K)):
                        stream.step(kind, size, 3 * size + turn)
            stream.run(1, steps)
        with compilations.counted(phase(f"{steps} steps")):
            stream.run(2, steps)
        with compilations.counted(phase("growth to twice the capacity, then 40 steps")):
            stream.insert(2 * stream.base)
            stream.run(3, 40)
        report.table(f"compilations, {metric}, steps {dict(stream.done)}", lines)
        report.bar(f"compilations after warm-up, {metric}", lines[2]["compilations"], 0, "lower")


if __name__ == "__main__":
    main()
