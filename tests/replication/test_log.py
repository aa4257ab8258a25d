"""The log: offsets and hashes for ever, and a ring that says so when it has let go."""

import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from vectorkit.errors import OperationTooOld
from vectorkit.operations import DropCollection, EpochStart, encode
from vectorkit.replication import Position, Record, ReplicationLog

OPERATIONS = st.lists(st.text(max_size=12).map(DropCollection), min_size=1, max_size=30)
PLENTY = {"capacity_operations": 1_000, "capacity_bytes": 1_000_000}


def filled(operations, epoch=1, **capacity):
    log = ReplicationLog(**PLENTY | capacity)
    for number, operation in enumerate(operations):
        log.append(operation, epoch=epoch, now_ns=number)
    return log


def reference_hash(operations, epoch):
    """The rule of the running hash once more, independent of the log."""
    running = bytes(16)
    for offset, operation in enumerate(operations, 1):
        place = epoch.to_bytes(8, "little") + offset.to_bytes(8, "little")
        running = xxhash.xxh3_128(running + place + encode(operation)).digest()
    return running


def reference_first(operations, capacity_operations, capacity_bytes):
    """The oldest offset that both bounds leave; the newest record always stays."""
    sizes = [len(encode(operation)) for operation in operations]
    first = max(1, len(operations) - capacity_operations + 1)
    while first < len(operations) and sum(sizes[first - 1 :]) > capacity_bytes:
        first += 1
    return first


def offsets_since(log, offset):
    return [entry.record.offset for entry in log.since(offset)]


@given(OPERATIONS, st.integers(1, 2**48))
def test_the_head_hash_equals_the_written_rule(operations, epoch):
    log = filled(operations, epoch)
    assert log.head == Position(epoch, len(operations), reference_hash(operations, epoch))


@given(OPERATIONS, st.integers(1, 40), st.integers(1, 1_500))
def test_eviction_by_number_and_by_bytes_leaves_what_the_bounds_allow(
    operations, capacity_operations, capacity_bytes
):
    log = filled(operations, capacity_operations=capacity_operations, capacity_bytes=capacity_bytes)
    first = reference_first(operations, capacity_operations, capacity_bytes)
    assert log.first_offset == first
    assert len(log) == len(operations) - first + 1
    assert log.size_bytes == sum(len(encode(each)) for each in operations[first - 1 :])


@given(OPERATIONS, st.integers(1, 40), st.integers(1, 1_500))
def test_since_gives_exactly_the_records_above_an_offset_or_too_old(
    operations, capacity_operations, capacity_bytes
):
    log = filled(operations, capacity_operations=capacity_operations, capacity_bytes=capacity_bytes)
    head, first = log.head.offset, log.first_offset
    for offset in range(head + 2):
        if offset < first - 1:
            with pytest.raises(OperationTooOld) as caught:
                log.since(offset)
            assert caught.value.details == {"offset": offset + 1, "first_offset": first}
        else:
            assert offsets_since(log, offset) == list(range(offset + 1, head + 1))


@pytest.mark.parametrize(
    ("offset", "expected"),
    [(6, [7, 8, 9]), (7, [8, 9]), (8, [9]), (9, []), (10, [])],
    ids=["first - 1", "first", "head - 1", "head", "head + 1"],
)
def test_since_at_the_edges_of_a_wrapped_log(offset, expected):
    log = filled([EpochStart(1)] * 9, capacity_operations=3)
    assert offsets_since(log, offset) == expected


def test_since_one_before_the_edge_is_too_old():
    log = filled([EpochStart(1)] * 9, capacity_operations=3)
    with pytest.raises(OperationTooOld, match="got offset 6, wanted 7 to 9"):
        log.since(5)


@given(OPERATIONS, st.integers(1, 40))
def test_holds_exactly_the_points_of_its_own_history_from_base_to_head(operations, capacity):
    log = filled(operations, capacity_operations=capacity)
    everything = filled(operations)
    history = [Position(), *(entry.position for entry in everything.since(0))]
    held = [point.offset for point in history if log.holds(point)]
    assert held == list(range(log.base.offset, log.head.offset + 1))


def test_holds_no_point_of_another_history():
    log = filled([EpochStart(1), EpochStart(2)])
    head = log.head
    assert log.holds(head)
    assert not log.holds(Position(head.epoch + 1, head.offset, head.hash))
    assert not log.holds(Position(head.epoch, head.offset, bytes(16)))
    assert not log.holds(Position(head.epoch, head.offset - 1, head.hash))
    assert not log.holds(Position(head.epoch, head.offset + 1, head.hash))


def test_a_record_taken_over_from_another_log_gives_the_same_position():
    there = filled([DropCollection("a"), DropCollection("b")], epoch=7)
    here = ReplicationLog(**PLENTY)
    for entry in there.since(0):
        here.extend(entry.record, now_ns=99)
    assert here.head == there.head


def test_a_record_out_of_turn_is_a_programming_error():
    log = filled([EpochStart(1)])
    operation = EpochStart(2)
    with pytest.raises(AssertionError):
        log.extend(Record(1, 3, operation, encode(operation)), now_ns=0)


@given(OPERATIONS, st.integers(1, 40))
def test_bytes_between_two_offsets_are_the_encoded_bytes_of_the_records_between(
    operations, capacity
):
    log = filled(operations, capacity_operations=capacity)
    for offset in range(log.base.offset, log.head.offset + 1):
        span = log.bytes_until(log.head.offset) - log.bytes_until(offset)
        assert span == sum(len(encode(each)) for each in operations[offset:])


def test_a_record_larger_than_the_log_stays_until_the_next():
    log = filled([DropCollection("x" * 500)], capacity_bytes=100)
    assert (log.first_offset, len(log)) == (1, 1)
    log.append(EpochStart(1), epoch=1, now_ns=0)
    assert (log.first_offset, len(log)) == (2, 1)


def test_after_a_reset_history_goes_on_behind_the_snapshot():
    log = filled([EpochStart(1)] * 5)
    there = Position(epoch=3, offset=40, hash=b"h" * 16)
    log.reset(there, [])
    assert (log.base, log.head, log.first_offset, len(log)) == (there, there, 41, 0)
    assert log.holds(there)
    assert offsets_since(log, 40) == []
    entry = log.append(EpochStart(3), epoch=3, now_ns=0)
    place = (3).to_bytes(8, "little") + (41).to_bytes(8, "little")
    expected = xxhash.xxh3_128(b"h" * 16 + place + encode(EpochStart(3))).digest()
    assert entry.position == Position(3, 41, expected)


def test_after_a_reset_the_bytes_held_count_from_zero():
    log = filled([EpochStart(1)] * 5)
    log.reset(Position(1, 40, b"h" * 16), [])
    assert log.size_bytes == 0
    log.append(EpochStart(1), epoch=1, now_ns=0)
    assert log.size_bytes == len(encode(EpochStart(1)))
