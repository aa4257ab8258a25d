"""The suites: each module has a function `rows(plan)` that yields rows."""

from __future__ import annotations

from typing import NamedTuple


class Suite(NamedTuple):
    """Where a suite is, what it answers, whether it is run with one core and with all."""

    module: str
    what: str
    is_by_cores: bool = False
    has_peers: bool = False
    is_quick: bool = True
    """Whether a quick run of everything has it too."""


SUITES: dict[str, Suite] = {
    name: Suite(f"benchmarks.suites.{name}", *about)
    for name, about in {
        "limits": ("memory bandwidth and floating-point operations a second",),
        "startup": ("import, first calls, compilations of a stream of writes and searches",),
        "update": ("update_vector and update_vectors against a floor and peers", True, True),
        "kinds": ("updates against delete + insert: every kind, N, d, batch",),
        "search": ("exact search by rows, dimensions, queries and k", True, True),
        "filters": ("filtered search and its columns, by share of rows that pass",),
        "quantized": ("speed, recall and bytes of every codec", True),
        "cache": ("a query that is asked again, as it was and after writes",),
        "snapshot": ("snapshots, save and load, against raw files, npz and pickle",),
        "concurrency": ("torn, stale and wrong reads while rows change",),
        "growth": ("how cost grows with rows: log-log slopes with intervals",),
        "scale": ("bytes that a process takes for many rows", False, False, False),
        "streaming": ("runbooks of inserts, deletes, replaces, searches", False, True),
        "simulator": ("events a second, their growth, memory of a run", False, True),
        "replication": ("writes by concern, lag by rate, full syncs by size, statistics",),
    }.items()
}
