"""Heartbeats both ways, lag to the millisecond, and health as a pure function of them."""

from dataclasses import replace

import pytest

from tests.replication.by_hand import Pair, handshake, heartbeat, messages
from vectorkit.errors import ReadOnlyReplica
from vectorkit.replication import ReplicaStatus, ReplicationOptions, status_of
from vectorkit.replication.protocol.messages import (
    Ack,
    Close,
    MasterHeartbeat,
    Records,
    ReplicaHeartbeat,
)

MS = 1_000_000
CONNECTED, LAGGING = ReplicaStatus.CONNECTED, ReplicaStatus.LAGGING
SYNCING, DISCONNECTED = ReplicaStatus.SYNCING, ReplicaStatus.DISCONNECTED


def status(silent_ms, lag_ms, is_syncing=False, **options):
    return status_of(
        silent_ns=round(silent_ms * MS),
        is_syncing=is_syncing,
        lag_ns=round(lag_ms * MS),
        options=ReplicationOptions(**options),
    )


@pytest.mark.parametrize(
    ("lag_ms", "expected"),
    [(0, CONNECTED), (1_000, CONNECTED), (1_000.000001, LAGGING), (1_001, LAGGING)],
)
def test_lagging_begins_above_a_second_of_lag_and_not_at_it(lag_ms, expected):
    assert status(0, lag_ms) is expected


@pytest.mark.parametrize(
    ("silent_ms", "expected"),
    [(0, CONNECTED), (60_000, CONNECTED), (60_000.000001, DISCONNECTED), (60_001, DISCONNECTED)],
)
def test_disconnected_begins_after_sixty_seconds_of_silence_and_not_at_them(silent_ms, expected):
    assert status(silent_ms, 0) is expected


def test_silence_outweighs_a_sync_and_a_sync_outweighs_lag():
    assert status(60_001, 5_000, is_syncing=True) is DISCONNECTED
    assert status(60_000, 5_000, is_syncing=True) is SYNCING
    assert status(60_000, 5_000) is LAGGING


def test_thresholds_are_options():
    options = {"lagging_above_ms": 20, "disconnected_after_ms": 7_000}
    assert status(0, 20, **options) is CONNECTED
    assert status(0, 21, **options) is LAGGING
    assert status(7_001, 0, **options) is DISCONNECTED


def beat(pair, digest=None, echo=0, held_ns=0):
    """A heartbeat of the replica as it would send it."""
    here = pair.replica.log.head
    ack = Ack(1, here, *[here.offset] * 4)
    return ReplicaHeartbeat(1, 1, ack, digest or pair.replica.store.digest(), echo, held_ns)


def test_a_replica_that_was_never_heard_of_is_syncing_at_offset_zero():
    pair = Pair().at(59_000)
    info = pair.info()
    assert (info.status, info.offset, info.operations_synced) == (SYNCING, 0, 0)
    assert (info.last_heartbeat, info.round_trip_ms, info.digest) == (None, None, "")
    assert pair.master.stats(pair.now_ns).connected_replicas == 0


def test_a_new_replica_has_zero_stats_and_refuses_writes():
    pair = Pair()
    stats = pair.replica.stats(0)
    counted = (
        stats.replica_offset,
        stats.bytes_sent,
        stats.bytes_received,
        stats.total_replicated,
        stats.full_syncs,
        stats.partial_syncs,
        stats.operations_pending,
        stats.quarantined_operations,
    )
    assert counted == (0,) * 8
    assert (stats.role, stats.last_sync, stats.snapshot_size) == ("replica", None, None)
    with pytest.raises(ReadOnlyReplica):
        pair.replica.store.create_collection("words", dim=2)


def test_a_replica_that_never_comes_is_disconnected_after_sixty_seconds():
    assert Pair().at(60_000).info().status is SYNCING
    assert Pair().at(60_001).info().status is DISCONNECTED


def test_heartbeats_go_out_both_ways_once_an_interval():
    pair = Pair().connect()
    down, up = [], []
    for ms in range(0, 4_001, 100):
        if messages(pair.at(ms).tick_master(), MasterHeartbeat):
            down.append(ms)
            pair.to_replica(heartbeat(1, 1, 1, 1))
        if sent := messages(pair.tick_replica(), ReplicaHeartbeat):
            up.append(ms)
            pair.to_master(*sent)
    assert down == up == [1_000, 2_000, 3_000, 4_000]


def test_a_masters_heartbeat_names_its_head_and_how_far_it_has_sent():
    pair = Pair(window_bytes=300, batch_bytes=300).connect()
    pair.write(9)
    (heard,) = messages(pair.at(1_000).tick_master(), MasterHeartbeat)
    assert (heard.head_offset, heard.sent_offset) == (10, pair.info().sent_offset)
    assert 1 < heard.sent_offset < 10


def test_a_replicas_heartbeat_names_positions_digest_and_the_beat_it_answers():
    pair = Pair().connect()
    pair.exchange(pair.write(2))
    pair.at(1_000).to_replica(*messages(pair.tick_master(), MasterHeartbeat))
    (heard,) = messages(pair.at(1_200).tick_replica(), ReplicaHeartbeat)
    assert heard.ack == Ack(1, pair.master.log.head, 3, 3, 3, 3)
    assert heard.digest == pair.master.store.digest()
    assert (heard.echo_beat, heard.echo_held_ns) == (1, 200 * MS)


def test_the_round_trip_is_the_time_away_less_the_time_held():
    pair = Pair().connect()
    (down,) = messages(pair.at(1_000).tick_master(), MasterHeartbeat)
    pair.at(1_030).to_replica(down)
    (up,) = messages(pair.at(1_500).tick_replica(), ReplicaHeartbeat)
    pair.at(1_545).to_master(up)
    assert pair.info().round_trip_ms == 30 + 45
    assert pair.info().last_heartbeat_sent == 1_000
    assert pair.info().last_heartbeat == 1_545


def test_a_heartbeat_that_was_held_for_longer_than_it_was_away_tells_no_round_trip():
    pair = Pair().connect()
    (down,) = messages(pair.at(1_000).tick_master(), MasterHeartbeat)
    pair.at(1_030).to_replica(down)
    (up,) = messages(pair.at(1_500).tick_replica(), ReplicaHeartbeat)
    held = replace(up, echo_held_ns=546 * MS)  # By a clock that runs fast.
    pair.at(1_545).to_master(held)
    assert (pair.info().round_trip_ms, pair.info().last_heartbeat) == (None, 1_545)


def test_an_answer_to_an_earlier_heartbeat_tells_the_round_trip_as_well():
    pair = Pair().connect()
    (down,) = messages(pair.at(1_000).tick_master(), MasterHeartbeat)
    pair.at(1_700).to_replica(down)
    (up,) = messages(pair.at(1_800).tick_replica(), ReplicaHeartbeat)
    pair.at(2_000).tick_master()
    pair.at(2_500).to_master(up)
    assert pair.info().round_trip_ms == 700 + 700


def test_the_masters_lag_is_the_age_of_the_oldest_record_not_confirmed():
    pair = Pair().connect()
    pair.at(100).write()
    pair.at(250).write()
    assert pair.at(400).info().lag_ms == 300
    pair.to_master(Ack(1, pair.master.log.entry(2).position, 2, 2, 2, 2))
    assert pair.info().lag_ms == 150
    assert pair.info().lag_operations == 1
    pair.to_master(Ack(1, pair.master.log.head, 3, 3, 3, 3))
    assert (pair.info().lag_ms, pair.info().lag_operations, pair.info().lag_bytes) == (0, 0, 0)


def test_lag_bytes_are_the_encoded_bytes_not_confirmed():
    pair = Pair().connect()
    pair.write(2)
    sizes = [len(entry.record.encoded) for entry in pair.master.log.since(1)]
    assert pair.info().lag_bytes == sum(sizes)


def test_only_an_applied_offset_ends_lag():
    pair = Pair().connect()
    pair.at(100).write()
    pair.to_master(Ack(1, pair.master.log.head, 2, 2, 1, 1))
    assert pair.at(150).info().lag_ms == 50
    assert pair.info().received_offset == 2


def test_lag_goes_on_when_the_log_has_let_go_of_the_oldest_record():
    pair = Pair(log_capacity_operations=2).connect()
    pair.at(100).write()
    for ms in (200, 300, 400, 500):
        pair.at(ms).write()
    assert pair.at(900).info().lag_ms == 800


def test_a_caught_up_replica_of_an_idle_master_is_connected_without_lag_for_ever():
    pair = Pair().connect()
    for second in range(1, 200):
        pair.at(second * 1_000)
        pair.exchange(pair.tick_master(), pair.tick_replica())
        assert (pair.info().status, pair.info().lag_ms) == (CONNECTED, 0)
        assert pair.replica.stats(pair.now_ns).lag_ms == 0


@pytest.mark.parametrize(("ms", "expected"), [(1_100, CONNECTED), (1_101, LAGGING)])
def test_a_replica_lags_at_1001_ms_and_not_at_1000(ms, expected):
    pair = Pair().connect()
    pair.at(100).write()
    assert pair.at(ms).info().status is expected


@pytest.mark.parametrize(("ms", "expected"), [(60_700, LAGGING), (60_701, DISCONNECTED)])
def test_a_replica_is_disconnected_after_60_s_and_not_at_them(ms, expected):
    pair = Pair().connect()
    pair.at(700).to_master(beat(pair))
    pair.write()
    assert pair.at(ms).info().status is expected


def test_a_disconnected_replica_stays_listed_with_its_last_known_state():
    pair = Pair(replica_count=3).connect()
    pair.exchange(pair.write(2))
    pair.at(700).to_master(beat(pair))
    pair.at(90_000).write()
    one, two, three = pair.master.replicas(pair.now_ns)
    assert [one.id, two.id, three.id] == ["node-1", "node-2", "node-3"]
    assert (one.status, one.offset, one.last_heartbeat) == (DISCONNECTED, 3, 700)
    assert one.digest == pair.replica.store.digest()
    assert (one.lag_operations, one.operations_synced) == (1, 2)


def test_a_disconnected_replica_is_out_of_the_active_set():
    pair = Pair(replica_count=2).connect()
    pair.at(5_000).write()
    assert pair.master.stats(pair.now_ns).connected_replicas == 1
    assert pair.master.stats(pair.now_ns).operations_pending == 1
    pair.at(60_001)
    assert pair.master.stats(pair.now_ns).connected_replicas == 0
    assert pair.master.stats(pair.now_ns).operations_pending == 0


def test_a_replica_is_syncing_until_it_has_reached_where_the_head_was():
    pair = Pair().connect()
    pair.to_replica(Close(1, "too_old"))
    pair.make(2)
    hello = pair.hello()
    (answer, records) = messages(pair.to_master(hello))
    assert pair.info().status is SYNCING
    (early,) = messages(pair.to_replica(answer))
    pair.to_master(early)
    assert pair.info().status is SYNCING
    pair.to_master(*messages(pair.to_replica(records)))
    assert pair.info().status is CONNECTED


def test_a_replica_knows_no_lag_while_it_is_at_the_head_that_was_named_last():
    pair = Pair().connect()
    pair.at(1_000).to_replica(heartbeat(1, 1, 1, 1))
    stats = pair.at(2_999).replica.stats(pair.now_ns)
    assert (stats.lag_ms, stats.last_sync) == (0, 1_000)


def test_a_cut_replicas_lag_grows_while_its_last_sync_stands_still():
    pair = Pair().connect()
    pair.at(1_000).to_replica(heartbeat(1, 1, 1, 1))
    seen = [pair.at(ms).replica.stats(pair.now_ns) for ms in (3_000, 10_000, 70_000)]
    assert [stats.lag_ms for stats in seen] == [2_000, 9_000, 69_000]
    assert [stats.last_sync for stats in seen] == [1_000] * 3


def test_a_replica_below_the_head_that_was_named_lags_since_it_last_was_equal():
    pair = Pair().connect()
    pair.at(1_000).to_replica(heartbeat(1, 1, 1, 1))
    pair.at(2_000).to_replica(heartbeat(1, 2, 5, 1))
    stats = pair.at(2_400).replica.stats(pair.now_ns)
    assert (stats.lag_ms, stats.lag_operations, stats.master_offset) == (400, 4, 5)


def test_a_replica_that_catches_up_has_no_lag_and_a_new_last_sync():
    pair = Pair().connect()
    sent = messages(pair.at(900).write(2), Records)
    pair.at(1_000).to_replica(heartbeat(1, 1, 3, 3))
    pair.at(1_300).to_replica(*sent)
    stats = pair.at(1_350).replica.stats(pair.now_ns)
    assert (stats.lag_ms, stats.last_sync, stats.replica_offset) == (0, 1_300, 3)


def test_a_replica_that_has_just_synced_in_full_knows_when():
    pair = Pair()
    pair.write(3)
    pair.at(40).connect()
    stats = pair.at(50).replica.stats(pair.now_ns)
    assert (stats.lag_ms, stats.last_sync, stats.operations_pending) == (0, 40, 0)


def test_the_master_goes_on_without_the_replicas_it_has_lost():
    pair = Pair().connect()
    pair.at(100_000).tick_master()
    assert messages(pair.write(3)) == []
    assert pair.master.stats(pair.now_ns).master_offset == 4


def test_a_handshake_counts_as_a_sign_of_life():
    pair = Pair().at(61_000)
    assert pair.info().status is DISCONNECTED
    pair.to_master(handshake(1, pair.replica.log.head))
    assert (pair.info().status, pair.info().last_heartbeat) == (SYNCING, 61_000)
