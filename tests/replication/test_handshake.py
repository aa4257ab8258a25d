"""Connections: who may go on from where, why not, and what belongs to which connection."""

from itertools import pairwise

import pytest

from tests.replication.by_hand import MASTER, REPLICA, Pair, handshake, messages, timers
from vectorkit.replication import Position, SyncChanged
from vectorkit.replication.protocol.messages import (
    Ack,
    Close,
    Hello,
    MasterHeartbeat,
    Records,
    ReplicaHeartbeat,
    StartFull,
    StartPartial,
)
from vectorkit.store import VectorStore


def answer_to(pair, position, wants="", generation=10):
    """What the master says first to a replica that stands there."""
    return messages(pair.to_master(handshake(generation, position, wants)))[0]


def test_a_replica_that_stands_in_the_masters_history_goes_on_from_there():
    pair = Pair()
    pair.write(4)
    there = pair.master.log.entry(2).position
    assert answer_to(pair, there) == StartPartial(10, pair.master.role.epoch, 5)


def test_an_accepted_handshake_is_followed_by_exactly_the_records_above_it():
    pair = Pair()
    pair.write(4)
    hello = handshake(10, pair.master.log.entry(2).position)
    _, records = messages(pair.to_master(hello))
    assert [each.offset for each in records.records] == [3, 4, 5]
    assert records.hash == pair.master.log.head.hash


@pytest.mark.parametrize(
    ("reason", "position"),
    [
        ("first_sync", lambda log: Position()),
        ("too_old", lambda log: Position(log.head.epoch, log.base.offset - 1, b"h" * 16)),
        ("ahead_of_master", lambda log: Position(log.head.epoch, log.head.offset + 1, b"h" * 16)),
        ("different_history", lambda log: Position(log.head.epoch, log.head.offset, b"h" * 16)),
        ("different_history", lambda log: Position(9, log.head.offset, log.head.hash)),
        ("different_history", lambda log: Position(9, log.base.offset, log.base.hash)),
    ],
    ids=["empty", "too old", "ahead", "another hash", "another epoch", "another base"],
)
def test_a_refused_handshake_gets_a_full_sync_with_the_reason(reason, position):
    pair = Pair(log_capacity_operations=3)
    pair.write(9)
    header = answer_to(pair, position(pair.master.log))
    assert (type(header), header.reason) == (StartFull, reason)
    assert header.position == pair.master.log.head
    assert pair.master.stats(0).partial_sync_refusals == {reason: 1}


def test_the_oldest_point_that_the_log_knows_is_not_too_old():
    pair = Pair(log_capacity_operations=3)
    pair.write(9)
    assert type(answer_to(pair, pair.master.log.base)) is StartPartial


@pytest.mark.parametrize("wants", ["poisoned", "digest_mismatch"])
def test_a_replica_that_needs_everything_gets_it_though_its_place_is_known(wants):
    pair = Pair()
    header = answer_to(pair, pair.master.log.head, wants)
    assert (type(header), header.reason) == (StartFull, wants)


def test_a_replica_whose_digest_differs_at_the_same_place_is_closed_and_synced_in_full():
    pair = Pair().connect()
    head = pair.master.log.head
    ack = Ack(1, head, *[head.offset] * 4)
    effects = pair.to_master(ReplicaHeartbeat(1, 1, ack, "another digest", 0, 0))
    assert messages(effects) == [Close(1, "digest_mismatch")]
    assert answer_to(pair, head).reason == "digest_mismatch"


def test_a_digest_from_another_place_is_not_compared():
    pair = Pair().connect()
    there = pair.master.log.head
    pair.write()
    ack = Ack(1, there, *[there.offset] * 4)
    assert messages(pair.to_master(ReplicaHeartbeat(1, 1, ack, "old digest", 0, 0)), Close) == []


def test_a_needed_full_sync_is_remembered_until_it_has_succeeded():
    pair = Pair().connect()
    head = pair.master.log.head
    ack = Ack(1, head, *[head.offset] * 4)
    pair.to_master(ReplicaHeartbeat(1, 1, ack, "another digest", 0, 0))
    assert answer_to(pair, head, generation=10).reason == "digest_mismatch"
    header = answer_to(pair, head, generation=11)
    assert header.reason == "digest_mismatch"
    pair.to_master(Ack(11, header.position, *[header.position.offset] * 4))
    assert type(answer_to(pair, head, generation=12)) is StartPartial


def test_a_handshake_of_an_older_connection_is_dropped():
    pair = Pair()
    answer_to(pair, Position(), generation=10)
    assert messages(pair.to_master(handshake(9, Position()))) == []


def test_a_duplicated_handshake_gets_the_same_answer_and_starts_nothing():
    pair = Pair()
    first = answer_to(pair, Position())
    pair.write()
    effects = pair.to_master(handshake(10, Position()))
    assert messages(effects) == [first]
    assert [effect for effect in effects if isinstance(effect, SyncChanged)] == []


def test_a_handshake_of_a_stranger_is_dropped():
    pair = Pair()
    assert messages(pair.to_master(handshake(10, Position()), source="node-7")) == []


def test_a_master_drops_messages_of_an_older_connection():
    pair = Pair().connect()
    answer_to(pair, pair.master.log.head, generation=10)
    pair.write()
    head = pair.master.log.head
    pair.to_master(Ack(1, head, *[head.offset] * 4))
    assert pair.info().applied_offset == head.offset - 1


def test_a_replica_drops_messages_of_an_older_connection():
    pair = Pair().connect()
    (records,) = messages(pair.write())
    old = Records(0, records.records, records.hash)
    assert messages(pair.to_replica(old)) == []
    assert pair.replica.log.head.offset == 1


def test_a_replica_drops_messages_of_another_node():
    pair = Pair().connect()
    (records,) = messages(pair.write())
    assert messages(pair.to_replica(records, source="node-2")) == []
    assert pair.replica.log.head.offset == 1


def test_an_answer_that_comes_again_after_its_connection_is_over_is_dropped():
    pair = Pair().connect()
    (full,) = [each for each in pair.seen if isinstance(each, StartFull)]
    pair.to_replica(Close(full.generation, "too_old"))
    partial = StartPartial(full.generation, full.epoch, 1)
    assert messages(pair.to_replica(full, partial)) == []


def test_dropped_messages_count_as_received_bytes():
    pair = Pair().connect()
    before = pair.replica.stats(0).bytes_received
    pair.to_replica(Close(0, "too_old"))
    assert pair.replica.stats(0).bytes_received == before + 18


def test_unanswered_handshakes_back_off_from_half_a_second_to_thirty():
    pair, at_ms = Pair(), [0.0]
    for _ in range(9):
        next_ms = timers(pair.at(at_ms[-1]).tick_replica())[-1]
        at_ms.append(next_ms)
    waits = [late - early for early, late in pairwise(at_ms)]
    assert waits == [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]


def test_every_handshake_is_a_new_connection():
    pair = Pair()
    first, second = pair.hello(), pair.at(500).hello()
    assert second.generation > first.generation


def test_a_successful_handshake_resets_the_back_off():
    pair = Pair()
    for at_ms in (0, 500, 1_500):
        pair.at(at_ms).tick_replica()
    pair.at(3_500).connect()
    assert pair.is_equal()
    hello_ms = 3_500 + 5_000
    effects = pair.at(hello_ms).tick_replica()
    assert len(messages(effects, Hello)) == 1
    assert timers(pair.at(hello_ms + 500).tick_replica()) == [hello_ms + 500 + 1_000]


@pytest.mark.parametrize(("silent_ms", "is_over"), [(4_999, False), (5_000, True)])
def test_a_replica_gives_up_a_silent_connection_after_its_timeout(silent_ms, is_over):
    pair = Pair().connect()
    hellos = messages(pair.at(silent_ms).tick_replica(), Hello)
    assert len(hellos) == is_over


@pytest.mark.parametrize(("silent_ms", "is_open"), [(4_999, True), (5_000, False)])
def test_a_master_gives_up_a_silent_connection_after_its_timeout(silent_ms, is_open):
    pair = Pair().connect()
    beats = messages(pair.at(silent_ms).tick_master(), MasterHeartbeat)
    assert len(beats) == is_open


def test_a_closed_connection_gets_no_records():
    pair = Pair().connect()
    pair.at(5_000).tick_master()
    assert messages(pair.write()) == []


def test_a_replica_that_is_told_to_close_shakes_hands_at_once():
    pair = Pair().connect()
    effects = pair.at(70).to_replica(Close(1, "too_old"))
    assert timers(effects) == [70]
    assert pair.hello().position == pair.replica.log.head


def test_a_new_connection_replaces_the_old_one_and_its_sync():
    pair = Pair()
    answer_to(pair, Position(), generation=10)
    effects = pair.to_master(handshake(11, Position()))
    changes = [effect for effect in effects if isinstance(effect, SyncChanged)]
    assert changes == [
        SyncChanged(REPLICA, "lost", "full", "first_sync"),
        SyncChanged(REPLICA, "started", "full", "first_sync"),
    ]


def test_a_snapshot_below_what_a_replica_has_confirmed_is_refused():
    pair = Pair().connect()
    pair.exchange(pair.write(3))
    pair.to_replica(Close(1, "too_old"))
    generation = pair.hello().generation
    there, empty = Position(pair.master.role.epoch, 3), VectorStore().digest()
    header = StartFull(generation, 1, "first_sync", there, (), 0, empty, 0, 0, 64)
    assert messages(pair.to_replica(header)) == []
    assert pair.replica.log.head == pair.master.log.head


def test_nodes_say_who_they_are():
    pair = Pair()
    assert (pair.master.id, pair.replica.id, pair.replica.role.master_id) == (
        MASTER,
        REPLICA,
        MASTER,
    )


def test_records_that_overtake_the_answer_to_the_handshake_are_kept():
    pair = Pair().connect()
    pair.to_replica(Close(1, "test"))
    pair.write(3)
    answer, records = messages(pair.to_master(*messages(pair.tick_replica())))
    assert messages(pair.to_replica(records)) == []
    pair.to_replica(answer)
    assert pair.is_equal()


def test_records_kept_for_a_handshake_are_forgotten_with_it():
    pair = Pair().connect()
    pair.to_replica(Close(1, "test"))
    pair.write(3)
    _, records = messages(pair.to_master(*messages(pair.tick_replica())))
    pair.to_replica(records)
    assert pair.replica.stats(0).operations_pending == 3
    pair.at(500).tick_replica()
    assert pair.replica.stats(0).operations_pending == 0


def test_an_answer_that_is_not_heard_is_sent_again_after_doubling_waits():
    for position, kind in ((Position(), StartFull), (None, StartPartial)):
        pair = Pair()
        pair.write(2)
        hello = handshake(10, position or pair.master.log.entry(2).position)
        answer, *_ = messages(pair.to_master(hello))
        again = [messages(pair.at(ms).tick_master(), kind) for ms in (199, 200, 599, 600)]
        assert again == [[], [answer], [], [answer]]
        pair.to_master(Ack(10, hello.position, *[hello.position.offset] * 4))
        assert messages(pair.at(1_400).tick_master(), kind) == []
