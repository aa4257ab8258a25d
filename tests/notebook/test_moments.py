"""What a run was at a time: exact, for a trace made by hand, and true to a simulated one."""

import pytest

from tests.notebook.runs import failover, run_of
from tests.sim.tape import WEAK, Tape
from vectorkit import sim
from vectorkit.notebook.moments import LATEST_COUNT, Moments, RequestCounts, Stretch
from vectorkit.replication import ReplicationOptions

CUT = {("node-0", "node-2"), ("node-2", "node-0"), ("node-1", "node-2"), ("node-2", "node-1")}


@pytest.fixture(scope="module")
def moments():
    return Moments(failover())


def node(moments, time_ms, number):
    return moments.at(time_ms).nodes[number]


def link(moments, time_ms, source, target):
    links = {(each.source, each.target): each for each in moments.at(time_ms).links}
    return links[source, target]


def moments_of(*faults):
    """Of three nodes that nothing but these faults befalls, as texts, from 10 to 20 ms."""
    tape = Tape(WEAK)
    for time_ms, kind in ((10, "start"), (20, "end")):
        for number, text in enumerate(faults):
            tape.add(time_ms, "fault", kind=kind, number=number, text=text)
    return Moments(run_of(tape, duration_ms=30.0))


# Nodes


def test_roles_and_epochs_are_those_of_the_last_change(moments):
    told = {t: [(n.role, n.epoch) for n in moments.at(t).nodes] for t in (0, 100, 145, 150, 301)}
    assert told == {
        0: [("master", "node-0@1"), ("starting", ""), ("starting", "")],
        100: [("down", "node-0@1"), ("replica", "node-0@1"), ("replica", "node-0@1")],
        145: [("down", "node-0@1"), ("candidate", "node-1@2"), ("replica", "node-0@1")],
        150: [("down", "node-0@1"), ("master", "node-1@2"), ("replica", "node-0@1")],
        301: [("replica", "node-1@2"), ("master", "node-1@2"), ("replica", "node-0@1")],
    }


def test_a_change_is_seen_from_its_own_moment_on(moments):
    assert [node(moments, t, 0).role for t in (99.999, 100)] == ["master", "down"]


def test_logs_are_told_by_offset(moments):
    def log(time_ms, number):
        each = node(moments, time_ms, number)
        return each.received, each.flushed, each.applied

    assert [log(t, 0) for t in (0, 10, 11, 20, 100, 300)] == [
        (0, 0, 0),
        (1, 0, 1),
        (1, 1, 1),
        (2, 1, 2),
        (1, 1, 0),
        (1, 1, 1),
    ]
    assert [log(t, 1) for t in (16, 17)] == [(0, 0, 0), (1, 1, 1)]


def test_the_first_record_of_a_log_is_as_it_was_last_sampled(moments):
    assert [node(moments, t, 0).first_offset for t in (0, 49, 50, 400)] == [1, 1, 2, 2]
    assert node(moments, 400, 1).first_offset == 1


def test_health_is_as_it_was_last_sampled_and_a_master_has_none(moments):
    def seen(time_ms, number):
        each = node(moments, time_ms, number)
        return each.status, each.lag_ms, each.lag_ms_true

    assert seen(0, 0) == (None, None, None)
    assert [seen(t, 2) for t in (49, 50, 100)] == [
        ("Connected", 0.0, 0.0),
        ("Lagging", 40.0, 38.5),
        ("Disconnected", 0.0, 0.0),
    ]
    assert [seen(t, 1)[0] for t in (149, 150, 400)] == ["Disconnected", None, None]


@pytest.mark.parametrize(
    ("text", "condition", "disk"),
    [
        ('{"kind":"Pause","at_ms":10,"for_ms":10,"node":"node-1"}', "paused", "ok"),
        ('{"kind":"SlowCpu","at_ms":10,"for_ms":10,"node":"node-1","step_ms":1}', "slow", "ok"),
        ('{"kind":"FullDisk","at_ms":10,"for_ms":10,"node":"node-1"}', "up", "full"),
        ('{"kind":"StalledDisk","at_ms":10,"for_ms":10,"node":"node-1"}', "up", "stalled"),
        ('{"kind":"SlowDisk","at_ms":10,"node":"node-1","factor":25}', "up", "slow ×25"),
    ],
)
def test_faults_of_a_node_are_its_condition_and_its_disk(text, condition, disk):
    moments = moments_of(text)
    told = [(n.condition, n.disk) for n in moments.at(10).nodes]
    assert told == [("up", "ok"), (condition, disk), ("up", "ok")]
    assert {(n.condition, n.disk) for t in (9, 20) for n in moments.at(t).nodes} == {("up", "ok")}


def test_slow_disks_add_up_and_a_full_one_is_told_first():
    slow = '{"kind":"SlowDisk","at_ms":10,"for_ms":10,"node":"node-1","factor":%d}'
    full = '{"kind":"FullDisk","at_ms":10,"for_ms":10,"node":"node-1"}'
    assert node(moments_of(slow % 2, slow % 5), 10, 1).disk == "slow ×10"
    assert node(moments_of(slow % 2, full), 10, 1).disk == "full"


def test_a_cluster_without_disks_says_so_and_what_is_received_counts_as_flushed():
    run = sim.simulate(sim.ClusterOptions(replicas=1, disk=None), duration_ms=300)
    last = Moments(run).at(300).nodes[1]
    assert (last.disk, last.flushed) == ("none", last.received)
    assert last.received == run.nodes["offset"].tolist()[1]


# Links


def test_a_partition_cuts_both_ways_while_it_lasts(moments):
    def cut(time_ms):
        return {(x.source, x.target) for x in moments.at(time_ms).links if x.state == "cut"}

    assert (cut(119), cut(120), cut(199), cut(200)) == (set(), CUT, CUT, set())


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ('{"kind":"Cut","at_ms":10,"for_ms":10,"source":"node-0","target":"node-1"}', "cut"),
        ('{"kind":"Clog","at_ms":10,"for_ms":10,"source":"node-0","target":"node-1"}', "clogged"),
        (
            '{"kind":"Block","at_ms":10,"source":"node-0","target":"node-1","message":"Ack"}',
            "blocked",
        ),
        (
            '{"kind":"Degrade","at_ms":10,"source":"node-0","target":"node-1","loss":0.5}',
            "degraded",
        ),
    ],
)
def test_a_fault_of_links_befalls_its_way_only(text, state):
    states = {(x.source, x.target): x.state for x in moments_of(text).at(10).links}
    assert states.pop(("node-0", "node-1")) == state
    assert set(states.values()) == {"open"}


def test_the_worst_that_befalls_a_link_is_told():
    clog, cut = '{"kind":"Clog","at_ms":10}', '{"kind":"Cut","at_ms":10}'
    assert {each.state for each in moments_of(clog, cut).at(10).links} == {"cut"}


def test_messages_are_on_their_way_from_when_they_were_sent_until_they_came(moments):
    assert [link(moments, t, "node-0", "node-1").progress for t in (11.9, 12, 14, 16)] == [
        (),
        (0.0,),
        (0.5,),
        (),
    ]


def test_a_message_that_takes_very_long_waits_at_the_end_of_its_way(moments):
    # It took 220 ms, the other one 4 ms: 112 ms are usual, so it moves for as long as it takes.
    held = [link(moments, t, "node-0", "node-1").progress for t in (90, 200, 309.9, 310)]
    assert held[0] == (0.0,)
    assert held[1] == (pytest.approx(0.5),)
    assert held[3] == ()
    assert link(moments, 200, "node-0", "node-1").in_flight == 1


def test_a_clogged_message_has_come_to_the_end_after_four_times_the_usual_time():
    tape = Tape(WEAK)
    for number, end_ms in enumerate((2, 2, 2, 100)):
        tape.add(0, "send", "node-0", "node-1", "Ack", number, 9)
        tape.add(end_ms, "deliver", "node-1", "node-0", "Ack", number, 9)
    moments = Moments(run_of(tape, duration_ms=100.0))
    assert link(moments, 4, "node-0", "node-1").progress == (0.5,)
    assert link(moments, 8, "node-0", "node-1").progress == (1.0,)
    assert link(moments, 99, "node-0", "node-1").progress == (1.0,)


def test_a_message_that_is_lost_at_once_is_never_on_its_way(moments):
    assert [link(moments, t, "node-0", "node-2").in_flight for t in (12, 13)] == [0, 0]


# Clients, faults, events


def test_requests_are_counted_by_what_has_become_of_them(moments):
    counts = {t: (moments.at(t).writes, moments.at(t).reads) for t in (9, 10, 16.5, 225, 230)}
    assert counts == {
        9: (RequestCounts(0, 0, 0), RequestCounts(0, 0, 0)),
        10: (RequestCounts(1, 0, 0), RequestCounts(0, 0, 0)),
        16.5: (RequestCounts(1, 1, 0), RequestCounts(0, 0, 0)),
        225: (RequestCounts(2, 1, 0), RequestCounts(1, 0, 0)),
        230: (RequestCounts(2, 1, 0), RequestCounts(1, 0, 1)),
    }
    assert (moments.at(225).writes.waiting, moments.at(225).reads.waiting) == (1, 1)


def test_faults_going_on_tell_how_long_they_still_last(moments):
    assert moments.at(99).faults == ()
    assert moments.at(150).faults == (
        "Crash of node-0, 150 ms left",
        "Partition of node-2, 50 ms left",
    )
    assert moments.at(300).faults == ()


def test_the_latest_events_are_few_and_the_newest_comes_first(moments):
    assert moments.at(0).latest == ((0.0, "node-0 is master (node-0@1)"),)
    assert moments.at(150).latest == (
        (150.0, "node-1 is master (node-1@2)"),
        (140.0, "node-1 is candidate (node-1@2)"),
        (120.0, "Partition of node-2 starts"),
        (100.0, "Disconnected: node-0, node-1, node-2"),
        (100.0, "node-0 goes down"),
    )
    assert len(moments.at(400).latest) == LATEST_COUNT


def test_events_are_found_forwards_and_backwards_by_step(moments):
    found, time_ms = [], 0
    while (time_ms := moments.after(time_ms)) is not None:
        found.append(time_ms)
    assert found == [1, 100, 120, 140, 150, 200, 300, 301]
    assert [moments.before(t) for t in (301, 300, 1, 0)] == [300, 200, 0, None]
    assert [moments.after(t, step_ms=50) for t in (0, 50, 149, 301)] == [50, 100, 150, 350]
    assert moments.before(350, step_ms=50) == 300


def test_stretches_cover_the_whole_run_without_gaps(moments):
    assert moments.stretches("node-1") == [
        Stretch(0.0, 1.0, "starting", "Syncing"),
        Stretch(1.0, 100.0, "replica", "Connected"),
        Stretch(100.0, 140.0, "replica", "Disconnected"),
        Stretch(140.0, 150.0, "candidate", "Disconnected"),
        Stretch(150.0, 400.0, "master", None),
    ]
    assert moments.stretches("node-0") == [
        Stretch(0.0, 100.0, "master", None),
        Stretch(100.0, 300.0, "down", "Disconnected"),
        Stretch(300.0, 301.0, "starting", "Disconnected"),
        Stretch(301.0, 320.0, "replica", "Disconnected"),
        Stretch(320.0, 400.0, "replica", "Connected"),
    ]


# A simulated run


@pytest.fixture(scope="module")
def simulated():
    load = sim.Workload(writes_per_s=50, source="uniform:20x4")
    options = sim.ClusterOptions(
        replicas=2,
        failover=sim.Failover(deadline_ms=500),
        replication=ReplicationOptions(heartbeat_ms=200),
    )
    crash = sim.Crash(at_ms=500, for_ms=1_000, node=sim.CURRENT_MASTER, lose_disk=True)
    return sim.simulate(options, workload=load, faults=[crash], duration_ms=2_500, seed=7)


def test_a_lost_disk_is_lost_until_something_is_on_it_again(simulated):
    moments = Moments(simulated)
    disks = [moments.at(t).nodes[0].disk for t in (499, 500, 1_499, 2_500)]
    assert disks == ["ok", "lost", "lost", "ok"]
    assert (moments.at(500).nodes[0].received, moments.at(500).nodes[0].epoch) == (0, "")


def test_the_last_moment_is_the_state_that_the_nodes_report(simulated):
    last = Moments(simulated).at(simulated.duration_ms)
    nodes = simulated.nodes
    assert [each.role for each in last.nodes] == nodes["role"].tolist()
    for column, name in (("offset", "applied"), ("offset", "received"), ("offset", "flushed")):
        assert [getattr(each, name) for each in last.nodes] == nodes[column].tolist()
    assert [each.first_offset for each in last.nodes] == nodes["log_first_offset"].tolist()


def test_every_message_that_arrives_was_on_its_way_before(simulated):
    moments, messages = Moments(simulated), simulated.messages
    between = messages[messages["source"].str.startswith("node-")]
    between = between[between["target"].str.startswith("node-")]
    for time_ms in (50, 700, 1_503, 2_000):
        is_there = (between["sent_ms"] <= time_ms) & ~(between["arrived_ms"] <= time_ms)
        is_there &= ~(between["lost_ms"] <= time_ms)
        assert sum(each.in_flight for each in moments.at(time_ms).links) == is_there.sum()


def test_a_run_in_which_nothing_happened_has_moments():
    moment = Moments(run_of(Tape(WEAK), duration_ms=0.0)).at(0)
    assert [each.role for each in moment.nodes] == ["starting"] * 3
    assert (moment.faults, moment.latest) == ((), ())


@pytest.mark.parametrize("seed", [3, 5, 9, 17, 21, 22])
def test_what_is_shown_of_a_random_run_is_what_was_sampled(seed):
    """Of samples in the very moment of an event of the node nothing says which was first."""
    run = sim.simulate(sim.random_scenario(seed))
    moments = Moments(run)
    busy = {(e.node, e.time_ns / 1e6) for _, e in run.evidence.events if hasattr(e, "node")}
    last = {(each.node, each.time_ms): each for each in run.samples}
    shown = {time_ms: moments.at(time_ms) for _, time_ms in last}
    compared = 0
    for (name, time_ms), sample in last.items():
        each = next(node for node in shown[time_ms].nodes if node.node == name)
        assert each.status == sample.status
        if (name, time_ms) not in busy:
            assert (each.condition == "down") == (not sample.is_up)
            assert each.role == "down" or each.applied == sample.applied_offset
            compared += 1
    for sample in run.log_samples:
        each = next(n for n in moments.at(sample.time_ms).nodes if n.node == sample.node)
        if each.role != "down" and (sample.node, sample.time_ms) not in busy:
            assert (each.first_offset, each.received) == sample[2:]
    assert compared > 20
