"""Filters: every row is answered as a plain reading of the rules answers it, or nothing is."""

import json
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.collections.written import MANY, Written, steps, values
from vectorkit.collections.filters.columns import Columns
from vectorkit.collections.filters.filter import parse
from vectorkit.collections.filters.grammar import DEPTH_MAX
from vectorkit.errors import InvalidFilter

ORDERS = {
    "lt": lambda a, b: a < b,
    "lte": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "gte": lambda a, b: a >= b,
}


def comparable(value):
    """A value as something that Python's own == and < treat by the rules, with its kind."""
    match value:
        case None | bool() | str():
            return type(value), value
        case int() | float():
            return "number", Fraction(value)
    return "document", json.dumps(value, sort_keys=True, ensure_ascii=False)


def holds(condition, operand, payload, key):
    if condition == "exists":
        return (key in payload) == operand
    if condition == "ne":
        return not holds("eq", operand, payload, key)
    if condition in {"eq", "in"} and key not in payload:
        return None in (operand if condition == "in" else [operand])
    if key not in payload:
        return False
    (kind, value) = mine = comparable(payload[key])
    if condition in ORDERS:
        other_kind, other = comparable(operand)
        return kind == other_kind and ORDERS[condition](value, other)
    return mine in [comparable(each) for each in (operand if condition == "in" else [operand])]


def passes(where, payload):
    """The rules of `where` on one payload, read aloud."""
    answers = []
    for key, given_ in where.items():
        if key in {"and", "or"}:
            answers.append({"and": all, "or": any}[key](passes(each, payload) for each in given_))
        elif key == "not":
            answers.append(not passes(given_, payload))
        else:
            conditions = given_ if isinstance(given_, dict) else {"eq": given_}
            answers += [holds(name, each, payload, key) for name, each in conditions.items()]
    return all(answers)


numbers = st.sampled_from([0, 1, 2**53, 2**53 + 1, 2**63 - 1, 0.5, -0.5, 2.0**53, 2.0**63, -1e300])
bounds = numbers | st.sampled_from(["", "a", "aa", "\U00010000"])
conditions = st.fixed_dictionaries(
    {},
    optional={
        "eq": values,
        "ne": values,
        "in": st.lists(values | numbers, max_size=4) | st.lists(values, min_size=12, max_size=20),
        "exists": st.booleans(),
        **dict.fromkeys(ORDERS, bounds),
    },
).filter(bool)
bare = values.filter(lambda value: not isinstance(value, list | dict))
keys = st.dictionaries(st.sampled_from(["a", "b", "c"]), conditions | bare, max_size=2)
filters = st.recursive(
    keys,
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "and": st.lists(inner, max_size=3),
            "or": st.lists(inner, max_size=3),
            "not": inner,
            "a": conditions,
        },
    ),
    max_leaves=6,
)


@given(steps, st.lists(filters, min_size=1, max_size=4))
def test_any_filter_after_any_writes_answers_as_the_rules_read(steps, wheres):
    written = Written()
    written.play(steps)
    states = [*written.snapshots, (written.columns, written.payloads, len(written.payloads))]
    for columns, payloads, count in states:
        for where in wheres:
            mask = parse(where).mask(columns, count)
            wanted = [passes(where, payload or {}) for payload in payloads[:count]]
            assert (mask.dtype, mask.tolist()) == (np.bool_, wanted)
            chosen = np.arange(count)[::-3]
            assert parse(where).mask_at(columns, chosen).tolist() == mask[chosen].tolist()


def asked(where, payloads):
    return np.flatnonzero(parse(where).mask(Columns(payloads), len(payloads))).tolist()


def test_a_bool_is_no_number():
    rows = [{"a": 1}, {"a": True}, {"a": 0.0}, {"a": False}]
    assert asked({"a": 1}, rows) == [0]
    assert asked({"a": True}, rows) == [1]
    assert asked({"a": {"gte": 0}}, rows) == [0, 2]


def test_integers_that_a_float_cannot_hold_compare_exactly():
    rows = [{"a": 2**53}, {"a": 2**53 + 1}, {"a": 2.0**53}, {"a": 2.0**53 + 2}]
    assert asked({"a": 2**53 + 1}, rows) == [1]
    assert asked({"a": {"gt": 2**53}}, rows) == [1, 3]
    assert asked({"a": {"lt": 2**53 + 1}}, rows) == [0, 2]
    assert asked({"a": 2.0**53}, rows) == [0, 2]


def test_a_bound_that_no_float_holds_is_compared_exactly_where_it_rounds_up():
    rows = [{"a": 2.0**53 + 2}, {"a": 2.0**53 + 4}]
    assert asked({"a": {"lte": 2**53 + 3}}, rows) == [0]
    assert asked({"a": {"gt": 2**53 + 3}}, rows) == [1]


@pytest.mark.parametrize(
    ("order", "wanted"), [("lt", [0]), ("lte", [0, 1]), ("gt", [2, 3]), ("gte", [1, 2, 3])]
)
def test_texts_are_ordered_by_code_point(order, wanted):
    rows = [{"a": "Z"}, {"a": "a"}, {"a": "\uffff"}, {"a": "\U00010000"}, {"a": 1}, {}]
    assert asked({"a": {order: "a"}}, rows) == wanted


def test_a_text_that_came_later_is_ordered_too():
    payloads = [{"a": "b"}]
    columns, where = Columns(payloads), parse({"a": {"lt": "c"}})
    assert where.mask(columns, 1).tolist() == [True]
    payloads.append({"a": "a"})
    assert where.mask(columns, 2).tolist() == [True, True]


def test_a_missing_key_passes_ne_exists_false_and_what_asks_for_it():
    rows = [None, {}, {"a": None}]
    assert asked({"a": {"ne": 1}}, rows) == [0, 1, 2]
    assert asked({"a": {"exists": False}}, rows) == [0, 1]
    for missing in (None, float("nan"), np.float32("nan"), np.datetime64("NaT")):
        assert asked({"a": missing}, rows) == asked({"a": {"in": [1, missing]}}, rows) == [0, 1, 2]
        assert asked({"a": {"ne": missing}}, [*rows, {"a": 0}]) == [3]
    assert asked({"a": {"lt": 1}}, rows) == []


def test_no_condition_passes_all_and_no_choice_passes_none():
    rows = [{"a": 1}, None]
    assert asked({}, rows) == [0, 1]
    assert asked({"and": []}, rows) == [0, 1]
    assert asked({"or": []}, rows) == []
    assert asked({"a": {"in": []}}, rows) == []


def test_an_int_with_the_bits_of_a_signalling_nan_compares_without_a_warning():
    rows = [{"a": 0x7FF0000000000001}, {"a": 0.5}] * MANY
    assert asked({"a": {"gt": 0.4}}, rows) == list(range(2 * MANY))
    assert asked({"a": {"in": [0.5, *range(20)]}}, rows) == list(range(1, 2 * MANY, 2))


def test_arrays_and_numpy_scalars_are_taken_as_the_values_they_hold():
    rows = [{"a": 1}, {"a": 2}, {"a": 3}]
    assert asked({"a": {"in": np.array([1, 3])}}, rows) == [0, 2]
    assert asked({"a": {"gte": np.float32(2.5)}}, rows) == [2]
    assert asked({"a": {"exists": np.bool_(True)}}, rows) == [0, 1, 2]


def test_a_filter_is_not_changed_by_changing_what_it_was_made_of():
    wanted = ["en"]
    where = parse({"lang": {"in": wanted}})
    wanted.append("de")
    assert where.mask(Columns([{"lang": "de"}]), 1).tolist() == [False]


def test_a_mask_is_an_array_of_its_own():
    columns = Columns([{"a": True}] * 3)
    for where in ({}, {"a": True}, {"a": {"exists": True}}, lambda c: c["a"]):
        first = parse(where).mask(columns, 3)
        first[:] = False
        assert parse(where).mask(columns, 3).all()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1}, {"a": {"eq": 1.0}}),
        ({"a": 0}, {"a": -0.0}),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({"a": 1, "b": 2}, {"and": [{"b": 2}, {"and": [{"a": 1}]}]}),
        ({"a": {"gt": 1, "lt": 3}}, {"and": [{"a": {"lt": 3}}, {"a": {"gt": 1}}]}),
        ({"a": {"in": [2, 1]}}, {"a": {"in": (1, 2, 2)}}),
        ({"a": {"ne": 1}}, {"not": {"a": 1}}),
        ({"a": 1}, {"not": {"not": {"a": 1}}}),
        ({"a": {"exists": False}}, {"not": {"a": {"exists": True}}}),
        ({"or": [{"a": 1}, {"b": 1}]}, {"or": [{"b": 1}, {"a": 1}, {"b": 1}]}),
        ({}, {"and": [{}, {"and": []}]}),
    ],
)
def test_equal_meaning_has_an_equal_key(one, other):
    assert parse(one).key == parse(other).key


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1}, {"a": True}),
        ({"a": 1}, {"a": "1"}),
        ({"a": {"eq": [1]}}, {"a": {"eq": [1.0]}}),
        ({"a": {"eq": [1, 2]}}, {"a": {"in": [1, 2]}}),
        ({"a": {"eq": "\ud800\udc00"}}, {"a": {"eq": "\U00010000"}}),
        ({"a": {"lt": 1}}, {"a": {"lte": 1}}),
        ({"or": []}, {"and": []}),
        ({"a": 2**53}, {"a": 2**53 + 1}),
    ],
)
def test_another_meaning_has_another_key(one, other):
    assert parse(one).key != parse(other).key


def nested(depth):
    return {"not": nested(depth - 1)} if depth else {"a": 1}


@pytest.mark.parametrize(
    ("where", "path", "said"),
    [
        ([], "where", "wanted a mapping"),
        ({1: 2}, "where", "the key 1 (int)"),
        ({"a": {"gtee": 1}}, "where['a']", "did you mean 'gte'?"),
        ({"a": {"$in": [1]}}, "where['a']", "did you mean 'in'?"),
        ({"a": {">=": 1}}, "where['a']", "did you mean 'gte'?"),
        ({"a": {"x": 1}}, "where['a']", 'compare with a dict by {"eq": {…}}'),
        ({"a": {}}, "where['a']", "leave the key out"),
        ({"a": ["x"]}, "where['a']", '{"in": […]}'),
        ({"a": {"eq": [float("nan")]}}, "where['a']['eq'][0]", "put None"),
        ({"a": {"lt": float("nan")}}, "where['a']['lt']", "got nan (float)"),
        ({"a": {"lt": float("inf")}}, "where['a']['lt']", "finite"),
        ({"a": {"gt": 2**63}}, "where['a']['gt']", "64 bits"),
        ({"a": {"lt": None}}, "where['a']['lt']", "a number, a text, a date"),
        ({"a": {"gte": True}}, "where['a']['gte']", "got True (bool)"),
        ({"a": {"gte": [1]}}, "where['a']['gte']", "a number, a text, a date"),
        ({"a": {"in": "en"}}, "where['a']['in']", "got 'en' (str)"),
        ({"a": {"in": {1}}}, "where['a']['in']", "got {1} (set)"),
        ({"a": {"in": [1, {2}]}}, "where['a']['in'][1]", "got {2} (set)"),
        ({"a": {"in": np.array(1)}}, "where['a']['in']", "one-dimensional"),
        ({"a": {"eq": {1}}}, "where['a']['eq']", "got {1} (set)"),
        ({"a": {1, 2}}, "where['a']", "(set)"),
        ({"a": {"exists": 1}}, "where['a']['exists']", "True or False"),
        ({"and": {"a": 1}}, "where['and']", "a list of filters"),
        ({"or": [{"a": 1}, 2]}, "where['or'][1]", "got 2"),
        ({"or": [{"not": {"a": {"lq": 1}}}]}, "where['or'][0]['not']['a']", "one of eq, ne"),
        (nested(DEPTH_MAX + 1), "where" + "['not']" * (DEPTH_MAX + 1), "nested"),
    ],
)
def test_a_filter_without_a_meaning_is_refused_with_its_place(where, path, said):
    with pytest.raises(InvalidFilter) as caught:
        parse(where)
    assert caught.value.details["path"] == path
    assert f"(at {path})" in str(caught.value)
    assert said in str(caught.value)
    json.dumps(caught.value.to_dict())


def test_the_deepest_filter_is_taken():
    assert asked(nested(DEPTH_MAX), [{"a": 1}, {"a": 2}]) == [DEPTH_MAX % 2]


ROWS = [
    {"int": 1, "num": 1, "bool": True, "text": "x", "gap": True, "any": [1]},
    {"int": 2**53 + 1, "num": 0.5, "bool": False, "text": "y", "any": 3},
    {"int": 3, "num": None, "bool": True, "gap": None, "any": 0.5},
]


@pytest.mark.parametrize(
    ("key", "dtype", "wanted"),
    [
        ("int", np.int64, [1, 2**53 + 1, 3]),
        ("num", np.float64, [1.0, 0.5, np.nan]),
        ("bool", np.bool_, [True, False, True]),
        ("text", np.object_, ["x", "y", None]),
        ("gap", np.object_, [True, None, None]),
        ("any", np.object_, [[1], 3, 0.5]),
    ],
)
def test_a_function_gets_each_column_in_the_plainest_dtype_read_only(key, dtype, wanted):
    seen = []
    parse(lambda columns: seen.append(columns[key]) or np.ones(3, bool)).mask(Columns(ROWS), 3)
    assert seen[0].dtype == dtype
    assert str(seen[0].tolist()) == str(wanted)
    assert not seen[0].flags.writeable


def test_a_function_makes_only_the_columns_it_touches_and_sees_all_names():
    columns = Columns(ROWS)
    names = []

    def where(arrays):
        names.extend(arrays)
        assert (len(arrays), arrays.get("nope")) == (6, None)
        return (arrays["int"] > 1) & (arrays["int"] < 2**53)

    assert parse(where).mask(columns, 3).tolist() == [False, False, True]
    assert names == ["any", "bool", "gap", "int", "num", "text"]
    assert sorted(columns._columns) == ["int", "nope"]


def test_a_function_has_no_key_and_is_not_asked_about_no_rows():
    where = parse(lambda columns: columns["nope"] > 1)
    assert where.key is None
    assert where.mask(Columns([]), 0).shape == (0,)


def test_a_function_that_compares_rows_answers_alike_for_a_few_of_them():
    where = parse(lambda columns: columns["int"] > columns["int"].mean())
    columns = Columns([{"int": number} for number in (1, 2, 9)])
    assert where.mask_at(columns, [2, 0]).tolist() == [True, False]


@pytest.mark.parametrize(
    ("where", "said", "cause"),
    [
        (lambda c: c["itn"] > 1, "did you mean 'int'?", KeyError),
        (lambda c: c["text"] > "a", "TypeError", TypeError),
        (lambda _: 1 / 0, "ZeroDivisionError", ZeroDivisionError),
        (lambda _: {}["a"], "KeyError: 'a'", KeyError),
        (lambda c: c["int"], "got int64 of shape (3,)", type(None)),
        (lambda _: True, "got bool of shape ()", type(None)),
        (lambda _: np.ones(2, bool), "wanted a bool array of shape (3,)", type(None)),
    ],
)
def test_a_function_that_gives_no_answer_is_refused_with_its_cause(where, said, cause):
    with pytest.raises(InvalidFilter) as caught:
        parse(where).mask(Columns(ROWS), 3)
    assert said in str(caught.value)
    assert isinstance(caught.value.__cause__, cause)
    json.dumps(caught.value.to_dict())
