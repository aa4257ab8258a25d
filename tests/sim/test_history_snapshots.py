"""Snapshots: tests of an earlier system, each under the name that it had there."""

import zlib
from dataclasses import replace

import numpy as np
import pytest

from tests.sim.checks import check_history, rows, statuses
from tests.sim.clusters import cluster, digests, fill, node
from vectorkit.replication.protocol.messages import Chunk
from vectorkit.sim import Link

MASTER, REPLICA = "node-0", "node-1"
CHUNK_WIRE_BYTES = 1 + 8 + 8 + 8 + 4
"""A chunk's kind, generation, number, checksum and length, before its data."""


def damage(made, change):
    """Let the wire change chunks on their way to the replica."""
    machine = made._engine.machines[REPLICA]
    receive = machine.receive

    def received(source, message, now_ns, size_bytes):
        taken = change(message) if isinstance(message, Chunk) else message
        return receive(source, taken, now_ns, size_bytes)

    machine.receive = received


def flipped(data, place=0):
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def snapshot_bytes(run):
    """What the headers and chunks that have come to the replica took on the wire."""
    carried = rows(run, "deliver", node=REPLICA)
    return sum(row.value for row in carried if row.kind in ("StartFull", "Chunk"))


@pytest.mark.parametrize("by", ["stream", "snapshot"])
def test_large_payload_replication(by):
    """A payload of two mebibytes: larger than a batch, than the window, and than a chunk."""
    made = cluster(1)
    payload = {"text": "ä" * (1 << 20), "numbers": list(range(1_000)), "deep": {"a": [{"b": None}]}}
    words = made.store.create_collection("words", dim=2)
    if by == "snapshot":
        made.cut(REPLICA)
    made.advance(ms=500)
    words.insert(["large"], [[1, 2]], [payload])
    words.insert(["small"], [[3, 4]], [{"n": 1}])
    made.advance(ms=100)
    made.heal()
    run = made.finish()
    copy = made.stores[REPLICA]["words"]
    assert copy.payload("large") == payload
    assert copy.payload("small") == {"n": 1}
    (full,) = rows(run, "apply", node=REPLICA, kind="snapshot")
    assert full.number == (4 if by == "snapshot" else 2)
    if by == "stream":
        sent = rows(run, "send", node=MASTER, kind="Records")
        assert [row.number for row in sent] == [3, 4]
        assert sent[0].value > 2 << 20
    else:
        assert len(rows(run, "deliver", kind="Chunk")) == 33
        assert run.stats[REPLICA].snapshot_size == snapshot_bytes(run) > 2 << 20
    check_history(run)


def test_snapshot_with_large_vectors():
    made = cluster(1)
    made.cut(REPLICA)
    vectors = np.random.default_rng(7).normal(size=(256, 4_096)).astype(np.float32)
    vectors[3, :2] = [-0.0, np.float32(1e-42)]  # Also what rounding or flushing would lose.
    made.store.create_collection("words", dim=4_096, metric="dot").upsert(range(256), vectors)
    made.heal()
    run = made.finish()
    copy = made.stores[REPLICA]["words"]
    got = np.stack([copy.get(row_id).vector for row_id in range(256)])
    assert got.tobytes() == vectors.tobytes()
    chunks = rows(run, "deliver", node=REPLICA, kind="Chunk")
    sizes = [row.value - CHUNK_WIRE_BYTES for row in chunks]
    assert set(sizes[:-1]) == {64 * 1_024}
    assert vectors.nbytes < sum(sizes) < vectors.nbytes + 4_096
    assert run.stats[MASTER].snapshot_size == run.stats[REPLICA].snapshot_size
    assert run.stats[REPLICA].snapshot_size == snapshot_bytes(run)
    check_history(run)


def test_snapshot_checksum_integrity():
    """A chunk that was damaged is asked for again: it never becomes part of the store."""
    made = cluster(1, chunk_bytes=128)
    fill(made, 60)
    kept = made.store.digest()
    broken = []

    def once(chunk):
        if chunk.number in (1, 3) and chunk.number not in broken:
            broken.append(chunk.number)
            return replace(chunk, data=flipped(chunk.data, 100))
        return chunk

    damage(made, once)
    run = made.finish()
    assert broken == [1, 3]
    assert made.stores[REPLICA].digest() == kept
    numbers = [row.number for row in rows(run, "send", node=MASTER, kind="Chunk")]
    assert sorted(numbers) == sorted([*range(max(numbers) + 1), 1, 3])
    assert run.stats[MASTER].partial_sync_refusals == {"first_sync": 1}
    assert run.stats[REPLICA].snapshot_size == made.stats(MASTER).snapshot_size
    check_history(run)


@pytest.mark.parametrize("place", [0, 7, 20, 100])
def test_snapshot_checksum_integrity_of_the_whole(place):
    """Where the damage has a checksum that fits it, the digest of the whole still notices."""
    made = cluster(1, chunk_bytes=128)
    fill(made, 60)
    kept = made.store.digest()
    broken = []

    def forged(chunk):
        if not broken:
            broken.append(chunk.number)
            data = flipped(chunk.data, place)
            return replace(chunk, data=data, checksum=zlib.crc32(data))
        return chunk

    damage(made, forged)
    run = made.finish()
    assert made.stores[REPLICA].digest() == kept
    assert run.stats[MASTER].partial_sync_refusals == {"first_sync": 1, "digest_mismatch": 1}
    assert [row.text for row in rows(run, "sync", node=REPLICA)] == [
        "started first_sync",
        "lost first_sync",
        "started digest_mismatch",
        "finished digest_mismatch",
    ]
    assert [row.kind for row in rows(run, "apply", node=REPLICA)] == ["snapshot"]
    check_history(run)


def test_snapshot_creation_and_application():
    """The snapshot is of one moment, whatever is written while it travels; the rest follows."""
    made = cluster(1, chunk_bytes=128, chunk_window=1, link=Link(delay_ms=10))
    fill(made, 40)
    made.advance(ms=15)
    pinned = made.stats(MASTER).master_offset
    digest = made.store.digest()
    while made.stats(REPLICA).full_syncs == 0:
        made.store.upsert("words", ["0"], [[made.now_ms, 2]])
        made.store.delete("words", [made.store["words"].ids()[-1]])
        made.advance(ms=20)
        if made.stats(REPLICA).full_syncs == 0:
            assert len(made.stores[REPLICA]) == 0
    assert made.stats(MASTER).master_offset > pinned + 10
    run = made.finish()
    announced = rows(run, "digest", node=MASTER)[0]
    assert (announced.number, announced.text) == (pinned, digest)
    applied = rows(run, "apply", node=REPLICA)
    assert [(row.kind, row.number) for row in applied] == [
        ("snapshot", pinned),
        *(("stream", offset) for offset in range(pinned + 1, run.stats[MASTER].master_offset + 1)),
    ]
    assert statuses(run, REPLICA)[:2] == ["Syncing", "Connected"]
    assert run.stats[REPLICA].snapshot_size == snapshot_bytes(run)
    assert len(set(digests(made).values())) == 1
    check_history(run)


def test_snapshot_with_payloads():
    payloads = [
        None,
        {},
        {"n": 0, "f": 0.1, "big": 2**53, "neg": -0.0, "yes": True, "none": [None]},
        {"text": 'ä 漢字 🙂 \u0000 " \\', "": "empty key"},
        {"list": [1, [2, [3, {"deep": []}]]], "z": 1, "a": 2},
        {f"key-{n}": "x" * n for n in range(200)},
    ]
    made = cluster(1, chunk_bytes=100)
    made.cut(REPLICA)
    words = made.store.create_collection("words", dim=2)
    words.upsert(range(len(payloads)), [[n, 1] for n in range(len(payloads))], payloads)
    made.store.create_collection("other", dim=2).upsert(["a"], [[1, 1]], [{"n": 5}])
    made.heal()
    run = made.finish()
    copy = made.stores[REPLICA]
    assert [copy["words"].payload(n) for n in range(len(payloads))] == payloads
    assert copy["words"].payload(0) is None
    assert copy.search("words", [1, 1], k=9, where={"n": 0}).ids == (2,)
    assert copy.search("other", [1, 1], k=9, where={"n": {"gt": 4}}).ids == ("a",)
    assert copy.digest() == made.store.digest()
    assert [row.kind for row in rows(run, "apply", node=REPLICA)] == ["snapshot"]


@pytest.mark.parametrize("collections", [0, 3])
def test_empty_snapshot_replication(collections):
    """Nothing to carry is carried too: one full sync, of a header or of bare configurations."""
    made = cluster(1)
    made.cut(REPLICA)
    for number in range(collections):
        name = f"empty-{number}"
        made.store.create_collection(name, dim=number + 2, metric=("dot", "cosine")[number % 2])
    made.advance(ms=100)
    made.heal()
    run = made.finish()
    copy = made.stores[REPLICA]
    assert list(copy) == [f"empty-{number}" for number in range(collections)]
    assert [copy[name].config for name in copy] == [made.store[name].config for name in copy]
    assert {len(copy[name]) for name in copy} <= {0}
    assert len(rows(run, "deliver", node=REPLICA, kind="Chunk")) == (1 if collections else 0)
    assert run.stats[REPLICA].snapshot_size == run.stats[MASTER].snapshot_size
    assert run.stats[MASTER].snapshot_size == snapshot_bytes(run)
    assert run.stats[REPLICA].full_syncs == run.stats[MASTER].full_syncs == 1
    assert [row.kind for row in rows(run, "apply", node=REPLICA)] == ["snapshot"]
    assert node(made, REPLICA).log.head == node(made, MASTER).log.head
    assert len(set(digests(made).values())) == 1
    made.store.create_collection("first", dim=2).insert(["a"], [[1, 2]])
    made.advance(ms=10)
    assert "a" in made.stores[REPLICA]["first"]
