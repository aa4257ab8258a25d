"""A snapshot answers as before, whatever is written later; only the next write copies."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.collections.reference import everything, filled, hard_rows
from vectorkit.collections import CpuCollection
from vectorkit.collections.backends import compiled
from vectorkit.errors import VectorNotFound

ROW = np.array([9, 8, 7, 6], np.float32)
MANY = np.multiply.outer(np.arange(1, 201, dtype=np.float32), ROW)


def wide(collection):
    return collection.upsert([f"x{number}" for number in range(100)], MANY[:100])


def count_into(calls, program):
    def spy(*arrays):
        calls.append(program)
        return program(*arrays)

    return spy


WRITES = {
    "update_vector": lambda c: c.update_vector("1", ROW),
    "update_vectors": lambda c: c.update_vectors(["1", "2"], [ROW, ROW]),
    "large update": lambda c: c.update_vectors(c.ids(), MANY[: len(c)]),
    "payload": lambda c: c.update("3", payload={"new": 1}),
    "upsert": lambda c: c.upsert(["1", "new"], [ROW, ROW]),
    "insert within the capacity": lambda c: c.insert(["new"], [ROW]),
    "insert beyond the capacity": wide,
    "delete": lambda c: c.delete(["1", "2"]),
    "delete of the last": lambda c: c.delete(["39"]),
    "delete all": lambda c: c.delete(c.ids()),
}


@pytest.fixture
def collection():
    return filled(CpuCollection)


def test_a_thousand_writes_leave_a_snapshot_as_it_was(collection):
    snapshot, before = collection.snapshot(), everything(collection)
    for number in range(1000):
        name = str(number % 40)
        match number % 4:
            case 0:
                collection.update_vector(name, ROW * number)
            case 1:
                collection.delete([name], missing="ignore")
            case 2:
                collection.upsert([name], [ROW * -number], payloads=[{"m": number}])
            case 3:
                collection.upsert([f"n{number}"], [ROW + number])
    assert everything(snapshot) == before
    assert collection.digest() == collection.snapshot().digest() != before[1]


@pytest.mark.parametrize("first", WRITES)
@pytest.mark.parametrize("second", WRITES)
def test_a_snapshot_survives_every_pair_of_writes(collection, first, second):
    before, start = everything(collection), collection.snapshot()
    WRITES[first](collection)
    between, middle = everything(collection), collection.snapshot()
    if "1" in collection and len(collection) == 40:
        WRITES[second](collection)
    collection.upsert(["1"], [-ROW])
    assert everything(start) == before
    assert everything(middle) == between


@pytest.mark.parametrize("write", WRITES)
def test_only_the_first_write_after_a_snapshot_copies_the_rows(collection, write, monkeypatch):
    collection.update_vector("0", ROW)
    collection.snapshot()
    WRITES[write](collection)
    collection.upsert(["1"], [ROW])
    collection.search(ROW)
    copies = []
    for name in ("write_copy", "move_copy"):
        monkeypatch.setattr(compiled, name, count_into(copies, getattr(compiled, name)))
    collection.update_vector("1", ROW)
    collection.upsert(["a", "b"], [ROW, ROW])
    collection.delete(["1"])
    collection.search(ROW)
    assert copies == []


def test_a_snapshot_sees_writes_that_were_only_accepted(collection):
    collection.update_vector("1", ROW)
    snapshot = collection.snapshot()
    assert snapshot.get("1").vector.tolist() == ROW.tolist()
    assert (snapshot.version, len(snapshot)) == (2, 40)


def test_a_snapshot_has_the_read_methods_of_a_collection(collection):
    snapshot = collection.snapshot()
    assert snapshot.snapshot() is snapshot
    assert (snapshot.dim, snapshot.metric, snapshot.ids()) == (4, "dot", collection.ids())
    assert ("1" in snapshot, "absent" in snapshot, 1 in snapshot) == (True, False, False)
    assert snapshot.payloads() == [{"n": number} for number in range(40)]
    assert snapshot.vectors().tolist() == hard_rows("common", 0, 40, 4).tolist()
    with pytest.raises(VectorNotFound):
        snapshot.get("absent")
    collection.upsert(["absent"], [ROW])
    assert "absent" not in snapshot


def test_a_snapshot_cannot_be_written_to(collection):
    writers = {"insert", "upsert", "update", "update_vector", "update_vectors", "delete"}
    assert writers <= set(dir(collection))
    assert writers & set(dir(collection.snapshot())) == set()


def test_an_old_snapshot_does_not_find_ids_that_came_later(collection):
    snapshot = collection.snapshot()
    collection.insert(["later"], [ROW * 100])
    assert "later" not in snapshot.ids()
    assert snapshot.search(ROW, k=100).ids.count("later") == 0
    assert len(snapshot) == 40


@given(st.lists(st.sampled_from(sorted(WRITES)), max_size=6))
def test_snapshots_taken_between_writes_all_keep_their_state(names):
    collection, kept = filled(CpuCollection, count=40), []
    for name in names:
        kept.append((collection.snapshot(), everything(collection)))
        if {"1", "2", "3", "39"} <= set(collection.ids()) and "new" not in collection:
            WRITES[name](collection)
    assert [everything(snapshot) for snapshot, _ in kept] == [before for _, before in kept]
