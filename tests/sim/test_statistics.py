"""What nodes say of themselves and of each other: exact, and the same as what really happened."""

import json
from dataclasses import fields

import pytest

from tests.sim.checks import rows, statuses
from tests.sim.clusters import cluster, fill, image
from vectorkit.replication import (
    NodeStatus,
    ReplicaInfo,
    ReplicaStatus,
    ReplicationOptions,
    ReplicationStats,
)
from vectorkit.sim import Link

MASTER, REPLICA = "node-0", "node-1"


def test_a_master_of_two_replicas_under_writes_counts_what_it_sent_and_what_is_pending():
    made = cluster(2)
    fill(made, 5)
    made.advance(ms=1_000)
    before, link_bytes = made.stats(MASTER), made.links()
    made.store.insert("words", ["king"], [[1, 0]])
    pending = made.stats(MASTER)
    made.advance(ms=10)
    after = made.stats(MASTER)
    assert (before.connected_replicas, after.connected_replicas) == (2, 2)
    assert [stats.operations_pending for stats in (before, pending, after)] == [0, 1, 0]
    ways = [(MASTER, REPLICA), (MASTER, "node-2")]
    grown = sum(made.links()[way].sent_bytes - link_bytes[way].sent_bytes for way in ways)
    assert after.bytes_sent - before.bytes_sent == grown > 0
    assert after.total_replicated - before.total_replicated == 2
    run = made.finish()
    for replica in (REPLICA, "node-2"):
        carried = [
            row.value
            for row in rows(run, "deliver", node=replica, peer=MASTER)
            if row.kind in ("StartFull", "Chunk")
        ]
        assert after.snapshot_size == made.stats(replica).snapshot_size == sum(carried)


def test_a_connected_replica_knows_its_lag_its_bytes_its_last_sync_and_what_it_has_to_apply():
    made = cluster(1)
    fill(made, 3)
    made.advance(ms=1_500)
    idle = made.stats(REPLICA)
    assert (idle.lag_ms, idle.operations_pending, idle.replica_offset) == (0, 0, 4)
    assert idle.bytes_received == made.links()[MASTER, REPLICA].delivered_bytes > 0
    made.store.upsert("words", ["king"], [[1, 0]])
    made.advance(ms=2.25)  # The record has come, its disk has not written it.
    busy = made.stats(REPLICA)
    assert (busy.operations_pending, busy.replica_offset) == (1, 4)
    made.advance(ms=0.25)
    done = made.stats(REPLICA)
    assert (done.operations_pending, done.replica_offset, done.last_sync) == (0, 5, 1_502.5)
    assert done.total_replicated == idle.total_replicated + 1
    assert (done.role, done.connected_replicas) == ("replica", None)


@pytest.mark.parametrize(("after_ms", "status"), [(1_000, "Connected"), (1_001, "Lagging")])
def test_a_replica_lags_at_1001_ms_and_not_at_1000(after_ms, status):
    made = cluster(1)
    fill(made, 3)
    made.advance(ms=1_500)
    made.cut(REPLICA)
    made.store.upsert("words", ["king"], [[1, 0]])
    made.advance(ms=after_ms)
    (info,) = made.replicas()
    assert (info.lag_ms, info.status.value) == (after_ms, status)


def test_operations_go_on_and_one_row_of_the_trace_warns_of_the_lag():
    made = cluster(1, sample_every_ms=1)
    fill(made, 3)
    made.advance(ms=1_500)
    made.cut(REPLICA)
    fill(made, 20)
    made.advance(ms=4_000)
    fill(made, 20)
    assert made.stats(MASTER).master_offset == 44
    run = made.finish()
    (warning,) = rows(run, "status", node=MASTER, peer=REPLICA, kind="Lagging")
    assert warning.time_ns == (1_500 + 1_001) * 1_000_000
    assert statuses(run, REPLICA)[:3] == ["Syncing", "Connected", "Lagging"]
    assert run.stats[REPLICA].replica_offset == 44
    assert run.is_converged


def test_a_slow_link_warns_once_for_all_the_time_that_it_lags():
    made = cluster(1, link=Link(delay_ms=600), sample_every_ms=1)
    fill(made, 3)
    made.advance(ms=8_000)
    for number in range(100):
        made.store.upsert("words", ["king"], [[number, 0]])
        made.advance(ms=20)
    run = made.finish()
    assert len(rows(run, "status", peer=REPLICA, kind="Lagging")) == 1
    assert run.stats[REPLICA].total_replicated == 100
    assert run.is_converged


def test_a_replica_whose_connection_is_over_falls_behind_as_its_master_writes_on():
    made = cluster(1)
    fill(made, 3)
    made.advance(ms=500)
    made.cut(REPLICA)
    made.advance(ms=10_000)
    fill(made, 3)
    made.advance(ms=5_000)
    (info,) = made.replicas()
    assert (info.status.value, info.lag_ms, info.lag_operations) == ("Lagging", 5_000, 3)


def test_status_survives_json_and_names_every_field():
    made = cluster(2)
    fill(made, 5)
    made.advance(ms=2_500)
    made.cut("node-2")
    made.store.upsert("words", ["king"], [[1, 0]])
    made.advance(ms=1_250)
    for node_id in made.options.node_ids:
        status = made.status(node_id)
        facts = json.loads(json.dumps(status.to_dict(), allow_nan=False))
        assert NodeStatus.from_dict(facts) == status
        assert set(facts) == {"role", "enabled", "stats", "replicas"}
        assert set(facts["stats"]) == {each.name for each in fields(ReplicationStats)}
        assert facts["enabled"] is True
    facts = made.status(MASTER).to_dict()
    assert (facts["role"], facts["stats"]["role"]) == ("master", "master")
    assert [info["status"] for info in facts["replicas"]] == ["Connected", "Lagging"]
    assert {key for info in facts["replicas"] for key in info} == {
        each.name for each in fields(ReplicaInfo)
    }
    assert facts["replicas"][1]["last_heartbeat"] == 2_006.5
    assert facts["replicas"][1]["lag_ms"] == 1_250
    replica = made.status(REPLICA).to_dict()
    assert (replica["role"], replica["replicas"]) == ("replica", None)
    assert replica["stats"]["connected_replicas"] is None


@pytest.mark.parametrize("status", list(ReplicaStatus))
def test_a_status_is_written_as_its_word_and_read_back(status):
    made = cluster(1)
    (info,) = made.replicas()
    facts = info.to_dict() | {"status": status.value}
    assert ReplicaInfo.from_dict(json.loads(json.dumps(facts))).status is status


def test_nothing_switches_the_statistics_off():
    words = ("stat", "count", "metric", "monitor")
    names = [each.name for each in fields(ReplicationOptions)]
    assert [name for name in names if any(word in name for word in words)] == []


def test_counters_survive_a_restart_as_the_last_heartbeat_wrote_them():
    made = cluster(2)
    fill(made, 5)
    made.advance(ms=100)
    fill(made, 10)
    made.advance(ms=2_950)
    before = {node_id: made.stats(node_id) for node_id in made.options.node_ids}
    kept = {node_id: dict(image(made, node_id).counters) for node_id in before}
    for node_id in before:
        made.crash(node_id)
    for node_id in before:
        made.restart(node_id)
    for node_id, old in before.items():
        new = made.stats(node_id)
        for name in kept[node_id]:
            assert getattr(new, name) == kept[node_id][name]
        assert new.total_replicated == old.total_replicated == (20 if node_id == MASTER else 10)
        assert (new.full_syncs, new.partial_syncs) == (old.full_syncs, old.partial_syncs)
        assert new.snapshot_size == old.snapshot_size
        assert 0 < new.bytes_sent <= old.bytes_sent
    assert made.stats(MASTER).partial_sync_refusals == {"first_sync": 2}


def test_without_a_durable_log_counters_begin_anew():
    made = cluster(1, disk=None)
    fill(made, 5)
    made.advance(ms=3_000)
    assert made.stats(REPLICA).full_syncs == 1
    made.crash(REPLICA)
    made.restart(REPLICA)
    assert (made.stats(REPLICA).full_syncs, made.stats(REPLICA).bytes_received) == (0, 0)
