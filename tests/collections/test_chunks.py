"""Rows in chunks: a write after a snapshot copies what it changes, and no more."""

import numpy as np
import pytest

from tests.collections.kinds import InChunks
from tests.collections.reference import everything
from vectorkit.collections import CpuCollection
from vectorkit.collections.backends import compiled
from vectorkit.collections.backends.state import chunk_length, grown_capacity

COUNT = 100
ROWS = np.random.default_rng(0).normal(size=(400, 4)).astype(np.float32)


def filled(kind=InChunks, count=COUNT):
    collection = kind(dim=4, metric="dot")
    collection.insert(range(count), ROWS[:count])
    collection._storage.flush()
    return collection


def chunks(collection):
    return collection._storage.view().state


def addresses(collection):
    return [chunk[0].unsafe_buffer_pointer() for chunk in chunks(collection)]


def changed(before, after):
    """The numbers of the chunks that have other memory now."""
    return [at for at, pair in enumerate(zip(before, after, strict=True)) if pair[0] != pair[1]]


def test_capacities_divide_into_at_most_16_equal_chunks():
    capacities = [8]
    while capacities[-1] < 1 << 22:
        capacities.append(grown_capacity(capacities[-1], capacities[-1] + 1))
    capacities += [grown_capacity(0, count) for count in range(1, 3_000_000, 99_991)]
    for capacity in capacities:
        count, rest = divmod(capacity, chunk_length(capacity))
        assert (rest, 1 <= count <= 16) == (0, True)
        assert capacity <= 8192 or chunk_length(capacity) >= 8192


@pytest.mark.parametrize(
    ("write", "places"),
    [
        (lambda c: c.update_vector(17, ROWS[300]), [2]),
        (lambda c: c.update_vectors([0, 7, 99], ROWS[300:303]), [0, 12]),
        (lambda c: c.upsert(range(100, 104), ROWS[300:304]), [12]),
        (lambda c: c.delete([50]), [6]),
        (lambda c: c.delete([99]), []),
        (lambda c: c.update(3, payload={"n": 1}), []),
    ],
    ids=["one", "three", "behind the last", "delete", "delete the last", "payload"],
)
def test_a_write_after_a_snapshot_copies_only_the_chunks_that_it_changes(write, places):
    collection = filled()
    held, before = collection.snapshot(), everything(collection.snapshot())
    old = addresses(collection)
    write(collection)
    assert changed(old, addresses(collection)) == places
    assert everything(held) == before


def test_a_write_without_a_snapshot_copies_no_chunk():
    collection = filled()
    old = addresses(collection)
    collection.update_vectors(range(0, COUNT, 3), ROWS[200 : 200 + len(range(0, COUNT, 3))])
    collection.delete([5, 60])
    assert changed(old, addresses(collection)) == []


def test_a_copied_chunk_is_copied_once_and_the_others_stay_with_the_snapshot():
    collection = filled()
    held = collection.snapshot()
    collection.update_vector(17, ROWS[300])
    old = addresses(collection)
    collection.update_vector(18, ROWS[301])
    assert changed(old, addresses(collection)) == []
    collection.update_vector(25, ROWS[302])
    assert changed(old, addresses(collection)) == [3]
    del held
    collection.update_vector(33, ROWS[303])
    collection._storage.flush()
    assert changed(old, addresses(collection)) == [3]


def test_growth_adds_chunks_and_leaves_the_others_where_they_are():
    collection = filled(count=60)
    assert [len(chunk[0]) for chunk in chunks(collection)] == [8] * 8
    old = addresses(collection)
    collection.insert(range(60, 100), ROWS[60:100])
    assert [len(chunk[0]) for chunk in chunks(collection)] == [8] * 16
    assert addresses(collection)[:8] == old
    collection.insert(range(100, 200), ROWS[100:200])
    assert [len(chunk[0]) for chunk in chunks(collection)] == [16] * 16


@pytest.mark.parametrize("count", [5, 8, 9, 60, 100, 129, 300])
def test_however_many_chunks_there_are_the_answers_are_those_of_one_array(count):
    whole, divided = filled(CpuCollection, count), filled(InChunks, count)
    for collection in (whole, divided):
        collection.update_vectors(range(0, count, 2), ROWS[100 : 100 + len(range(0, count, 2))])
        collection.delete(range(0, count, 5))
        collection.upsert([1_000, 1], ROWS[:2], [{"n": 1}, None])
    assert len(chunks(whole)) == 1
    assert everything(divided) == everything(whole)
    assert divided.digest() == whole.digest() == divided.snapshot().digest()
    for query in ROWS[:3]:
        for k in (1, 10, count):
            assert list(divided.search(query, k)) == list(whole.search(query, k))
    pairs = zip(divided.batches(size=7), whole.batches(size=7), strict=True)
    assert all(one.vectors.tobytes() == other.vectors.tobytes() for one, other in pairs)
    assert divided.memory().device == whole.memory().device


def test_a_program_that_writes_is_compiled_for_a_chunk_not_for_all_rows():
    collection = filled()
    before = compiled.trace_counts.copy()
    collection.insert(range(200, 201), ROWS[200:201])
    collection.update_vector(200, ROWS[201])
    collection._storage.flush()
    assert compiled.trace_counts - before == {}


def test_rows_of_a_default_collection_lie_in_chunks_of_8192():
    collection = CpuCollection(dim=1, metric="dot")
    collection.reserve(8_193)
    assert [chunk[0].shape for chunk in chunks(collection)] == [(8192, 1)] * 2
    ids = [0, 8_191, 8_192, 16_000]
    collection.insert(range(16_001), np.arange(16_001, dtype=np.float32)[:, None])
    assert [collection.get(name).vector.tolist() for name in ids] == [[name] for name in ids]
    assert collection.search([1], k=3).ids == (16_000, 15_999, 15_998)
