"""What happened, a line each: named as the reader knows it, and no line says what another said."""

import pytest

from tests.notebook.runs import failover, run_of
from tests.sim.tape import FIRST, SECOND, WEAK, Tape
from vectorkit import sim
from vectorkit.notebook.events import Event, describe, events_of


def texts(tape):
    return [each.text for each in events_of(run_of(tape, duration_ms=100.0))]


def test_a_failover_is_told_line_by_line():
    assert events_of(failover()) == [
        Event(0.0, "node-0 is master (node-0@1)"),
        Event(1.0, "node-1 is replica"),
        Event(1.0, "Connected: node-1"),
        Event(1.0, "node-2 is replica"),
        Event(1.0, "Connected: node-2"),
        Event(100.0, "Crash of node-0 starts"),
        Event(100.0, "node-0 goes down"),
        Event(100.0, "Disconnected: node-0, node-1, node-2"),
        Event(120.0, "Partition of node-2 starts"),
        Event(140.0, "node-1 is candidate (node-1@2)"),
        Event(150.0, "node-1 is master (node-1@2)"),
        Event(200.0, "Partition of node-2 ends"),
        Event(300.0, "Crash of node-0 ends"),
        Event(300.0, "node-0 starts again"),
        Event(301.0, "node-0 is replica"),
    ]


def test_a_replica_that_follows_another_master_is_no_event():
    tape = Tape(WEAK).role(1, "node-1", "replica", FIRST).role(2, "node-1", "replica", SECOND)
    assert texts(tape) == ["node-1 is replica"]


def test_healths_of_one_moment_share_a_line_if_they_are_equal():
    tape = Tape(WEAK)
    for ms, node, kind in (
        (1, "node-1", "Lagging"),
        (1, "node-2", "Syncing"),
        (2, "node-0", "Syncing"),
    ):
        tape.add(ms, "status", "", node, kind=kind)
    assert texts(tape) == ["Lagging: node-1", "Syncing: node-2", "Syncing: node-0"]


def test_a_lost_disk_is_told():
    assert texts(Tape(WEAK).crash(1, "node-1", kind="lost_disk")) == ["node-1 goes down, disk lost"]


def test_a_node_that_is_down_does_not_go_down_again():
    tape = Tape(WEAK).crash(1, "node-1", kind="lost_disk").crash(2, "node-1", kind="lost_disk")
    tape.crash(3, "node-2", kind="").crash(4, "node-2", kind="")
    assert texts(tape) == [
        "node-1 goes down, disk lost",
        "node-1 loses its disk while it is down",
        "node-2 goes down",
    ]


def test_syncs_are_told_as_their_master_sees_them_with_the_reason_why_they_are_full():
    tape = Tape(WEAK)
    tape.add(1, "sync", "node-0", "node-1", "full", text="started too_old")
    tape.add(2, "sync", "node-1", "node-1", "full", text="started too_old")
    tape.add(3, "sync", "node-0", "node-1", "full", text="finished too_old")
    tape.add(4, "sync", "node-0", "node-2", "partial", text="started")
    assert texts(tape) == [
        "full sync of node-1 started (too old)",
        "full sync of node-1 finished",
        "partial sync of node-2 started",
    ]


def test_a_fault_that_finds_no_master_is_told():
    text = '{"kind":"Pause","at_ms":1,"for_ms":5,"node":"CURRENT_MASTER"}'
    tape = Tape(WEAK).add(1, "fault", kind="none", text=text)
    assert texts(tape) == ["Pause of CURRENT_MASTER: there is none"]


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (sim.Crash(at_ms=0, node="node-1"), "Crash of node-1"),
        (sim.Partition(at_ms=0, isolate=["node-1", "node-2"]), "Partition of node-1, node-2"),
        (sim.Partition(at_ms=0, groups=[["a-1"], ["b-2", "c-3"]]), "Partition into a-1 | b-2, c-3"),
        (sim.Partition(at_ms=0, shape="ring"), "Partition as a ring"),
        (sim.Cut(at_ms=0, source="node-1"), "Cut from node-1 to all"),
        (sim.Degrade(at_ms=0, target="node-2", loss=0.1), "Degrade from all to node-2"),
        (sim.Block(at_ms=0, message="Ack"), "Block of Ack from all to all"),
    ],
)
def test_a_fault_is_described_by_its_kind_and_whom_it_befalls(fault, told):
    assert describe(fault) == told
