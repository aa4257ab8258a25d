"""What is asked or sent again never fills a slow link faster than the link drains."""

import pytest

from tests.replication.by_hand import Pair, messages, offsets
from tests.sim.clusters import cluster, fill
from vectorkit import sim
from vectorkit.replication.protocol.log import NO_HASH, Position
from vectorkit.replication.protocol.messages import (
    Chunk,
    Records,
    ReplicaHeartbeat,
    Resume,
    StartFull,
)
from vectorkit.replication.protocol.options import ReplicationOptions
from vectorkit.replication.protocol.snapshot_transfer import SnapshotAssembly

PATIENT = {"connection_timeout_ms": 60_000}
MS = 1_000_000


def behind(round_trip_ms):
    """A pair with four records in flight, whose master has measured this round trip."""
    pair = Pair(**PATIENT).connect()
    pair.at(1_000).tick_master()
    member = pair.replica.member
    echo = ReplicaHeartbeat(1, 1, member.ack(1), member.store.digest(), 1, 0)
    pair.at(1_000 + round_trip_ms).to_master(echo)
    assert pair.info().round_trip_ms == round_trip_ms
    pair.write(4)
    return pair


def resume(pair, after_ms, offset, until_offset=99):
    """What the master sends for a gap, so long after the four records were written."""
    pair.at(1_300 + after_ms)
    return offsets(messages(pair.to_master(Resume(1, offset, until_offset)), Records))


def test_a_gap_is_not_answered_again_within_two_round_trips():
    pair = behind(300)
    gap = [[2, 3, 4, 5]]
    assert resume(pair, 0, 1) == gap
    assert [resume(pair, ms, 1) for ms in (50, 150, 599)] == [[], [], []]
    assert resume(pair, 600, 1) == gap
    assert [resume(pair, ms, 1) for ms in (601, 1_799)] == [[], []]
    assert resume(pair, 1_800, 1) == gap


def test_the_rest_of_a_gap_waits_for_the_answer_that_is_in_flight():
    pair = behind(300)
    assert resume(pair, 0, 1) == [[2, 3, 4, 5]]
    assert resume(pair, 100, 3) == []
    assert resume(pair, 600, 3) == [[4, 5]]


def test_a_gap_behind_the_last_answer_is_answered_at_once():
    pair = behind(300)
    assert resume(pair, 0, 1, 3) == [[2, 3]]
    assert resume(pair, 10, 3) == [[4, 5]]


def test_another_connection_answers_at_once():
    pair = behind(300)
    assert resume(pair, 0, 1) == [[2, 3, 4, 5]]
    pair.exchange(from_replica=messages(pair.at(70_000).tick_replica()))
    pair.exchange(from_replica=pair.at(70_500).tick_replica())
    assert pair.master.role.peer("node-1").resumed_offset == 0


@pytest.mark.parametrize(("round_trip_ms", "waits"), [(10, [200, 600, 1_400]), (300, [600, 1_800])])
def test_unconfirmed_records_are_sent_again_after_two_round_trips_at_least(round_trip_ms, waits):
    pair = behind(round_trip_ms)
    began_ms = pair.now_ms
    every = range(0, 2_000, 100)
    sent_ms = [ms for ms in every if messages(pair.at(began_ms + ms).tick_master(), Records)]
    assert sent_ms == waits


def assembly(chunk_count=5, **options):
    header = StartFull(
        1, 1, "first_sync", Position(1, 9, NO_HASH), (), 0, "", chunk_count, chunk_count, 1
    )
    return SnapshotAssembly(header, ReplicationOptions(chunk_window=3, **options))


def chunk(number):
    return Chunk(1, number, 0, b"")


def due(made, ms):
    return made.due(ms * MS)


def test_late_chunks_are_asked_for_once_all_together_then_the_first_alone():
    made = assembly()
    assert due(made, 0) == (0, 1, 2)
    assert due(made, 199) == ()
    assert due(made, 200) == (0, 1, 2)
    assert [due(made, ms) for ms in (599, 600, 1_399, 1_400)] == [(), (0,), (), (0,)]


def test_a_chunk_that_was_asked_for_twice_does_not_say_how_long_one_takes():
    made = assembly()
    due(made, 0)
    due(made, 200)
    assert made.accept(chunk(0), 640 * MS)
    assert due(made, 640) == (1, 3)
    assert made.next_deadline_ns == 1_440 * MS


def test_a_chunk_that_was_asked_for_once_sets_the_wait_to_twice_its_time():
    made = assembly()
    due(made, 0)
    assert made.accept(chunk(0), 150 * MS)
    assert due(made, 150) == (3,)
    assert made.next_deadline_ns == 300 * MS
    assert due(made, 299) == ()
    assert due(made, 300) == (1, 2)
    assert made.accept(chunk(3), 350 * MS)
    assert due(made, 350) == (4,)
    assert made.next_deadline_ns == 700 * MS


def test_a_replica_of_a_slow_link_converges_and_few_bytes_are_sent_again():
    """400 records of 2 KB, 80 KB each second, over a link of 105 KB each second with three cuts."""
    made = cluster(1, link=sim.Link(delay_ms=10, jitter_ms=5, mib_per_s=0.1))
    fill(made, 2)
    made.advance(ms=1_000)
    for number in range(400):
        made.store.upsert("words", [f"{number}"], [[number, 1]], [{"text": "x" * 2_000}])
        made.advance(ms=25)
        if number % 100 == 20:
            made.cut("node-1")
        if number % 100 == 50:
            made.heal()
    run = made.finish()
    assert run.is_converged
    assert run.trace.events[-1].time_ns < 16_000 * MS  # It took 85 s, and 20 times the bytes.
    assert made.links()["node-0", "node-1"].sent_bytes < 3 * 400 * 2_100
