"""Outcomes: what a run has come to agrees with what its own frames tell."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sim.tape import FIRST, SECOND, Tape
from vectorkit import sim
from vectorkit.replication import ReplicationOptions
from vectorkit.sim.sweeps.summary import masterless_ns, outcome_of, unavailable_ns
from vectorkit.units import ms_to_ns, ns_to_ms

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
            replication=ReplicationOptions(heartbeat_ms=400),
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
    assert outcome["masterless_ms"] == pytest.approx(DURATION_MS - served.sum())


def test_the_time_without_a_master_ends_with_the_scenario_and_counts_no_overlap():
    tape = Tape()
    tape.add(10, "role", "node-0", kind="master", number=FIRST)
    tape.add(20, "role", "node-1", kind="master", number=SECOND)
    tape.add(30, "crash", "node-0")
    tape.add(50, "role", "node-1", kind="replica", number=SECOND)
    tape.add(90, "role", "node-1", kind="master", number=SECOND)
    facts = tape.evidence()
    lengths = {end_ms: masterless_ns(facts, ms_to_ns(end_ms)) for end_ms in (5, 40, 60, 80, 100)}
    assert lengths == {
        end_ms: ms_to_ns(ms) for end_ms, ms in {5: 5, 40: 10, 60: 20, 80: 40, 100: 50}.items()
    }


# Time without an answered write


def unavailable(tape, end_ms):
    return ns_to_ms(unavailable_ns(tape.evidence(), ms_to_ns(end_ms)))


def stretch(outcome="timeout", **told):
    """A write that is answered at once, one that fails, and one that is answered at 4,000 ms."""
    tape = Tape().write(100, 1, FIRST, 2)
    tape.invoke(1_000, 2, "write").complete(2_500, 2, outcome, **told)
    return tape.invoke(3_500, 3, "write").complete(4_000, 3, "ok", FIRST, 3)


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        ("timeout", {}),
        ("timeout", {"error": "nothing_written"}),
        ("silent", {}),
        ("not_master", {"error": "not_master"}),
        ("refused", {"error": "disk_full"}),
        ("refused", {"error": "write_refused"}),
        ("refused", {"error": "read_only_replica"}),
    ],
)
def test_a_stretch_goes_from_the_first_write_that_fails_to_the_next_that_is_answered(outcome, told):
    assert unavailable(stretch(outcome, **told), 10_000) == 3_000
    assert unavailable(stretch(outcome, **told), 3_800) == 2_800
    assert unavailable(stretch(outcome, **told), 1_900) == 0  # Not longer than a heartbeat.


@pytest.mark.parametrize("outcome", ["ok", "degraded"])
def test_an_acknowledgement_that_came_late_ends_a_stretch_of_its_own(outcome):
    assert unavailable(stretch(outcome), 10_000) == 1_500


def test_a_refusal_for_its_content_is_an_answer():
    assert unavailable(stretch("refused", error="vector_not_found"), 10_000) == 1_500


def test_a_stretch_that_nobody_ends_goes_on_while_anybody_asks():
    tape = Tape().invoke(1_000, 1, "write").complete(3_000, 1, "timeout")
    assert unavailable(tape, 10_000) == 2_000
    tape.invoke(5_000, 2, "write")
    assert unavailable(tape, 10_000) == 9_000


def test_reads_and_writes_that_overlap_without_a_break_are_no_stretch():
    tape = Tape()
    for number in range(10):
        tape.invoke(number * 600, number, "write")
        tape.read(number * 600, 100 + number, FIRST, 1, 0)
        if number:
            tape.complete(number * 600 + 10, number - 1, "ok", FIRST, number)
    assert unavailable(tape, 5_500) == 0


def test_reads_that_are_answered_or_wait_say_nothing_of_writes():
    assert unavailable(Tape().invoke(1_000, 1, "read"), 10_000) == 0
    tape = Tape().invoke(1_000, 1, "write").read(3_000, 7, FIRST, 1, 0)
    assert unavailable(tape, 10_000) == 9_000


SERVED = (("ok", ""), ("degraded", ""), ("refused", "vector_not_found"))
FAILED = (("timeout", ""), ("silent", ""), ("not_master", "not_master"), ("refused", "disk_full"))


@given(
    st.lists(
        st.tuples(
            st.integers(0, 9_000),
            st.none() | st.tuples(st.integers(1, 4_000), st.sampled_from((*SERVED, *FAILED))),
        ),
        max_size=12,
    ),
    st.integers(1, 12_000),
)
def test_the_time_is_what_the_gaps_between_answers_leave(writes, end_ms):
    moments = []
    for number, (at_ms, end) in enumerate(writes):
        moments.append((at_ms, 0, number, None))
        if end is not None:
            moments.append((at_ms + end[0], 1, number, end[1]))
    tape = Tape()
    for at_ms, _, number, end in sorted(moments):
        if end is None:
            tape.invoke(at_ms, number, "write")
        else:
            tape.complete(at_ms, number, end[0], error=end[1])
    known = [each for each in sorted(moments) if each[0] <= end_ms]
    answers = [place for place, each in enumerate(known) if each[3] in SERVED]
    total_ms = 0
    for begin, end in pairwise([-1, *answers, len(known)]):
        waiting = {each[2] for each in known[: begin + 1]} - {
            each[2] for each in known[: begin + 1] if each[3] is not None
        }
        asked = [each[0] for each in known[begin + 1 : end] if each[3] is None]
        begins_ms = known[begin][0] if waiting else min(asked, default=None)
        if begins_ms is None:
            continue
        is_open = {each[2] for each in known} != {each[2] for each in known if each[3] is not None}
        last_ms = end_ms if is_open else known[-1][0]
        length_ms = (known[end][0] if end < len(known) else last_ms) - begins_ms
        total_ms += length_ms if length_ms > 1_000 else 0
    assert unavailable(tape, end_ms) == total_ms


def test_a_master_whose_disk_stalls_keeps_its_role_and_its_clients_have_no_service():
    stall = sim.StalledDisk(at_ms=2_000, for_ms=6_000, node="node-0")
    run = sim.simulate(
        sim.ClusterOptions(
            replicas=2,
            write_concern=sim.majority(timeout_ms=2_000),
            failover=sim.Failover(deadline_ms=2_500),
        ),
        workload=sim.Workload(writes_per_s=20, source="uniform:50x4"),
        faults=[stall],
        duration_ms=10_000,
        seed=7,
    )
    outcome = outcome_of(run, 10_000)
    assert (outcome["masterless_ms"], outcome["failovers"]) == (0, 0)
    assert outcome["timed_out_writes"] > 60
    answered = run.operations.query("outcome == 'ok'")["answered_ms"]
    before_ms, after_ms = answered[answered < 2_500].max(), answered[answered > 7_900].min()
    assert 5_900 < outcome["unavailable_ms"] <= after_ms - before_ms
    calm = sim.simulate(replace(run.scenario, faults=()))
    assert outcome_of(calm, 10_000)["unavailable_ms"] == 0


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
    untold = (
        *("loss_window_ms", "write_latency_ms_p50", "write_gap_ms_max", "staleness_ms_max"),
        "unavailable_ms",
    )
    assert {outcome[name] for name in untold} == {None}
