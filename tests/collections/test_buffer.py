"""The write buffer: one row a slot, batches of few sizes, and arrays that it gives away."""

import numpy as np

from vectorkit.collections.buffer import BUFFER_ROWS, WriteBuffer, padded_batch

ROW = np.array([3, 4], np.float32)


def test_a_later_row_for_a_slot_replaces_the_earlier():
    buffer = WriteBuffer(dim=2)
    buffer.put(5, ROW)
    buffer.put_many(np.array([7, 5], np.int32), np.array([ROW, ROW * 2]))
    slots, rows, row_count = buffer.batch(capacity=16)
    assert slots.tolist() == [5, 7] + [16] * 6
    assert rows[:2].tolist() == [[6, 8], [3, 4]]
    assert row_count == 2


def test_a_buffer_has_room_for_a_fixed_number_of_rows():
    buffer = WriteBuffer(dim=2)
    for slot in range(BUFFER_ROWS - 1):
        assert buffer.put(slot, ROW)
    assert (buffer.has_room(1), buffer.has_room(2), len(buffer)) == (True, False, BUFFER_ROWS - 1)

    assert buffer.put(BUFFER_ROWS, ROW)
    assert not buffer.put(0, ROW * 2)
    assert buffer.batch(capacity=16).rows[0].tolist() == ROW.tolist()


def test_rows_that_were_given_away_do_not_follow_later_writes():
    buffer = WriteBuffer(dim=2)
    buffer.put(0, ROW)
    given = buffer.batch(capacity=16).rows
    buffer.clear()
    buffer.put(1, -ROW)
    assert given[0].tolist() == ROW.tolist()
    assert len(buffer) == 1


def test_a_batch_is_padded_with_slots_that_are_dropped():
    slots, rows, row_count = padded_batch(np.arange(9, dtype=np.int32), np.array([ROW] * 9), 100)
    assert slots.tolist() == [*range(9), *[100] * 7]
    assert (rows[9:].tolist(), row_count) == ([[0, 0]] * 7, 9)


def test_a_batch_of_a_power_of_two_needs_no_padding():
    slots, rows, row_count = padded_batch(np.arange(16, dtype=np.int32), np.array([ROW] * 16), 100)
    assert (slots.tolist(), rows.shape, row_count) == (list(range(16)), (16, 2), 16)
