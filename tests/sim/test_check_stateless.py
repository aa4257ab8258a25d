"""Nodes that have lost their state, and what readers were shown, on traces made by hand."""

from dataclasses import replace

import pytest

from tests.sim.tape import FIRST, SAFE, SECOND, Tape
from vectorkit.replication import ReplicationOptions, majority
from vectorkit.sim.checks.positions import check_order, check_stateless


def told(found):
    return found.verdict, found.observed_count


def lost():
    """node-1 has lost its disk and has started again."""
    tape = Tape().begin().append(10, "node-0", FIRST, 2).apply(12, "node-1", FIRST, 1, 2)
    tape.crash(20, "node-1", kind="lost_disk").start(30, "node-1")
    return tape.add(30, "lost_state", "node-1", number=257, text="no state")


def test_a_node_without_state_that_takes_a_full_sync_first_holds():
    tape = lost().add(40, "promise", "node-1", number=FIRST)
    tape.apply(50, "node-1", FIRST, 2, by="snapshot").ack(51, "node-1", "node-0", FIRST, 2)
    found = check_stateless(tape.evidence())
    assert (told(found), found.evidence) == (("held", 0), ("1 nodes without state",))


@pytest.mark.parametrize(
    ("said", "what"),
    [
        (lambda tape: tape.ack(40, "node-1", "node-0", FIRST, 2), "acked offset 2"),
        (lambda tape: tape.role(40, "node-1", "candidate", SECOND), "became candidate"),
        (lambda tape: tape.role(40, "node-1", "master", SECOND), "became master"),
        (
            lambda tape: tape.add(40, "send", "node-1", "node-2", "Promise", SECOND),
            f"sent Promise {SECOND}",
        ),
        (
            lambda tape: tape.add(40, "send", "node-1", "node-0", "EpochConfirmed", 3),
            "sent EpochConfirmed 3",
        ),
        (
            lambda tape: (
                tape.invoke(39, 5, "read", node="node-1")
                .answer(40, "node-1", 5, FIRST, 2)
                .complete(41, 5, "ok", FIRST, 2, node="node-1")
            ),
            "answered read 5",
        ),
    ],
    ids=["ack", "candidate", "master", "vote", "proof of a read", "answer"],
)
def test_a_node_without_state_that_speaks_is_broken(said, what):
    found = check_stateless(said(lost()).evidence())
    assert told(found) == ("broken", 1)
    assert found.evidence[0] == f"node-1 {what} at 40.0 ms, having found its state lost (no state)"


def test_a_disk_that_is_gone_counts_though_the_node_has_not_noticed():
    tape = Tape().begin().crash(20, "node-1", kind="lost_disk").start(30, "node-1")
    found = check_stateless(tape.ack(40, "node-1", "node-0", FIRST, 2).evidence())
    assert found.evidence[0] == "node-1 acked offset 2 at 40.0 ms, having lost its disk"


def test_a_crash_that_spares_the_disk_is_no_loss():
    tape = Tape().begin().crash(20, "node-1").start(30, "node-1")
    found = check_stateless(tape.ack(40, "node-1", "node-0", FIRST, 2).evidence())
    assert found.evidence == ("no node lost its state",)


def test_without_disks_every_crash_loses_the_state():
    tape = Tape(replace(SAFE, disk=None, write_concern=majority(stage="applied"))).begin()
    tape.crash(20, "node-1").start(30, "node-1")
    found = check_stateless(tape.ack(40, "node-1", "node-0", FIRST, 2).evidence())
    assert found.evidence[0] == "node-1 acked offset 2 at 40.0 ms, having lost its memory"


LATE = replace(SAFE, replication=ReplicationOptions(refresh_ms=50))


def test_an_ack_names_as_visible_what_readers_were_shown():
    tape = Tape(LATE).begin().append(10, "node-0", FIRST, 2, 3)
    tape.apply(12, "node-1", FIRST, 2, by="snapshot").apply(13, "node-1", FIRST, 3)
    tape.ack(14, "node-1", "node-0", FIRST, 3, visible=2).add(20, "visible", "node-1", number=3)
    found = check_order(tape.ack(21, "node-1", "node-0", FIRST, 3).evidence())
    assert (told(found), found.evidence) == (("held", 0), ("2 acks",))


def test_an_ack_that_names_more_as_visible_than_was_shown_is_broken():
    tape = Tape(LATE).begin().append(10, "node-0", FIRST, 2, 3)
    tape.apply(12, "node-1", FIRST, 2, by="snapshot").apply(13, "node-1", FIRST, 3)
    found = check_order(tape.ack(14, "node-1", "node-0", FIRST, 3).evidence())
    assert told(found) == ("broken", 1)
    assert found.evidence[0] == "node-1 acked 3 as visible at 14.0 ms, where readers saw 2"


def test_a_restart_shows_what_it_has_replayed():
    tape = Tape(LATE).begin().append(10, "node-0", FIRST, 2).apply(12, "node-1", FIRST, 1, 2)
    tape.crash(20, "node-1").start(30, "node-1").apply(30, "node-1", FIRST, 1, 2, by="replay")
    found = check_order(tape.ack(40, "node-1", "node-0", FIRST, 2).evidence())
    assert (told(found), found.evidence) == (("held", 0), ("1 acks",))
