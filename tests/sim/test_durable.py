"""What a disk holds comes back, all of it and nothing else: torn tails, damage, and full syncs."""

import pytest

from tests.sim.checks import rows
from tests.sim.clusters import cluster, digests, fill, image, node
from vectorkit.replication import majority
from vectorkit.sim import Disk
from vectorkit.store import store_of

MASTER, REPLICA = "node-0", "node-1"
MS = 1_000_000


def replayed(held):
    """The store that a disk amounts to: its checkpoint, then its records up to the mark."""
    operations, base = [], 0
    if held.checkpoint is not None:
        operations = list(held.checkpoint.snapshot.operations())
        base = held.checkpoint.position.offset
    frames = [each for each in held.frames if base < each.record.offset <= held.mark]
    return store_of([*operations, *(each.record.operation for each in frames)])


@pytest.mark.parametrize("checkpoint_operations", [3, 7, 10_000])
@pytest.mark.parametrize("ms", [0.0, 2.25, 2.5, 3.0, 700.0])
def test_nothing_survives_in_memory_a_restarted_node_is_a_replay_of_its_disk(
    ms, checkpoint_operations
):
    made = cluster(2, checkpoint_operations=checkpoint_operations)
    fill(made, 12)
    made.advance(ms=500)
    fill(made, 12)
    made.advance(ms=ms)
    for node_id in made.options.node_ids:
        made.crash(node_id)
        held = image(made, node_id)
        expected, mark = replayed(held), held.mark
        if held.checkpoint is not None and held.frames:
            assert held.frames[0].record.offset <= held.checkpoint.position.offset + 1
        made.restart(node_id)
        again = node(made, node_id)
        assert again.store.digest() == expected.digest()
        assert [again.store[name].ids() for name in again.store] == [
            expected[name].ids() for name in expected
        ]
        assert again.member.flushed.offset == again.member.applied_offset == mark
    assert made.finish().is_converged


@pytest.mark.parametrize("seed", range(12))
def test_a_torn_tail_is_cut_and_what_stands_whole_before_it_is_kept(seed):
    made = cluster(1, seed=seed)
    fill(made, 3)
    made.advance(ms=1_000)
    fill(made, 10)
    made.advance(ms=2.25)  # The disk is at work on all ten.
    made.crash(REPLICA, lose_unsynced=False)
    (crash,) = [row for row in made._engine.trace.rows if row.event == "crash"]
    kept = crash.number
    held = image(made, REPLICA)
    assert (held.mark, crash.kind) == (4, "torn")
    beyond = [each for each in held.frames if each.record.offset > held.mark]
    assert [each.is_intact for each in beyond] == [True] * kept + [False] * (kept < 10)
    made.cut(REPLICA)
    made.restart(REPLICA)
    assert node(made, REPLICA).log.head.offset == 4 + kept
    made.advance(ms=1)
    assert image(made, REPLICA).mark == node(made, REPLICA).member.applied_offset == 4 + kept
    assert all(each.is_intact for each in image(made, REPLICA).frames)
    assert not node(made, REPLICA).member.is_lost
    run = made.finish()
    assert run.stats[MASTER].full_syncs == 1
    assert run.is_converged


def test_torn_tails_of_every_length_were_among_those_cut():
    kept = set()
    for seed in range(60):
        made = cluster(1, seed=seed)
        made.store.create_collection("words", dim=2)
        made.advance(ms=1_000)
        fill(made, 3)
        made.advance(ms=2.25)
        made.crash(REPLICA, lose_unsynced=False)
        kept |= {row.number for row in made._engine.trace.rows if row.event == "crash"}
    assert kept == {0, 1, 2, 3}


@pytest.mark.parametrize("offset", [5, 9, 13])
def test_a_damaged_record_at_or_below_the_mark_is_lost_state(offset):
    made = cluster(2, concern=majority())
    fill(made, 3)
    made.advance(ms=1_000)
    fill(made, 9)
    assert made.confirm() == 13
    made.advance(ms=100)
    made.crash(REPLICA)
    assert image(made, REPLICA).mark == 13
    assert image(made, REPLICA).flip_bit(offset)
    made.restart(REPLICA)
    assert node(made, REPLICA).member.is_lost
    assert len(made.stores[REPLICA]) == 0
    made.advance(ms=10_000)
    assert not node(made, REPLICA).member.is_lost
    assert node(made, REPLICA).member.index == 1 << 8 | 1
    run = made.finish()
    (lost,) = rows(run, "lost_state")
    assert (lost.node, lost.number) == (REPLICA, 257)
    assert lost.text == f"record {offset} is damaged, and 13 were flushed"
    assert rows(run, "sync", node=MASTER, peer=REPLICA)[-1].text == "finished first_sync"
    assert run.is_converged


def test_a_master_with_a_damaged_record_comes_back_by_a_full_sync_from_the_promoted_node():
    made = cluster(2, concern=majority())
    fill(made, 9)
    assert made.confirm() == 10
    made.advance(ms=100)
    made.crash(MASTER)
    assert image(made, MASTER).flip_bit(4)
    made.restart(MASTER)
    made.advance(ms=5_000)
    assert made.master is None
    assert made.promote(REPLICA).state == "won"
    made.advance(ms=10_000)
    assert node(made, MASTER).member.index == 1 << 8
    run = made.finish()
    synced = [row.text for row in rows(run, "sync", node=REPLICA, peer=MASTER)]
    assert synced == ["started first_sync", "finished first_sync"]
    assert len(made.stores[MASTER]["words"]) == 8
    assert run.check().broken == ()


def test_a_damaged_checkpoint_is_lost_state():
    made = cluster(1, checkpoint_operations=5)
    fill(made, 20)
    made.advance(ms=1_000)
    made.crash(REPLICA)
    assert image(made, REPLICA).flip_bit(0)
    made.restart(REPLICA)
    assert node(made, REPLICA).member.is_lost
    run = made.finish()
    assert [row.text for row in rows(run, "lost_state")] == ["the checkpoint is damaged"]
    assert run.is_converged


def test_a_damaged_record_above_the_mark_is_only_a_torn_tail():
    made = cluster(1, seed=1)
    fill(made, 3)
    made.advance(ms=1_000)
    fill(made, 10)
    made.advance(ms=2.25)
    made.crash(REPLICA, lose_unsynced=False)
    assert image(made, REPLICA).mark == 4
    assert image(made, REPLICA).flip_bit(5)
    made.restart(REPLICA)
    assert not node(made, REPLICA).member.is_lost
    assert node(made, REPLICA).log.head.offset == 4
    assert made.finish().stats[MASTER].full_syncs == 1


def install_ns(**options):
    """When the disk of a replica has written the switch to a full sync, told by a whole run."""
    made = cluster(1, **options)
    fill(made, 30)
    made.advance(ms=1_000)
    (applied,) = [
        row for row in made._engine.trace.rows if (row.event, row.kind) == ("apply", "snapshot")
    ]
    return applied.time_ns


@pytest.mark.parametrize(("nanoseconds", "is_installed"), [(-1, False), (0, True)])
def test_a_crash_just_before_and_just_after_the_durable_write_of_a_full_sync(
    nanoseconds, is_installed
):
    options = {"chunk_bytes": 200, "disk": Disk(fsync_ms=3)}
    at_ns = install_ns(**options) + nanoseconds
    made = cluster(1, **options)
    fill(made, 30)
    made.advance(ms=at_ns / MS)
    made.crash(REPLICA)
    made.restart(REPLICA)
    again = node(made, REPLICA)
    assert not again.member.is_lost
    assert again.log.head.offset == (31 if is_installed else 0)
    assert len(again.store) == (1 if is_installed else 0)
    run = made.finish()
    kinds = [row.kind for row in rows(run, "apply", node=REPLICA)]
    assert kinds == (["snapshot", "replay"] if is_installed else ["replay", "snapshot"])
    assert run.is_converged


@pytest.mark.parametrize(("nanoseconds", "is_lost"), [(-1, True), (0, False)])
def test_lack_of_state_ends_with_the_durable_write_of_a_full_sync_and_not_before(
    nanoseconds, is_lost
):
    def returning():
        made = cluster(1, disk=Disk(fsync_ms=3))
        fill(made, 30)
        made.advance(ms=1_000)
        made.crash(REPLICA, lose_disk=True)
        made.restart(REPLICA)
        return made

    made = returning()
    made.advance(ms=5_000)
    installed = [
        row for row in made._engine.trace.rows if (row.event, row.kind) == ("apply", "snapshot")
    ]
    made = returning()
    made.advance(ms=(installed[-1].time_ns + nanoseconds) / MS - made.now_ms)
    made.crash(REPLICA)
    assert image(made, REPLICA).is_lost is is_lost
    made.restart(REPLICA)
    assert node(made, REPLICA).member.is_lost is is_lost
    assert node(made, REPLICA).member.index == 257
    assert made.finish().is_converged


def test_a_node_without_a_durable_log_has_lost_its_state_when_it_restarts():
    made = cluster(2, disk=None)
    fill(made, 10)
    made.advance(ms=1_000)
    made.crash(REPLICA)
    made.restart(REPLICA)
    assert node(made, REPLICA).member.is_lost
    assert len(made.stores[REPLICA]) == 0
    made.advance(ms=10_000)
    assert node(made, REPLICA).member.index == 257
    run = made.finish()
    assert [row.node for row in rows(run, "lost_state")] == [REPLICA]
    synced = [row.text for row in rows(run, "sync", node=MASTER, peer=REPLICA)]
    assert synced[-2:] == ["started first_sync", "finished first_sync"]
    assert run.is_converged


def test_a_master_without_a_durable_log_never_serves_its_empty_store():
    made = cluster(2, disk=None)
    fill(made, 10)
    made.advance(ms=1_000)
    kept = digests(made)[REPLICA]
    made.crash(MASTER)
    made.restart(MASTER)
    made.advance(ms=10_000)
    assert made.master is None
    made.promote(REPLICA)
    made.advance(ms=10_000)
    assert set(digests(made).values()) == {kept}
    assert made.finish().is_converged


def test_a_generation_is_never_used_again_however_often_a_node_starts():
    made = cluster(1)
    fill(made, 3)
    for _ in range(5):
        made.advance(ms=700)
        made.crash(REPLICA)
        made.advance(ms=10)
        made.restart(REPLICA)
    made.advance(ms=700)
    made.crash(REPLICA, lose_disk=True)
    made.restart(REPLICA)
    run = made.finish()
    shaken = [row.number for row in rows(run, "send", node=REPLICA, kind="Hello")]
    assert shaken == sorted(set(shaken))
    assert len(shaken) >= 7
