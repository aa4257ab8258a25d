"""The suites: each module has a function `rows(plan)` that yields rows, or limits for the next."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Suite:
    """Where a suite is, and what it answers."""

    module: str
    what: str
    is_by_cores: bool = False
    """Whether a full run has it with one core and with all of them."""
    has_peers: bool = False
    has_roof: bool = False
    """Whether its rows are held against the machine's limits, which takes a second to measure."""
    is_quick: bool = True
    """Whether a quick run of everything has it too."""


def _suite(name: str, what: str, **given: bool) -> tuple[str, Suite]:
    return name, Suite(f"benchmarks.suites.{name}", what, **given)


SUITES: dict[str, Suite] = dict(
    (
        _suite("limits", "memory bandwidth, floating-point operations a second"),
        _suite("startup", "import, first calls, compilations of a stream of writes and searches"),
        _suite(
            "update",
            "update_vector and update_vectors against a floor and peers",
            is_by_cores=True,
            has_peers=True,
            has_roof=True,
        ),
        _suite("kinds", "updates against delete + insert: every kind, N, d, batch"),
        _suite(
            "search",
            "exact search by rows, dimensions, queries and k",
            is_by_cores=True,
            has_peers=True,
            has_roof=True,
        ),
        _suite("filters", "filtered search and its columns, by share of rows that pass"),
        _suite("quantized", "speed, recall, bytes of every codec", is_by_cores=True, has_roof=True),
        _suite("cache", "a query that is asked again, as it was and after writes"),
        _suite("snapshot", "snapshots, save, load, against raw files and others", has_roof=True),
        _suite("concurrency", "torn, stale and wrong reads while rows change"),
        _suite("interrupts", "collections damaged by KeyboardInterrupt at any moment"),
        _suite("growth", "how cost grows with rows: log-log slopes with intervals"),
        _suite("scale", "bytes that a process takes for many rows", is_quick=False),
        _suite("streaming", "runbooks of inserts, deletes, replaces, searches", has_peers=True),
        _suite("simulator", "events a second, their growth, memory of a run", has_peers=True),
        _suite("replication", "writes by concern, lag by rate, full syncs by size, statistics"),
    )
)
