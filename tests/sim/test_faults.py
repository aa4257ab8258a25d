"""Faults are data: what cannot happen is refused, and nothing is lost on the way to text."""

import json
from dataclasses import FrozenInstanceError

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vectorkit import frames, sim
from vectorkit.errors import InvalidOption
from vectorkit.sim.faults.codec import check_faults
from vectorkit.sim.faults.faults import FAULTS

ONE_OF_EACH = [
    sim.Partition(at_ms=1, for_ms=2, isolate=["node-1", "client-0"]),
    sim.Partition(at_ms=1, for_ms=2, groups=[["node-0", "node-1"], ["node-2"]]),
    sim.Partition(at_ms=1, for_ms=2, shape="bridge"),
    sim.Cut(at_ms=1, for_ms=2, source="node-0", target="node-1"),
    sim.Clog(at_ms=1.5, for_ms=2, target="node-1"),
    sim.Block(at_ms=1, message="Ack", source="node-1"),
    sim.Degrade(at_ms=1, for_ms=2, delay_ms=0.25, loss=0.1, duplication=0.2, corruption=0.3),
    sim.Crash(at_ms=1, node=sim.CURRENT_MASTER),
    sim.Crash(at_ms=1, for_ms=2, node="node-1", lose_unsynced=False, lose_disk=True),
    sim.Restart(at_ms=1, node="node-1"),
    sim.Pause(at_ms=1, for_ms=2, node="node-1"),
    sim.SlowCpu(at_ms=1, for_ms=2, node="node-1", step_ms=0.1),
    sim.SlowDisk(at_ms=1, for_ms=2, node="node-1", factor=100),
    sim.StalledDisk(at_ms=1, for_ms=2, node="node-1"),
    sim.FullDisk(at_ms=1, for_ms=2, node="node-1"),
    sim.FlipBit(at_ms=1, node="node-1", offset=0),
    sim.ClockOffset(node="node-1", offset_ms=-86_400_000),
    sim.ClockDrift(at_ms=1, for_ms=2, node="node-1", ppm=-300),
    sim.ClockJump(at_ms=1, node="node-1", by_ms=5),
    sim.Promote(at_ms=1, node="node-1", force=True),
    sim.Replace(at_ms=1, node="node-1", target="node-0"),
    sim.Retire(at_ms=1, node="node-1"),
]


def test_the_list_of_examples_has_every_kind():
    assert {type(fault).__name__ for fault in ONE_OF_EACH} == set(FAULTS)


@pytest.mark.parametrize("fault", ONE_OF_EACH, ids=lambda fault: type(fault).__name__)
def test_a_fault_survives_its_dict_and_json(fault):
    text = json.dumps(fault.to_dict())
    assert sim.fault_from_dict(json.loads(text)) == fault
    with pytest.raises(FrozenInstanceError):
        fault.at_ms = 3


def test_a_dict_has_only_what_differs_and_whole_numbers_as_such():
    fault = sim.Crash(at_ms=6_000.0, for_ms=1_500.5, node=sim.CURRENT_MASTER)
    assert fault.to_dict() == {
        "kind": "Crash",
        "at_ms": 6000,
        "for_ms": 1500.5,
        "node": "CURRENT_MASTER",
    }


def test_a_list_of_faults_survives_its_frame():
    frame = frames.faults_frame(ONE_OF_EACH)
    assert frames.faults_from_frame(frame) == ONE_OF_EACH
    assert frame.loc[8, ["kind", "at_ms", "for_ms", "until_ms", "node"]].tolist() == [
        "Crash",
        1.0,
        2.0,
        3.0,
        "node-1",
    ]


def test_a_frame_of_no_faults_has_the_same_columns_and_dtypes():
    empty, full = frames.faults_frame([]), frames.faults_frame(ONE_OF_EACH)
    assert frames.faults_from_frame(empty) == []
    pd.testing.assert_series_equal(empty.dtypes, full.dtypes)


@given(st.integers(0, 10**6), st.one_of(st.none(), st.floats(0.001, 10**6)))
def test_any_crash_survives_frame_and_dict(at_ms, for_ms):
    fault = sim.Crash(at_ms=at_ms, for_ms=for_ms, node="node-1")
    assert sim.fault_from_dict(json.loads(json.dumps(fault.to_dict()))) == fault
    assert frames.faults_from_frame(frames.faults_frame([fault])) == [fault]


REFUSED = {
    "before now": (lambda: sim.Pause(at_ms=-1, for_ms=1, node="node-1"), "at_ms=-1"),
    "no time": (lambda: sim.Pause(at_ms=None, for_ms=1, node="node-1"), "at_ms=None"),
    "no length": (lambda: sim.Pause(at_ms=1, for_ms=0, node="node-1"), "for_ms=0"),
    "no node": (lambda: sim.Pause(at_ms=1, for_ms=1, node=""), "node=''"),
    "no group": (lambda: sim.Partition(at_ms=1, for_ms=1), "a list of node ids"),
    "a text as a list": (lambda: sim.Partition(at_ms=1, for_ms=1, isolate="node-1"), "node-1"),
    "two ways at once": (
        lambda: sim.Partition(at_ms=1, for_ms=1, isolate=["a"], shape="ring"),
        "shape='ring'",
    ),
    "no such shape": (lambda: sim.Partition(at_ms=1, for_ms=1, shape="star"), "star"),
    "a node twice": (
        lambda: sim.Partition(at_ms=1, for_ms=1, groups=[["a"], ["a", "b"]]),
        "each once",
    ),
    "no such message": (lambda: sim.Block(at_ms=1, for_ms=1, message="Hallo"), "Hallo"),
    "a chance of 2": (lambda: sim.Degrade(at_ms=1, for_ms=1, loss=2), "loss=2"),
    "a clock that goes back": (lambda: sim.ClockJump(at_ms=1, node="a", by_ms=-5), "by_ms=-5"),
    "a clock that stands": (
        lambda: sim.ClockDrift(at_ms=1, for_ms=1, node="a", ppm=-1_000_000),
        "ppm",
    ),
    "an offset later": (lambda: sim.ClockOffset(at_ms=5, node="a", offset_ms=1), "ClockJump"),
    "no kind": (lambda: sim.fault_from_dict({"at_ms": 1}), "kind={'at_ms': 1}"),
    "an unknown kind": (lambda: sim.fault_from_dict({"kind": "Fire"}), "kind='Fire'"),
    "an unknown key": (
        lambda: sim.fault_from_dict({"kind": "Restart", "at_ms": 1, "node": "a", "why": "?"}),
        "'why'",
    ),
    "a missing key": (lambda: sim.fault_from_dict({"kind": "Restart", "at_ms": 1}), "node"),
    "a wrong type": (
        lambda: sim.fault_from_dict({"kind": "Restart", "at_ms": "1", "node": "a"}),
        "at_ms",
    ),
    "no list": (lambda: check_faults(ONE_OF_EACH[0]), "a list of"),
    "no fault": (lambda: check_faults(["crash"]), "a list of"),
    "an unknown node": (
        lambda: check_faults([sim.Restart(at_ms=1, node="node-9")], ("node-0",)),
        "'node-9'",
    ),
    "a client that crashes": (
        lambda: check_faults([sim.Restart(at_ms=1, node="client-0")], ("node-0",), ("client-0",)),
        "'client-0'",
    ),
    "an unknown client": (
        lambda: check_faults(
            [sim.Cut(at_ms=1, for_ms=1, source="client-3")], ("node-0",), ("client-0",)
        ),
        "'client-3'",
    ),
}


@pytest.mark.parametrize(("make", "said"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_happen_is_refused(make, said):
    with pytest.raises(InvalidOption) as caught:
        make()
    assert said in str(caught.value)


def test_clients_and_the_current_master_may_be_named():
    faults = [
        sim.Partition(at_ms=1, for_ms=1, isolate=["node-0", "client-0"]),
        sim.Crash(at_ms=1, node=sim.CURRENT_MASTER),
    ]
    assert check_faults(faults, ("node-0",), ("client-0",)) == tuple(faults)
