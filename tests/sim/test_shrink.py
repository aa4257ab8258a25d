"""Shrinking: the smallest scenario that still breaks a promise, of protocols with a planted bug."""

import json
from collections import Counter
from dataclasses import replace

import pytest

from vectorkit import sim
from vectorkit.errors import InvalidInput, InvalidOption
from vectorkit.replication import ReplicationOptions, reads
from vectorkit.replication.member import Member

BROKEN = sim.Scenario(
    sim.ClusterOptions(
        replicas=3,
        link=sim.Link(delay_ms=3, jitter_ms=2),
        replication=ReplicationOptions(heartbeat_ms=900, ack_delay_ms=5),
        write_concern=sim.WriteConcern(count=1, stage="applied"),
        recall_every_ms=500,
    ),
    workload=sim.Workload(
        writes_per_s=10,
        reads_per_s=20,
        think_ms=40,
        source="uniform:30x4",
        clients=2,
        loop="closed",
        keys="zipf",
        read_policy="read_your_writes",
    ),
    faults=[
        sim.Pause(at_ms=310, for_ms=77, node="node-3"),
        sim.Clog(at_ms=612, for_ms=1_033, source="node-0", target="node-1"),
        sim.ClockOffset(node="node-2", offset_ms=-777),
        sim.Partition(at_ms=1_800, for_ms=150, isolate=["node-2", "node-3"]),
        sim.SlowDisk(at_ms=2_005, for_ms=300, node="node-0", factor=7),
    ],
    duration_ms=2_500,
    seed=7,
)
CHECK = "read_your_writes"


def is_blind(member, read):
    """The planted bug: no node looks whether it lacks the write that a read has to see."""
    return False


@pytest.fixture(scope="module")
def planted():
    """The protocol with its bug, while the tests of this module run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reads, "lacks_write", is_blind)
        yield


@pytest.fixture(scope="module")
def run(planted):
    return sim.simulate(BROKEN)


@pytest.fixture(scope="module")
def shrunk(run):
    return sim.shrink(run, CHECK)


def is_broken(scenario):
    return sim.simulate(scenario).check()[CHECK].verdict == "broken"


def test_a_run_shrinks_to_one_fault_one_write_and_one_read(run, shrunk):
    assert len([row for row in run.trace.rows if row.event == "invoke"]) == 97
    assert json.loads(shrunk.to_json()) == {
        "version": 1,
        "options": {"replicas": 1},
        "workload": {
            "source": "uniform:1x2",
            "clients": 2,
            "read_policy": CHECK,
            "requests": [
                {"at_ms": 20, "client": "client-1"},
                {"at_ms": 30, "client": "client-1", "is_read": True},
            ],
        },
        "faults": [{"kind": "Clog", "at_ms": 10, "source": "node-0", "target": "node-1"}],
        "duration_ms": 40,
    }
    assert (shrunk.fault_count, shrunk.node_count, shrunk.client_count) == (1, 2, 2)
    assert (shrunk.operation_count, shrunk.duration_ms) == (2, 40)
    assert (shrunk.runs, shrunk.is_minimal) == (65, True)


def test_the_text_of_the_smallest_scenario_breaks_the_check_again(shrunk):
    again = sim.simulate(sim.Scenario.from_json(shrunk.to_json()))
    assert again.trace_hash == shrunk.run.trace_hash
    assert again.check()[CHECK] == shrunk.finding
    assert (shrunk.finding.name, shrunk.finding.verdict) == (CHECK, "broken")


def test_nothing_of_the_smallest_scenario_can_be_left_out(planted, shrunk):
    scenario, load = shrunk.scenario, shrunk.scenario.workload
    assert is_broken(scenario)
    assert not is_broken(replace(scenario, faults=[]))
    for place in range(shrunk.operation_count):
        others = load.requests[:place] + load.requests[place + 1 :]
        assert not is_broken(replace(scenario, workload=replace(load, requests=others)))
    with pytest.raises(InvalidOption):
        sim.simulate(replace(scenario, options=replace(scenario.options, replicas=0)))


def test_the_same_run_gives_the_same_answer(run, shrunk):
    again = sim.shrink(run, CHECK)
    assert (again.to_json(), again.reductions) == (shrunk.to_json(), shrunk.reductions)


def test_after_so_many_runs_the_best_so_far_is_given(planted, run):
    told = []
    some = sim.shrink(run, CHECK, runs_max=12, progress=told.append)
    assert told == list(range(1, 13))
    assert (some.runs, some.is_minimal) == (12, False)
    assert some.fault_count < len(run.faults)
    assert is_broken(some.scenario)
    assert repr(some).endswith("; 12 runs, not minimal)")


def test_the_steps_tell_what_went_and_when(shrunk):
    steps = shrunk.steps
    assert list(steps.columns) == ["runs", "what", "before", "after"]
    assert steps["runs"].is_monotonic_increasing
    assert steps.iloc[0].tolist() == [1, "requests", "by rates", "97 listed"]
    gone = steps[steps["what"] == "faults"].iloc[0]
    assert (gone["before"], gone["after"]) == ("3", "1")


def test_it_is_printed_as_the_scenario_and_the_evidence(shrunk):
    text, last = str(shrunk).rsplit("\n", 1)
    assert sim.Scenario.from_json(text) == shrunk.scenario
    assert last == f"{CHECK}: {shrunk.finding.evidence[0]}"
    assert repr(shrunk) == (
        "Shrunk(read_your_writes: 1 fault, 2 nodes, 2 clients, 2 operations, 40 ms; "
        "65 runs, minimal)"
    )
    page = shrunk._repr_html_()
    assert "<th>operations</th><td>2</td>" in page
    assert "<pre>{" in page


def test_the_diagram_shows_the_requests_and_faults_that_are_left(shrunk):
    drawn = shrunk.plot_timeline()
    low_ms, high_ms = drawn.get_xlim()
    rows = shrunk.run.trace.rows
    times = [row.time_ns / 1e6 for row in rows if row.event in ("invoke", "complete")]
    assert low_ms <= min(times)
    assert max(times) <= high_ms < 100
    assert [each.get_text() for each in drawn.get_yticklabels()] == ["client-1", "node-0", "node-1"]
    assert shrunk.plot_timeline(to_ms=30).get_xlim()[1] == 30


def test_a_candidate_in_which_the_protocol_fails_otherwise_does_not_count(run, monkeypatch):
    def fails_in_pairs(member, read):
        if len(member.node_ids) < 3:
            raise RuntimeError("another bug")
        return False

    monkeypatch.setattr(reads, "lacks_write", fails_in_pairs)
    shrunk = sim.shrink(run, CHECK)
    assert (shrunk.node_count, shrunk.fault_count, shrunk.operation_count) == (3, 1, 2)


def test_a_majority_that_is_one_short_shrinks_to_few_faults(monkeypatch):
    sound = Member.quorum.fget
    monkeypatch.setattr(Member, "quorum", property(lambda member: max(1, sound(member) - 1)))
    scenario = sim.Scenario(
        sim.ClusterOptions(
            replicas=2,
            write_concern=sim.WriteConcern(count=1),
            failover=sim.Failover(deadline_ms=2_500),
        ),
        workload=sim.Workload(writes_per_s=5, source="uniform:30x4"),
        faults=[
            sim.Pause(at_ms=500, for_ms=100, node="node-1"),
            sim.Cut(at_ms=1_000, for_ms=5_000, source="node-0", target="node-2"),
            sim.SlowCpu(at_ms=2_000, for_ms=500, node="node-1", step_ms=1),
        ],
        duration_ms=7_000,
        seed=3,
    )
    run = sim.simulate(scenario)
    shrunk = sim.shrink(run, "acknowledged_writes_survive")
    assert Counter(type(fault).__name__ for fault in shrunk.scenario.faults) == {"Cut": 1}
    assert (shrunk.node_count, shrunk.operation_count) == (3, 1)


# Bounds and dead ends, by a function that says what is looked for

LISTED = sim.Scenario(
    sim.ClusterOptions(replicas=0),
    workload=sim.Workload(
        source="uniform:1x2",
        requests=[sim.PlannedRequest(at_ms=10 * at, index=at) for at in range(6)],
    ),
    duration_ms=100,
    seed=7,
)


def test_a_candidate_may_not_run_for_much_longer_than_the_run_given():
    run, limits = sim.simulate(LISTED), []

    def is_there(each):
        limits.append(each.options.event_count_max)
        return True

    shrunk = sim.shrink(run, is_there)
    assert set(limits[1:]) == {2 * run.event_count + 1_000}
    assert shrunk.scenario.options == LISTED.options


def test_where_no_single_request_can_go_far_fewer_are_tried_under_other_draws():
    def is_there(each):
        load = each.scenario.workload
        asked = 0 if load is None else len(load.requests)
        return asked == 6 or (asked, each.scenario.seed) == (1, 2)

    shrunk = sim.shrink(sim.simulate(LISTED), is_there)
    assert (shrunk.operation_count, shrunk.scenario.seed) == (1, 2)


# Refusals


def loses_a_write(run):
    return run.check()["acknowledged_writes_survive"].observed_count > 0


LOSSY = sim.Scenario(
    sim.ClusterOptions(
        replicas=2,
        failover=sim.Failover(deadline_ms=500),
        replication=ReplicationOptions(heartbeat_ms=200),
    ),
    workload=sim.Workload(writes_per_s=40, source="uniform:10x4"),
    faults=[
        sim.SlowDisk(at_ms=200, for_ms=300, node="node-2", factor=3),
        sim.Partition(at_ms=600, for_ms=2_500, isolate=["node-0", "client-0"]),
    ],
    duration_ms=4_000,
    seed=7,
)


def test_a_function_of_a_run_can_say_what_matters_where_nothing_is_promised():
    run = sim.simulate(LOSSY)
    assert run.check().broken == ()
    found = sim.shrink(run, loses_a_write)
    assert loses_a_write(sim.simulate(sim.Scenario.from_json(found.to_json())))
    assert (found.check, found.finding, found.is_minimal) == ("loses_a_write", None, True)
    assert (found.fault_count, found.operation_count) <= (1, 2)
    assert str(found) == f"{found.to_json()}\nloses_a_write"
    assert "evidence" not in found._repr_html_()


def test_a_function_that_says_no_of_the_run_is_refused():
    with pytest.raises(InvalidInput) as caught:
        sim.shrink(sim.simulate(sim.ClusterOptions(replicas=1), duration_ms=300), loses_a_write)
    assert caught.value.got == "loses_a_write, which is false"


def test_an_unknown_check_is_refused_with_the_names_of_the_known(run):
    with pytest.raises(InvalidInput) as caught:
        sim.shrink(run, "linearisable")
    assert caught.value.got == "'linearisable'"
    assert "linearizable" in caught.value.wanted.split(", ")


def test_a_check_that_is_not_broken_is_refused_with_the_names_of_those_that_are(run):
    with pytest.raises(InvalidInput) as caught:
        sim.shrink(run, "nodes_converge")
    assert caught.value.got == "nodes_converge, which is held"
    assert caught.value.wanted == f"one of {CHECK}"


def test_a_run_that_was_stepped_by_hand_is_refused(planted):
    cluster = sim.Cluster(sim.ClusterOptions(replicas=1))
    with pytest.raises(InvalidInput, match="no scenario"):
        sim.shrink(cluster.finish(), "nodes_converge")


@pytest.mark.parametrize("options", [{"runs_max": 0}, {"runs_max": True}, {"runs_max": 1.5}])
def test_a_number_of_runs_that_is_none_is_refused(run, options):
    with pytest.raises(InvalidOption, match="runs_max"):
        sim.shrink(run, CHECK, **options)


@pytest.mark.parametrize("check", [None, 5, ["linearizable"]])
def test_what_is_neither_a_check_nor_a_function_is_refused(run, check):
    with pytest.raises(InvalidInput, match="wanted the name of a check, or a function") as caught:
        sim.shrink(run, check)
    assert caught.value.got == f"check={check!r}"


def test_what_is_no_run_is_refused():
    with pytest.raises(InvalidOption, match="run="):
        sim.shrink(BROKEN, CHECK)
