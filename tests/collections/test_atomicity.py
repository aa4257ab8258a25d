"""Whatever step of a write fails, the old state stands, and trying again succeeds."""

import numpy as np
import pytest

from tests.collections.reference import everything, filled
from vectorkit.collections import CpuCollection, collection
from vectorkit.collections.backends import base, buffer, compiled, exact
from vectorkit.collections.storage import digest, storage
from vectorkit.collections.storage.tables import Tables

ROW = np.array([9, 8, 7, 6], np.float32)
MANY = np.multiply.outer(np.arange(1, 201, dtype=np.float32), ROW)
NAMES = [f"x{number}" for number in range(200)]


class Planned(Exception):
    """The failure that these tests plan."""


def fail(*_, **__):
    raise Planned


@pytest.fixture
def vectors():
    return filled(CpuCollection)


WRITES = {
    "update_vector": lambda c: c.update_vector("1", ROW),
    "update_vectors": lambda c: c.update_vectors(["1", "2"], [ROW, ROW]),
    "large update": lambda c: c.update_vectors([*c.ids()[:35], "38"], MANY[:36]),
    "update of the payload": lambda c: c.update("1", payload={"new": 1}),
    "update of both": lambda c: c.update("1", vector=ROW, payload={"new": 1}),
    "upsert": lambda c: c.upsert(["1", "new"], [ROW, ROW], payloads=[None, {"x": 1}]),
    "large upsert": lambda c: c.upsert([*NAMES[:150], "1"], MANY[:151]),
    "insert that grows": lambda c: c.insert(NAMES, MANY),
    "direct update": lambda c: c.update_vectors(c.ids()[:180], MANY[:180]),
    "delete": lambda c: c.delete(["1", "2"]),
}

# Which writes use which step. A held snapshot turns a write in place into a copy.
STEPS = [
    (storage, "padded_batch", ["insert that grows", "large upsert"]),
    (base, "padded_size", ["delete"]),
    (storage, "grown_capacity", ["insert that grows", "large upsert"]),
    (storage, "close_holes", ["delete"]),
    (exact, "stored_norms", ["insert that grows", "large upsert"]),
    (compiled, "grow", ["insert that grows", "large upsert"]),
    (compiled, "write_in_place", ["insert that grows", "large upsert"]),
    (compiled, "move_in_place", ["delete"]),
    (Tables, "for_overwriting", ["upsert", "large upsert", "update of both", "delete"]),
    (collection, "check_row", ["update_vector", "update of both"]),
    (collection, "check_rows", ["update_vectors", "upsert", "insert that grows"]),
    (collection, "check_ids", ["update_vectors", "upsert", "delete"]),
    (collection, "check_payloads", ["upsert", "insert that grows"]),
    (collection, "check_payload", ["update of the payload", "update of both"]),
    (collection, "Upsert", ["upsert"]),
    (collection, "UpdateVectors", ["update_vectors", "update of both"]),
]
CASES = [(owner, name, write) for owner, name, writes in STEPS for write in writes]


@pytest.mark.parametrize(
    ("owner", "name", "write"), CASES, ids=[f"{name}-{write}" for _, name, write in CASES]
)
def test_a_write_whose_step_fails_changes_nothing_and_may_be_repeated(
    vectors, owner, name, write, monkeypatch
):
    expected = filled(CpuCollection)
    WRITES[write](expected)
    before = everything(vectors)
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, fail)
        with pytest.raises(Planned):
            WRITES[write](vectors)
    assert everything(vectors) == before
    WRITES[write](vectors)
    assert everything(vectors) == everything(expected)


@pytest.mark.parametrize(
    ("name", "write"), [("write_copy", "direct update"), ("move_copy", "delete")]
)
def test_a_copying_write_that_fails_leaves_collection_and_snapshot(name, write, monkeypatch):
    vectors, expected = filled(CpuCollection, count=200), filled(CpuCollection, count=200)
    WRITES[write](expected)
    snapshot, before = vectors.snapshot(), everything(vectors)
    vectors.snapshot()
    with monkeypatch.context() as patch:
        patch.setattr(compiled, name, fail)
        with pytest.raises(Planned):
            WRITES[write](vectors)
    assert everything(vectors) == everything(snapshot) == before
    WRITES[write](vectors)
    assert everything(snapshot) == before
    assert everything(vectors) == everything(expected)


FLUSH_STEPS = [
    (buffer.WriteBuffer, "batch"),
    (exact, "stored_norms"),
    (compiled, "write_in_place"),
]
READS = {
    "search": lambda c: c.search(ROW),
    "search_many": lambda c: c.search_many([ROW]),
    "snapshot": lambda c: c.snapshot(),
    "digest": lambda c: c.digest(),
    "memory": lambda c: c.memory(),
}


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize(("owner", "name"), FLUSH_STEPS, ids=["padded", "norms", "scatter"])
def test_an_accepted_write_outlives_a_read_that_fails(vectors, owner, name, read, monkeypatch):
    expected = filled(CpuCollection)
    for each in (vectors, expected):
        each.update_vector("1", ROW)
        each.upsert(["new"], [-ROW])
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, fail)
        with pytest.raises(Planned):
            READS[read](vectors)
    assert everything(vectors) == everything(expected)


@pytest.mark.parametrize("write", ["delete", "insert that grows", "large upsert"])
@pytest.mark.parametrize(("owner", "name"), FLUSH_STEPS, ids=["padded", "norms", "scatter"])
def test_a_write_whose_flush_fails_keeps_what_was_accepted_before(
    vectors, owner, name, write, monkeypatch
):
    expected = filled(CpuCollection)
    for each in (vectors, expected):
        each.update_vector("3", ROW)
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, fail)
        with pytest.raises(Planned):
            WRITES[write](vectors)
    assert everything(vectors) == everything(expected)


def test_a_full_buffer_that_cannot_be_flushed_refuses_the_next_write(monkeypatch):
    rows = np.multiply.outer(np.arange(buffer.BUFFER_ROWS + 10, dtype=np.float32), ROW)
    vectors = CpuCollection(dim=4, metric="dot")
    vectors.insert(range(len(rows)), rows)
    for number in range(buffer.BUFFER_ROWS):
        vectors.update_vector(number, -rows[number])
    version = vectors.version
    for write in (
        lambda: vectors.update_vector(1030, ROW),
        lambda: vectors.update_vectors([1030, 1031], [ROW, ROW]),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(compiled, "write_in_place", fail)
            with pytest.raises(Planned):
                write()
        assert vectors.version == version
    vectors.update_vector(1030, ROW)
    rows[: buffer.BUFFER_ROWS] *= -1
    rows[1030] = ROW
    assert vectors.snapshot().vectors().tolist() == rows.tolist()


def test_a_digest_that_fails_may_be_asked_again(vectors, monkeypatch):
    expected = vectors.snapshot().digest()
    with monkeypatch.context() as patch:
        patch.setattr(digest, "row_hashes", fail)
        with pytest.raises(Planned):
            vectors.digest()
    assert vectors.digest() == expected


def test_a_search_that_fails_lets_go_of_its_tables(vectors, monkeypatch):
    tables = vectors._storage.tables
    with monkeypatch.context() as patch:
        patch.setattr(compiled, "search", fail)
        with pytest.raises(Planned):
            vectors.search(ROW)
    assert tables.for_overwriting() is tables
    held = vectors.snapshot()
    assert tables.for_overwriting() is not tables
    del held
    assert tables.for_overwriting() is tables


def test_a_refused_batch_of_good_and_bad_rows_may_be_mended_and_sent_again(vectors):
    rows = MANY.copy()
    rows[150, 0] = np.inf
    before = everything(vectors)
    with pytest.raises(ValueError, match="row 150"):
        vectors.insert(NAMES, rows)
    assert everything(vectors) == before
    assert vectors.insert(NAMES, MANY).inserted == 200
