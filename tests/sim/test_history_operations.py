"""Operations and figures: tests of an earlier system, each under the name that it had there."""

import json

import numpy as np
import pytest

from tests.sim.checks import check_history, check_links, rows
from tests.sim.clusters import cluster, digests, fill, node
from vectorkit.errors import VectorNotFound
from vectorkit.operations import encode
from vectorkit.replication import majority
from vectorkit.replication.protocol.epochs import FIRST_EPOCH
from vectorkit.sim import Cluster, ClusterOptions, Link, Workload

MASTER, REPLICA, OTHER = "node-0", "node-1", "node-2"
STREAMED_MS = 2.5
"""The link takes two milliseconds, the replica's disk half a one."""


def synced(replicas=1, **options):
    """A cluster whose replicas have caught up, with a collection of twenty rows."""
    made = cluster(replicas, **options)
    words = made.store.create_collection("words", dim=2)
    payloads = [{"n": n} for n in range(20)]
    words.upsert(range(20), [[n, 1] for n in range(20)], payloads)
    made.advance(ms=1_100)
    return made


def same_rows(made):
    """Ids in their slots, vectors to the bit and payloads are those of the master, everywhere."""
    master = made.store
    for store in made.stores.values():
        assert list(store) == list(master)
        for name in master:
            ids = master[name].ids()
            assert store[name].ids() == ids
            for row_id in ids:
                mine, theirs = master[name].get(row_id), store[name].get(row_id)
                assert np.array_equal(mine.vector, theirs.vector)
                assert mine.payload == theirs.payload
    assert len(set(digests(made).values())) == 1


def one_of_each(store):
    """Every operation that a client can make, with the name that the log gives it."""
    return [
        ("CreateCollection", lambda: store.create_collection("new", dim=3, metric="dot")),
        ("Upsert", lambda: store.upsert("words", [5, 99], [[1, 2], [3, 4]], [{"a": 1}, None])),
        ("Upsert", lambda: store.insert("words", [100], [[7, 7]])),
        ("UpdateVectors", lambda: store.update_vector("words", 5, [9, 9])),
        ("UpdateVectors", lambda: store.update_vectors("words", [1, 2], [[8, 8], [6, 6]])),
        ("UpdateVectors", lambda: store.update("words", 3, payload=None)),
        ("Delete", lambda: store.delete("words", [0, 7])),
        ("SetCodebook", store["codes"].retrain),
        ("RenameCollection", lambda: store.rename_collection("new", "old")),
        ("DropCollection", lambda: store.drop_collection("old")),
    ]


def test_master_replicate_operations():
    made = synced(2)
    codes = made.store.create_collection("codes", dim=2, kind="quantized", codec="pq")
    codes.upsert(range(300), np.eye(300, 2, dtype=np.float32) + np.arange(300)[:, None])
    made.advance(ms=100)
    stream = []
    made.store.subscribe(stream.append)
    for number, (name, write) in enumerate(one_of_each(made.store), 1):
        write()
        assert type(stream[-1]).__name__ == name
        assert len(stream) == number  # One call, one operation.
        made.advance(ms=STREAMED_MS)
        same_rows(made)
    run = made.finish()
    appended = rows(run, "append", node=MASTER)[-len(stream) :]
    assert [row.kind for row in appended] == [type(each).__name__ for each in stream]
    assert [info.operations_synced for info in run.replicas] == [12, 12]
    check_history(run)


def test_master_multiple_replicas_and_stats():
    made = cluster(5)
    made.advance(ms=500)
    fill(made, 40)
    made.advance(ms=1_000)
    run = made.finish()
    stats = run.stats[MASTER]
    assert (stats.connected_replicas, stats.master_offset) == (5, 41)
    assert stats.total_replicated == 5 * 40
    assert [info.operations_synced for info in run.replicas] == [40] * 5
    assert [info.applied_offset for info in run.replicas] == [41] * 5
    assert (stats.full_syncs, stats.partial_syncs) == (5, 0)
    assert (stats.lag_ms, stats.lag_operations, stats.operations_pending) == (0, 0, 0)
    check_links(run, made.links())


def test_replica_apply_all_operation_types():
    made = cluster(1)
    made.advance(ms=500)
    store = made.store
    words = store.create_collection("words", dim=2)
    words.upsert(range(20), [[n, 1] for n in range(20)], [{"n": n} for n in range(20)])
    codes = store.create_collection("codes", dim=2, kind="quantized", codec="pq")
    codes.upsert(range(300), [[n, -n] for n in range(300)])
    codes.upsert(range(300, 600), [[n, n] for n in range(300)])  # Another codebook is due.
    for _, write in one_of_each(store):
        write()
    made.advance(ms=10)
    same_rows(made)
    made.advance(ms=1_000)
    made.crash(MASTER)
    made.restart(MASTER)
    made.advance(ms=5_000)
    run = made.finish()
    at = {row.number: row.kind for row in rows(run, "append")}
    applied = [at[row.number] for row in rows(run, "apply", node=REPLICA, kind="stream")]
    assert set(applied) == {
        "CreateCollection",
        "Upsert",
        "UpdateVectors",
        "Delete",
        "SetCodebook",
        "RenameCollection",
        "DropCollection",
        "EpochStart",
    }
    assert applied == [at[offset] for offset in range(2, len(at) + 1)]  # Each once, in order.
    same_rows(made)
    assert run.stats[REPLICA].quarantined_operations == 0


def test_replica_incremental_operations():
    made = synced()
    for number in range(10):
        made.store.upsert("words", [number + 50], [[number, 2]])
        made.advance(ms=STREAMED_MS - 0.1)
        assert made.stats(REPLICA).replica_offset == 3 + number
        assert number + 50 not in made.stores[REPLICA]["words"]
        made.advance(ms=0.1)
        assert made.stats(REPLICA).replica_offset == 4 + number
        assert number + 50 in made.stores[REPLICA]["words"]
        assert made.stats(REPLICA).total_replicated == number + 1
    assert made.finish().stats[REPLICA].full_syncs == 1


def test_replica_delete_operations():
    made = synced()
    copy = made.stores[REPLICA]["words"]
    made.store.delete("words", [0])  # The last row takes its slot.
    made.advance(ms=STREAMED_MS)
    assert list(copy.ids()) == [19, *range(1, 19)]
    made.store.delete("words", [3, 5, 18])
    made.store.delete("words", [3, 4], missing="ignore")
    with pytest.raises(VectorNotFound):
        made.store.delete("words", [4])
    made.advance(ms=STREAMED_MS)
    same_rows(made)
    assert len(copy) == 15
    before = made.stats(MASTER).master_offset
    made.store.delete("words", [3], missing="ignore")
    assert made.stats(MASTER).master_offset == before
    made.store.delete("words", list(made.store["words"].ids()))
    made.advance(ms=STREAMED_MS)
    assert (len(copy), list(copy.ids())) == (0, [])
    assert copy.search([1, 1], k=3).ids == ()
    made.store.insert("words", [7], [[7, 7]])
    made.advance(ms=STREAMED_MS)
    assert list(copy.ids()) == [7]
    assert made.finish().is_converged


def test_replica_update_operations():
    made = synced()
    copy = made.stores[REPLICA]["words"]

    def row(row_id):
        made.advance(ms=STREAMED_MS)
        found = copy.get(row_id)
        return found.vector.tolist(), found.payload

    made.store.update_vector("words", 4, [0.1, -0.2])
    assert row(4) == (np.float32([0.1, -0.2]).tolist(), {"n": 4})
    made.store.update("words", 4, payload={"new": True})
    assert row(4) == (np.float32([0.1, -0.2]).tolist(), {"new": True})
    made.store.update("words", 4, vector=[5, 6], payload={"both": [1, None]})
    assert row(4) == ([5, 6], {"both": [1, None]})
    made.store.update("words", 4, payload=None)
    assert row(4) == ([5, 6], None)
    made.store.update_vectors("words", [1, 2, 3], [[1, 1], [2, 2], [3, 3]])
    assert [row(each) for each in (1, 2, 3)] == [([n, n], {"n": n}) for n in (1, 2, 3)]
    made.store.upsert("words", [9], [[9, 9]])
    assert row(9) == ([9, 9], None)  # An upsert writes the row whole.
    assert list(copy.ids()) == list(range(20))
    same_rows(made)
    assert made.stats(REPLICA).total_replicated == 6


def test_replica_stats_tracking():
    made = synced()
    for number in range(8):
        made.store.update_vector("words", number, [number, 9])
        made.advance(ms=100)
    made.cut(REPLICA)
    made.store.update_vector("words", 0, [0, 9])
    cut_ms = made.now_ms
    made.advance(ms=10_000)
    away = made.stats(REPLICA)
    carried = made.links()[MASTER, REPLICA]
    assert away.bytes_received == carried.delivered_bytes
    assert away.bytes_sent == made.links()[REPLICA, MASTER].sent_bytes
    assert (away.replica_offset, away.total_replicated, away.operations_pending) == (11, 8, 0)
    # It knew itself equal at the last record; then nothing told it otherwise for two heartbeats.
    assert away.last_sync == cut_ms - 100 + STREAMED_MS
    assert away.lag_ms == made.now_ms - away.last_sync
    made.heal()
    run = made.finish()
    back = run.stats[REPLICA]
    assert (back.replica_offset, back.total_replicated, back.lag_ms) == (12, 9, 0)
    assert (back.full_syncs, back.partial_syncs) == (1, 1)
    check_links(run, made.links())


def test_different_distance_metrics():
    made = cluster(1)
    vectors = np.random.default_rng(7).normal(size=(200, 8)).astype(np.float32)
    for metric in ("cosine", "dot", "euclidean"):
        made.store.create_collection(metric, dim=8, metric=metric)
        made.store.upsert(metric, range(100), vectors[:100])
    made.advance(ms=500)
    for metric in ("cosine", "dot", "euclidean"):
        made.store.upsert(metric, range(100, 200), vectors[100:])  # By the stream.
    made.advance(ms=10)
    copy = made.stores[REPLICA]
    orders = set()
    for metric in ("cosine", "dot", "euclidean"):
        assert copy[metric].metric == metric
        mine = made.store.search_many(metric, vectors[:20], k=10)
        theirs = copy.search_many(metric, vectors[:20], k=10)
        assert np.array_equal(mine.ids, theirs.ids)
        assert np.array_equal(mine.scores, theirs.scores)
        orders.add(tuple(theirs.ids[0]))
    assert len(orders) == 3  # The metric matters.
    assert made.finish().is_converged


def test_master_get_stats_coverage():
    made = cluster(2, concern=majority(timeout_ms=300))
    fill(made, 5)
    made.advance(ms=1_500)
    made.cut(OTHER)
    made.store.upsert("words", ["x"], [[1, 0]])
    made.advance(ms=750)
    ways = made.links()
    sent = sum(ways[MASTER, node_id].sent_bytes for node_id in (REPLICA, OTHER))
    received = sum(ways[node_id, MASTER].delivered_bytes for node_id in (REPLICA, OTHER))
    snapshot = [
        row.value
        for row in made._engine.trace.rows
        if (row.event, row.peer) == ("send", REPLICA) and row.kind in ("StartFull", "Chunk")
    ]
    assert made.stats(MASTER).to_dict() == {
        "role": "master",
        "epoch": FIRST_EPOCH,
        "repl_id": "node-0@1",
        "lag_ms": 750.0,
        "lag_operations": 1,
        "master_offset": 7,
        "replica_offset": None,
        "operations_pending": 1,
        "bytes_sent": sent,
        "bytes_received": received,
        "total_replicated": 1,
        "last_sync": 2_006.5,
        "connected_replicas": 2,
        "full_syncs": 2,
        "partial_syncs": 0,
        "partial_sync_refusals": {"first_sync": 2},
        "snapshot_size": sum(snapshot),
        "quarantined_operations": 0,
        "degraded_acks": 0,
        "write_concern_timeouts": 0,
        "unproven_answers": 0,
        "uncommitted_lost": 0,
        "log_first_offset": 1,
        "log_headroom_ms": 2_250.0,
    }


def test_incremental_replication():
    made = synced(2)
    written = []
    made.store.subscribe(written.append)
    for number in range(30):
        made.store.update_vector("words", number % 20, [number, 3])
        made.advance(ms=5)
    run = made.finish()
    for replica in (REPLICA, OTHER):
        sent = rows(run, "send", node=MASTER, peer=replica, kind="Records")
        assert [row.number for row in sent] == list(range(4, 34))
        frame_bytes = 1 + 8 + 4 + (4 + 16) + 20  # Kind, generation, count, hash, and a record's.
        assert [row.value for row in sent] == [frame_bytes + len(encode(each)) for each in written]
        assert run.stats[replica].full_syncs == 1
        assert [row.number for row in rows(run, "apply", node=replica)] == [3, *range(4, 34)]
    check_history(run)


def test_stress_high_volume_replication():
    made = cluster(2, link=Link(delay_ms=1, jitter_ms=3))
    words = made.store.create_collection("words", dim=16)
    made.advance(ms=500)
    vectors = np.random.default_rng(7).normal(size=(50_000, 16)).astype(np.float32)
    for first in range(0, 50_000, 250):
        words.upsert(range(first, first + 250), vectors[first : first + 250])
        made.advance(ms=2)
    for first in range(0, 50_000, 500):
        words.delete(range(first, first + 250))
        made.advance(ms=2)
    run = made.finish()
    assert run.stats[MASTER].master_offset == 2 + 200 + 100
    assert run.stats[MASTER].total_replicated == 2 * 300
    for replica in (REPLICA, OTHER):
        assert run.stats[replica].total_replicated == 300
        assert run.stats[replica].full_syncs == 1
        assert len(made.stores[replica]["words"]) == 25_000
        assert made.stores[replica]["words"].ids() == words.ids()
    assert len(set(digests(made).values())) == 1
    check_history(run)
    check_links(run, made.links())


def test_stress_concurrent_operations():
    load = Workload(
        writes_per_s=100,
        reads_per_s=100,
        source="uniform:60x4",
        clients=10,
        loop="closed",
        think_ms=1,
        keys="zipf",
        insert_share=0.4,
        delete_share=0.2,
        read_policy="linearizable",
    )
    options = ClusterOptions(
        replicas=2, write_concern=majority(), link=Link(delay_ms=1, jitter_ms=4, loss=0.001)
    )
    made = Cluster(options, seed=7, workload=load)
    made.advance(ms=3_000)
    run = made.finish()
    asked = {row.number: row.kind for row in rows(run, "invoke")}
    assert len(asked) > 1_000
    assert set(asked.values()) == {"read", "write", "delete"}
    confirmed = 0
    for row in run.trace.rows:
        if row.event == "confirm":
            confirmed = row.number
        elif (row.event, row.kind) == ("complete", "ok") and asked[row.number] != "read":
            written, entry = json.loads(row.text), node(made, MASTER).log.entry(row.value)
            assert (entry.record.epoch, entry.hash.hex()) == (written["epoch"], written["hash"])
            assert row.value <= confirmed  # Nobody is answered before two disks have it.
    assert len(set(digests(made).values())) == 1
    findings = run.check()
    assert findings.broken == ()
    assert findings["linearizable"].verdict == "held"
    check_history(run)
