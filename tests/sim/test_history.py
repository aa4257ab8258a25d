"""Connections and syncs: tests of an earlier system, each under the name that it had there."""

from itertools import pairwise

import pytest

from tests.sim.checks import check_history, check_links, rows, statuses
from tests.sim.clusters import cluster, digests, fill, node
from vectorkit.errors import ReadOnlyReplica
from vectorkit.replication import ReplicaStatus, ReplicationStats, majority
from vectorkit.replication.protocol.epochs import FIRST_EPOCH, epoch_of
from vectorkit.sim import Cluster, ClusterOptions, Link, Workload

MASTER, REPLICA, OTHER = "node-0", "node-1", "node-2"
MS = 1_000_000


def messages(run, source, target, *kinds):
    """The kinds of the messages that one node has sent to another, in order."""
    return [
        row.kind
        for row in rows(run, "send", node=source, peer=target)
        if not kinds or row.kind in kinds
    ]


def times_ms(found):
    return [row.time_ns / MS for row in found]


def test_replica_init():
    made = cluster(1)
    replica = node(made, REPLICA)
    assert (replica.id, replica.role.name) == (REPLICA, "replica")
    assert (replica.role.master_id, replica.role.epoch) == (MASTER, FIRST_EPOCH)
    assert (replica.log.head.offset, len(replica.log), len(replica.store)) == (0, 0, 0)
    assert made.stats(REPLICA) == ReplicationStats(
        role="replica",
        epoch=FIRST_EPOCH,
        repl_id="node-0@1",
        lag_ms=0.0,
        lag_operations=0,
        master_offset=0,
        replica_offset=0,
        operations_pending=0,
        bytes_sent=0,
        bytes_received=0,
        total_replicated=0,
        last_sync=None,
        connected_replicas=None,
        full_syncs=0,
        partial_syncs=0,
        partial_sync_refusals={},
        snapshot_size=None,
        quarantined_operations=0,
        degraded_acks=0,
        write_concern_timeouts=0,
        unproven_answers=0,
        uncommitted_lost=0,
        log_first_offset=1,
        log_headroom_ms=0.0,
    )
    (info,) = made.replicas()
    assert (info.id, info.address, info.status) == (REPLICA, "node-1:0", ReplicaStatus.SYNCING)
    assert (info.offset, info.last_heartbeat, info.digest) == (0, None, "")
    with pytest.raises(ReadOnlyReplica):
        replica.store.create_collection("words", dim=2)
    made.advance(ms=0.5)  # Its disk knows that it has started: now it speaks.
    assert (replica.role.master_id, replica.role.epoch) == (MASTER, FIRST_EPOCH)
    assert messages(made.finish(), REPLICA, MASTER)[0] == "Hello"


def test_replica_full_sync_process():
    made = cluster(1, chunk_bytes=64, chunk_window=2, sample_every_ms=1)
    fill(made, 30)
    kept = made.store.digest()
    seen = []
    while made.stats(REPLICA).full_syncs == 0:
        made.advance(ms=0.5)
        (info,) = made.replicas()
        seen.append((info.sync_progress, info.status.value, len(made.stores[REPLICA])))
        assert made.now_ms < 1_000
    assert made.stores[REPLICA].digest() == kept
    before = seen[:-1]
    progress = [each for each, _, _ in before if each < 1] + [1.0]
    assert progress == sorted(progress)
    assert len(set(progress)) > 5  # It can be followed.
    assert {(status, count) for _, status, count in before} == {("Syncing", 0)}  # Not half a store.
    run = made.finish()
    assert statuses(run, REPLICA) == ["Syncing", "Connected"]
    chunks = rows(run, "send", node=MASTER, kind="Chunk")
    assert [row.number for row in chunks] == list(range(len(chunks)))
    assert len(chunks) == 9
    kinds = messages(run, MASTER, REPLICA, "StartFull", "Chunk", "StartPartial", "Records")
    assert kinds == ["StartFull"] + ["Chunk"] * len(chunks)
    assert messages(run, REPLICA, MASTER)[:2] == ["Hello", "RequestChunks"]
    assert [(row.node, row.text) for row in rows(run, "sync")] == [
        (MASTER, "started first_sync"),
        (REPLICA, "started first_sync"),
        (REPLICA, "finished first_sync"),
        (MASTER, "finished first_sync"),
    ]
    check_history(run)


def test_replica_handles_master_restart():
    made = cluster(2, concern=majority())
    fill(made, 10)
    made.confirm()
    made.advance(ms=1_000)
    made.crash(MASTER)
    made.advance(ms=3_000)
    store = made.stores[REPLICA]
    assert store.search("words", [3, 1], k=1).ids == ("3",)  # Reads go on without a master.
    with pytest.raises(ReadOnlyReplica):
        store.upsert("words", ["x"], [[1, 0]])
    before = made.stats(REPLICA)
    made.restart(MASTER)
    made.advance(ms=5_000)
    after = made.stats(REPLICA)
    assert made.master == MASTER
    assert (before.epoch, after.epoch) == (FIRST_EPOCH, epoch_of(2, 0))
    assert (before.full_syncs, after.full_syncs) == (1, 1)
    assert (before.partial_syncs, after.partial_syncs) == (0, 1)
    fill(made, 5)
    assert made.confirm() == 17
    run = made.finish()
    assert len(set(digests(made).values())) == 1
    assert run.check().broken == ()


def test_master_start_and_accept_connections():
    made = cluster(3)
    stats = made.stats(MASTER)
    assert (stats.role, stats.epoch, stats.master_offset) == ("master", FIRST_EPOCH, 1)
    assert (stats.connected_replicas, stats.repl_id) == (0, "node-0@1")
    made.advance(ms=2.5)  # Half a millisecond for a disk, two for the link.
    assert made.stats(MASTER).connected_replicas == 3
    made.advance(ms=100)
    assert [info.status.value for info in made.replicas()] == ["Connected"] * 3
    run = made.finish()
    for replica in (REPLICA, OTHER, "node-3"):
        assert times_ms(rows(run, "deliver", node=MASTER, peer=replica, kind="Hello")) == [2.5]
        (answer,) = rows(run, "send", node=MASTER, peer=replica, kind="StartFull")
        assert answer.time_ns == 2_500_000


def test_replica_full_sync_on_connect():
    made = cluster(1)
    made.cut(REPLICA)
    fill(made, 50)
    made.advance(ms=3_000)
    made.heal()
    run = made.finish()
    assert run.stats[MASTER].partial_sync_refusals == {"first_sync": 1}
    assert run.stats[REPLICA].full_syncs == 1
    assert run.stats[REPLICA].total_replicated == 0  # All by the snapshot, nothing by the stream.
    assert [(row.kind, row.number) for row in rows(run, "apply", node=REPLICA)] == [
        ("snapshot", 51)
    ]
    assert run.is_converged


def test_replica_partial_sync_on_reconnect():
    made = cluster(1)
    fill(made, 20)
    made.advance(ms=1_000)
    chunks = len(rows(made.finish(), "send", kind="Chunk"))
    made.cut(REPLICA)
    fill(made, 7)
    made.advance(ms=8_000)
    made.heal()
    run = made.finish()
    assert len(rows(run, "send", kind="Chunk")) == chunks
    assert [row.number for row in rows(run, "apply", node=REPLICA, kind="stream")] == list(
        range(22, 29)
    )
    assert run.stats[MASTER].partial_syncs == run.stats[REPLICA].partial_syncs == 1
    assert rows(run, "sync", node=MASTER, kind="partial")[-1].text == "finished"
    check_history(run)


def test_replica_heartbeat_and_connection_status():
    made = cluster(1, sample_every_ms=1)
    made.advance(ms=3_500)
    made.cut(REPLICA)
    made.advance(ms=60_000)
    run = made.finish()
    beats = rows(run, "send", node=MASTER, kind="MasterHeartbeat")
    answers = rows(run, "send", node=REPLICA, kind="ReplicaHeartbeat")
    assert times_ms(beats)[:4] == [1_000, 2_000, 3_000, 4_000]
    assert times_ms(answers)[:3] == [1_004.5, 2_004.5, 3_004.5]
    assert [row.number for row in beats[:4]] == [row.number for row in answers[:4]] == [1, 2, 3, 4]
    found = [(row.kind, row.time_ns / MS) for row in rows(run, "status", peer=REPLICA)]
    # Heard at 3,006.5 for the last time; the next sample after 60 s of silence tells.
    assert found[:3] == [("Syncing", 0), ("Connected", 7), ("Disconnected", 63_007)]
    assert found[-1][0] == "Connected"


def test_replica_reconnect_after_disconnect():
    made = cluster(1)
    fill(made, 5)
    made.advance(ms=1_500)
    made.cut(REPLICA)
    made.advance(ms=30_000)
    made.heal()
    made.advance(ms=20_000)
    run = made.finish()
    hellos = rows(run, "send", node=REPLICA, kind="Hello")
    gaps = [later - earlier for earlier, later in pairwise(times_ms(hellos))]
    assert gaps[1:5] == [500, 1_000, 2_000, 4_000]  # The back-off doubles …
    generations = [row.number for row in hellos]
    assert generations == sorted(set(generations))  # … and each try is a connection of its own.
    late = [row for row in rows(run, "deliver", node=MASTER, kind="Hello") if row.time_ns > 2e9]
    assert len(late) == 1
    assert run.replicas[0].status is ReplicaStatus.CONNECTED
    assert run.stats[REPLICA].partial_syncs == 1
    check_history(run)


@pytest.mark.parametrize(("cut_ms", "partial_syncs"), [(1_000, 0), (3_000, 0), (7_000, 1)])
def test_partial_sync_after_brief_disconnect(cut_ms, partial_syncs):
    """A cut shorter than the patience of the connection needs no sync at all, only resends."""
    made = cluster(1)
    fill(made, 5)
    made.advance(ms=1_500)
    made.cut(REPLICA)
    fill(made, 5)
    made.advance(ms=cut_ms)
    made.heal()
    run = made.finish()
    stats = run.stats[MASTER]
    assert (stats.full_syncs, stats.partial_syncs) == (1, partial_syncs)
    assert run.stats[REPLICA].total_replicated == 5
    check_history(run)
    check_links(run, made.links())


def test_full_sync_when_offset_too_old():
    made = cluster(1, log_capacity_operations=10)
    fill(made, 5)
    made.advance(ms=1_500)
    made.cut(REPLICA)
    fill(made, 11)
    assert made.stats(MASTER).log_first_offset == 8  # The replica has 6: 7 is gone.
    made.advance(ms=7_000)
    made.heal()
    run = made.finish()
    assert run.stats[MASTER].partial_sync_refusals == {"first_sync": 1, "too_old": 1}
    assert run.stats[REPLICA].full_syncs == 2
    assert [row.kind for row in rows(run, "apply", node=REPLICA)] == ["snapshot", "snapshot"]
    check_history(run)


def test_multiple_replicas_recovery():
    made = cluster(4, log_capacity_operations=30)
    fill(made, 10)
    made.advance(ms=1_500)
    made.cut("node-1")
    made.crash("node-2")
    made.crash("node-3", lose_disk=True)
    fill(made, 20)
    made.advance(ms=6_000)
    fill(made, 5)
    made.advance(ms=2.25)  # Its disk is at work.
    made.crash("node-4", lose_unsynced=False)
    made.advance(ms=1_000)
    made.heal()
    for node_id in ("node-2", "node-3", "node-4"):
        made.restart(node_id)
    run = made.finish()
    assert len(set(digests(made).values())) == 1
    kinds = {
        node_id: [
            (row.kind, row.text)
            for row in rows(run, "sync", node=MASTER, peer=node_id)
            if row.time_ns > 2_000 * MS and row.text.startswith("finished")
        ]
        for node_id in made.options.node_ids[1:]
    }
    assert kinds == {
        "node-1": [("partial", "finished")],
        "node-2": [("partial", "finished")],
        "node-3": [("full", "finished first_sync")],
        "node-4": [("partial", "finished")],
    }
    assert run.stats[MASTER].connected_replicas == 4
    assert run.check().broken == ()


def test_data_consistency_after_multiple_disconnects():
    made = cluster(2, link=Link(jitter_ms=5, loss=0.02))
    fill(made, 40)
    made.advance(ms=1_500)
    for number in range(6):
        made.cut(REPLICA if number % 2 else OTHER)
        made.store.delete("words", [f"{number}"])
        made.store.update_vector("words", f"{number + 10}", [number, -1])
        made.store.update("words", f"{number + 20}", payload={"round": number})
        made.store.insert("words", [f"new-{number}"], [[number, 2]])
        made.advance(ms=(400, 7_000)[number // 2 % 2])
        made.heal()
        made.advance(ms=9_000)
        assert len(set(digests(made).values())) == 1
        for store in made.stores.values():
            words = store["words"]
            assert f"{number}" not in words
            assert words.get(f"{number + 10}").vector.tolist() == [number, -1]
            assert words.payload(f"{number + 20}") == {"round": number}
            assert words.ids() == made.store["words"].ids()
            found = store.search("words", [1, -1], k=5)
            best = made.store.search("words", [1, -1], k=5)
            assert (found.ids, found.scores.tolist()) == (best.ids, best.scores.tolist())
    run = made.finish()
    assert run.stats[MASTER].full_syncs == 2
    check_history(run)
    assert run.check().broken == ()


def test_basic_master_replica_sync():
    made = cluster(1)
    words = made.store.create_collection("words", dim=3, metric="dot")
    words.upsert(["king", "queen"], [[1, 2, 3], [4, 5, 6]], [{"n": 1}, None])
    made.advance(ms=11)
    copy = made.stores[REPLICA]
    assert copy.digest() == made.store.digest()
    assert (copy["words"].dim, copy["words"].metric) == (3, "dot")
    assert copy.get("words", "king").vector.tolist() == [1, 2, 3]
    assert (copy["words"].payload("king"), copy["words"].payload("queen")) == ({"n": 1}, None)
    words.delete(["king"])
    made.advance(ms=2.5)
    assert list(copy["words"].ids()) == ["queen"]
    assert made.finish().is_converged


@pytest.mark.parametrize("replicas", [1, 2, 5, 9])
def test_multiple_replicas(replicas):
    load = Workload(writes_per_s=100, source="uniform:30x4")
    made = Cluster(ClusterOptions(replicas=replicas), seed=7, workload=load)
    made.advance(ms=2_005)
    run = made.finish()
    assert len(run.replicas) == run.stats[MASTER].connected_replicas == replicas
    assert len(set(digests(made).values())) == 1
    assert {run.stats[info.id].replica_offset for info in run.replicas} == {3 + 200}
    assert {info.status for info in run.replicas} == {ReplicaStatus.CONNECTED}
    check_history(run)
    assert run.check().broken == ()
