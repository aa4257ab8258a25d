"""Everything as DataFrames: long form, one row an observation, key columns first, units in names.

Each frame has a schema; one without rows has the same columns and dtypes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from vectorkit.collections import BatchMatches, Matches, Memory, Reader, compiled
from vectorkit.replication import ReplicaInfo
from vectorkit.sim import Fault, fault_from_dict
from vectorkit.sim.trace_events import DigestTaken, SyncReported
from vectorkit.units import ns_to_ms

if TYPE_CHECKING:
    from vectorkit.sim import Run

Schema = Mapping[str, str]

COLLECTION: Final[Schema] = {"id": "object", "vector": "object"}
"""The columns before those of the payloads."""
MATCHES: Final[Schema] = {"rank": "int64", "id": "object", "score": "float32"}
BATCH_MATCHES: Final[Schema] = {"query": "int64", **MATCHES}
DIFF: Final[Schema] = {
    "query": "int64",
    "id": "object",
    "overlap": "float64",
    "entered": "object",
    "left": "object",
    "rank_change_max": "Int64",
    "score_change_max": "float64",
    "is_same": "bool",
}
AUDIT: Final[Schema] = {
    "id": "object",
    "is_found": "bool",
    "rank": "int64",
    "own_score": "float32",
    "best_id": "object",
    "best_score": "float32",
    "reason": "str",
}
PARITY: Final[Schema] = {
    "check": "str",
    "is_equal": "bool",
    "compared": "int64",
    "differing": "int64",
    "largest_difference": "float64",
    "example": "object",
}
MEMORY: Final[Schema] = {
    "place": "str",
    "part": "str",
    "bytes": "int64",
    "bytes_per_row": "float64",
}
COMPILE_REPORT: Final[Schema] = {
    "program": "str",
    "capacity": "int64",
    "batch": "int64",
    "detail": "str",
    "cause": "str",
}
HEALTH: Final[Schema] = {
    "node": "str",
    "time_ms": "float64",
    "status": "str",
    "is_cut": "bool",
    "lag_ms": "float64",
    "lag_ms_true": "float64",
    "lag_operations": "int64",
    "head_offset": "int64",
    "applied_offset": "int64",
    "confirmed_offset": "int64",
    "last_heartbeat_ms": "float64",
}
SYNCS: Final[Schema] = {
    "node": "str",
    "master": "str",
    "started_ms": "float64",
    "ended_ms": "float64",
    "duration_ms": "float64",
    "kind": "str",
    "reason": "str",
    "outcome": "str",
}
NODES: Final[Schema] = {
    "node": "str",
    "role": "str",
    "offset": "int64",
    "digest": "str",
    "lag_ms": "float64",
    "lag_operations": "int64",
    "operations_pending": "int64",
    "bytes_sent": "int64",
    "bytes_received": "int64",
    "total_replicated": "int64",
    "full_syncs": "int64",
    "partial_syncs": "int64",
    "snapshot_size": "Int64",
    "connected_replicas": "Int64",
    "partial_sync_refusals": "str",
    "quarantined_operations": "int64",
    "epoch": "int64",
    "repl_id": "str",
    "master_offset": "int64",
    "replica_offset": "Int64",
    "last_sync": "float64",
    "log_first_offset": "int64",
    "log_headroom_ms": "float64",
}
FAULTS: Final[Schema] = {
    "kind": "str",
    "at_ms": "float64",
    "for_ms": "float64",
    "until_ms": "float64",
    "node": "str",
    "details": "str",
}
REPLICAS: Final[Schema] = {
    "id": "str",
    "status": "str",
    "lag_ms": "float64",
    "lag_operations": "int64",
    "lag_bytes": "int64",
    "last_heartbeat": "float64",
    "last_heartbeat_sent": "float64",
    "round_trip_ms": "float64",
    "operations_synced": "int64",
    "sent_offset": "int64",
    "received_offset": "int64",
    "flushed_offset": "int64",
    "applied_offset": "int64",
    "visible_offset": "int64",
    "epoch": "int64",
    "sync_reason": "str",
    "sync_attempts": "int64",
    "sync_progress": "float64",
    "digest": "str",
    "address": "str",
}


def matches(found: Matches) -> pd.DataFrame:
    """One row a match, best first."""
    return _frame(
        {"rank": range(1, len(found) + 1), "id": list(found.ids), "score": found.scores}, MATCHES
    )


def batch_matches(found: BatchMatches) -> pd.DataFrame:
    """One row a match: the query's number, then as `matches`."""
    parts = [matches(each).assign(query=number) for number, each in enumerate(found)]
    together = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["query"])
    return _frame({name: together.get(name, []) for name in BATCH_MATCHES}, BATCH_MATCHES)


def collection(reader: Reader) -> pd.DataFrame:
    """One row a row, in slot order: id, vector (an array each), then a column a payload key.

    A payload key that is taken, such as "id", comes as "payload_id".
    """
    snapshot = reader.snapshot()
    payloads = snapshot.payloads()
    rows = _frame({"id": snapshot.ids(), "vector": list(snapshot.vectors())}, COLLECTION)
    columns: dict[str, Any] = {name: rows[name] for name in COLLECTION}
    for key in dict.fromkeys(key for payload in payloads if payload for key in payload):
        name = key
        while name in columns:
            name = f"payload_{name}"
        values = [None if payload is None else payload.get(key) for payload in payloads]
        kinds = set(map(type, values))
        # pandas would turn whole numbers beside missing ones, or beside fractions, into floats.
        dtype = "object" if int in kinds and len(kinds) > 1 else None
        columns[name] = pd.Series(values, dtype=dtype)
    return pd.DataFrame(columns)


def memory(held: Memory) -> pd.DataFrame:
    """One row a part of a collection; `bytes_per_row` is missing where there are no rows."""
    places = {"device": held.device, "host": held.host}
    rows = [
        (place, part, count, count / held.row_count if held.row_count else np.nan)
        for place, parts in places.items()
        for part, count in parts.items()
    ]
    return of_rows(rows, MEMORY)


def compile_report(dim: int) -> pd.DataFrame:
    """One row a program compiled for this dimension, in the order of compilation.

    `cause` is "growth" where the program had been compiled for a smaller capacity before, and for
    the copy into a larger array itself; else "first".
    """
    smallest: dict[tuple[str, int, str], int] = {}
    rows = []
    for trace in compiled.traces:
        if trace.dim == dim:
            key = (trace.program, trace.batch, trace.detail)
            known = smallest.setdefault(key, trace.capacity)
            is_growth = trace.program == "grow" or trace.capacity > known
            cause = "growth" if is_growth else "first"
            rows.append((trace.program, trace.capacity, trace.batch, trace.detail, cause))
    return of_rows(rows, COMPILE_REPORT)


def health(run: Run) -> pd.DataFrame:
    """One row per replica and sample, and per change of status; ordered by node, then time."""
    place = {node: index for index, node in enumerate(run.options.node_ids)}
    samples = sorted(run.samples, key=lambda each: (place[each.node], each.time_ms))
    return _frame({name: [getattr(each, name) for each in samples] for name in HEALTH}, HEALTH)


def syncs(run: Run) -> pd.DataFrame:
    """One row per sync that a master began: kind, reason, length, and how it ended.

    `outcome` is "finished", "lost" (the connection ended first) or "open".
    """
    began: dict[tuple[str, str], tuple[int, int]] = {}
    rows: list[list[Any]] = []
    for event in run.trace.of(SyncReported):
        master, node = event.node, event.peer
        if master == node:  # What a replica says of itself.
            continue
        time_ms = ns_to_ms(event.time_ns)
        if event.phase == "started":
            began[master, node] = (len(rows), event.time_ns)
            rows.append([node, master, time_ms, np.nan, np.nan, event.kind, event.reason, "open"])
        else:
            index, started_ns = began[master, node]
            rows[index][3:5] = time_ms, ns_to_ms(event.time_ns - started_ns)
            rows[index][7] = event.phase
    return of_rows(rows, SYNCS)


def nodes(run: Run) -> pd.DataFrame:
    """One row per node at the end: offset, digest, and its ReplicationStats."""
    digests = run.trace.of(DigestTaken)
    ends = {event.node: event for event in digests if event.moment == "end"}
    rows = [
        {
            **asdict(stats),
            "node": node,
            "offset": ends[node].offset,
            "digest": ends[node].digest,
            "partial_sync_refusals": _listed(stats.partial_sync_refusals),
        }
        for node, stats in run.stats.items()
    ]
    return _frame({name: [row[name] for row in rows] for name in NODES}, NODES)


def replicas(infos: Iterable[ReplicaInfo]) -> pd.DataFrame:
    """One row per ReplicaInfo.

    >>> from vectorkit import sim
    >>> cluster = sim.Cluster(sim.ClusterOptions(replicas=2))
    >>> cluster.advance(ms=100)
    >>> replicas(cluster.replicas())["status"].tolist()
    ['Connected', 'Connected']
    """
    listed = list(infos)
    columns = {name: [getattr(each, name) for each in listed] for name in REPLICAS}
    columns["status"] = [each.status.value for each in listed]
    return _frame(columns, REPLICAS)


def faults_frame(faults: Iterable[Fault]) -> pd.DataFrame:
    """One row a fault; `details` has, as JSON, what is particular to its kind.

    >>> from vectorkit import sim
    >>> faults = [sim.Pause(at_ms=5, for_ms=10, node="node-1")]
    >>> faults_from_frame(faults_frame(faults)) == faults
    True
    """
    rows = []
    for fault in faults:
        facts = fault.to_dict()
        kind, node = facts.pop("kind"), facts.pop("node", None)
        at_ms, for_ms = fault.at_ms, facts.pop("for_ms", np.nan)
        until_ms = np.nan if fault.until_ms is None else fault.until_ms
        facts.pop("at_ms", None)
        rows.append((kind, at_ms, for_ms, until_ms, node, json.dumps(facts)))
    return of_rows(rows, FAULTS)


def faults_from_frame(frame: pd.DataFrame) -> list[Fault]:
    """The faults of a frame that `faults_frame` gave, or of one made by hand like it."""
    faults = []
    for row in frame.to_dict("records"):
        facts = {name: row[name] for name in ("kind", "at_ms", "for_ms", "node")}
        known = {name: value for name, value in facts.items() if not pd.isna(value)}
        faults.append(fault_from_dict({**known, **json.loads(row["details"])}))
    return faults


def _listed(counts: Mapping[str, int]) -> str | None:
    """Counts by reason as one text, None where there are none."""
    return ", ".join(f"{reason} {count}" for reason, count in counts.items()) or None


def of_rows(rows: Sequence[Sequence[Any]], schema: Schema) -> pd.DataFrame:
    """Rows of values in the order of a schema, as its frame."""
    return _frame(dict(zip(schema, zip(*rows, strict=True), strict=True)) if rows else {}, schema)


def _frame(columns: Mapping[str, Any], schema: Schema) -> pd.DataFrame:
    return pd.DataFrame(
        {name: pd.Series(columns.get(name, ()), dtype=dtype) for name, dtype in schema.items()}
    )
