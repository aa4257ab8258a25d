"""Elections, promises and returns, on traces made by hand."""

from dataclasses import replace

import pytest

from tests.sim.tape import FIRST, SAFE, SECOND, THIRD, WEAK, Tape
from vectorkit import sim
from vectorkit.replication import Failover, ReplicationOptions, majority
from vectorkit.sim.checks.elections import (
    check_causes,
    check_durable_promises,
    check_replacements,
)


def told(found):
    return found.verdict, found.observed_count


# Promises


def promised(tape, *epochs):
    for number, epoch in enumerate(epochs):
        tape.add(10 + number, "promise", "node-2", number=epoch)
    return tape


def test_a_promise_that_grows_holds():
    found = check_durable_promises(
        promised(Tape().begin(), FIRST, SECOND, SECOND, THIRD).evidence()
    )
    assert (told(found), found.evidence) == (("held", 0), ("3 promises after another",))


def test_a_promise_that_goes_down_is_broken():
    found = check_durable_promises(promised(Tape().begin(), SECOND, FIRST).evidence())
    assert told(found) == ("broken", 1)
    assert found.evidence[0] == "node-2 promised node-0@1 at 11.0 ms, having promised node-1@2"


@pytest.mark.parametrize(
    ("tape", "verdict"),
    [
        (Tape(), "broken"),
        (Tape(replace(SAFE, disk=None, write_concern=majority(stage="applied"))), "not_exercised"),
    ],
    ids=["disks", "no disks"],
)
def test_damage_of_the_log_is_no_excuse_and_a_cluster_without_disks_promises_nothing(tape, verdict):
    promised(tape.begin(), SECOND).crash(20, "node-2").start(30, "node-2")
    tape.add(30, "lost_state", "node-2", number=258, text="record 3 is damaged")
    tape.add(40, "promise", "node-2", number=FIRST)
    assert check_durable_promises(tape.evidence()).verdict == verdict


def test_a_lost_disk_takes_the_promise():
    tape = promised(Tape().begin(), SECOND).crash(20, "node-2", kind="lost_disk")
    tape.start(30, "node-2").add(40, "promise", "node-2", number=FIRST)
    found = check_durable_promises(tape.evidence())
    assert found.evidence == ("no node promised twice",)


# Returns


def told_promise(tape, ms, source, target, index):
    tape.add(ms, "send", source, target, "TellPromise", index)
    return tape.add(ms + 1, "deliver", target, source, "TellPromise", index)


def lost(tape, ms, node, index, *, back_ms=None):
    """A node loses its disk and asks under its new index; at `back_ms` it has its state again."""
    tape.crash(ms, node, kind="lost_disk").start(ms + 1, node)
    tape.add(ms + 1, "lost_state", node, number=index, text="no state")
    tape.role(ms + 1, node, "returning", 0)
    if back_ms is not None:
        tape.role(back_ms, node, "replica", 0)
        tape.apply(back_ms, node, FIRST, 1, by="snapshot")
    return tape


def replaced():
    """node-1 was replaced and has its state again, under index 257."""
    tape = Tape().begin().crash(9, "node-1", kind="lost_disk")
    lost(tape.add(10, "retire", "node-0", number=1), 10, "node-1", 257)
    for other in ("node-0", "node-2"):
        told_promise(tape, 12, other, "node-1", 257)
    return tape.role(20, "node-1", "replica", 0).apply(20, "node-1", FIRST, 1, by="snapshot")


def goes_on(tape, ms=40):
    return check_replacements(tape.role(ms, "node-2", "replica", 0).evidence())


def test_a_node_that_has_heard_all_others_may_go_on():
    tape = lost(replaced(), 30, "node-2", 258)
    for other in ("node-0", "node-1"):
        told_promise(tape, 32, other, "node-2", 258)
    found = goes_on(tape)
    assert (told(found), found.evidence) == (("held", 0), ("2 returns",))


def test_a_node_that_has_not_heard_a_replacement_that_is_back_is_broken():
    tape = lost(replaced(), 30, "node-2", 258)
    found = goes_on(told_promise(tape, 32, "node-0", "node-2", 258))
    assert told(found) == ("broken", 1)
    assert found.evidence[0] == (
        "node-2 went on without its state at 40.0 ms, not having heard node-1"
    )


def test_a_retired_slot_need_not_be_heard_before_its_replacement_is_back():
    tape = Tape().begin().crash(9, "node-1", kind="lost_disk")
    tape.add(10, "retire", "node-0", number=1)
    lost(tape, 30, "node-2", 258)
    found = goes_on(told_promise(tape, 32, "node-0", "node-2", 258))
    assert told(found) == ("held", 0)


@pytest.mark.parametrize(
    "tell",
    [
        lambda tape: told_promise(tape, 28, "node-1", "node-2", 2),
        lambda tape: tape.add(35, "send", "node-1", "node-2", "TellPromise", 258),
        lambda tape: tape.add(35, "send", "node-1", "node-2", "TellPromise", 258).add(
            36, "lost", "node-1", "node-2", "TellPromise", 258, text="cut"
        ),
    ],
    ids=["under the index before", "on its way", "lost on its way"],
)
def test_a_promise_that_was_not_told_to_this_index_is_not_heard(tell):
    tape = tell(lost(replaced(), 30, "node-2", 258))
    assert told(goes_on(told_promise(tape, 38, "node-0", "node-2", 258))) == ("broken", 1)


def test_what_the_life_before_has_told_does_not_stand_for_the_one_that_is_back():
    options = replace(SAFE, write_concern=sim.WriteConcern(count=2))
    tape = lost(Tape(options).begin(), 10, "node-2", 258)
    for other in ("node-0", "node-1"):
        told_promise(tape, 12, other, "node-2", 258)
    lost(tape, 20, "node-1", 257)
    for other in ("node-0", "node-2"):
        told_promise(tape, 22, other, "node-1", 257)
    tape.role(30, "node-1", "replica", 0).apply(30, "node-1", FIRST, 1, by="snapshot")
    found = goes_on(tape)
    assert told(found) == ("broken", 1)


def test_of_two_nodes_the_only_other_one_need_not_be_heard_once_it_was_ever_retired():
    """A late command reaches a node without state: no third one can say that 257 is back."""
    scenario = sim.Scenario(
        options=sim.ClusterOptions(
            replicas=1, disk=None, write_concern=sim.WriteConcern(count="majority", stage="applied")
        ),
        faults=[
            sim.Crash(at_ms=10, for_ms=20, node="node-1"),
            sim.Replace(at_ms=20, node="node-1"),
            sim.Crash(at_ms=100, for_ms=10, node="node-0"),
            sim.Clog(at_ms=100, target="node-0"),
            sim.Retire(at_ms=180, node="node-1"),
        ],
        duration_ms=700,
    )
    assert sim.simulate(scenario).check()["replacements_are_heard"].verdict == "held"


def test_with_too_many_nodes_without_state_nothing_is_promised():
    tape = lost(lost(Tape().begin(), 30, "node-2", 258), 31, "node-1", 257)
    found = goes_on(tape)
    assert told(found) == ("seen_not_promised", 2)


# Causes

QUICK = replace(
    SAFE,
    failover=Failover(deadline_ms=2_000),
    replication=ReplicationOptions(heartbeat_ms=500),
)


def following(options=QUICK):
    """node-1 follows node-0, which has taken its handshake."""
    tape = Tape(options).begin().role(0, "node-1", "replica", FIRST)
    tape.add(1, "send", "node-1", "node-0", "Hello", 1)
    return tape.add(2, "deliver", "node-0", "node-1", "Hello", 1)


def comes(tape, ms, kind, *, number=1, source="node-0"):
    tape.add(ms, "send", source, "node-1", kind, number)
    return tape.add(ms + 1, "deliver", "node-1", source, kind, number)


def elected(tape, ms, why="silence"):
    tape.add(ms, "role", "node-1", kind="candidate", number=SECOND, text=why)
    return check_causes(tape.evidence())


LIFE = ["MasterHeartbeat", "Records", "StartPartial", "StartFull", "Chunk", "Close", "Announce"]


@pytest.mark.parametrize("kind", LIFE)
def test_an_election_after_the_deadline_of_silence_has_a_cause(kind):
    found = elected(comes(following(), 999, kind), 3_000)
    assert (told(found), found.evidence) == (("held", 0), ("1 elections",))


@pytest.mark.parametrize("kind", LIFE)
def test_an_election_against_a_master_that_was_heard_is_broken(kind):
    found = elected(comes(following(), 999, kind), 2_999)
    assert told(found) == ("broken", 1)
    assert found.evidence[0] == (
        "node-1 started an election at 2,999.0 ms (silence): 1,999.0 ms after node-0 was heard"
    )


def test_a_master_that_confirms_its_epoch_to_a_node_that_has_promised_it_is_heard():
    tape = following().add(3, "promise", "node-1", number=FIRST)
    assert told(elected(comes(tape, 999, "ConfirmEpoch"), 2_999)) == ("broken", 1)


def test_a_heartbeat_of_an_older_connection_is_heard():
    tape = following().add(500, "send", "node-0", "node-1", "MasterHeartbeat", 7)
    tape.add(600, "send", "node-1", "node-0", "Hello", 2)
    tape.add(1_000, "deliver", "node-1", "node-0", "MasterHeartbeat", 7)
    assert told(elected(tape, 2_999)) == ("broken", 1)


@pytest.mark.parametrize("kind", ["Seek", "Prepare", "Ack", "ReplicaHeartbeat"])
def test_what_no_master_says_is_no_sign_of_life(kind):
    if kind in ("Ack", "ReplicaHeartbeat"):
        tape = following().ack(998, "node-0", "node-1", FIRST, 1)
    else:
        tape = following()
    assert told(elected(comes(tape, 999, kind), 2_003)) == ("held", 0)


def test_what_was_sent_in_an_earlier_epoch_is_no_sign_of_life():
    tape = following().add(900, "send", "node-0", "node-1", "MasterHeartbeat", 7)
    tape.role(902, "node-0", "master", 3 << 16)
    tape.add(950, "send", "node-1", "node-0", "Hello", 2)
    tape.add(951, "deliver", "node-0", "node-1", "Hello", 2)
    tape.add(1_000, "deliver", "node-1", "node-0", "MasterHeartbeat", 7)
    assert told(elected(tape, 2_100)) == ("held", 0)


def test_what_was_lost_is_no_sign_of_life_and_a_node_waits_from_the_begin_of_its_role():
    tape = following().add(900, "send", "node-0", "node-1", "MasterHeartbeat", 7)
    tape.add(901, "lost", "node-0", "node-1", "MasterHeartbeat", 7, text="loss")
    assert told(elected(tape, 2_000)) == ("held", 0)
    tape = following().role(900, "node-1", "candidate", SECOND).role(910, "node-1", "replica", 0)
    found = elected(tape, 2_000)
    assert told(found) == ("broken", 2)
    assert found.evidence[1].endswith("1,090.0 ms after its role began")


def test_a_replaced_master_is_not_heard_any_more():
    tape = following().crash(900, "node-0", kind="lost_disk")
    assert told(elected(comes(tape, 999, "MasterHeartbeat"), 2_500)) == ("held", 0)


def test_two_heartbeats_of_silence_are_needed_whatever_the_deadline():
    options = replace(QUICK, replication=ReplicationOptions(heartbeat_ms=1_000))
    short = replace(options, failover=Failover(deadline_ms=400, allow_short_deadline=True))
    found = elected(comes(following(short), 999, "MasterHeartbeat"), 1_500)
    assert told(found) == ("seen_not_promised", 1)
    assert "below two heartbeats was asked for" in found.evidence[0]


@pytest.mark.parametrize(
    ("why", "before", "verdict"),
    [
        ("command", lambda tape: tape, "held"),
        ("requested", lambda tape: comes(tape, 999, "StartElection", source="node-2"), "held"),
        ("requested", lambda tape: tape, "broken"),
        ("promise", lambda tape: comes(tape, 999, "Seek", source="node-2"), "broken"),
        ("served_last", lambda tape: tape, "held"),
        ("served_last", lambda tape: comes(tape, 999, "Announce"), "broken"),
    ],
)
def test_other_causes_are_looked_at_too(why, before, verdict):
    assert elected(before(following()), 1_001, why).verdict == verdict


def test_a_master_that_hears_of_a_higher_promise_has_a_cause():
    tape = following().promote(500, "node-1", SECOND, 2)
    assert elected(comes(tape, 999, "Seek", source="node-2"), 1_001, "promise").verdict == "held"
    assert elected(following().promote(500, "node-1", SECOND, 2), 1_001, "promise").verdict == (
        "broken"
    )


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (replace(QUICK, failover=Failover(detector="phi")), "the detector is 'phi'"),
        (QUICK, "clocks were made to go wrong"),
    ],
)
def test_what_promises_no_deadline_is_not_blamed(options, why):
    tape = following(options)
    if options is QUICK:
        tape.fault(1, sim.ClockJump(at_ms=1, node="node-1", by_ms=5_000))
    found = elected(comes(tape, 999, "MasterHeartbeat"), 1_001)
    assert told(found) == ("seen_not_promised", 1)
    assert found.evidence[0] == f"not promised: {why}"


def test_without_an_election_there_is_nothing_to_ask():
    assert check_causes(Tape(WEAK).begin().evidence()).evidence == ("no node started an election",)
