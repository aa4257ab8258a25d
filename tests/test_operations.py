"""Operations: one canonical encoding, which gives back the very operation, bit for bit."""

import json
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vectorkit.operations import (
    CollectionConfig,
    CreateCollection,
    Delete,
    DropCollection,
    EpochStart,
    RenameCollection,
    UpdateVectors,
    Upsert,
    canonical_payload,
    count_rows,
    decode,
    encode,
)
from vectorkit.types import KEEP, METRICS

# Lone surrogates included: every str of Python is a name.
texts = st.text(st.characters(), max_size=6) | st.sampled_from(["\ud83d", "\ud83d\ude00", "😀"])
big = st.integers(-(10**40), 10**40)
floats = st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | big | floats | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
payloads = st.none() | st.dictionaries(texts, values, max_size=3)
names = st.lists(texts, unique=True, max_size=4) | st.lists(big, unique=True, max_size=4)


@st.composite
def row_operations(draw):
    ids = tuple(draw(names))
    bits = draw(st.lists(st.integers(0, 2**32 - 1), min_size=3 * len(ids), max_size=3 * len(ids)))
    rows = np.array(bits, np.uint32).view(np.float32).reshape(len(ids), 3)
    given = tuple(draw(st.lists(payloads, min_size=len(ids), max_size=len(ids))))
    if draw(st.booleans()):
        return Upsert(draw(texts), ids, rows, draw(st.sampled_from([None, given])))
    vectors = draw(st.sampled_from([rows, KEEP]))
    return UpdateVectors(draw(texts), ids, vectors, draw(st.sampled_from([None, KEEP, given])))


configs = st.builds(CollectionConfig, st.integers(1, 9), st.sampled_from(METRICS), texts)
operations = st.one_of(
    row_operations(),
    st.builds(CreateCollection, texts, configs),
    st.builds(DropCollection, texts),
    st.builds(RenameCollection, texts, texts),
    st.builds(Delete, texts, names.map(tuple)),
    st.builds(EpochStart, big),
)


def facts(operation):
    """All of an operation in values that compare by content; 1, 1.0 and True differ."""
    parts = {name: getattr(operation, name) for name in operation.__slots__}
    if isinstance(rows := parts.get("vectors"), np.ndarray):
        parts["vectors"] = (rows.shape, rows.dtype.str, rows.tobytes())
    parts["payloads"] = json.dumps(repr_sorted(parts.get("payloads")))
    return type(operation), parts


def repr_sorted(value):
    if isinstance(value, dict):
        return [[key, repr_sorted(value[key])] for key in sorted(value)]
    if isinstance(value, list | tuple):
        return [repr_sorted(each) for each in value]
    return repr(value)


@given(operations)
def test_an_operation_survives_its_encoding(operation):
    assert facts(decode(encode(operation))) == facts(operation)


@given(operations)
def test_canonical_bytes_survive_their_decoding(operation):
    data = encode(operation)
    assert encode(decode(data)) == data
    assert encode(decode(memoryview(bytearray(data)))) == data


@given(operations, operations)
def test_bytes_are_equal_where_operations_are(one, other):
    assert (encode(one) == encode(other)) == (facts(one) == facts(other))


def test_the_order_of_payload_keys_does_not_change_the_bytes():
    one, other = {"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"d": 3, "c": 2}, "a": 1}
    row = np.ones((1, 2), np.float32)
    assert encode(Upsert("w", ("x",), row, (one,))) == encode(Upsert("w", ("x",), row, (other,)))
    assert canonical_payload(one) == canonical_payload(other)


def test_the_layout_of_rows_in_memory_does_not_change_the_bytes():
    rows = np.arange(6, dtype=np.float32).reshape(3, 2)
    ids = ("a", "b", "c")
    expected = encode(Upsert("w", ids, rows, None))
    for same in (np.asfortranarray(rows), np.repeat(rows, 2, axis=0)[::2], rows.astype(">f4")):
        assert encode(Upsert("w", ids, same, None)) == expected


@given(row_operations(), st.integers(0, 2), st.integers(0, 31))
def test_a_changed_bit_of_a_row_changes_the_bytes(operation, place, bit):
    rows = np.zeros((1, 3), np.float32)
    changed = rows.copy()
    changed.view(np.uint32)[0, place] ^= np.uint32(1 << bit)
    for kind in (Upsert, UpdateVectors):
        first, second = (kind(operation.collection, ("a",), each, None) for each in (rows, changed))
        assert encode(first) != encode(second)


def test_the_encoding_is_a_length_a_header_and_little_endian_rows():
    row = np.array([[1.0, -2.0]], np.float32)
    data = encode(Upsert("w", ("é",), row, ({"b": 1, "a": None},)))
    header = (
        '{"collection":"w","dim":2,"ids":["é"],"payloads":[{"a":null,"b":1}],"type":"Upsert"}'
    ).encode()
    assert data == struct.pack("<I", len(header)) + header + struct.pack("<ff", 1.0, -2.0)


def test_keep_none_and_an_empty_payload_are_told_apart():
    row = np.ones((1, 1), np.float32)
    given = [KEEP, None, (None,), ({},)]
    assert len({encode(UpdateVectors("w", ("a",), row, each)) for each in given}) == 4
    assert (
        len({encode(UpdateVectors("w", ("a",), each, None)) for each in (KEEP, row, row * 2)}) == 3
    )


def test_operations_without_rows_stay_without():
    empty = Upsert("w", (), np.empty((0, 7), np.float32), None)
    assert decode(encode(empty)).vectors.shape == (0, 7)


def test_decoded_rows_cannot_be_written_to():
    rows = decode(encode(Upsert("w", ("a",), np.ones((1, 2), np.float32), None))).vectors
    assert not rows.flags.writeable


def test_names_that_differ_only_in_surrogates_stay_apart():
    pair, character = "\ud83d\ude00", "\U0001f600"
    assert decode(encode(Delete("w", (pair, character)))).ids == (pair, character)
    assert canonical_payload({"a": pair}) != canonical_payload({"a": character})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1}, b"x"])
def test_what_is_no_json_has_no_canonical_form(value):
    with pytest.raises((ValueError, TypeError)):
        canonical_payload({"a": value})


def test_payloads_of_different_types_have_different_forms():
    forms = [canonical_payload(each) for each in (None, {}, {"a": 1}, {"a": 1.0}, {"a": True})]
    assert forms == [b"", b"{}", b'{"a":1}', b'{"a":1.0}', b'{"a":true}']


def test_rows_are_counted():
    row = np.ones((1, 1), np.float32)
    counted = [
        Upsert("w", ("a",), row, None),
        UpdateVectors("w", ("a",), row, KEEP),
        Delete("w", ("a", "b")),
        DropCollection("w"),
        EpochStart(1),
    ]
    assert [count_rows(operation) for operation in counted] == [1, 1, 2, 0, 0]
