"""Scenarios and runs travel; a cluster says what to send in its place."""

import copy
import pickle

import pytest

from vectorkit import sim
from vectorkit.errors import InvalidInput


def pickled(value):
    return pickle.loads(pickle.dumps(value))


@pytest.mark.parametrize("way", [pickled, copy.copy, copy.deepcopy])
def test_scenarios_and_runs_travel(way):
    scenario = sim.Scenario(
        sim.ClusterOptions(replicas=1),
        workload=sim.Workload(writes_per_s=20),
        faults=[sim.Crash(at_ms=300, node="node-1", for_ms=200)],
        duration_ms=1_000,
        seed=7,
    )
    assert way(scenario) == scenario
    assert way(scenario).to_json() == scenario.to_json()
    run = sim.simulate(scenario)
    twin = way(run)
    assert (twin.trace_hash, repr(twin), twin.scenario) == (run.trace_hash, repr(run), scenario)
    assert twin.operations.equals(run.operations)
    assert [each.verdict for each in twin.check()] == [each.verdict for each in run.check()]


@pytest.mark.parametrize("way", [pickled, copy.copy, copy.deepcopy])
def test_a_cluster_is_refused_and_its_stores_are_not(way):
    cluster = sim.Cluster(sim.ClusterOptions(replicas=1))
    cluster.store.create_collection("words", dim=2).upsert(["a"], [[1, 0]])
    cluster.advance(ms=100)
    with pytest.raises(InvalidInput, match="a cluster cannot be copied or pickled"):
        way(cluster)
    replica = cluster.stores["node-1"]
    twin = way(replica)
    assert twin.digest() == replica.digest()
    twin.delete("words", ["a"])  # It belongs to no node any more.
    assert (len(twin["words"]), len(replica["words"])) == (0, 1)
