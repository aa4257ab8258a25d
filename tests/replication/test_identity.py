"""Records of indices: what is known of every slot only grows, however records are merged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vectorkit.replication.protocol.epochs import KnownIndices, index_of

SLOTS = 3


def indices(slot):
    return st.integers(0, 4).map(lambda incarnation: index_of(slot, incarnation))


def record(least):
    return st.tuples(*(st.just(least) | indices(slot) for slot in range(SLOTS)))


RECORDS = st.builds(
    KnownIndices, st.tuples(*(indices(slot) for slot in range(SLOTS))), record(least=-1)
)
ANY = st.integers(0, SLOTS - 1).flatmap(indices)


@given(RECORDS, RECORDS, RECORDS)
def test_records_merge_in_any_order_and_any_number_of_times_to_the_same(a, b, c):
    assert a.merged(b) == b.merged(a)
    assert a.merged(b).merged(c) == a.merged(b.merged(c))
    assert a.merged(a) == a
    assert a.merged(b).covers(a)
    assert a.merged(b).covers(b)


@given(RECORDS, RECORDS, ANY)
def test_an_index_that_was_refused_once_is_refused_by_all_later_records(a, b, index):
    assert not a.refuses(index) or a.merged(b).refuses(index)


@given(RECORDS, ANY)
def test_an_index_is_refused_if_it_was_replaced_or_retired(known, index):
    slot = index & 255
    assert known.refuses(index) == (index < known.newest[slot] or index <= known.retired[slot])
    assert not known.refuses(known.next_index(slot))
    assert known.with_newest(index).refuses(index) == (
        index < known.newest[slot] or index <= known.retired[slot]
    )


@given(RECORDS, ANY)
def test_a_retired_slot_is_gone_until_a_newer_index_of_it_is_known(known, index):
    slot = index & 255
    gone = known.with_newest(index).with_retired(index)
    assert gone.is_gone(slot) == (known.newest[slot] <= max(index, known.retired[slot]))
    assert not gone.with_newest(gone.next_index(slot)).is_gone(slot)


@given(RECORDS, ANY)
def test_retiring_an_index_again_or_an_older_one_changes_nothing(known, index):
    retired = known.with_retired(index)
    assert retired.with_retired(index) == retired
    assert all(retired.with_retired(older) == retired for older in range(index & 255, index, 256))


@pytest.mark.parametrize("index", [3, 256 + 3, 255])
def test_an_index_of_no_slot_is_refused(index):
    assert KnownIndices.of_nodes(3).refuses(index)


def test_records_of_different_lengths_merge():
    assert KnownIndices().merged(KnownIndices.of_nodes(2)) == KnownIndices.of_nodes(2)
    assert KnownIndices((0, 257), (-1, 1)).merged(KnownIndices((256,), ())) == KnownIndices(
        (256, 257), (-1, 1)
    )
