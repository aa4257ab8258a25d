"""Frames as collections: columns as they are named, missing values left out, errors by column."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import vectorkit as vk
from tests.collections.reference import filled
from vectorkit.errors import (
    DuplicateId,
    InvalidDimension,
    InvalidId,
    InvalidInput,
    InvalidPayload,
    InvalidVector,
)

keys = st.sampled_from(["a", "b", "year", "name", "tags"])
plain = (
    st.booleans()
    | st.integers(-(2**63) + 1, 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text("aжc", max_size=3)
)
values = plain | st.lists(plain, max_size=2) | st.dictionaries(keys, plain, max_size=2)
payloads = st.none() | st.dictionaries(keys, values, min_size=1, max_size=3)


def words():
    return pd.DataFrame(
        {"word": ["b", "a"], "vector": [[1.0, 2.0], np.array([3, 4])], "rank": [7, 8]}
    )


@given(st.lists(payloads, max_size=6), st.sampled_from(["cosine", "dot"]))
def test_a_collection_comes_back_from_its_frame_with_an_equal_digest(extra, metric):
    c = vk.CpuCollection(dim=2, metric=metric)
    c.insert(range(len(extra)), np.arange(2 * len(extra)).reshape(-1, 2) / 3, extra)
    back = vk.CpuCollection.from_frame(c.to_frame(), metric=metric, dim=2)
    assert (back.digest(), back.ids()) == (c.digest(), c.ids())
    assert repr(back.snapshot().payloads()) == repr(
        [None if each is None else dict(sorted(each.items(), key=order(extra))) for each in extra]
    )


def order(extra):
    """The columns stand in the order of their first use."""
    names = list(dict.fromkeys(key for each in extra if each for key in each))
    return lambda item: names.index(item[0])


def test_a_column_of_vectors_and_all_others_as_payload():
    c = vk.CpuCollection.from_frame(words(), id="word", metric="dot", name="words")
    assert c.ids() == ["b", "a"]
    assert c.snapshot().vectors().tolist() == [[1, 2], [3, 4]]
    assert c.snapshot().payloads() == [{"rank": 7}, {"rank": 8}]
    assert (type(c), c.name, c.metric, c.version) == (vk.CpuCollection, "words", "dot", 1)


def test_several_columns_of_numbers_as_vectors_and_the_index_as_ids():
    df = pd.DataFrame({"y": [3, 4], "x": [1.5, 2.5], "n": ["p", None]}, index=[10, 20])
    c = vk.CpuCollection.from_frame(df, id=None, vector=["x", "y"])
    assert c.ids() == [10, 20]
    assert c.snapshot().vectors().tolist() == [[1.5, 3], [2.5, 4]]
    assert c.snapshot().payloads() == [{"n": "p"}, None]


def test_what_is_missing_leaves_its_key_out():
    df = words().assign(a=[1.5, np.nan], b=[None, "x"], c=[np.nan, None], d=[True, None])
    c = vk.CpuCollection.from_frame(df, id="word")
    assert c.get("b").payload == {"rank": 7, "a": 1.5, "d": True}
    assert c.get("a").payload == {"rank": 8, "b": "x"}


def test_options_reach_the_kind_and_a_frame_without_rows_needs_its_dimension():
    empty = vk.CpuCollection(dim=3).to_frame()
    assert vk.CpuCollection.from_frame(empty, dim=3).digest() == vk.CpuCollection(dim=3).digest()
    with pytest.raises(InvalidDimension, match="dim=0"):
        vk.CpuCollection.from_frame(empty)
    with pytest.raises(InvalidVector, match=r"wanted shape \(2, 3\)"):
        vk.CpuCollection.from_frame(words(), id="word", dim=3)


@pytest.mark.parametrize(
    ("value", "key", "text"),
    [
        (np.inf, "when", "leave the key out"),
        ({1: 2}, "when.1", "keys are texts"),
        ({"x"}, "when", "sorted"),
        ([np.nan], "when[0]", "put None"),
        (pd.Period("2020"), "when", "convert it"),
    ],
)
def test_a_value_that_json_does_not_have_names_its_row_its_column_and_the_remedy(value, key, text):
    df = words().assign(when=pd.Series([None, value], dtype="object"))
    with pytest.raises(InvalidPayload, match=r"the payload of 'a' .* key when.*" + text) as caught:
        vk.CpuCollection.from_frame(df, id="word")
    assert caught.value.details == {"id": "a", "key": key}


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA, pd.NaT, np.datetime64("NaT")])
def test_every_missing_value_leaves_its_key_out(missing):
    df = words().assign(n=pd.Series([1, missing], dtype="object"))
    c = vk.CpuCollection.from_frame(df, id="word")
    assert c.snapshot().payloads() == [{"rank": 7, "n": 1}, {"rank": 8}]


@pytest.mark.parametrize(
    ("change", "options", "error", "text"),
    [
        (lambda df: df, {"id": "wort"}, InvalidInput, "did you mean 'word'"),
        (lambda df: df, {}, InvalidInput, "got 'id'.*id=None takes the index"),
        (lambda df: df, {"id": "word", "vector": ["x"]}, InvalidInput, "got 'x'"),
        (lambda df: df, {"id": None, "vector": ["word"]}, InvalidInput, "column 'word'.*dtype str"),
        (lambda df: df.assign(word="a"), {"id": "word"}, DuplicateId, "'a' more than once"),
        (lambda df: df.assign(word=[1.5, 2.5]), {"id": "word"}, InvalidId, "1.5"),
        (
            lambda df: df.assign(vector=[[1], [2, 3]]),
            {"id": "word"},
            InvalidVector,
            "ragged",
        ),
        (lambda df: df.rename(columns={"rank": 3}), {"id": "word"}, InvalidPayload, "column 3"),
        (
            lambda df: df.rename(columns={"rank": "word"}),
            {"id": "word"},
            InvalidInput,
            "'word' more than once",
        ),
        (lambda df: df.to_dict(), {"id": "word"}, InvalidInput, "wanted a pandas DataFrame"),
        (
            lambda df: df.assign(x=pd.array([1, None], dtype="Int64")).drop(columns="vector"),
            {"id": "word", "vector": ["x", "rank"]},
            InvalidVector,
            "row 1",
        ),
    ],
)
def test_a_frame_that_does_not_fit_says_why(change, options, error, text):
    with pytest.raises(error, match=text):
        vk.CpuCollection.from_frame(change(words()), **options)


def test_whole_numbers_stay_whole_in_a_frame_where_others_are_missing_or_fractions():
    c = vk.CpuCollection(dim=1)
    c.insert([1, 2, 3], [[1]] * 3, [{"n": 2**60 + 1, "m": 1}, None, {"n": 2, "m": 0.5}])
    frame = c.to_frame()
    assert [repr(each) for each in frame["n"]] == ["1152921504606846977", "None", "2"]
    assert [repr(each) for each in frame["m"]] == ["1", "None", "0.5"]


def test_a_collection_of_any_kind_is_made_by_its_own_class():
    import jax

    device = jax.local_devices()[0]
    c = vk.GpuCollection.from_frame(filled(vk.CpuCollection).to_frame(), device=device)
    assert (type(c), c.device, len(c)) == (vk.GpuCollection, device, 40)
