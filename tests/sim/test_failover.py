"""Promotion: a new epoch by intact answers alone, an old master that confirms nothing any more."""

import json
from itertools import pairwise

import pytest

from tests.sim.checks import rows
from tests.sim.clusters import cluster, digests, fill, node, positions, roles, stall
from vectorkit.errors import PromotionRefused, WriteConcernTimeout, WriteRefused
from vectorkit.operations import EpochStart
from vectorkit.replication import Failover, ReplicationOptions, WriteConcern, majority
from vectorkit.replication.protocol.epochs import epoch_of, slot_of
from vectorkit.sim import Cluster, ClusterOptions, Disk, Link, Partition, Workload, simulate

MASTER, REPLICA, OTHER = "node-0", "node-1", "node-2"


def confirmed(made, node_id):
    """Up to where a master has confirmed, by the acks that count now."""
    return node(made, node_id).role.clients.confirmed_offset


# With a quorum


def test_a_promotion_with_a_quorum_begins_a_new_epoch_and_fences_the_old_master():
    made = cluster(2, concern=majority(timeout_ms=500))
    fill(made, 10)
    assert made.confirm() == 11
    made.advance(ms=1_000)
    made.cut(MASTER)
    promotion = made.promote(REPLICA)
    assert (promotion.state, promotion.node, promotion.is_forced) == ("won", REPLICA, False)
    assert (promotion.answered, promotion.missing) == ([REPLICA, OTHER], [MASTER])
    assert (promotion.epoch, promotion.residual_lag) == (epoch_of(2, 1), 0)
    made.advance(ms=100)
    start = node(made, REPLICA).log.entry(12).record
    assert (start.operation, start.epoch) == (EpochStart(epoch_of(2, 1)), epoch_of(2, 1))
    made.store.upsert("words", ["new"], [[1, 0]])
    assert made.confirm() == 13
    assert confirmed(made, MASTER) == 11
    made.heal()
    made.advance(ms=5_000)
    assert roles(made) == {MASTER: "replica", REPLICA: "master", OTHER: "replica"}
    with pytest.raises(WriteRefused, match="its master, node-1"):
        made.stores[MASTER].upsert("words", ["late"], [[1, 0]])
    assert node(made, MASTER).member.promise == epoch_of(2, 1)
    run = made.finish()
    assert len(set(digests(made).values())) == 1
    assert run.check().broken == ()


def test_the_report_names_the_residual_lag_and_a_limit_below_it_refuses():
    def behind():
        """Both replicas have heard of 204 records and hold a few of them."""
        made = cluster(
            2,
            link=Link(delay_ms=40),
            concern=majority(),
            heartbeat_ms=100,
            connection_timeout_ms=5_000,
            batch_bytes=200,
            window_bytes=400,
        )
        fill(made, 3)
        made.advance(ms=1_000)
        fill(made, 200)
        made.advance(ms=500)
        made.crash(MASTER)
        made.advance(ms=100)
        return made

    made = behind()
    held = positions(made)[REPLICA].offset
    assert positions(made)[OTHER].offset == held
    lag = 204 - held
    assert lag > 100
    with pytest.raises(PromotionRefused, match=f"lag {lag} above {lag - 1}") as caught:
        made.promote(REPLICA, max_lag_operations=lag - 1)
    assert caught.value.details["residual_lag"] == lag
    assert made.master is None
    promotion = made.promote(REPLICA, max_lag_operations=lag)
    assert (promotion.state, promotion.residual_lag) == ("won", lag)
    assert made.finish().check().broken == ()


def test_a_node_with_a_smaller_log_makes_way_for_the_greater_one():
    made = cluster(2, concern=majority())
    fill(made, 3)
    made.advance(ms=1_000)
    made.cut(REPLICA)
    fill(made, 5)
    assert made.confirm() == 9
    made.crash(MASTER)
    made.heal()
    with pytest.raises(PromotionRefused, match="node-2 has the greater log"):
        made.promote(REPLICA)
    made.advance(ms=1_000)
    assert made.master == OTHER
    run = made.finish()
    assert run.stats[OTHER].epoch > epoch_of(2, 1)
    assert run.check().broken == ()


@pytest.mark.parametrize("who", [MASTER, "down"])
def test_a_master_and_a_node_that_is_down_cannot_be_promoted(who):
    made = cluster(2)
    made.advance(ms=500)
    if who == "down":
        who = REPLICA
        made.crash(REPLICA)
    with pytest.raises(PromotionRefused):
        made.promote(who)
    assert made.stats(MASTER).epoch == epoch_of(1, 0)


# Without enough intact answers


def test_without_enough_intact_answers_nobody_is_promoted_and_the_missing_are_named():
    made = cluster(2, concern=majority())
    fill(made, 10)
    assert made.confirm() == 11
    made.crash(MASTER)
    made.cut(OTHER)
    began_ms = made.now_ms
    with pytest.raises(PromotionRefused, match="bring back node-0, node-2") as caught:
        made.promote(REPLICA)
    assert caught.value.details["missing"] == [MASTER, OTHER]
    assert made.now_ms - began_ms == 2_000
    assert made.master is None
    trace = made._engine.trace.rows
    assert [row.number for row in trace if (row.event, row.kind) == ("role", "master")] == [
        epoch_of(1, 0)
    ]
    made.heal()
    assert made.promote(REPLICA).state == "won"
    assert made.finish().check().broken == ()


@pytest.mark.parametrize(
    ("replicas", "count", "down"), [(2, 1, 1), (4, 2, 2), (4, 1, 1), (3, 3, 3), (4, "majority", 2)]
)
def test_exactly_as_many_answers_are_needed_as_the_write_concern_leaves(replicas, count, down):
    """N − n answers, the candidate's own included: one silent node more is one too many."""

    def after(silent):
        made = cluster(replicas, concern=WriteConcern(count=count))
        fill(made, 3)
        made.confirm()
        made.advance(ms=1_000)
        gone = [f"node-{number}" for number in (0, *range(2, replicas + 1))][:silent]
        for node_id in gone:
            made.crash(node_id)
        return made, gone

    made, _ = after(down)
    assert made.promote(REPLICA).state == "won"
    if down < replicas:
        made, gone = after(down + 1)
        with pytest.raises(PromotionRefused) as caught:
            made.promote(REPLICA)
        assert caught.value.details["missing"] == gone


def test_a_node_without_state_is_no_answer():
    made = cluster(2, concern=majority())
    fill(made, 10)
    assert made.confirm() == 11
    made.crash(MASTER)
    made.crash(OTHER, lose_disk=True)
    made.restart(OTHER)
    made.advance(ms=1_000)
    with pytest.raises(PromotionRefused) as caught:
        made.promote(REPLICA)
    assert caught.value.details["missing"] == [MASTER, OTHER]
    with pytest.raises(PromotionRefused, match="a node that is returning"):
        made.promote(OTHER, force=True)
    assert made.finish().check().broken == ()


# Forced


def test_a_forced_promotion_goes_on_alone_and_is_marked():
    made = cluster(2, concern=majority())
    fill(made, 10)
    assert made.confirm() == 11
    made.cut(REPLICA)
    fill(made, 3)
    assert made.confirm() == 14
    promotion = made.promote(REPLICA, force=True)
    assert (promotion.state, promotion.is_forced) == ("won", True)
    assert promotion.missing == [MASTER, OTHER]
    made.advance(ms=100)
    run = made.finish()
    marked = rows(run, "role", kind="master", value=1)
    assert [(row.node, row.number) for row in marked] == [(REPLICA, epoch_of(2, 1))]
    assert made.master == REPLICA
    assert len(made.stores[MASTER]["words"]) == 9  # Three that were acknowledged are gone.
    assert run.stats[MASTER].uncommitted_lost == 3
    survival = run.check()["acknowledged_writes_survive"]
    assert (survival.verdict, survival.observed_count) == ("seen_not_promised", 3)
    assert not survival.is_promised
    assert run.check().broken == ()


# The old master


@pytest.mark.parametrize(("concern", "lost"), [(WriteConcern(count=0), 4), (majority(), 0)])
def test_an_old_master_steps_down_and_counts_exactly_what_it_had_acknowledged(concern, lost):
    made = cluster(2, concern=concern)
    fill(made, 10)
    made.advance(ms=1_000)
    made.cut(MASTER)
    fill(made, 4, store=made.stores[MASTER])
    made.advance(ms=100)
    made.promote(REPLICA)
    made.advance(ms=100)
    fill(made, 2, store=made.stores[REPLICA])
    made.heal()
    made.advance(ms=5_000)
    run = made.finish()
    assert run.stats[MASTER].uncommitted_lost == lost
    assert [(row.number, row.value) for row in rows(run, "discard")] == [(4, 11)] * (lost > 0)
    assert run.stats[REPLICA].partial_sync_refusals == {"ahead_of_master": 1}
    assert len(made.stores[MASTER]["words"]) == 11
    assert run.is_converged


def test_an_old_master_cut_off_with_a_client_appends_on_and_confirms_nothing():
    load = Workload(writes_per_s=50, source="uniform:50x4", clients=2, client_timeout_ms=300)
    options = ClusterOptions(replicas=2, write_concern=majority(timeout_ms=1_000))
    made = Cluster(options, seed=7, workload=load)
    made.advance(ms=1_000)
    made.cut(MASTER, "client-0")
    before = made.stats(MASTER).master_offset
    made.advance(ms=500)
    made.promote(REPLICA)
    made.advance(ms=2_000)
    old = made.stats(MASTER)
    assert (old.role, old.epoch) == ("master", epoch_of(1, 0))
    assert old.master_offset > before + 20  # It has gone on.
    made.heal()
    made.advance(ms=3_000)
    run = made.finish()
    cut_ns = 1_000_000_000
    late = [row for row in rows(run, "confirm", node=MASTER) if row.time_ns > cut_ns]
    assert late == []
    ended = [
        row.kind
        for row in rows(run, "complete", node="client-0", peer=MASTER)
        if cut_ns + 5_000_000 < row.time_ns < 3_400_000_000
    ]
    assert set(ended) == {"silent"}
    others = list(rows(run, "complete", node="client-1", kind="ok"))
    assert max(row.time_ns for row in others) > 3_000_000_000
    assert run.check()["acknowledged_writes_survive"].verdict == "held"
    assert run.check().broken == ()


def test_acks_that_come_after_a_master_has_promised_more_confirm_nothing():
    made = cluster(2, concern=majority(timeout_ms=500), link=Link(delay_ms=50))
    fill(made, 10)
    made.confirm()
    made.advance(ms=1_000)
    fill(made, 3)
    made.advance(ms=20)  # On their way; before their acks can be back the master has promised.
    with pytest.raises(PromotionRefused, match="has the greater log"):
        made.promote(REPLICA)
    made.advance(ms=2_000)
    assert made.master in (MASTER, OTHER)
    run = made.finish()
    late = list(rows(run, "deliver", node=MASTER, peer=OTHER, kind="Ack"))
    promised = rows(run, "promise", node=MASTER)[0]
    assert any(row.time_ns > promised.time_ns and row.number == 14 for row in late)
    assert max(row.number for row in rows(run, "confirm", value=epoch_of(1, 0))) == 11
    assert len(made.store["words"]) == 12  # They are kept all the same.
    assert run.check().broken == ()


def test_whoever_has_promised_an_epoch_acks_to_its_owner_only():
    load = Workload(writes_per_s=100, source="uniform:50x4", clients=2, client_timeout_ms=200)
    made = Cluster(ClusterOptions(replicas=4, write_concern=majority()), seed=7, workload=load)
    for target in ("node-1", "node-2", "node-3"):
        made.advance(ms=1_000)
        made.cut(made.master)
        made.promote(target)
        made.advance(ms=1_000)
        made.heal()
    run = made.finish()
    owner = dict.fromkeys(run.stats, MASTER)
    acked = dict.fromkeys(run.stats, 0)
    for row in run.trace.rows:
        if row.event == "promise":
            owner[row.node] = f"node-{slot_of(row.number)}"
        elif row.event == "ack":
            assert row.peer == owner[row.node]
            acked[row.peer] += 1
    assert min(acked[f"node-{number}"] for number in range(4)) > 50
    assert run.check()["no_ack_below_a_promise"].verdict == "held"
    assert run.check()["acknowledged_writes_share_a_branch"].verdict == "held"
    assert run.check().broken == ()


# Figure 8 of the Raft paper


def test_an_old_record_that_stands_on_most_nodes_does_not_count_before_the_new_epoch_does():
    """Figure 8 of Ongaro and Ousterhout (2014), its S1 … S5 being node-0 … node-4.

    A record of epoch 1 gets onto four of five nodes under a later epoch of its master, and is
    overwritten all the same: it must not have been confirmed.
    """
    made = cluster(4, concern=majority(timeout_ms=300), batch_bytes=1)
    fill(made, 1)
    assert made.confirm() == 2
    made.advance(ms=1_000)

    # a: S1 has a record that only S2 gets.
    made.cut("node-2", "node-3", "node-4")
    made.store.upsert("words", ["x"], [[1, 0]])
    with pytest.raises(WriteConcernTimeout, match="1 of 2 replicas at offset 3"):
        made.confirm()

    # b: S5 is master, begins its epoch on its own disk, and crashes before anybody has it.
    made.crash("node-0")
    second = made.promote("node-4")
    made.advance(ms=0.5)
    assert positions(made)["node-4"] == node(made, "node-4").log.head
    made.crash("node-4")
    assert [positions(made)[f"node-{n}"].offset for n in (1, 2, 3)] == [3, 2, 2]

    # c: S1 is master again; its old record reaches S3 and S4, the start of its epoch does not.
    made.heal()
    made.restart("node-0")
    made.advance(ms=5)
    third = made.promote("node-0")
    assert third.epoch > second.epoch
    while positions(made)["node-0"].offset < 4:
        made.advance(ms=0.1)
    stall(made, "node-1", for_ms=500)
    stalled = set()
    while min(positions(made)[each].offset for each in ("node-2", "node-3")) < 3:
        made.advance(ms=0.1)
        for each in ("node-2", "node-3"):
            if node(made, each).log.head.offset >= 3 and each not in stalled:
                stalled.add(each)
                stall(made, each, for_ms=500)
    made.advance(ms=20)
    assert [positions(made)[f"node-{n}"].offset for n in range(4)] == [4, 3, 3, 3]
    assert node(made, "node-0").role.clients.confirmed_offset == 0

    # d: S5 is master once more, and its epoch overwrites the record.
    for each in ("node-0", "node-1", "node-2", "node-3"):
        made.crash(each)
    made.advance(ms=500)
    for each in ("node-2", "node-3", "node-4"):
        made.restart(each)
    made.advance(ms=5)
    assert made.promote("node-4").epoch > third.epoch
    made.advance(ms=2_000)
    run = made.finish()
    assert made.master == "node-4"
    for store in made.stores.values():
        assert "x" not in store["words"]
    assert {row.value for row in rows(run, "confirm", node="node-0")} == {epoch_of(1, 0)}
    assert max(row.number for row in rows(run, "confirm", node="node-0")) == 2
    assert run.check().broken == ()
    assert run.is_converged


# Automatic failover


def test_a_silent_master_is_replaced_after_the_deadline_of_the_detector():
    made = cluster(2, concern=majority(), failover=Failover(deadline_ms=3_000, stagger_ms=150))
    fill(made, 10)
    made.confirm()
    made.advance(ms=2_000)
    heard_ms = [
        row.time_ns / 1e6
        for row in made._engine.trace.rows
        if row.event == "deliver" and (row.node, row.peer) == (REPLICA, MASTER)
    ][-1]
    made.crash(MASTER)
    made.advance(ms=6_000)
    assert made.master == REPLICA
    stood = [row for row in made._engine.trace.rows if row.kind == "candidate"]
    assert [(row.node, row.time_ns / 1e6) for row in stood] == [(REPLICA, heard_ms + 3_150)]
    run = made.finish()
    assert run.check().broken == ()
    assert json.loads(json.dumps(made.status(REPLICA).to_dict()))["role"] == "master"


def test_a_node_that_stands_in_vain_waits_for_longer_each_time_until_it_hears_a_master():
    options = ReplicationOptions(
        heartbeat_ms=200, connection_timeout_ms=800, backoff_ms_min=100, stand_timeout_ms=600
    )
    made = ClusterOptions(
        replicas=2,
        disk=Disk(fsync_ms=0),
        failover=Failover(deadline_ms=1_000, stagger_ms=100),
        replication=options,
    )
    faults = [
        Partition(at_ms=at_ms, for_ms=for_ms, isolate=["node-1"])
        for at_ms, for_ms in ((500, 7_900), (10_000, 3_400))
    ]
    run = simulate(made, faults=faults, duration_ms=15_000, seed=7)
    stood = rows(run, "role", node="node-1", kind="candidate", text="silence")
    stood_ms = [row.time_ns / 1e6 for row in stood]
    # Silence of 1,000 ms and the stagger of slot 1, then 600 ms of asking in vain; and the pauses.
    pauses_ms = [after - before - 1_700 for before, after in pairwise(stood_ms)]
    assert pauses_ms[:3] == [100, 200, 400]
    assert pauses_ms[4:] == [100]  # After it had heard its master again.
    assert run.is_converged
