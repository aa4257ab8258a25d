"""Replication by numbers: writes by concern, lag by rate, full syncs by size, statistics.

The cluster lives in virtual time, so what it answers is exact and the same on every machine: how
many writes a virtual second its clients get through, how old what replicas lack is, how long a full
sync takes. What the process pays for it stands beside. Links have 2 ms and 8 MiB a second.
"""

from __future__ import annotations

from collections.abc import Iterator
from time import process_time, process_time_ns

import numpy as np

from benchmarks.rows import Plan, Row
from benchmarks.timing import Timing
from vectorkit import sim
from vectorkit.operations import DropCollection
from vectorkit.replication import ReplicationLog
from vectorkit.replication.master.peer import Peer
from vectorkit.replication.monitoring.stats import Counters
from vectorkit.replication.protocol.messages import Ack, Message, Records
from vectorkit.replication.protocol.wire import wire_size

LINK = sim.Link(delay_ms=2, mib_per_s=8)
CONCERNS = {
    "the master alone": sim.WriteConcern(count=0),
    "one received": sim.WriteConcern(count=1, stage="received"),
    "majority flushed": sim.majority(stage="flushed"),
    "majority applied": sim.majority(stage="applied"),
    "all applied": sim.WriteConcern(count="all", stage="applied"),
    "all visible": sim.WriteConcern(count="all", stage="visible"),
}


def rows(plan: Plan) -> Iterator[Row]:
    yield from by_concern(plan)
    yield from by_rate(plan)
    yield from by_size(plan)
    yield statistics(plan)


def by_concern(plan: Plan) -> Iterator[Row]:
    """Eight clients that write as fast as they are answered."""
    chosen = plan.pick(("the master alone", "majority applied"), tuple(CONCERNS))
    for name in chosen:
        workload = sim.Workload(
            writes_per_s=1, clients=8, loop="closed", think_ms=0, source="uniform:1000x16"
        )
        options = sim.ClusterOptions(replicas=3, link=LINK, write_concern=CONCERNS[name])
        duration_ms = plan.pick(1_000, 4_000)
        started = process_time()
        run = sim.simulate(options, workload=workload, duration_ms=duration_ms, seed=7)
        taken = process_time() - started
        writes = run.operations.query("client != ''")
        latency = (writes["answered_ms"] - writes["invoked_ms"]).dropna()
        yield Row(
            case=f"8 clients, write concern: {name}",
            timing=Timing((taken,)),
            operations=max(len(writes), 1),
            values={
                "virtual_writes_per_s": len(latency) / duration_ms * 1e3,
                "virtual_latency_ms_p50": float(latency.median()),
                "virtual_latency_ms_p99": float(latency.quantile(0.99)),
                "broken_count": float(len(run.check().broken)),
            },
        )


def by_rate(plan: Plan) -> Iterator[Row]:
    """What replicas lack, by how much is written; the widest rate fills the link."""
    for rate in plan.pick((500,), (100, 1_000, 5_000, 20_000)):
        workload = sim.Workload(writes_per_s=rate, source="uniform:1000x64")
        options = sim.ClusterOptions(replicas=3, link=LINK, sample_every_ms=20)
        started = process_time()
        run = sim.simulate(options, workload=workload, duration_ms=plan.pick(1_000, 3_000), seed=7)
        taken = process_time() - started
        health = run.health.query("time_ms > 500 and node != 'node-0'")
        writes = len(run.operations)
        yield Row(
            case=f"lag at {rate:,} writes a second",
            timing=Timing((taken,)),
            operations=max(writes, 1),
            values={
                "virtual_lag_ms_p50": float(health["lag_ms_true"].quantile(0.5)),
                "virtual_lag_ms_p99": float(health["lag_ms_true"].quantile(0.99)),
                "lag_operations_p99": float(health["lag_operations"].quantile(0.99)),
                "sent_by_write_bytes": float(run.nodes["bytes_sent"].iloc[0]) / max(writes, 1),
                "is_converged": float(run.is_converged),
            },
        )


def by_size(plan: Plan) -> Iterator[Row]:
    """The first full sync of a replica, by the rows that it has to get."""
    sizes = plan.pick((1_000, 4_000), (1_000, 10_000, 50_000))
    for count in sizes:
        workload = sim.Workload(writes_per_s=1, source=f"uniform:{count}x64")
        options = sim.ClusterOptions(replicas=1, link=LINK)
        started = process_time()
        run = sim.simulate(options, workload=workload, duration_ms=20_000, seed=7)
        taken = process_time() - started
        full = run.syncs.query("kind == 'full'")
        snapshot_bytes = float(run.nodes["snapshot_size"].max())
        duration_ms = float(full["duration_ms"].max())
        yield Row(
            case=f"full sync of {count:,} × 64",
            timing=Timing((taken,)),
            values={
                "full_sync_count": float(len(full)),
                "virtual_duration_ms": duration_ms,
                "snapshot_bytes": snapshot_bytes,
                "snapshot_by_raw": snapshot_bytes / (count * 64 * 4),
                "link_share": snapshot_bytes / (duration_ms / 1e3) / (8 * 2**20),
            },
        )


def statistics(plan: Plan) -> Row:
    """What counting one replicated operation costs, in CPU, by what the operation costs.

    One operation, one replica, one message each: the master's count of what it sends and of the
    ack that comes back, and the replica's of what it receives, applies and confirms.
    """
    operations = plan.pick(5_000, 50_000)
    rounds = [_round_ns(operations) / 1e9 for _ in range(plan.repeats)]
    workload = sim.Workload(writes_per_s=1_000, source="uniform:1000x16")
    started = process_time()
    run = sim.simulate(sim.ClusterOptions(replicas=1), workload=workload, duration_ms=2_000, seed=7)
    whole = (process_time() - started) / len(run.operations)
    return Row(
        case="counting statistics of one operation, one replica",
        timing=Timing(tuple(rounds)),
        operations=operations,
        values={"share of an operation": float(np.median(rounds)) / operations / whole},
    )


def _round_ns(operations: int) -> int:
    log = ReplicationLog(capacity_operations=operations, capacity_bytes=1 << 30)
    entries = [log.append(DropCollection("words"), epoch=1, now_ns=0) for _ in range(operations)]
    exchanges: list[tuple[Records, Ack]] = []
    for entry in entries:
        offset = entry.record.offset
        ack = Ack(1, entry.position, offset, offset, offset, offset)
        exchanges.append((Records(1, (entry.record,), entry.hash), ack))
    master, replica, peer = Counters(), Counters(), Peer("node-1", registered_ns=0)
    started_ns = process_time_ns()
    for records, ack in exchanges:
        _count_sent(master, records)
        _count_received(replica, records)
        replica.total_replicated += 1
        _count_sent(replica, ack)
        _count_received(master, ack)
        newly_applied = peer.take_positions(ack)
        peer.operations_synced += newly_applied
        master.total_replicated += newly_applied
        peer.note_lag(log)
        peer.applied_bytes = log.bytes_until(ack.applied_offset)
    taken_ns = process_time_ns() - started_ns
    counted = (master.total_replicated, replica.total_replicated, peer.operations_synced)
    assert counted == (operations,) * 3
    return taken_ns


def _count_sent(counters: Counters, message: Message) -> None:
    counters.bytes_sent += wire_size(message)


def _count_received(counters: Counters, message: Message) -> None:
    counters.bytes_received += wire_size(message)
