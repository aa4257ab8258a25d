"""Grids: names lead to fields, values are crossed, and what cannot run is named before it does."""

import functools

import numpy as np
import pytest

from tests.sim.small import BASE, LOAD
from vectorkit import sim
from vectorkit.errors import InvalidOption
from vectorkit.replication import ReplicationOptions
from vectorkit.sim.sweeps.grid import check_seeds, planned, settings_of

NODE = "node-1"


def plan(grid, seeds=(0,), base=BASE):
    return list(planned(settings_of(grid), base, list(seeds)))


def scenarios(grid, seeds=(0,), base=BASE):
    return [each.scenario for each in plan(grid, seeds, base)]


def refusal(grid, seeds=(0,), base=BASE):
    with pytest.raises(InvalidOption) as caught:
        plan(grid, seeds, base)
    return caught.value


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("duration_ms", 700, lambda made: made.duration_ms),
        ("replicas", 4, lambda made: made.options.replicas),
        ("write_concern", sim.majority(), lambda made: made.options.write_concern),
        ("heartbeat_ms", 50, lambda made: made.options.replication.heartbeat_ms),
        ("loss", 0.25, lambda made: made.options.link.loss),
        ("fsync_ms", 9, lambda made: made.options.disk.fsync_ms),
        ("link.mib_per_s", 3, lambda made: made.options.link.mib_per_s),
        ("disk.mib_per_s", 3, lambda made: made.options.disk.mib_per_s),
        ("clients", 3, lambda made: made.workload.clients),
        (
            "replication.failover",
            sim.Failover(),
            lambda made: made.options.replication.failover,
        ),
    ],
)
def test_a_name_leads_to_the_one_field_that_it_names(name, value, found):
    (made,) = scenarios({name: [value]})
    assert found(made) == value
    assert found(BASE) != value


def test_all_values_are_crossed_in_the_order_of_the_grid_seeds_innermost():
    made = plan({"replicas": [2, 1], "loss": [0, 0.5]}, seeds=[5, 3])
    told = [
        (each.scenario.options.replicas, each.scenario.options.link.loss, each.scenario.seed)
        for each in made
    ]
    assert told == [(r, loss, seed) for r in (2, 1) for loss in (0, 0.5) for seed in (5, 3)]
    assert [each.numbers for each in made[::2]] == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_a_field_is_set_within_the_record_that_the_grid_gives():
    links = [sim.Link(delay_ms=7), sim.Link(delay_ms=9)]
    made = scenarios({"loss": [0.1], "link": links})
    assert [each.options.link for each in made] == [
        sim.Link(delay_ms=7, loss=0.1),
        sim.Link(delay_ms=9, loss=0.1),
    ]


def test_two_fields_of_one_record_are_set_at_once_so_that_no_step_between_is_refused():
    grid = {"heartbeat_ms": [9_000], "connection_timeout_ms": [20_000]}
    (made,) = scenarios(grid)
    assert made.options.replication == ReplicationOptions(
        heartbeat_ms=9_000, connection_timeout_ms=20_000
    )


def test_all_else_is_that_of_the_base():
    cut = sim.Cut(at_ms=10, for_ms=10, source="node-0")
    base = sim.Scenario(BASE.options, workload=LOAD, faults=[cut], duration_ms=500)
    (made,) = scenarios({"writes_per_s": [50]}, base=base)
    assert made.faults == (cut,)
    assert made.options == base.options


def test_a_nemesis_makes_the_faults_of_each_seed_for_each_cluster():
    nemesis = functools.partial(sim.random_faults, intensity=0.9)
    made = scenarios({"faults": [nemesis], "replicas": [1, 2]}, seeds=[0, 1])
    assert [list(each.faults) for each in made] == [
        nemesis(each.options, duration_ms=500, seed=each.seed) for each in made
    ]
    assert len({each.faults for each in made}) == 4


def test_numbers_of_numpy_are_numbers():
    made = scenarios({"replicas": [np.int64(2)], "loss": np.array([0.5])})
    assert (made[0].options.replicas, made[0].options.link.loss) == (2, 0.5)


def test_a_fault_alone_is_a_list_of_one():
    pause = sim.Pause(at_ms=5, for_ms=5, node=NODE)
    made = scenarios({"faults": [[], pause]})
    assert [each.faults for each in made] == [(), (pause,)]


@pytest.mark.parametrize(
    ("grid", "labels"),
    [
        ({"replicas": [2, 1]}, (2, 1)),
        ({"loss": np.array([0.0, 0.5])}, (0.0, 0.5)),
        ({"replicas": range(1, 3)}, (1, 2)),
        ({"replicas": list(np.arange(1, 3))}, (1, 2)),
        ({"keys": ["zipf", "uniform"]}, ("zipf", "uniform")),
        ({"is_fifo": [True, False]}, ("True", "False")),
        ({"max_lag_operations": [None, 10]}, ("none", "10")),
        ({"link": {"near": sim.Link(), 2: sim.Link(delay_ms=9)}}, ("near", "2")),
        (
            {"link": [sim.Link(), sim.Link(delay_ms=9, loss=0.1)]},
            ("default", "delay_ms=9, loss=0.1"),
        ),
        (
            {
                "write_concern": [
                    sim.WriteConcern(),
                    sim.majority(),
                    sim.WriteConcern(count=1, stage="applied", timeout_ms=50, on_timeout="degrade"),
                ]
            },
            ("0", "majority flushed", "1 applied, 50 ms, degrade"),
        ),
        (
            {"failover": [None, sim.Failover(), sim.Failover(detector="phi", phi=2.5)]},
            ("none", "deadline 5000 ms", "phi 2.5"),
        ),
        (
            {
                "faults": [
                    [],
                    sim.Pause(at_ms=1, for_ms=1, node=NODE),
                    [sim.Pause(at_ms=1, for_ms=1, node=NODE), sim.Restart(at_ms=2, node=NODE)] * 2,
                    sim.random_faults,
                    functools.partial(sim.random_faults, intensity=0.3),
                    functools.partial(sim.flapping_link),
                ]
            },
            (
                "none",
                "Pause",
                "2 × Pause, 2 × Restart",
                "random_faults",
                "random_faults(intensity=0.3)",
                "flapping_link",
            ),
        ),
        ({"links": [{}]}, ("{}",)),
    ],
)
def test_values_are_labelled_as_a_reader_would_say_them(grid, labels):
    assert settings_of(grid)[0].labels == labels


@pytest.mark.parametrize(
    ("grid", "told"),
    [
        ({}, "a grid names settings: got {}"),
        ([("replicas", 1)], "a grid names settings"),
        ({"replica": [1]}, "there is no such setting: got 'replica', wanted ack_delay_ms, "),
        ({"seed": [1]}, "there is no such setting: got 'seed'"),
        ({"mib_per_s": [1]}, "got 'mib_per_s', wanted 'link.mib_per_s' or 'disk.mib_per_s'"),
        ({"loss": [0], "link.loss": [1]}, "one setting twice: got 'loss' and 'link.loss'"),
        ({"replicas": []}, "takes its values from a list: got replicas: []"),
        ({"replicas": 3}, "takes its values from a list: got replicas: 3"),
        ({"keys": "zipf"}, "takes its values from a list: got keys: 'zipf'"),
        ({"replicas": [1, 1.0]}, "two values of a setting have one name: got replicas: 1 twice"),
        ({"replicas": {None: 1}}, "a label is a text or a number: got replicas: None"),
    ],
)
def test_a_grid_that_says_nothing_sure_is_refused(grid, told):
    assert told in str(refusal(grid))


@pytest.mark.parametrize(
    ("grid", "told"),
    [
        (
            {"replicas": [2, 0], "write_concern": [sim.WriteConcern(count=1)]},
            "got replicas=0, write_concern='1 flushed': a write concern asks for more replicas",
        ),
        (
            {"replicas": [3, 2], "faults": {"late": sim.Pause(at_ms=1, for_ms=1, node="node-3")}},
            "got replicas=2, faults='late': a Pause names what the cluster does not have",
        ),
        ({"faults": {"late": sim.Restart(at_ms=500, node=NODE)}}, "a fault would begin after"),
        ({"read_policy": ["master", "linearizable"]}, "got read_policy='linearizable': this clus"),
        ({"replicas": ["three"]}, "got replicas='three': a cluster cannot have this many"),
        ({"disk": [None], "fsync_ms": [1]}, "there is no disk to set: got disk=None"),
        ({"faults": {"no list": lambda options: []}}, "unexpected keyword argument"),
        ({"faults": [3]}, "faults come as a list"),
    ],
)
def test_a_combination_that_cannot_run_is_named(grid, told):
    assert told in str(refusal(grid))


def test_a_field_of_a_load_needs_a_load():
    base = sim.Scenario(BASE.options)
    assert "there is no workload to set" in str(refusal({"clients": [2]}, base=base))


def test_seeds_are_plain_integers_each_once():
    assert check_seeds(range(2, 4)) == [2, 3]
    seeds = check_seeds(np.arange(2))
    assert seeds == [0, 1]
    assert {type(seed) for seed in seeds} == {int}


@pytest.mark.parametrize(
    ("seeds", "told"),
    [
        ([], "got seeds=[], wanted one seed or more"),
        (5, "got seeds=5, wanted one seed or more"),
        ([3, 4, 3], "got the seeds [3] more than once"),
        ([0.5], "this cannot be a seed: got seed=0.5"),
        ([-1], "this cannot be a seed"),
        ([True], "this cannot be a seed"),
    ],
)
def test_seeds_that_say_nothing_sure_are_refused(seeds, told):
    with pytest.raises(InvalidOption) as caught:
        check_seeds(seeds)
    assert told in str(caught.value)
