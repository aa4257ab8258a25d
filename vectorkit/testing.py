"""Helpers for tests of code that uses vectorkit: they raise AssertionError with what differs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import zip_longest

from vectorkit.collections.backends import compiled
from vectorkit.sim import Run


@contextmanager
def count_traces() -> Iterator[Counter[str]]:
    """Count how often each program is traced, hence compiled, inside the block.

    >>> import vectorkit as vk
    >>> c = vk.CpuCollection(dim=2)
    >>> _ = c.upsert(["a"], [[1, 0]]), c.search([1, 0])
    >>> with count_traces() as traces:
    ...     _ = c.update_vector("a", [0, 1]), c.search([0, 1])
    >>> dict(traces)
    {}
    """
    before = compiled.trace_counts.copy()
    traces: Counter[str] = Counter()
    try:
        yield traces
    finally:
        traces.update(compiled.trace_counts - before)


def assert_same_trace(first: Run, second: Run) -> None:
    """Both runs are the same, event by event; else the first difference is shown.

    >>> from vectorkit import sim
    >>> runs = [sim.simulate(duration_ms=500, seed=7) for _ in range(2)]
    >>> assert_same_trace(*runs)
    """
    if first.trace_hash == second.trace_hash:
        return
    events = zip_longest(first.trace.events, second.trace.events)
    place, pair = next((i, pair) for i, pair in enumerate(events) if pair[0] != pair[1])
    raise AssertionError(f"the traces part at event {place}:\n  {pair[0]}\n  {pair[1]}")
