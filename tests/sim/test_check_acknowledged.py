"""What was acknowledged: lost or not, promised or not, and by whom it may be acknowledged."""

from dataclasses import replace

import pytest

from tests.sim.tape import FIRST, SAFE, SECOND, THIRD, WEAK, Tape
from vectorkit.replication import ReplicationOptions, WriteConcern
from vectorkit.sim.checks.acknowledged import check_branch, check_promises, check_survival


def failover(options=SAFE, *, kept=2, forced=0):
    """node-0 confirms offsets 2 and 3; node-1, which has `kept` of them, begins an epoch."""
    tape = Tape(options).begin().append(10, "node-0", FIRST, 2, 3)
    tape.apply(12, "node-1", FIRST, 1, by="snapshot")
    tape.apply(13, "node-1", FIRST, *range(2, kept + 1))
    tape.confirm(15, "node-0", FIRST, 2).confirm(20, "node-0", FIRST, 3).crash(25, "node-0")
    return tape.promote(30, "node-1", SECOND, kept + 1, forced=forced)


def test_acknowledged_writes_that_the_final_history_holds_have_survived():
    found = check_survival(failover(kept=3).evidence())
    assert (found.verdict, found.is_promised, found.observed_count) == ("held", True, 0)
    assert found.evidence == ("2 acknowledged positions",)


def test_a_confirmed_write_that_an_epoch_began_without_is_broken():
    found = check_survival(failover(kept=2).evidence())
    assert (found.verdict, found.is_promised, found.observed_count) == ("broken", True, 1)
    assert found.evidence == (
        "offset 3 of node-0@1, acknowledged at 20.0 ms, is lost: node-1@2 began without it",
        "among 2 acknowledged positions",
        "window 0.0 ms, from 20.0 ms; write concern count='majority', stage='flushed'",
    )


def test_every_record_below_a_confirmed_one_counts_from_when_it_was_confirmed():
    found = check_survival(failover(kept=1).evidence())
    assert found.observed_count == 2
    assert found.evidence[:2] == (
        "offset 2 of node-0@1, acknowledged at 15.0 ms, is lost: node-1@2 began without it",
        "offset 3 of node-0@1, acknowledged at 20.0 ms, is lost: node-1@2 began without it",
    )
    assert found.evidence[3].startswith("window 5.0 ms, from 15.0 ms")


def test_nothing_acknowledged_is_not_exercised():
    found = check_survival(Tape().begin().append(10, "node-0", FIRST, 2).evidence())
    assert (found.verdict, found.evidence) == ("not_exercised", ("nothing was acknowledged",))


NO_QUORUM = ReplicationOptions(quorum="none", write_concern=WriteConcern(count=1))
RECEIVED = replace(SAFE, write_concern=WriteConcern(count=1, stage="received"))


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (WEAK, "the write concern asks for no replica"),
        (RECEIVED, "the write concern is met at the stage 'received'"),
        (replace(WEAK, replication=NO_QUORUM), "quorum is 'none'"),
    ],
)
def test_a_loss_that_the_options_do_not_promise_to_prevent_is_counted_and_not_blamed(options, why):
    found = check_survival(failover(options, kept=2).evidence())
    assert (found.verdict, found.is_promised, found.observed_count) == (
        "seen_not_promised",
        False,
        1,
    )
    assert found.evidence[0] == f"not promised: {why}"
    assert found.evidence[1].startswith("offset 3 of node-0@1, acknowledged at 20.0 ms, is lost")


def test_a_forced_epoch_voids_the_promise_from_then_on():
    found = check_survival(failover(kept=2, forced=1).evidence())
    assert (found.verdict, found.observed_count) == ("seen_not_promised", 1)
    assert found.evidence[-1] == "void from 30.0 ms: the epoch of node-1 was forced"


def test_a_loss_before_the_forced_epoch_is_still_blamed():
    tape = failover(kept=2).role(40, "node-2", "master", THIRD, forced=1)
    tape.role(41, "node-2", "replica", SECOND)
    found = check_survival(tape.evidence())
    assert (found.verdict, found.observed_count) == ("broken", 1)
    assert found.evidence[-1] == "void from 40.0 ms: the epoch of node-2 was forced"


def lost_disks(*events):
    """node-0 and node-1 lose their disks before node-2 begins an epoch without offset 3."""
    tape = Tape().begin().append(10, "node-0", FIRST, 2, 3)
    for node in ("node-1", "node-2"):
        tape.apply(12, node, FIRST, 2, by="snapshot")
    tape.confirm(20, "node-0", FIRST, 3)
    for ms, event, node in events:
        if event == "lose":
            tape.crash(ms, node, kind="lost_disk")
        else:
            tape.apply(ms, node, FIRST, 2, by="snapshot")
    return tape.promote(60, "node-2", THIRD, 3)


def test_more_slots_without_state_than_n_void_the_promise():
    tape = lost_disks((30, "lose", "node-0"), (40, "lose", "node-1"))
    found = check_survival(tape.evidence())
    assert (found.verdict, found.observed_count) == ("seen_not_promised", 1)
    assert found.evidence[-1] == (
        "void from 40.0 ms: node-0, node-1 were without state together, n = 1"
    )


def test_one_lost_disk_after_the_other_has_returned_voids_nothing():
    tape = lost_disks((30, "lose", "node-0"), (35, "back", "node-0"), (40, "lose", "node-1"))
    found = check_survival(tape.evidence())
    assert (found.verdict, found.observed_count) == ("broken", 1)


def test_retiring_a_node_that_lives_voids_the_promise():
    tape = Tape().begin().append(10, "node-0", FIRST, 2).confirm(20, "node-0", FIRST, 2)
    tape.apply(12, "node-1", FIRST, 1, by="snapshot").add(25, "retire", "node-1", number=0)
    found = check_survival(tape.promote(30, "node-1", SECOND, 2).evidence())
    assert found.verdict == "seen_not_promised"
    assert found.evidence[-1] == "void from 25.0 ms: node-0 was retired while it lived"


def test_a_retired_node_that_comes_back_with_its_state_voids_the_promise_from_its_retirement():
    tape = Tape().begin().append(10, "node-0", FIRST, 2).confirm(20, "node-0", FIRST, 2)
    tape.apply(12, "node-1", FIRST, 1, by="snapshot").crash(22, "node-0")
    tape.add(25, "retire", "node-1", number=0).promote(30, "node-1", SECOND, 2)
    assert check_survival(tape.evidence()).verdict == "broken"
    tape.start(40, "node-0").apply(40, "node-0", FIRST, 1, by="replay")
    found = check_survival(tape.evidence())
    assert found.verdict == "seen_not_promised"
    assert found.evidence[-1] == "void from 25.0 ms: node-0 was retired, and has come back alive"


def test_an_answer_to_a_client_acknowledges_as_a_confirmation_does():
    tape = Tape().begin().apply(5, "node-1", FIRST, 1, by="snapshot")
    tape.write(10, 7, FIRST, 2).crash(25, "node-0").promote(30, "node-1", SECOND, 2)
    found = check_survival(tape.evidence())
    assert (found.verdict, found.observed_count) == ("broken", 1)
    assert found.evidence[0].startswith("offset 2 of node-0@1, acknowledged at 12.0 ms, is lost")


def test_a_degraded_answer_promises_nothing():
    tape = Tape().begin().apply(5, "node-1", FIRST, 1, by="snapshot").invoke(10, 7, "write")
    tape.append(11, "node-0", FIRST, 2, request=7).complete(12, 7, "degraded", FIRST, 2)
    found = check_survival(tape.crash(25, "node-0").promote(30, "node-1", SECOND, 2).evidence())
    assert (found.verdict, found.observed_count) == ("seen_not_promised", 1)
    assert "acknowledged as degraded at 12.0 ms" in found.evidence[1]


def split_brain(options=SAFE):
    """node-0 confirms offset 3 of its epoch after node-1's has confirmed its own offset 3."""
    tape = Tape(options).begin().append(10, "node-0", FIRST, 2)
    tape.apply(12, "node-1", FIRST, 2, by="snapshot").confirm(15, "node-0", FIRST, 2)
    tape.promote(30, "node-1", SECOND, 3).confirm(32, "node-1", SECOND, 3)
    return tape.append(33, "node-0", FIRST, 3)


def test_acknowledged_writes_of_two_epochs_on_one_branch_hold():
    found = check_branch(split_brain().evidence())
    assert (found.verdict, found.evidence) == ("held", ("1 changes of the acknowledging epoch",))


def test_two_masters_that_acknowledge_apart_are_broken():
    found = check_branch(split_brain().confirm(40, "node-0", FIRST, 3).evidence())
    assert (found.verdict, found.observed_count) == ("broken", 1)
    assert found.evidence[0] == (
        "offset 3 of node-0@1 (acknowledged at 40.0 ms) is not in the history of "
        "offset 3 of node-1@2 (acknowledged at 32.0 ms)"
    )


def test_two_masters_of_an_asynchronous_cluster_are_counted_and_not_blamed():
    found = check_branch(split_brain(WEAK).confirm(40, "node-0", FIRST, 3).evidence())
    assert (found.verdict, found.is_promised, found.observed_count) == (
        "seen_not_promised",
        False,
        1,
    )


def test_one_epoch_that_acknowledges_does_not_exercise_the_branch():
    found = check_branch(Tape().begin().confirm(1, "node-0", FIRST, 1).evidence())
    assert found.verdict == "not_exercised"
    assert found.evidence == ("only one epoch has acknowledged anything",)


def promised():
    tape = Tape().begin().role(1, "node-1", "replica", FIRST).append(5, "node-0", FIRST, 2)
    return tape.add(20, "promise", "node-1", number=SECOND)


def test_a_node_that_acks_before_its_promise_holds():
    found = check_promises(promised().evidence())
    assert (found.verdict, found.evidence) == ("held", ("1 promises of a later epoch",))


def test_an_ack_to_a_master_of_an_epoch_below_the_promise_is_broken():
    found = check_promises(promised().ack(21, "node-1", "node-0", FIRST, 2).evidence())
    assert (found.verdict, found.observed_count) == ("broken", 1)
    assert found.evidence[0] == (
        "node-1 acked offset 2 for node-0@1 at 21.0 ms, having promised node-1@2"
    )


def test_a_master_that_confirms_or_appends_below_its_own_promise_is_broken():
    tape = promised().add(22, "promise", "node-0", number=SECOND)
    tape.confirm(23, "node-0", FIRST, 2).append(24, "node-0", FIRST, 3)
    found = check_promises(tape.evidence())
    assert found.observed_count == 2
    assert found.evidence[0].startswith("node-0 confirmed offset 2 for node-0@1 at 23.0 ms")
    assert found.evidence[1].startswith("node-0 appended offset 3 for node-0@1 at 24.0 ms")


def test_a_node_that_lost_its_promises_is_not_held_to_them():
    tape = promised().crash(21, "node-1", kind="lost_disk")
    assert check_promises(tape.ack(22, "node-1", "node-0", FIRST, 2).evidence()).verdict == "held"


def test_without_a_later_epoch_no_promise_is_exercised():
    found = check_promises(Tape().begin().append(5, "node-0", FIRST, 2).evidence())
    assert (found.verdict, found.evidence) == ("not_exercised", ("no epoch followed the first",))


def test_a_node_whose_log_is_damaged_is_held_to_its_promises():
    tape = promised().crash(21, "node-1").start(21, "node-1")
    tape.add(21, "lost_state", "node-1", number=257, text="record 2 is damaged")
    found = check_promises(tape.ack(22, "node-1", "node-0", FIRST, 2).evidence())
    assert found.verdict == "broken"
