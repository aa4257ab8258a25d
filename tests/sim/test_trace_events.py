"""Events of a trace: each class has one encoding, nothing of it is lost, and no two share one."""

import string
from dataclasses import fields
from types import UnionType
from typing import Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sim.decode import event_of
from vectorkit import sim
from vectorkit.sim.faults.faults import Fault
from vectorkit.sim.world.trace import Trace, TraceRow
from vectorkit.sim.world.trace_events import (
    EVENT_TYPES,
    MessageSent,
    NodeStarted,
    RoleTaken,
    SyncReported,
)

WORDS = st.text(string.ascii_letters + string.digits + "_-@", min_size=1, max_size=12)
FAULTS = [
    sim.Crash(at_ms=5.5, node="node-1", lose_disk=True),
    sim.Partition(at_ms=1, for_ms=2, groups=[["node-0"], ["node-1", "node-2"]]),
    sim.Block(at_ms=0, for_ms=500, message="Records", target="node-1"),
]


def values_of(hint):
    """Values of a field by its type."""
    if get_origin(hint) in (Union, UnionType):
        return st.one_of(*map(values_of, get_args(hint)))
    if get_origin(hint) is tuple:
        return st.tuples(*map(values_of, get_args(hint)))
    by_type = {
        int: st.integers(-1, 1 << 40),
        str: WORDS,
        bool: st.booleans(),
        type(None): st.none(),
        Fault: st.sampled_from(FAULTS),
    }
    return by_type[hint]


def events_of(kind):
    hints = get_type_hints(kind)
    return st.builds(kind, **{each.name: values_of(hints[each.name]) for each in fields(kind)})


@pytest.mark.parametrize("kind", EVENT_TYPES, ids=lambda kind: kind.__name__)
@settings(max_examples=25)
@given(data=st.data())
def test_an_encoding_holds_all_of_an_event(kind, data):
    event = data.draw(events_of(kind))
    row = event.row()
    assert len(row) == 8
    assert event_of(TraceRow._make(row)) == event


@settings(max_examples=5)
@given(events=st.tuples(*map(events_of, EVENT_TYPES)))
def test_no_two_classes_share_an_encoding(events):
    assert len({event.row()[1] for event in events}) == len(EVENT_TYPES)


def test_events_that_the_simulator_wrote_as_tuples_are_read_as_events():
    trace = Trace()
    trace.add(NodeStarted(1, "node-0", "first", boot=1))
    trace.add_raw(("MessageSent", 2, "node-0", "node-1", "Hello", 1, 40, ""))
    assert trace.events == [
        NodeStarted(1, "node-0", "first", boot=1),
        MessageSent(2, "node-0", "node-1", "Hello", 1, 40),
    ]
    trace.add_raw(("MessageSent", 3, "node-1", "node-0", "Ack", 1, 30, "copy"))
    assert trace.of(MessageSent)[1] == MessageSent(3, "node-1", "node-0", "Ack", 1, 30, "copy")
    assert [row.text for row in trace.rows] == ["", "", "copy"]
    assert repr(trace) == "Trace(3 events)"


def test_a_copy_of_a_trace_does_not_follow_its_original():
    trace = Trace()
    trace.add_raw(("MessageSent", 2, "node-0", "node-1", "Hello", 1, 40, ""))
    copied = trace.copy()
    trace.add(NodeStarted(3, "node-0", "first", boot=1))
    assert (len(copied), len(trace)) == (1, 2)
    assert copied.events == trace.events[:1]


def test_the_hash_is_that_of_the_rows():
    run = sim.simulate(sim.ClusterOptions(replicas=1), duration_ms=500, seed=7)
    again = Trace()
    for row in run.trace.rows:
        again.add(event_of(row))
    assert again.hash() == run.trace_hash


def test_events_of_some_classes_keep_their_order():
    run = sim.simulate(sim.ClusterOptions(replicas=1), duration_ms=500, seed=7)
    found = run.trace.of(SyncReported, RoleTaken)
    assert found == [e for e in run.trace.events if isinstance(e, SyncReported | RoleTaken)]
    assert {type(event) for event in found} == {SyncReported, RoleTaken}


def test_a_fault_names_the_master_that_it_hit_once():
    faults = [
        sim.Partition(at_ms=100, for_ms=50, isolate=["node-0", sim.CURRENT_MASTER]),
        sim.Cut(at_ms=200, for_ms=50, source=sim.CURRENT_MASTER, target="node-1"),
    ]
    run = sim.simulate(sim.ClusterOptions(replicas=2), faults=faults, duration_ms=500, seed=7)
    windows = run.fault_windows
    assert windows["node"].tolist() == ["node-0", "node-0 node-1"]
    assert "CURRENT_MASTER" not in "".join(windows["details"])
