"""Every kind, metric and operation arrives whole: full syncs, deletes, volume, cuts anywhere."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sim.checks import check_history, check_links, rows
from tests.sim.clusters import cluster, digests, fill
from vectorkit import KEEP
from vectorkit.operations import EpochStart
from vectorkit.sim import Link
from vectorkit.store import store_of

MASTER, REPLICA = "node-0", "node-1"
METRICS = ("cosine", "dot", "euclidean")
KINDS = {
    "cpu": {"kind": "cpu"},
    "sharded": {"kind": "sharded"},
    "int8": {"kind": "quantized", "codec": "int8", "rows": "device", "rescore": 3},
    "binary": {"kind": "quantized", "codec": "binary", "rows": "host", "rescore": 16},
    "int8 alone": {"kind": "quantized", "codec": "int8", "rows": "none"},
    "pq": {"kind": "quantized", "codec": "pq", "rows": "host"},
}


def drawn(count, dim, seed=7):
    return np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32)


def answers(store):
    """What searches find in every collection, and in which slots the rows stand."""
    found = {}
    for name in store:
        words = store[name]
        query = np.ones(words.dim, np.float32)
        matches = words.search(query, k=8)
        found[name] = (words.config, words.ids(), matches.ids, matches.scores.tolist())
    return found


@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS.keys())
def test_an_empty_replica_gets_every_kind_in_every_metric_with_payloads(options):
    made = cluster(1, chunk_bytes=4_096)
    made.cut(REPLICA)
    for metric in METRICS:
        words = made.store.create_collection(metric, dim=16, metric=metric, **options)
        payloads = [{"n": n, "tags": ["a", str(n)]} if n % 3 else None for n in range(300)]
        words.upsert(range(300), drawn(300, 16), payloads)
        words.delete([4, 98, 299])
        words.update(5, payload={"late": True})
    made.advance(ms=100)
    made.heal()
    run = made.finish()
    copy = made.stores[REPLICA]
    assert copy.digest() == made.store.digest()
    assert answers(copy) == answers(made.store)
    for name in METRICS:
        assert [copy[name].payload(n) for n in (3, 5, 7)] == [
            None,
            {"late": True},
            {"n": 7, "tags": ["a", "7"]},
        ]
    assert [row.kind for row in rows(run, "apply")] == ["snapshot"]
    assert (run.stats[MASTER].full_syncs, run.stats[REPLICA].full_syncs) == (1, 1)
    carried = [row.value for row in rows(run, "deliver") if row.kind in ("StartFull", "Chunk")]
    assert run.stats[MASTER].snapshot_size == run.stats[REPLICA].snapshot_size == sum(carried)
    assert len(carried) > 10


def test_a_retrained_codebook_travels_too():
    made = cluster(1)
    words = made.store.create_collection("words", dim=16, kind="quantized", codec="pq")
    words.upsert(range(300), drawn(300, 16))
    made.advance(ms=500)
    words.retrain()
    words.upsert(range(300, 400), drawn(100, 16, seed=8))
    run = made.finish()
    assert run.is_converged
    assert answers(made.stores[REPLICA]) == answers(made.store)


def test_deletes_arrive_in_bounded_time_while_a_reader_holds_a_snapshot():
    made = cluster(1)
    words = made.store.create_collection("words", dim=4)
    words.upsert(range(500), drawn(500, 4), [{"n": n} for n in range(500)])
    made.advance(ms=1_000)
    assert made.stats(REPLICA).full_syncs == 1
    copy = made.stores[REPLICA]
    held = copy.snapshot()
    before = held["words"].digest()
    for number in range(0, 500, 2):
        words.delete([number])
    made.advance(ms=3.5)  # The link takes two, each disk half a millisecond, with one to spare.
    assert copy["words"].ids() == words.ids()
    assert len(copy["words"]) == 250
    assert not any(number in copy["words"] for number in range(0, 500, 2))
    assert len(held["words"]) == 500
    assert held["words"].digest() == before
    assert held["words"].get(0).payload == {"n": 0}
    assert made.stats(REPLICA).total_replicated == 250
    assert made.finish().stats[REPLICA].full_syncs == 1


def test_a_deleted_row_stays_deleted_after_another_full_sync():
    made = cluster(1, log_capacity_operations=10)
    fill(made, 20)
    made.advance(ms=1_000)
    made.cut(REPLICA)
    for number in range(19):
        made.store.delete("words", [f"{number}"])
    made.advance(ms=10_000)
    made.heal()
    run = made.finish()
    assert run.stats[MASTER].partial_sync_refusals == {"first_sync": 1, "too_old": 1}
    assert len(made.stores[REPLICA]["words"]) == 0


def test_ten_thousand_operations_arrive_and_are_counted_exactly():
    made = cluster(2, link=Link(delay_ms=2, jitter_ms=3, loss=0.01))
    words = made.store.create_collection("words", dim=4)
    made.advance(ms=1_000)
    vectors = drawn(100, 4)
    for number in range(9_999):
        words.upsert([number % 1_000], vectors[number % 100 : number % 100 + 1])
        if number % 10 == 9:
            made.advance(ms=1)
    run = made.finish()
    assert run.stats[MASTER].master_offset == 10_001
    assert run.stats[MASTER].operations_pending == 0
    for replica in (REPLICA, "node-2"):
        assert run.stats[replica].replica_offset == 10_001
        assert run.stats[replica].total_replicated == 9_999
        assert run.stats[replica].full_syncs == 1
    assert run.stats[MASTER].total_replicated == 2 * 9_999
    check_history(run)
    check_links(run, made.links())


def test_ten_clients_of_a_hundred_interleaved_writes_each():
    made = cluster(2)
    words = made.store.create_collection("words", dim=4)
    made.advance(ms=500)
    vectors = drawn(1_000, 4)
    for turn in range(100):
        for client in range(10):
            words.upsert(
                [f"{client}-{turn % 20}"],
                vectors[None, 10 * turn + client],
                [{"client": client, "turn": turn}],
            )
            made.advance(ms=0.1)
    run = made.finish()
    assert run.stats[MASTER].master_offset == 1_002
    assert len(set(digests(made).values())) == 1
    for store in made.stores.values():
        assert len(store["words"]) == 200
        for client in range(10):
            turns = [store["words"].payload(f"{client}-{each}")["turn"] for each in range(20)]
            assert turns == list(range(80, 100))
    check_history(run)


def test_vectors_of_1536_numbers_and_a_payload_of_a_thousand_keys():
    made = cluster(2)
    words = made.store.create_collection("words", dim=1_536)
    made.advance(ms=500)
    vectors = drawn(64, 1_536)
    payload = {f"key-{n:04d}": {"n": n, "text": "é" * 20, "list": [n, None]} for n in range(1_000)}
    words.upsert(range(64), vectors, [payload if n == 9 else None for n in range(64)])
    run = made.finish()
    for replica in (REPLICA, "node-2"):
        copy = made.stores[replica]["words"]
        assert copy.payload(9) == payload
        assert np.array_equal(np.stack([copy.get(n).vector for n in range(64)]), vectors)
        assert run.stats[replica].total_replicated == 1
    assert len(set(digests(made).values())) == 1
    sent = rows(run, "send", node=MASTER, peer=REPLICA, kind="Records")
    assert sent[0].value > 64 * 1_536 * 4


STEPS = ("create", "upsert", "vector", "payload", "clear", "codebook", "delete", "rename", "drop")


def step(store, name):
    """One operation of each type, on collections of its own so that any order is valid."""
    match name:
        case "create":
            store.create_collection("new", dim=3, metric="dot")
        case "upsert":
            store.upsert("rows", ["x", "y"], [[1, 2], [3, 4]], [{"n": 1}, None])
        case "vector":
            store.update_vectors("rows", ["a", "b"], [[5, 6], [7, 8]])
        case "payload":
            store.update("rows", "b", vector=[9, 9], payload={"late": 1})
        case "clear":
            store.update("rows", "a", vector=KEEP, payload=None)
        case "codebook":
            store["codes"].retrain()
        case "delete":
            store.delete("rows", ["c"])
        case "rename":
            store.rename_collection("old", "renamed")
        case "drop":
            store.drop_collection("gone")


@settings(max_examples=2 * settings.default.max_examples)
@given(
    st.permutations(STEPS),
    st.integers(0, len(STEPS)),
    st.integers(0, len(STEPS)),
    st.sampled_from(["cut", "crash", "crash of the master"]),
)
def test_every_operation_type_once_in_any_order_cut_at_any_offset(order, first, length, fault):
    made = cluster(1)
    store = made.store
    stream = []
    store.subscribe(stream.append)
    for name in ("rows", "old", "gone"):
        store.create_collection(name, dim=2)
    codes = store.create_collection("codes", dim=2, kind="quantized", codec="pq")
    codes.upsert(range(300), drawn(300, 2))
    store.upsert("rows", ["a", "b", "c"], [[1, 0], [0, 1], [1, 1]], [{"n": 1}, None, None])
    made.advance(ms=100)
    for number, name in enumerate(order):
        if number == first:
            if fault == "cut":
                made.cut(REPLICA)
            else:
                made.crash(REPLICA)
        step(store, name)
        made.advance(ms=5)
        if number == first + length:
            made.heal()
            made.restart(REPLICA)
    if fault == "crash of the master":
        made.advance(ms=1)
        made.crash(MASTER)
        made.restart(MASTER)
    run = made.finish()
    expected = store_of([EpochStart(1), *stream])
    kinds = {type(operation).__name__ for operation in stream}
    assert kinds == {
        "CreateCollection",
        "DropCollection",
        "RenameCollection",
        "Upsert",
        "UpdateVectors",
        "Delete",
        "SetCodebook",
    }
    assert run.is_converged
    assert set(digests(made).values()) == {expected.digest()}
    for copy in made.stores.values():
        assert answers(copy) == answers(expected)
