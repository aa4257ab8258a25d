"""Interrupts by real signals amid calls of every kind: what is damaged afterwards.

A timer raises KeyboardInterrupt somewhere in a drawn call, as Ctrl-C and Jupyter's stop button do.
Then the version says whether the call has happened; a twin that nobody interrupts makes the same
calls. The collection is *damaged* if anything raises afterwards, if ids, rows or payloads are not
those of the twin, if the running digest is not that of the rows, or if a snapshot taken before has
changed. Through a store, its subscriber has to have seen each operation that happened once.
"""

from __future__ import annotations

import signal
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from traceback import format_exception
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
    total = Outcome()
    started = perf_counter()
    for number, (kind, make) in enumerate(KINDS.items()):
        begun = perf_counter()
        outcome = interrupted(make, wanted, np.random.default_rng(number), kind)
        total.counts.update(outcome.counts)
        yield _row(kind, outcome, perf_counter() - begun)
    yield _row("all kinds", total, perf_counter() - started)


@dataclass
class Outcome:
    """What interrupts have done: counts, and a note of each error and damage with its traceback."""

    counts: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)

    def note(self, what: str, where: str, why: str) -> None:
        self.counts[what] += 1
        self.notes.append(f"{what}: {where}\n{why}")


def _row(case: str, outcome: Outcome, elapsed_s: float) -> Row:
    counts = outcome.counts
    values = {
        f"{what}_count": float(counts[what])
        for what in ("interrupts", "damaged", "happened", "errors")
    }
    return Row(
        case=case,
        who="vectorkit",
        timing=Timing((elapsed_s,)),
        operations=counts["calls"],
        values=values,
        notes=tuple(outcome.notes),
    )


def interrupted(
    make: Callable[[], vk.Collection], wanted: int, rng: np.random.Generator, kind: str = ""
) -> Outcome:
    """Interrupt calls until `wanted` interrupts have arrived; what happened and was damaged.

    No exception ends this: each is counted, its traceback is noted, and the collection is compared
    with its twin as after any interrupt.
    """
    outcome = Outcome()
    counts, took = outcome.counts, [2e-4] * len(CALLS)
    pair = Pair(make)
    for _ in range(WARM_UP):  # Compiles: JAX's own tables are not what is measured here.
        call = CALLS[int(rng.integers(len(CALLS)))](rng, pair.twin)
        call(pair.collection)
        assert not pair.difference(call)
    with alarm() as ring:
        while counts["interrupts"] < wanted:
            which = int(rng.integers(len(CALLS))) if len(pair.twin) else CALLS.index(_upsert)
            call, where = (
                CALLS[which](rng, pair.twin),
                f"{kind}, {CALLS[which].__name__.strip('_')}",
            )
            counts["calls"] += 1
            seconds, wants_snapshot = rng.uniform(2e-6, 1.2 * took[which]), rng.random() < 0.3
            started = perf_counter()
            why = pair.hold() if wants_snapshot else ""
            raised = attempt(ring, float(seconds), partial(call, pair.collection))
            if raised is None:
                took[which] = 0.8 * took[which] + 0.2 * (perf_counter() - started)
            elif isinstance(raised, KeyboardInterrupt):
                counts["interrupts"] += 1
                took[which] *= 1.05  # Completed calls alone would be the short ones.
            else:  # What JAX or Python has made of an interrupt in its own code.
                outcome.note("errors", where, traceback_of(raised))
            why = why or pair.difference(call)
            counts["happened"] += pair.has_happened
            if why:
                after = "no exception" if raised is None else traceback_of(raised)
                outcome.note("damaged", where, f"{why}\nafter {after}")
                pair = Pair(make)
    return outcome


def attempt(
    ring: Callable[[float], None], seconds: float, call: Callable[[], Any]
) -> BaseException | None:
    """Make a call that an alarm may interrupt; the exception that it raises. No alarm is left."""
    try:
        try:
            ring(seconds)
            call()
        finally:
            ring(0.0)
    except BaseException as error:
        return error
    return None


def traceback_of(error: BaseException) -> str:
    """An exception with its traceback and with those that led to it."""
    return "".join(format_exception(error)).rstrip()


class Pair:
    """A collection whose calls are interrupted, and its twin."""

    def __init__(self, make: Callable[[], vk.Collection]) -> None:
        self.collection, self.twin = make(), make()
        self.has_happened = False
        self.snapshot: vk.Snapshot | None = None
        self.held = ""
        self.seen: deque[object] = deque()
        commit = self.collection._commit
        if commit is not None:
            commit.__self__.subscribe(self.seen.append)  # type: ignore[attr-defined]
        first = np.random.default_rng(0).normal(size=(ROWS, DIM))
        for each in (self.collection, self.twin):
            each.upsert(range(ROWS), first, [{"n": number % 3} for number in range(ROWS)])
            each.search(first[0], where={"n": 1})

    def hold(self) -> str:
        """Take a snapshot, which the next call must not change. The traceback if that fails."""
        try:
            self.snapshot = self.collection.snapshot()
            self.held = self.snapshot.digest()
        except Exception as error:
            self.snapshot = None
            return traceback_of(error)
        return ""

    def difference(self, call: Call) -> str:
        """Let the twin make the call if the collection has, and say in what they differ.

        An empty string: in nothing. An exception is a difference, with its traceback.
        """
        self.has_happened = False
        try:
            return ", ".join(self._differences(call))
        except Exception as error:
            return traceback_of(error)
        finally:
            self.snapshot = None

    def _differences(self, call: Call) -> Iterator[str]:
        version = self.collection.version
        self.has_happened = version != self.twin.version
        if self.has_happened:
            call(self.twin)
        one, other = self.collection.snapshot(), self.twin.snapshot()
        query = np.ones(DIM)
        found = self.collection.search(query, 3, where={"n": 1}).ids
        compared = {
            "version": (version, self.twin.version),
            "ids": (one.ids(), other.ids()),
            "rows or payloads": (one.digest(), other.digest()),
            "running digest": (self.collection.digest(), one.digest()),
            "search": (found, self.twin.search(query, 3, where={"n": 1}).ids),
        }
        if self.collection._commit is not None:
            compared["operations seen"] = (len(self.seen), version)
        if self.snapshot is not None:
            compared["snapshot from before"] = (self.snapshot.digest(), self.held)
        for what, (is_there, wanted) in compared.items():
            if is_there != wanted:
                yield f"{what}: got {is_there}, wanted {wanted}"


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
