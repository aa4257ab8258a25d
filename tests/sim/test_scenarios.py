"""The acceptance scenarios of replication, on whole clusters in virtual time."""

import pytest

from tests.sim.checks import check_history, check_links, rows, statuses
from vectorkit.collections import CpuCollection
from vectorkit.errors import ReadOnlyReplica
from vectorkit.operations import encode
from vectorkit.replication import ReplicaStatus, ReplicationOptions
from vectorkit.sim import Cluster, ClusterOptions, Link, Partition, Scenario, Workload, simulate

LOAD = Workload(writes_per_s=20, source="uniform:50x4")


def cluster(replicas=1, link=None, **options):
    return Cluster(
        ClusterOptions(
            replicas=replicas, link=link or Link(), replication=ReplicationOptions(**options)
        ),
        seed=7,
    )


def fill(made, count, name="words"):
    """So many writes to the master's store."""
    if name not in made.store:
        made.store.create_collection(name, dim=2)
        count -= 1
    for number in range(count):
        made.store.upsert(name, [f"{number}"], [[number, 1]])


@pytest.fixture(scope="module")
def cut():
    """Two replicas under load, one of them cut off for 75 s."""
    fault = Partition(at_ms=5_000, for_ms=75_000, isolate=["node-2"])
    options = ClusterOptions(replicas=2)
    return simulate(options, workload=LOAD, faults=[fault], duration_ms=110_000, seed=7)


def test_a_replica_cut_for_75_s_passes_through_every_status_in_order(cut):
    assert statuses(cut, "node-2") == [
        "Syncing",
        "Connected",
        "Lagging",
        "Disconnected",
        "Syncing",
        "Connected",
    ]


def test_a_cut_replicas_lag_grows_and_its_last_heartbeat_stands_still(cut):
    seen = [each for each in cut.samples if each.node == "node-2" and each.is_cut]
    after = [each for each in seen if each.time_ms > 6_000]
    lags = [each.lag_ms - each.time_ms for each in after]
    assert {each.last_heartbeat_ms for each in after} == {seen[0].last_heartbeat_ms}
    assert set(lags) == {lags[0]}
    assert after[-1].lag_ms > 70_000


def test_what_the_master_believes_of_a_cut_replica_is_true(cut):
    seen = [each for each in cut.samples if each.node == "node-2" and each.is_cut]
    late = [each for each in seen if each.time_ms > 5_100]
    assert [each.lag_ms for each in late] == [each.lag_ms_true for each in late]


def test_a_replica_that_is_not_cut_never_leaves_connected(cut):
    assert statuses(cut, "node-1") == ["Syncing", "Connected"]


def test_a_cut_within_the_log_ends_with_a_partial_sync(cut):
    assert [row.text for row in rows(cut, "sync", node="node-0", peer="node-2")] == [
        "started first_sync",
        "finished first_sync",
        "started",
        "finished",
    ]
    check_history(cut)


def test_operations_counted_by_the_master_are_those_that_replicas_applied(cut):
    applied = {each.id: cut.stats[each.id].total_replicated for each in cut.replicas}
    assert applied == {each.id: each.operations_synced for each in cut.replicas}
    assert applied == {node: len(rows(cut, "apply", node=node, kind="stream")) for node in applied}
    assert cut.stats["node-0"].total_replicated == sum(applied.values())


@pytest.fixture(scope="module")
def live():
    """One replica on a 2 ms link under load."""
    return simulate(ClusterOptions(replicas=1), workload=LOAD, duration_ms=5_500, seed=7)


def test_a_replica_with_heartbeats_is_connected_with_little_lag(live):
    seen = [each for each in live.samples if each.time_ms > 100]
    assert {each.status for each in seen} == {"Connected"}
    assert max(each.lag_ms for each in seen) < 50


def test_the_last_heartbeat_moves(live):
    beats = sorted({each.last_heartbeat_ms for each in live.samples} - {None})
    assert beats == [2.5, 1_006.5, 2_006.5, 3_006.5, 4_006.5, 5_006.5]


@pytest.mark.parametrize(("delay_ms", "round_trip_ms"), [(2, 4), (35, 70), (400, 800)])
def test_the_round_trip_is_twice_the_delay_of_the_link(delay_ms, round_trip_ms):
    made = cluster(link=Link(delay_ms=delay_ms))
    made.advance(ms=5_000)
    assert made.replicas()[0].round_trip_ms == round_trip_ms


@pytest.mark.parametrize(("delay_ms", "has_lagged"), [(400, False), (600, True)])
def test_a_slow_link_makes_a_replica_lag_while_operations_go_on(delay_ms, has_lagged):
    options = ClusterOptions(replicas=1, link=Link(delay_ms=delay_ms))
    run = simulate(options, workload=LOAD, duration_ms=8_000, seed=7)
    assert ("Lagging" in statuses(run, "node-1")) is has_lagged
    (by_snapshot,) = rows(run, "apply", kind="snapshot")
    assert run.stats["node-1"].total_replicated == 3 + 8 * 20 - by_snapshot.number
    check_history(run)


def test_a_silent_replica_leaves_the_active_set_and_the_master_goes_on():
    made = cluster(replicas=2)
    made.advance(ms=2_500)
    made.cut("node-1")
    made.advance(ms=59_000)
    assert made.stats("node-0").connected_replicas == 2
    made.advance(ms=2_000)
    fill(made, 5)
    made.advance(ms=100)
    assert made.replicas()[0].status is ReplicaStatus.DISCONNECTED
    assert made.stats("node-0").connected_replicas == 1
    assert made.stats("node-0").operations_pending == 0
    assert made.replicas()[1].applied_offset == made.stats("node-0").master_offset == 6


def test_all_replicas_are_listed_the_one_down_with_its_last_known_state():
    made = cluster(replicas=3)
    fill(made, 3)
    made.advance(ms=2_500)
    made.cut("node-2")
    fill(made, 3)
    made.advance(ms=70_000)
    seen = {each.id: (each.status.value, each.offset) for each in made.replicas()}
    assert seen == {
        "node-1": ("Connected", 7),
        "node-2": ("Disconnected", 4),
        "node-3": ("Connected", 7),
    }
    assert made.replicas()[1].last_heartbeat == 2_006.5


def test_an_insert_raises_bytes_sent_and_pending_which_returns_to_zero():
    made = cluster()
    fill(made, 1)
    made.advance(ms=500)
    before = made.stats("node-0")
    made.store.insert("words", ["king"], [[1, 0]])
    assert made.stats("node-0").operations_pending == 1
    made.advance(ms=2)
    assert made.stats("node-0").operations_pending == 1
    assert made.replicas()[0].sent_offset == made.stats("node-0").master_offset
    made.advance(ms=2.5)  # The disk takes half a millisecond, the confirmation two.
    after = made.stats("node-0")
    assert (before.operations_pending, after.operations_pending) == (0, 0)
    sent = rows(made.finish(), "send", node="node-0", kind="Records")
    assert after.bytes_sent - before.bytes_sent == sent[-1].value > 0


@pytest.mark.parametrize("replicas", [1, 2, 5])
def test_bytes_counted_by_nodes_are_the_bytes_on_the_links(replicas):
    options = ClusterOptions(replicas=replicas, link=Link(jitter_ms=30, loss=0.1))
    made = Cluster(options, seed=7, workload=LOAD)
    made.advance(ms=4_000)
    run = made.finish()
    check_links(run, made.links())


def test_an_empty_replica_gets_every_collection_whole_by_one_full_sync():
    made = cluster()
    made.cut("node-1")
    for metric in ("cosine", "dot", "euclidean"):
        words = made.store.create_collection(metric, dim=3, metric=metric, kind=CpuCollection.kind)
        words.upsert(range(99), [[n, 1, -n] for n in range(99)], [{"n": n} for n in range(99)])
        words.delete([4, 98])
    made.advance(ms=100)
    made.heal()
    run = made.finish()
    copy = made.stores["node-1"]
    assert copy.digest() == made.store.digest()
    assert [copy[name].config for name in copy] == [made.store[name].config for name in copy]
    assert [copy[name].ids() for name in copy] == [made.store[name].ids() for name in copy]
    assert [row.kind for row in rows(run, "apply")] == ["snapshot"]
    carried = [row.value for row in rows(run, "deliver") if row.kind in ("StartFull", "Chunk")]
    assert run.stats["node-0"].snapshot_size == run.stats["node-1"].snapshot_size == sum(carried)


def records_bytes(operations, message_count):
    """What these operations take on the wire in so many messages."""
    in_message = 1 + 8 + 4 + (4 + 16)
    return message_count * in_message + sum(20 + len(encode(each)) for each in operations)


def test_partial_sync_sends_only_the_missing_operations():
    made = cluster()
    fill(made, 10)
    made.advance(ms=1_000)
    known = made.replicas()[0].applied_offset
    made.cut("node-1")
    missing = []
    made.store.subscribe(missing.append)
    fill(made, 25)
    made.advance(ms=10_000)
    made.heal()
    healed_ns = made.now_ms * 1e6
    run = made.finish()
    sent = [row for row in rows(run, "send", kind="Records") if row.time_ns >= healed_ns]
    assert sent[0].number == known + 1
    assert sum(row.value for row in sent) == records_bytes(missing, len(sent))
    applied = [row for row in rows(run, "apply") if row.time_ns >= healed_ns]
    assert [row.number for row in applied] == list(range(known + 1, known + 26))
    assert {row.kind for row in applied} == {"stream"}
    assert run.stats["node-0"].full_syncs == run.stats["node-0"].partial_syncs == 1


def test_a_log_that_has_let_go_leads_to_a_full_sync_as_too_old():
    made = cluster(log_capacity_operations=20)
    fill(made, 10)
    made.advance(ms=1_000)
    made.cut("node-1")
    fill(made, 25)
    made.advance(ms=10_000)
    made.heal()
    run = made.finish()
    stats = run.stats["node-0"]
    assert stats.partial_sync_refusals == {"first_sync": 1, "too_old": 1}
    assert (stats.full_syncs, stats.partial_syncs) == (2, 0)
    assert run.replicas[0].sync_reason == "too_old"
    check_history(run)


@pytest.mark.parametrize(
    ("missed", "reasons"), [(20, ["first_sync"]), (21, ["first_sync", "too_old"])]
)
def test_the_last_offset_that_the_log_can_continue_from_is_its_base(missed, reasons):
    made = cluster(log_capacity_operations=20)
    fill(made, 3)
    made.advance(ms=1_000)
    made.cut("node-1")
    fill(made, missed)
    made.advance(ms=10_000)
    made.heal()
    run = made.finish()
    assert list(run.stats["node-0"].partial_sync_refusals) == reasons
    assert run.is_converged


@pytest.mark.parametrize(
    "write",
    [
        lambda store: store.create_collection("new", dim=2),
        lambda store: store.drop_collection("words"),
        lambda store: store.rename_collection("words", "terms"),
        lambda store: store.upsert("words", ["0"], [[1, 2]]),
        lambda store: store.insert("words", ["0"], [[1, 2]]),
        lambda store: store.update_vector("words", "0", [1, 2]),
        lambda store: store.update_vectors("words", ["0"], [[1, 2]]),
        lambda store: store.update("words", "0", payload=None),
        lambda store: store.delete("words", ["0"]),
        lambda store: store["words"].upsert(["0"], [[1, 2]]),
        lambda store: store["words"].insert(["new"], [[1, 2]]),
        lambda store: store["words"].update_vector("0", [1, 2]),
        lambda store: store["words"].update_vectors(["0"], [[1, 2]]),
        lambda store: store["words"].update("0", payload=None),
        lambda store: store["words"].delete(["0"]),
    ],
)
def test_a_replica_refuses_client_writes_by_any_path(write):
    made = cluster()
    fill(made, 3)
    made.advance(ms=500)
    store = made.stores["node-1"]
    before = store.digest()
    with pytest.raises(ReadOnlyReplica, match=r"node-1 is a replica.*its master, node-0"):
        write(store)
    assert store.digest() == before


def test_a_replica_before_its_first_contact_is_syncing_at_offset_zero():
    made = cluster()
    (info,) = made.replicas()
    assert (info.status, info.offset, info.last_heartbeat) == (ReplicaStatus.SYNCING, 0, None)
    assert made.stats("node-0").connected_replicas == 0
    stats = made.stats("node-1")
    assert (stats.replica_offset, stats.total_replicated, stats.bytes_received) == (0, 0, 0)
    with pytest.raises(ReadOnlyReplica):
        made.stores["node-1"].create_collection("words", dim=2)


def test_five_cuts_under_load_end_with_equal_nodes():
    faults = [
        Partition(at_ms=2_000 + number * 9_000, for_ms=6_000, isolate=["node-1"])
        for number in range(5)
    ]
    options = ClusterOptions(replicas=2, link=Link(jitter_ms=10, loss=0.02))
    run = simulate(options, workload=LOAD, faults=faults, duration_ms=50_000, seed=7)
    check_history(run)
    assert len(rows(run, "fault", kind="start")) == len(rows(run, "fault", kind="end")) == 5
    assert run.stats["node-1"].full_syncs == 1
    assert run.stats["node-1"].partial_syncs == 5


def test_a_replica_of_an_empty_master_converges_by_one_full_sync_and_is_empty():
    made = cluster()
    run = made.finish()
    assert run.is_converged
    assert (run.stats["node-0"].full_syncs, run.stats["node-1"].full_syncs) == (1, 1)
    assert (len(made.store), len(made.stores["node-1"])) == (0, 0)
    assert [row.kind for row in rows(run, "apply")] == ["snapshot"]
    assert run.replicas[0].status is ReplicaStatus.CONNECTED


def test_a_run_knows_its_scenario_unless_it_was_stepped_by_hand():
    scenario = Scenario(ClusterOptions(replicas=1), duration_ms=200, seed=7)
    assert simulate(scenario).scenario is scenario
    made = Cluster(scenario.options, seed=7)
    made.advance(ms=200)
    assert made.finish().scenario is None
