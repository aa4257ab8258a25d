"""The life of codecs: recall on word vectors, memory, ageing and retraining."""

from dataclasses import replace
from functools import cache

import jax
import numpy as np
import pytest

from tests.collections.kinds import CODED, EXACT, KINDS, SECOND
from tests.collections.reference import everything
from tests.collections.test_memory import held_by
from vectorkit import datasets
from vectorkit.collections import CpuCollection, QuantizedCollection, files, load, search
from vectorkit.collections.backends import compiled
from vectorkit.collections.backends.compiled import trace_counts
from vectorkit.errors import InvalidInput, InvalidOption
from vectorkit.operations import SetCodebook
from vectorkit.store import VectorStore, store_of

DIM = 16


@cache
def words():
    """10,000 rows, 100 queries that are not among them, and the true best ten."""
    vectors = datasets.glove(limit=10_100).vectors
    rows, queries = np.array(vectors[:10_000]), np.array(vectors[10_000:])
    exact = CpuCollection(dim=50)
    exact.insert(range(10_000), rows)
    return rows, queries, exact.search_many(queries, k=10)


def recall_of(**options):
    rows, queries, truth = words()
    collection = QuantizedCollection(dim=50, **options)
    collection.insert(range(10_000), rows)
    found = collection.search_many(queries, k=10)
    pairs = zip(found.ids.tolist(), truth.ids.tolist(), strict=True)
    return sum(len(set(mine) & set(true)) for mine, true in pairs) / truth.ids.size


RECALLS = [
    ({"codec": "int8"}, 0.99),
    ({"codec": "int8", "rows": "none"}, 0.97),
    ({"codec": "binary", "rescore": 8}, 0.99),
    ({"codec": "binary", "rows": "none"}, 0.7),
    ({"codec": "pq", "rescore": 8}, 0.98),
    ({"codec": "pq", "rows": "none"}, 0.71),
]


@pytest.mark.parametrize(("options", "floor"), RECALLS, ids=str)
def test_recall_on_word_vectors_is_above_its_bar(options, floor):
    assert recall_of(**options) >= floor


def shifted_recall(metric, shift, first=0, **options):
    """Recall@10 at rescore 8 of 2,000 normal rows and 50 queries, all moved by `shift`."""
    drawn = np.random.default_rng(5).normal(size=(2_050, 48)).astype(np.float32) + np.float32(shift)
    rows, queries = drawn[:2_000], drawn[2_000:]
    exact = CpuCollection(dim=48, metric=metric)
    exact.insert(range(2_000), rows)
    coded = QuantizedCollection(dim=48, metric=metric, codec="binary", rescore=8, **options)
    for start, stop in ((0, first), (first, 2_000)) if first else ((0, 2_000),):
        coded.insert(range(start, stop), rows[start:stop])
    pairs = zip(exact.search_many(queries).ids, coded.search_many(queries).ids, strict=True)
    return sum(len(set(true) & set(mine)) for true, mine in pairs) / 500


@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean"])
@pytest.mark.parametrize("shift", [0, 50, -50])
def test_binary_recall_does_not_fall_where_all_rows_lie_far_from_the_origin(metric, shift):
    assert shifted_recall(metric, shift) >= 0.97


@pytest.mark.parametrize("first", [1, 10])
def test_a_small_first_write_gives_a_centre_that_is_good_enough(first):
    assert shifted_recall("cosine", 50, first) >= 0.95


def test_a_centre_is_reported_retrained_saved_and_part_of_the_digest(tmp_path):
    rows = np.random.default_rng(0).normal(size=(300, 20)).astype(np.float32)
    one = QuantizedCollection(dim=20, codec="binary")
    one.insert(range(300), rows)
    fresh = one.codec_report()
    assert (fresh.learns, fresh.written_since) == ("centre", 0)
    assert fresh.error == fresh.training_error > 0
    centre = one._storage.state.codec.parameters["centre"]
    assert centre.tolist() == rows.astype(np.float64).mean(axis=0).astype(np.float32).tolist()
    assert one.memory().host["centre"] == 80
    other = QuantizedCollection(dim=20, codec="binary")
    other.insert([0], rows[:1])
    other.insert(range(1, 300), rows[1:])
    assert other.digest() != one.digest()
    assert other.retrain().updated == 300
    assert other.digest() == one.digest()
    assert other.codec_report() == fresh
    one.save(tmp_path / "codes.vk")
    again = load(tmp_path / "codes.vk")
    assert again.digest() == one.digest()
    assert again.codec_report() == fresh


def test_codes_in_the_form_of_an_earlier_version_are_refused(tmp_path):
    old = QuantizedCollection(dim=20, codec="binary")
    old.insert(range(3), np.eye(3, 20))
    old.save(tmp_path / "codes.vk")
    contents = files.read(tmp_path / "codes.vk")
    arrays = dict(contents.arrays)
    arrays["norms"] = arrays.pop("heights")
    files.write(tmp_path / "codes.vk", replace(contents, arrays=arrays))
    with pytest.raises(InvalidInput, match=r"earlier vectorkit.* without heights.* write its rows"):
        load(tmp_path / "codes.vk")


@pytest.mark.parametrize("place", ["device", "none"])
def test_a_copy_from_a_snapshot_has_the_codes_and_the_centre_bit_for_bit(place):
    rows = np.random.default_rng(0).normal(size=(90, 20)).astype(np.float32) + np.float32(50)
    store = VectorStore()
    codes = store.create_collection("codes", dim=20, kind="quantized", codec="binary", rows=place)
    codes.insert(range(40), rows[:40])
    codes.insert(range(40, 90), rows[40:])
    copy = store_of(store.snapshot().operations())
    assert copy.digest() == store.digest()
    mine, its = (each["codes"]._storage.state for each in (store, copy))
    assert [a.tobytes() for a in mine.codec.parameters.values()] == [
        a.tobytes() for a in its.codec.parameters.values()
    ]
    for a, b in zip(mine.codes, its.codes, strict=True):
        assert np.asarray(a)[:90].tobytes() == np.asarray(b)[:90].tobytes()


def filled(make, count=6_000, dim=50):
    rows = np.random.default_rng(0).normal(size=(count, dim)).astype(np.float32)
    collection = make(dim=dim)
    collection.insert([f"row number {number}" for number in range(count)], rows)
    for number in range(20):
        collection.update_vector(f"row number {number}", rows[-1])
        collection.search(rows[0])
    collection.search_many(rows[:9])
    collection.digest()
    return collection


@pytest.mark.parametrize("kind", KINDS)
def test_memory_is_within_five_percent_of_what_every_kind_holds(kind):
    filled(KINDS[kind])  # Compiles, which is not the collection's.
    collection, traced, arrays = held_by(lambda: filled(KINDS[kind]))
    memory, on_host = collection.memory(), 0
    if kind.endswith("rows host"):
        on_host = memory.host["rows"]
        assert on_host == 8_192 * 50 * 4
    assert memory.host_bytes - on_host == pytest.approx(traced, rel=0.05)
    assert memory.device_bytes + on_host == arrays
    assert ("rows" in memory.device) == (kind in EXACT or kind.endswith("rows device"))


def far_rows(seed, count, offset=0.0, scale=1.0):
    """Rows in a few lumps: what a codebook has not seen it codes badly."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(12, DIM)) * scale + offset
    lumps = centres[rng.integers(0, 12, count)]
    return (lumps + rng.normal(size=(count, DIM)) * 0.1).astype(np.float32)


def drifted(place="device", count=400):
    collection = QuantizedCollection(dim=DIM, metric="euclidean", codec="pq", rows=place)
    collection.insert(range(count), far_rows(1, count))
    collection.update_vectors(range(count), far_rows(2, count, offset=4.0))
    return collection


@pytest.mark.parametrize("place", ["device", "host"])
def test_a_codebook_ages_as_rows_drift_and_retraining_mends_it(place):
    collection = QuantizedCollection(dim=DIM, codec="pq", rows=place)
    collection.insert(range(1_200), far_rows(1, 1_200))
    fresh = collection.codec_report()
    assert fresh.error == fresh.training_error < 0.01
    assert fresh.written_since == 0
    rows = far_rows(2, 1_200, offset=4.0)
    collection.update_vectors(range(1_200), rows)
    aged = collection.codec_report()
    assert aged.training_error == fresh.training_error
    assert aged.error > 20 * fresh.error
    assert aged.written_since == 1_200
    before = collection.snapshot()
    assert collection.retrain() == (0, 1_200, 0, 3)
    mended = collection.codec_report()
    assert mended.error == mended.training_error < 0.01
    assert mended.written_since == 0
    assert collection.snapshot().vectors().tobytes() == rows.tobytes()
    assert collection.digest() != before.digest()
    state = collection._storage.state
    for codes, expected in zip(state.codes, state.codec.encode(rows), strict=True):
        assert np.asarray(codes)[:1_200].tolist() == expected.tolist()
    collection.update_vector(5, rows[6])
    collection.digest()
    assert collection.codec_report().written_since == 1


def test_rows_that_are_decoded_have_no_error_to_report_and_may_be_retrained():
    collection = drifted("none")
    assert collection.codec_report().error is None
    before = collection.snapshot().vectors()
    assert collection.retrain().updated == 400
    after = collection.snapshot().vectors()
    assert np.square(after - before).sum() < 0.01 * np.square(before).sum()
    assert collection.digest() == collection.snapshot().digest()
    assert collection.codec_report().training_error < 0.01


def overwrite(collection):
    for number in range(3):
        rows = np.ones((len(collection), DIM), np.float32)
        collection.update_vector(number, rows[0] * number)
        collection.search(rows[0])
        collection.update_vectors(collection.ids(), rows * number)
        collection.delete(collection.ids()[100:101])


@pytest.mark.parametrize("place", ["device", "host", "none"])
@pytest.mark.parametrize("held", ["before", "between", "after"])
def test_a_snapshot_held_around_retraining_stands_through_writes_in_place(place, held):
    collection, taken = drifted(place), {}
    query = np.ones(DIM, np.float32)

    def hold(moment):
        if moment == held:
            snapshot = collection.snapshot()
            taken[snapshot] = everything(snapshot, query), snapshot.vectors().tobytes()

    hold("before")
    collection.retrain()
    hold("between")
    collection.retrain()
    hold("after")
    overwrite(collection)
    collection.retrain()
    overwrite(collection)
    for snapshot, (answers, rows) in taken.items():
        assert everything(snapshot, query) == answers
        assert snapshot.vectors().tobytes() == rows


def test_a_replayed_codebook_leaves_a_snapshot_as_it_was():
    """A replica gets the codebook by itself: nothing but the snapshot asked for keeps the rows."""
    master, replica = drifted(), drifted()
    master.retrain()
    operations = []
    master._bind(
        lambda c, operation: operations.append(operation) or c._plan(operation).make(),
        master._guard,
    )
    master.retrain()
    snapshot, before = replica.snapshot(), everything(replica, np.ones(DIM, np.float32))
    replica._plan(operations[0]).make()
    overwrite(replica)
    assert everything(snapshot, np.ones(DIM, np.float32)) == before


def test_a_codec_that_learns_nothing_refuses_to_be_retrained_or_given_a_codebook():
    collection = QuantizedCollection(dim=DIM)
    collection.insert(range(5), far_rows(0, 5))
    digest = collection.digest()
    with pytest.raises(InvalidOption, match="learns nothing"):
        collection.retrain()
    with pytest.raises(InvalidOption, match="no codec that learns"):
        collection._plan(SetCodebook("", np.zeros(DIM, np.float32)))()
    assert (collection.version, collection.digest()) == (1, digest)


@pytest.mark.parametrize("codec", ["binary", "pq"])
def test_an_empty_collection_refuses_to_be_retrained_and_learns_from_its_first_rows(codec):
    collection = QuantizedCollection(dim=DIM, codec=codec)
    digest = collection.digest()
    with pytest.raises(InvalidOption, match="learned from nothing"):
        collection.retrain()
    assert (collection.version, collection.digest()) == (0, digest)
    report = collection.codec_report()
    assert (report.training_error, report.error, report.written_since) == (0.0, None, 0)
    collection.insert(range(300), far_rows(1, 300))
    collection.delete(range(300))
    with pytest.raises(InvalidOption, match="learned from nothing"):
        collection.retrain()
    assert collection.search(np.ones(DIM)).ids == ()


@pytest.mark.parametrize("kind", CODED)
def test_codes_lie_on_the_device_and_rows_where_they_were_asked_to_be(kind):
    collection = CODED[kind](dim=DIM)
    for first in (0, 300):
        collection.insert(range(first, first + 300), far_rows(first, 300))
        collection.update_vector(first, np.ones(DIM))
        collection.snapshot()
        collection.delete([first + 1])
        collection.search(np.ones(DIM))
        if kind.startswith("pq"):
            collection.retrain()
    state, codes_on = collection._storage.state, {collection.device}
    assert codes_on == {SECOND if kind.endswith("host") else jax.local_devices()[0]}
    assert all(codes.devices() == codes_on for codes in state.codes)
    assert (state.rows is None) == kind.endswith("none")
    if state.rows is not None:
        assert state.rows.devices() == {jax.local_devices()[0]}


@pytest.mark.parametrize("codec", ["int8", "binary", "pq"])
def test_a_write_changes_codes_and_rows_by_one_program_or_not_at_all(codec, monkeypatch):
    collection = QuantizedCollection(dim=4, codec=codec)
    rows = np.random.default_rng(0).normal(size=(300, 4))
    collection.insert(range(300), rows)
    before, called, real = collection.digest(), [], compiled.write_in_place

    def fail(*arrays, **options):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(compiled, "write_in_place", fail)
        with pytest.raises(MemoryError):
            collection.update_vectors(range(200), rows[100:])
    assert collection.digest() == before

    def spy(*arrays, **options):
        called.append(len(arrays[0]))
        return real(*arrays, **options)

    monkeypatch.setattr(compiled, "write_in_place", spy)
    collection.update_vectors(range(200), rows[100:])
    assert called == [len(collection.memory().device)]


def test_reports_and_retraining_cost_the_next_write_no_copy(monkeypatch):
    collection = QuantizedCollection(dim=4, codec="pq")
    collection.insert(range(300), np.random.default_rng(0).normal(size=(300, 4)))
    collection.codec_report()
    collection.retrain()
    collection.codec_report()
    monkeypatch.setattr(compiled, "write_copy", None)
    collection.update_vectors(range(200), np.ones((200, 4)))
    assert collection.get(5).vector.tolist() == [1] * 4


@pytest.mark.parametrize("codec", ["binary", "pq"])
@pytest.mark.parametrize("rows", ["device", "none"])
def test_the_first_write_trains_whatever_is_read_before_the_second(rows, codec):
    vectors = np.random.default_rng(0).normal(size=(20, 4))
    digests = set()
    for reads in (False, True):
        collection = QuantizedCollection(dim=4, codec=codec, rows=rows)
        collection.insert(range(5), vectors[:5])
        if reads:
            collection.get(0)
        collection.insert(range(5, 20), vectors[5:])
        digests.add(collection.digest())
    assert len(digests) == 1


def test_an_empty_collection_of_codes_that_learn_has_a_report():
    report = QuantizedCollection(dim=8, codec="pq", rows="none").codec_report()
    assert (report.error, report.written_since, report.row_bytes) == (None, 0, 6)


PROGRAMS = {
    "device": ["scan_and_rescore"],
    "host": ["scan", "rescore"],
    "none": ["scan", "read", "rescore"],
}


@pytest.mark.parametrize("place", PROGRAMS)
@pytest.mark.parametrize("codec", ["int8", "binary", "pq"])
@pytest.mark.parametrize("batch", [1, 9])
def test_a_search_is_one_program_where_all_lies_together_and_scores_k_and_a_margin_on_the_host(
    codec, place, batch, monkeypatch
):
    rows = np.random.default_rng(0).normal(size=(600, 8)).astype(np.float32)
    device = SECOND if place == "host" else None
    collection = QuantizedCollection(dim=8, codec=codec, rows=place, rescore=8, device=device)
    collection.insert(range(600), rows)
    collection.digest()
    called, shapes, real = [], [], search.canonical_scores

    def spy_on(name):
        program = getattr(compiled, name)

        def spy(*arrays, **options):
            called.append(name)
            return program(*arrays, **options)

        monkeypatch.setattr(compiled, name, spy)

    for name in ("scan_and_rescore", "scan", "read", "rescore"):
        spy_on(name)

    def score(found, queries, metric):
        shapes.append(found.shape)
        return real(found, queries, metric)

    monkeypatch.setattr(search, "canonical_scores", score)
    collection.search_many(rows[:batch], k=10)
    assert called == PROGRAMS[place]
    assert shapes == [(batch, 16, 8)]


@pytest.mark.parametrize("kind", CODED)
def test_batches_of_9_to_16_queries_and_every_count_of_rows_share_their_programs(kind):
    rows = np.random.default_rng(0).normal(size=(200, 23)).astype(np.float32)
    collection = CODED[kind](dim=23)
    collection.insert(range(150), rows[:150])
    collection.search_many(rows[:16])
    before = trace_counts.copy()
    for size in range(9, 17):
        collection.search_many(rows[:size], k=9 + size % 2)
        collection.upsert([150 + size], rows[size][None])
        collection.delete([size])
        collection.search_many(rows[:size])
    assert {name for name in trace_counts - before if name not in ("write", "move")} == set()
