"""Outcomes: what a run has come to agrees with what its own frames tell."""

import numpy as np
import pytest

from tests.sim.tape import FIRST, SECOND, Tape
from vectorkit import sim
from vectorkit.sim.outcome import masterless_ns, outcome_of
from vectorkit.units import ms_to_ns

DURATION_MS = 3_000
NODES = ("node-0", "node-1", "node-2")
SLOW = [sim.SlowDisk(at_ms=0, for_ms=600, node=node, factor=25) for node in NODES[1:]]
POWER_CUT = [
    sim.Crash(at_ms=600, for_ms=500, node=node, lose_disk=node == "node-0") for node in NODES
]


def lossy_scenario(seed=0):
    """An asynchronous cluster whose power fails, and whose master's disk does not survive."""
    return sim.Scenario(
        sim.ClusterOptions(
            replicas=2,
            link=sim.Link(delay_ms=10, jitter_ms=10),
            failover=sim.Failover(deadline_ms=1_000),
        ),
        workload=sim.Workload(
            writes_per_s=40,
            reads_per_s=20,
            read_policy="nearest",
            arrivals="exponential",
            source="uniform:50x4",
            client_timeout_ms=300,
        ),
        faults=[*SLOW, *POWER_CUT],
        duration_ms=DURATION_MS,
        seed=seed,
    )


@pytest.fixture(scope="module")
def run():
    return sim.simulate(lossy_scenario())


@pytest.fixture(scope="module")
def outcome(run):
    return outcome_of(run, DURATION_MS)


def test_writes_add_up_to_how_they_ended(run, outcome):
    ended = ("acknowledged_writes", "refused_writes", "timed_out_writes", "unanswered_writes")
    assert sum(outcome[name] for name in ended) == outcome["writes"] > 0
    invoked = [r for r in run.trace.rows if r.event == "invoke" and r.kind == "write"]
    assert outcome["writes"] == len(invoked)
    assert outcome["unanswered_writes"] > 0
    assert outcome["degraded_writes"] == 0


def test_lost_writes_are_those_that_the_frame_of_operations_calls_acknowledged_and_lost(
    run, outcome
):
    frame = run.operations
    lost = frame[(frame["outcome"] == "ok") & (frame["fate"] == "lost")]
    assert outcome["lost_writes"] == len(lost) > 0
    assert outcome["has_loss"] is True
    assert outcome["acknowledged_writes"] == (frame["outcome"] == "ok").sum()
    window = lost["answered_ms"].max() - lost["answered_ms"].min()
    assert outcome["loss_window_ms"] == pytest.approx(window)
    assert (outcome["is_broken"], outcome["broken"]) == (False, "")


def test_latencies_are_ranks_of_those_measured(run, outcome):
    frame = run.operations.query("outcome == 'ok'")
    latencies = frame["answered_ms"] - frame["invoked_ms"]
    for percent in (50, 99):
        expected = np.percentile(latencies, percent, method="inverted_cdf")
        assert outcome[f"write_latency_ms_p{percent}"] == pytest.approx(expected)


@pytest.mark.parametrize("end_ms", [700, DURATION_MS])
def test_the_longest_gap_is_between_answers_within_the_scenario(run, end_ms):
    frame = run.operations.query("outcome == 'ok'")
    answered = frame["answered_ms"][frame["answered_ms"] <= end_ms].sort_values()
    gap_ms = np.diff([0, *answered, end_ms]).max()
    assert outcome_of(run, end_ms)["write_gap_ms_max"] == pytest.approx(gap_ms)


def test_reads_are_those_of_the_frame_of_reads(run, outcome):
    frame = run.reads.query("outcome == 'ok'")
    assert outcome["answered_reads"] == len(frame)
    assert outcome["stale_reads"] == (frame["staleness_operations"] > 0).sum() > 0
    assert outcome["staleness_ms_max"] == frame["staleness_ms"].max()


def test_syncs_masters_and_events_are_those_of_the_run(run, outcome):
    roles = run.roles.query("role == 'master'")
    assert outcome["failovers"] == roles["epoch"].nunique() - 1 == 1
    assert outcome["full_syncs"] == (run.syncs["kind"] == "full").sum() > 2
    assert outcome["event_count"] == run.event_count
    assert outcome["trace_hash"] == run.trace_hash
    assert outcome["is_converged"] is True
    served = roles["ended_ms"].clip(upper=DURATION_MS) - roles["started_ms"]
    assert outcome["unavailable_ms"] == pytest.approx(DURATION_MS - served.sum())


def test_the_time_without_a_master_ends_with_the_scenario_and_counts_no_overlap():
    tape = Tape()
    tape.add(10, "role", "node-0", kind="master", number=FIRST)
    tape.add(20, "role", "node-1", kind="master", number=SECOND)
    tape.add(30, "crash", "node-0")
    tape.add(50, "role", "node-1", kind="replica", number=SECOND)
    tape.add(90, "role", "node-1", kind="master", number=SECOND)
    facts = tape.facts()
    lengths = {end_ms: masterless_ns(facts, ms_to_ns(end_ms)) for end_ms in (5, 40, 60, 80, 100)}
    assert lengths == {
        end_ms: ms_to_ns(ms) for end_ms, ms in {5: 5, 40: 10, 60: 20, 80: 40, 100: 50}.items()
    }


def test_a_broken_promise_is_named():
    run = sim.simulate(
        sim.ClusterOptions(replicas=1, link=sim.Link(loss=1.0)), duration_ms=300, seed=7
    )
    outcome = outcome_of(run, 300)
    assert outcome["is_converged"] is False
    assert outcome["is_broken"] is True
    assert outcome["broken"] == ", ".join(each.name for each in run.check().broken)
    assert "nodes_converge" in outcome["broken"]


def test_without_clients_nothing_is_told_of_writes():
    outcome = outcome_of(sim.simulate(sim.ClusterOptions(replicas=1), duration_ms=300), 300)
    told = {name: outcome[name] for name in ("writes", "has_loss", "answered_reads")}
    assert told == {"writes": 0, "has_loss": False, "answered_reads": 0}
    untold = ("loss_window_ms", "write_latency_ms_p50", "write_gap_ms_max", "staleness_ms_max")
    assert {outcome[name] for name in untold} == {None}
