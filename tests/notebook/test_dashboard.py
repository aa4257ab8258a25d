"""A dashboard without a browser: set its controls, read what is seen."""

import json
import sys

import ipywidgets
import numpy as np
import pytest

from tests.notebook.runs import failover, run_of
from tests.sim.tape import WEAK, Tape
from vectorkit import sim
from vectorkit.errors import InvalidOption
from vectorkit.notebook.dashboard import Dashboard, dashboard
from vectorkit.notebook.widgets import Still


@pytest.fixture(scope="module")
def run():
    return failover()


@pytest.fixture
def shown(run):
    return Dashboard(run)


def empty_run(duration_ms):
    return run_of(Tape(WEAK), duration_ms=duration_ms)


def test_what_is_seen_follows_the_slider(shown):
    seen = set()
    for time_ms, sentence in (
        (60, "At 60 ms node-0 is master; 1 Connected; 1 Lagging."),
        (160, "At 160 ms node-1 is master; node-0 is down; 2 Disconnected; active fault: Crash"),
        (400, "At 400 ms node-1 is master; 1 Connected; 1 Disconnected."),
    ):
        shown.time_ms.value = time_ms
        assert sentence in shown.html.value
        assert repr(shown).startswith(f"Dashboard({sentence}")
        assert shown.moment.time_ms == time_ms
        seen.add(shown.html.value)
    assert len(seen) == 3


def test_it_opens_where_the_first_fault_begins_else_in_the_middle(shown):
    assert shown.time_ms.value == 100
    assert Dashboard(empty_run(3_000.0)).time_ms.value == 1_500


def test_it_opens_where_it_is_told_with_a_step_that_leads_there(run):
    for at_ms in (30, 30.0, np.int64(30), np.float32(30)):
        assert Dashboard(run, at_ms=at_ms).time_ms.value == 30
    long = empty_run(300_000.0)
    steps = {at: Dashboard(long, at_ms=at).step_ms.value for at in (0, 7, 20, 4_100, 5_000)}
    assert steps == {0: 1_000, 7: 1, 20: 10, 4_100: 100, 5_000: 1_000}


@pytest.mark.parametrize("at_ms", [-1, 400.5, "7", True, float("nan")])
def test_a_time_that_the_run_does_not_have_is_refused(run, at_ms):
    with pytest.raises(InvalidOption, match="0 to 400"):
        run.dashboard(at_ms=at_ms)


def test_the_slider_covers_the_run_in_at_most_four_hundred_steps():
    spans = [
        (each.time_ms.min, each.time_ms.max, each.time_ms.step)
        for each in map(Dashboard, map(empty_run, (400.0, 401.5, 8_100.0, 125_000.0)))
    ]
    assert spans == [(0, 400, 1), (0, 402, 10), (0, 8_100, 100), (0, 125_000, 1_000)]


def test_a_fault_between_two_steps_is_seen_by_the_step_after_it():
    tape = Tape(WEAK)
    text = '{"kind":"Pause","at_ms":1234,"node":"node-1"}'
    tape.add(1_234, "fault", kind="start", text=text).add(2_000, "fault", kind="end", text=text)
    shown = Dashboard(run_of(tape, duration_ms=8_000.0))
    assert (shown.time_ms.value, shown.moment.nodes[1].condition) == (1_300, "paused")


def test_playing_moves_the_slider_and_the_slider_moves_the_player(shown):
    shown.play.value = 250
    assert shown.time_ms.value == 250
    shown.time_ms.value = 20
    assert shown.play.value == 20
    assert "At 20 ms" in shown.html.value


def test_buttons_go_to_the_event_before_and_after(shown):
    shown.time_ms.value = 0
    seen = []
    for button in (shown.forward, shown.forward, shown.back, shown.back, shown.back):
        button.click()
        seen.append(shown.time_ms.value)
    assert seen == [1, 100, 1, 0, 0]


def test_buttons_stay_on_multiples_of_the_step(shown):
    shown.step_ms.value = 10
    shown.time_ms.value = 0
    seen = []
    for _ in range(8):
        shown.forward.click()
        seen.append(shown.time_ms.value)
    assert seen == [10, 100, 120, 140, 150, 200, 300, 310]


def test_another_step_moves_the_slider_to_a_multiple_of_it(shown):
    shown.time_ms.value = 147
    shown.step_ms.value = 10
    assert (shown.time_ms.value, shown.time_ms.step, shown.play.step) == (150, 10, 10)


def test_another_time_can_be_asked_for_without_a_move(shown):
    assert shown.at(160).nodes[1].role == "master"
    assert shown.time_ms.value == 100


def test_events_are_all_there(shown):
    assert len(shown.events) == 15
    assert shown.events[5] == (100.0, "Crash of node-0 starts")


def test_controls_are_in_the_order_of_focus_and_have_labels(shown):
    controls = shown.view.children[0].children
    kinds = [type(each).__name__ for each in controls]
    assert kinds == ["Play", "IntSlider", "Dropdown", "Button", "Button"]
    assert [each.description for each in controls[1:]] == [
        "time (ms)",
        "step (ms)",
        "◀ event",
        "event ▶",
    ]
    assert [each.tooltip for each in controls[3:]] == [
        "go to the previous event",
        "go to the next event",
    ]


def test_a_notebook_keeps_the_page_for_those_who_cannot_run_it(shown):
    shown.time_ms.value = 60
    kept = shown._repr_mimebundle_()
    assert kept["text/html"] == shown.html.value
    assert kept["text/plain"] == "Dashboard(At 60 ms node-0 is master; 1 Connected; 1 Lagging.)"
    live = kept["application/vnd.jupyter.widget-view+json"]
    assert live["model_id"] == shown.view.model_id
    assert len(json.dumps(kept)) < 20_000


def test_without_ipywidgets_it_stands_still_and_says_what_to_run(run, monkeypatch):
    expected = Dashboard(run, at_ms=60).html.value
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    still = dashboard(run, at_ms=60)
    assert isinstance(still, Still)
    assert still.html == expected
    assert "pip install ipywidgets" in still._repr_html_()
    assert still._repr_html_().endswith(expected)


def test_a_run_gives_its_dashboard():
    shown = sim.simulate(sim.ClusterOptions(replicas=1), duration_ms=500).dashboard(at_ms=100)
    assert isinstance(shown, Dashboard)
    assert isinstance(shown.view, ipywidgets.VBox)
    assert repr(shown) == "Dashboard(At 100 ms node-0 is master; 1 Connected.)"
