"""The stream of records: once, in order, whatever is lost, doubled, late or too large."""

import pytest

from tests.replication.by_hand import REPLICA, Pair, handshake, messages, offsets, timers
from vectorkit.operations import DropCollection
from vectorkit.replication import Applied, ReplicationLog, Send, SyncChanged
from vectorkit.replication.protocol.messages import (
    Ack,
    Close,
    MasterHeartbeat,
    Records,
    Resume,
)


def written(pair, count, size=0):
    """The messages of so many writes, one for each."""
    return [message for _ in range(count) for message in messages(pair.write(1, size), Records)]


def applied(effects):
    return [effect.position.offset for effect in effects if isinstance(effect, Applied)]


def ack(pair, offset, generation=1):
    return Ack(generation, pair.master.log.entry(offset).position, *[offset] * 4)


def test_a_record_is_logged_applied_and_then_confirmed():
    pair = Pair().connect()
    effects = pair.to_replica(*written(pair, 1))
    kinds = [type(effect) for effect in effects if isinstance(effect, Applied | Send)]
    assert kinds == [Applied, Send]
    assert messages(effects) == [ack(pair, 2)]
    assert pair.is_equal()


def test_a_confirmation_names_only_what_has_been_applied():
    pair = Pair().connect()
    (confirmed,) = messages(pair.to_replica(*written(pair, 1)))
    assert confirmed.position == pair.replica.log.head
    assert len(pair.replica.store) == confirmed.applied_offset - 1


def test_a_duplicate_is_dropped_and_confirmed_again():
    pair = Pair().connect()
    (records,) = written(pair, 1)
    first = pair.to_replica(records)
    again = pair.to_replica(records)
    assert (applied(first), applied(again)) == ([2], [])
    assert messages(again) == messages(first)


def test_a_batch_that_overlaps_what_is_there_is_applied_from_where_it_is_new():
    pair = Pair().connect()
    pair.to_replica(*written(pair, 2))
    written(pair, 2)
    entries = list(pair.master.log.since(1))
    batch = Records(1, tuple(entry.record for entry in entries), entries[-1].hash)
    assert applied(pair.to_replica(batch)) == [4, 5]


def test_records_that_came_too_early_are_applied_once_the_gap_closes():
    pair = Pair().connect()
    first, second, third = written(pair, 3)
    assert applied(pair.to_replica(third)) == []
    assert applied(pair.to_replica(second)) == []
    assert applied(pair.to_replica(first)) == [2, 3, 4]
    assert pair.is_equal()


def test_records_that_wait_for_a_gap_count_as_pending():
    pair = Pair().connect()
    first, second, third = written(pair, 3)
    pair.to_replica(third, second)
    assert pair.replica.stats(0).operations_pending == 2
    pair.to_replica(first)
    assert pair.replica.stats(0).operations_pending == 0


@pytest.mark.parametrize(("ahead", "held"), [(3, 1), (4, 0)])
def test_records_beyond_the_reorder_window_are_not_held(ahead, held):
    pair = Pair(reorder_window=3).connect()
    pair.to_replica(written(pair, ahead)[-1])
    assert pair.replica.stats(0).operations_pending == held


def test_the_reorder_window_bounds_what_is_held_whatever_comes():
    pair = Pair(reorder_window=5).connect()
    pair.to_replica(*reversed(written(pair, 40)[1:]))
    assert pair.replica.stats(0).operations_pending == 4


def test_a_gap_is_asked_for_exactly_and_only_after_a_while():
    pair = Pair().connect()
    sent = written(pair, 7)
    pair.to_replica(sent[0])
    effects = pair.at(100).to_replica(sent[4], sent[5])
    assert min(timers(effects)) == 150
    assert messages(pair.at(149).tick_replica(), Resume) == []
    assert messages(pair.at(150).tick_replica(), Resume) == [Resume(1, 2, 5)]


def test_a_question_that_is_not_answered_is_asked_again():
    pair = Pair().connect()
    pair.to_replica(written(pair, 3)[-1])
    asked = [messages(pair.at(ms).tick_replica(), Resume) for ms in (50, 149, 150, 349, 350)]
    assert asked == [[Resume(1, 1, 3)], [], [Resume(1, 1, 3)], [], [Resume(1, 1, 3)]]


def test_a_gap_that_closes_by_itself_is_not_asked_for():
    pair = Pair().connect()
    first, second = written(pair, 2)
    pair.to_replica(second, first)
    assert messages(pair.at(50).tick_replica(), Resume) == []


def test_a_lost_tail_is_noticed_by_the_next_heartbeat():
    pair = Pair().connect()
    written(pair, 3)
    pair.at(1_000).to_replica(*messages(pair.tick_master(), MasterHeartbeat))
    assert messages(pair.at(1_050).tick_replica(), Resume) == [Resume(1, 1, 4)]


def test_a_question_is_answered_with_exactly_the_gap():
    pair = Pair().connect()
    written(pair, 7)
    assert offsets(messages(pair.to_master(Resume(1, 2, 5)))) == [[3, 4, 5]]


def test_a_question_beyond_what_was_sent_is_answered_as_far_as_was_sent():
    pair = Pair().connect()
    written(pair, 2)
    assert offsets(messages(pair.to_master(Resume(1, 1, 99)))) == [[2, 3]]
    assert messages(pair.to_master(Resume(1, 3, 99))) == []
    assert messages(pair.to_master(Resume(1, 50, 99))) == []


def test_a_question_for_records_that_are_gone_closes_the_connection():
    pair = Pair(log_capacity_operations=3).connect()
    pair.write(2)
    pair.make(4)
    assert messages(pair.to_master(Resume(1, 1, 3))) == [Close(1, "too_old")]


def test_unconfirmed_records_are_probed_for_after_waits_that_double_up_to_eight_times():
    pair = Pair(connection_timeout_ms=60_000).connect()
    written(pair, 2)
    every = range(0, 10_001, 100)
    probes = [ms for ms in every if messages(pair.at(ms).tick_master(), Records)]
    assert probes == [200, 600, 1_400, 3_000, 4_600, 6_200, 7_800, 9_400]


def test_a_probe_carries_the_first_unconfirmed_batch():
    pair = Pair(batch_bytes=130).connect()
    written(pair, 4)
    pair.to_master(ack(pair, 2))
    (probe,) = messages(pair.at(200).tick_master(), Records)
    assert [each.offset for each in probe.records] == [3]


def test_progress_makes_the_wait_for_a_probe_short_again():
    pair = Pair().connect()
    written(pair, 3)
    pair.at(200).tick_master()
    pair.at(500).to_master(ack(pair, 2))
    assert messages(pair.at(699).tick_master(), Records) == []
    assert len(messages(pair.at(700).tick_master(), Records)) == 1


def test_nothing_is_probed_for_once_all_is_confirmed():
    pair = Pair().connect()
    written(pair, 2)
    pair.to_master(ack(pair, 3))
    assert messages(pair.at(900).tick_master()) == []


def size_of(pair, offset):
    return len(pair.master.log.entry(offset).record.encoded)


def test_unconfirmed_bytes_never_exceed_the_window():
    pair = Pair(window_bytes=1_000, batch_bytes=300).connect()
    sent = [each.offset for message in written(pair, 40) for each in message.records]
    total = sum(size_of(pair, offset) for offset in sent)
    assert sent == list(range(2, 2 + len(sent)))
    assert total <= 1_000 < total + size_of(pair, sent[-1] + 1)
    assert pair.info().sent_offset == sent[-1]


def test_a_confirmation_opens_the_window_by_what_it_confirms():
    pair = Pair(window_bytes=1_000, batch_bytes=1_000).connect()
    sent = [each.offset for message in written(pair, 40) for each in message.records]
    more = messages(pair.to_master(ack(pair, 4)), Records)
    assert offsets(more) == [[sent[-1] + 1, sent[-1] + 2, sent[-1] + 3]]


@pytest.mark.parametrize("limit", [{"batch_bytes": 300}, {"batch_bytes": 300, "window_bytes": 500}])
def test_a_record_larger_than_batch_and_window_goes_alone(limit):
    pair = Pair(**limit).connect()
    written(pair, 1)
    pair.to_master(ack(pair, 2))
    assert offsets(messages(pair.write(1, size=5_000))) == [[3]]


def test_behind_a_giant_record_nothing_is_sent_until_it_is_confirmed():
    pair = Pair(batch_bytes=300, window_bytes=500).connect()
    assert offsets(written(pair, 1, size=5_000)) == [[2]]
    assert written(pair, 2) == []
    assert offsets(messages(pair.to_master(ack(pair, 2)))) == [[3, 4]]


def test_a_giant_record_waits_until_what_went_before_is_confirmed():
    pair = Pair(batch_bytes=300, window_bytes=500).connect()
    written(pair, 1)
    assert messages(pair.write(1, size=5_000)) == []
    assert offsets(messages(pair.to_master(ack(pair, 2)))) == [[3]]


def test_batches_hold_what_fits_and_lose_nothing():
    pair = Pair(batch_bytes=300)
    pair.write(10)
    pair.connect()
    pair.exchange(pair.write(0))
    hello = handshake(10, pair.master.log.entry(1).position)
    batches = messages(pair.to_master(hello), Records)
    assert [offset for batch in offsets(batches) for offset in batch] == list(range(2, 12))
    sizes = [sum(len(each.encoded) for each in batch.records) for batch in batches]
    assert max(sizes) <= 300 < sizes[0] + size_of(pair, batches[1].records[0].offset)


def test_a_replica_that_the_log_has_left_behind_is_closed_as_too_old():
    pair = Pair(log_capacity_operations=3, window_bytes=300, batch_bytes=300).connect()
    closing = [each for _ in range(8) for each in messages(pair.write(), Close)]
    assert closing == [Close(1, "too_old")]


def test_a_probe_for_records_that_are_gone_closes_the_connection():
    pair = Pair(log_capacity_operations=3).connect()
    pair.write(2)
    pair.make(2)
    assert messages(pair.at(200).tick_master()) == [Close(1, "too_old")]


def test_a_healthy_replica_is_not_affected_by_a_slow_one():
    pair = Pair(replica_count=2, log_capacity_operations=3).connect()
    for _ in range(20):
        pair.exchange([each for each in pair.write() if getattr(each, "target", "") == REPLICA])
    assert pair.is_equal()
    assert pair.master.stats(0).full_syncs == 1


def test_an_old_confirmation_that_comes_late_takes_nothing_back():
    pair = Pair().connect()
    written(pair, 3)
    pair.to_master(ack(pair, 4), ack(pair, 2))
    assert pair.info().applied_offset == 4


def test_a_confirmation_of_another_history_confirms_nothing():
    pair = Pair().connect()
    written(pair, 3)
    here = pair.master.log.entry(3).position
    other = type(here)(here.epoch, here.offset, b"h" * 16)
    pair.to_master(Ack(1, other, 3, 3, 3, 3))
    assert pair.info().applied_offset == 1


def test_records_that_do_not_continue_the_history_are_refused_and_end_the_connection():
    pair = Pair().connect()
    (records,) = written(pair, 1)
    forged = Records(1, records.records, b"h" * 16)
    effects = pair.to_replica(forged)
    assert (applied(effects), messages(effects)) == ([], [])
    assert pair.replica.log.head.offset == 1
    assert messages(pair.tick_replica()) == [
        handshake(2, pair.replica.log.head, "different_history")
    ]


def other_history(pair, *operations):
    """Records that continue the replica's history by operations that its master never made."""
    log = ReplicationLog(capacity_operations=99, capacity_bytes=9_999)
    log.reset(pair.replica.log.head, pair.replica.log.epochs)
    entries = [log.append(each, epoch=pair.master.role.epoch, now_ns=0) for each in operations]
    return Records(1, tuple(each.record for each in entries), log.head.hash)


def test_an_operation_that_does_not_apply_is_quarantined_once_and_leads_to_a_full_sync():
    pair = Pair().connect()
    effects = pair.to_replica(other_history(pair, DropCollection("absent")))
    assert messages(effects) == []
    assert pair.replica.stats(0).quarantined_operations == 1
    pair.write(2)
    hello = pair.hello()
    assert hello.wants == "poisoned"
    pair.exchange(from_replica=pair.at(500).tick_replica())
    assert pair.is_equal()
    assert pair.replica.stats(0).quarantined_operations == 1
    assert pair.master.stats(0).partial_sync_refusals == {"first_sync": 1, "poisoned": 1}


def test_nothing_behind_a_quarantined_operation_is_applied():
    pair = Pair().connect()
    batch = other_history(pair, DropCollection("absent"), DropCollection("absent too"))
    pair.to_replica(batch, batch)
    assert pair.replica.stats(0).quarantined_operations == 1


def test_after_a_successful_full_sync_the_next_handshake_asks_for_no_other():
    pair = Pair().connect()
    pair.to_replica(other_history(pair, DropCollection("absent")))
    pair.make(2)
    pair.connect()
    assert pair.replica.stats(0).full_syncs == 2
    assert pair.at(5_000).hello().wants == ""


def test_a_partial_sync_is_announced_and_counted_on_both_sides():
    pair = Pair().connect()
    pair.to_replica(Close(1, "too_old"))
    pair.write(2)
    effects = pair.to_master(pair.hello())
    assert [each for each in effects if isinstance(each, SyncChanged)] == [
        SyncChanged(REPLICA, "started", "partial", "")
    ]
    pair.exchange(effects)
    assert pair.is_equal()
    assert pair.master.stats(0).partial_syncs == pair.replica.stats(0).partial_syncs == 1


def test_a_question_that_comes_late_does_not_end_a_healthy_connection():
    pair = Pair(log_capacity_operations=3).connect()
    for _ in range(9):
        pair.exchange(from_master=pair.write(1))
    assert pair.is_equal()
    assert messages(pair.to_master(Resume(1, 1, 4))) == []
    assert pair.info().applied_offset == 10


def test_a_lag_in_bytes_is_exact_though_the_log_has_let_go():
    pair = Pair(log_capacity_operations=3).connect()
    pair.exchange(from_master=pair.write(1))
    before = pair.master.log.bytes_until(pair.master.log.head.offset)
    pair.write(9)
    after = pair.master.log.bytes_until(pair.master.log.head.offset)
    assert pair.info().lag_bytes == after - before


def test_a_quarantined_operation_does_not_count_as_applied():
    pair = Pair().connect()
    pair.to_replica(other_history(pair, DropCollection("absent")))
    assert pair.replica.stats(0).replica_offset == 1


def test_a_confirmation_without_progress_does_not_put_off_the_probe():
    pair = Pair().connect()
    written(pair, 2)
    pair.at(150).to_master(ack(pair, 1))
    assert offsets(messages(pair.at(200).tick_master(), Records)) == [[2, 3]]


def test_a_batch_that_is_next_may_be_larger_than_the_reorder_window():
    pair = Pair(reorder_window=1).connect()
    (records,) = messages(pair.write(3), Records)
    pair.to_replica(records)
    assert pair.is_equal()


def test_a_replica_that_waits_confirms_once_for_all_that_came():
    pair = Pair(ack_delay_ms=30).connect()
    pair.exchange(from_replica=pair.at(30).tick_replica())
    first, second = written(pair, 2)
    assert messages(pair.at(100).to_replica(first)) == []
    assert messages(pair.at(110).to_replica(second)) == []
    assert timers(pair.at(129).tick_replica()) == [130]
    assert messages(pair.at(130).tick_replica(), Ack) == [ack(pair, 3)]
