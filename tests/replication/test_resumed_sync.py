"""A full sync goes on where its connection was lost, with the very same snapshot or not at all."""

import weakref
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.replication.by_hand import MASTER, REPLICA, Pair, messages
from vectorkit import sim
from vectorkit.replication import ReplicationOptions
from vectorkit.replication.protocol.epochs import index_of
from vectorkit.replication.protocol.log import NO_HASH
from vectorkit.replication.protocol.messages import (
    Chunk,
    Close,
    EpochConfirmed,
    Hello,
    RequestChunks,
    StartFull,
    StartPartial,
)
from vectorkit.replication.protocol.snapshot_transfer import SnapshotAssembly


def filled(rows=40, chunk_bytes=64, **options):
    """A pair whose master has some rows, and whose replica has nothing."""
    usual = {"backoff_ms_min": 100, "backoff_ms_max": 1_000, "sync_attempts_max": 1_000_000}
    pair = Pair(chunk_bytes=chunk_bytes, chunk_window=3, **{**usual, **options})
    words = pair.master.store.create_collection("words", dim=2)
    words.upsert(
        range(rows), [[row, 1] for row in range(rows)], [{"n": row} for row in range(rows)]
    )
    pair.master.flush(0)
    return pair


def shake(pair, wait_ms=1_001):
    """The replica's next handshake and the master's answer to it."""
    pair.at(pair.now_ms + wait_ms)
    hello = pair.hello()
    (answer,) = messages(pair.to_master(hello), StartFull, StartPartial)
    return hello, answer


def transfer(pair, header, count_max):
    """Carry at most so many chunks one after the other; those that were carried."""
    carried, requests = [], messages(pair.to_replica(header), RequestChunks)
    while requests and len(carried) < count_max:
        wanted = [number for request in requests for number in request.numbers]
        requests = []
        for number in wanted[: count_max - len(carried)]:
            one = RequestChunks(header.generation, (number,))
            (chunk,) = messages(pair.to_master(one), Chunk)
            carried.append(number)
            requests += messages(pair.to_replica(chunk), RequestChunks)
    return carried


def lose(pair, header):
    """The connection ends; the replica knows, and the master learns it from the next handshake."""
    pair.to_replica(Close(header.generation, "test"))


def lost_after(count, **options):
    """A pair whose full sync was lost after so many chunks, and the header of that."""
    pair = filled(**options)
    _, header = shake(pair, 0)
    assert transfer(pair, header, count) == list(range(count))
    lose(pair, header)
    return pair, header


def asked_first(pair, header):
    (first,) = messages(pair.to_replica(header), RequestChunks)
    return first.numbers


def test_a_resumed_sync_asks_for_the_missing_chunks_only():
    pair, header = lost_after(4)
    hello, again = shake(pair)
    assert (hello.resumes, again.snapshot) == (header.position.offset, header.snapshot)
    assert transfer(pair, again, 1_000) == list(range(4, header.chunk_count))
    assert pair.replica.store.digest() == pair.master.store.digest()


def test_writes_in_between_follow_from_the_log():
    pair, header = lost_after(4)
    pair.master.store.delete("words", [0])
    pair.write(2)
    _, again = shake(pair)
    assert again.position == header.position != pair.master.log.head
    pair.exchange(from_replica=pair.to_replica(again))
    assert pair.is_equal()
    assert pair.replica.stats(0).full_syncs == pair.master.stats(0).full_syncs == 1


@given(
    chunk_bytes=st.one_of(st.integers(64, 200), st.integers(64, 100_000)),
    losses=st.lists(st.tuples(st.integers(0, 12), st.integers(0, 2)), max_size=12),
)
def test_every_chunk_size_ends_and_each_chunk_travels_once_whenever_connections_are_lost(
    chunk_bytes, losses
):
    pair = filled(chunk_bytes=chunk_bytes)
    carried = []
    _, header = shake(pair, 0)
    first = header
    for count, writes in losses:
        carried += transfer(pair, header, count)
        if len(carried) == first.chunk_count:
            break
        lose(pair, header)
        pair.write(writes)
        _, header = shake(pair)
        assert header.snapshot == first.snapshot or not carried
        first = header
    else:
        carried += transfer(pair, header, 1_000_000)
    assert sorted(carried) == list(range(first.chunk_count))
    pair.to_replica(Close(header.generation, "test"))  # The confirmation is lost, too.
    pair.at(pair.now_ms + 1_001).exchange(from_replica=pair.tick_replica())
    assert pair.is_equal()
    stats = [node.stats(pair.now_ns) for node in pair.nodes]
    assert [each.full_syncs for each in stats] == [1, 1]
    assert stats[0].snapshot_size == stats[1].snapshot_size


DIFFERENT = {
    "epoch": lambda header: replace(header, epoch=header.epoch + 1),
    "offset": lambda header: replace(
        header, position=header.position._replace(offset=header.position.offset + 1)
    ),
    "record's epoch": lambda header: replace(header, position=header.position._replace(epoch=1)),
    "hash": lambda header: replace(header, position=header.position._replace(hash=NO_HASH)),
    "epochs": lambda header: replace(header, epochs=(*header.epochs, 9, 9)),
    "digest": lambda header: replace(header, digest="another"),
    "bytes": lambda header: replace(header, snapshot_bytes=header.snapshot_bytes - 1),
    "chunk count": lambda header: replace(header, chunk_count=header.chunk_count + 1),
    "chunk size": lambda header: replace(header, chunk_bytes=header.chunk_bytes + 1),
}


@pytest.mark.parametrize("change", DIFFERENT.values(), ids=list(DIFFERENT))
def test_chunks_of_another_snapshot_are_never_put_together_with_these(change):
    pair, header = lost_after(4)
    _, again = shake(pair)
    earlier = SnapshotAssembly(header, pair.options)
    numbers = earlier.due(0)
    for number in numbers:
        (chunk,) = messages(pair.to_master(RequestChunks(again.generation, (number,))), Chunk)
        assert earlier.accept(chunk, now_ns=0)
    same = SnapshotAssembly(replace(header, generation=9, reason="poisoned"), pair.options, earlier)
    other = SnapshotAssembly(change(header), pair.options, earlier)
    assert (same.due(0), other.due(0)) == ((3, 4, 5), (0, 1, 2))


def test_a_replica_that_has_no_chunks_any_more_gets_a_snapshot_of_now():
    pair, header = lost_after(4)
    pair.write()
    pair.at(1_001)
    hello = replace(pair.hello(), resumes=0)
    (again,) = messages(pair.to_master(hello), StartFull)
    assert again.position == pair.master.log.head != header.position
    assert asked_first(pair, again) == (0, 1, 2)


@pytest.mark.parametrize("offset", [1, 2, 1_000])
def test_a_replica_that_has_chunks_of_what_its_master_does_not_have_gets_a_snapshot_of_now(offset):
    pair, _ = lost_after(4)
    pair.write()
    pair.at(1_001)
    (again,) = messages(pair.to_master(replace(pair.hello(), resumes=offset)), StartFull)
    assert again.position == pair.master.log.head


def test_a_snapshot_that_the_log_does_not_reach_back_to_is_not_resumed():
    pair, header = lost_after(4, log_capacity_operations=3)
    pair.write(3)  # The log begins just behind the snapshot: what follows it is all there.
    assert pair.master.log.base.offset == header.position.offset
    _, again = shake(pair)
    assert again.position == header.position
    lose(pair, again)
    pair.write()
    _, again = shake(pair)
    assert again.position == pair.master.log.head
    pair.exchange(from_replica=pair.to_replica(again))
    assert pair.is_equal()


def test_a_snapshot_below_what_the_replica_has_is_not_resumed():
    pair, header = lost_after(4)
    pair.write(3)
    pair.at(1_001)
    ahead = pair.master.log.head
    hello = replace(pair.hello(), position=ahead, wants="poisoned")
    (again,) = messages(pair.to_master(hello), StartFull)
    assert hello.resumes == header.position.offset
    assert again.position == ahead


def test_a_damaged_chunk_is_not_kept():
    pair = filled()
    _, header = shake(pair, 0)
    (first,) = messages(pair.to_replica(header), RequestChunks)
    one, two, _ = messages(pair.to_master(first), Chunk)
    pair.to_replica(one, replace(two, data=bytes(64)))
    lose(pair, header)
    _, again = shake(pair)
    assert asked_first(pair, again) == (1, 2, 3)


def test_a_snapshot_that_does_not_amount_to_its_header_is_not_resumed():
    pair = filled()
    _, header = shake(pair, 0)
    wrong = replace(header, digest="wrong")
    count = len(transfer(pair, wrong, 1_000))
    assert count == header.chunk_count
    hello, again = shake(pair)
    assert (hello.wants, hello.resumes) == ("digest_mismatch", 0)
    assert asked_first(pair, again) == (0, 1, 2)


def test_chunks_of_a_master_that_was_replaced_are_given_up():
    pair, _ = lost_after(4)
    role = pair.replica.role
    assert role._kept is not None
    role._follow(MASTER, role.epoch)
    assert role._kept is None


@pytest.mark.parametrize("is_partial", [True, False])
def test_chunks_are_given_up_once_the_replica_has_what_it_needs(is_partial):
    pair, _ = lost_after(4)
    _, again = shake(pair)
    if is_partial:
        pair.to_replica(StartPartial(again.generation, again.epoch, 0))
    else:
        pair.exchange(from_replica=pair.to_replica(again))
    assert pair.replica.role._kept is None


def test_progress_goes_on_where_it_was():
    pair, header = lost_after(4)
    before = pair.info().sync_progress
    assert before == 4 / header.chunk_count
    pair.tick_master()
    pair.at(5_000).tick_master()  # The connection is over for the master, too.
    assert not pair.master.role.peer(REPLICA).is_open
    assert pair.info().sync_progress == before
    _, again = shake(pair)
    assert (pair.info().sync_progress, pair.info().sync_attempts) == (before, 2)
    pair.exchange(from_replica=pair.to_replica(again))
    assert pair.info().sync_progress == 1.0


def test_each_connection_counts_as_an_attempt_and_too_many_are_met_with_the_longest_back_off():
    pair, header = lost_after(1, sync_attempts_max=2, backoff_ms_max=30_000)
    _, again = shake(pair)
    transfer(pair, again, 1)
    lose(pair, again)
    began_ms = pair.now_ms
    asked = [messages(pair.at(began_ms + ms).tick_replica(), Hello) for ms in (29_999, 30_000)]
    assert [len(each) for each in asked] == [0, 1]
    assert asked[1][0].resumes == header.position.offset
    assert pair.master.stats(0).partial_sync_refusals == {"first_sync": 2}


def pinned(pair):
    return weakref.ref(pair.master.role._offers._source)


def test_a_snapshot_stays_pinned_until_its_replica_counts_as_disconnected():
    pair, _ = lost_after(4, disconnected_after_ms=9_000)
    source = pinned(pair)
    pair.at(5_000).tick_master()
    pair.at(9_000).tick_master()
    assert source() is not None
    pair.at(10_000).tick_master()
    assert source() is None
    _, again = shake(pair)
    assert asked_first(pair, again) == (4, 5, 6)  # Nothing was written: it is the same snapshot.


def test_a_snapshot_stays_pinned_for_the_longest_back_off_at_least():
    pair, _ = lost_after(4, disconnected_after_ms=5_000, backoff_ms_max=30_000)
    source = pinned(pair)
    for ms in (5_000, 35_000):
        pair.at(ms).tick_master()
        assert source() is not None
    pair.at(36_000).tick_master()
    assert source() is None


def test_a_snapshot_is_let_go_where_the_replica_has_lost_its_state():
    pair, _ = lost_after(4)
    source = pinned(pair)
    pair.to_master(EpochConfirmed(pair.master.role.epoch, 0, index_of(1, 1)))
    assert source() is None


def test_a_snapshot_is_let_go_where_the_replica_needs_it_no_more():
    pair, _ = lost_after(4)
    source = pinned(pair)
    pair.at(1_001)
    hello = replace(pair.hello(), position=pair.master.log.head, wants="")
    (answer,) = messages(pair.to_master(hello), StartFull, StartPartial)
    assert type(answer) is StartPartial
    assert source() is None


@given(
    chunk_bytes=st.sampled_from([64, 65, 100, 256, 1_000, 4_096, 65_536]),
    loss=st.sampled_from([0.0, 0.05, 0.2]),
    corruption=st.sampled_from([0.0, 0.1]),
    open_ms=st.integers(60, 400),
    seed=st.integers(0, 1 << 32),
)
def test_every_chunk_size_ends_under_loss_damage_and_cuts_that_never_end(
    chunk_bytes, loss, corruption, open_ms, seed
):
    """The link is open for a moment only every second, for ever: the sync ends all the same."""
    options = sim.ClusterOptions(
        replicas=1,
        link=sim.Link(delay_ms=1, jitter_ms=2, loss=loss, corruption=corruption),
        replication=ReplicationOptions(
            chunk_bytes=chunk_bytes,
            heartbeat_ms=100,
            connection_timeout_ms=200,
            backoff_ms_min=10,
            backoff_ms_max=40,
            resend_after_ms=20,
        ),
    )
    period_ms, end_ms = 600 + open_ms, 60_000
    cuts = [
        sim.Partition(at_ms=at_ms, for_ms=600, isolate=["node-1"])
        for at_ms in range(20, end_ms, period_ms)
    ]
    cluster = sim.Cluster(options, seed=seed, faults=cuts)
    words = cluster.store.create_collection("words", dim=2)
    words.upsert(range(150), [[row, 1] for row in range(150)])
    cluster.advance(ms=5)
    while not cluster.stats("node-1").full_syncs:
        assert cluster.now_ms < end_ms
        words.update_vector(0, [cluster.now_ms, 1])
        cluster.advance(ms=100)
    run = cluster.finish()
    assert run.is_converged
    assert run.check().broken == ()
    assert run.stats["node-1"].full_syncs == 1
