"""What happened in a run, as DataFrames: health, writes, reads, messages, roles and faults."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from vectorkit.replication import ReplicationStats
from vectorkit.sim.analysis.observer import HealthSample
from vectorkit.sim.analysis.recall_probe import RecallSample
from vectorkit.sim.analysis.write_history import WriteHistory, write_histories
from vectorkit.sim.checks import Evidence
from vectorkit.sim.checks.dirty import shown_by_reads
from vectorkit.sim.checks.reads import staleness_of_reads
from vectorkit.sim.faults.faults import Partition
from vectorkit.sim.options import ClusterOptions
from vectorkit.sim.world.trace import Trace
from vectorkit.sim.world.trace_events import (
    MESSAGE_EVENTS,
    DigestTaken,
    FaultChanged,
    MessageDelivered,
    MessageSent,
    NodeCrashed,
    NodeStarted,
    RoleTaken,
    SyncReported,
)
from vectorkit.tabular import Schema, frame_of_columns, frame_of_rows
from vectorkit.units import ns_to_ms

if TYPE_CHECKING:
    from vectorkit.tabular import DataFrame

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
"""Columns and dtypes of `Run.health`."""
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
"""Columns and dtypes of `Run.syncs`."""
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
"""Columns and dtypes of `Run.nodes`."""
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
    "visible_ms_first": "float64",
    "visible_ms_last": "float64",
    "confirmed_ms": "float64",
    "answered_ms": "float64",
    "outcome": "str",
    "copy_count": "int64",
    "fate": "str",
}
"""Columns and dtypes of `Run.operations`."""
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
    "fate": "str",
}
"""Columns and dtypes of `Run.reads`."""
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
"""Columns and dtypes of `Run.recall`."""
MESSAGES: Final[Schema] = {
    "source": "str",
    "target": "str",
    "kind": "str",
    "number": "int64",
    "bytes": "int64",
    "sent_ms": "float64",
    "arrived_ms": "float64",
    "lost_ms": "float64",
    "fate": "str",
    "is_copy": "bool",
}
"""Columns and dtypes of `Run.messages`."""
ROLES: Final[Schema] = {
    "node": "str",
    "started_ms": "float64",
    "ended_ms": "float64",
    "role": "str",
    "epoch": "str",
    "cause": "str",
}
"""Columns and dtypes of `Run.roles`."""
FAULT_WINDOWS: Final[Schema] = {
    "number": "int64",
    "kind": "str",
    "started_ms": "float64",
    "ended_ms": "float64",
    "node": "str",
    "details": "str",
}
"""Columns and dtypes of `Run.fault_windows`."""


class RunRecord(Protocol):
    """What the frames read of a finished run."""

    @property
    def options(self) -> ClusterOptions:
        """The options of its cluster."""

    @property
    def trace(self) -> Trace:
        """All events, in order of time."""

    @property
    def samples(self) -> Sequence[HealthSample]:
        """The samples of health."""

    @property
    def recall_samples(self) -> Sequence[RecallSample]:
        """The probes of recall."""

    @property
    def stats(self) -> Mapping[str, ReplicationStats]:
        """The statistics of each node at the end."""

    @property
    def duration_ms(self) -> float:
        """The length of the run."""

    @property
    def evidence(self) -> Evidence:
        """What the checks know of the run."""


def health(run: RunRecord) -> DataFrame:
    """One row per replica and sample, and per change of status; ordered by node, then time."""
    place = {node: index for index, node in enumerate(run.options.node_ids)}
    samples = sorted(run.samples, key=lambda each: (place[each.node], each.time_ms))
    return frame_of_rows([[getattr(each, name) for name in HEALTH] for each in samples], HEALTH)


def syncs(run: RunRecord) -> DataFrame:
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
    return frame_of_rows(rows, SYNCS)


def nodes(run: RunRecord) -> DataFrame:
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
    return frame_of_columns({name: [row[name] for row in rows] for name in NODES}, NODES)


def operations(run: RunRecord) -> DataFrame:
    """One row per record that a master has written, in that order.

    `flushed_ms` is the master's own disk, `applied_ms_first` and `_last` are the first and the
    last replica that has it, `visible_ms_first` and `_last` when readers of replicas saw it;
    `copy_count` are the nodes that ever held it, the master included.

    `client`, `request`, `key` and `invoked_ms` are those of the request that caused it, missing
    for what a notebook wrote and for the start of an epoch. `outcome` is the answer that the
    client received: "ok", "degraded" or "timeout" at `answered_ms`; "silent" if no answer came in
    time; "open" if the client was still waiting; "copy" if the answer was not about this record,
    which a master made of a late copy of the message. `fate` is "kept" or "lost": not in the
    final history.
    """
    return frame_of_rows(
        [_operation(life) for life in write_histories(run.evidence).values()], OPERATIONS
    )


def reads(run: RunRecord) -> DataFrame:
    """One row per read of a client, in the order in which they were asked for.

    The staleness is that of the moment of the answer: the age of the oldest record, and the number
    of records, of the highest epoch's master that the read did not see. `fate` is that of the
    record that it showed, the last write of its key by a client: "lost" where the final history
    lacks it, else "confirmed" where the write concern held for it when the read was answered, and
    "kept" where it did not hold yet. It is missing where the read showed no client's write.
    """
    staleness, shown = staleness_of_reads(run.evidence), shown_by_reads(run.evidence)
    rows = []
    for each in run.evidence.requests:
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
                shown[each.number].fate if each.number in shown else None,
            )
        )
    return frame_of_rows(rows, READS)


def recall(run: RunRecord) -> DataFrame:
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
    return frame_of_rows([[getattr(each, name) for name in RECALL] for each in samples], RECALL)


def messages(run: RunRecord) -> DataFrame:
    """One row per message that was put on its way, in that order; a duplicate has its own.

    `fate` is "delivered", "in_flight" at the end of the run, or why nobody will ever get it:
    "loss", "cut", "blocked", or "down" where the receiver was. Of equal messages on one way, such
    as one sent again, the first that was sent counts as the first to arrive.

    >>> from vectorkit import sim
    >>> run = sim.simulate(sim.ClusterOptions(replicas=1), duration_ms=500, seed=7)
    >>> messages(run)["kind"].head(3).tolist()
    ['Hello', 'StartFull', 'Ack']
    """
    sent: list[list[Any]] = []
    on_their_way: dict[tuple[str, str, str, int, int], deque[int]] = defaultdict(deque)
    newest = -1  # The message that the last row has sent: the loss, if any, is the next event.
    for event in run.trace.events:
        if not isinstance(event, MESSAGE_EVENTS):
            newest = -1
            continue
        ends = event.source, event.target
        what = (*ends, event.message, event.number, event.size_bytes)
        time_ms, waiting = ns_to_ms(event.time_ns), on_their_way[what]
        if isinstance(event, MessageSent):
            newest = len(sent)
            waiting.append(newest)
            sent.append([*what, time_ms, np.nan, np.nan, "in_flight", event.note == "copy"])
        elif isinstance(event, MessageDelivered):
            index, newest = waiting.popleft(), -1
            sent[index][6], sent[index][8] = time_ms, "delivered"
        else:
            index = waiting.pop() if newest in waiting else waiting.popleft()
            sent[index][7:9] = time_ms, event.reason
            newest = -1
    return frame_of_rows(sent, MESSAGES)


def roles(run: RunRecord) -> DataFrame:
    """One row per stretch of time in which a node was one thing, ordered by node, then time.

    `role` is "master", "replica", "candidate", "returning" (without state), "starting", or "down".
    `epoch` is what a master serves or a candidate stands for, by its node and round; else missing.
    `cause` is "first" or "restart" after a start, "crash", "torn" or "lost_disk" after a crash,
    else "role".

    >>> from vectorkit import sim
    >>> run = sim.simulate(sim.ClusterOptions(replicas=1), duration_ms=500, seed=7)
    >>> roles(run)["role"].tolist()
    ['master', 'starting', 'replica']
    """
    end_ms = run.duration_ms
    stretches: dict[str, list[list[Any]]] = {node: [] for node in run.options.node_ids}
    for event in run.trace.of(RoleTaken, NodeStarted, NodeCrashed):
        epoch = None
        match event:
            case RoleTaken(role=role):
                cause = "role"
                has_epoch = role in ("master", "candidate")
                epoch = run.evidence.epoch_name(event.epoch) if has_epoch else None
            case NodeStarted(cause=cause):
                role = "starting"
            case NodeCrashed(kind=kind):
                role, cause = "down", kind or "crash"
        time_ms, own = ns_to_ms(event.time_ns), stretches[event.node]
        if own and own[-1][1] == time_ms:  # It was the one before for no time at all.
            own.pop()
        if own:
            own[-1][2] = time_ms
        own.append([event.node, time_ms, end_ms, role, epoch, cause])
    return frame_of_rows([each for own in stretches.values() for each in own], ROLES)


def fault_windows(run: RunRecord) -> DataFrame:
    """One row per fault that befell the cluster, as it came: those made by hand included.

    `started_ms` equals `ended_ms` for one that is over at once. `node` is whom it befell, the
    isolated nodes of a partition joined by spaces; `details` is the fault as JSON.

    >>> from vectorkit import sim
    >>> cut = sim.Partition(at_ms=100, for_ms=200, isolate=["node-1"])
    >>> run = sim.simulate(sim.ClusterOptions(replicas=1), faults=[cut], duration_ms=500)
    >>> fault_windows(run)[["kind", "started_ms", "ended_ms", "node"]].to_numpy().tolist()
    [['Partition', 100.0, 300.0, 'node-1']]
    """
    rows: dict[int, list[Any]] = {}
    for event in run.trace.of(FaultChanged):
        time_ms, number, fault = ns_to_ms(event.time_ns), event.number, event.fault
        if event.phase == "start":
            names = fault.isolate if isinstance(fault, Partition) else fault.names
            node, details = " ".join(names) or None, event.row()[7]
            rows[number] = [number, type(fault).__name__, time_ms, time_ms, node, details]
        elif event.phase == "end":
            rows[number][3] = time_ms
    return frame_of_rows(list(rows.values()), FAULT_WINDOWS)


def _operation(life: WriteHistory) -> tuple[Any, ...]:
    request = life.request
    applied = [time for node, (time, _) in life.applied_ns.items() if node != life.master]
    visible = [time for node, time in life.visible_ns.items() if node != life.master]
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
        _ms(min(visible, default=None)),
        _ms(max(visible, default=None)),
        _ms(life.confirmed_ns),
        _ms(life.answered_ns),
        life.outcome,
        len(life.applied_ns),
        "kept" if life.is_kept else "lost",
    )


def _ms(time_ns: int | None) -> float | None:
    return None if time_ns is None else ns_to_ms(time_ns)


def _listed(counts: Mapping[str, int]) -> str | None:
    """Counts by reason as one text, None where there are none."""
    return ", ".join(f"{reason} {count}" for reason, count in counts.items()) or None
