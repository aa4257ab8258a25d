"""Columns: whatever was written before, they hold what the payloads hold."""

import sys
import threading

import numpy as np
import pytest
from hypothesis import given

from tests.collections.written import MANY, Written, steps
from vectorkit.collections.filters import columns as columns_module
from vectorkit.collections.filters.columns import COLUMNS_MAX, Columns
from vectorkit.collections.filters.dictionary import FIXED, FLOAT, INT, MISSING, canonical_json


def held(columns, key, count):
    """The values that the rows of a column stand for, with their types; () for a missing one."""
    view = columns.column(key, count)
    decoded = []
    for slot, code in enumerate(view.codes.tolist()):
        fixed = [(), None, False, True, view.ints[slot : slot + 1], view.floats[slot : slot + 1]]
        value = fixed[code] if code < FIXED else view.dictionary.entries[code]
        decoded.append(value.item() if isinstance(value, np.ndarray) else value)
    return [(type(value), value) for value in decoded]


def expected(payloads, key):
    found = [() if p is None else p.get(key, ()) for p in payloads]
    found = [canonical_json(v) if isinstance(v, list | dict) else v for v in found]
    return [(type(value), value) for value in found]


def assert_equal(columns, payloads, count=None):
    count = len(payloads) if count is None else count
    for key in ("a", "b"):
        assert held(columns, key, count) == expected(payloads[:count], key)
        column = columns._columns[key]
        tables = column.dictionary
        counted = np.bincount(column.codes[: column.count], minlength=len(tables.entries))
        assert tables.uses.tolist() == counted.tolist()
        assert tables.unused == int((counted[FIXED:] == 0).sum())
        assert {entry: tables[entry] for entry in tables.entries[FIXED:]} == dict(tables)


@given(steps)
def test_columns_hold_what_the_payloads_hold_after_any_writes(steps):
    written = Written()
    written.play(steps)
    assert_equal(written.columns, written.payloads)
    for columns, payloads, count in written.snapshots:
        assert_equal(columns, payloads, count)


@pytest.mark.parametrize("count", [1, MANY])
def test_rows_appended_to_the_list_are_read_without_a_call(count):
    payloads = [{"a": 1}]
    columns = Columns(payloads)
    columns.column("a", 1)
    payloads += [{"a": 2}] * count
    assert columns.column("a", 1 + count).ints.tolist() == [1] + [2] * count


def test_no_column_is_made_before_a_filter_asks():
    payloads = [{"a": "text"}] * MANY
    columns = Columns(payloads)
    columns.reread([0])
    columns.truncate(MANY)
    assert columns.nbytes == 0
    columns.column("a", MANY)
    assert list(columns._columns) == ["a"]
    assert 4 * MANY < columns.nbytes < 20 * MANY


def test_a_view_counts_whether_its_column_is_uniform():
    view = Columns([{"a": 1}, {"a": 0.5}, {}]).column("a", 3)
    assert (view.uses[INT], view.uses[FLOAT], view.uses[MISSING], view.total) == (1, 1, 1, 3)


@pytest.mark.parametrize("count", [1, MANY])
def test_overwriting_a_copy_leaves_the_original_as_it_was(count):
    payloads = [{"a": "old", "b": 1}] * MANY
    columns = Columns(payloads)
    columns.column("a", MANY), columns.column("b", MANY)
    changed = [{"a": "new", "b": 0.5}] * count + payloads[count:]
    copied = columns.copy(changed)
    copied.reread(range(count))
    assert_equal(columns, payloads)
    assert_equal(copied, changed)


def test_a_copy_takes_memory_only_for_the_columns_that_change():
    payloads = [{"a": 1, "b": 1}] * MANY
    columns = Columns(payloads)
    columns.column("a", MANY), columns.column("b", MANY)
    copied = columns.copy(payloads.copy())
    assert np.shares_memory(copied.column("a", 1).ints, columns.column("a", 1).ints)
    copied.reread([0])
    assert not np.shares_memory(copied.column("a", 1).ints, columns.column("a", 1).ints)


def test_appending_leaves_the_rows_of_an_earlier_view_alone():
    payloads = [{"a": "x"}, {"a": 1}]
    columns = Columns(payloads)
    view = columns.column("a", 2)
    before = view.codes.copy(), view.ints.copy(), view.uses
    payloads += [{"a": f"text {index}"} for index in range(MANY)]
    columns.column("a", len(payloads))
    assert (view.codes == before[0]).all()
    assert (view.ints == before[1]).all()
    assert view.uses == before[2]


@pytest.mark.parametrize("batch", [1, MANY])
def test_texts_that_no_row_has_any_more_do_not_pile_up(batch):
    payloads = [{"a": "same"}] * (10 * MANY)
    columns = Columns(payloads)
    columns.column("a", len(payloads))
    sizes = []
    for number in range(0, 1_000, batch):
        for slot in range(batch):
            payloads[slot] = {"a": f"text {number + slot}"}
        columns.reread(range(batch))
        sizes.append(len(columns.column("a", len(payloads)).dictionary.entries))
    bound = columns_module._UNUSED_MIN + len(payloads) // columns_module._UNUSED_SHARE
    assert max(sizes) <= FIXED + 1 + 3 * batch + bound
    assert held(columns, "a", len(payloads)) == expected(payloads, "a")


def test_the_columns_are_limited_and_the_longest_unasked_goes_first():
    columns = Columns([{"a": 1}])
    for number in range(COLUMNS_MAX):
        columns.column(f"key {number}", 1)
    columns.column("key 0", 1)
    columns.column("one more", 1)
    assert len(columns._columns) == COLUMNS_MAX
    assert "key 0" in columns._columns
    assert "key 1" not in columns._columns


def test_subclasses_of_texts_and_numbers_are_what_they_extend():
    class Text(str):
        __slots__ = ()

    class Number(int):
        pass

    payloads = [{"a": Text("x"), "b": Number(3)}, {"a": "x", "b": 3}] * MANY
    columns = Columns(payloads)
    assert len(set(columns.column("a", 2 * MANY).codes.tolist())) == 1
    assert set(columns.column("b", 2 * MANY).ints.tolist()) == {3}


def test_two_lone_surrogates_are_not_one_character():
    columns = Columns([{"a": ["\ud800\udc00"]}, {"a": ["\U00010000"]}])
    first, second = columns.column("a", 2).codes.tolist()
    assert first != second


@pytest.mark.parametrize("batch", [1, MANY])
def test_slots_may_repeat_and_may_lie_behind_what_a_column_has_read(batch):
    payloads = [{"a": "x"}] * MANY
    columns = Columns(payloads)
    columns.column("a", MANY)
    payloads += [{"a": "z"}] * batch
    payloads[0] = {"a": "y"}
    columns.reread([0, *range(batch), *range(MANY, MANY + batch)])
    assert_equal(columns, payloads)


@pytest.mark.parametrize("remaining", [0, MANY - 1])
def test_rows_that_were_cut_off_leave_nothing_to_the_rows_that_follow(remaining):
    payloads = [{"a": "x", "b": 1}] * MANY
    columns = Columns(payloads)
    columns.column("a", MANY), columns.column("b", MANY)
    del payloads[remaining:]
    columns.truncate(remaining)
    payloads += [None, {"a": "y"}]
    assert_equal(columns, payloads)


def test_two_lists_that_grow_apart_after_a_copy_are_both_read_right():
    payloads = [{"a": "x", "b": 1}] * 3
    columns = Columns(payloads)
    assert_equal(columns, payloads)
    others = payloads.copy()
    copied = columns.copy(others)
    payloads += [{"a": "mine", "b": 2}]
    others += [{"a": "other"}, {"b": 0.5}]
    assert_equal(columns, payloads)
    assert_equal(copied, others)
    assert_equal(columns, payloads)


def test_readers_of_a_held_prefix_and_an_appending_reader_count_alike():
    payloads = [{"a": "x"}] * MANY
    columns = Columns(payloads)
    payloads += [{"a": f"{index}"} for index in range(5_000)]
    failures = []

    def read(counts):
        try:
            for count in counts:
                assert len(columns.column("a", count).codes) == count
        except AssertionError as error:
            failures.append(error)

    threads = [threading.Thread(target=read, args=(range(i, 5_100, 7),)) for i in range(4)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.setswitchinterval(interval)
    columns.column("b", 5_100)
    assert failures == []
    assert_equal(columns, payloads)


def test_payloads_are_read_into_a_column_under_its_lock():
    class Watched(dict):
        def get(self, key, default=None):
            seen.append(columns._guard.is_owned)
            return super().get(key, default)

    seen = []
    columns = Columns([Watched(a=1)])
    columns.column("a", 1)
    columns.reread([0])
    assert seen == [True, True]
