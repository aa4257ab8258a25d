"""The write buffer: one row a slot, batches of few sizes, and arrays that it gives away."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vectorkit.collections.backends.buffer import BUFFER_ROWS, WriteBuffer, padded_batch
from vectorkit.collections.backends.state import by_chunk, padded_size

ROW = np.array([3, 4], np.float32)


def test_a_later_row_for_a_slot_replaces_the_earlier():
    buffer = WriteBuffer(dim=2)
    used = buffer.put(0, np.array([5], np.int32), ROW[None])
    used = buffer.put(used, np.array([7, 5], np.int32), np.array([ROW, ROW * 2]))
    slots, rows, row_count, _ = buffer.batch(used, capacity=16)
    assert slots.tolist() == [5, 7] + [16] * 6
    assert rows.tolist() == [[6, 8], [3, 4]] + [[0, 0]] * 6
    assert row_count == 2


def test_rows_that_are_not_accepted_are_nowhere():
    buffer = WriteBuffer(dim=2)
    used = buffer.put(0, np.array([5], np.int32), ROW[None])
    buffer.put(used, np.array([7], np.int32), ROW[None])
    assert buffer.find(7, used) is None
    assert buffer.batch(used, capacity=16).slots.tolist() == [5] + [16] * 7
    used = buffer.put(used, np.array([8], np.int32), -ROW[None])
    assert (buffer.find(7, used), buffer.find(8, used).tolist()) == (None, [-3, -4])


def test_the_last_row_of_a_slot_is_found_as_soon_as_it_is_accepted():
    buffer, used = WriteBuffer(dim=2), 0
    for number in range(1, BUFFER_ROWS + 1):
        used = buffer.put(used, np.array([number % 3], np.int32), ROW[None] * number)
        assert buffer.find(number % 3, used).tolist() == (ROW * number).tolist()
    assert used == BUFFER_ROWS
    assert buffer.batch(used, capacity=16).row_count == 3


def test_a_batch_is_padded_with_slots_that_are_dropped():
    slots, rows, row_count, _ = padded_batch(np.arange(9, dtype=np.int32), np.array([ROW] * 9), 100)
    assert slots.tolist() == [*range(9), *[100] * 7]
    assert (rows[9:].tolist(), row_count) == ([[0, 0]] * 7, 9)


def test_a_batch_of_a_power_of_two_needs_no_padding():
    sixteen = np.arange(16, dtype=np.int32)
    slots, rows, row_count, _ = padded_batch(sixteen, np.array([ROW] * 16), 100)
    assert (slots.tolist(), rows.shape, row_count) == (list(range(16)), (16, 2), 16)


@given(st.lists(st.integers(0, 31), unique=True, max_size=20), st.sampled_from([8, 16, 32]))
def test_a_batch_divided_by_chunks_puts_every_row_into_its_slot(slots, length):
    rows = np.multiply.outer(np.arange(len(slots), dtype=np.float32) + 1, [1, -1])
    batch = padded_batch(np.array(slots, np.int32), rows.astype(np.float32), 32)
    there, expected = np.zeros((32 // length, length, 2)), np.zeros((32, 2))
    for number, part, which in batch.in_chunks(length):
        assert part.rows[: part.row_count].tolist() == batch.rows[: len(slots)][which].tolist()
        assert len(part.slots) == len(part.rows) == padded_size(part.row_count)
        assert (part.slots[part.row_count :] == length).all()
        there[number, part.slots[: part.row_count]] = part.rows[: part.row_count]
    expected[slots] = rows
    assert there.reshape(32, 2).tolist() == expected.tolist()


@given(st.lists(st.integers(0, 63), max_size=30))
def test_slots_by_chunk_name_each_position_once_in_order(slots):
    array = np.array(slots, np.int32)
    found = [
        (number, np.arange(len(array))[which].tolist()) for number, which in by_chunk(array, 16)
    ]
    assert found == [
        (number, [at for at, slot in enumerate(slots) if slot // 16 == number])
        for number in sorted({slot // 16 for slot in slots})
    ]
