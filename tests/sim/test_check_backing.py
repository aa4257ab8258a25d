"""What a master confirms, when, and what is on its way to replicas, on traces made by hand."""

from dataclasses import replace

import pytest

from tests.sim.tape import FIRST, SAFE, SECOND, THIRD, WEAK, Tape
from vectorkit.replication import ReplicationOptions, majority
from vectorkit.sim.checks.backing import check_backing, check_promptness, check_queues


def told(found):
    return found.verdict, found.observed_count


def backed(options=SAFE):
    """Offset 2 is on the disks of node-0 and node-1."""
    tape = Tape(options).begin().append(10, "node-0", FIRST, 2).flush(11, "node-0", 2)
    return tape.flush(12, "node-1", 2).apply(12, "node-1", FIRST, 1, 2)


# Acknowledgements and what is behind them


def test_a_confirmation_that_a_replica_and_the_own_disk_hold_is_backed():
    found = check_backing(backed().confirm(15, "node-0", FIRST, 2).evidence())
    assert (told(found), found.evidence) == (("held", 0), ("1 acknowledgements",))


def test_a_confirmation_that_no_replica_holds_is_broken():
    tape = Tape().begin().append(10, "node-0", FIRST, 2).flush(11, "node-0", 2)
    found = check_backing(tape.confirm(15, "node-0", FIRST, 2).evidence())
    assert told(found) == ("broken", 1)
    assert found.evidence[0] == (
        "node-0 confirmed offset 2 of node-0@1 at 15.0 ms, which 0 of 1 replicas had held"
    )


def test_a_confirmation_that_the_own_disk_lacks_is_broken():
    tape = Tape().begin().append(10, "node-0", FIRST, 2).apply(12, "node-1", FIRST, 1, 2)
    found = check_backing(tape.confirm(15, "node-0", FIRST, 2).evidence())
    assert found.evidence[0].endswith("1 of 1 replicas had held and not its own disk")


def test_a_replica_of_another_history_backs_nothing():
    tape = Tape().begin().append(10, "node-0", FIRST, 2).flush(11, "node-0", 2)
    tape.apply(9, "node-1", FIRST, 1).append(12, "node-1", SECOND, 2)
    tape.apply(13, "node-2", FIRST, 1).apply(13, "node-2", SECOND, 2)
    assert told(check_backing(tape.confirm(15, "node-0", FIRST, 2).evidence())) == ("broken", 1)


def test_a_replica_that_has_lost_a_record_has_held_it_all_the_same():
    tape = backed().crash(13, "node-1", kind="lost_disk").confirm(15, "node-0", FIRST, 2)
    assert told(check_backing(tape.evidence())) == ("held", 0)


def test_a_write_that_is_answered_before_it_is_confirmed_is_broken():
    tape = Tape().begin().invoke(9, 1, "write").append(10, "node-0", FIRST, 2, request=1)
    tape.flush(11, "node-0", 2).answer(12, "node-0", 1, FIRST, 2)
    found = check_backing(tape.complete(13, 1, "ok", FIRST, 2).evidence())
    assert told(found) == ("broken", 1)
    assert found.evidence[0] == (
        "node-0 answered a write at offset 2 of node-0@1 at 12.0 ms, having confirmed 0"
    )


def test_a_write_that_is_answered_as_degraded_needs_nothing_behind_it():
    tape = Tape().begin().invoke(9, 1, "write").append(10, "node-0", FIRST, 2, request=1)
    tape.flush(11, "node-0", 2).answer(12, "node-0", 1, FIRST, 2, outcome="degraded")
    found = check_backing(tape.complete(13, 1, "degraded", FIRST, 2).evidence())
    assert (found.verdict, found.evidence) == ("not_exercised", ("nothing was acknowledged",))


def test_what_an_earlier_mastership_confirmed_backs_no_answer_of_this_one():
    tape = backed().confirm(13, "node-0", FIRST, 2).role(14, "node-0", "replica", SECOND)
    tape.role(15, "node-0", "master", THIRD).invoke(16, 1, "write")
    tape.append(16, "node-0", THIRD, 3, request=1).answer(17, "node-0", 1, THIRD, 3)
    found = check_backing(tape.complete(18, 1, "ok", THIRD, 3).evidence())
    assert told(found) == ("broken", 1)
    assert found.evidence[0].endswith("having confirmed 0")


def test_a_replica_that_has_become_master_does_not_back_itself():
    tape = backed().promote(20, "node-1", SECOND, 3).confirm(21, "node-1", FIRST, 2)
    found = check_backing(tape.evidence())
    assert told(found) == ("broken", 1)
    assert found.evidence[0].endswith("which 0 of 1 replicas had held")


def test_a_snapshot_that_was_installed_is_on_the_disk():
    tape = Tape().begin().append(10, "node-0", FIRST, 2)
    for node in ("node-1", "node-2"):
        tape.apply(12, node, FIRST, 2, by="snapshot")
    found = check_backing(tape.confirm(13, "node-1", FIRST, 2).evidence())
    assert told(found) == ("held", 0)


def test_at_the_stage_visible_a_record_backs_when_readers_see_it():
    late = ReplicationOptions(refresh_ms=50)
    options = replace(SAFE, write_concern=majority(stage="visible"), replication=late)
    early = backed(options).confirm(15, "node-0", FIRST, 2)
    assert told(check_backing(early.evidence())) == ("broken", 1)
    shown = backed(options).add(14, "visible", "node-1", number=2)
    assert told(check_backing(shown.confirm(15, "node-0", FIRST, 2).evidence())) == ("held", 0)


def test_at_the_stage_received_no_row_tells_what_is_behind_a_confirmation():
    options = replace(SAFE, write_concern=majority(stage="received"))
    found = check_backing(backed(options).confirm(15, "node-0", FIRST, 2).evidence())
    assert found.verdict == "not_exercised"
    assert found.evidence == ("the write concern is met at the stage 'received'",)


def test_without_replicas_asked_for_the_own_disk_is_enough():
    tape = Tape(WEAK).begin().append(10, "node-0", FIRST, 2).flush(11, "node-0", 2)
    assert told(check_backing(tape.confirm(12, "node-0", FIRST, 2).evidence())) == ("held", 0)


# How soon


def acked(options=SAFE, *, epoch=FIRST):
    """An ack of node-1 for offset 2 comes to node-0, whose disk has it too."""
    tape = Tape(options).begin().append(10, "node-0", FIRST, 2).flush(11, "node-0", 2)
    tape.ack(12, "node-1", "node-0", epoch, 2)
    tape.add(12, "send", "node-1", "node-0", "Ack", 2)
    return tape.add(14, "deliver", "node-0", "node-1", "Ack", 2)


def test_a_confirmation_at_the_ack_is_prompt():
    tape = acked().confirm(14, "node-0", FIRST, 2).flush(9_000, "node-0", 2)
    found = check_promptness(tape.evidence())
    assert (told(found), found.evidence) == (("held", 0), ("1 acks",))


def test_a_confirmation_much_later_than_its_acks_is_broken_once():
    tape = acked().flush(5_015, "node-0", 2).flush(9_000, "node-0", 2).flush(19_000, "node-0", 2)
    found = check_promptness(tape.evidence())
    assert told(found) == ("broken", 1)
    assert found.evidence[0] == (
        "node-0 had not confirmed offset 2 at 5,015.0 ms, 5,001.0 ms after the acks for it had come"
    )


def test_without_disks_a_master_has_what_it_has_appended():
    options = replace(SAFE, disk=None, write_concern=majority(stage="applied"))
    tape = Tape(options).begin().append(10, "node-0", FIRST, 2)
    tape.ack(12, "node-1", "node-0", FIRST, 2).add(12, "send", "node-1", "node-0", "Ack", 2)
    tape.add(14, "deliver", "node-0", "node-1", "Ack", 2)
    assert told(check_promptness(tape.append(5_015, "node-0", FIRST, 3).evidence())) == (
        "broken",
        1,
    )


def test_an_ack_of_an_earlier_epoch_an_old_connection_or_a_lost_message_calls_for_nothing():
    assert told(check_promptness(acked(epoch=7).flush(9_000, "node-0", 2).evidence())) == (
        "held",
        0,
    )
    again = acked().add(15, "deliver", "node-0", "node-1", "Hello", 2).flush(9_000, "node-0", 2)
    assert told(check_promptness(again.evidence())) == ("held", 0)
    tape = Tape().begin().append(10, "node-0", FIRST, 2).flush(11, "node-0", 2)
    tape.ack(12, "node-1", "node-0", FIRST, 2).add(12, "send", "node-1", "node-0", "Ack", 2)
    lost = tape.add(13, "lost", "node-1", "node-0", "Ack", 2).flush(9_000, "node-0", 2)
    assert check_promptness(lost.evidence()).evidence == ("no master heard an ack",)


def syncing(*steps):
    """Full and partial syncs of node-1 that begin and end, then an ack, and much later a flush."""
    tape = Tape().begin().append(10, "node-0", FIRST, 2).flush(11, "node-0", 2)
    for kind, phase in steps:
        tape.add(12, "sync", "node-0", "node-1", kind, text=f"{phase} too_old")
        tape.add(12, "sync", "node-1", "node-1", kind, text=f"{phase} too_old")
    tape.ack(12, "node-1", "node-0", FIRST, 2).add(12, "send", "node-1", "node-0", "Ack", 2)
    tape.add(14, "deliver", "node-0", "node-1", "Ack", 2)
    return told(check_promptness(tape.flush(9_000, "node-0", 2).evidence()))


def test_an_ack_of_a_node_that_takes_a_full_sync_calls_for_nothing():
    """Its log may be too old for the master to know the record that the ack names."""
    started = ("full", "started")
    assert syncing(started) == syncing(started, ("full", "lost")) == ("held", 0)
    assert syncing(started, ("full", "finished")) == ("broken", 1)
    assert syncing(started, ("full", "lost"), ("partial", "started")) == ("broken", 1)
    assert syncing(("partial", "started")) == ("broken", 1)


def test_an_ack_that_comes_after_the_master_has_closed_the_connection_calls_for_nothing():
    tape = Tape().begin().append(10, "node-0", FIRST, 2).flush(11, "node-0", 2)
    tape.ack(12, "node-1", "node-0", FIRST, 2).add(12, "send", "node-1", "node-0", "Ack", 2)
    tape.add(13, "send", "node-0", "node-1", "Close", 1)
    tape.add(14, "deliver", "node-0", "node-1", "Ack", 2).flush(9_000, "node-0", 2)
    assert told(check_promptness(tape.evidence())) == ("held", 0)
    closed = acked().add(15, "send", "node-0", "node-1", "Close", 1)  # What was counted stays so.
    assert told(check_promptness(closed.flush(9_000, "node-0", 2).evidence())) == ("broken", 1)


@pytest.mark.parametrize(("lost_ms", "expected"), [(12, "held"), (13, "broken")])
def test_of_two_acks_alike_the_one_that_is_lost_as_it_is_sent_is_the_later_one(lost_ms, expected):
    tape = Tape().begin().append(10, "node-0", FIRST, 2).flush(11, "node-0", 2)
    tape.ack(11, "node-1", "node-0", SECOND, 2).add(11, "send", "node-1", "node-0", "Ack", 2)
    tape.ack(12, "node-1", "node-0", FIRST, 2).add(12, "send", "node-1", "node-0", "Ack", 2)
    tape.add(lost_ms, "lost", "node-1", "node-0", "Ack", 2, text="loss")
    tape.add(14, "deliver", "node-0", "node-1", "Ack", 2).flush(9_000, "node-0", 2)
    assert check_promptness(tape.evidence()).verdict == expected


def test_a_node_that_is_master_no_more_owes_no_confirmation():
    for end in (
        lambda tape: tape.role(20, "node-0", "replica", SECOND),
        lambda t: t.crash(20, "node-0"),
    ):
        assert told(check_promptness(end(acked()).flush(9_000, "node-0", 2).evidence())) == (
            "held",
            0,
        )


# Queues


def sent(*messages, window_bytes=100):
    """Messages with records, each (offset, bytes), from node-0 to node-1."""
    narrow = ReplicationOptions(window_bytes=window_bytes, batch_bytes=window_bytes)
    tape = Tape(replace(SAFE, replication=narrow)).begin()
    for offset, size_bytes in messages:
        tape.add(10 + offset, "send", "node-0", "node-1", "Records", offset, size_bytes)
    return tape


def test_what_is_sent_within_the_window_holds():
    found = check_queues(sent((1, 100), (2, 100), (3, 100), (4, 100)).evidence())
    assert (told(found), found.evidence) == (("held", 0), ("4 messages with records",))


def test_what_is_sent_beyond_twice_the_window_and_two_messages_is_broken():
    found = check_queues(sent((1, 100), (2, 100), (3, 100), (4, 100), (5, 100)).evidence())
    assert told(found) == ("broken", 1)
    assert found.evidence[0] == (
        "node-0 had 500 bytes on their way to node-1 at 15.0 ms, with a window of 100"
    )


def test_what_is_confirmed_sent_again_or_of_an_earlier_connection_is_in_no_queue():
    full = [(1, 100), (2, 100), (3, 100), (4, 100)]
    again = sent(*full, (4, 100), (1, 100))
    assert told(check_queues(again.evidence())) == ("held", 0)
    confirmed = sent(*full).ack(20, "node-1", "node-0", FIRST, 3)
    confirmed.add(20, "send", "node-1", "node-0", "Ack", 3)
    confirmed.add(21, "deliver", "node-0", "node-1", "Ack", 3)
    confirmed.add(22, "send", "node-0", "node-1", "Records", 5, 100)
    assert told(check_queues(confirmed.evidence())) == ("held", 0)
    anew = sent(*full).add(20, "deliver", "node-0", "node-1", "Hello", 2)
    anew.add(21, "send", "node-0", "node-1", "Records", 5, 100)
    assert told(check_queues(anew.evidence())) == ("held", 0)
