"""A node that does not come into line says where it hangs, and why."""

import pytest

from tests.sim.clusters import cluster, fill, node
from vectorkit import sim
from vectorkit.replication import Failover, majority
from vectorkit.sim.analysis.stuck import stuck_nodes


def stuck(made):
    return {each.node: each.reason for each in stuck_nodes(made._engine)}


def test_a_cluster_in_line_has_nobody_who_is_stuck():
    made = cluster(2)
    fill(made, 3)
    made.advance(ms=3_000)
    assert stuck(made) == {}


def test_a_node_that_is_down_is_down():
    made = cluster(2)
    made.advance(ms=1_000)
    made.crash("node-1")
    assert stuck(made) == {"node-1": "is down"}


def test_a_replica_that_is_behind_says_how_far():
    made = cluster(2)
    made.advance(ms=1_000)
    fill(made, 3)
    assert stuck(made)["node-0"] == "has 3 operations that are not flushed"
    made.advance(ms=1)
    assert stuck(made)["node-1"] == "is at offset 1 of 4"


def test_a_master_may_not_know_yet_that_a_replica_is_equal():
    made = cluster(1)
    made.advance(ms=1_000)
    fill(made, 3)
    made.advance(ms=3)
    assert stuck(made) == {"node-1": "is equal, and node-0 knows only of offset 1"}


def test_without_a_master_and_without_failover_an_operator_is_waited_for():
    made = cluster(2)
    made.advance(ms=1_000)
    made.crash("node-0")
    made.advance(ms=100)
    reasons = stuck(made)
    assert reasons["node-0"] == "is down"
    assert reasons["node-1"] == "no master: only an operator promotes, and none does"


def test_too_few_intact_nodes_are_named():
    made = cluster(2, concern=majority())
    made.advance(ms=1_000)
    for each in ("node-0", "node-1"):
        made.crash(each, lose_disk=True)
    for each in ("node-0", "node-1"):
        made.restart(each)
    made.advance(ms=3_000)
    expected = "node-0 and node-1 without state, and a promotion needs 2 intact nodes"
    assert stuck(made)["node-2"] == f"no master: {expected}"


def test_a_node_without_state_names_those_it_has_not_heard():
    made = cluster(2)
    made.advance(ms=1_000)
    made.crash("node-1", lose_disk=True)
    made.cut("node-1")
    made.restart("node-1")
    made.advance(ms=1_000)
    assert stuck(made)["node-1"] == "waits for the promise of node-0 and node-2"


def test_a_candidate_names_those_whose_answers_it_lacks():
    made = cluster(2, concern=majority(), failover=Failover(deadline_ms=1_500), heartbeat_ms=500)
    made.advance(ms=1_000)
    made.crash("node-0")
    made.cut("node-1")
    while node(made, "node-1").role.name != "candidate":
        made.advance(ms=10)
    made.advance(ms=10)
    reason = stuck(made)["node-1"]
    assert reason == f"stands for epoch {(2 << 16) | 1} and lacks answers of node-0 and node-2"


def test_attempts_that_failed_are_told():
    made = cluster(2, concern=majority(), failover=Failover(deadline_ms=1_500), heartbeat_ms=500)
    made.advance(ms=1_000)
    made.crash("node-0")
    made.cut("node-1")
    made.advance(ms=4_100)
    assert "node-1 failed: too few intact nodes have answered" in stuck(made)["node-2"]


@pytest.mark.parametrize(("index", "is_retired"), [(1, True), (2, False)])
def test_a_retired_index_can_return_only_without_its_state(index, is_retired):
    made = cluster(2)
    made.advance(ms=1_000)
    engine = made._engine
    for each in ("node-0", "node-2"):
        engine.perform(each, engine.node(each).retire(index, engine.now_ns))
    fill(made, 2)
    expected = "its index 1 is retired: it can return only without its state"
    assert (stuck(made)["node-1"] == expected) is is_retired


def test_a_run_that_did_not_settle_says_who_is_stuck():
    fault = sim.Crash(at_ms=500, for_ms=1_000, node="node-0", lose_disk=True)
    run = sim.simulate(sim.ClusterOptions(replicas=1), faults=[fault], duration_ms=2_000, seed=7)
    assert not run.is_converged
    assert [(each.node, each.state) for each in run.stuck] == [
        ("node-0", "connecting"),
        ("node-1", "connecting"),
    ]
