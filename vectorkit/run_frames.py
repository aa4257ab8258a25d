"""What clients and checks make of a run, as DataFrames: the writes, the reads and the findings.

Each frame has a schema; one without rows has the same columns and dtypes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from vectorkit.frames import Schema, of_rows
from vectorkit.sim.checks import Findings
from vectorkit.sim.checks.reads import staleness_of_reads
from vectorkit.sim.explain import Explanation
from vectorkit.sim.lives import Life, lives_of
from vectorkit.units import ns_to_ms

if TYPE_CHECKING:
    from vectorkit.sim import Run

OPERATIONS: Final[Schema] = {
    "epoch": "int64",
    "offset": "int64",
    "operation": "str",
    "master": "str",
    "client": "str",
    "request": "Int64",
    "key": "str",
    "invoked_ms": "float64",
    "written_ms": "float64",
    "flushed_ms": "float64",
    "applied_ms_first": "float64",
    "applied_ms_last": "float64",
    "confirmed_ms": "float64",
    "answered_ms": "float64",
    "outcome": "str",
    "copy_count": "int64",
    "fate": "str",
}
READS: Final[Schema] = {
    "client": "str",
    "request": "int64",
    "node": "str",
    "policy": "str",
    "key": "str",
    "invoked_ms": "float64",
    "answered_ms": "float64",
    "latency_ms": "float64",
    "outcome": "str",
    "error": "str",
    "value": "Int64",
    "epoch": "Int64",
    "offset": "Int64",
    "staleness_ms": "float64",
    "staleness_operations": "Int64",
}
RECALL: Final[Schema] = {
    "node": "str",
    "time_ms": "float64",
    "recall": "float64",
    "staleness_loss": "float64",
    "quantization_loss": "float64",
    "order_loss": "float64",
    "visible_offset": "int64",
    "head_offset": "int64",
}
FINDINGS: Final[Schema] = {
    "check": "str",
    "verdict": "str",
    "is_promised": "bool",
    "observed_count": "int64",
    "evidence": "str",
}
EXPLANATION: Final[Schema] = {
    "time_ms": "float64",
    "stage": "str",
    "node": "str",
    "detail": "str",
}


def operations(run: Run) -> pd.DataFrame:
    """One row per record that a master has written, in that order.

    `flushed_ms` is the master's own disk, `applied_ms_first` and `_last` are the first and the
    last replica that has it; `copy_count` are the nodes that ever held it, the master included.
    `fate` is "kept" or "lost": not in the final history.
    """
    return of_rows([_operation(life) for life in lives_of(run.facts).values()], OPERATIONS)


def reads(run: Run) -> pd.DataFrame:
    """One row per read of a client, in the order in which they were asked for.

    The staleness is that of the moment of the answer: the age of the oldest record, and the number
    of records, of the highest epoch's master that the read did not see.
    """
    staleness = staleness_of_reads(run.facts)
    rows = []
    for each in run.facts.requests:
        if each.is_write:
            continue
        stale = staleness.get(each.number)
        latency_ms = None if each.completed_ns is None else _ms(each.completed_ns - each.invoked_ns)
        rows.append(
            (
                each.client,
                each.number,
                each.node,
                each.policy,
                each.key,
                _ms(each.invoked_ns),
                _ms(each.completed_ns),
                latency_ms,
                each.outcome or "open",
                each.error or None,
                each.value if each.is_ok else None,
                each.place[0] if each.is_ok else None,
                each.place[1] if each.is_ok else None,
                None if stale is None else ns_to_ms(stale.age_ns),
                None if stale is None else stale.operation_count,
            )
        )
    return of_rows(rows, READS)


def recall(run: Run) -> pd.DataFrame:
    """One row per replica and probe, ordered by node, then time; the four shares add up to 1.

    >>> from vectorkit import sim
    >>> load = sim.Workload(writes_per_s=100, source="uniform:200x8")
    >>> options = sim.ClusterOptions(replicas=1, recall_every_ms=500)
    >>> run = sim.simulate(options, workload=load, duration_ms=1_200, seed=7)
    >>> recall(run)["recall"].tolist()
    [1.0, 1.0]
    """
    place = {node: index for index, node in enumerate(run.options.node_ids)}
    samples = sorted(run.recall_samples, key=lambda each: (place[each.node], each.time_ms))
    return of_rows([[getattr(each, name) for name in RECALL] for each in samples], RECALL)


def findings(found: Findings) -> pd.DataFrame:
    """One row a finding; the lines of its evidence are one text."""
    rows = [
        (each.name, each.verdict, each.is_promised, each.observed_count, "\n".join(each.evidence))
        for each in found
    ]
    return of_rows(rows, FINDINGS)


def explanation(told: Explanation) -> pd.DataFrame:
    """One row a step in the life of a write, in order of time."""
    return of_rows(told.steps, EXPLANATION)


def _operation(life: Life) -> tuple[Any, ...]:
    request = life.request
    applied = [time for node, (time, _) in life.applied_ns.items() if node != life.master]
    return (
        *life.place,
        life.operation,
        life.master,
        None if request is None else request.client,
        None if request is None else request.number,
        None if request is None else request.key,
        None if request is None else _ms(request.invoked_ns),
        _ms(life.written_ns),
        _ms(life.flushed_ns.get(life.master)),
        _ms(min(applied, default=None)),
        _ms(max(applied, default=None)),
        _ms(life.confirmed_ns),
        None if request is None else _ms(request.completed_ns),
        None if request is None else request.outcome or "open",
        len(life.applied_ns),
        "kept" if life.is_kept else "lost",
    )


def _ms(time_ns: int | None) -> float | None:
    return None if time_ns is None else ns_to_ms(time_ns)
