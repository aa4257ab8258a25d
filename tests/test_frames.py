"""Frames say what the run, the collection and the matches hold, in columns that never change."""

from collections import Counter
from dataclasses import fields

import numpy as np
import pandas as pd
import pytest

import vectorkit as vk
from vectorkit import frames, sim
from vectorkit.collections import BatchMatches, Matches
from vectorkit.replication import ReplicaInfo
from vectorkit.sim import ClusterOptions, Link, Partition, Workload
from vectorkit.sim.world.trace import Trace

LOAD = Workload(writes_per_s=10, reads_per_s=5, source="uniform:20x4")
RUN_FRAMES = {
    "health": frames.HEALTH,
    "operations": frames.OPERATIONS,
    "reads": frames.READS,
    "recall": frames.RECALL,
    "syncs": frames.SYNCS,
    "nodes": frames.NODES,
}


def types_of(frame):
    return {name: str(dtype) for name, dtype in frame.dtypes.items()}


def run_so_far(cluster):
    """The run of a cluster that is not finished: cuts stay, and nothing settles."""
    nodes = cluster.options.node_ids
    return sim.Run(
        options=cluster.options,
        seed=cluster.seed,
        faults=cluster.faults,
        trace=cluster._engine.trace,
        samples=tuple(cluster._observer.samples),
        stats={node: cluster.stats(node) for node in nodes},
        replicas=tuple(cluster.replicas()),
        duration_ms=cluster.now_ms,
        event_count=cluster._engine.scheduler.event_count,
    )


def cut_cluster():
    """A cluster after 15 ms: both replicas are in their first sync."""
    options = ClusterOptions(replicas=2, link=Link(delay_ms=10))
    cluster = sim.Cluster(options, seed=7, workload=LOAD)
    cluster.advance(ms=15)
    return cluster


@pytest.fixture(scope="module")
def run():
    return sim.simulate(
        ClusterOptions(
            replicas=11,
            link=Link(delay_ms=5, jitter_ms=3, loss=0.02),
            recall_every_ms=2_000,
        ),
        workload=LOAD,
        faults=[Partition(at_ms=1_000, for_ms=2_000, isolate=["node-2"])],
        duration_ms=8_000,
        seed=7,
    )


@pytest.fixture(scope="module")
def empty_run():
    return sim.simulate(ClusterOptions(replicas=0), duration_ms=100)


# Schemas


@pytest.mark.parametrize("name", RUN_FRAMES)
def test_frames_of_a_run_have_the_columns_and_dtypes_of_their_schema(run, empty_run, name):
    full, empty = getattr(run, name), getattr(empty_run, name)
    assert len(full) > 0
    assert types_of(full) == types_of(empty) == RUN_FRAMES[name]
    assert list(full.columns) == list(empty.columns) == list(RUN_FRAMES[name])


def test_a_run_without_replicas_has_one_node_and_no_other_rows(empty_run):
    lengths = {name: len(getattr(empty_run, name)) for name in RUN_FRAMES}
    # Its epoch begins with a record, whoever else is there.
    assert lengths == {
        "health": 0,
        "operations": 1,
        "reads": 0,
        "recall": 0,
        "syncs": 0,
        "nodes": 1,
    }


@pytest.mark.parametrize("name", RUN_FRAMES)
def test_a_run_in_which_nothing_happened_has_the_same_columns(name):
    nothing = sim.Run(ClusterOptions(), 0, (), Trace(), (), {}, (), 0, 0)
    frame = getattr(nothing, name)
    assert (len(frame), types_of(frame)) == (0, RUN_FRAMES[name])


def test_replicas_have_their_schema_with_and_without_rows(run):
    assert types_of(frames.replicas(run.replicas)) == dict(frames.REPLICAS)
    assert types_of(frames.replicas([])) == dict(frames.REPLICAS)
    assert len(frames.replicas(iter(()))) == 0


def test_matches_have_their_schema_with_and_without_rows():
    c = vk.CpuCollection(dim=2)
    empty, empty_batch = c.search([1, 0]).to_frame(), c.search_many([[1, 0]]).to_frame()
    no_query = c.search_many(np.empty((0, 2))).to_frame()
    c.insert(["a", "b"], [[1, 0], [0, 1]])
    for frame in (empty, c.search([1, 0]).to_frame()):
        assert types_of(frame) == dict(frames.MATCHES)
    for frame in (empty_batch, no_query, c.search_many([[1, 0]]).to_frame()):
        assert types_of(frame) == dict(frames.BATCH_MATCHES)
    assert [len(each) for each in (empty, empty_batch, no_query)] == [0, 0, 0]


@pytest.mark.parametrize("ids", [["a", "b"], [1, 2]])
def test_collections_have_their_schema_with_and_without_rows(ids):
    c = vk.CpuCollection(dim=2)
    empty = c.to_frame()
    c.insert(ids, [[1, 0], [0, 1]])
    assert types_of(empty) == types_of(c.to_frame()) == dict(frames.COLLECTION)
    assert (len(empty), len(c.to_frame())) == (0, 2)


# Health


def test_health_is_ordered_by_node_in_the_cluster_s_order_and_then_by_time(run):
    health = run.health
    assert health["node"].unique().tolist() == [f"node-{number}" for number in range(1, 12)]
    assert health.groupby("node")["time_ms"].is_monotonic_increasing.all()
    assert len(health) == len(run.samples)


def test_health_holds_every_sample_bit_for_bit(run):
    for node, mine in run.health.groupby("node"):
        expected = pd.DataFrame([each for each in run.samples if each.node == node])
        expected = expected[list(frames.HEALTH)].astype(frames.HEALTH)
        pd.testing.assert_frame_equal(mine.reset_index(drop=True), expected, check_exact=True)


def test_health_has_a_row_for_each_sample_time_and_each_change_of_status(run):
    changes = Counter(row.peer for row in run.trace.rows if row.event == "status")
    times = set(run.health[run.health["node"] == "node-2"]["time_ms"])
    assert set(np.arange(0, 8_000, 250.0)) <= times
    for node, mine in run.health.groupby("node"):
        status = mine["status"]
        assert (status != status.shift()).sum() == changes[node]


def test_health_says_when_a_replica_was_cut_off(run):
    cut = run.health[run.health["is_cut"]]
    assert cut["node"].unique().tolist() == ["node-2"]
    assert (cut["time_ms"].min(), cut["time_ms"].max()) == (1_000.0, 2_750.0)


# Operations


def test_operations_have_a_row_for_each_record_in_the_order_of_their_offsets(run):
    written = [(row.value, row.number) for row in run.trace.rows if row.event == "append"]
    seen = list(zip(run.operations["epoch"], run.operations["offset"], strict=True))
    assert seen == written
    assert len(seen) > 70


def test_the_times_of_a_record_are_those_of_the_trace(run):
    written = {row.number: row for row in run.trace.rows if row.event == "append"}
    applied = {}
    for row in run.trace.rows:
        if (row.event, row.kind) == ("apply", "stream"):
            applied.setdefault(row.number, []).append(row.time_ns)
    compared = 0
    for row in run.operations.itertuples():
        assert row.operation == written[row.offset].kind
        assert row.written_ms == written[row.offset].time_ns / 1e6
        if len(applied.get(row.offset, ())) == 11:
            compared += 1
            assert row.applied_ms_first == min(applied[row.offset]) / 1e6
            assert row.applied_ms_last == max(applied[row.offset]) / 1e6
            assert row.copy_count == 12
    assert compared > 40


def test_what_never_reached_a_replica_has_no_time_there():
    cluster = cut_cluster()
    cluster.cut("node-1", "node-2")
    cluster.advance(ms=485)
    run = run_so_far(cluster)
    assert run.operations[["applied_ms_first", "applied_ms_last"]].isna().all(axis=None)
    assert set(run.operations["copy_count"]) == {1}
    assert run.operations["operation"].tolist()[:4] == [
        "EpochStart",
        "CreateCollection",
        "Upsert",
        "UpdateVectors",
    ]


def test_a_full_sync_after_a_cut_brings_all_that_was_missing():
    cluster = cut_cluster()
    cluster.cut("node-2")
    cluster.advance(ms=6_985)
    run = cluster.finish()
    assert set(run.operations["copy_count"]) == {3}
    (late,) = [row for row in run.trace.rows if row.node == "node-2" and row.kind == "snapshot"][:1]
    inside = run.operations[run.operations["offset"] <= late.number]
    assert set(inside["applied_ms_last"]) == {late.time_ns / 1e6}


# Syncs


def test_syncs_tell_finished_and_lost_and_open_ones_with_their_lengths():
    cluster = cut_cluster()
    assert frames.syncs(run_so_far(cluster))["outcome"].tolist() == ["open", "open"]
    cluster.cut("node-2")
    cluster.advance(ms=5_985)
    syncs = frames.syncs(run_so_far(cluster))
    assert syncs.to_dict("records") == [
        {
            "node": "node-1",
            "master": "node-0",
            "started_ms": 10.5,
            "ended_ms": 51.0,
            "duration_ms": 40.5,
            "kind": "full",
            "reason": "first_sync",
            "outcome": "finished",
        },
        {
            "node": "node-2",
            "master": "node-0",
            "started_ms": 10.5,
            "ended_ms": 5_010.5,
            "duration_ms": 5_000.0,
            "kind": "full",
            "reason": "first_sync",
            "outcome": "lost",
        },
    ]


def test_an_open_sync_has_no_end():
    syncs = frames.syncs(run_so_far(cut_cluster()))
    assert syncs["started_ms"].tolist() == [10.5, 10.5]
    assert syncs[["ended_ms", "duration_ms"]].isna().all(axis=None)


def test_a_partial_sync_needs_no_reason():
    run = sim.simulate(
        ClusterOptions(replicas=1),
        workload=LOAD,
        faults=[Partition(at_ms=1_000, for_ms=6_000, isolate=["node-1"])],
        duration_ms=12_000,
    )
    kinds = run.syncs[["kind", "reason", "outcome"]].to_numpy().tolist()
    assert kinds == [["full", "first_sync", "finished"], ["partial", "", "finished"]]
    assert (run.syncs["duration_ms"] == run.syncs["ended_ms"] - run.syncs["started_ms"]).all()


# Nodes and replicas


def test_nodes_say_what_each_node_said_of_itself(run):
    nodes = run.nodes.set_index("node")
    assert nodes.index.tolist() == list(run.stats)
    ends = {row.node: (row.number, row.text) for row in run.trace.rows if row.event == "digest"}
    told = [
        name for name in nodes.columns if name not in ("offset", "digest", "partial_sync_refusals")
    ]
    assert nodes.loc["node-0", "partial_sync_refusals"] == "first_sync 11"
    assert nodes.loc["node-1":, "partial_sync_refusals"].isna().all()
    for node, stats in run.stats.items():
        assert (nodes.loc[node, "offset"], nodes.loc[node, "digest"]) == ends[node]
        for name in told:
            value, expected = nodes.loc[node, name], getattr(stats, name)
            assert pd.isna(value) if expected is None else value == expected, (node, name)


def test_replicas_say_what_the_master_knows_of_each(run):
    frame = frames.replicas(run.replicas)
    assert list(frame["id"]) == [info.id for info in run.replicas]
    for row, info in zip(frame.to_dict("records"), run.replicas, strict=True):
        known = {name: getattr(info, name) for name in frames.REPLICAS} | {"status": info.status}
        assert row == {**known, "status": "Connected"}
    assert set(frames.REPLICAS) <= {field.name for field in fields(ReplicaInfo)}


def test_a_replica_that_was_never_heard_has_no_heartbeat_and_no_round_trip():
    cluster = sim.Cluster(ClusterOptions(replicas=1))
    frame = frames.replicas(cluster.replicas())
    assert frame[["last_heartbeat", "round_trip_ms"]].isna().all(axis=None)
    assert frame["status"].tolist() == ["Syncing"]


# Collections


def test_a_collection_s_rows_come_bit_for_bit_in_slot_order():
    vectors = np.array([[1e-45, -0.0], [3.4e18, 1 / 3], [np.pi, -1]], np.float32)
    c = vk.CpuCollection(dim=2, metric="dot")
    c.insert(["b", "a", "c"], vectors)
    frame = c.to_frame()
    assert frame["id"].tolist() == ["b", "a", "c"]
    assert [each.tobytes() for each in frame["vector"]] == [each.tobytes() for each in vectors]
    assert {each.dtype for each in frame["vector"]} == {np.dtype(np.float32)}


def test_a_frame_is_a_copy():
    c = vk.CpuCollection(dim=2)
    c.insert(["a"], [[1, 0]], payloads=[{"tags": ["x"]}])
    digest, frame = c.digest(), c.to_frame()
    frame["vector"][0][:] = 9
    frame["tags"][0].append("y")
    assert c.snapshot().digest() == digest


def test_every_payload_key_is_a_column_in_the_order_of_its_first_use():
    c = vk.CpuCollection(dim=1)
    payloads = [{"year": 1990, "a": "x"}, None, {"b": [1], "year": 2001}]
    c.insert([1, 2, 3], [[1], [2], [3]], payloads=payloads)
    frame = c.to_frame()
    assert list(frame.columns) == ["id", "vector", "year", "a", "b"]
    assert frame["year"].tolist()[::2] == [1990, 2001]
    assert frame["b"].tolist() == [None, None, [1]]
    assert frame.isna().to_numpy()[:, 2:].tolist() == [
        [False, False, True],
        [True, True, True],
        [False, True, False],
    ]


def test_whole_numbers_that_every_row_has_stay_whole():
    c = vk.CpuCollection(dim=1)
    c.insert(["a", "b"], [[1], [2]], payloads=[{"rank": 0}, {"rank": 1}])
    assert str(c.to_frame()["rank"].dtype) == "int64"


def test_payload_keys_that_are_taken_get_a_prefix_and_lose_nothing():
    c = vk.CpuCollection(dim=1)
    c.insert(["a"], [[1]], payloads=[{"payload_id": 1, "id": 2, "vector": 3}])
    frame = c.to_frame().drop(columns="vector")
    assert frame.to_dict("records") == [
        {"id": "a", "payload_id": 1, "payload_payload_id": 2, "payload_vector": 3}
    ]


def test_a_snapshot_s_frame_is_that_of_its_moment():
    c = vk.CpuCollection(dim=1)
    c.insert(["a"], [[1]])
    snapshot = c.snapshot()
    c.insert(["b"], [[2]])
    assert snapshot.to_frame()["id"].tolist() == ["a"]


# Matches


def test_matches_come_with_their_ranks_best_first():
    found = Matches(("b", "a"), np.array([0.5, 0.25], np.float32), "dot")
    assert found.to_frame().to_dict("records") == [
        {"rank": 1, "id": "b", "score": 0.5},
        {"rank": 2, "id": "a", "score": 0.25},
    ]


def test_batches_come_query_by_query_without_padding():
    found = BatchMatches(
        ids=np.array([["b", "a"], [None, None], [7, None]], dtype=object),
        scores=np.array([[0.5, 0.25], [-np.inf, -np.inf], [1.0, -np.inf]], np.float32),
        counts=np.array([2, 0, 1], np.int32),
        metric="dot",
    )
    assert found.to_frame().to_numpy().tolist() == [
        [0, 1, "b", 0.5],
        [0, 2, "a", 0.25],
        [2, 1, 7, 1.0],
    ]
