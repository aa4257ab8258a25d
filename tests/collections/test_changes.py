"""Which slots the last writes have changed: exact, or "unknown", never too few."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import vectorkit as vk
from vectorkit.collections.storage.change_log import SLOTS_MAX, WRITES_KEPT, ChangeLog
from vectorkit.operations import UpdateVectors
from vectorkit.types import KEEP

entries = st.lists(
    st.one_of(st.integers(0, 30), st.lists(st.integers(0, 30), unique=True)), max_size=20
)


def logged(writes):
    log = ChangeLog(version=7)
    for version, write in enumerate(writes, 8):
        if isinstance(write, int):
            log.note_each(version, [write])
        else:
            log.note(version, np.array(write, np.int32))
    return log


@given(entries, st.integers(0, 20))
def test_the_last_writes_name_each_of_their_slots_once(writes, count):
    count = min(count, len(writes))
    recent = writes[len(writes) - count :]
    expected = {slot for each in recent for slot in (each if isinstance(each, list) else [each])}
    assert logged(writes).last(count).tolist() == sorted(expected)


def test_older_writes_than_are_kept_are_unknown():
    log = logged([5] * (WRITES_KEPT + 1))
    assert log.last(WRITES_KEPT).tolist() == [5]
    assert log.last(WRITES_KEPT + 1) is None


def test_a_write_of_too_many_slots_is_unknown_until_it_is_past():
    log = logged([list(range(SLOTS_MAX + 1)), 7])
    assert log.last(1).tolist() == [7]
    assert log.last(2) is None
    assert logged([list(range(SLOTS_MAX))]).last(1).size == SLOTS_MAX


def test_too_many_slots_in_all_are_unknown():
    log = logged([list(range(600)), list(range(600, 1_200))])
    assert log.last(1).size == 600
    assert log.last(2) is None


def test_a_write_that_is_noted_again_changes_nothing():
    log, slots = logged([3, [1, 2]]), np.array([4, 5], np.int32)
    for _ in range(2):
        log.note(10, slots)
    assert (log.version, log.last(1).tolist(), log.last(3).tolist()) == (
        10,
        [4, 5],
        [1, 2, 3, 4, 5],
    )
    assert log.last(4) is None


def test_several_writes_of_one_slot_are_noted_at_once():
    log = logged([3])
    log.note_each(11, [5, 6, 5])
    assert (log.version, log.last(3).tolist(), log.last(4).tolist()) == (11, [5, 6], [3, 5, 6])


def test_the_bytes_of_what_is_kept_are_counted():
    assert logged([1, [1, 2, 3]]).nbytes - logged([]).nbytes == 12


OF_ONE_ROW = {
    "update_vector": lambda c, row: c.update_vector(row, [row, 1]),
    "vector": lambda c, row: c.update(row, vector=[2, row]),
    "payload": lambda c, row: c.update(row, payload={"n": row}),
    "no payload": lambda c, row: c.update(row, payload=None),
    "both": lambda c, row: c.update(row, vector=[3, row], payload={"n": -row}),
    "neither": lambda c, row: c._plan(UpdateVectors("", (row,), KEEP, KEEP)).make(),
    "upsert": lambda c, row: c.upsert([row], [[row, row]]),
    "flush": lambda c, row: c.search([row, 1]),
}


@given(st.lists(st.tuples(st.sampled_from(sorted(OF_ONE_ROW)), st.integers(0, 5)), max_size=20))
def test_every_write_of_one_row_names_its_slot(calls):
    collection = vk.CpuCollection(dim=2)
    collection.upsert(range(6), np.ones((6, 2)))
    collection.digest()
    written = [row for call, row in calls if call != "flush"]
    for call, row in calls:
        OF_ONE_ROW[call](collection, row)
    assert collection.version == 1 + len(written)
    assert collection._storage.changed_since(1).tolist() == sorted(set(written))
    assert collection.digest() == collection.copy().digest()
