"""What it takes to begin: imports, the first calls, and compilations that never come back.

Imports are timed in fresh processes, around the import alone, with the bytecode of all packages
written before. The stream is a runbook of drawn steps (insert, delete, update, replace, search)
with batches of all sizes over a collection whose size wanders but whose capacity was reached
before: once to warm up, once more with other draws to count. Growth is apart: a larger capacity
means new shapes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator

import jax
import numpy as np

import vectorkit as vk
from benchmarks.rows import Plan, Row
from benchmarks.timing import Lap, Timing, compilations, drawn, in_turn, lap, shuffled
from vectorkit.draws import address, below, draw, draw_block

PACKAGES = ("jax", "vectorkit", "numpy", "pandas")
PROGRAM = "from time import perf_counter as now; t = now(); import {}; print(now() - t)"
K = (1, 10, 100)
STEPS = ("insert", "delete", "update", "update_one", "search", "search_one")


def rows(plan: Plan) -> Iterator[Row]:
    yield from imported(plan)
    if plan.form == "full":
        yield from first_calls()
    for metric in plan.pick(("cosine",), ("cosine", "dot", "euclidean")):
        yield from streamed(plan, metric)


def imported(plan: Plan) -> Iterator[Row]:
    """Imports in turn."""
    with tempfile.TemporaryDirectory() as bytecode:

        def call(package: str) -> Callable[[int], Lap]:
            return lambda _: Lap(import_s(package, bytecode))

        packages = plan.pick(PACKAGES[:2], PACKAGES)
        calls = {package: call(package) for package in packages}
        timings = in_turn(calls, plan.repeats, budget_s=60.0)
    for package, timing in timings.items():
        values = {"by jax": timing.ratio(timings["jax"])}
        yield Row(case="import in a fresh process", who=package, timing=timing, values=values)


def import_s(package: str, bytecode: str) -> float:
    """Seconds of one import, with the bytecode of all packages in the folder `bytecode`."""
    command = [sys.executable, "-c", PROGRAM.format(package)]
    environment = os.environ | {"PYTHONPYCACHEPREFIX": bytecode}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout)


def first_calls() -> Iterator[Row]:
    """What a notebook waits for: the first call of each kind, most of it compilation."""
    count, dim = 100_000, 128
    vectors = drawn(count, dim)
    jax.clear_caches()
    collection = vk.CpuCollection(dim=dim)
    calls: dict[str, Callable[[], object]] = {
        "insert": lambda: collection.insert(range(count), vectors),
        "get": lambda: collection.get(0),
        "update_vector": lambda: collection.update_vector(0, vectors[1]),
        "search": lambda: collection.search(vectors[0]).scores,
        "search_many": lambda: collection.search_many(vectors[:32]).scores,
        "delete": lambda: collection.delete([0]),
    }
    for name, call in calls.items():
        taken, _ = lap(call)
        yield Row(
            case=f"first {name}, {count:,} × {dim}",
            timing=Timing((taken.seconds,), taken.seconds, taken.compile_s),
            values={"compilation_count": float(taken.compilations)},
        )


class Stream:
    """A collection and the ids that are in it, driven by draws alone."""

    def __init__(self, count: int, dim: int, metric: str, batch_max: int) -> None:
        assert count > 3 * batch_max, "the warm-up would grow beyond its capacity"
        self.collection = vk.CpuCollection(dim=dim, metric=metric)
        self.dim, self.next_id, self.base, self.batch_max = dim, 0, count, batch_max
        self.ids: list[str] = []
        self.insert(2 * count)  # The capacity that the stream will never exceed.
        self.delete(count, seed=0)

    def run(self, seed: int, steps: int) -> None:
        for step in range(steps):
            kind = STEPS[below(draw(seed, step, 0), len(STEPS))]
            size = 1 + below(draw(seed, step, 1), self.batch_max)
            if kind == "insert" and len(self.ids) + size > 2 * self.base:
                kind = "delete"
            elif kind == "delete" and len(self.ids) - size < self.base // 2:
                kind = "insert"
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
        return [self.ids[slot] for slot in shuffled(len(self.ids), size, seed)]

    def rows(self, size: int, seed: int) -> np.ndarray:
        return draw_block(address(seed), size * self.dim).reshape(size, self.dim) / 2.0**32 - 0.5

    def warm_up(self) -> None:
        """Every kind of step at every power of two."""
        for size in (1 << power for power in range(self.batch_max.bit_length())):
            for kind in STEPS:
                for turn in range(len(K)):
                    self.step(kind, size, 3 * size + turn)


def streamed(plan: Plan, metric: str) -> Iterator[Row]:
    """Compilations by phase: none after the warm-up."""
    count, batch_max, steps = plan.pick((256, 8, 60), (16_384, 1_024, 200))
    jax.clear_caches()
    counter = compilations()
    stream = Stream(count, 64, metric, batch_max)
    phases: dict[str, Callable[[], None]] = {
        "warm-up: every size": stream.warm_up,
        "warm-up: steps": lambda: stream.run(1, steps),
        "after warm-up": lambda: stream.run(2, steps),
    }
    if plan.form == "full":
        phases["growth to twice the capacity"] = lambda: stream.insert(2 * stream.base)
    for phase, run in phases.items():
        before = counter.count
        taken, _ = lap(run)
        yield Row(
            case=f"stream of {steps} steps, {metric}, {phase}",
            timing=Timing((taken.seconds,), taken.seconds, taken.compile_s),
            values={"compilation_count": float(counter.count - before)},
        )
