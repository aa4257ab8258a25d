"""What clients may expect of their own requests, and of reads, on traces made by hand."""

from dataclasses import replace

import pytest

from tests.sim.tape import FIRST, SAFE, SECOND, THIRD, WEAK, Tape
from vectorkit import sim
from vectorkit.sim.checks.reads import (
    check_staleness,
    check_values,
    check_writes,
    staleness_of_reads,
)
from vectorkit.sim.checks.sessions import check_sessions

OWN_WRITES, READS, WRITES, ORDER = range(4)


def told(found):
    return found.verdict, found.is_promised, found.observed_count


def session(tape, which):
    return check_sessions(tape.evidence())[which]


def served(options=SAFE):
    """node-0 serves offsets 1 and 2; node-1 follows it."""
    tape = Tape(options).begin().append(1, "node-0", FIRST, 2)
    return tape.apply(3, "node-1", FIRST, 2, by="snapshot")


# Read your writes


@pytest.mark.parametrize("policy", ["read_your_writes", "linearizable"])
def test_a_read_that_sees_the_client_s_own_write_holds(policy):
    tape = served().write(10, 1, FIRST, 3).read(20, 2, FIRST, 3, 1, policy=policy)
    found = session(tape, OWN_WRITES)
    assert told(found) == ("held", True, 0)
    assert found.evidence == ("1 reads after an own write",)


@pytest.mark.parametrize("policy", ["read_your_writes", "linearizable"])
def test_a_read_that_lacks_the_client_s_own_write_is_broken_where_its_policy_promises_it(policy):
    tape = served().write(10, 1, FIRST, 3)
    tape.read(20, 2, FIRST, 2, 0, policy=policy, node="node-1")
    found = session(tape, OWN_WRITES)
    assert told(found) == ("broken", True, 1)
    assert found.evidence[0] == (
        f"read 2 of client-0 at node-1 (22.0 ms, policy {policy}) stands at "
        "offset 2 of node-0@1, without its write at offset 3 of node-0@1"
    )


@pytest.mark.parametrize("policy", ["nearest", "master", "sticky", "round_robin"])
def test_a_read_that_lacks_the_client_s_own_write_is_counted_where_nothing_promises_it(policy):
    tape = served().write(10, 1, FIRST, 3).read(20, 2, FIRST, 2, 0, policy=policy)
    assert told(session(tape, OWN_WRITES)) == ("seen_not_promised", False, 1)


def test_read_your_writes_is_promised_without_a_write_concern_and_linearizable_is_not():
    tape = served(WEAK).write(10, 1, FIRST, 3)
    tape.read(20, 2, FIRST, 2, 0, policy="linearizable")
    assert told(session(tape, OWN_WRITES)) == ("seen_not_promised", False, 1)
    tape.read(30, 3, FIRST, 2, 0, policy="read_your_writes")
    assert told(session(tape, OWN_WRITES)) == ("broken", True, 2)


def test_a_linearizable_read_need_not_see_a_write_that_was_answered_as_degraded():
    tape = served().write(10, 1, FIRST, 3, outcome="degraded")
    tape.read(20, 2, FIRST, 2, 0, policy="linearizable")
    assert told(session(tape, OWN_WRITES)) == ("seen_not_promised", False, 1)
    tape.read(30, 3, FIRST, 2, 0, policy="read_your_writes")  # The node that serves it can tell.
    assert told(session(tape, OWN_WRITES)) == ("broken", True, 2)


def test_writes_of_others_and_writes_acknowledged_later_do_not_count_as_own():
    tape = served().invoke(9, 5, "read", policy="read_your_writes").write(10, 1, FIRST, 3)
    tape.complete(15, 5, "ok", FIRST, 2)
    tape.read(20, 2, FIRST, 2, 0, policy="read_your_writes", client="client-1")
    found = session(tape, OWN_WRITES)
    assert told(found) == ("not_exercised", True, 0)
    assert found.evidence == ("no client read after a write of its own was acknowledged",)


# Monotonic reads


def read_twice(first, second, *, policy, **where):
    tape = served().append(5, "node-0", FIRST, 3).apply(6, "node-1", FIRST, 3)
    tape.read(10, 1, FIRST, first, 0, policy=policy, node="node-1")
    return tape.read(20, 2, FIRST, second, 0, policy=policy, **{"node": "node-1", **where})


@pytest.mark.parametrize("policy", ["linearizable", "sticky"])
def test_reads_that_go_on_hold_and_those_that_go_back_are_broken_where_promised(policy):
    assert told(session(read_twice(2, 3, policy=policy), READS)) == ("held", True, 0)
    found = session(read_twice(3, 2, policy=policy), READS)
    assert told(found) == ("broken", True, 1)
    assert found.evidence[0].endswith(
        "stands at offset 2 of node-0@1, without an earlier read at offset 3 of node-0@1"
    )


def test_reads_that_go_back_by_another_policy_or_at_another_node_are_counted():
    found = session(read_twice(3, 2, policy="nearest"), READS)
    assert told(found) == ("seen_not_promised", False, 1)
    found = session(read_twice(3, 2, policy="sticky", node="node-2"), READS)
    assert told(found) == ("seen_not_promised", False, 1)


@pytest.mark.parametrize("event", ["crash", "start", "snapshot"])
def test_sticky_promises_nothing_across_a_crash_or_a_full_sync(event):
    tape = served().append(5, "node-0", FIRST, 3).apply(6, "node-1", FIRST, 3)
    tape.read(10, 1, FIRST, 3, 0, policy="sticky", node="node-1")
    match event:
        case "crash":
            tape.crash(15, "node-1")
        case "start":
            tape.start(15, "node-1")
        case "snapshot":
            tape.apply(15, "node-1", FIRST, 2, by="snapshot")
    tape.read(20, 2, FIRST, 2, 0, policy="sticky", node="node-1")
    assert told(session(tape, READS)) == ("seen_not_promised", False, 1)


def test_one_read_is_not_exercised():
    found = session(served().read(10, 1, FIRST, 2, 0), READS)
    assert found.evidence == ("no client read twice",)


# Monotonic writes, writes follow reads


def test_writes_of_a_client_in_their_order_hold():
    tape = served().write(10, 1, FIRST, 3).write(20, 2, FIRST, 4)
    assert told(session(tape, WRITES)) == ("held", True, 0)


def lost_write(options, outcome="ok"):
    """The client's first write is acknowledged, and an epoch begins without it."""
    tape = served(options).write(10, 1, FIRST, 3, outcome=outcome)
    tape.promote(15, "node-1", SECOND, 3)
    return tape.write(20, 2, SECOND, 4, node="node-1")


def test_a_write_whose_history_lacks_an_earlier_one_is_broken_only_within_the_guarantee():
    found = session(lost_write(SAFE), WRITES)
    assert told(found) == ("broken", True, 1)
    assert found.evidence[0] == (
        "write 2 of client-0 at node-1 (22.0 ms, policy none) stands at "
        "offset 4 of node-1@2, without an earlier write at offset 3 of node-0@1"
    )
    assert told(session(lost_write(WEAK), WRITES)) == ("seen_not_promised", False, 1)


def test_a_write_that_was_answered_as_degraded_is_not_promised_to_precede_the_next():
    assert told(session(lost_write(SAFE, "degraded"), WRITES)) == ("seen_not_promised", False, 1)
    tape = lost_write(SAFE, "degraded").promote(25, "node-2", THIRD, 3)
    tape.write(30, 3, THIRD, 4, node="node-2")  # The second was confirmed.
    assert told(session(tape, WRITES)) == ("broken", True, 2)


def late_write_at_the_old_master():
    """A write is acknowledged by the second master; the next one times out at the first."""
    tape = served().promote(15, "node-1", SECOND, 3).write(20, 1, SECOND, 4, node="node-1")
    return tape.write(30, 2, FIRST, 3, outcome="timeout")


def test_a_write_that_timed_out_and_is_discarded_has_no_place_among_others():
    assert told(session(late_write_at_the_old_master(), WRITES)) == ("not_exercised", True, 0)


def test_a_write_that_timed_out_and_is_kept_without_an_earlier_one_is_broken():
    tape = late_write_at_the_old_master().promote(40, "node-0", THIRD, 4)
    assert told(session(tape, WRITES)) == ("broken", True, 1)


def test_one_write_is_not_exercised():
    found = session(served().write(10, 1, FIRST, 3), WRITES)
    assert found.evidence == ("no client wrote twice",)


def read_then_write(policy, options=SAFE):
    tape = served(options).append(5, "node-0", FIRST, 3)
    tape.read(10, 1, FIRST, 3, 0, policy=policy).promote(15, "node-1", SECOND, 3)
    return tape.write(20, 2, SECOND, 4, node="node-1")


def test_a_write_whose_history_lacks_a_proven_read_is_broken_and_else_counted():
    assert told(session(read_then_write("linearizable"), ORDER)) == ("broken", True, 1)
    assert told(session(read_then_write("nearest"), ORDER)) == ("seen_not_promised", False, 1)
    weak = session(read_then_write("linearizable", WEAK), ORDER)
    assert told(weak) == ("seen_not_promised", False, 1)


def test_a_write_after_a_read_in_its_history_holds_and_without_a_read_is_not_exercised():
    tape = served().read(10, 1, FIRST, 2, 0, policy="linearizable").write(20, 2, FIRST, 3)
    assert told(session(tape, ORDER)) == ("held", True, 0)
    found = session(served().write(20, 2, FIRST, 3), ORDER)
    assert found.evidence == ("no client wrote after a read",)


# Staleness


def stale(options=SAFE, *, read_at=300, bound_ms=100, promise=FIRST):
    """node-1 has offset 2; offset 3 is written at 100 ms and offset 4 at 200 ms."""
    tape = served(options).add(4, "promise", "node-1", number=promise)
    tape.append(100, "node-0", FIRST, 3).append(200, "node-0", FIRST, 4)
    return tape.read(
        read_at, 1, FIRST, 2, 0, policy="bounded_staleness", node="node-1", bound_ms=bound_ms
    )


def test_a_read_is_as_stale_as_the_oldest_record_that_it_lacks():
    (found,) = staleness_of_reads(stale().evidence()).values()
    assert (found.age_ns, found.operation_count) == (202_000_000, 2)
    assert found.is_of_highest_epoch


def test_the_staleness_is_that_of_the_moment_in_which_the_node_answers():
    tape = stale()
    answered = tape.events.pop()
    tape.answer(301, "node-1", answered.request, answered.epoch, answered.offset)
    tape.append(302, "node-0", FIRST, 5).events.append(answered)
    (found,) = staleness_of_reads(tape.evidence()).values()
    assert (found.age_ns, found.operation_count) == (201_000_000, 2)


def test_a_read_within_its_bound_holds_and_one_beyond_it_is_broken():
    found = check_staleness(stale(bound_ms=202).evidence())
    assert (told(found), found.evidence) == (("held", True, 0), ("1 bounded reads",))
    found = check_staleness(stale(bound_ms=201).evidence())
    assert told(found) == ("broken", True, 1)
    assert found.evidence[0] == (
        "read 1 at node-1 was 202.0 ms and 2 operations old, with a bound of 201 ms"
    )


def test_the_bound_is_not_promised_of_a_master_that_is_no_longer_the_highest():
    tape = served().add(4, "promise", "node-1", number=FIRST).promote(5, "node-2", SECOND, 1)
    tape.read(300, 1, FIRST, 2, 0, policy="bounded_staleness", node="node-1", bound_ms=100)
    found = check_staleness(tape.evidence())
    assert told(found) == ("seen_not_promised", False, 1)


def test_the_bound_is_not_promised_where_clocks_go_wrong():
    tape = stale().fault(400, sim.ClockDrift(at_ms=400, node="node-1", ppm=500))
    found = check_staleness(tape.evidence())
    assert told(found) == ("seen_not_promised", False, 1)
    assert found.evidence[0] == "not promised: clocks were made to go wrong"


def test_other_reads_do_not_exercise_the_bound():
    found = check_staleness(served().read(10, 1, FIRST, 2, 0).evidence())
    assert found.evidence == ("no read under bounded_staleness was answered",)


# Values


def values(tape):
    return check_values(tape.evidence())


def test_reads_that_tell_the_last_write_of_their_key_hold():
    tape = Tape().begin().write(10, 1, FIRST, 2).write(20, 2, FIRST, 3, key="b")
    tape.read(30, 3, FIRST, 3, 1).read(40, 4, FIRST, 2, 0, key="b").read(
        50, 5, FIRST, 3, 2, key="b"
    )
    found, deleted = values(tape)
    assert (told(found), found.evidence) == (("held", True, 0), ("3 reads",))
    assert deleted.evidence == ("no deleted row was read",)


@pytest.mark.parametrize("value", [0, -1, 9])
def test_a_read_that_tells_another_value_than_its_history_is_broken(value):
    found, _ = values(Tape().begin().write(10, 1, FIRST, 2).read(30, 3, FIRST, 2, value))
    assert told(found) == ("broken", True, 1)
    assert found.evidence[0] == (
        f"read 3 of 'a' at node-0 (32.0 ms, offset 2 of node-0@1) found {value}, "
        "where 1 was written at offset 2 of node-0@1"
    )


def test_a_read_from_before_a_write_that_tells_it_is_broken():
    found, _ = values(Tape().begin().write(10, 1, FIRST, 2).read(30, 3, FIRST, 1, 1))
    assert found.evidence[0].endswith("found 1, where nothing had been written")


def test_a_deleted_row_that_stays_away_holds_and_one_that_returns_is_broken():
    tape = Tape().begin().write(10, 1, FIRST, 2).write(20, 2, FIRST, 3, kind="delete")
    _, found = values(tape.read(30, 3, FIRST, 3, -1))
    assert (told(found), found.evidence) == (("held", True, 0), ("1 reads of deleted rows",))
    _, found = values(tape.read(40, 4, FIRST, 3, 1))
    assert told(found) == ("broken", True, 1)
    assert found.evidence[0].endswith("found 1, deleted at offset 3 of node-0@1")
    _, found = values(tape.write(50, 5, FIRST, 4).read(60, 6, FIRST, 4, 5))
    assert found.observed_count == 1


def test_a_write_that_nobody_answered_is_known_by_its_record():
    tape = Tape().begin().invoke(10, 1, "write").append(11, "node-0", FIRST, 2, request=1)
    found, _ = values(tape.complete(90, 1, "silent").read(100, 3, FIRST, 2, 1))
    assert told(found) == ("held", True, 0)


def test_a_read_between_the_two_records_of_one_write_is_known_by_the_first():
    tape = Tape().begin().invoke(10, 1, "write")
    for ms, offset in ((11, 2), (12, 3)):
        tape.append(ms, "node-0", FIRST, offset, request=1)
    found, _ = values(tape.complete(90, 1, "silent").read(100, 3, FIRST, 2, 1))
    assert told(found) == ("held", True, 0)


def test_a_write_on_a_branch_that_the_read_is_not_of_does_not_count():
    tape = Tape().begin().write(10, 1, FIRST, 2).write(20, 2, FIRST, 3)
    tape.apply(25, "node-1", FIRST, 2, by="snapshot").promote(30, "node-1", SECOND, 3)
    found, _ = values(tape.read(40, 3, SECOND, 3, 1, node="node-1"))
    assert told(found) == ("held", True, 0)


def test_records_by_other_hands_make_values_unknown():
    tape = Tape().begin().write(10, 1, FIRST, 2).append(20, "node-0", FIRST, 3)
    found, deleted = values(tape.read(30, 3, FIRST, 3, 9))
    expected = ("1 records were written by other hands, of which the trace has no keys",)
    assert (found.verdict, found.evidence) == ("not_exercised", expected)
    assert (deleted.verdict, deleted.evidence) == ("not_exercised", expected)


def test_options_of_the_tape_are_what_the_names_say():
    assert replace(SAFE, write_concern=None) == WEAK


# Once


def asked_twice(epoch):
    """A write whose message comes a second time, when the node serves `epoch`."""
    tape = served().invoke(9, 1, "write")
    for ms, node, of, offset in ((10, "node-0", FIRST, 3), (20, "node-1", epoch, 4)):
        tape.append(ms, node, of, offset, request=1)
    return tape.complete(25, 1, "ok", FIRST, 3)


def test_a_write_that_is_made_once_holds():
    found = check_writes(served().append(10, "node-0", FIRST, 3).evidence())
    assert (told(found), found.evidence) == (("not_exercised", True, 0), ("no client has written",))
    found = check_writes(served().write(10, 1, FIRST, 3).evidence())
    assert (told(found), found.evidence) == (("held", True, 0), ("1 writes",))


def test_a_write_that_one_master_makes_twice_is_broken():
    found = check_writes(asked_twice(FIRST).evidence())
    assert told(found) == ("broken", True, 1)
    assert found.evidence[0] == (
        "write 1 was made 2 times in node-0@1: offset 3 of node-0@1, offset 4 of node-0@1"
    )


def test_a_write_that_two_masters_make_is_told_and_not_promised_away():
    found = check_writes(asked_twice(SECOND).evidence())
    assert told(found) == ("seen_not_promised", False, 1)
    assert found.evidence[1] == (
        "write 1 was made by 2 masters: offset 3 of node-0@1, offset 4 of node-1@2"
    )


def test_the_second_record_of_a_write_is_no_write_of_other_hands():
    assert asked_twice(FIRST).evidence().foreign_count == 0
