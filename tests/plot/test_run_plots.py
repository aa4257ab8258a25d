"""`run.plot.health()` draws the run's own frames; `run.plot_health()` is another name for it."""

import inspect

import matplotlib.pyplot as plt
import pytest
from matplotlib.axes import Axes
from matplotlib.text import Text

from vectorkit import accessors, sim
from vectorkit.errors import InvalidInput
from vectorkit.sim.run import RunPlots

NAMES = sorted(name for name in vars(RunPlots) if not name.startswith("_"))


@pytest.fixture(scope="module")
def run():
    load = sim.Workload(writes_per_s=20, reads_per_s=20, source="uniform:20x4")
    options = sim.ClusterOptions(replicas=1, recall_every_ms=250)
    return sim.simulate(options, workload=load, duration_ms=1_000, seed=7)


def drawn(ax):
    texts = sorted(text.get_text() for text in ax.findobj(Text))
    return texts, [line.get_xydata().tolist() for line in ax.lines], len(ax.collections)


def test_every_plot_of_a_run_has_its_two_names():
    aliases = {name for name in dir(sim.Run) if name.startswith("plot_")}
    assert aliases == {f"plot_{name}" for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_both_names_draw_the_same_and_take_the_same_options(run, name):
    method, alias = getattr(run.plot, name), getattr(run, f"plot_{name}")
    assert inspect.signature(method) == inspect.signature(alias)
    one, other = (call(ax=plt.figure().subplots()) for call in (method, alias))
    assert isinstance(one, Axes)
    assert drawn(one) == drawn(other)
    plt.close("all")


def test_options_reach_the_plot(run):
    with pytest.raises(TypeError, match="no_such_option"):
        run.plot.health(no_such_option=1)


def test_a_run_names_its_plots(run):
    assert repr(run.plot) == f"RunPlots({', '.join(NAMES)})"


def test_a_feature_that_nothing_provides_is_refused():
    with pytest.raises(InvalidInput, match="no module provides this feature: got 'sound'"):
        accessors.load("sound")


def test_a_feature_that_is_provided_again_is_replaced(run, monkeypatch):
    monkeypatch.setattr(accessors, "_loaders", {})
    with pytest.raises(InvalidInput, match="wanted a feature that vectorkit provides"):
        run.dashboard()
    for shown in ("one", "other"):
        accessors.provide("dashboard", lambda shown=shown: lambda run, at_ms: (shown, run, at_ms))
    assert run.dashboard(at_ms=5) == ("other", run, 5)
