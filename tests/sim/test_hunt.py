"""The hunt finds what is planted, keeps it, makes it smaller, and blames nothing that is sound."""

from itertools import count

import pytest

from vectorkit import sim
from vectorkit.replication.candidate import CandidateRole
from vectorkit.replication.master.pending_requests import PendingRequests
from vectorkit.sim.fuzzing.coverage import CoverageGoal
from vectorkit.sim.fuzzing.hunt import HuntTally, Trial, problems_of, try_seed, with_fewer_faults
from vectorkit.sim.world.trace import Trace

LOAD = sim.Workload(
    writes_per_s=20,
    reads_per_s=10,
    source="uniform:30x4",
    read_policy="bounded_staleness",
    bound_ms=500,
)
STALLED = sim.StalledDisk(at_ms=626, node="node-0", for_ms=700)
OTHERS = (
    sim.SlowCpu(at_ms=100, for_ms=200, node="node-0", step_ms=0.1),
    sim.Pause(at_ms=300, for_ms=20, node="node-0"),
)
LATE_DISK = sim.Scenario(
    sim.ClusterOptions(replicas=0),
    workload=LOAD,
    faults=[OTHERS[0], STALLED, OTHERS[1]],
    duration_ms=1_500,
    seed=3,
)


@pytest.fixture
def unbounded(monkeypatch):
    """A master that does not look how stale it is."""
    monkeypatch.setattr(PendingRequests, "_is_too_stale", lambda *_: False)


@pytest.mark.usefixtures("unbounded")
def test_a_planted_fault_is_found_shrunk_and_broken_again_by_what_was_kept():
    trial = try_seed(3, draw=lambda seed: LATE_DISK)
    (kept,) = trial.finds
    assert (kept.seed, kept.check, kept.scenario) == (3, "bounded_staleness", LATE_DISK)
    assert "with a bound of 500 ms" in kept.evidence[0]
    (fault,) = kept.smallest.faults
    assert isinstance(fault, sim.StalledDisk)
    assert kept.smallest.workload.requests is not None
    assert dict(trial.verdicts)["bounded_staleness"] == "broken"
    again = sim.KeptSeed.from_json(kept.to_json())
    assert "bounded_staleness" in problems_of(again.smallest)


def test_what_was_kept_breaks_nothing_once_the_fault_is_mended():
    assert problems_of(LATE_DISK) == {}
    trial = try_seed(3, draw=lambda seed: LATE_DISK)
    assert trial.finds == ()
    assert dict(trial.verdicts)["bounded_staleness"] == "held"


@pytest.mark.usefixtures("unbounded")
def test_a_scenario_keeps_the_faults_that_its_problem_needs():
    needed = with_fewer_faults(LATE_DISK, "bounded_staleness")
    assert needed.faults == (STALLED,)
    assert with_fewer_faults(needed, "bounded_staleness") is None


def test_an_error_of_the_engine_is_a_find_with_its_last_line():
    cluster = sim.ClusterOptions(replicas=1, event_count_max=20)
    scenario = sim.Scenario(cluster, faults=[sim.Pause(at_ms=5, node="node-1")])
    (kept,) = try_seed(9, draw=lambda seed: scenario).finds
    assert kept.check == "raises_LimitReached"
    assert "LimitReached" in kept.evidence[0]
    assert kept.evidence[1].startswith("in ")
    assert kept.smallest.faults == ()
    assert try_seed(9, draw=lambda seed: scenario).verdicts == ()


def test_a_seed_that_gives_another_trace_the_second_time_is_a_find(monkeypatch):
    number = count()
    monkeypatch.setattr(Trace, "hash", lambda self: f"{next(number)}")
    scenario = sim.Scenario(sim.ClusterOptions(replicas=1), duration_ms=100)
    (kept,) = try_seed(16, draw=lambda seed: scenario).finds
    assert kept.check == "the_same_seed_gives_the_same_trace"
    assert kept.evidence == ("trace hash 1, then 0",)
    assert try_seed(15, draw=lambda seed: scenario).finds == ()  # It is run only once.


LEADERLESS = [sim.Crash(at_ms=500, node=sim.CURRENT_MASTER, for_ms=100, lose_disk=True)]


def stuck(**options):
    scenario = sim.Scenario(
        sim.ClusterOptions(**options), faults=LEADERLESS, duration_ms=1_000, seed=1
    )
    assert sim.simulate(scenario).stuck
    return problems_of(scenario, is_repeated=False)


def test_nodes_that_find_no_master_although_enough_are_intact_are_a_find(monkeypatch):
    monkeypatch.setattr(CandidateRole, "_count", lambda self: None)
    found = stuck(replicas=2, write_concern=sim.majority(), failover=sim.Failover())
    assert list(found) == ["no_node_stays_stuck"]
    assert len(found["no_node_stays_stuck"]) == 3


def test_of_two_nodes_one_is_enough_where_every_write_was_on_both(monkeypatch):
    monkeypatch.setattr(CandidateRole, "_count", lambda self: None)
    both = sim.WriteConcern(count=1)
    found = stuck(replicas=1, write_concern=both, failover=sim.Failover())
    assert list(found) == ["no_node_stays_stuck"]


def test_nodes_that_nobody_promotes_are_no_find():
    assert stuck(replicas=2, write_concern=sim.majority()) == {}


def test_nodes_of_which_too_few_are_intact_are_no_find():
    assert stuck(replicas=1, failover=sim.Failover()) == {}


def test_nodes_that_are_stuck_under_a_master_are_a_find(monkeypatch):
    monkeypatch.setattr("vectorkit.sim.cluster.SETTLE_MS_MAX", 0)
    scenario = sim.Scenario(
        sim.ClusterOptions(replicas=1),
        faults=[sim.Partition(at_ms=0, isolate=["node-1"])],
        duration_ms=500,
    )
    found = problems_of(scenario)
    assert list(found) == ["nodes_converge", "no_node_stays_stuck"]
    assert found["no_node_stays_stuck"][0].startswith("node-1 (replica) ")


def test_nodes_that_differ_without_a_reason_are_a_find(monkeypatch):
    monkeypatch.setattr("vectorkit.sim.cluster.SETTLE_MS_MAX", 0)
    monkeypatch.setattr("vectorkit.sim.cluster.stuck_nodes", lambda engine: ())
    scenario = sim.Scenario(
        sim.ClusterOptions(replicas=1),
        faults=[sim.Partition(at_ms=0, isolate=["node-1"])],
        duration_ms=500,
    )
    assert problems_of(scenario)["no_node_stays_stuck"] == ("nodes differ, and none says why",)


def test_a_seed_has_one_outcome():
    assert try_seed(5) == try_seed(5)


def test_a_tally_counts_seeds_by_verdict_and_place_in_any_order():
    kept = sim.KeptSeed(seed=2, check="linearizable", scenario=LATE_DISK)
    resumed, stand = (
        CoverageGoal("rare path", "gap resumed"),
        CoverageGoal("message", "StartElection"),
    )
    trials = [
        Trial(
            seed=1,
            event_count=10,
            duration_ms=1_800_000,
            verdicts=(("linearizable", "held"), ("nodes_converge", "seen, not promised")),
            places=(resumed, stand),
        ),
        Trial(
            seed=2,
            event_count=5,
            duration_ms=900_000,
            verdicts=(("linearizable", "broken"), ("nodes_converge", "not exercised")),
            places=(resumed,),
            finds=(kept,),
        ),
    ]
    tallies = [HuntTally(), HuntTally()]
    for trial in trials:
        tallies[0].add(trial)
    for trial in reversed(trials):
        tallies[1].add(trial)
    told = tallies[0].to_dict()
    assert told == tallies[1].to_dict()
    assert (told["seeds"], told["events"], told["simulated_hours"]) == (2, 15, 0.75)
    assert told["finds"] == ["seed-2-linearizable.json"]
    assert told["checks"]["linearizable"] == {
        "held": 1,
        "not exercised": 0,
        "seen, not promised": 0,
        "broken": 1,
    }
    assert told["checks"]["nodes_converge"]["seen, not promised"] == 1
    assert told["seen"]["rare path"]["gap resumed"] == 2
    assert told["seen"]["message"]["StartElection"] == 1
    assert told["seen"]["message"]["Hello"] == 0
