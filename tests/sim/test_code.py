"""A scenario as Python: executed, it is the scenario, and short enough to be read."""

import pytest

from vectorkit import replication, sim
from vectorkit.sim.python_source import code_of

NAMES = {"sim": sim, "replication": replication}


def executed(text):
    names = {}
    exec(text.replace("run = sim.simulate(scenario)", ""), names)
    return names["scenario"]


def test_it_names_what_differs_from_the_defaults_only():
    assert sim.Scenario().to_code() == (
        "from vectorkit import sim\n\nscenario = sim.Scenario()\nrun = sim.simulate(scenario)"
    )


def test_it_is_laid_out_as_a_formatter_would_and_imports_what_it_needs():
    scenario = sim.Scenario(
        sim.ClusterOptions(
            replicas=2,
            links={("node-0", "node-1"): sim.Link(delay_ms=20, sample_ms=(1, 2.5))},
            write_concern=sim.majority(stage="applied"),
            replication=replication.ReplicationOptions(heartbeat_ms=500),
        ),
        faults=[sim.Pause(at_ms=1_500, for_ms=250.0, node=sim.CURRENT_MASTER)],
        seed=7,
    )
    assert (
        scenario.to_code()
        == """\
from vectorkit import replication, sim

scenario = sim.Scenario(
    options=sim.ClusterOptions(
        replicas=2,
        links={("node-0", "node-1"): sim.Link(delay_ms=20, sample_ms=[1, 2.5])},
        replication=replication.ReplicationOptions(heartbeat_ms=500),
        write_concern=sim.WriteConcern(count="majority", stage="applied"),
    ),
    faults=[sim.Pause(at_ms=1_500, for_ms=250.0, node=sim.CURRENT_MASTER)],
    seed=7,
)
run = sim.simulate(scenario)"""
    )
    assert executed(scenario.to_code()) == scenario


@pytest.mark.parametrize("seed", range(60))
def test_any_scenario_comes_back(seed):
    scenario = sim.random_scenario(seed)
    text = scenario.to_code()
    assert executed(text) == scenario
    assert max(map(len, text.splitlines())) <= 88


def test_the_code_gives_the_same_trace():
    load = sim.Workload(writes_per_s=20, source="uniform:10x4")
    cut = sim.Partition(at_ms=100, for_ms=200, groups=[["node-1"], [sim.CURRENT_MASTER]])
    scenario = sim.Scenario(workload=load, faults=[cut], duration_ms=500, seed=3)
    names = {}
    exec(scenario.to_code(), names)
    assert names["run"].trace_hash == sim.simulate(scenario).trace_hash


@pytest.mark.parametrize(
    "value", [0, -7, 12_345, 0.1 + 0.2, -1e-9, 1e22, True, None, "", 'a "b" \\ \n', "é—😀"]
)
def test_plain_values_come_back(value):
    again = eval(code_of(value), NAMES)
    assert (again, type(again)) == (value, type(value))
