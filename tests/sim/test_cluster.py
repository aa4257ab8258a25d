"""The cluster as a tool: stepping time, breaking links, bounds, and what it refuses."""

import json

import pytest

from tests.sim.checks import check_history, check_links, rows
from vectorkit import sim
from vectorkit.errors import InvalidInput, InvalidOption, LimitReached
from vectorkit.replication import ReplicaStatus, ReplicationOptions
from vectorkit.sim import Cluster, ClusterOptions, Link, Partition, Scenario, Workload, simulate
from vectorkit.sim.world.clock import Scheduler

LOAD = Workload(writes_per_s=20, source="uniform:50x4")


def one_replica(**options):
    return Cluster(ClusterOptions(replicas=1, **options), seed=7)


def test_time_moves_by_exactly_what_is_asked():
    made = one_replica()
    made.advance(ms=0.5)
    made.advance(ms=1_000)
    made.advance(ms=0)
    assert made.now_ms == 1_000.5


@pytest.mark.parametrize("ms", [-1, float("nan"), float("inf")])
def test_time_does_not_go_backwards_or_for_ever(ms):
    with pytest.raises(InvalidOption, match="ms as a finite number of 0 or more"):
        one_replica().advance(ms=ms)


def test_events_come_in_order_of_time_and_then_of_insertion():
    scheduler = Scheduler(event_count_max=10)
    for time_ns, name in ((5, "c"), (2, "a"), (5, "d"), (2, "b")):
        scheduler.at(time_ns, name, None)
    assert [scheduler.pop(9)[2] for _ in range(4)] == ["a", "b", "c", "d"]
    assert (scheduler.pop(9), scheduler.now_ns) == (None, 9)


def test_an_event_for_a_time_that_has_passed_happens_now():
    scheduler = Scheduler(event_count_max=10)
    scheduler.pop(7)
    scheduler.at(3, "late", None)
    assert scheduler.pop(9)[0] == 7


def test_an_event_beyond_the_end_stays_for_later():
    scheduler = Scheduler(event_count_max=10)
    scheduler.at(10, "later", None)
    assert scheduler.pop(9) is None
    assert scheduler.pop(10)[2] == "later"


def test_a_run_of_too_many_events_stops_with_the_number():
    with pytest.raises(LimitReached, match="more than 100") as caught:
        simulate(ClusterOptions(event_count_max=100), workload=LOAD, seed=7)
    assert caught.value.details["event_count"] == 101


def test_a_run_of_exactly_as_many_events_as_allowed_is_finished():
    count = simulate(ClusterOptions(replicas=1), duration_ms=900, seed=7).event_count
    options = ClusterOptions(replicas=1, event_count_max=count)
    assert simulate(options, duration_ms=900, seed=7).event_count == count


def test_a_cut_loses_what_is_sent_and_what_is_on_its_way():
    made = one_replica()
    made.store.create_collection("words", dim=2)
    made.advance(ms=99)
    made.store.upsert("words", ["a"], [[1, 1]])
    made.advance(ms=1)
    made.cut("node-1")
    made.store.upsert("words", ["b"], [[1, 1]])
    made.advance(ms=10)
    made.heal()
    lost = rows(made.finish(), "lost", kind="Records")
    assert [(row.time_ns / 1e6, row.number, row.text) for row in lost] == [
        (100, 4, "cut"),
        (101, 3, "cut"),
    ]


def test_a_write_is_on_its_way_when_a_cut_comes_right_after_it():
    made = one_replica()
    made.advance(ms=100)
    made.store.create_collection("words", dim=2)
    made.cut("node-1")
    made.store.create_collection("more", dim=2)
    made.heal()
    made.advance(ms=50)
    seen = made.finish()
    assert [row.number for row in rows(seen, "send", kind="Records")][:2] == [2, 3]
    assert [row.number for row in rows(seen, "lost", kind="Records")] == [3]
    check_history(seen)


def test_nodes_that_are_cut_off_together_stay_together():
    made = Cluster(ClusterOptions(replicas=2), seed=7)
    made.cut("node-0", "node-1")
    made.advance(ms=100)
    links = {names: counts.delivered_count for names, counts in made.links().items()}
    assert links["node-0", "node-1"] > 0
    assert links["node-2", "node-0"] == 0


def test_two_cuts_of_a_node_heal_one_by_one():
    faults = [
        Partition(at_ms=1_000, for_ms=4_000, isolate=["node-1"]),
        Partition(at_ms=2_000, for_ms=1_000, isolate=["node-1"]),
    ]
    run = simulate(
        ClusterOptions(replicas=1), workload=LOAD, faults=faults, duration_ms=6_000, seed=7
    )
    arrived = [row.time_ns for row in rows(run, "deliver") if "client-0" not in row[2:4]]
    assert [ns for ns in arrived if 1_000_000_000 <= ns < 5_000_000_000] == []


def test_partitions_begin_and_end_when_they_say():
    fault = Partition(at_ms=1_500, for_ms=250.5, isolate=["node-1", "node-2"])
    run = simulate(faults=[fault], duration_ms=3_000, seed=7)
    seen = rows(run, "fault")
    assert [(row.time_ns, row.kind) for row in seen] == [
        (1_500_000_000, "start"),
        (1_750_500_000, "end"),
    ]
    assert {sim.fault_from_dict(json.loads(row.text)) for row in seen} == {fault}
    assert {each.time_ms for each in run.samples if each.is_cut} == {1_500, 1_750}


def test_no_fault_begins_after_the_end():
    fault = Partition(at_ms=2_050, for_ms=9_000, isolate=["node-1"])
    made = Cluster(seed=7, workload=LOAD, faults=[fault])
    made.advance(ms=2_000)
    run = made.finish()
    assert rows(run, "fault") == []
    assert run.is_converged


def test_a_fault_that_would_never_come_is_refused():
    fault = Partition(at_ms=2_000, for_ms=9_000, isolate=["node-1"])
    with pytest.raises(InvalidOption, match="would begin after the run"):
        Scenario(faults=[fault], duration_ms=2_000)


def test_the_end_of_a_fault_leaves_a_later_cut_of_the_same_nodes():
    fault = Partition(at_ms=100, for_ms=900, isolate=["node-1"])
    made = Cluster(seed=7, faults=[fault])
    made.advance(ms=500)
    made.heal()
    made.cut("node-1")
    made.advance(ms=1_000)
    seen = [(row.kind, row.time_ns / 1e6) for row in rows(made.finish(), "fault")]
    assert seen == [("start", 100), ("end", 500), ("start", 500), ("end", 1_500)]


def test_what_was_taken_from_a_cluster_does_not_change_with_it():
    made = one_replica()
    made.advance(ms=100)
    links, run = made.links(), made.finish()
    before = (links["node-0", "node-1"].sent_count, len(run.trace), run.trace_hash)
    made.advance(ms=2_000)
    assert (links["node-0", "node-1"].sent_count, len(run.trace), run.trace_hash) == before
    assert made.links()["node-0", "node-1"].sent_count > before[0]


def test_a_load_goes_on_after_a_write_that_failed():
    load = Workload(writes_per_s=10, source="uniform:1x2")
    made = Cluster(ClusterOptions(replicas=1), seed=7, workload=load)
    made.store.delete("uniform", [0])
    made.advance(ms=1_050)
    made.store.insert("uniform", [0], [[1, 0]])
    made.advance(ms=1_000)
    outcomes = [row.kind for row in rows(made.finish(), "complete")]
    assert outcomes == ["refused"] * 10 + ["ok"] * 10


@pytest.mark.parametrize("delay_ms", [2_500, 2_600])
def test_a_link_on_which_no_handshake_can_succeed_is_refused(delay_ms):
    with pytest.raises(InvalidOption, match="no handshake can succeed"):
        ClusterOptions(link=Link(delay_ms=delay_ms))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Link(delay_ms="1"),
        lambda: Workload(writes_per_s=True),
        lambda: Workload(source=None),
        lambda: Workload(source="glove"),
        lambda: Workload(metric="l2"),
        lambda: ClusterOptions(link=5),
        lambda: Partition(at_ms=None, for_ms=1, isolate=["node-1"]),
        lambda: Partition(at_ms=0, for_ms=1, isolate=[1]),
        lambda: Scenario(seed=True),
        lambda: Scenario(faults=Partition(at_ms=0, for_ms=1, isolate=["node-1"])),
        lambda: simulate("a scenario"),
        lambda: simulate(workload="glove:50"),
        lambda: Cluster(seed=-1),
        lambda: Cluster().advance(ms="5"),
    ],
)
def test_options_of_a_wrong_type_or_form_are_refused_by_name(make):
    with pytest.raises(InvalidInput) as caught:
        make()
    assert all((caught.value.got, caught.value.wanted, caught.value.remedy))


def test_the_end_heals_what_is_cut():
    fault = Partition(at_ms=1_000, for_ms=90_000, isolate=["node-1"])
    run = simulate(workload=LOAD, faults=[fault], duration_ms=8_000, seed=7)
    assert [row.time_ns / 1e6 for row in rows(run, "fault")] == [1_000, 8_000]
    check_history(run)


@pytest.mark.parametrize("names", [(), ("node-9",), ("node-1", "nope")])
def test_only_nodes_of_the_cluster_can_be_cut(names):
    with pytest.raises(InvalidOption, match="no such node"):
        one_replica().cut(*names)


def test_a_fault_of_a_node_that_is_not_there_is_refused_before_the_run():
    with pytest.raises(InvalidOption, match=r"got 'node-9', wanted node-0 or node-1"):
        simulate(
            ClusterOptions(replicas=1), faults=[Partition(at_ms=0, for_ms=1, isolate=["node-9"])]
        )


def test_stats_of_a_node_that_is_not_there_are_refused():
    with pytest.raises(InvalidOption, match="no such node"):
        one_replica().stats("node-2")


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (Partition, {"at_ms": -1, "for_ms": 1, "isolate": ["node-1"]}),
        (Partition, {"at_ms": 0, "for_ms": 0, "isolate": ["node-1"]}),
        (Partition, {"at_ms": 0, "for_ms": float("inf"), "isolate": ["node-1"]}),
        (Partition, {"at_ms": float("nan"), "for_ms": 1, "isolate": ["node-1"]}),
        (Partition, {"at_ms": 0, "for_ms": 1, "isolate": []}),
        (Partition, {"at_ms": 0, "for_ms": 1, "isolate": "node-1"}),
        (Link, {"delay_ms": -1}),
        (Link, {"jitter_ms": float("inf")}),
        (Link, {"loss": 1.01}),
        (Link, {"loss": float("nan")}),
        (ClusterOptions, {"replicas": -1}),
        (ClusterOptions, {"replicas": 100}),
        (ClusterOptions, {"replicas": 1.5}),
        (ClusterOptions, {"sample_every_ms": 0}),
        (ClusterOptions, {"sample_every_ms": float("nan")}),
        (ClusterOptions, {"event_count_max": 0}),
        (Workload, {"writes_per_s": -1}),
        (Workload, {"writes_per_s": float("inf")}),
        (Scenario, {"duration_ms": 0}),
        (Scenario, {"duration_ms": float("nan")}),
        (Scenario, {"seed": -1}),
        (Scenario, {"seed": 1 << 64}),
        (Scenario, {"seed": "7"}),
        (ReplicationOptions, {"heartbeat_ms": 0}),
        (ReplicationOptions, {"heartbeat_ms": True}),
        (ReplicationOptions, {"heartbeat_ms": 1.5}),
        (ReplicationOptions, {"heartbeat_ms": 6_000}),
        (ReplicationOptions, {"connection_timeout_ms": 60_001}),
        (ReplicationOptions, {"connection_timeout_ms": 1_999}),
        (ReplicationOptions, {"backoff_ms_min": 30_001}),
        (ReplicationOptions, {"window_bytes": 1_000}),
        (ReplicationOptions, {"log_capacity_operations": 0}),
    ],
)
def test_options_out_of_range_or_in_contradiction_are_refused(kind, options):
    with pytest.raises(InvalidOption):
        kind(**options)


@pytest.mark.parametrize("source", ["uniform:0x4", "uniform:3", "glove:many", "words", ""])
def test_a_source_of_vectors_that_is_none_is_refused(source):
    with pytest.raises(InvalidOption, match="no such source"):
        simulate(workload=Workload(source=source))


@pytest.mark.parametrize("duration_ms", [1_000 / 3, 1e-9, 1_000.0000004, 0.3])
def test_a_run_of_any_length_ends(duration_ms):
    run = simulate(ClusterOptions(replicas=1), duration_ms=duration_ms, seed=7)
    assert run.is_converged


def test_a_load_makes_the_writes_that_it_promises():
    run = simulate(ClusterOptions(replicas=0), workload=LOAD, duration_ms=1_000, seed=7)
    made = rows(run, "append")
    assert [row.kind for row in made[:3]] == ["EpochStart", "CreateCollection", "Upsert"]
    assert {row.kind for row in made[3:]} == {"UpdateVectors"}
    # A write is asked for every 50 ms and takes 2 ms to the master.
    assert [row.time_ns / 1e6 for row in made[3:]] == [50.0 * (n + 1) + 2 for n in range(20)]


def test_a_load_without_writes_only_fills():
    load = Workload(writes_per_s=0, source="uniform:50x4")
    run = simulate(ClusterOptions(replicas=1), workload=load, duration_ms=500, seed=7)
    assert [row.kind for row in rows(run, "append")] == ["EpochStart", "CreateCollection", "Upsert"]
    assert run.is_converged


def test_more_writes_at_once_than_the_log_holds_do_no_harm():
    made = one_replica(replication=ReplicationOptions(log_capacity_operations=2))
    made.store.create_collection("words", dim=2)
    for number in range(20):
        made.store.upsert("words", [number], [[number, 1]])
    run = made.finish()
    assert [row.kind for row in rows(run, "append")[-2:]] == ["Upsert", "Upsert"]
    check_history(run)


def test_a_cluster_may_be_finished_more_than_once():
    made = one_replica()
    first = made.finish()
    made.store.create_collection("words", dim=2)
    second = made.finish()
    assert (first.is_converged, second.is_converged) == (True, True)
    check_history(second)


def test_a_run_that_cannot_settle_says_so():
    run = simulate(ClusterOptions(replicas=1, link=Link(loss=1.0)), workload=LOAD, seed=7)
    assert not run.is_converged
    assert run.duration_ms == 10_000 + 120_000
    assert run.replicas[0].status is ReplicaStatus.DISCONNECTED


def test_a_master_without_replicas_has_converged():
    run = simulate(ClusterOptions(replicas=0), workload=LOAD, duration_ms=500, seed=7)
    assert run.is_converged
    replies = [row.value for row in rows(run, "send", node="node-0")]
    assert {row.kind for row in rows(run, "send", node="node-0")} == {"ClientReply"}
    assert run.stats["node-0"].bytes_sent == sum(replies)


def test_samples_are_taken_as_often_as_asked():
    options = ClusterOptions(replicas=2, sample_every_ms=100)
    run = simulate(options, duration_ms=1_000, seed=7)
    times = {each.time_ms for each in run.samples if each.node == "node-2"}
    assert sorted(ms for ms in times if ms % 100 == 0)[:11] == [100.0 * n for n in range(11)]


def test_true_lag_is_the_age_of_the_oldest_write_that_a_replica_has_not_applied():
    made = one_replica(sample_every_ms=50)
    made.advance(ms=1_010)
    made.cut("node-1")
    made.store.create_collection("a", dim=2)
    made.advance(ms=20)
    made.store.create_collection("b", dim=2)
    made.advance(ms=170)
    seen = {each.time_ms: each.lag_ms_true for each in made.finish().samples}
    assert [seen[ms] for ms in (1_000, 1_050, 1_100, 1_200)] == [0, 40, 90, 190]


def test_a_partition_during_a_full_sync_is_survived():
    small = ReplicationOptions(chunk_bytes=64, chunk_window=1)
    made = one_replica(replication=small, link=Link(delay_ms=5))
    words = made.store.create_collection("words", dim=4)
    words.upsert(range(200), [[n, 1, 1, 1] for n in range(200)])
    made.advance(ms=300)
    assert 0 < made.replicas()[0].sync_progress < 1
    made.cut("node-1")
    made.advance(ms=8_000)
    assert len(made.stores["node-1"]) == 0
    made.heal()
    run = made.finish()
    check_history(run)
    check_links(run, made.links())
    assert [row.text for row in rows(run, "sync", node="node-1")] == [
        "started first_sync",
        "lost first_sync",
        "started first_sync",
        "finished first_sync",
    ]


def test_a_full_sync_longer_than_the_heartbeat_interval_ends():
    small = ReplicationOptions(chunk_bytes=64, chunk_window=1)
    made = one_replica(replication=small, link=Link(delay_ms=20))
    words = made.store.create_collection("words", dim=4)
    words.upsert(range(200), [[n, 1, 1, 1] for n in range(200)])
    run = made.finish()
    (started, finished) = rows(run, "sync", node="node-1")
    assert finished.time_ns - started.time_ns > 2_000_000_000
    assert run.stats["node-0"].full_syncs == 1
    check_history(run)


def test_writes_during_a_full_sync_follow_by_the_stream():
    small = ReplicationOptions(chunk_bytes=64, chunk_window=1)
    options = ClusterOptions(replicas=1, replication=small, link=Link(delay_ms=20))
    run = simulate(options, workload=LOAD, duration_ms=4_000, seed=7)
    kinds = [row.kind for row in rows(run, "apply")]
    assert kinds == ["snapshot"] + ["stream"] * 80
    check_history(run)


def test_a_scenario_leaves_no_room_for_other_parts():
    with pytest.raises(InvalidOption) as caught:
        simulate(Scenario(duration_ms=100), seed=3, duration_ms=5)
    assert caught.value.got == "a Scenario and duration_ms, seed"
