"""What checks and frames say of sound runs that were once blamed or told wrongly."""

from pathlib import Path

import pytest

from tests.sim.tape import FIRST, SECOND, Tape
from vectorkit import sim
from vectorkit.sim.checks.linearizable import check_linearizable
from vectorkit.sim.checks.reads import check_values, check_writes
from vectorkit.sim.checks.sessions import check_sessions
from vectorkit.sim.world.trace_events import FlushTaken, RecordAppended

SCENARIOS = Path(__file__).with_name("scenarios")


def run_of(name):
    return sim.simulate(sim.Scenario.from_json((SCENARIOS / f"{name}.json").read_text("utf-8")))


@pytest.mark.parametrize("path", sorted(SCENARIOS.iterdir()), ids=lambda path: path.stem)
def test_a_sound_run_is_not_blamed(path):
    run = run_of(path.stem)
    assert run.check().broken == ()
    assert run.is_converged


def test_a_late_copy_is_told_and_not_promised_away():
    run = run_of("late-copy-acknowledged")
    found = run.check()["writes_are_made_once"]
    assert (found.is_promised, found.observed_count) == (False, 1)
    assert found.evidence[1] == (
        "write 16000 was made by 2 masters: offset 5 of node-1@2, offset 8 of node-1@4"
    )
    frame = run.operations.set_index(["epoch", "offset"])
    copy = frame[frame["outcome"] == "copy"].iloc[0]
    assert (copy.name[1], copy["request"], copy["invoked_ms"]) == (8, 16_000, 30.0)
    assert copy["answered_ms"] != copy["answered_ms"]
    text = str(run.explain(8))
    assert "by node-1: not about this record of a late copy" in text


def test_a_write_that_a_client_was_told_not_made_and_a_late_copy_made_is_told():
    run = run_of("late-copy-read")
    found = run.check()["writes_are_made_once"]
    assert (found.is_promised, found.observed_count) == (False, 1)
    assert found.evidence[1].startswith("write 2000, answered as not_master, was made all the same")


def copied(outcome="ok"):
    """A write made at 11 ms, overwritten at 21 ms, and made again of a copy by another master."""
    tape = Tape().begin().write(10, 1, FIRST, 2, outcome=outcome).write(20, 2, FIRST, 3)
    tape.apply(25, "node-1", FIRST, 3, by="snapshot").promote(30, "node-1", SECOND, 4)
    return tape.append(40, "node-1", SECOND, 5, request=1)


def test_a_late_copy_overwrites_what_came_between_for_every_reader():
    tape = copied().read(50, 3, SECOND, 5, 1, policy="linearizable", node="node-1")
    facts = tape.evidence()
    found = check_linearizable(facts)
    assert (found.verdict, found.observed_count) == ("held", 0)
    assert found.evidence[-1] == "1 records of late copies count as writes of their own"
    values, _ = check_values(facts)
    assert (values.verdict, values.observed_count) == ("held", 0)
    assert {each.verdict for each in check_sessions(facts)} <= {"held", "not_exercised"}
    assert check_writes(facts).observed_count == 1


def test_a_late_copy_excuses_no_read_from_before_it_was_made():
    tape = Tape().begin().write(10, 1, FIRST, 2).write(20, 2, FIRST, 3)
    tape.read(24, 3, FIRST, 3, 1, policy="linearizable")
    tape.apply(27, "node-1", FIRST, 3, by="snapshot").promote(30, "node-1", SECOND, 4)
    found = check_linearizable(tape.append(40, "node-1", SECOND, 5, request=1).evidence())
    assert (found.verdict, found.observed_count) == ("broken", 1)


def test_a_busy_master_cannot_confirm_what_it_has_not_been_told():
    run = run_of("busy-master")
    late = run.trace.of(FlushTaken)
    assert late
    written = {event.offset: event.time_ns for event in run.trace.of(RecordAppended)}
    assert max(event.time_ns - written[event.offset] for event in late) == 288_000_000
