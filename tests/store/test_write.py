"""An operation that came from elsewhere: checked as by the public methods, committed as it is."""

import numpy as np
import pytest

from vectorkit.errors import (
    CollectionNotFound,
    DuplicateId,
    InvalidInput,
    InvalidPayload,
    InvalidVector,
    VectorNotFound,
    WriteRefused,
)
from vectorkit.operations import (
    CollectionConfig,
    CreateCollection,
    Delete,
    DropCollection,
    EpochStart,
    RenameCollection,
    UpdateVectors,
    Upsert,
    decode,
    encode,
)
from vectorkit.store import VectorStore, write
from vectorkit.types import KEEP


def rows(*numbers):
    return np.array(numbers, np.float32)


@pytest.fixture
def store():
    made = VectorStore()
    write(made, CreateCollection("words", CollectionConfig(2, "dot", "cpu")))
    write(made, Upsert("words", ("king", "queen"), rows([1, 0], [0, 1]), ({"w": 1}, None)))
    return made


def kept(store, name):
    row = store.get("words", name)
    return row.vector.tolist(), row.payload


def test_rows_are_written_whole_and_updates_keep_what_they_do_not_name(store):
    assert kept(store, "king") == ([1, 0], {"w": 1})
    write(store, UpdateVectors("words", ("king",), rows([3, 4]), KEEP))
    write(store, UpdateVectors("words", ("queen", "king"), KEEP, ({"w": 2}, {"w": 3})))
    assert (kept(store, "king"), kept(store, "queen")) == (([3, 4], {"w": 3}), ([0, 1], {"w": 2}))
    write(store, UpdateVectors("words", ("king",), KEEP, None))
    assert kept(store, "king") == ([3, 4], None)


def test_an_operation_is_committed_as_it_is_and_its_encoding_made_once(store):
    seen = []
    store.subscribe(seen.append)
    operation = UpdateVectors("words", ("king",), rows([3, 4]), ({"w": 9},))
    data = encode(operation)
    write(store, operation)
    assert seen == [operation]
    assert encode(seen[0]) is data


def test_one_that_came_over_the_wire_changes_the_store_as_the_one_that_was_sent(store):
    operation = Upsert("words", ("prince",), rows([3, 4]), ({"w": 9, "tags": ["a"]},))
    other = VectorStore()
    write(other, CreateCollection("words", CollectionConfig(2, "dot", "cpu")))
    write(other, Upsert("words", ("king", "queen"), rows([1, 0], [0, 1]), ({"w": 1}, None)))
    write(store, operation)
    write(other, decode(encode(operation)))
    assert store.digest() == other.digest()


def test_parts_that_are_not_as_they_would_be_stored_are_converted(store):
    seen = []
    store.subscribe(seen.append)
    wide = np.array([[3, 4]], np.float64)
    write(store, UpdateVectors("words", ("king",), wide, ({"tags": ("a", "b")},)))
    assert seen[0].vectors.dtype == np.float32
    assert seen[0].payloads == ({"tags": ["a", "b"]},)


def test_deletes_pass_over_rows_that_are_not_there_and_nothing_is_no_write(store):
    seen = []
    store.subscribe(seen.append)
    assert write(store, Delete("words", ("king", "nobody"))).deleted == 1
    assert write(store, Delete("words", ("king",))).deleted == 0
    assert write(store, Upsert("words", (), np.empty((0, 2), np.float32), None)).inserted == 0
    assert seen == [Delete("words", ("king",))]


def test_collections_are_renamed_and_dropped(store):
    write(store, RenameCollection("words", "names"))
    assert list(store) == ["names"]
    write(store, DropCollection("names"))
    assert list(store) == []


REFUSED = {
    "absent row": (VectorNotFound, UpdateVectors("words", ("nobody",), rows([1, 1]), KEEP)),
    "absent collection": (CollectionNotFound, Delete("names", ("king",))),
    "absent collection, rows": (CollectionNotFound, Upsert("names", ("a",), rows([1, 1]), None)),
    "wrong dimension": (InvalidVector, Upsert("words", ("a",), rows([1, 1, 1]), None)),
    "no number": (InvalidVector, UpdateVectors("words", ("king",), rows([1, np.nan]), KEEP)),
    "twice": (DuplicateId, Upsert("words", ("a", "a"), rows([1, 1], [1, 1]), None)),
    "no change": (InvalidInput, UpdateVectors("words", ("king",), KEEP, KEEP)),
    "no JSON": (InvalidPayload, UpdateVectors("words", ("king",), KEEP, ({"w": 1j},))),
    "too few payloads": (InvalidPayload, Upsert("words", ("a", "b"), rows([1, 1], [1, 1]), ({},))),
    "the log's own": (WriteRefused, EpochStart(65536)),
}


@pytest.mark.parametrize(("error", "operation"), REFUSED.values(), ids=REFUSED)
def test_what_the_public_methods_refuse_is_refused_and_changes_nothing(store, error, operation):
    before = store.digest(), store["words"].version
    with pytest.raises(error):
        write(store, operation)
    assert (store.digest(), store["words"].version) == before
