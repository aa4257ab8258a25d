"""What each write changes, and that it changes nothing else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.collections.reference import everything, filled, reference_delete
from vectorkit.collections import CpuCollection, WriteResult
from vectorkit.collections import collection as collection_module
from vectorkit.collections.backends import compiled
from vectorkit.collections.storage import storage
from vectorkit.collections.storage.tables import close_holes
from vectorkit.errors import DuplicateId, InvalidId, InvalidInput, VectorExists, VectorNotFound
from vectorkit.types import KEEP

ROW = np.array([9, 8, 7, 6], np.float32)
NAMES = [str(number) for number in range(128)]


@pytest.fixture
def collection():
    return filled(CpuCollection)


def test_update_vector_replaces_the_vector_and_keeps_id_count_and_payload(collection):
    assert collection.update_vector("3", ROW) == WriteResult(updated=1, version=2)
    assert len(collection) == 40
    assert collection.get("3").vector.tobytes() == ROW.tobytes()
    assert collection.get("3").payload == {"n": 3}


def test_update_vector_lets_search_find_the_new_and_not_the_old():
    collection = CpuCollection(dim=2, metric="euclidean")
    collection.insert(["a", "b"], [[0, 0], [5, 5]])
    collection.update_vector("a", [9, 9])
    assert list(collection.search([0, 0], k=1)) == [("b", float(np.float32(-(50**0.5))))]
    assert list(collection.search([9, 9], k=1)) == [("a", 0.0)]


def test_update_vectors_replaces_every_row_it_names(collection):
    assert collection.update_vectors(["5", "2"], [ROW, -ROW]) == WriteResult(updated=2, version=2)
    assert collection.get("5").vector.tolist() == ROW.tolist()
    assert collection.get("2").vector.tolist() == (-ROW).tolist()
    assert collection.get("2").payload == {"n": 2}


def test_the_last_of_many_updates_of_a_row_stands(collection):
    for number in range(3000):
        collection.update_vector("7", ROW * number)
    assert collection.get("7").vector.tolist() == (ROW * 2999).tolist()
    assert collection.version == 3001


@pytest.mark.parametrize("name", ["absent", 3])
@pytest.mark.parametrize(
    "call",
    [
        lambda c, name: c.update_vector(name, ROW),
        lambda c, name: c.update_vectors([name], [ROW]),
        lambda c, name: c.update(name, payload=None),
        lambda c, name: c.update(name, vector=ROW),
        lambda c, name: c.delete([name]),
        lambda c, name: c.get(name),
    ],
)
def test_an_absent_id_is_not_found_and_nothing_changes(collection, call, name):
    before = everything(collection)
    with pytest.raises(KeyError) as caught:
        call(collection, name)
    assert type(caught.value) is VectorNotFound
    assert caught.value.got == repr(name)
    assert caught.value.wanted == "one of its 40 ids"
    assert caught.value.remedy == "write it first with upsert or insert"
    assert caught.value.details == {"id": name}
    assert everything(collection) == before


def test_one_absent_id_among_many_refuses_the_whole_batch(collection):
    before = everything(collection)
    with pytest.raises(VectorNotFound):
        collection.update_vectors(["1", "2", "absent"], [ROW] * 3)
    assert everything(collection) == before


def test_an_update_of_the_vector_keeps_the_payload(collection):
    collection.update("3", vector=ROW)
    assert collection.get("3").vector.tolist() == ROW.tolist()
    assert collection.get("3").payload == {"n": 3}


def test_an_update_of_the_payload_keeps_the_vector(collection):
    before = collection.get("3").vector
    assert collection.update("3", payload={"x": 1}) == WriteResult(updated=1, version=2)
    assert collection.get("3").vector.tobytes() == before.tobytes()
    assert collection.get("3").payload == {"x": 1}


def test_none_clears_the_payload_and_keeps_the_vector(collection):
    before = collection.get("3").vector
    collection.update("3", payload=None)
    assert collection.get("3").vector.tobytes() == before.tobytes()
    assert collection.get("3").payload is None


def test_an_update_of_both_changes_both_in_one_version(collection):
    assert collection.update("3", vector=ROW, payload={}).version == 2
    assert collection.get("3").vector.tolist() == ROW.tolist()
    assert collection.get("3").payload == {}


def test_an_update_of_nothing_is_refused(collection):
    with pytest.raises(InvalidInput) as caught:
        collection.update("3", vector=KEEP, payload=KEEP)
    assert caught.value.wanted == "a vector, a payload or both"
    assert collection.version == 1


def test_insert_of_an_id_that_is_there_is_refused_whole(collection):
    before = everything(collection)
    with pytest.raises(VectorExists) as caught:
        collection.insert(["new", "4", "5"], [ROW] * 3)
    assert (caught.value.got, caught.value.wanted) == ("'4'", "new ids only")
    assert caught.value.details == {"ids": ["4", "5"]}
    assert everything(collection) == before


def test_upsert_replaces_vector_and_payload_and_adds_what_is_new(collection):
    result = collection.upsert(["4", "new"], [ROW, -ROW], payloads=[None, {"y": 2}])
    assert result == WriteResult(inserted=1, updated=1, version=2)
    assert collection.get("4").payload is None
    assert collection.get("4").vector.tolist() == ROW.tolist()
    assert collection.get("new").payload == {"y": 2}
    assert collection.ids()[-1] == "new"


def test_upsert_without_payloads_clears_the_old_ones(collection):
    collection.upsert(["4"], [ROW])
    assert collection.get("4").payload is None


@pytest.mark.parametrize("count", [3, 128, 129, 500])
def test_batches_of_every_size_land_where_they_should(count):
    collection = CpuCollection(dim=2, metric="dot")
    rows = np.arange(count * 2, dtype=np.float32).reshape(count, 2)
    assert collection.insert(range(count), rows).inserted == count
    assert collection.update_vectors(range(count - 1, -1, -1), rows).updated == count
    assert collection.snapshot().vectors().tolist() == rows[::-1].tolist()


ACCEPTED = {
    "update_vector": lambda c, row: c.update_vector("5", row),
    "small batch": lambda c, row: c.update_vectors(["4", "5"], [row, row]),
    "large batch": lambda c, row: c.update_vectors(NAMES[:100], [row] * 100),
}


@pytest.mark.parametrize("first", ACCEPTED)
@pytest.mark.parametrize("second", ACCEPTED)
def test_the_later_of_two_writes_stands_without_a_read_between(first, second):
    collection = filled(CpuCollection, count=128)
    ACCEPTED[first](collection, ROW)
    ACCEPTED[second](collection, -ROW)
    assert collection.get("5").vector.tolist() == (-ROW).tolist()


@pytest.mark.parametrize("name", ["5", "127"])
def test_an_accepted_row_survives_the_delete_of_others_and_growth(name):
    collection = filled(CpuCollection, count=128)
    collection.update_vector(name, ROW)
    collection.delete(["0", "1"])
    collection.update_vector(name, -ROW)
    collection.insert([f"x{number}" for number in range(300)], np.ones((300, 4)))
    assert collection.get(name).vector.tolist() == (-ROW).tolist()


def test_an_accepted_row_of_a_deleted_id_does_not_come_back():
    collection = filled(CpuCollection, count=128)
    collection.update_vector("5", ROW)
    collection.delete(["5"])
    collection.insert(["new"], [-ROW])
    assert collection.snapshot().vectors()[-1].tolist() == (-ROW).tolist()
    assert [name for name in collection.ids() if (collection.get(name).vector == ROW).all()] == []


@given(st.integers(0, 12).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, 11)))))
def test_delete_moves_the_last_rows_into_the_holes(case):
    count, gone = case[0], {name for name in case[1] if name < case[0]}
    collection = CpuCollection(dim=1, metric="dot")
    rows = np.arange(count, dtype=np.float32)[:, None]
    collection.insert(range(count), rows, payloads=[{"n": n} for n in range(count)])
    assert collection.delete(sorted(gone, reverse=True)).deleted == len(gone)
    expected = reference_delete(list(range(count)), gone)
    assert collection.ids() == expected
    assert collection.snapshot().vectors()[:, 0].tolist() == expected
    assert [collection.get(name).payload for name in expected] == [{"n": n} for n in expected]


def test_holes_are_filled_ascending_into_ascending():
    sources, targets = close_holes(np.array([2, 0, 5], np.int32), count=8)
    assert (sources.tolist(), targets.tolist()) == ([6, 7], [0, 2])


def test_delete_ignores_absent_ids_where_told(collection):
    result = collection.delete(["1", "absent", "2"], missing="ignore")
    assert result == WriteResult(deleted=2, version=2)
    assert "1" not in collection


def test_delete_refuses_an_unknown_way_to_treat_absent_ids(collection):
    with pytest.raises(InvalidInput) as caught:
        collection.delete(["1"], missing="maybe")
    assert (caught.value.got, caught.value.wanted) == ("missing='maybe'", "'raise' or 'ignore'")
    assert "1" in collection


@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.delete([]),
        lambda c: c.delete(["absent"], missing="ignore"),
        lambda c: c.upsert([], np.empty((0, 4))),
        lambda c: c.insert([], np.empty((0, 4))),
        lambda c: c.update_vectors([], np.empty((0, 4))),
    ],
)
def test_an_empty_write_changes_nothing(collection, call):
    before = everything(collection)
    assert call(collection) == WriteResult(version=1)
    assert everything(collection) == before


def test_a_deleted_id_may_return_and_an_emptied_collection_may_change_its_kind_of_ids(collection):
    collection.delete(collection.ids())
    assert (len(collection), collection.ids()) == (0, [])
    collection.insert([1, 2], [ROW, -ROW])
    assert collection.ids() == [1, 2]


@pytest.mark.parametrize(
    ("ids", "error"), [(["1", "1"], DuplicateId), ([1, "1"], InvalidId), ([1], InvalidId)]
)
def test_clashing_ids_in_a_batch_are_refused(collection, ids, error):
    before = everything(collection)
    with pytest.raises(error):
        collection.upsert(ids, [ROW] * len(ids))
    assert everything(collection) == before


def test_stored_rows_do_not_follow_the_arrays_of_the_caller(collection):
    rows, single = np.ones((2, 4), np.float32), np.ones(4, np.float32)
    large = np.ones((128, 4), np.float32)
    payload = {"tags": ["a"], "n": 1}
    collection.upsert(["1", "2"], rows, payloads=[payload, None])
    collection.update_vector("3", single)
    collection.update("4", vector=single)
    collection.upsert([f"x{number}" for number in range(128)], large)
    for array in (rows, single, large):
        array[...] = 5
    payload["tags"].append("b")
    payload["n"] = 2
    for name in ("1", "2", "3", "4", "x7"):
        assert collection.get(name).vector.tolist() == [1, 1, 1, 1]
    assert collection.get("1").payload == {"tags": ["a"], "n": 1}


def test_stored_rows_do_not_follow_what_was_returned(collection):
    collection.update("1", vector=ROW, payload={"tags": ["a"], "deep": {"x": [1]}})
    before, snapshot = everything(collection), collection.snapshot()
    for reader in (collection, snapshot):
        row = reader.get("1")
        row.vector[:] = 0
        row.payload["tags"].append("b")
        row.payload["deep"]["x"].clear()
    snapshot.vectors()[:] = 0
    snapshot.payloads()[1]["tags"].append("b")
    collection.ids().clear()
    assert everything(collection) == before
    assert everything(collection.snapshot())[1:] == before[1:]
    assert collection.snapshot().digest() == before[1]


@given(st.lists(st.floats(-(2.0**60), 2.0**60, width=32), min_size=3, max_size=3))
def test_get_returns_the_bits_that_were_put_in(values):
    row = np.array(values, np.float32)
    for metric in ("dot", "cosine", "euclidean"):
        collection = CpuCollection(dim=3, metric=metric)
        collection.insert(["a"], row[None, :])
        collection.insert([str(number) for number in range(9)], np.ones((9, 3)))
        assert collection.get("a").vector.tobytes() == row.tobytes()


@pytest.mark.parametrize("count", [1, 5, 64, 65, 100])
def test_padding_of_a_write_or_a_delete_leaves_the_last_row_of_a_full_capacity(count):
    collection = filled(CpuCollection, count=128)
    last = collection.get("127").vector
    collection.update_vectors(NAMES[:count], [ROW] * count)
    assert collection.get("127").vector.tolist() == last.tolist()
    collection.delete([NAMES[100]])
    assert collection.get("127").vector.tolist() == last.tolist()


@pytest.mark.parametrize("is_held", [False, True])
def test_a_batch_of_several_pieces_is_one_write(is_held, monkeypatch):
    monkeypatch.setattr(storage, "PIECE_ROWS", 150)
    collection, rows = filled(CpuCollection, count=20), np.arange(1_600.0).reshape(400, 4)
    snapshot = collection.snapshot() if is_held else None
    names = [str(number) for number in range(400)]
    assert collection.upsert(names, rows) == (380, 20, 0, 2)
    assert np.array_equal(collection.snapshot().vectors(), rows)
    assert collection.update_vectors(names, rows[::-1]) == (0, 400, 0, 3)
    assert np.array_equal(collection.snapshot().vectors(), rows[::-1])
    if snapshot is not None:
        assert len(snapshot) == 20


def test_a_failure_between_the_pieces_of_a_batch_changes_nothing(monkeypatch):
    monkeypatch.setattr(storage, "PIECE_ROWS", 150)
    collection = filled(CpuCollection, count=400)
    before, real, calls = everything(collection), compiled.write_in_place, []

    def fail_second(*arrays, **options):
        calls.append(arrays)
        if len(calls) == 2:
            raise MemoryError
        return real(*arrays, **options)

    monkeypatch.setattr(compiled, "write_in_place", fail_second)
    with pytest.raises(MemoryError):
        collection.update_vectors(collection.ids(), np.ones((400, 4)))
    assert everything(collection) == before


def test_a_load_in_pieces_keeps_nothing_of_the_memory_that_was_passed(monkeypatch):
    for module in (storage, collection_module):
        monkeypatch.setattr(module, "PIECE_ROWS", 150)
    collection, rows = CpuCollection(dim=4), np.ones((400, 4), np.float32)
    collection.insert(range(400), rows)
    rows[:] = 7
    assert (collection.snapshot().vectors() == 1).all()
    assert rows.flags.writeable
