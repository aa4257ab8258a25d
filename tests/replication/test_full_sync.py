"""Full syncs: a pinned snapshot in checked pieces, built aside, then swapped in at once."""

import weakref
import zlib
from dataclasses import replace

import pytest

from tests.replication.by_hand import Pair, handshake, heartbeat, messages, offsets
from vectorkit.errors import CollectionNotFound, ReadOnlyReplica
from vectorkit.replication import Applied, Position
from vectorkit.replication.protocol.messages import (
    Ack,
    Chunk,
    Close,
    Hello,
    MasterHeartbeat,
    Records,
    ReplicaHeartbeat,
    RequestChunks,
    StartFull,
)
from vectorkit.replication.protocol.wire import wire_size


def filled(rows=40, **options):
    """A pair whose master has some rows, and the answer to the replica's first handshake."""
    pair = Pair(chunk_bytes=64, chunk_window=3, **options)
    words = pair.master.store.create_collection("words", dim=2)
    numbers = range(rows)
    words.upsert(numbers, [[row, 1] for row in numbers], [{"n": row} for row in numbers])
    pair.master.flush(0)
    (header,) = messages(pair.to_master(pair.hello()))
    return pair, header


def chunks(pair, *requests):
    return messages(pair.to_master(*requests), Chunk)


def everything(pair, header):
    numbers = tuple(range(header.chunk_count))
    return chunks(pair, RequestChunks(header.generation, numbers))


def install(pair, header):
    """Carry all chunks; the result is what the replica says in the end, which nobody hears."""
    effects = pair.to_replica(header)
    while requests := messages(effects, RequestChunks):
        effects = pair.to_replica(*chunks(pair, *requests))
    return messages(effects)


def test_the_header_says_where_how_much_and_what_it_amounts_to():
    pair, header = filled()
    pieces = everything(pair, header)
    assert header.position == pair.master.log.head
    assert header.digest == pair.master.store.digest()
    assert header.snapshot_bytes == sum(len(piece.data) for piece in pieces)
    assert header.chunk_count == len(pieces) == -(-header.snapshot_bytes // 64)
    assert {len(piece.data) for piece in pieces[:-1]} == {64}


def test_the_snapshot_size_is_what_header_and_chunks_take_on_the_wire():
    pair, header = filled()
    expected = wire_size(header) + sum(map(wire_size, everything(pair, header)))
    pair.exchange(from_replica=pair.to_replica(header))
    assert pair.is_equal()
    assert pair.master.stats(0).snapshot_size == pair.replica.stats(0).snapshot_size == expected


def test_writes_after_the_snapshot_was_pinned_are_not_in_it_and_follow_once():
    pair, header = filled()
    pair.master.store.delete("words", [0])
    pair.write(2)
    effects = pair.to_replica(header)
    pair.exchange(from_replica=effects)
    streamed = [each for each in pair.seen if isinstance(each, Records)]
    assert offsets(streamed) == [[4, 5, 6]]
    assert pair.is_equal()


def test_nothing_is_streamed_before_the_snapshot_is_confirmed():
    pair, _ = filled()
    assert messages(pair.write(3)) == []
    assert messages(pair.at(900).tick_master(), Records) == []


def test_slot_order_survives_a_full_sync():
    pair, header = filled()
    pair.master.store.delete("words", [3, 11])
    (header,) = messages(pair.to_master(pair.at(500).hello()))
    pair.exchange(from_replica=pair.to_replica(header))
    assert pair.replica.store["words"].ids() == pair.master.store["words"].ids()


def test_a_replica_asks_for_a_few_chunks_at_a_time():
    pair, header = filled()
    (first,) = messages(pair.to_replica(header))
    assert first == RequestChunks(header.generation, (0, 1, 2))
    piece, *_ = chunks(pair, first)
    assert messages(pair.to_replica(piece)) == [RequestChunks(header.generation, (3,))]


def test_a_lost_chunk_is_asked_for_again_by_its_number():
    pair, header = filled()
    (first,) = messages(pair.to_replica(header))
    one, _, three = chunks(pair, first)
    pair.at(10).to_replica(one, three)
    assert messages(pair.at(199).tick_replica()) == []
    assert messages(pair.at(200).tick_replica()) == [RequestChunks(header.generation, (1,))]


def test_a_damaged_chunk_is_as_good_as_lost():
    pair, header = filled()
    (first,) = messages(pair.to_replica(header))
    one, two, three = chunks(pair, first)
    pair.to_replica(one, replace(two, data=bytes(64)), three)
    assert messages(pair.at(200).tick_replica()) == [RequestChunks(header.generation, (1, 3, 4))]


def test_a_chunk_that_comes_twice_or_unasked_changes_nothing():
    pair, header = filled()
    (first,) = messages(pair.to_replica(header))
    one, _, _ = chunks(pair, first)
    (last,) = everything(pair, header)[-1:]
    assert len(messages(pair.to_replica(one))) == 1
    assert messages(pair.to_replica(one, last)) == []


def test_chunks_in_any_order_make_the_same_store():
    pair, header = filled(rows=5)
    pieces = everything(pair, header)
    requests = messages(pair.to_replica(header))
    while requests:
        wanted = [number for request in requests for number in request.numbers]
        effects = pair.to_replica(*(pieces[number] for number in reversed(wanted)))
        requests = messages(effects, RequestChunks)
    assert pair.is_equal()


def test_chunk_numbers_that_do_not_exist_are_not_answered():
    pair, header = filled()
    request = RequestChunks(header.generation, (-1, header.chunk_count))
    assert chunks(pair, request) == []


def test_a_reader_sees_the_old_store_until_the_new_one_is_whole():
    pair, header = filled()
    pieces = everything(pair, header)
    pair.to_replica(header, *pieces[:3])
    assert len(pair.replica.store) == 0
    for piece in pieces[3:]:
        pair.to_replica(piece)
    assert len(pair.replica.store["words"]) == 40


def installed(pair, header):
    """What the replica does when the last chunk comes."""
    return [effect for piece in everything(pair, header) for effect in pair.to_replica(piece)]


def test_an_installed_snapshot_is_confirmed_at_its_place():
    pair, header = filled()
    pair.to_replica(header)
    effects = installed(pair, header)
    (confirmed,) = messages(effects, Ack)
    assert confirmed == Ack(header.generation, header.position, 3, 3, 3, 3)
    assert [each for each in effects if isinstance(each, Applied)] == [
        Applied(header.position, "snapshot")
    ]


@pytest.mark.parametrize(
    "change", [{"digest": "another"}, {"snapshot_bytes": 7}], ids=["digest", "length"]
)
def test_a_snapshot_that_does_not_amount_to_its_header_is_not_installed(change):
    pair, header = filled()
    pair.to_replica(replace(header, **change))
    assert messages(installed(pair, header), Ack) == []
    assert len(pair.replica.store) == 0
    assert pair.hello().wants == "digest_mismatch"


def test_a_snapshot_that_cannot_be_read_is_not_installed():
    pair, header = filled()
    pair.to_replica(replace(header, chunk_count=1))
    garbage = b"\x40" * 64
    effects = pair.to_replica(Chunk(header.generation, 0, zlib.crc32(garbage), garbage))
    assert messages(effects) == []
    assert pair.hello().wants == "digest_mismatch"


def test_an_empty_store_needs_no_chunk():
    pair = Pair()
    (header,) = messages(pair.to_master(pair.hello()))
    assert (header.chunk_count, header.snapshot_bytes) == (0, 0)
    assert messages(pair.to_replica(header)) == [
        Ack(header.generation, pair.master.log.head, 1, 1, 1, 1)
    ]


def test_a_heartbeat_from_before_the_snapshot_does_not_end_the_full_sync():
    pair = Pair(chunk_bytes=64).connect()
    words = pair.master.store.create_collection("words", dim=2)
    words.upsert(range(40), [[row, 1] for row in range(40)])
    pair.exchange(pair.master.flush(0))
    head, there = pair.master.log.head, pair.master.log.head.offset
    ack = Ack(1, head, *[there] * 4)
    pair.to_master(ReplicaHeartbeat(1, 1, ack, "a wrong digest", 0, 0))
    pair.to_replica(Close(1, "digest_mismatch"))
    hello = pair.hello()
    (header,) = messages(pair.to_master(hello))
    assert (header.reason, header.position) == ("digest_mismatch", head)
    ack = Ack(hello.generation, head, *[there] * 4)
    pair.to_master(ReplicaHeartbeat(hello.generation, 2, ack, "a wrong digest", 0, 0))
    assert pair.master.stats(0).full_syncs == 1
    assert len(everything(pair, header)) == header.chunk_count


def test_a_heartbeat_confirms_a_full_sync_whose_ack_was_lost():
    pair, header = filled()
    pair.to_replica(header)
    installed(pair, header)
    pair.at(1_000).to_master(*messages(pair.tick_replica(), ReplicaHeartbeat))
    assert pair.master.stats(0).full_syncs == 1
    assert pair.info().applied_offset == 3


def test_positions_keep_their_order_during_a_full_sync():
    pair = Pair(log_capacity_operations=3).connect()
    pair.exchange(pair.write(3))
    pair.make(9)
    pair.at(5_000).tick_master()
    pair.to_master(handshake(9, pair.replica.log.head))
    info = pair.info()
    assert info.sync_reason == "too_old"
    positions = (
        info.sent_offset,
        info.received_offset,
        info.flushed_offset,
        info.applied_offset,
        info.visible_offset,
    )
    assert positions == (4, 4, 4, 4, 4)


def test_a_full_sync_may_take_back_what_another_history_had_confirmed():
    pair = Pair()
    pair.write(3)
    pair.connect()
    ahead = Position(pair.master.role.epoch, 9, b"h" * 16)
    (header,) = messages(pair.to_master(handshake(9, ahead)))
    pair.to_master(Ack(9, header.position, 4, 4, 4, 4))
    assert pair.master.stats(0).full_syncs == 2
    assert pair.info().applied_offset == 4


def test_progress_is_the_share_of_chunks_sent():
    pair, header = filled()
    assert pair.info().sync_progress == 0
    chunks(pair, RequestChunks(header.generation, (0, 1, 2)))
    assert pair.info().sync_progress == 3 / header.chunk_count
    everything(pair, header)
    assert pair.info().sync_progress == 1


def test_a_chunk_that_is_sent_twice_is_progress_once():
    pair, header = filled()
    for _ in range(3):
        chunks(pair, RequestChunks(header.generation, (0,)))
    assert pair.info().sync_progress == 1 / header.chunk_count


def test_control_messages_of_a_full_sync_keep_the_connection_alive():
    pair, header = filled()
    pair.to_replica(header)
    pair.at(4_000).to_replica(*messages(pair.tick_master(), MasterHeartbeat))
    assert messages(pair.at(5_000).tick_replica(), Hello) == []


def test_a_log_that_wraps_past_the_snapshot_leads_to_another_full_sync():
    pair = Pair(log_capacity_operations=3)
    (header,) = messages(pair.to_master(pair.hello()))
    pair.make(9)
    (ack,) = messages(pair.to_replica(header))
    assert messages(pair.to_master(ack)) == [Close(header.generation, "too_old")]
    assert pair.info().sync_attempts == 1
    pair.to_replica(Close(header.generation, "too_old"))
    pair.to_master(pair.hello())
    assert (pair.info().sync_reason, pair.info().sync_attempts) == ("too_old", 2)


def test_a_log_that_wraps_again_and_again_is_met_with_the_longest_back_off():
    pair = Pair(log_capacity_operations=3, sync_attempts_max=3)
    pair.make()
    starts = []
    for now_ms in range(0, 45_000, 5_000):
        if hellos := messages(pair.at(now_ms).tick_replica(), Hello):
            starts.append(now_ms)
            (header,) = messages(pair.to_master(*hellos))
            (request,) = messages(pair.to_replica(header))
            (piece,) = chunks(pair, request)
            pair.make(9)
            pair.exchange(from_replica=pair.to_replica(piece))
    assert starts == [0, 5_000, 10_000, 40_000]


def test_a_successful_sync_makes_the_next_handshake_quick_again():
    pair = Pair(sync_attempts_max=1).connect()
    pair.at(1_000).to_replica(*messages(pair.tick_master(), MasterHeartbeat))
    pair.to_replica(Close(1, "too_old"))
    assert len(messages(pair.tick_replica(), Hello)) == 1


def test_a_heartbeat_from_before_the_snapshot_was_installed_is_no_proof_of_success():
    pair, header = filled(sync_attempts_max=1)
    install(pair, header)
    head = header.position.offset
    pair.to_replica(heartbeat(header.generation, 1, head, head - 1))  # It was long on its way.
    pair.to_replica(Close(header.generation, "too_old"))
    asked = [messages(pair.at(ms).tick_replica(), Hello) != [] for ms in (0, 29_999, 30_000)]
    assert asked == [False, False, True]


def test_a_handle_of_a_replaced_collection_still_reads_but_does_not_write():
    pair, header = filled()
    pair.exchange(from_replica=pair.to_replica(header))
    old = pair.replica.store["words"]
    pair.to_replica(Close(header.generation, "too_old"))
    pair.exchange(pair.to_master(replace(pair.hello(), wants="poisoned")))
    assert pair.replica.store["words"] is not old
    assert len(old) == 40
    with pytest.raises(ReadOnlyReplica):
        old.delete([1])


def test_a_dropped_collection_is_gone_after_a_full_sync():
    pair, header = filled()
    pair.exchange(from_replica=pair.to_replica(header))
    pair.to_replica(Close(header.generation, "too_old"))
    pair.master.store.drop_collection("words")
    pair.exchange(pair.to_master(replace(pair.hello(), wants="poisoned")))
    with pytest.raises(CollectionNotFound):
        pair.replica.store["words"]
    assert pair.is_equal()


def test_the_pinned_snapshot_is_let_go_when_nobody_needs_it():
    pair, header = filled()
    pinned = weakref.ref(pair.master.role._offers._source)
    pair.exchange(from_replica=pair.to_replica(header))
    assert pair.is_equal()
    assert pinned() is None


def test_two_replicas_that_join_at_the_same_place_share_one_snapshot():
    pair = Pair(replica_count=2)
    (one,) = messages(pair.to_master(handshake(1, Position())))
    (two,) = messages(pair.to_master(handshake(1, Position()), source="node-2"))
    assert one == two
    assert type(one) is StartFull


def test_a_full_sync_whose_confirmation_is_lost_counts_as_one_and_streams_nothing():
    pair, header = filled()
    pair.write(5)
    assert [type(each) for each in install(pair, header)] == [Ack]
    pair.to_replica(Close(header.generation, "test"))
    pair.exchange(from_replica=pair.tick_replica())
    assert pair.is_equal()
    for node in (pair.master, pair.replica):
        seen = node.stats(0)
        assert (seen.full_syncs, seen.partial_syncs, seen.total_replicated) == (1, 1, 5)
    assert pair.info().operations_synced == 5


def test_a_replica_that_takes_a_full_sync_does_not_call_itself_equal():
    pair, header = filled()
    install(pair, header)
    pair.to_replica(Close(header.generation, "test"))
    again = messages(pair.to_master(handshake(5, pair.master.log.head, "digest_mismatch")))[0]
    hello = pair.hello()
    pair.to_replica(replace(again, generation=hello.generation))
    pair.at(2_000).to_replica(heartbeat(hello.generation, 9, again.position.offset, 0))
    assert pair.replica.stats(pair.now_ns).lag_ms == 2_000
    assert pair.replica.stats(pair.now_ns).last_sync == 0


def test_a_chunk_that_does_not_come_is_asked_for_after_doubling_waits():
    pair, header = filled()
    pair.to_replica(header)
    times = (200, 599, 600, 1_399, 1_400)
    asked = [len(messages(pair.at(ms).tick_replica(), RequestChunks)) for ms in times]
    assert asked == [1, 0, 1, 0, 1]


def test_a_heartbeat_during_a_full_sync_does_not_forget_that_it_is_one_more_attempt():
    pair, header = filled(sync_attempts_max=1)
    install(pair, header)
    head = header.position.offset
    pair.to_replica(heartbeat(header.generation, 1, head, head))
    pair.to_replica(Close(header.generation, "test"))
    hello = pair.hello()
    pair.to_replica(replace(header, generation=hello.generation, reason="digest_mismatch"))
    pair.to_replica(heartbeat(hello.generation, 2, head, head))
    pair.to_replica(Close(hello.generation, "test"))
    asked = [messages(pair.at(ms).tick_replica(), Hello) != [] for ms in (0, 29_999, 30_000)]
    assert asked == [False, False, True]


def test_records_that_were_unconfirmed_before_a_full_sync_are_not_probed_for_in_it():
    pair = Pair().connect()
    pair.write(2)
    pair.to_master(handshake(10, pair.master.log.entry(1).position, "poisoned"))
    pair.to_master(RequestChunks(10, (0,)))
    assert messages(pair.at(400).tick_master(), Records, Close) == []
