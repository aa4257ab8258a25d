"""What was waited for before something was concluded, on traces made by hand."""

from dataclasses import replace

import pytest

from tests.sim.tape import FIRST, SAFE, SECOND, THIRD, Tape
from vectorkit import sim
from vectorkit.replication import ReplicationOptions
from vectorkit.sim import Failover
from vectorkit.sim.checks.patience import check_attempts, check_candidates, check_silence


def told(found):
    return found.verdict, found.observed_count


# Full syncs in a row

TWICE = replace(SAFE, replication=ReplicationOptions(sync_attempts_max=2))


def begun(tape, *times_ms, node="node-1"):
    for ms in times_ms:
        tape.add(ms, "sync", node, node, kind="full", text="started too_old")
    return tape


def test_after_enough_full_syncs_in_vain_the_next_comes_after_the_longest_wait():
    found = check_attempts(begun(Tape(TWICE).begin(), 10, 20, 30_020).evidence())
    assert (told(found), found.evidence) == (("held", 0), ("1 full syncs after too many failures",))


def test_one_that_comes_sooner_is_broken():
    found = check_attempts(begun(Tape(TWICE).begin(), 10, 20, 30_019).evidence())
    assert told(found) == ("broken", 1)
    assert found.evidence[0] == (
        "node-1 began full sync 3 in a row at 30,019.0 ms, 29,999.0 ms after the one before"
    )


@pytest.mark.parametrize("event", ["role", "promise", "crash", "start", "stream"])
def test_progress_and_another_beginning_end_the_row(event):
    tape = begun(Tape(TWICE).begin(), 10, 20)
    if event == "stream":
        tape.apply(25, "node-1", FIRST, 2)
    else:
        tape.add(25, event, "node-1")
    found = check_attempts(begun(tape, 30).evidence())
    assert found.verdict == "not_exercised"
    assert found.evidence == ("no node took more than 2 full syncs in a row",)


def test_with_clocks_that_went_wrong_no_wait_is_promised():
    tape = Tape(TWICE).begin().fault(1, sim.ClockJump(at_ms=1, node="node-1", by_ms=500))
    found = check_attempts(begun(tape, 10, 20, 30).evidence())
    assert (found.verdict, found.is_promised, found.observed_count) == (
        "seen_not_promised",
        False,
        1,
    )


# Disconnected


def disconnected(at_ms, tape=None):
    tape = Tape().begin() if tape is None else tape
    return tape.add(at_ms, "status", "node-0", "node-1", kind="Disconnected")


def heard(at_ms, kind):
    """node-1 has shaken hands with node-0 at 1 ms, and says something at a time."""
    tape = shaken_hands(Tape().begin(), 1)
    if kind == "handshake":
        return shaken_hands(tape, at_ms)
    return says(tape, at_ms, kind)


def says(tape, come_ms, kind="ReplicaHeartbeat", sent_ms=None):
    """node-0 hears something of node-1, sent a millisecond before where no other time is given."""
    sent_ms = come_ms - 1 if sent_ms is None else sent_ms
    tape.add(sent_ms, "send", "node-1", "node-0", kind, sent_ms)
    return tape.add(come_ms, "deliver", "node-0", "node-1", kind, sent_ms)


def shaken_hands(tape, ms):
    """node-0 accepts a handshake of node-1."""
    return tape.add(ms, "sync", "node-0", "node-1", kind="partial", text="started")


@pytest.mark.parametrize("kind", ["ReplicaHeartbeat", "handshake"])
def test_a_node_is_disconnected_only_after_long_enough_silence(kind):
    assert told(check_silence(disconnected(65_001, heard(5_000, kind)).evidence())) == ("held", 0)
    found = check_silence(disconnected(65_000, heard(5_000, kind)).evidence())
    assert told(found) == ("broken", 1)
    assert found.evidence[0] == (
        "node-0 called node-1 Disconnected at 65,000.0 ms, 60,000.0 ms after it was heard"
    )


def test_a_heartbeat_of_a_connection_that_is_over_does_not_count():
    late = heard(5_001, "ReplicaHeartbeat")  # 5,000 ms after the handshake.
    assert told(check_silence(disconnected(60_002, late).evidence())) == ("held", 0)
    kept = says(heard(4_000, "Ack"), 8_999)
    assert told(check_silence(disconnected(60_002, kept).evidence())) == ("broken", 1)
    anew = says(heard(5_001, "handshake"), 6_000)
    assert told(check_silence(disconnected(60_002, anew).evidence())) == ("broken", 1)


@pytest.mark.parametrize(
    "end",
    [
        lambda tape: tape.add(950, "send", "node-0", "node-1", "Close", 1),
        lambda tape: shaken_hands(tape, 950),
        lambda tape: tape.add(950, "lost_state", "node-1", number=257, text="no state"),
        lambda tape: tape.role(920, "node-0", "candidate", THIRD).role(
            950, "node-0", "master", THIRD
        ),
    ],
    ids=["closed", "the one before", "a life before", "a role before"],
)
def test_a_heartbeat_that_was_under_way_when_its_connection_ended_does_not_count(end):
    def under_way():
        tape = heard(900, "ReplicaHeartbeat")
        return tape.add(910, "send", "node-1", "node-0", "ReplicaHeartbeat", 1)

    def comes(tape):
        return tape.add(1_000, "deliver", "node-0", "node-1", "ReplicaHeartbeat", 1)

    kept = comes(under_way())
    assert told(check_silence(disconnected(60_960, kept).evidence())) == ("broken", 1)
    late = comes(end(under_way()))
    assert told(check_silence(disconnected(60_960, late).evidence())) == ("held", 0)


def test_a_handshake_that_the_master_refuses_is_no_sign_of_life():
    refused = heard(1_000, "ReplicaHeartbeat").add(2_000, "deliver", "node-0", "node-1", "Hello", 2)
    assert told(check_silence(disconnected(61_001, refused).evidence())) == ("held", 0)


def test_a_new_master_waits_from_its_beginning_on():
    tape = Tape().begin().promote(50_000, "node-0", SECOND, 2)
    assert told(check_silence(disconnected(70_000, tape).evidence())) == ("broken", 1)


def test_without_a_master_nobody_is_to_blame():
    tape = Tape().begin().add(10, "status", "", "node-1", kind="Disconnected")
    assert check_silence(tape.evidence()).evidence == ("no master called a node Disconnected",)


# Candidates

QUICK = replace(SAFE, failover=Failover(deadline_ms=2_000))


def connected(options=QUICK):
    """node-1 has shaken hands with node-0, which sends a heartbeat that comes at 1,000 ms."""
    tape = Tape(options).begin().add(1, "send", "node-1", "node-0", "Hello", 1)
    tape.add(2, "deliver", "node-0", "node-1", "Hello", 1)
    return heartbeat(tape, 990, 1_000)


def heartbeat(tape, sent_ms, come_ms):
    tape.add(sent_ms, "send", "node-0", "node-1", "MasterHeartbeat", 1)
    return tape.add(come_ms, "deliver", "node-1", "node-0", "MasterHeartbeat", 1)


def stands(tape, ms, why="silence"):
    return tape.add(ms, "role", "node-1", kind="candidate", number=SECOND, text=why)


def test_a_replica_stands_for_silence_after_its_deadline():
    found = check_candidates(stands(connected(), 3_000).evidence())
    assert (told(found), found.evidence) == (("held", 0), ("1 candidates",))


def test_a_replica_that_has_just_heard_its_master_and_stands_is_broken():
    found = check_candidates(stands(connected(), 2_999).evidence())
    assert told(found) == ("broken", 1)
    assert found.evidence[0] == (
        "node-1 stood at 2,999.0 ms, 1,999.0 ms after a sign of life of its master"
    )


@pytest.mark.parametrize("why", ["command", "requested", "promise", "served_last"])
def test_a_node_that_stands_for_another_reason_need_not_wait(why):
    found = check_candidates(stands(connected(), 1_001, why).evidence())
    assert found.evidence == ("no replica stood for its master's silence",)


def test_what_comes_by_an_earlier_connection_is_no_sign_of_life():
    again = Tape(QUICK).begin().add(1, "send", "node-1", "node-0", "Hello", 1)
    again.add(2, "deliver", "node-0", "node-1", "Hello", 1)
    again.add(990, "send", "node-0", "node-1", "MasterHeartbeat", 1)
    again.add(995, "send", "node-1", "node-0", "Hello", 2)
    again.add(1_000, "deliver", "node-1", "node-0", "MasterHeartbeat", 1)
    assert told(check_candidates(stands(again, 1_001).evidence())) == ("held", 0)


def test_a_heartbeat_that_was_lost_on_an_earlier_connection_is_not_the_one_that_comes():
    tape = Tape(QUICK).begin().add(1, "send", "node-0", "node-1", "MasterHeartbeat", 1)
    tape.add(2, "lost", "node-0", "node-1", "MasterHeartbeat", 1, text="loss")
    tape.add(3, "send", "node-1", "node-0", "Hello", 1)
    tape.add(4, "deliver", "node-0", "node-1", "Hello", 1)
    found = check_candidates(stands(heartbeat(tape, 990, 1_000), 2_999).evidence())
    assert told(found) == ("broken", 1)


@pytest.mark.parametrize(
    "end",
    [
        lambda tape: tape.add(900, "deliver", "node-1", "node-0", "Close", 1),
        lambda tape: tape.add(900, "sync", "node-1", "node-1", kind="full", text="lost too_old"),
        lambda tape: tape.crash(900, "node-1").start(910, "node-1"),
        lambda tape: tape.role(900, "node-1", "candidate", SECOND).role(
            910, "node-1", "replica", 0
        ),
        lambda tape: tape.crash(900, "node-0", kind="lost_disk"),
        lambda tape: tape.add(900, "lost_state", "node-0", number=256, text="no state"),
        lambda tape: tape.add(900, "retire", "node-1", number=256),
    ],
    ids=[
        *("closed by the master", "given up by the replica", "another life", "another role"),
        *("the master lost its disk", "the master lost its state", "its index was retired"),
    ],
)
def test_what_comes_by_a_connection_that_is_over_is_no_sign_of_life(end):
    tape = Tape(QUICK).begin().add(1, "send", "node-1", "node-0", "Hello", 1)
    tape = end(tape.add(2, "deliver", "node-0", "node-1", "Hello", 1))
    assert told(check_candidates(stands(heartbeat(tape, 950, 1_000), 1_001).evidence())) == (
        "held",
        0,
    )


def test_a_second_copy_of_a_handshake_does_not_end_the_connection_of_the_first():
    tape = Tape(QUICK).begin().add(1, "send", "node-1", "node-0", "Hello", 1)
    tape.add(2, "deliver", "node-0", "node-1", "Hello", 1)
    tape.add(950, "send", "node-0", "node-1", "MasterHeartbeat", 950)
    tape.add(960, "deliver", "node-0", "node-1", "Hello", 1)
    tape.add(1_000, "deliver", "node-1", "node-0", "MasterHeartbeat", 950)
    assert told(check_candidates(stands(tape, 1_001).evidence())) == ("broken", 1)


def test_a_message_that_was_lost_is_no_sign_of_life_and_the_next_alike_is():
    tape = Tape(QUICK).begin().add(1, "send", "node-1", "node-0", "Hello", 1)
    tape.add(2, "deliver", "node-0", "node-1", "Hello", 1)
    tape.add(100, "send", "node-0", "node-1", "MasterHeartbeat", 1)
    tape.add(100, "lost", "node-0", "node-1", "MasterHeartbeat", 1)
    assert told(check_candidates(stands(heartbeat(tape, 200, 300), 400).evidence())) == (
        "broken",
        1,
    )


def test_a_detector_that_learns_from_intervals_promises_no_deadline():
    phi = replace(SAFE, failover=Failover(detector="phi"))
    found = check_candidates(stands(connected(phi), 1_001).evidence())
    assert (found.verdict, found.is_promised, found.observed_count) == (
        "seen_not_promised",
        False,
        1,
    )
