"""What a run came to: counted from the trace, and the same that its frames and checks say."""

import re

import pytest

from tests.notebook.runs import health, run_of
from tests.sim.tape import FIRST, SAFE, SECOND, WEAK, Tape
from vectorkit import sim
from vectorkit.notebook.outcome import outcome_html, outcome_of
from vectorkit.replication import ReplicationOptions


def lossy(options=WEAK):
    """node-0 acknowledges offsets 2 and 3 and node-1 goes on from offset 2."""
    tape = Tape(options).begin()
    tape.write(10, 1, FIRST, 2).write(20, 2, FIRST, 3).invoke(30, 3, "write")
    tape.apply(40, "node-1", FIRST, 1, 2).crash(50, "node-0")
    tape.promote(90, "node-1", SECOND, 3).complete(95, 3, "timeout")
    return tape


def test_writes_are_counted_by_their_fate():
    outcome = outcome_of(run_of(lossy(), duration_ms=100.0))
    assert (outcome.asked, outcome.answered, outcome.failed) == (3, 2, 1)
    assert (outcome.lost, outcome.is_promised) == (1, False)


def test_a_promise_is_told_as_one():
    outcome = outcome_of(run_of(Tape(SAFE).begin().write(10, 1, FIRST, 2), duration_ms=100.0))
    assert outcome.is_promised
    assert "0 (durability promised)" in outcome_html(outcome)


def test_the_longest_silence_lies_between_answers_or_to_the_last_question():
    def silence_ms(tape):
        return outcome_of(run_of(tape, duration_ms=500.0)).silence_ms_max

    assert silence_ms(Tape(WEAK).begin()) == 0.0
    answered = Tape(WEAK).begin().write(10, 1, FIRST, 2).write(60, 2, FIRST, 3)
    assert silence_ms(answered) == 50.0
    assert silence_ms(answered.invoke(300, 3, "write")) == 238.0
    assert silence_ms(answered.invoke(310, 4, "read")) == 238.0  # Reads are another matter.


def test_time_without_a_master_is_what_no_master_covers():
    assert outcome_of(run_of(lossy(), duration_ms=100.0)).masterless_ms == 40.0
    two = Tape(WEAK).begin().role(50, "node-1", "master", SECOND).crash(60, "node-0")
    assert outcome_of(run_of(two.crash(80, "node-1"), duration_ms=100.0)).masterless_ms == 20.0
    within = Tape(WEAK).begin().role(50, "node-1", "master", SECOND).crash(55, "node-1")
    assert outcome_of(run_of(within.crash(80, "node-0"), duration_ms=100.0)).masterless_ms == 20.0


def test_the_largest_true_lag_of_each_node_is_told():
    samples = [
        health(0, "node-2", "Connected", lag_ms=99, lag_ms_true=3),
        health(5, "node-2", "Connected", lag_ms_true=7),
        health(5, "node-1", "Connected", lag_ms_true=2),
        health(9, "node-2", "Connected", lag_ms_true=1),
    ]
    outcome = outcome_of(run_of(lossy(), duration_ms=100.0, samples=samples))
    assert outcome.lag_ms_max == {"node-1": 2, "node-2": 7}
    assert list(outcome.lag_ms_max) == ["node-1", "node-2"]


def test_it_is_seen_with_the_checks_that_have_something_to_say():
    outcome = outcome_of(run_of(lossy(), duration_ms=100.0))
    html = outcome_html(outcome)
    cells = re.findall(r"<td>(.*?)</td>", html)
    assert cells[:6] == [
        "3 sent, 2 answered",
        "1",
        "1 (durability not promised)",
        "10 ms without an answered write",
        "40 ms",
        "",
    ]
    said = {each.name for each in outcome.findings if each.observed_count}
    shown = re.findall(r"<tr><td>(\w[^<]*)</td>", html)
    assert {name.replace(" ", "_") for name in shown} == said
    assert "acknowledged_writes_survive" in said


@pytest.mark.parametrize("seed", [1, 2])
def test_figures_are_those_of_the_frames(seed):
    load = sim.Workload(writes_per_s=50, source="uniform:20x4", client_timeout_ms=300)
    options = sim.ClusterOptions(
        replicas=2,
        failover=sim.Failover(deadline_ms=500),
        replication=ReplicationOptions(heartbeat_ms=200),
    )
    crash = sim.Crash(at_ms=500, for_ms=1_000, node="node-0", lose_disk=True)
    run = sim.simulate(options, workload=load, faults=[crash], duration_ms=2_500, seed=seed)
    outcome, operations = outcome_of(run), run.operations
    acknowledged = operations["outcome"] == "ok"
    assert outcome.answered == acknowledged.sum()
    assert outcome.lost == (acknowledged & (operations["fate"] == "lost")).sum()
    assert outcome.findings.to_frame().equals(run.check().to_frame())
    assert outcome.trace_hash == run.trace_hash
    lags = run.health.groupby("node")["lag_ms_true"].max()
    assert outcome.lag_ms_max == lags.to_dict()
