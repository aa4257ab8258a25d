"""Restarts of a master: it comes back by the one path, and nothing acknowledged is lost."""

import pytest

from tests.sim.checks import rows
from tests.sim.clusters import cluster, digests, fill, node, positions, roles, stall
from vectorkit.replication import WriteConcern, majority
from vectorkit.replication.protocol.epochs import epoch_of
from vectorkit.sim import Cluster, ClusterOptions, Workload

MASTER, REPLICA, OTHER = "node-0", "node-1", "node-2"


def role_rows(run, node_id):
    return [(row.kind, row.number) for row in rows(run, "role", node=node_id)]


def acknowledged(made):
    """The last offset that a master has confirmed, and the hash of the history there."""
    trace = made._engine.trace.rows
    confirmed = [row for row in trace if row.event == "confirm"]
    last = max(confirmed, key=lambda row: (row.value, row.number))
    (written,) = {
        row.text
        for row in trace
        if (row.event, row.number, row.value) == ("append", last.number, last.value)
    }
    return last.number, written


def hash_at(made, node_id, offset):
    return node(made, node_id).log.entry(offset).hash.hex()


# A master that comes back


def test_a_master_with_its_log_promotes_itself_by_the_one_path_and_syncs_partially():
    made = cluster(2, concern=majority())
    fill(made, 10)
    made.advance(ms=2_000)
    fill(made, 10)
    assert made.confirm() == 21
    made.advance(ms=1_000)
    before = digests(made)[MASTER]
    made.crash(MASTER)
    made.restart(MASTER)
    assert made.master is None
    made.advance(ms=4_000)
    assert roles(made) == {MASTER: "master", REPLICA: "replica", OTHER: "replica"}
    assert made.stats(MASTER).epoch == epoch_of(2, 0)
    assert made.stats(MASTER).master_offset == 22  # One record more: the start of the epoch.
    assert set(digests(made).values()) == {before}
    assert made.stats(MASTER).partial_sync_refusals == {"first_sync": 2}
    for replica in (REPLICA, OTHER):
        assert (made.stats(replica).full_syncs, made.stats(replica).partial_syncs) == (1, 1)
    run = made.finish()
    assert role_rows(run, MASTER) == [
        ("master", epoch_of(1, 0)),
        ("replica", 0),
        ("candidate", epoch_of(2, 0)),
        ("master", epoch_of(2, 0)),
    ]
    own, *_ = promises = rows(run, "promise", number=epoch_of(2, 0))
    promised = [row.node for row in promises]
    asked = rows(run, "send", node=MASTER, kind="Prepare")
    assert own.node == MASTER
    assert {row.time_ns for row in asked} == {own.time_ns}  # Durable before anybody is asked.
    assert sorted(promised) == [MASTER, REPLICA, OTHER]
    assert run.check().broken == ()


def test_a_master_whose_log_is_lost_returns_empty_and_syncs_from_the_promoted_node():
    made = cluster(2, concern=majority())
    fill(made, 20)
    assert made.confirm() == 21
    made.advance(ms=1_000)
    kept = digests(made)[REPLICA]
    made.crash(MASTER, lose_disk=True)
    made.restart(MASTER)
    made.advance(ms=10_000)
    assert made.master is None
    assert roles(made)[MASTER] == "replica"
    assert node(made, MASTER).member.is_lost
    assert len(made.stores[MASTER]) == 0
    made.promote(REPLICA)
    made.advance(ms=10_000)
    assert made.master == REPLICA
    assert set(digests(made).values()) == {kept}
    assert node(made, MASTER).member.index == 256
    run = made.finish()
    assert [name for name, _ in role_rows(run, MASTER)] == ["master", "returning", "replica"]
    synced = [row.text for row in rows(run, "sync", node=REPLICA, peer=MASTER)]
    assert synced == ["started first_sync", "finished first_sync"]
    assert run.check().broken == ()


def test_the_greatest_log_wins_where_replicas_are_ahead_by_unacknowledged_records():
    made = cluster(2, concern=majority())
    fill(made, 10)
    assert made.confirm() == 11
    made.advance(ms=1_000)
    stall(made, MASTER, for_ms=11)
    fill(made, 3)
    made.advance(ms=10)
    assert [positions(made)[each].offset for each in (MASTER, REPLICA, OTHER)] == [11, 14, 14]
    assert node(made, MASTER).role.clients.confirmed_offset == 11
    made.crash(MASTER)
    made.advance(ms=5)
    made.restart(MASTER)
    made.advance(ms=10_000)
    assert made.master in (REPLICA, OTHER)
    run = made.finish()
    kinds = [name for name, _ in role_rows(run, MASTER)]
    assert kinds[1:3] == ["replica", "candidate"]
    assert kinds.count("master") == 1  # It has stood, and made way.
    for store in made.stores.values():
        assert list(store["words"].ids()) == [str(each) for each in range(12)]
    synced = [(row.kind, row.text) for row in rows(run, "sync", node=made.master, peer=MASTER)]
    assert synced == [("partial", "started"), ("partial", "finished")]
    assert run.check().broken == ()


@pytest.mark.parametrize("step", range(16))
def test_a_burst_in_flight_loses_nothing_that_was_acknowledged(step):
    made = cluster(2, concern=WriteConcern(count=1), batch_bytes=200, window_bytes=1_000)
    fill(made, 3)
    made.advance(ms=1_000)
    fill(made, 60)
    made.advance(ms=0.75 * step)
    made.crash(MASTER)
    made.restart(MASTER)
    made.advance(ms=6_000)
    assert made.master is not None
    run = made.finish()
    offset, written = acknowledged(made)
    assert offset >= 4
    for node_id in made.options.node_ids:
        assert hash_at(made, node_id, offset) == written
    assert run.check().broken == ()


def test_clients_writing_through_restarts_of_the_master_lose_nothing_acknowledged():
    load = Workload(writes_per_s=100, source="uniform:50x4", clients=3)
    made = Cluster(ClusterOptions(replicas=2, write_concern=majority()), seed=7, workload=load)
    for number in range(3):
        made.advance(ms=2_001.25 + number)
        made.crash(made.master)
        made.advance(ms=100)
        for node_id in made.options.node_ids:
            made.restart(node_id)
        made.advance(ms=4_000)
    run = made.finish()
    outcomes = {row.kind for row in rows(run, "complete")}
    assert {"ok", "silent", "not_master"} <= outcomes
    assert run.check()["acknowledged_writes_survive"].verdict == "held"
    assert run.check().broken == ()
