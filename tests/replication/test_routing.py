"""Which node each policy asks, and that it passes over nodes that are silent."""

import pytest

from vectorkit.replication.routing import POLICIES, ClientView, target

NODES = ("node-0", "node-1", "node-2")


def view(*, distances=(3.0, 1.0, 2.0), master="node-0", silent=(), client=0, request=0):
    return ClientView(NODES, distances, master, frozenset(silent), client, request)


@pytest.mark.parametrize("policy", ["master", "linearizable"])
def test_reads_of_the_master_go_to_whom_the_client_takes_for_master_silent_or_not(policy):
    assert target(policy, view(master="node-2")) == "node-2"
    assert target(policy, view(master="node-2", silent=NODES)) == "node-2"


@pytest.mark.parametrize(
    "policy", ["nearest", "bounded_staleness", "read_your_writes", "confirmed"]
)
def test_the_nearest_node_is_asked_and_a_silent_one_is_skipped(policy):
    assert target(policy, view()) == "node-1"
    assert target(policy, view(silent=["node-1"])) == "node-2"
    assert target(policy, view(silent=["node-1", "node-2"])) == "node-0"


def test_of_equally_near_nodes_each_client_asks_its_own():
    near = (1.0, 1.0, 1.0)
    asked = [target("nearest", view(distances=near, client=client)) for client in range(4)]
    assert asked == ["node-0", "node-1", "node-2", "node-0"]


def test_round_robin_asks_one_after_the_other_and_passes_over_the_silent():
    asked = [target("round_robin", view(request=request)) for request in range(4)]
    assert asked == ["node-0", "node-1", "node-2", "node-0"]
    asked = [target("round_robin", view(request=each, silent=["node-1"])) for each in range(4)]
    assert asked == ["node-0", "node-2", "node-2", "node-0"]


def test_sticky_asks_the_same_node_whatever_the_request_and_another_while_that_is_silent():
    assert {target("sticky", view(client=4, request=each)) for each in range(5)} == {"node-1"}
    assert target("sticky", view(client=4, silent=["node-1"])) == "node-2"


@pytest.mark.parametrize("policy", POLICIES)
def test_where_all_are_silent_the_first_choice_is_asked_all_the_same(policy):
    assert target(policy, view(silent=NODES)) == target(policy, view())
