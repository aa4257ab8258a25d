"""What is accepted, what is refused by which name, and that nothing changed."""

import json

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from tests.collections.reference import everything, filled
from vectorkit.collections import Collection, CpuCollection, WriteResult, validation
from vectorkit.collections.validation import K_MAX
from vectorkit.errors import (
    DuplicateId,
    InvalidDimension,
    InvalidId,
    InvalidK,
    InvalidPayload,
    InvalidVector,
    UnknownMetric,
    VectorKitError,
)

GOOD = [1.0, 2.0, 3.0, 4.0]
NOT_FINITE = "no NaN, no infinity, a norm below 1.8e19"
NUMBERS = "real numbers: float or integer arrays, nested lists of equal length, DataFrames"


@pytest.fixture
def collection():
    return filled(CpuCollection)


BAD_ROWS = {
    "nan": ([1, 2, np.nan, 4], NOT_FINITE),
    "infinity": ([1, 2, np.inf, 4], NOT_FINITE),
    "squared norm overflows": ([1e19, 1e19, 1e19, 1e19], NOT_FINITE),
    "beyond float32": ([1e300, 0, 0, 0], NOT_FINITE),
    "too short": ([1, 2, 3], None),
    "too deep": ([[1, 2, 3, 4]], None),
    "a number": (1.0, None),
    "text": (["a", "b", "c", "d"], NUMBERS),
    "bool": ([True, False, True, True], NUMBERS),
    "complex": ([1j, 2, 3, 4], NUMBERS),
    "none": (None, NUMBERS),
    "objects": ([1, 2, 3, None], NUMBERS),
    "ragged": ([1, 2, 3, [4]], NUMBERS),
}
ROW_CALLS = {
    "update_vector": (lambda c, row: c.update_vector("1", row), "shape (4,)"),
    "update": (lambda c, row: c.update("1", vector=row), "shape (4,)"),
    "search": (lambda c, row: c.search(row), "shape (4,)"),
    "upsert": (
        lambda c, row: c.upsert(["1", "new"], [row, row]),
        "shape (2, 4)",
    ),
    "insert": (
        lambda c, row: c.insert(["new", "newer"], [row, row]),
        "shape (2, 4)",
    ),
    "update_vectors": (
        lambda c, row: c.update_vectors(["1", "2"], [row, row]),
        "shape (2, 4)",
    ),
}


@pytest.mark.parametrize("call", ROW_CALLS)
@pytest.mark.parametrize("bad", BAD_ROWS)
def test_a_bad_vector_is_refused_by_every_call_and_nothing_changes(collection, call, bad):
    (row, wanted), (act, shape) = BAD_ROWS[bad], ROW_CALLS[call]
    before = everything(collection)
    with pytest.raises(InvalidVector) as caught:
        act(collection, row)
    assert caught.value.wanted == (wanted or shape)
    assert caught.value.code == "invalid_vector"
    assert caught.value.got
    assert caught.value.remedy
    assert everything(collection) == before


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_arrays_with_values_that_are_not_finite_are_refused(collection, dtype, value):
    row = np.array([0, value, 0, 0], dtype)
    for bad in (row, np.stack([row, row], axis=1)[:, 0]):
        with pytest.raises(InvalidVector):
            collection.update_vector("1", bad)
    assert collection.version == 1


def test_one_bad_row_in_10_000_refuses_all_of_them(collection):
    before = everything(collection)
    rows = np.ones((10_000, 4), np.float32)
    rows[7_777, 2] = np.nan
    with pytest.raises(InvalidVector) as caught:
        collection.upsert([f"n{number}" for number in range(10_000)], rows)
    assert caught.value.got == "row 7777 = [1.0, 1.0, nan, 1.0]"
    assert caught.value.details == {"row_index": 7_777}
    assert everything(collection) == before


def test_the_same_id_twice_in_a_batch_is_refused(collection):
    with pytest.raises(DuplicateId) as caught:
        collection.upsert(["a", "b", "a"], np.ones((3, 4)))
    assert caught.value.got == "'a' more than once in 3 ids"
    assert caught.value.details == {"id": "a"}
    assert "a" not in collection


def test_the_largest_norms_are_accepted_and_returned(collection):
    row = np.array([1.84e19, 0, 0, 0], np.float32)
    collection.update_vector("1", row)
    collection.upsert(["2"], row[None, :])
    assert collection.get("1").vector.tolist() == collection.get("2").vector.tolist()


BAD_IDS = {
    "bool": True,
    "float": 1.0,
    "none": None,
    "bytes": b"a",
    "tuple": ("a",),
    "65 bits": 2**63,
    "65 bits, negative": -(2**63),
    "5,001 digits": 10**5000,
    "float of numpy": np.float32(1),
    "bool of numpy": np.bool_(1),
}


@pytest.mark.parametrize("bad", BAD_IDS)
@pytest.mark.parametrize(
    "call",
    [
        lambda c, name: c.upsert([name], [GOOD]),
        lambda c, name: c.insert([name], [GOOD]),
        lambda c, name: c.update_vectors([name], [GOOD]),
        lambda c, name: c.update_vector(name, GOOD),
        lambda c, name: c.update(name, vector=GOOD),
        lambda c, name: c.delete([name]),
        lambda c, name: c.delete([name], missing="ignore"),
        lambda c, name: c.get(name),
    ],
)
def test_what_cannot_be_an_id_is_refused_by_every_call(collection, call, bad):
    with pytest.raises(InvalidId) as caught:
        call(collection, BAD_IDS[bad])
    assert caught.value.wanted == "a str or an int of at most 64 bits"
    assert caught.value.remedy == "name rows by text or by whole numbers"
    assert collection.version == 1


@pytest.mark.parametrize("ids", ["ab", b"ab", 7, None])
def test_a_batch_of_ids_must_be_a_list(collection, ids):
    with pytest.raises(InvalidId) as caught:
        collection.upsert(ids, [GOOD, GOOD])
    assert caught.value.wanted == "a list of ids"
    assert collection.version == 1


def test_an_object_that_cannot_be_an_id_is_in_no_collection(collection):
    for name in [*BAD_IDS.values(), [], {}]:
        assert name not in collection
        assert name not in collection.snapshot()


def test_scalars_of_numpy_are_ids_like_those_of_python():
    collection = CpuCollection(dim=1)
    collection.insert(np.array([1, 2]), [[1], [2]])
    assert [type(name) for name in collection.ids()] == [int, int]
    assert np.int64(2) in collection
    assert collection.get(np.uint8(2)).id == 2
    texts = CpuCollection(dim=1)
    texts.insert(pd.Series(["a", "b"]), [[1], [2]])
    texts.upsert(np.array(["c"]), [[3]])
    assert [type(name) for name in texts.ids()] == [str, str, str]


@pytest.mark.parametrize("name", ["", " ", "ключ", "日本", "\ud83d", "a\x00b", "x" * 10_000])
def test_every_text_is_an_id(name):
    collection = CpuCollection(dim=1, metric="dot")
    collection.insert([name], [[1]])
    assert collection.get(name).id == name
    assert collection.digest() == collection.snapshot().digest()


CIRCULAR = {}
CIRCULAR["self"] = CIRCULAR
DEEP = []
for _ in range(100_000):
    DEEP = [DEEP]
NO_DICT = "pass a dict with texts as keys, or None; a row of a frame as row.to_dict()"
TOO_DEEP = "nest lists and dicts 100 deep at most, none inside itself"
TOO_LONG = "integers have at most 64 bits: pass a text, or a float"
BAD_PAYLOADS = {
    "list": ([1], NO_DICT),
    "text": ("a", NO_DICT),
    "int key": ({1: "a"}, "keys are texts: pass str(key)"),
    "nan inside": (
        {"a": [float("nan")]},
        "JSON has no NaN: put None where a value inside a list or dict is missing",
    ),
    "infinity": (
        {"a": [float("inf")]},
        "JSON has no infinity: leave the key out, or pass a text",
    ),
    "set": ({"a": {1}}, "pass a list, whose order is fixed: sorted(value)"),
    "bytes": ({"a": b"x"}, "pass text: value.decode(), or base64 of it"),
    "object": ({"a": object()}, "convert it to a str, a number, a bool, a list or a dict"),
    "circular": (CIRCULAR, TOO_DEEP),
    "too deep": ({"a": DEEP}, TOO_DEEP),
    "too long a number": ({"a": 10**5000}, TOO_LONG),
    "too long a number inside": ({"a": [10**5000]}, TOO_LONG),
}


@pytest.mark.parametrize("bad", BAD_PAYLOADS)
@pytest.mark.parametrize(
    "call",
    [
        lambda c, payload: c.upsert(["1", "new"], [GOOD, GOOD], payloads=[None, payload]),
        lambda c, payload: c.insert(["new"], [GOOD], payloads=[payload]),
        lambda c, payload: c.update("1", payload=payload),
    ],
)
def test_what_is_no_json_object_is_refused_as_payload(collection, call, bad):
    (payload, remedy), before = BAD_PAYLOADS[bad], everything(collection)
    with pytest.raises(InvalidPayload) as caught:
        call(collection, payload)
    assert caught.value.remedy == remedy
    assert everything(collection) == before


@pytest.mark.parametrize("payloads", [[None], [{}, {}, {}], {"a": 1}, "ab", 7])
def test_payloads_must_be_one_for_each_row(collection, payloads):
    with pytest.raises(InvalidPayload):
        collection.upsert(["a", "b"], [GOOD, GOOD], payloads=payloads)
    assert collection.version == 1


def test_payloads_are_stored_as_json_would_give_them_back(collection):
    given = {"i": np.int64(3), "f": np.float32(0.5), "t": (1, 2), "d": {"n": None}, "b": True}
    collection.update("1", payload=given)
    assert collection.get("1").payload == {
        "i": 3,
        "f": 0.5,
        "t": [1, 2],
        "d": {"n": None},
        "b": True,
    }


@pytest.mark.parametrize("dim", [0, -1, 1.5, "3", None, True, 65_537])
def test_a_bad_dimension_is_refused(dim):
    with pytest.raises(InvalidDimension) as caught:
        CpuCollection(dim=dim)
    assert caught.value.got == f"dim={dim!r}"
    assert caught.value.wanted == "an integer from 1 to 65536"


@pytest.mark.parametrize("metric", ["l2", "", None, "Cosine", 1])
def test_an_unknown_metric_is_refused_and_the_known_are_listed(metric):
    with pytest.raises(UnknownMetric) as caught:
        CpuCollection(dim=2, metric=metric)
    assert caught.value.got == f"metric={metric!r}"
    assert caught.value.details == {"allowed": ["cosine", "dot", "euclidean"]}


def test_the_abstract_collection_cannot_be_made():
    with pytest.raises(TypeError):
        Collection(dim=2)


@pytest.mark.parametrize("k", [-1, 1.0, "3", None, True])
def test_a_bad_k_is_refused(collection, k):
    for search, asked in ((collection.search, GOOD), (collection.search_many, [GOOD])):
        with pytest.raises(InvalidK) as caught:
            search(asked, k)
        assert caught.value.got == f"k={k!r}"
        assert caught.value.wanted == "an integer from 0 to 1,048,576"


WAYS = {
    "list": lambda rows: rows.tolist(),
    "int list": lambda rows: rows.astype(int).tolist(),
    "tuple of arrays": tuple,
    "float64": lambda rows: rows.astype(np.float64),
    "float16": lambda rows: rows.astype(np.float16),
    "int8": lambda rows: rows.astype(np.int8),
    "uint64": lambda rows: rows.astype(np.uint64),
    "big endian": lambda rows: rows.astype(">f4"),
    "column order": np.asfortranarray,
    "strided": lambda rows: np.repeat(rows, 2, axis=1)[:, ::2],
    "backwards": lambda rows: rows[:, ::-1].copy()[:, ::-1],
    "jax": jnp.asarray,
    "read only": lambda rows: np.broadcast_to(rows, rows.shape),
    "frame": pd.DataFrame,
}


@pytest.mark.parametrize("way", WAYS)
def test_rows_of_every_documented_form_are_stored_and_found_alike(way):
    rows = np.array([[1, 2, 3], [4, 5, 6]], np.float32)
    plain, other = CpuCollection(dim=3), CpuCollection(dim=3)
    plain.insert(["a", "b"], rows)
    other.insert(["a", "b"], WAYS[way](rows[::-1].copy()))
    other.update_vectors(["a", "b"], WAYS[way](rows))
    assert other.digest() == plain.digest()
    assert list(other.search_many(WAYS[way](rows), k=2)[1]) == list(plain.search(rows[1], k=2))


@pytest.mark.parametrize("way", [way for way in WAYS if way != "frame"])
def test_a_vector_of_every_documented_form_is_stored_alike(way):
    row = WAYS[way](np.array([[1, 2, 3]], np.float32))[0]
    collection = CpuCollection(dim=3)
    collection.insert(["a"], [[3, 3, 3]])
    collection.update_vector("a", row)
    assert collection.get("a").vector.tolist() == [1, 2, 3]
    assert collection.search(row, k=1).scores.tolist() == [1.0]


def test_a_vector_is_not_a_batch_and_a_batch_not_a_vector(collection):
    for call, got in (
        (lambda: collection.upsert(["a"], GOOD), "shape (4,)"),
        (lambda: collection.update_vector("1", [GOOD]), "shape (1, 4)"),
        (lambda: collection.search_many(GOOD), "shape (4,)"),
        (lambda: collection.search([GOOD]), "shape (1, 4)"),
        (lambda: collection.search_many(1.0), "shape ()"),
    ):
        with pytest.raises(InvalidVector) as caught:
            call()
        assert caught.value.got == got


def test_every_refusal_of_a_call_is_ready_for_json(collection):
    for call in (
        lambda: collection.upsert(["a", "a"], [GOOD, GOOD]),
        lambda: collection.insert(["1"], [GOOD]),
        lambda: collection.get("\ud800"),
        lambda: collection.update_vector("1", np.full(4, np.nan)),
        lambda: collection.update("1", payload={"x" * 200: {1}}),
        lambda: collection.search(GOOD, k=-1),
        lambda: CpuCollection(dim=0),
        lambda: CpuCollection(dim=1, metric="no"),
    ):
        with pytest.raises(VectorKitError) as caught:
            call()
        facts = json.loads(json.dumps(caught.value.to_dict()))
        assert facts["code"] == caught.value.code
        assert {"got", "wanted", "remedy"} <= set(facts["details"])
        assert len(facts["message"]) < 400


@pytest.mark.parametrize("k", [K_MAX + 1, 10**18])
def test_more_neighbours_than_the_limit_are_refused(collection, k):
    with pytest.raises(InvalidK) as caught:
        collection.search(GOOD, k)
    assert caught.value.wanted == "an integer from 0 to 1,048,576"


def test_bfloat16_rows_are_stored_as_float32(collection):
    rows = jnp.asarray([[1.0, 2.0, 3.0, 4.5]], jnp.bfloat16)
    collection.upsert(["jax"], rows)
    assert collection.get("jax").vector.tolist() == [1.0, 2.0, 3.0, 4.5]


def test_an_empty_batch_changes_nothing(collection):
    version = collection.version
    assert collection.upsert([], []) == WriteResult(version=version)
    assert collection.update_vectors([], []) == WriteResult(version=version)
    assert collection.delete([]) == WriteResult(version=version)
    assert collection.version == version


def test_a_single_query_is_no_batch(collection):
    with pytest.raises(InvalidVector) as caught:
        collection.search_many(GOOD)
    assert (caught.value.got, caught.value.wanted) == ("shape (4,)", "shape (any number, 4)")


@pytest.mark.parametrize("payload", [{1: "a"}, {"x": {1: "a", "1": "b"}}, {"x": [{None: 1}]}])
def test_payload_keys_are_text_at_every_depth(collection, payload):
    version = collection.version
    with pytest.raises(InvalidPayload):
        collection.upsert(["new"], [GOOD], payloads=[payload])
    assert collection.version == version


@pytest.mark.parametrize("ids", [{"a", "b"}, frozenset({"a", "b"}), np.array("a")])
def test_ids_without_an_order_are_refused(collection, ids):
    with pytest.raises(InvalidId):
        collection.upsert(ids, [GOOD, GOOD])
    with pytest.raises(InvalidId):
        collection.delete(ids)


def test_membership_leaves_the_write_buffer_alone(collection):
    collection.get("1")
    collection.update_vector("1", GOOD)
    assert "1" in collection
    assert collection._storage.head.accepted == 1


def test_matches_can_be_taken_by_place(collection):
    found = collection.search(GOOD, k=3)
    assert [found[place] for place in range(3)] == list(found)


@pytest.mark.parametrize("ids", [np.arange(64), np.arange(64, dtype=np.uint8), list(range(64))])
def test_a_batch_of_plain_ids_is_checked_without_a_call_for_each(ids, monkeypatch):
    monkeypatch.setattr(validation, "check_id", None)
    names = validation.check_ids(ids)
    assert names == tuple(range(64))
    assert set(map(type, names)) == {int}
