"""A scenario drawn from a seed: always the same, always valid, and of all there is."""

import dataclasses

import pytest

from vectorkit import sim
from vectorkit.errors import InvalidOption
from vectorkit.replication.protocol.write_concern import STAGES
from vectorkit.replication.routing import POLICIES
from vectorkit.sim.faults.faults import FAULTS
from vectorkit.sim.options import LAWS

SEEDS = range(400)


@pytest.fixture(scope="module")
def drawn():
    return [sim.random_scenario(seed) for seed in SEEDS]


def test_a_seed_always_gives_the_same_scenario_and_its_text_gives_it_too(drawn):
    for seed, scenario in zip(SEEDS, drawn, strict=True):
        assert scenario.seed == seed
        assert sim.random_scenario(seed) == scenario
        assert sim.Scenario.from_json(scenario.to_json()) == scenario


def test_hardly_two_seeds_give_the_same_scenario(drawn):
    same = {dataclasses.replace(scenario, seed=0).to_json() for scenario in drawn}
    assert len(same) == len(drawn)


def test_the_seeds_together_draw_all_sorts_of_clusters(drawn):
    options = [scenario.options for scenario in drawn]
    concerns = [each.write_concern for each in options]
    assert {each.replicas for each in options} == {0, 1, 2, 3, 4, 5}
    assert {each.count for each in concerns} == {0, 1, 2, "majority", "all"}
    assert {each.stage for each in concerns} == set(STAGES)
    assert {each.on_timeout for each in concerns} == {"fail", "degrade"}
    assert {each.failover and each.failover.detector for each in options} == {
        None,
        "deadline",
        "phi",
    }
    assert {each.replication.quorum for each in options} == {"safe", "none"}
    assert {each.disk is None for each in options} == {True, False}
    assert {bool(each.links) for each in options} == {True, False}
    assert {bool(each.recall_every_ms) for each in options} == {True, False}
    assert {each.replication.ack_delay_ms > 0 for each in options} == {True, False}


def test_the_seeds_together_draw_all_sorts_of_links(drawn):
    links = [scenario.options.link for scenario in drawn]
    assert {each.law for each in links} == set(LAWS)
    for name in ("sample_ms", "is_fifo", "loss", "duplication", "corruption", "mib_per_s"):
        assert {bool(getattr(each, name)) for each in links} == {True, False}, name


def test_the_seeds_together_draw_all_sorts_of_loads_and_faults(drawn):
    loads = [scenario.workload for scenario in drawn]
    assert {each.read_policy for each in loads} == set(POLICIES)
    assert {each.kind for each in loads} == {"cpu", "quantized"}
    for name, values in {
        "keys": {"uniform", "zipf", "sequential"},
        "loop": {"open", "closed"},
        "arrivals": {"fixed", "exponential"},
        "metric": {"cosine", "dot", "euclidean"},
        "codec": {None, "int8", "pq"},
        "preload": {None, 0},
        "payload_bytes": {0, 100, 2_000},
        "clients": {1, 2, 3},
    }.items():
        assert {getattr(each, name) for each in loads} == values
    faults = {type(fault).__name__ for scenario in drawn for fault in scenario.faults}
    assert faults == set(FAULTS)
    assert [] in [list(scenario.faults) for scenario in drawn]


def test_nothing_regular_fills_a_run(drawn):
    for scenario in drawn:
        options = scenario.options
        fastest_ms = 20 * len(options.node_ids)
        assert options.replication.heartbeat_ms >= fastest_ms
        assert options.replication.refresh_ms == 0 or options.replication.refresh_ms >= fastest_ms


@pytest.mark.parametrize("seed", [-1, 1.5, 1 << 64])
def test_what_is_no_seed_is_refused(seed):
    with pytest.raises(InvalidOption, match="this cannot be a seed"):
        sim.random_scenario(seed)
