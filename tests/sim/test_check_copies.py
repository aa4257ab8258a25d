"""Each node's copy of the history, on traces made by hand: where it is right, and where not."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from tests.sim.tape import FIRST, SAFE, SECOND, THIRD, Tape
from vectorkit.replication import ReplicationOptions
from vectorkit.sim import ClusterOptions
from vectorkit.sim.checks.copies import (
    check_answers,
    check_applied,
    check_convergence,
    check_digests,
    check_hashes,
    check_masters,
    check_offsets,
    check_quarantine,
)
from vectorkit.sim.checks.positions import check_durability, check_order


def told(found):
    return found.verdict, found.observed_count


def followed():
    """node-0 writes 2 to 4; node-1 takes a snapshot at 2 and the stream behind it."""
    tape = Tape().begin().append(10, "node-0", FIRST, 2, 3, 4)
    return tape.apply(20, "node-1", FIRST, 2, by="snapshot").apply(21, "node-1", FIRST, 3, 4)


# One master an epoch, dense offsets, equal histories


def test_epochs_with_a_master_each_hold():
    found = check_masters(followed().promote(30, "node-1", SECOND, 5).evidence())
    assert (told(found), found.evidence) == (("held", 0), ("2 epochs",))


def test_a_second_master_of_an_epoch_is_broken():
    found = check_masters(followed().role(30, "node-2", "master", FIRST).evidence())
    assert told(found) == ("broken", 1)
    assert found.evidence[0] == "node-2 served node-0@1 at 30.0 ms, which was node-0's"


def test_no_master_is_not_exercised():
    assert check_masters(Tape().evidence()).evidence == ("no node was master",)


def test_offsets_that_follow_each_other_across_epochs_hold():
    found = check_offsets(followed().promote(30, "node-1", SECOND, 5).evidence())
    assert (told(found), found.evidence) == (("held", 0), ("4 records",))


@pytest.mark.parametrize(("offset", "after"), [(4, 4), (6, 4)])
def test_an_offset_given_twice_or_left_out_is_broken(offset, after):
    found = check_offsets(followed().append(30, "node-0", FIRST, offset).evidence())
    assert told(found) == ("broken", 1)
    assert found.evidence[0] == f"node-0 gave offset {offset} at 30.0 ms after {after} in node-0@1"


def test_an_epoch_that_begins_beyond_its_master_s_history_is_broken():
    found = check_offsets(followed().promote(30, "node-1", SECOND, 7).evidence())
    assert told(found) == ("broken", 1)


def test_no_append_is_not_exercised():
    assert check_offsets(Tape().begin().evidence()).evidence == ("nothing was appended",)


def test_equal_records_on_two_nodes_hold():
    found = check_hashes(followed().evidence())
    assert (told(found), found.evidence) == (("held", 0), ("3 pairs of copies",))


def test_another_history_at_an_equal_position_is_broken():
    found = check_hashes(followed().apply(30, "node-2", FIRST, 4, text="other").evidence())
    assert told(found) == ("broken", 1)
    assert found.evidence[0] == (
        "node-2 has other at offset 4 of node-0@1, node-0 has hash 65536.4"
    )


def test_a_node_that_replays_another_history_than_it_wrote_is_broken():
    tape = followed().crash(30, "node-0").start(31, "node-0")
    found = check_hashes(tape.apply(31, "node-0", FIRST, 2, by="replay", text="other").evidence())
    assert told(found) == ("broken", 1)


def test_records_of_one_node_are_not_exercised():
    found = check_hashes(Tape().begin().append(10, "node-0", FIRST, 2).evidence())
    assert (found.verdict, found.evidence) == ("not_exercised", ("no record was on two nodes",))


# Content


def ended(*digests):
    tape = followed()
    for number, digest in enumerate(digests):
        tape.add(50, "digest", f"node-{number}", kind="end", number=4, value=99, text=digest)
    return tape


def test_equal_ends_converge():
    found = check_convergence(ended("aa", "aa").evidence())
    assert (told(found), found.evidence) == (("held", 0), ("2 nodes",))


def test_an_end_that_differs_from_the_master_s_is_broken():
    found = check_convergence(ended("aa", "bb").evidence())
    assert told(found) == ("broken", 1)
    assert found.evidence[0] == ("node-1 ends at offset 4 with content bb…, node-0 at 4 with aa…")


def test_nodes_without_a_master_need_not_converge():
    tape = ended("aa", "bb")
    tape.crash(40, "node-0")
    found = check_convergence(tape.evidence())
    assert (told(found), found.is_promised) == (("seen_not_promised", 1), False)
    assert found.evidence[0] == "not promised: no node is master at the end"


def test_a_run_without_ends_is_not_exercised():
    assert check_convergence(followed().evidence()).verdict == "not_exercised"


def test_the_digest_of_a_snapshot_counts_at_its_own_offset():
    tape = Tape().begin().append(10, "node-0", FIRST, 2)
    tape.add(11, "digest", "node-0", number=2, text="aa").append(12, "node-0", FIRST, 3)
    tape.apply(20, "node-1", FIRST, 2, by="snapshot")
    tape.add(21, "digest", "node-1", kind="install", number=2, text="aa")
    tape.add(22, "digest", "node-0", number=3, text="cc")
    assert told(check_digests(tape.evidence())) == ("held", 0)
    found = check_digests(tape.add(23, "digest", "node-1", number=2, text="bb").evidence())
    assert told(found) == ("broken", 1)
    assert found.evidence[0] == (
        "node-1 has content bb… at offset 2 of node-0@1 (23.0 ms), node-0 has aa…"
    )


def test_one_digest_is_not_exercised():
    assert check_digests(ended("aa").evidence()).verdict == "not_exercised"


# Exactly once


def test_a_stream_behind_a_snapshot_holds():
    found = check_applied(followed().evidence())
    assert (told(found), found.evidence) == (("held", 0), ("2 operations from a stream",))


@pytest.mark.parametrize("offset", [3, 4, 6])
def test_an_operation_applied_twice_or_left_out_is_broken(offset):
    found = check_applied(followed().apply(30, "node-1", FIRST, offset).evidence())
    assert told(found) == ("broken", 1)
    assert found.evidence[0] == (
        f"node-1 applied offset {offset} from stream at 30.0 ms after offset 4"
    )


def test_a_restart_replays_from_its_checkpoint_on():
    tape = followed().crash(30, "node-1").start(31, "node-1")
    tape.apply(31, "node-1", FIRST, 3, 4, by="replay").apply(40, "node-1", FIRST, 5)
    assert told(check_applied(tape.evidence())) == ("held", 0)


def test_a_replay_with_a_gap_or_without_a_restart_is_broken():
    tape = followed().crash(30, "node-1").start(31, "node-1")
    tape.apply(31, "node-1", FIRST, 2, 4, by="replay")
    assert told(check_applied(tape.evidence())) == ("broken", 1)
    found = check_applied(followed().apply(30, "node-1", FIRST, 5, by="replay").evidence())
    assert found.evidence[0] == "node-1 applied offset 5 from replay at 30.0 ms without a restart"


def test_a_restart_that_goes_on_beyond_what_it_had_is_broken():
    tape = followed().crash(30, "node-1").start(31, "node-1").apply(40, "node-1", FIRST, 6)
    found = check_applied(tape.evidence())
    assert told(found) == ("broken", 1)
    assert found.evidence[0].endswith("having reached only 4 before")


def test_a_snapshot_takes_a_node_back_only_for_a_later_epoch_or_without_state():
    found = check_applied(followed().apply(30, "node-1", FIRST, 3, by="snapshot").evidence())
    assert told(found) == ("broken", 1)
    later = followed().apply(30, "node-1", SECOND, 3, by="snapshot")
    assert told(check_applied(later.evidence())) == ("held", 0)
    lost = followed().add(29, "lost_state", "node-1", number=257)
    lost.apply(30, "node-1", FIRST, 3, by="snapshot")
    assert told(check_applied(lost.evidence())) == ("held", 0)


def test_without_a_stream_nothing_is_exercised():
    assert check_applied(Tape().begin().evidence()).verdict == "not_exercised"


# Quarantine


def stopped():
    return followed().add(30, "quarantine", "node-1", number=5, text="vector_not_found")


def test_an_operation_put_aside_once_and_then_a_full_sync_hold():
    found = check_quarantine(stopped().apply(40, "node-1", FIRST, 6, by="snapshot").evidence())
    assert (told(found), found.evidence) == (("held", 0), ("1 quarantined operations",))


def test_an_operation_put_aside_twice_is_broken():
    tape = stopped().add(35, "quarantine", "node-1", number=5, text="vector_not_found")
    found = check_quarantine(tape.apply(40, "node-1", FIRST, 6, by="snapshot").evidence())
    assert told(found) == ("broken", 1)
    assert found.evidence[0] == "node-1 put offset 5 aside at 35.0 ms, having stopped at 5"


def test_a_node_that_skips_what_it_put_aside_is_broken():
    found = check_quarantine(stopped().apply(40, "node-1", FIRST, 6).evidence())
    assert told(found) == ("broken", 1)


def test_a_node_that_never_goes_on_is_broken():
    found = check_quarantine(stopped().evidence())
    assert found.evidence[0] == "node-1 has not gone on from offset 5"


def test_without_a_quarantine_nothing_is_exercised():
    found = check_quarantine(followed().evidence())
    assert found.evidence == ("every operation could be applied",)


# Positions


def acked():
    tape = followed().flush(25, "node-1", 4)
    return tape.ack(26, "node-1", "node-0", FIRST, 4, received=5, applied=3, visible=2)


def test_positions_in_order_hold():
    found = check_order(acked().add(27, "visible", "node-1", number=4).evidence())
    assert (told(found), found.evidence) == (("held", 0), ("1 acks",))


@pytest.mark.parametrize("positions", [(3, 3, 3), (5, 5, 3), (5, 4, 5)])
def test_positions_out_of_order_are_broken(positions):
    received, applied, visible = positions
    tape = acked().ack(
        30, "node-1", "node-0", FIRST, 4, received=received, applied=applied, visible=visible
    )
    found = check_order(tape.evidence())
    assert told(found) == ("broken", 1)
    assert found.evidence[0] == (
        f"node-1 acked received {received}, flushed 4, applied {applied}, visible {visible} "
        "at 30.0 ms"
    )


def test_readers_that_see_more_than_is_applied_are_broken():
    found = check_order(acked().add(30, "visible", "node-1", number=5).evidence())
    assert found.evidence[0] == "node-1 showed offset 5 at 30.0 ms, having applied 4"


def test_without_acks_positions_are_not_exercised():
    assert check_order(followed().evidence()).evidence == ("no replica acked anything",)


def flushed():
    """node-1's disk holds 4, and it has acked so much."""
    tape = Tape().begin().flush(9, "node-1", 2).apply(10, "node-1", FIRST, 2, by="snapshot")
    tape.flush(20, "node-1", 4).apply(20, "node-1", FIRST, 3, 4)
    return tape.ack(21, "node-1", "node-0", FIRST, 4)


def test_what_is_acked_is_on_the_disk_and_still_there_after_a_restart():
    tape = flushed().crash(30, "node-1").start(31, "node-1").flush(32, "node-1", 4)
    found = check_durability(tape.evidence())
    assert (told(found), found.evidence) == (("held", 0), ("1 acks",))


def test_an_ack_of_what_is_not_flushed_is_broken():
    found = check_durability(flushed().ack(30, "node-1", "node-0", FIRST, 5).evidence())
    assert told(found) == ("broken", 1)
    assert found.evidence[0] == ("node-1 acked 5 as flushed, of which its disk holds 4 at 30.0 ms")


def test_an_acked_record_that_a_restart_has_not_is_broken():
    tape = flushed().crash(30, "node-1").start(31, "node-1").flush(32, "node-1", 3)
    found = check_durability(tape.evidence())
    assert told(found) == ("broken", 1)
    assert found.evidence[0] == "node-1 came back with 3 flushed, having acked 4 at 32.0 ms"


@pytest.mark.parametrize("kind", ["lost_disk", "lost_state"])
def test_a_lost_disk_and_a_later_epoch_s_snapshot_end_what_was_acked(kind):
    tape = flushed().crash(30, "node-1", kind=kind if kind == "lost_disk" else "")
    tape.start(31, "node-1").add(31, "lost_state", "node-1", number=257)
    assert told(check_durability(tape.flush(32, "node-1", 0).evidence())) == ("held", 0)
    tape = flushed().flush(30, "node-1", 3).apply(30, "node-1", THIRD, 3, by="snapshot")
    tape.crash(40, "node-1").start(41, "node-1").flush(42, "node-1", 3)
    assert told(check_durability(tape.evidence())) == ("held", 0)


def test_a_stream_applied_before_it_is_flushed_is_broken():
    found = check_durability(flushed().apply(30, "node-1", FIRST, 5).evidence())
    assert found.evidence[0] == "node-1 applied offset 5, of which its disk holds 4 at 30.0 ms"


def test_nodes_without_disks_are_not_exercised():
    options = ClusterOptions(
        replicas=2, disk=None, replication=ReplicationOptions(has_durable_log=False)
    )
    found = check_durability(Tape(options).begin().evidence())
    assert (found.verdict, found.evidence) == ("not_exercised", ("the nodes have no disks",))
    assert SAFE.protocol.has_durable_log


def compared(*answers):
    """What is said of answers of nodes, each (node, offset, history, answers)."""
    names = ("node", "offset", "history", "answers")
    named = [dict(zip(names, each, strict=True)) for each in answers]
    samples = [SimpleNamespace(time_ms=500.0, **each) for each in named]
    return check_answers(replace(followed().evidence(), answers=samples))


def test_equal_histories_that_answer_alike_hold():
    found = compared(("node-0", 4, "h", "a"), ("node-1", 4, "h", "a"), ("node-2", 3, "g", "b"))
    assert (told(found), found.evidence) == (("held", 0), ("1 pairs of answers",))


def test_equal_histories_that_answer_otherwise_are_broken():
    found = compared(("node-0", 4, "h", "a"), ("node-1", 4, "h", "b"))
    assert told(found) == ("broken", 1)
    assert found.evidence[0] == (
        "node-1 at 500.0 ms answers otherwise than node-0, both at offset 4"
    )


def test_other_histories_may_answer_otherwise():
    found = compared(("node-0", 4, "h", "a"), ("node-1", 4, "g", "b"))
    assert found.evidence == ("no two nodes were asked at one history",)


def test_a_restart_replays_what_the_disk_held_and_the_node_had_not_come_to_apply():
    tape = followed().flush(30, "node-1", 6).crash(31, "node-1").start(40, "node-1")
    found = check_applied(tape.apply(40, "node-1", FIRST, 6, by="replay").evidence())
    assert told(found) == ("held", 0)
    tape = followed().crash(31, "node-1").start(40, "node-1")
    found = check_applied(tape.apply(40, "node-1", FIRST, 6, by="replay").evidence())
    assert told(found) == ("broken", 1)


def test_a_disk_that_confirms_late_takes_nothing_back_of_what_a_node_had():
    tape = followed().flush(30, "node-0", 2).crash(31, "node-0").start(40, "node-0")
    found = check_applied(tape.apply(40, "node-0", FIRST, 4, by="replay").evidence())
    assert told(found) == ("held", 0)


def test_a_node_that_answers_otherwise_than_it_did_is_broken():
    assert told(compared(("node-0", 4, "h", "a"), ("node-0", 4, "h", "b"))) == ("broken", 1)
