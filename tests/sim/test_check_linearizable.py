"""Linearizability: the search against every order of small histories, and the finding."""

from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sim.tape import FIRST, SAFE, SECOND, WEAK, Tape
from vectorkit.replication import WriteConcern
from vectorkit.sim.checks.linearizable import (
    Call,
    calls_of,
    check_linearizable,
    is_linearizable,
)
from vectorkit.sim.checks.requests import ObservedRequest


def write(begin, end, value):
    return Call(begin, end, True, value)


def read(begin, end, value):
    return Call(begin, end, False, value)


HISTORIES = {
    "empty": ([], "yes"),
    "read of nothing": ([read(0, 1, -1)], "yes"),
    "read of a row never written": ([read(0, 1, 0)], "yes"),
    "the first value is one": ([read(0, 1, 0), read(2, 3, -1)], "no"),
    "read of a value never written": ([read(0, 1, 5)], "no"),
    "stale read": ([write(0, 1, 5), write(2, 3, 6), read(4, 5, 5)], "no"),
    "overlapping read sees either": ([write(0, 1, 5), write(2, 5, 6), read(3, 4, 5)], "yes"),
    "overlapping reads that go back": (
        [write(0, 1, 5), write(2, 9, 6), read(3, 4, 6), read(5, 6, 5)],
        "no",
    ),
    "unknown write takes effect later": (
        [write(0, 1, 5), write(2, None, 6), read(3, 4, 5), read(5, 6, 6)],
        "yes",
    ),
    "unknown write never happens": ([write(0, 1, 5), write(2, None, 6), read(3, 4, 5)], "yes"),
    "unknown write cannot be undone": (
        [write(0, 1, 5), write(2, None, 6), read(3, 4, 6), read(5, 6, 5)],
        "no",
    ),
    "unknown write cannot come before it was asked": ([read(0, 1, 6), write(2, None, 6)], "no"),
    "delete, then read": ([write(0, 1, 5), write(2, 3, -1), read(4, 5, -1)], "yes"),
    "deleted row that returns": ([write(0, 1, 5), write(2, 3, -1), read(4, 5, 5)], "no"),
}


@pytest.mark.parametrize(("calls", "answer"), HISTORIES.values(), ids=HISTORIES)
def test_small_histories_are_told_apart(calls, answer):
    assert is_linearizable(calls) == answer


def by_all_orders(calls):
    """The definition itself: some order, within time, of all known and any unknown calls."""
    known = [call for call in calls if call.end is not None]
    unknown = [call for call in calls if call.end is None]
    for mask in range(1 << len(unknown)):
        chosen = known + [call for bit, call in enumerate(unknown) if mask >> bit & 1]
        for order in permutations(chosen):
            in_time = all(
                later.end is None or later.end > earlier.begin
                for place, earlier in enumerate(order)
                for later in order[place + 1 :]
            )
            if in_time and any(_answers(order, first) for first in (0, -1)):
                return "yes"
    return "no"


def _answers(order, value):
    for call in order:
        if call.is_write:
            value = call.value
        elif call.value != value:
            return False
    return True


@st.composite
def histories(draw):
    count = draw(st.integers(0, 5))
    edges = draw(st.permutations(range(2 * count)))
    calls = []
    for place in range(count):
        begin, end = sorted(edges[2 * place : 2 * place + 2])
        is_write = draw(st.booleans())
        value = draw(st.integers(-1, 3))
        has_end = not is_write or draw(st.booleans())
        calls.append(Call(begin, end if has_end else None, is_write, value))
    return calls


@settings(max_examples=400, deadline=None)
@given(histories())
def test_the_search_agrees_with_the_definition(calls):
    assert is_linearizable(calls) == by_all_orders(calls)


def test_a_search_that_takes_too_many_steps_gives_up():
    calls = [write(place, 100 + place, place) for place in range(1, 20)]
    calls += [read(200, 201, 1), read(202, 203, 2)]
    assert is_linearizable(calls, steps_max=500) == "gave up"


def test_a_long_history_one_after_the_other_takes_steps_in_its_length():
    calls = [
        call
        for place in range(1, 1_001)
        for call in (
            write(4 * place, 4 * place + 1, place),
            read(4 * place + 2, 4 * place + 3, place),
        )
    ]
    assert is_linearizable(calls, steps_max=5_000) == "yes"


# The finding


def tape(options=SAFE):
    return Tape(options).begin().write(10, 1, FIRST, 2).write(20, 2, FIRST, 3)


def told(found):
    return found.verdict, found.is_promised, found.observed_count


def test_linearizable_reads_of_the_last_value_hold():
    found = check_linearizable(tape().read(30, 3, FIRST, 3, 2, policy="linearizable").evidence())
    assert (told(found), found.evidence) == (("held", True, 0), ("3 calls",))


def test_a_stale_linearizable_read_is_broken_and_named():
    stale = tape().read(30, 3, FIRST, 2, 1, policy="linearizable")
    found = check_linearizable(stale.evidence())
    assert told(found) == ("broken", True, 1)
    assert found.evidence[0] == (
        "the 3 calls of 'a', up to 32.0 ms, have no order that one copy could have answered in: "
        "the answer that found 1 at 32.0 ms cannot be placed"
    )


def test_the_first_read_that_cannot_be_placed_is_named():
    reads = tape().read(30, 3, FIRST, 3, 2, policy="linearizable")
    reads.read(40, 4, FIRST, 2, 1, policy="linearizable")
    reads.read(50, 5, FIRST, 2, 1, policy="linearizable")
    found = check_linearizable(reads.evidence())
    assert found.evidence[0].endswith("the answer that found 1 at 42.0 ms cannot be placed")


def test_a_stale_read_is_counted_where_the_write_concern_promises_nothing():
    found = check_linearizable(
        tape(WEAK).read(30, 3, FIRST, 2, 1, policy="linearizable").evidence()
    )
    assert told(found) == ("seen_not_promised", False, 1)


def test_reads_by_other_policies_and_refused_writes_do_not_count():
    found = check_linearizable(tape().read(30, 3, FIRST, 2, 1, policy="nearest").evidence())
    idle = "no read under linearizable was answered, and no write by what it found"
    assert found.evidence == (idle,)
    refused = Tape().begin().write(10, 1, FIRST, 2).invoke(20, 2, "write")
    refused.complete(21, 2, "refused").read(30, 3, FIRST, 2, 2, policy="linearizable")
    assert told(check_linearizable(refused.evidence())) == ("broken", True, 1)


# Writes that are answered by what they found


ABSENT = pytest.mark.parametrize("error", ["vector_not_found", "collection_not_found"])


def refused(ms, error, *, key="a", options=SAFE):
    """A row that is written, deleted and written again, and an update refused meanwhile."""
    tape = Tape(options).begin()
    steps = {
        10: lambda: tape.write(10, 1, FIRST, 2),
        20: lambda: tape.write(20, 2, FIRST, 3, kind="delete"),
        40: lambda: tape.write(40, 3, FIRST, 4),
        ms: lambda: tape.invoke(ms, 9, "write", key=key),
        ms + 2: lambda: tape.complete(ms + 2, 9, "refused", error=error),
    }
    for at_ms in sorted(steps):
        steps[at_ms]()
    return check_linearizable(tape.evidence())


@ABSENT
def test_a_refusal_that_no_order_allows_is_broken(error):
    assert told(refused(30, error)) == ("held", True, 0)
    assert told(refused(19, error)) == ("held", True, 0)  # It overlaps the delete.
    for ms in (15, 45):
        found = refused(ms, error)
        assert told(found) == ("broken", True, 1)
        assert f"the answer that found -1 at {ms + 2:,}.0 ms cannot be placed" in found.evidence[0]


def test_a_refusal_that_tells_nothing_of_the_row_is_no_read():
    for error in ("invalid_payload", "disk_full", "vector_exists"):
        assert refused(15, error).verdict == "not_exercised"
    assert refused(15, "vector_not_found", key="b").verdict == "held"


@pytest.mark.parametrize(
    "options",
    [WEAK, replace(SAFE, disk=None, write_concern=WriteConcern(count=1, stage="applied"))],
)
def test_a_refusal_of_a_cluster_that_can_prove_nothing_does_not_count(options):
    assert refused(15, "vector_not_found", options=options).verdict == "not_exercised"


def deleted_nothing(ms, options=SAFE):
    """A row that is written at 10 and deleted at 20, and a delete that changes nothing."""
    tape = Tape(options).begin().write(10, 1, FIRST, 2).write(20, 2, FIRST, 3, kind="delete")
    tape.invoke(ms, 3, "delete").complete(ms + 1, 3, "ok", FIRST, 3)  # It has named no record.
    return tape


def test_a_delete_that_changes_nothing_is_a_read_that_found_no_row():
    assert told(check_linearizable(deleted_nothing(30).evidence())) == ("held", True, 0)
    tape = Tape().begin().write(10, 1, FIRST, 2)
    tape.invoke(20, 2, "delete").complete(21, 2, "ok", FIRST, 2)
    found = check_linearizable(tape.evidence())  # The row is there: no read tells, and none has to.
    assert told(found) == ("broken", True, 1)


def test_a_delete_that_changes_nothing_proves_nothing_where_nothing_can_be_proven():
    tape = Tape(WEAK).begin().write(10, 1, FIRST, 2)
    tape.invoke(20, 2, "delete").complete(21, 2, "ok", FIRST, 2)
    assert told(check_linearizable(tape.evidence())) == ("not_exercised", False, 0)
    tape.read(30, 3, FIRST, 2, 1, policy="linearizable")
    assert told(check_linearizable(tape.evidence())) == ("seen_not_promised", False, 1)


def test_a_write_that_timed_out_with_nothing_written_has_not_happened():
    tape = Tape().begin().write(10, 1, FIRST, 2).invoke(20, 2, "write")
    tape.complete(25, 2, "timeout", error="nothing_written")
    tape.read(30, 3, FIRST, 3, 2, policy="linearizable")
    assert told(check_linearizable(tape.evidence())) == ("broken", True, 1)


@pytest.mark.parametrize(
    ("outcome", "error"),
    [
        ("refused", "vector_not_found"),
        ("not_master", "not_master"),
        ("timeout", "nothing_written"),
    ],
)
def test_a_copy_that_another_master_has_written_may_happen_at_any_time(outcome, error):
    request = ObservedRequest("client-0", 7, "write", "node-0", "a", "", None, 1, 0, 5, 0, outcome)
    request.error = error
    seen = ObservedRequest(
        "client-0", 8, "read", "node-1", "a", "linearizable", None, 9, 0, 12, 0, "ok"
    )
    seen.value = 7
    reads = [] if outcome != "refused" else [Call(1, 5, False, -1)]
    assert calls_of([request, seen], {}) == {"a": [*reads, Call(9, 12, False, 7)]}
    request.places.append((SECOND, 3))
    late = Call(1, None, True, 7)
    assert calls_of([request, seen], {}) == {"a": [*reads, late, Call(9, 12, False, 7)]}


@pytest.mark.parametrize("outcome", ["timeout", "degraded", "silent"])
def test_a_write_of_unknown_outcome_may_come_late_or_never(outcome):
    late = Tape().begin().write(10, 1, FIRST, 2).invoke(20, 2, "write")
    late.complete(25, 2, outcome).read(30, 3, FIRST, 2, 1, policy="linearizable")
    late.read(40, 4, FIRST, 2, 2, policy="linearizable")
    assert told(check_linearizable(late.evidence())) == ("held", True, 0)


def test_a_search_that_gives_up_is_not_exercised_and_says_so():
    found = check_linearizable(
        tape().read(30, 3, FIRST, 3, 2, policy="linearizable").evidence(), steps_max=2
    )
    assert (found.verdict, found.observed_count) == ("not_exercised", 0)
    assert found.evidence == ("gave up on 'a' after 2 steps each: 1 of 1 keys",)


def test_a_violation_of_one_key_counts_although_another_was_given_up():
    both = tape()
    for request, value in ((3, 2), (4, 2), (5, 2)):
        both.read(30 + request, request, FIRST, 3, value, policy="linearizable")
    both.read(50, 6, FIRST, 3, 7, policy="linearizable", key="b")
    found = check_linearizable(both.evidence(), steps_max=3)
    assert told(found) == ("broken", True, 1)


def test_records_by_other_hands_make_it_not_exercised():
    foreign = tape().append(25, "node-0", FIRST, 4)
    found = check_linearizable(foreign.read(30, 3, FIRST, 4, 9, policy="linearizable").evidence())
    assert found.verdict == "not_exercised"
    assert found.evidence[0].startswith("1 records were written by other hands")
