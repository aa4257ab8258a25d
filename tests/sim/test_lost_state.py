"""A node that has lost its state: no promise, no ack, no service before it is whole again."""

import pytest

from tests.sim.checks import rows
from tests.sim.clusters import cluster, digests, fill, image, node, retire, roles
from vectorkit.errors import PromotionRefused, WriteConcernTimeout
from vectorkit.replication import WriteConcern, majority
from vectorkit.replication.protocol.epochs import index_of
from vectorkit.sim import Cluster, ClusterOptions, Replace, Workload

MASTER, REPLICA, OTHER = "node-0", "node-1", "node-2"


def with_lost_disk(replicas=2, lost=OTHER, concern=None, down=()):
    """A cluster that has confirmed ten records, in which one node comes back with an empty disk."""
    made = cluster(replicas, concern=concern or majority(timeout_ms=400))
    fill(made, 9)
    made.confirm()
    made.advance(ms=1_000)
    for node_id in down:
        made.crash(node_id)
    made.crash(lost, lose_disk=True)
    made.restart(lost)
    return made


def test_a_node_without_state_returns_under_a_new_index_by_a_full_sync():
    made = with_lost_disk()
    assert node(made, OTHER).member.is_lost
    assert node(made, OTHER).member.index == index_of(2, 1)
    made.advance(ms=5_000)
    member = node(made, OTHER).member
    assert (member.is_lost, member.index, image(made, OTHER).index) == (False, 258, 258)
    assert node(made, MASTER).member.known.newest[2] == 258
    assert len(set(digests(made).values())) == 1
    run = made.finish()
    assert [row.kind for row in rows(run, "role", node=OTHER)] == [
        "replica",
        "returning",
        "replica",
    ]
    assert run.check().broken == ()


def test_it_waits_until_it_has_heard_every_other_node_and_not_only_the_master():
    made = with_lost_disk(down=[REPLICA])
    made.advance(ms=20_000)
    assert roles(made)[OTHER] == "returning"
    assert node(made, OTHER).role.missing == [REPLICA]
    assert len(made.stores[OTHER]) == 0
    sent = {row.kind for row in made._engine.trace.rows if row.event == "send"}
    assert "AskPromise" in sent
    made.restart(REPLICA)
    made.advance(ms=5_000)
    assert not node(made, OTHER).member.is_lost
    assert made.finish().check().broken == ()


@pytest.mark.parametrize("replicas", [2, 3, 4])
def test_one_silent_node_is_enough_to_keep_it_out_whatever_the_size(replicas):
    silent = f"node-{replicas}"
    made = with_lost_disk(replicas, lost=REPLICA, concern=WriteConcern(count=1), down=[silent])
    made.advance(ms=20_000)
    assert node(made, REPLICA).role.missing == [silent]


def test_it_acks_nothing_before_its_full_sync_and_its_old_acks_are_void():
    made = cluster(2, concern=WriteConcern(count=2, timeout_ms=400))
    fill(made, 9)
    assert made.confirm() == 10
    made.advance(ms=1_000)
    clients = node(made, MASTER).role.clients
    assert clients.confirmed_by(10) == 2
    made.crash(REPLICA)
    made.crash(OTHER, lose_disk=True)
    made.restart(OTHER)
    made.advance(ms=10)
    assert clients.confirmed_by(10) == 1  # The one that is down has flushed it; its ack stands.
    made.store.upsert("words", ["x"], [[1, 0]])
    with pytest.raises(WriteConcernTimeout, match="0 of 2 replicas at offset 11"):
        made.confirm()
    acks = [
        row
        for row in made._engine.trace.rows
        if row.event == "ack" and row.node == OTHER and row.time_ns > 1_400_000_000
    ]
    assert acks == []
    made.restart(REPLICA)
    made.advance(ms=5_000)
    assert made.confirm() == 11
    run = made.finish()
    installed = list(rows(run, "apply", node=OTHER, kind="snapshot"))[-1]
    first_ack = next(row for row in rows(run, "ack", node=OTHER) if row.time_ns > 1_400_000_000)
    assert first_ack.time_ns >= installed.time_ns
    assert run.check().broken == ()


def test_it_promises_nothing_and_cannot_be_promoted():
    made = with_lost_disk(down=[MASTER])
    with pytest.raises(PromotionRefused) as caught:
        made.promote(REPLICA)
    assert caught.value.details["missing"] == [MASTER, OTHER]
    assert node(made, OTHER).member.promise == 0
    assert image(made, OTHER).promise == 0
    with pytest.raises(PromotionRefused, match="returning"):
        made.promote(OTHER)
    run = made.finish()
    since_ns = rows(run, "lost_state")[0].time_ns
    ends_ns = list(rows(run, "apply", node=OTHER, kind="snapshot"))[-1].time_ns
    promises = [row for row in rows(run, "promise", node=OTHER) if since_ns < row.time_ns < ends_ns]
    assert all(row.number >= node(made, REPLICA).member.promise for row in promises)
    sent = [row.kind for row in rows(run, "send", node=OTHER) if since_ns <= row.time_ns < ends_ns]
    assert not {"Promise", "Ack", "ReplicaHeartbeat", "EpochConfirmed", "Prepare"} & set(sent)
    assert "Reject" in sent
    assert run.check().broken == ()


def test_two_nodes_without_state_count_each_other_as_heard():
    made = with_lost_disk(down=[])
    made.crash(REPLICA, lose_disk=True)
    made.restart(REPLICA)
    made.advance(ms=10_000)
    assert not node(made, REPLICA).member.is_lost
    assert not node(made, OTHER).member.is_lost
    assert len(set(digests(made).values())) == 1
    assert made.finish().is_converged


def test_when_all_have_lost_their_state_nobody_serves_and_nothing_pretends_to_be_the_truth():
    made = cluster(2, concern=majority())
    fill(made, 9)
    made.confirm()
    for node_id in made.options.node_ids:
        made.crash(node_id, lose_disk=True)
    for node_id in made.options.node_ids:
        made.restart(node_id)
    made.advance(ms=30_000)
    assert made.master is None
    assert {len(store) for store in made.stores.values()} == {0}
    for node_id in made.options.node_ids:
        with pytest.raises(PromotionRefused):
            made.promote(node_id, force=True)


def test_lack_of_state_is_durable():
    made = with_lost_disk(down=[REPLICA])
    made.advance(ms=100)
    assert image(made, OTHER).is_lost
    made.crash(OTHER)
    made.restart(OTHER)
    assert node(made, OTHER).member.is_lost
    assert node(made, OTHER).member.index == index_of(2, 1)  # The disk kept it: no new one.
    made.crash(OTHER, lose_disk=True)
    made.restart(OTHER)
    assert node(made, OTHER).member.index == index_of(2, 3)
    made.restart(REPLICA)
    made.advance(ms=5_000)
    assert not node(made, OTHER).member.is_lost
    assert made.finish().is_converged


def test_an_operator_who_replaces_a_node_lets_the_others_return_without_it():
    made = with_lost_disk(down=[REPLICA])
    made.advance(ms=5_000)
    assert node(made, OTHER).role.missing == [REPLICA]
    made.inject(Replace(at_ms=0, node=REPLICA))
    made.advance(ms=5_000)
    assert not node(made, OTHER).member.is_lost
    assert digests(made)[OTHER] == digests(made)[MASTER]
    retired = [row for row in made._engine.trace.rows if row.event == "retire"]
    assert {(row.node, row.number) for row in retired} == {(MASTER, 1), (OTHER, 1)}
    assert {image(made, each).known.retired for each in (MASTER, OTHER)} == {(-1, 1, -1)}
    run = made.finish()  # The empty machine in its place comes back too.
    assert node(made, REPLICA).member.index == index_of(1, 1)
    assert run.check().broken == ()
    assert run.is_converged


def test_a_replaced_node_is_refused_for_ever_and_returns_only_without_its_state():
    made = with_lost_disk(down=[REPLICA])
    retire(made, REPLICA)
    made.advance(ms=5_000)
    for node_id in (MASTER, OTHER):  # Also by nodes that have started again since.
        made.crash(node_id)
        made.restart(node_id)
        made.advance(ms=5_000)
    fill(made, 3)
    made.restart(REPLICA)
    made.advance(ms=60_000)
    assert node(made, REPLICA).member.index == 1
    assert len(made.stores[REPLICA]["words"]) == 8  # It gets nothing.
    with pytest.raises(PromotionRefused):
        made.promote(REPLICA)
    made.crash(REPLICA, lose_disk=True)
    made.restart(REPLICA)
    made.advance(ms=10_000)
    assert node(made, REPLICA).member.index == index_of(1, 2)
    assert len(set(digests(made).values())) == 1


@pytest.mark.parametrize("replicas", [2, 4])
def test_disks_lost_one_after_the_other_under_load_lose_nothing_acknowledged(replicas):
    load = Workload(writes_per_s=50, source="uniform:50x4", clients=2, client_timeout_ms=500)
    options = ClusterOptions(replicas=replicas, write_concern=majority())
    made = Cluster(options, seed=7, workload=load)
    made.advance(ms=1_000)
    for number in range(1, replicas + 1):
        lost = f"node-{number}"
        made.crash(lost, lose_disk=True)
        made.advance(ms=300)
        made.restart(lost)
        made.advance(ms=3_000)
        assert not node(made, lost).member.is_lost
    made.crash(MASTER, lose_disk=True)
    made.promote(REPLICA)
    made.advance(ms=1_000)
    made.restart(MASTER)
    made.advance(ms=5_000)
    run = made.finish()
    assert run.check()["acknowledged_writes_survive"].verdict == "held"
    assert run.check().broken == ()
    assert run.is_converged
