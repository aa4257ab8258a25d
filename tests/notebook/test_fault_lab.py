"""The laboratory of faults: what is chosen is what runs, and its code repeats it."""

import sys
from dataclasses import replace

import pytest

from vectorkit import sim
from vectorkit.errors import InvalidOption
from vectorkit.notebook.fault_lab import (
    AS_GIVEN,
    CONCERNS,
    CUT_OFF_WITH_CLIENTS,
    FAILOVERS,
    FAULTS,
    MASTER,
    NO_FAULT,
    FaultChoice,
    FaultLab,
    chosen,
    fault_lab,
)
from vectorkit.notebook.widgets import Still

SMALL = sim.Scenario(
    sim.ClusterOptions(replicas=1),
    workload=sim.Workload(writes_per_s=20, source="uniform:10x4"),
    duration_ms=1_000,
    seed=3,
)
AT = {"at_ms": 200, "for_ms": 300}


@pytest.fixture
def lab():
    return FaultLab(SMALL)


def executed(code):
    names = {}
    exec(code, names)
    return names


# What is chosen


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        ("crash", sim.Crash(node="node-1", **AT)),
        ("crash, disk lost", sim.Crash(node="node-1", lose_disk=True, **AT)),
        ("cut off", sim.Partition(isolate=["node-1"], **AT)),
        (CUT_OFF_WITH_CLIENTS, sim.Partition(isolate=["node-1", "client-0"], **AT)),
        ("pause", sim.Pause(node="node-1", **AT)),
        ("lossy links to the node", sim.Degrade(target="node-1", loss=0.3, **AT)),
        ("disk 200 × slower", sim.SlowDisk(node="node-1", factor=200, **AT)),
        ("disk full", sim.FullDisk(node="node-1", **AT)),
    ],
)
def test_every_kind_of_fault_becomes_the_fault_of_its_name(kind, fault):
    assert FaultChoice(kind=kind, node="node-1", **AT).fault(SMALL) == fault


def test_all_kinds_on_offer_run():
    for kind in (*FAULTS, CUT_OFF_WITH_CLIENTS):
        choice = FaultChoice(kind=kind, **AT)
        scenario = chosen(SMALL, [choice], concern=AS_GIVEN, failover=AS_GIVEN, seed=3)
        assert sim.simulate(scenario).check().broken == ()


def test_the_master_is_whoever_it_is_when_the_fault_begins():
    assert FaultChoice(kind="pause", node=MASTER, **AT).fault(SMALL).node == sim.CURRENT_MASTER


def test_no_fault_is_none_and_clients_that_are_not_there_go_with_nobody():
    assert FaultChoice().fault(SMALL) is None
    alone = replace(SMALL, workload=None)
    cut = FaultChoice(kind=CUT_OFF_WITH_CLIENTS, node="node-1", **AT).fault(alone)
    assert cut.isolate == ("node-1",)


def test_what_is_chosen_takes_the_place_of_what_was_given():
    given = replace(
        SMALL.options,
        replication=replace(SMALL.options.replication, failover=sim.Failover(deadline_ms=9_000)),
    )
    own = sim.Pause(at_ms=5, for_ms=5, node="node-0")
    base = replace(SMALL, options=given, faults=[own])
    choice = FaultChoice(kind="pause", node="node-1", **AT)
    same = chosen(base, [choice], concern=AS_GIVEN, failover=AS_GIVEN, seed=8)
    assert same == replace(base, faults=[own, choice.fault(base)], seed=8)
    other = chosen(base, [], concern="all, applied", failover="off", seed=3)
    assert other.options.protocol.failover is None
    assert other.options.protocol.write_concern == CONCERNS["all, applied"]
    assert (other.workload, other.faults) == (base.workload, (own,))


@pytest.mark.parametrize("failover", FAILOVERS)
def test_every_failover_on_offer_is_what_the_cluster_gets(failover):
    scenario = chosen(SMALL, [], concern=AS_GIVEN, failover=failover, seed=3)
    assert scenario.options.protocol.failover == FAILOVERS[failover]


# The laboratory


def test_it_opens_with_a_loss_that_a_write_concern_prevents():
    lab = fault_lab()
    assert (lab.outcome.lost, lab.outcome.findings.broken) == (160, ())
    lab.concern.value = "majority, flushed"
    lab.button.click()
    assert (lab.outcome.lost, lab.outcome.findings.broken) == (0, ())
    assert lab.outcome.silence_ms_max > 2_500


def test_a_given_scenario_is_run_as_it_is():
    lab = sim.fault_lab(SMALL)
    assert lab.scenario == SMALL
    assert lab.run.trace_hash == sim.simulate(SMALL).trace_hash
    assert lab.faults[0].kind.value == NO_FAULT
    assert (lab.concern.value, lab.failover.value, lab.seed.value) == (AS_GIVEN, AS_GIVEN, 3)


@pytest.mark.parametrize("seed", [0, 2**31, 2**64 - 1])
def test_every_seed_of_a_given_scenario_is_its_seed(seed):
    assert FaultLab(replace(SMALL, workload=None, seed=seed)).run.seed == seed


@pytest.mark.parametrize("base", ["x", SMALL.options, 7])
def test_what_is_no_scenario_is_refused(base):
    with pytest.raises(InvalidOption, match="wanted a Scenario"):
        sim.fault_lab(base)


def test_the_code_repeats_the_run(lab):
    lab.faults[0].kind.value, lab.faults[1].kind.value = "crash", CUT_OFF_WITH_CLIENTS
    lab.faults[0].node.value = "node-1"
    lab.faults[0].at_ms.value, lab.faults[1].for_ms.value = 300, 400
    lab.concern.value, lab.failover.value, lab.seed.value = "all, applied", "phi accrual", 11
    lab.simulate()
    repeated = executed(lab.code.value)
    assert repeated["scenario"] == lab.scenario
    assert repeated["run"].trace_hash == lab.run.trace_hash == lab.outcome.trace_hash
    assert lab.outcome.trace_hash[:12] in lab.html.value


def test_the_button_tells_whether_what_is_seen_is_what_is_chosen(lab):
    assert lab.button.button_style == ""
    controls = {
        lab.concern: "all, applied",
        lab.failover: "phi accrual",
        lab.seed: 4,
        lab.faults[0].kind: "pause",
    }
    for control, value in controls.items():
        before = control.value
        control.value = value
        assert lab.button.button_style == "primary"
        control.value = before
        assert lab.button.button_style == ""
    lab.faults[0].at_ms.value = 500  # Of no fault.
    assert lab.button.button_style == ""
    lab.seed.value = 4
    lab.button.click()
    assert lab.button.button_style == ""
    assert lab.run.seed == 4


def test_nothing_of_the_last_run_is_touched_by_a_choice(lab):
    seen = lab.html.value, lab.image.value, lab.code.value, lab.run
    lab.seed.value, lab.concern.value = 5, "all, applied"
    assert seen == (lab.html.value, lab.image.value, lab.code.value, lab.run)


@pytest.mark.parametrize("duration_ms", [2, 30, 1_000, 8_050, 600_000])
def test_sliders_stand_on_multiples_of_their_step_within_the_run(duration_ms):
    lab = FaultLab(replace(SMALL, workload=None, duration_ms=duration_ms))
    lab.faults[0].kind.value = "pause"
    for slider in (lab.faults[0].at_ms, lab.faults[0].for_ms):
        assert slider.value % slider.step == slider.min % slider.step == 0
        slider.value = slider.max
    assert lab.scenario.faults[0].at_ms < duration_ms


def test_it_shows_a_picture_and_code_without_a_scroll_bar(lab):
    assert bytes(lab.image.value).startswith(b"\x89PNG")
    assert lab.code.rows == len(lab.code.value.splitlines()) + 1


def test_controls_have_labels(lab):
    rows = [row.children for row in lab.view.children[:3]]
    assert [[each.description for each in row] for row in rows] == [
        ["fault", "node", "start (ms)", "duration (ms)"],
        ["fault", "node", "start (ms)", "duration (ms)"],
        ["write concern", "failover", "seed", "Simulate"],
    ]


def test_a_notebook_keeps_figures_and_code(lab):
    kept = lab._repr_mimebundle_()
    assert kept["text/plain"] == repr(lab)
    assert kept["text/html"].startswith(lab.html.value)
    assert "sim.simulate(scenario)" in kept["text/html"]
    assert repr(lab).startswith("FaultLab(0 of 20 answered writes lost, Findings(")


@pytest.mark.parametrize("base", [None, SMALL])
def test_without_ipywidgets_it_shows_its_first_run(base, monkeypatch):
    expected = FaultLab(base)
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    still = sim.fault_lab(base)
    assert isinstance(still, Still)
    assert still.html.startswith(expected.html.value)
    assert expected.outcome.trace_hash[:12] in still.html
    assert "<img alt=" in still.html
