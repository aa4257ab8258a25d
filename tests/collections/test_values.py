"""The table of docs/values.md, every row by every way in; and what its neighbours promise."""

import ast
import json
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from pathlib import Path
from uuid import UUID

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import vectorkit as vk
from tests.collections.reference import everything, filled
from vectorkit import sim
from vectorkit.collections.filters.filter import parse
from vectorkit.collections.values.conversion import (
    DEPTH_MAX,
    stored_payload,
    stored_value,
    whole_number,
)
from vectorkit.errors import (
    DuplicateId,
    InvalidDimension,
    InvalidFilter,
    InvalidId,
    InvalidInput,
    InvalidK,
    InvalidOption,
    InvalidPayload,
    InvalidVector,
    VectorKitError,
)
from vectorkit.operations import (
    CollectionConfig,
    CreateCollection,
    UpdateVectors,
    Upsert,
    canonical_payload,
    decode,
    encode,
)
from vectorkit.store import store_of, write

PAGE = (Path(__file__).parents[2] / "docs/values.md").read_text("utf-8")
NAMES: dict = {}
exec(PAGE.split("```python\n")[1].partition("```")[0], NAMES)
CELLS = re.findall(r"^\| ([^|]+) \| `([^|]+)` \| ([^|]+) \| ([^|]+) \|$", PAGE, re.MULTILINE)


class Absent:
    """The key is not there."""


class Refused:
    """An error is raised."""


def result(cell):
    return {"—": Absent, "refused": Refused}.get(cell) or ast.literal_eval(cell.strip("`"))


TABLE = [(text, result(stored), result(as_id)) for _, text, stored, as_id in CELLS]
STORED = [row for row in TABLE if row[1] is not Refused]
REFUSED = [row for row in TABLE if row[1] is Refused]
ROW = [1.0, 2.0]


def name_of(cell):
    return getattr(cell, "__name__", None) or str(cell)


def value_of(text):
    return eval(text, dict(NAMES))


def empty():
    return vk.CpuCollection(dim=2, metric="dot")


def new_store():
    store = vk.VectorStore(cache=vk.QueryCache())
    store.create_collection("c", dim=2, metric="dot")
    return store


def with_row(store=False):
    if store:
        holder = new_store()
        holder.insert("c", ["r"], [ROW])
        return holder
    c = empty()
    c.insert(["r"], [ROW])
    return c


def by_frame(payload):
    columns = {key: pd.Series([value, None], dtype="object") for key, value in payload.items()}
    df = pd.DataFrame({"id": ["r", "s"], "vector": [ROW, ROW], **columns})
    c = vk.CpuCollection.from_frame(df, metric="dot")
    assert c.payload("s") is None
    return c


def after(holder, act):
    before = holder.digest()
    try:
        act(holder)
    except InvalidPayload:
        assert holder.digest() == before
        raise
    return holder["c"] if isinstance(holder, vk.VectorStore) else holder


DOORS = {
    "upsert": lambda p: after(empty(), lambda c: c.upsert(["r"], [ROW], [p])),
    "upsert over": lambda p: after(with_row(), lambda c: c.upsert(["r"], [ROW], [p])),
    "insert": lambda p: after(empty(), lambda c: c.insert(["q", "r"], [ROW] * 2, iter([None, p]))),
    "update": lambda p: after(with_row(), lambda c: c.update("r", payload=p)),
    "store.upsert": lambda p: after(with_row(True), lambda s: s.upsert("c", ["r"], [ROW], [p])),
    "store.insert": lambda p: after(new_store(), lambda s: s.insert("c", ["r"], [ROW], [p])),
    "store.update": lambda p: after(with_row(True), lambda s: s.update("c", "r", payload=p)),
    "an operation": lambda p: after(
        with_row(True), lambda s: write(s, Upsert("c", ("r",), np.array([ROW], np.float32), (p,)))
    ),
    "an update": lambda p: after(
        with_row(True), lambda s: write(s, UpdateVectors("c", ("r",), vk.KEEP, (p,)))
    ),
    "from_frame": by_frame,
}


def test_the_page_has_the_rows_that_are_tested():
    assert len(TABLE) == PAGE.split("## The table")[1].partition("\n## ")[0].count("\n| ") - 1
    assert min(len(STORED), len(REFUSED)) > 15


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(("text", "wanted", "_"), STORED, ids=name_of)
def test_a_value_is_stored_as_the_table_says(door, text, wanted, _):
    c = DOORS[door]({"a": value_of(text), "b": 1})
    assert repr(c.payload("r")) == repr({"b": 1} if wanted is Absent else {"a": wanted, "b": 1})
    alone = DOORS[door]({"a": value_of(text)})
    assert repr(alone.payload("r")) == repr(None if wanted is Absent else {"a": wanted})
    assert alone.digest() == alone.snapshot().digest()


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(("text", "_", "__"), REFUSED, ids=name_of)
def test_a_value_is_refused_as_the_table_says_with_its_row_and_key(door, text, _, __):
    for payload, place in (
        ({"b": 1, "a": value_of(text)}, "a"),
        ({"b": {"tags": [0, 1, 2, value_of(text)]}}, "b.tags[3]"),
    ):
        with pytest.raises(InvalidPayload) as caught:
            DOORS[door](payload)
        assert f"the payload of 'r' holds a value that cannot be stored at key {place}" in str(
            caught.value
        )
        assert caught.value.details["id"] == "r"
        assert caught.value.details["key"].startswith(place)
        assert caught.value.remedy
        json.dumps(caught.value.to_dict())


@pytest.mark.parametrize(("text", "wanted", "_"), STORED, ids=name_of)
def test_inside_lists_and_dicts_what_is_missing_is_null_and_nan_is_refused(text, wanted, _):
    value = value_of(text)
    if wanted is Absent and value is not None and "nan" in str(value):
        with pytest.raises(InvalidPayload, match="JSON has no NaN"):
            DOORS["upsert"]({"a": [value]})
        return
    inner = None if wanted is Absent else wanted
    c = DOORS["upsert"]({"a": [value, {"b": value}], "d": {"e": (value,)}})
    assert repr(c.payload("r")) == repr({"a": [inner, {"b": inner}], "d": {"e": [inner]}})
    back = vk.CpuCollection.from_frame(c.to_frame(), metric="dot")
    assert back.digest() == c.digest()


@pytest.mark.parametrize(("text", "wanted", "_"), STORED, ids=name_of)
def test_what_is_stored_comes_back_from_files_frames_and_the_wire(text, wanted, _, tmp_path):
    c = DOORS["insert"]({"a": value_of(text), "b": 1})
    c.save(tmp_path / "c")
    loaded = vk.load(tmp_path / "c")
    framed = vk.CpuCollection.from_frame(c.to_frame(), metric="dot")
    again = vk.CpuCollection.from_frame(framed.to_frame(), metric="dot")
    for other in (loaded, framed, again):
        assert other.digest() == c.digest()
        assert repr(other.payload("r")) == repr(c.payload("r"))
    sent = []
    store = with_row(True)
    store.subscribe(sent.append)
    store.update("c", "r", payload={"a": value_of(text), "b": 1})
    assert decode(encode(sent[0])).payloads == sent[0].payloads == (c.payload("r"),)


class RefusedAtError(Exception):
    pass


def modelled(node, place):
    """What is stored of a tree whose leaves are rows of the table, or where it is refused."""
    if isinstance(node, list):
        return [modelled(each, f"{place}[{index}]") for index, each in enumerate(node)]
    if isinstance(node, dict):
        return {key: modelled(each, f"{place}.{key}") for key, each in node.items()}
    text, wanted, _ = node
    is_nan = wanted is Absent and "nan" in text
    is_inside = not re.fullmatch(r"\.\w+", place)
    if wanted is Refused or (is_nan and is_inside):
        raise RefusedAtError(place.removeprefix("."))
    return None if wanted is Absent else wanted


def built(node):
    if isinstance(node, list):
        return [built(each) for each in node]
    if isinstance(node, dict):
        return {key: built(each) for key, each in node.items()}
    return value_of(node[0])


names = st.sampled_from(["a", "b", "year", "tags"])
trees = st.recursive(
    st.sampled_from(STORED) | st.sampled_from(TABLE),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(names, trees, min_size=1, max_size=4), st.sampled_from(sorted(DOORS)))
def test_any_tree_of_values_is_stored_or_refused_at_its_first_place_by_any_way_in(tree, door):
    wanted, place = None, None
    try:
        wanted = modelled(tree, "")
    except RefusedAtError as refused:
        place = refused.args[0]
    if place is not None:
        with pytest.raises(InvalidPayload) as caught:
            DOORS[door](built(tree))
        assert caught.value.details["key"].startswith(place)
        return
    is_absent = [name for name, node in tree.items() if type(node) is tuple and node[1] is Absent]
    stored = {name: value for name, value in wanted.items() if name not in is_absent} or None
    c = DOORS[door](built(tree))
    assert repr(c.payload("r")) == repr(stored)
    framed = vk.CpuCollection.from_frame(c.to_frame(), metric="dot")
    assert framed.digest() == c.digest() == c.snapshot().digest()


def found(c, where):
    return c.search([1, 1], where=where).ids


@pytest.mark.parametrize(("text", "wanted", "_"), STORED, ids=name_of)
def test_a_filter_finds_a_value_by_what_it_was_written_as(text, wanted, _):
    value, store = value_of(text), with_row(True)
    store.upsert("c", ["r", "other", "without"], [ROW] * 3, [{"a": value}, {"a": "~"}, None])
    mine = ("r", "without") if wanted is Absent else ("r",)
    others = tuple(name for name in ("r", "other", "without") if name not in mine)
    c, is_list = store["c"], isinstance(wanted, list | dict)
    keys = set()
    for each in (value, None if wanted is Absent else wanted):
        assert found(c, {"a": {"eq": each}}) == mine
        assert found(c, {"a": {"in": [each, "nothing"]}}) == mine
        assert found(c, {"a": {"ne": each}}) == others
        keys.add(parse({"a": {"eq": each}}).key)
        if not is_list:
            assert found(c, {"a": each}) == mine
        for _ in range(2):
            assert store.search("c", [1, 1], where={"a": {"eq": each}}).ids == mine
    assert len(keys) == 1
    assert store._cache.stats().hits == 3


@pytest.mark.parametrize(("text", "wanted", "_"), TABLE, ids=name_of)
def test_a_filter_orders_numbers_and_texts_and_refuses_what_has_no_order(text, wanted, _):
    value = value_of(text)
    has_order = type(wanted) in {str, int, float} and not re.match(r"-?P\d", str(wanted))
    if not has_order:
        with pytest.raises(InvalidFilter):
            parse({"a": {"lt": value}})
        return
    c = empty()
    more = f"{wanted}~" if isinstance(wanted, str) else 2.0 * wanted
    c.insert(["r", "more"], [ROW, ROW], [{"a": value}, {"a": more}])
    assert found(c, {"a": {"lte": value}}) == ("r",)
    assert found(c, {"a": {"lt": value}}) == ()
    assert found(c, {"a": {"gte": value}}) == ("r", "more")
    assert found(c, {"a": {"gt": value}}) == ("more",)


@pytest.mark.parametrize(("text", "_", "__"), REFUSED, ids=name_of)
def test_a_filter_refuses_what_no_row_can_hold_with_its_place(text, _, __):
    for where, place in (
        ({"a": {"eq": value_of(text)}}, "where['a']['eq']"),
        ({"a": {"in": [1, value_of(text)]}}, "where['a']['in'][1]"),
    ):
        with pytest.raises(InvalidFilter) as caught:
            parse(where)
        assert caught.value.details["path"].startswith(place)


ID_DOORS = {
    "upsert": lambda c, name: c.upsert([name], [ROW]),
    "insert": lambda c, name: c.insert([name], [ROW]),
    "a store": lambda c, name: c,
}


@pytest.mark.parametrize(("text", "_", "wanted"), TABLE, ids=name_of)
def test_an_id_is_taken_as_the_table_says(text, _, wanted):
    name = value_of(text)
    if wanted is Refused:
        c = filled(vk.CpuCollection, dim=2)
        before = everything(c)
        for call in (
            lambda: c.upsert([name], [ROW]),
            lambda: c.insert(["x", name], [ROW, ROW]),
            lambda: c.update_vector(name, ROW),
            lambda: c.update_vectors([name], [ROW]),
            lambda: c.update(name, vector=ROW),
            lambda: c.delete([name]),
            lambda: c.get(name),
            lambda: c.payload(name),
        ):
            with pytest.raises(InvalidId):
                call()
        assert name not in c
        assert everything(c) == before
        return
    c = empty()
    c.upsert([name], [[5, 5]])
    assert [(each, type(each)) for each in c.ids()] == [(wanted, type(wanted))]
    c.update_vector(name, [6, 6])
    c.update_vectors([name], [[7, 7]])
    c.update(name, vector=ROW, payload={"a": 1})
    assert name in c
    assert (c.get(name).id, c.payload(name), len(c)) == (wanted, {"a": 1}, 1)
    assert c.get(wanted).vector.tolist() == ROW
    store = with_row(True)
    store.create_collection("d", dim=2)
    store.insert("d", [name], [ROW])
    assert type(store.get("d", name).id) is type(wanted)
    frame = pd.DataFrame({"id": pd.Series([name], dtype="object"), "vector": [ROW], "a": [1]})
    assert vk.CpuCollection.from_frame(frame, metric="dot").digest() == c.digest()
    assert c.delete([name]).deleted == 1


def test_all_values_at_once_are_equal_on_every_node_of_a_cluster():
    payload = {f"k{number}": value_of(row[0]) for number, row in enumerate(STORED)}
    cluster = sim.Cluster(sim.ClusterOptions(replicas=2), seed=7)
    cluster.store.create_collection("c", dim=2, metric="dot")
    cluster.store.upsert("c", ["r"], [ROW], [payload])
    cluster.advance(ms=500)
    wanted = {f"k{n}": row[1] for n, row in enumerate(STORED) if row[1] is not Absent}
    assert cluster.stores["node-2"]["c"].payload("r") == wanted
    assert cluster.stores["node-2"].digest() == cluster.store.digest()


# One moment has one text

moments = st.datetimes(datetime(1678, 1, 1), datetime(2261, 12, 31))
UNITS_NS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3_600 * 10**9}


def forms(moment):
    """The same moment in every type that can hold it."""
    exact = np.datetime64(moment, "ns")
    yield moment
    yield pd.Timestamp(moment)
    for unit in UNITS_NS:
        each = exact.astype(f"M8[{unit}]")
        if each.astype("M8[ns]") == exact:
            yield each
            yield np.array(each)


@given(moments, st.sampled_from(sorted(UNITS_NS.values())))
def test_every_type_gives_a_moment_the_text_that_isoformat_gives(moment, step):
    ns = int(np.datetime64(moment, "ns").astype(np.int64)) // step * step
    moment = datetime(1970, 1, 1) + timedelta(microseconds=ns // 1_000)
    texts = {stored_value(each) for each in forms(moment)}
    assert texts == {moment.isoformat()}
    days = {stored_value(np.datetime64(moment, unit)) for unit in "D"}
    assert days == {moment.date().isoformat(), stored_value(moment.date())}


zones = st.builds(lambda minutes: timezone(timedelta(minutes=minutes)), st.integers(-1_400, 1_400))
aware = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=zones | st.just(UTC))


@given(st.lists(st.tuples(aware, zones), min_size=2, max_size=6))
def test_moments_with_zones_are_ordered_as_texts_as_they_are_in_time(given_):
    texts = [stored_value(moment) for moment, _ in given_]
    assert [stored_value(moment.astimezone(zone)) for moment, zone in given_] == texts
    assert [stored_value(pd.Timestamp(moment)) for moment, _ in given_] == texts
    order = sorted(range(len(texts)), key=lambda index: (given_[index][0], index))
    assert order == sorted(range(len(texts)), key=lambda index: (texts[index], index))


@given(st.lists(st.integers(-(2**62), 2**62), min_size=2, max_size=6))
def test_moments_in_nanoseconds_are_ordered_as_texts_as_they_are_in_time(counts):
    texts = [stored_value(np.datetime64(count, "ns")) for count in counts]
    assert [stored_value(pd.Timestamp(count)) for count in counts] == texts
    assert sorted(texts) == [stored_value(np.datetime64(count, "ns")) for count in sorted(counts)]


@given(st.integers(-(2**62), 2**62))
def test_durations_have_one_text_that_pandas_reads_back(ns):
    text = stored_value(np.timedelta64(ns, "ns"))
    assert stored_value(pd.Timedelta(ns)) == text
    assert pd.Timedelta(text).value == ns
    whole_us = timedelta(microseconds=ns // 1_000)
    assert stored_value(whole_us) == stored_value(np.timedelta64(ns // 1_000, "us"))
    if ns >= 0:
        assert text == pd.Timedelta(ns).isoformat()


def test_a_date_stands_before_every_moment_of_its_day():
    c = empty()
    days = [{"t": datetime(2020, 1, day, hour)} for day in (1, 2) for hour in (0, 23)]
    c.insert(range(4), [ROW] * 4, days)
    assert found(c, {"t": {"gte": date(2020, 1, 2)}}) == (2, 3)
    assert found(c, {"t": {"gte": np.datetime64("2020-01-02"), "lt": date(2020, 1, 3)}}) == (2, 3)
    assert found(c, {"t": date(2020, 1, 1)}) == ()


def test_durations_are_refused_as_bounds_with_the_reason():
    for bound in (timedelta(1), pd.Timedelta(1, "s"), np.timedelta64(5, "s")):
        with pytest.raises(InvalidFilter, match="durations have no order as texts"):
            parse({"a": {"lt": bound}})


# Frames

FRAME = pd.DataFrame(
    {
        "when": pd.to_datetime(["2020-01-01", None, "2021-06-01 12:30:00.5"], format="ISO8601"),
        "zone": pd.to_datetime(["2020-01-01", None, None]).tz_localize("Asia/Tokyo"),
        "wait": pd.to_timedelta([1, None, 3], "s"),
        "count": pd.array([1, None, 3], dtype="Int64"),
        "share": pd.array([0.5, None, 3], dtype="Float64"),
        "is_it": pd.array([True, None, False], dtype="boolean"),
        "text": pd.array(["a", None, "c"], dtype="string"),
        "plain": ["a", None, "c"],
        "kind": pd.Categorical(["x", None, "x"]),
        "gaps": [1.5, np.nan, 2.5],
        "list": [["a", None], None, []],
        "object": [UUID(int=1), pd.NA, date(2020, 1, 1)],
    },
    index=["a", "b", "c"],
)


def test_frames_of_every_dtype_give_what_their_records_give():
    numbers = np.arange(6, dtype=np.float32).reshape(3, 2)
    by_records, by_update = empty(), empty()
    by_records.upsert(FRAME.index, numbers, FRAME.to_dict("records"))
    by_update.upsert(FRAME.index, numbers)
    for name, record in zip(FRAME.index, FRAME.to_dict("records"), strict=True):
        by_update.update(name, payload=record)
    framed = vk.CpuCollection.from_frame(FRAME.assign(vector=list(numbers)), id=None, metric="dot")
    back = vk.CpuCollection.from_frame(framed.to_frame(), metric="dot")
    assert len({each.digest() for each in (by_records, by_update, framed, back)}) == 1
    assert framed.payload("b") is None
    assert framed.payload("a") == {
        "when": "2020-01-01T00:00:00",
        "zone": "2019-12-31T15:00:00+00:00",
        "wait": "P0DT0H0M1S",
        "count": 1,
        "share": 0.5,
        "is_it": True,
        "text": "a",
        "plain": "a",
        "kind": "x",
        "gaps": 1.5,
        "list": ["a", None],
        "object": "00000000-0000-0000-0000-000000000001",
    }
    assert framed.payload("c")["when"] == "2021-06-01T12:30:00.500000"


@pytest.mark.parametrize("dtype", ["Int64", "UInt8", "Float32", "Float64"])
def test_vectors_of_nullable_dtypes_are_taken_as_those_of_numpy(dtype):
    numbers = pd.DataFrame({"x": [1, 2], "y": [3, 4]}, index=pd.Index(["a", "b"], dtype="string"))
    nullable, plain = empty(), empty()
    plain.upsert(["a", "b"], numbers.to_numpy())
    nullable.upsert(numbers.index, numbers.astype(dtype))
    nullable.update_vector("b", numbers.astype(dtype).loc["b"])
    framed = vk.CpuCollection.from_frame(
        numbers.astype(dtype), id=None, vector=["x", "y"], metric="dot"
    )
    assert nullable.digest() == plain.digest() == framed.digest()
    asked = numbers.astype(dtype)
    assert nullable.search(asked.loc["a"], 1).ids == plain.search([1, 3], 1).ids
    assert list(nullable.search_many(asked, 1)[0]) == list(plain.search([1, 3], 1))


@pytest.mark.parametrize(
    ("columns", "got"),
    [
        ({"x": pd.array([1, None], dtype="Int64")}, "row 1 = "),
        ({"x": pd.array([True, False], dtype="boolean")}, "dtypes boolean"),
        ({"x": pd.array(["1", "2"], dtype="string")}, "dtypes string"),
        ({"x": pd.Categorical([1, 2])}, "dtypes category"),
    ],
)
def test_nullable_columns_that_are_no_vectors_are_refused(columns, got):
    c = empty()
    df = pd.DataFrame({**columns, "y": [0.0, 1.0]})
    with pytest.raises(InvalidVector) as caught:
        c.upsert(["a", "b"], df)
    assert got in caught.value.got
    with pytest.raises(InvalidInput):
        vk.CpuCollection.from_frame(df, id=None, vector=["x", "y"])
    assert c.version == 0


@pytest.mark.parametrize("dtype", [bool, complex, "m8[s]", "M8[s]"])
def test_columns_that_are_no_real_numbers_are_no_part_of_vectors(dtype):
    df = pd.DataFrame({"x": np.zeros(2, dtype)})
    with pytest.raises(InvalidInput, match="column 'x' cannot be a part of vectors"):
        vk.CpuCollection.from_frame(df, id=None, vector=["x"])
    with pytest.raises(InvalidVector):
        vk.CpuCollection(dim=1).upsert([1, 2], df)


# Ids, vectors and counts


def test_tables_are_refused_as_ids_with_the_remedy():
    df = pd.DataFrame({"a": ["x"], "b": ["y"]})
    c = empty()
    for call in (
        lambda: c.upsert(df, [ROW, ROW]),
        lambda: c.delete(df, missing="ignore"),
        lambda: c.update_vectors(df, [ROW, ROW]),
    ):
        with pytest.raises(InvalidId, match="names its columns") as caught:
            call()
        assert caught.value.remedy == 'pass df["column"], or df.index'
    with pytest.raises(InvalidId):
        c.upsert(np.array([["a", "b"]]), [ROW])
    with pytest.raises(InvalidPayload, match="to_dict"):
        c.upsert(["a"], [ROW], df)
    assert c.version == 0


@pytest.mark.parametrize(
    ("ids", "remedy"),
    [
        ([np.datetime64("2020-01-01")], "pass its text"),
        ([pd.Timestamp(0)], "pass its text"),
        ([np.timedelta64(5)], "pass its text"),
        (pd.Series(["a", None], dtype="string"), "name every row"),
        (pd.Series([1, None], dtype="Int64"), "name every row"),
        (np.ma.array([1, 2], mask=[0, 1]), "whole numbers"),
        (np.array([1.0, 2.0]), "whole numbers"),
        (pd.Series([True, False], dtype="boolean"), "whole numbers"),
    ],
)
def test_ids_that_cannot_be_names_are_refused_with_the_remedy(ids, remedy):
    c = empty()
    with pytest.raises(InvalidId) as caught:
        c.upsert(ids, [ROW] * len(ids))
    assert remedy in caught.value.remedy
    assert c.version == 0


@pytest.mark.parametrize(
    "ids",
    [
        pd.Series([1, 2], dtype="Int64"),
        pd.array([1, 2], dtype="UInt8"),
        pd.Index([1, 2]),
        np.ma.array([1, 2], mask=False),
        np.array([1, 2], ">i2"),
        np.array([1, 2], object),
        pd.Categorical([1, 2]),
    ],
)
def test_columns_of_ids_of_any_dtype_are_those_of_python(ids):
    c = empty()
    c.insert(ids, [ROW, ROW])
    assert repr(c.ids()) == "[1, 2]"


MASKED = np.ma.array([[1.0, 2.0], [3.0, 4.0]], mask=[[0, 0], [0, 1]])


@pytest.mark.parametrize(
    "rows", [MASKED, list(MASKED), tuple(MASKED)], ids=["array", "list", "tuple"]
)
def test_masked_vectors_are_refused_by_every_call(rows):
    c = filled(vk.CpuCollection, dim=2)
    before = everything(c)
    for call in (
        lambda: c.upsert(["1", "2"], rows),
        lambda: c.insert(["x", "y"], rows),
        lambda: c.update_vectors(["1", "2"], rows),
        lambda: c.update_vector("1", rows[1]),
        lambda: c.update("1", vector=rows[1]),
        lambda: c.search(rows[1]),
        lambda: c.search_many(rows),
        lambda: vk.diff(c, c, rows),
    ):
        with pytest.raises(InvalidVector) as caught:
            call()
        assert caught.value.got == "masked numbers: 1"
    assert everything(c) == before


def test_masked_arrays_without_a_mask_are_arrays():
    rows = np.ma.array([[1.0, 2.0], [3.0, 4.0]], mask=False)
    c, plain = empty(), empty()
    plain.insert(["a", "b"], rows.data)
    c.insert(["a", "b"], rows)
    c.update_vectors(["a", "b"], list(rows))
    c.update_vector("b", rows[1])
    assert c.digest() == plain.digest()
    assert list(c.search(rows[0], 2)) == list(plain.search([1, 2], 2))


NO_NUMBERS = [
    np.timedelta64(2), np.timedelta64(2, "s"), timedelta(2), pd.Timedelta(2), np.datetime64(2, "s"),
    True, np.bool_(True), 2.0, np.float32(2), "2", None, np.array([2]), np.ma.masked, Decimal(2),
]  # fmt: skip


@pytest.mark.parametrize("number", NO_NUMBERS, ids=repr)
def test_only_whole_numbers_are_counts(number):
    c = filled(vk.CpuCollection)
    before = everything(c)
    asked = np.ones(4)
    for error, call in (
        (InvalidK, lambda: c.search(asked, number)),
        (InvalidK, lambda: c.search_many([asked], number)),
        (InvalidOption, lambda: c.reserve(number)),
        (InvalidOption, lambda: c.batches(number)),
        (InvalidDimension, lambda: vk.CpuCollection(dim=number)),
        (InvalidOption, lambda: vk.QuantizedCollection(dim=2, rescore=number)),
        (InvalidOption, lambda: vk.QueryCache(capacity=number)),
        (InvalidOption, lambda: sim.sweep({"replicas": [1]}, seeds=[number])),
        (InvalidOption, lambda: vk.datasets.glove(limit=number)),
    ):
        with pytest.raises(error):
            call()
    assert whole_number(number) is None
    assert everything(c) == before


def test_durations_are_no_age_of_a_cache():
    for age in (np.timedelta64(5, "s"), timedelta(5), np.bool_(True)):
        with pytest.raises(InvalidOption):
            vk.QueryCache(max_age_s=age)
    assert vk.QueryCache(max_age_s=np.float32(5)).max_age_s == 5.0


def test_members_of_an_enum_are_counts_and_names_as_their_values():
    size, word, c = NAMES["Size"].LARGE, NAMES["Word"].KING, filled(vk.CpuCollection)
    assert len(c.search(np.ones(4), size)) == 3
    assert vk.CpuCollection(dim=size).dim == 3
    store = vk.VectorStore()
    operations = []
    store.subscribe(operations.append)
    store.create_collection(word, dim=2)
    store.rename_collection(word, "queen")
    assert list(store) == ["queen"]
    assert [type(each.collection) for each in operations] == [str, str]


@pytest.mark.parametrize("name", [pd.NA, ["dot"], np.array(["dot", "cpu"]), None, float("nan"), {}])
def test_an_option_that_is_no_name_is_refused_and_never_an_error_of_another_kind(name):
    for call in (
        lambda: vk.CpuCollection(dim=2, metric=name),
        lambda: vk.VectorStore().create_collection("c", dim=2, kind=name),
        lambda: vk.QuantizedCollection(dim=2, codec=name),
        lambda: vk.QuantizedCollection(dim=2, rows=name),
        lambda: empty().delete(["a"], missing=name),
    ):
        with pytest.raises(InvalidInput):
            call()


def test_options_named_by_an_enum_or_by_numpy_make_equal_collections():
    class Option(str, Enum):  # noqa: UP042 - The str of a StrEnum is its value anyway.
        KIND, METRIC, CODEC, ROWS = "quantized", "dot", "int8", "host"

    made = []
    for names in (
        list(Option),
        [each.value for each in Option],
        [np.str_(o.value) for o in Option],
    ):
        kind, metric, codec, rows = names
        store = vk.VectorStore()
        made.append(
            store.create_collection("c", dim=2, kind=kind, metric=metric, codec=codec, rows=rows)
        )
    assert len({each.digest() for each in made}) == 1
    cpu = [vk.VectorStore().create_collection("c", dim=2, kind=k) for k in ("cpu", np.str_("cpu"))]
    assert type(cpu[1].config.kind) is str
    assert cpu[0].digest() == cpu[1].digest()


# Keys, copies, depth


class Key(str, Enum):  # noqa: UP042 - The str of a StrEnum is its value anyway.
    YEAR = "year"


class Plain(Enum):
    YEAR = "year"


@pytest.mark.parametrize("key", [Key.YEAR, Plain.YEAR, np.str_("year")])
def test_keys_are_texts_also_those_of_an_enum(key):
    c = DOORS["upsert"]({key: {key: 1}})
    assert [type(each) for each in c.payload("r")] == [str]
    assert c.payload("r") == {"year": {"year": 1}}
    c.update("r", payload={key: 1990})
    assert found(c, {key: {"gte": 1990}}) == ("r",)
    assert found(c, {key: {NAMES["Enum"]("Op", {"LT": "lt"}).LT: 1990}}) == ()


def test_two_keys_of_one_text_are_refused():
    for payload in ({"year": 1, Plain.YEAR: 2}, {"a": {Plain.YEAR: 1, "year": 2}}):
        with pytest.raises(InvalidPayload, match="two keys are the same text"):
            DOORS["upsert"](payload)


@pytest.mark.parametrize("door", [name for name in DOORS if name != "an update"])
def test_no_dict_or_list_is_shared_with_the_caller(door):
    given_ = {"a": {"b": [1, {"c": 2}]}, "d": [[3]], "e": np.array([4])}
    wanted = {"a": {"b": [1, {"c": 2}]}, "d": [[3]], "e": [4]}
    c = DOORS[door](given_)
    digest = c.digest()

    def spoil(payload):
        payload["a"]["b"][1]["c"] = payload["d"][0][0] = payload["e"][0] = 9
        payload["new"] = 9

    spoil(given_)
    spoil(c.get("r").payload)
    spoil(c.payload("r"))
    spoil(c.snapshot().payloads()[c.ids().index("r")])
    for batch in c.batches():
        spoil(batch.payloads[batch.ids.index("r")])
    assert c.payload("r") == wanted
    assert (c.digest(), c.snapshot().digest()) == (digest, digest)


def nested(depth):
    value = 1
    for level in range(depth):
        value = [value] if level % 2 else {"a": value}
    return value


def test_payloads_are_nested_as_deep_as_every_read_can_follow():
    c = DOORS["upsert"]({"a": nested(DEPTH_MAX)})
    assert c.get("r").payload == c.snapshot().payloads()[0] == {"a": nested(DEPTH_MAX)}
    with pytest.raises(InvalidPayload, match="100 deep at most"):
        DOORS["upsert"]({"a": nested(DEPTH_MAX + 1)})


class Lazy(Mapping):
    def __init__(self, inner):
        self.inner = inner

    def __getitem__(self, key):
        return self.inner[key]

    def __iter__(self):
        return iter(self.inner)

    def __len__(self):
        return len(self.inner)


def test_any_mapping_and_subclasses_of_plain_types_are_taken_as_plain_ones():
    class Text(str):
        __slots__ = ()

        def __str__(self):
            return "another"

    class Number(int):
        def __int__(self):
            return 99

    c = DOORS["update"](Lazy({"a": Lazy({"b": Text("x")}), "n": Number(7), "t": time(1, 2, 3, 4)}))
    assert repr(c.payload("r")) == "{'a': {'b': 'x'}, 'n': 7, 't': '01:02:03.000004'}"


@pytest.mark.parametrize(
    "dtype", [jnp.float32, jnp.bfloat16, jnp.float8_e4m3fn, np.float16, np.longdouble]
)
def test_floats_of_every_width_are_floats_alone_and_in_arrays(dtype):
    array = np.arange(2).astype(dtype)
    assert repr(stored_value(array)) == repr(stored_value(list(array))) == "[0.0, 1.0]"
    assert repr(stored_value(array[1])) == repr(stored_value(np.array(array[1]))) == "1.0"
    if dtype is not np.longdouble:
        assert repr(stored_value(jnp.asarray(array))) == "[0.0, 1.0]"


def test_integers_of_every_width_are_ints_alone_and_in_arrays():
    for dtype in ("int8", ">u2", "uint64", jnp.int4):
        array = np.arange(2).astype(dtype)
        assert repr(stored_value(array)) == repr(stored_value(list(array))) == "[0, 1]"


def test_series_and_arrays_of_objects_are_lists_of_stored_values():
    assert stored_value(pd.Series(pd.to_datetime(["2020-01-01"]))) == ["2020-01-01T00:00:00"]
    assert stored_value(np.array([1, "a", None], object)) == [1, "a", None]


def test_values_of_a_function_that_jax_traces_are_refused():
    c = empty()
    with pytest.raises(VectorKitError, match=r"[Tt]race"):
        jax.jit(lambda x: c.upsert(["a"], [ROW], [{"x": x}]))(1.0)
    assert c.version == 0


class Broken(Lazy):
    def items(self):
        return [1, 2]


@pytest.mark.parametrize("payload", [Broken({}), {"a": Broken({})}])
def test_a_mapping_without_pairs_is_refused(payload):
    with pytest.raises(InvalidPayload, match=r"must have items\(\) of keys and values"):
        DOORS["upsert"](payload)


@pytest.mark.parametrize(
    ("payload", "place", "got"),
    [
        ({"meta": {"tags": ["a", b"x"]}}, "meta.tags[1]", "b'x' (bytes)"),
        ({"a b": {"c.d": [[{1}]]}}, "['a b']['c.d'][0][0]", "{1} (set)"),
        ({"a": np.array([[1.0, np.nan]])}, "a[0][1]", "nan (float)"),
        ({"a": pd.Series([1, 2**64], dtype="object")}, "a[1]", "18446744073709551616 (int)"),
        ({"a": {2: 1}}, "a.2", "2 (int)"),
        ({"x" * 200: 1j}, "x" * 59 + "…", "1j (complex)"),
        ({"a": vk.KEEP}, "a", "KEEP (Keep)"),
        ({"a": np.array([(1, 2)], "i4,i4")}, "a", None),
        ({"a": np.longdouble(1) + np.finfo(np.longdouble).eps}, "a", None),
        ({"a": [1, np.ma.masked]}, "a[1]", "masked (MaskedConstant)"),
        ({"a": pd.Timestamp(np.datetime64("12000-01-01", "s"))}, "a", None),
        ({"a": np.void(b"ab")}, "a", None),
        ({"a": datetime.min.replace(tzinfo=timezone(timedelta(hours=1)))}, "a", None),
    ],
)  # fmt: skip
def test_an_error_names_the_row_the_key_and_the_value(payload, place, got):
    c = filled(vk.CpuCollection, dim=2)
    before = everything(c)
    with pytest.raises(InvalidPayload) as caught:
        c.upsert(["1", "2", "3"], [ROW] * 3, [{"fine": 1}, payload, None])
    assert caught.value.details == {"id": "2", "key": place}
    assert got is None or caught.value.got == got
    assert "the payload of '2'" in str(caught.value)
    assert everything(c) == before


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA, pd.NaT])
def test_a_payload_that_is_missing_is_none_and_an_empty_one_stays(missing):
    c = empty()
    c.insert(["a", "b", "c"], [ROW] * 3, [missing, {}, {"x": missing}])
    assert c.snapshot().payloads() == [None, {}, None]
    c.update("b", payload=missing)
    assert c.payload("b") is None


def test_more_payloads_than_rows_are_refused_without_reading_all_of_them():
    endless = iter(dict, None)
    with pytest.raises(InvalidPayload, match="2 or more payloads"):
        empty().upsert(["a"], [ROW], endless)


old_values = st.recursive(
    st.booleans()
    | st.integers(-(2**63) + 1, 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=3),
    lambda inner: (
        st.lists(st.none() | inner, max_size=2)
        | st.dictionaries(st.text(max_size=2), st.none() | inner, max_size=2)
    ),
    max_leaves=5,
)


@given(st.dictionaries(st.text(max_size=2), old_values, max_size=3))
def test_what_is_json_already_keeps_its_bytes_and_is_a_copy(payload):
    stored = stored_payload(payload)
    assert canonical_payload(stored) == canonical_payload(payload)
    assert repr(stored) == repr(payload)
    assert stored is not payload
    assert repr(stored_payload(stored)) == repr(stored)


def test_null_in_operations_of_older_versions_stays_and_is_found():
    old = Upsert("c", ("r", "s"), np.array([ROW, ROW], np.float32), ({"a": None}, {"a": 1}))
    made = CreateCollection("c", CollectionConfig(2, "dot", "cpu"))
    c = store_of([made, decode(encode(old))])["c"]
    assert c.payload("r") == {"a": None}
    assert found(c, {"a": None}) == ("r",)
    assert found(c, {"a": {"ne": None}}) == ("s",)
    assert found(c, {"a": {"exists": True}}) == ("r", "s")


def test_ids_that_are_written_alike_are_one_id():
    for ids in ([UUID(int=7), str(UUID(int=7))], [NAMES["Word"].KING, "king"], [np.int8(3), 3]):
        with pytest.raises(DuplicateId):
            empty().upsert(ids, [ROW, ROW])


def test_operations_are_committed_as_they_are_only_if_every_type_is_the_stored_one():
    store, sent = with_row(True), []
    store.subscribe(sent.append)
    rows = np.array([ROW], np.float32)
    for ids, payloads in (
        ((NAMES["Word"].KING,), None),
        (("a",), ({"x": np.bool_(True)},)),
        (("a",), ({"x": [NAMES["Size"].LARGE]},)),
        (("a",), ({np.str_("x"): {"y": np.float64(0.5)}},)),
    ):
        write(store, Upsert("c", ids, rows, payloads))
    assert [type(each) for each in sent[0].ids] == [str]
    stored = [sent[1].payloads[0]["x"], sent[2].payloads[0]["x"][0], sent[3].payloads[0]["x"]["y"]]
    assert repr(stored) == "[True, 3, 0.5]"
    plain = Upsert("c", ("a",), rows, ({"x": [True, 3, {"y": 0.5}]},))
    write(store, plain)
    assert sent[4] is plain
