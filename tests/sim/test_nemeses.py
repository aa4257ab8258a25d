"""Nemeses are functions of their arguments, and keep the guarantee whole."""

import collections
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sim.checks import rows
from vectorkit import sim
from vectorkit.errors import InvalidOption
from vectorkit.replication import Failover, WriteConcern, majority
from vectorkit.sim.faults.codec import check_faults
from vectorkit.sim.faults.draws import Draws
from vectorkit.sim.faults.faults import FAULTS

NEMESES = (
    sim.swizzle_clog,
    sim.flapping_link,
    sim.rolling_restart,
    sim.isolate_master,
    sim.majorities_ring,
    sim.random_faults,
)
FIVE = sim.ClusterOptions(replicas=4, write_concern=majority(), failover=Failover())
LOAD = sim.Workload(writes_per_s=20, source="uniform:30x4")


@pytest.mark.parametrize("nemesis", NEMESES, ids=lambda nemesis: nemesis.__name__)
@given(
    seed=st.integers(0, 1_000),
    replicas=st.integers(0, 6),
    duration_ms=st.integers(1, 30_000),
    intensity=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
)
def test_a_nemesis_gives_valid_faults_within_the_run(
    nemesis, seed, replicas, duration_ms, intensity
):
    options = sim.ClusterOptions(replicas=replicas)
    arguments = {"duration_ms": duration_ms, "seed": seed, "intensity": intensity}
    faults = nemesis(options, **arguments)
    assert faults == nemesis(options, **arguments)
    assert check_faults(faults, options.node_ids) == tuple(faults)
    assert all(0 <= fault.at_ms < max(duration_ms, 1) or _is_after(fault) for fault in faults)


def _is_after(fault):
    """What a random fault needs to be noticed comes after it."""
    return isinstance(fault, sim.Crash | sim.Restart)


@pytest.mark.parametrize("nemesis", NEMESES, ids=lambda nemesis: nemesis.__name__)
def test_a_cluster_comes_into_line_after_every_nemesis(nemesis):
    faults = nemesis(FIVE, duration_ms=8_000, seed=3)
    assert faults
    run = sim.simulate(FIVE, workload=LOAD, faults=faults, duration_ms=8_000, seed=3)
    assert rows(run, "fault", kind="start")
    assert run.is_converged
    assert run.stuck == ()


def test_another_seed_gives_other_faults():
    for nemesis in NEMESES[:-2]:
        first, second = (nemesis(FIVE, duration_ms=20_000, seed=seed) for seed in (1, 2))
        assert first != second


def test_swizzling_clogs_each_chosen_node_both_ways_one_after_the_other():
    faults = sim.swizzle_clog(FIVE, duration_ms=8_000, seed=7, intensity=1)
    first_round = [fault for fault in faults if fault.at_ms < 3_000]
    nodes = {fault.source or fault.target for fault in first_round}
    assert len(first_round) == 2 * len(nodes)
    assert len({fault.at_ms for fault in first_round}) == len(nodes)
    assert len({fault.until_ms for fault in first_round}) == len(nodes)


def test_a_rolling_restart_takes_one_node_at_a_time():
    faults = sim.rolling_restart(FIVE, duration_ms=20_000, seed=7, intensity=1)
    assert sorted(fault.node for fault in faults) == list(FIVE.node_ids)
    ends = [fault.until_ms for fault in faults]
    assert all(end <= fault.at_ms for end, fault in zip(ends, faults[1:], strict=False))


def test_an_isolated_master_is_the_one_of_that_moment():
    faults = sim.isolate_master(FIVE, duration_ms=20_000, seed=7, intensity=0.9)
    run = sim.simulate(FIVE, workload=LOAD, faults=faults, duration_ms=20_000, seed=7)
    isolated = [row.text for row in rows(run, "fault", kind="start")]
    assert len(isolated) == len(faults) > 1
    assert all("CURRENT_MASTER" not in text for text in isolated)
    assert len({text.partition("isolate")[2] for text in isolated}) > 1


def test_random_faults_draw_every_kind_and_each_seed_its_own_subset():
    subsets = []
    for seed in range(60):
        faults = sim.random_faults(FIVE, duration_ms=10_000, seed=seed)
        subsets.append(frozenset(type(fault).__name__ for fault in faults))
    assert set().union(*subsets) == set(FAULTS)
    assert len(set(subsets)) > 50
    assert max(map(len, subsets)) < len(FAULTS)


def losses(faults, has_durable_log=True):
    """When such faults can leave a node without state, and until when it is down at least."""
    for fault in faults:
        is_crash = isinstance(fault, sim.Crash)
        if is_crash and (fault.lose_disk or not has_durable_log):
            yield fault.at_ms, math.inf if fault.until_ms is None else fault.until_ms, fault.node
        elif isinstance(fault, sim.FlipBit):
            crash = next(
                each
                for each in faults
                if isinstance(each, sim.Crash)
                and (each.node, each.at_ms) == (fault.node, fault.at_ms + 1)
            )
            yield fault.at_ms, crash.until_ms, fault.node
        elif isinstance(fault, sim.Replace):
            starts = [
                each.at_ms
                for each in faults
                if isinstance(each, sim.Restart)
                and each.node == fault.node
                and each.at_ms > fault.at_ms
            ]
            yield fault.at_ms, min(starts, default=math.inf), fault.node


def lost_together(faults, has_durable_log=True):
    """The most nodes that can be without state at a time, if each is back as soon as it is up."""
    spans = list(losses(faults, has_durable_log))
    assert all(node != sim.CURRENT_MASTER for _, _, node in spans)
    return max(
        (
            len({node for begin, end, node in spans if begin <= at_ms <= end})
            for at_ms, _, _ in spans
        ),
        default=0,
    )


@given(
    seed=st.integers(0, 10_000),
    replicas=st.integers(1, 5),
    count=st.integers(0, 3),
    intensity=st.sampled_from([0.5, 1.0]),
)
def test_random_faults_leave_at_most_n_nodes_without_state_and_force_nothing(
    seed, replicas, count, intensity
):
    count = min(count, replicas)
    options = sim.ClusterOptions(replicas=replicas, write_concern=WriteConcern(count=count))
    faults = sim.random_faults(options, duration_ms=20_000, seed=seed, intensity=intensity)
    assert lost_together(faults) <= count
    assert not any(isinstance(fault, sim.Promote) and fault.force for fault in faults)


@given(seed=st.integers(0, 10_000))
def test_without_durable_logs_only_those_n_nodes_crash(seed):
    options = sim.ClusterOptions(
        disk=None, write_concern=WriteConcern(count=1, stage="applied"), replicas=4
    )
    faults = sim.random_faults(options, duration_ms=20_000, seed=seed, intensity=1)
    assert lost_together(faults, has_durable_log=False) <= 1


def drawn(intensity=1):
    """Many lists of random faults for a cluster that asks for one replica, n = 1."""
    options = sim.ClusterOptions(replicas=2, write_concern=majority())
    for seed in range(60):
        yield sim.random_faults(options, duration_ms=8_000, seed=seed, intensity=intensity)


def test_random_faults_take_the_state_of_one_node_and_later_of_another():
    replaced_then_other = damaged_places = 0
    for faults in drawn():
        spans = sorted(losses(faults))
        replaced = [(fault.at_ms, fault.node) for fault in faults if isinstance(fault, sim.Replace)]
        replaced_then_other += any(
            begin > at_ms and other != node for at_ms, node in replaced for begin, _, other in spans
        )
        flips = {(each.node, each.offset) for each in faults if isinstance(each, sim.FlipBit)}
        damaged_places += len({node for node, _ in flips}) > 1
    assert replaced_then_other > 10
    assert damaged_places > 5


def test_random_faults_retire_at_one_node_or_at_all_late_and_again():
    retired = [each for faults in drawn() for each in faults if isinstance(each, sim.Retire)]
    replaced = [each for faults in drawn() for each in faults if isinstance(each, sim.Replace)]
    for of_kind in (retired, replaced):
        assert {each.target for each in of_kind} == {None, "node-0", "node-1", "node-2"}
    late_ms = [
        fault.at_ms - before.at_ms
        for faults in drawn()
        for before in faults
        if isinstance(before, sim.Replace)
        for fault in faults
        if isinstance(fault, sim.Retire) and fault.node == before.node
    ]
    assert min(late_ms) < 0 < max(late_ms)


def test_n_nodes_may_be_damaged_together_each_at_a_place_of_its_own():
    options = sim.ClusterOptions(replicas=4, write_concern=majority())
    most = collections.Counter()
    for seed in range(60):
        faults = sim.random_faults(options, duration_ms=8_000, seed=seed, intensity=1)
        at = collections.defaultdict(set)
        for fault in faults:
            if isinstance(fault, sim.FlipBit):
                at[fault.at_ms].add((fault.node, fault.offset))
        most[max((len({node for node, _ in each}) for each in at.values()), default=0)] += 1
    assert most[2] > 5
    assert max(most) == 2


def test_random_faults_with_more_intensity_are_more():
    totals = [
        sum(
            len(sim.random_faults(FIVE, duration_ms=10_000, seed=seed, intensity=intensity))
            for seed in range(20)
        )
        for intensity in (0.0, 0.2, 0.6, 1.0)
    ]
    assert totals[0] == 0
    assert totals == sorted(set(totals))


@pytest.mark.parametrize("seed", range(6))
def test_rare_paths_are_options_that_a_cluster_lives_with(seed):
    options = sim.rare_paths(FIVE, seed=seed)
    assert options == sim.rare_paths(FIVE, seed=seed) != FIVE
    run = sim.simulate(options, workload=LOAD, duration_ms=3_000, seed=seed)
    assert run.is_converged


def test_rare_paths_reach_every_bound_in_some_seed():
    changed = collections.Counter()
    for seed in range(40):
        options = sim.rare_paths(FIVE, seed=seed)
        for name in FIVE.replication.__slots__:
            old, new = getattr(FIVE.replication, name), getattr(options.replication, name)
            changed[name] += old != new
    assert {name for name, count in changed.items() if count} == {
        "ack_delay_ms",
        "batch_bytes",
        "checkpoint_operations",
        "chunk_bytes",
        "chunk_window",
        "heartbeat_ms",
        "log_capacity_operations",
        "refresh_ms",
        "reorder_window",
        "window_bytes",
    }
    assert all(10 < count < 40 for count in changed.values() if count)


def test_a_nemesis_refuses_what_makes_no_sense():
    for wrong in ({"intensity": 1.5}, {"duration_ms": -1}, {"seed": -1}):
        with pytest.raises(InvalidOption):
            sim.random_faults(FIVE, **{"duration_ms": 1_000, "seed": 1, **wrong})


@given(st.integers(0, 1_000), st.integers(0, 50), st.integers(-50, 50))
def test_choices_are_within_their_bounds(prefix, width, low):
    draws = Draws(prefix)
    assert low <= draws.between(low, low + width, 1) <= low + width
    assert sorted(draws.some(range(width), width, 2)) == list(range(width))
    assert not draws.has(0, 3)
    assert draws.has(1, 3)
