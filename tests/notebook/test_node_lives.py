"""The life of a node follows from the rows of the trace that are about it."""

import pytest

from tests.notebook.runs import run_of
from tests.sim.tape import FIRST, SECOND, WEAK, Tape
from vectorkit.notebook.node_lives import NodeLife, lives_of_nodes


def lives(tape, node="node-1"):
    return [life for _, life in lives_of_nodes(run_of(tape, duration_ms=100.0))[node]]


def logs(tape):
    return [(life.received, life.flushed, life.applied) for life in lives(tape)]


def test_rows_that_change_nothing_leave_no_trace():
    tape = Tape(WEAK).flush(1, "node-1", 0).role(2, "node-1", "replica", FIRST)
    tape.role(3, "node-1", "replica", FIRST).add(4, "visible", "node-1", number=1)
    changes = lives_of_nodes(run_of(tape, duration_ms=100.0))
    assert changes == {"node-0": [], "node-1": [(2.0, NodeLife("replica", FIRST))], "node-2": []}


def test_a_record_is_received_flushed_and_applied():
    tape = Tape(WEAK).ack(1, "node-1", "node-0", FIRST, 0, received=3)
    tape.flush(2, "node-1", 2).apply(3, "node-1", FIRST, 1, 2)
    assert logs(tape) == [(3, 0, 0), (3, 2, 0), (3, 2, 1), (3, 2, 2)]


def test_a_snapshot_takes_the_place_of_a_longer_log():
    tape = Tape(WEAK).apply(1, "node-1", FIRST, 5).apply(2, "node-1", SECOND, 3, by="snapshot")
    assert logs(tape) == [(5, 0, 5), (3, 0, 3)]


def test_records_that_are_discarded_are_gone_everywhere():
    tape = Tape(WEAK).apply(1, "node-1", FIRST, 5).flush(1, "node-1", 4)
    tape.add(2, "discard", "node-1", number=3, value=2)
    assert logs(tape)[-1] == (2, 2, 2)


def test_a_crash_keeps_what_the_disk_had_and_what_got_there_all_the_same():
    tape = Tape(WEAK).apply(1, "node-1", FIRST, 9).flush(1, "node-1", 6)
    tape.add(2, "crash", "node-1", kind="torn", number=2)
    assert lives(tape)[-1] == NodeLife("down", received=8, flushed=8)


@pytest.mark.parametrize("last", [None, "flush"])
def test_a_lost_disk_takes_everything_until_something_is_written_to_another(last):
    tape = Tape(WEAK).role(1, "node-1", "replica", FIRST).flush(1, "node-1", 6)
    tape.crash(2, "node-1", kind="lost_disk")
    if last:
        tape.flush(3, "node-1", 0)
    assert lives(tape)[-1] == NodeLife("down", is_disk_lost=last is None)


def test_a_node_that_lost_its_state_holds_nothing():
    tape = Tape(WEAK).apply(1, "node-1", FIRST, 9).flush(1, "node-1", 9)
    assert logs(tape.add(2, "lost_state", "node-1", number=257, text="damaged"))[-1] == (0, 0, 0)


def test_an_epoch_never_falls():
    tape = Tape(WEAK).add(1, "promise", "node-1", number=SECOND).role(2, "node-1", "replica", 0)
    assert [life.epoch for life in lives(tape)] == [SECOND, SECOND]
