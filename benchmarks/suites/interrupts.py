"""Interrupts by real signals amid calls of every kind: what is damaged afterwards.

A timer raises KeyboardInterrupt somewhere in a drawn call, as Ctrl-C and Jupyter's stop button do.
Then the version says whether the call has happened; a twin that nobody interrupts makes the same
calls. The collection is *damaged* if anything raises afterwards, if ids, rows or payloads are not
those of the twin, if the running digest is not that of the rows, or if a snapshot taken before has
changed. Through a store, its subscriber has to have seen each operation that happened once.
"""

from __future__ import annotations

import signal
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from types import FrameType
from typing import Any

import jax
import numpy as np

import vectorkit as vk
from benchmarks.rows import Plan, Row
from benchmarks.timing import Timing

ROWS, DIM, LARGE, WARM_UP = 300, 16, 200, 100
KINDS: dict[str, Callable[[], vk.Collection]] = {
    "cpu": lambda: vk.CpuCollection(dim=DIM, metric="dot"),
    "gpu": lambda: vk.GpuCollection(dim=DIM, metric="dot", device=jax.devices()[0]),
    "sharded": lambda: vk.ShardedCollection(dim=DIM, metric="dot"),
    "int8": lambda: vk.QuantizedCollection(dim=DIM, metric="dot", codec="int8"),
    "binary, rows on the host": lambda: vk.QuantizedCollection(
        dim=DIM, metric="dot", codec="binary", rows="host"
    ),
    "pq": lambda: vk.QuantizedCollection(dim=DIM, metric="dot", codec="pq"),
    "pq, no rows": lambda: vk.QuantizedCollection(dim=DIM, metric="dot", codec="pq", rows="none"),
    "store": lambda: vk.VectorStore().create_collection("rows", dim=DIM, metric="dot"),
}
Call = Callable[[vk.Collection], Any]


def rows(plan: Plan) -> Iterator[Row]:
    """Interrupts that arrived in a call, and the collections that they damaged, by kind."""
    wanted = plan.pick(20, 10_000) // len(KINDS) + 1
    total: Counter[str] = Counter()
    started = perf_counter()
    for number, (kind, make) in enumerate(KINDS.items()):
        begun = perf_counter()
        counts = interrupted(make, wanted, np.random.default_rng(number))
        total.update(counts)
        yield _row(kind, counts, perf_counter() - begun)
    yield _row("all kinds", total, perf_counter() - started)


def _row(case: str, counts: Counter[str], elapsed_s: float) -> Row:
    values = {
        f"{what}_count": float(counts[what])
        for what in ("interrupts", "damaged", "happened", "errors")
    }
    timing = Timing((elapsed_s,))
    return Row(case=case, who="vectorkit", timing=timing, operations=counts["calls"], values=values)


def interrupted(
    make: Callable[[], vk.Collection], wanted: int, rng: np.random.Generator
) -> Counter[str]:
    """Interrupt calls until `wanted` interrupts have arrived; what happened and was damaged."""
    counts: Counter[str] = Counter()
    took = [2e-4] * len(CALLS)
    pair = Pair(make)
    for _ in range(WARM_UP):  # Compiles: JAX's own tables are not what is measured here.
        call = CALLS[int(rng.integers(len(CALLS)))](rng, pair.twin)
        call(pair.collection)
        assert pair.follow(call)
    with alarm() as ring:
        while counts["interrupts"] < wanted:
            # Deletions outrun insertions: without rows there is nothing to update.
            which = int(rng.integers(len(CALLS))) if len(pair.twin) else CALLS.index(_upsert)
            try:
                is_sound = _one(which, pair, rng, ring, took, counts)
            except Exception:  # Reading raised, before or after: an earlier interrupt did damage.
                traceback.print_exc()
                is_sound = False
            if not is_sound:
                counts["damaged"] += 1
                pair = Pair(make)
    return counts


def _one(
    which: int,
    pair: Pair,
    rng: np.random.Generator,
    ring: Callable[[float], None],
    took: list[float],
    counts: Counter[str],
) -> bool:
    """Interrupt one call, most likely; False if the collection or a snapshot is damaged."""
    call, started = CALLS[which](rng, pair.twin), perf_counter()
    snapshot = pair.collection.snapshot() if rng.random() < 0.3 else None
    held = None if snapshot is None else snapshot.digest()
    counts["calls"] += 1
    try:
        try:
            ring(float(rng.uniform(2e-6, 1.2 * took[which])))
            call(pair.collection)
        finally:
            ring(0.0)
        took[which] = 0.8 * took[which] + 0.2 * (perf_counter() - started)
    except KeyboardInterrupt:
        counts["interrupts"] += 1
    except Exception:  # JAX has turned an interrupt of its own code into this.
        traceback.print_exc()
        counts["errors"] += 1
    is_sound = pair.follow(call)
    counts["happened"] += pair.has_happened
    return is_sound and (snapshot is None or snapshot.digest() == held)


class Pair:
    """A collection whose calls are interrupted, and its twin."""

    def __init__(self, make: Callable[[], vk.Collection]) -> None:
        self.collection, self.twin = make(), make()
        self.has_happened = False
        self.seen: deque[object] = deque()
        commit = self.collection._commit
        if commit is not None:
            commit.__self__.subscribe(self.seen.append)  # type: ignore[attr-defined]
        first = np.random.default_rng(0).normal(size=(ROWS, DIM))
        for each in (self.collection, self.twin):
            each.upsert(range(ROWS), first, [{"n": number % 3} for number in range(ROWS)])
            each.search(first[0], where={"n": 1})

    def follow(self, call: Call) -> bool:
        """Let the twin make the call if the collection has, and compare them."""
        try:
            version = self.collection.version
            self.has_happened = version != self.twin.version
            if self.has_happened:
                call(self.twin)
            one, other = self.collection.snapshot(), self.twin.snapshot()
            found = self.collection.search(np.ones(DIM), 3, where={"n": 1})
            return (
                (version, one.ids(), one.digest())
                == (self.twin.version, other.ids(), other.digest())
                and self.collection.digest() == one.digest()
                and found.ids == self.twin.search(np.ones(DIM), 3, where={"n": 1}).ids
                and (self.collection._commit is None or len(self.seen) == version)
            )
        except Exception:
            return False


@contextmanager
def alarm() -> Iterator[Callable[[float], None]]:
    """Gives a function that lets KeyboardInterrupt arrive in so many seconds; 0 takes it back."""
    is_armed = [False]

    def arrive(_: int, __: FrameType | None) -> None:
        if is_armed[0]:
            is_armed[0] = False
            raise KeyboardInterrupt

    def ring(seconds: float) -> None:
        is_armed[0] = seconds > 0
        signal.setitimer(signal.ITIMER_REAL, seconds)

    before = signal.signal(signal.SIGALRM, arrive)
    try:
        yield ring
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def some(rng: np.random.Generator, twin: vk.Collection, count: int) -> list[Any]:
    """Distinct ids that are there."""
    return [int(each) for each in rng.choice(twin.ids(), min(count, len(twin)), replace=False)]


def vectors(rng: np.random.Generator, count: int) -> np.ndarray:
    return rng.normal(size=(count, DIM)).astype(np.float32)


def _update_vector(rng: np.random.Generator, twin: vk.Collection) -> Call:
    name, row = some(rng, twin, 1)[0], vectors(rng, 1)[0]
    return lambda c: c.update_vector(name, row)


def _update_vectors(rng: np.random.Generator, twin: vk.Collection) -> Call:
    names = some(rng, twin, int(rng.integers(1, LARGE)))
    block = vectors(rng, len(names))
    return lambda c: c.update_vectors(names, block)


def _update(rng: np.random.Generator, twin: vk.Collection) -> Call:
    name, row, number = some(rng, twin, 1)[0], vectors(rng, 1)[0], int(rng.integers(3))
    return lambda c: c.update(name, vector=row, payload={"n": number})


def _upsert(rng: np.random.Generator, twin: vk.Collection) -> Call:
    names = rng.choice(2 * ROWS, int(rng.integers(1, LARGE)), replace=False).tolist()
    block, payloads = vectors(rng, len(names)), [{"n": name % 3} for name in names]
    return lambda c: c.upsert(names, block, payloads)


def _delete(rng: np.random.Generator, twin: vk.Collection) -> Call:
    names = some(rng, twin, int(rng.integers(1, 40)))
    return lambda c: c.delete(names)


def _search(rng: np.random.Generator, twin: vk.Collection) -> Call:
    row = vectors(rng, 1)[0]
    return lambda c: c.search(row, 3, where={"n": 1})


def _digest(rng: np.random.Generator, twin: vk.Collection) -> Call:
    return lambda c: c.digest()


CALLS = (_update_vector, _update_vectors, _update, _upsert, _delete, _search, _digest)
