"""Every plot can be read in one column of a paper: nothing is cut off, no label lies on another."""

from itertools import combinations

import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from vectorkit import measure, plot, sim
from vectorkit.frames import of_rows
from vectorkit.plot.style import is_narrow, size_pt
from vectorkit.replication import ReplicationOptions
from vectorkit.sim.sweeps.frames import sweep

COLUMN_IN = 3.3
SLACK_PX = 1.5
SIZE_PT_MIN = 6.5


@pytest.fixture(scope="module")
def run():
    return sim.simulate(
        sim.ClusterOptions(
            replicas=4,
            link=sim.Link(delay_ms=8, jitter_ms=4, loss=0.03),
            failover=sim.Failover(deadline_ms=600),
            replication=ReplicationOptions(heartbeat_ms=250),
            recall_every_ms=250,
        ),
        workload=sim.Workload(
            writes_per_s=30, reads_per_s=30, source="uniform:60x4", read_policy="nearest"
        ),
        faults=[
            sim.Partition(at_ms=500, for_ms=1_500, isolate=["node-2"]),
            sim.Crash(at_ms=2_200, for_ms=700, node=sim.CURRENT_MASTER),
        ],
        duration_ms=3_200,
        seed=7,
    )


def updates():
    rows = [
        (method, batch, repeat, 200, factor * (3.0 + repeat) / batch**0.5)
        for method, factor in (("update", 1), ("delete + insert", 10))
        for batch in (1, 16, 128, 1_024)
        for repeat in range(5)
    ]
    return pd.DataFrame(rows, columns=list(measure.UPDATE_LATENCY))


def searches():
    rows = [
        (kind, f"×{rescore}", 0, min(1.0, 0.8 + rescore / 20), base_us + 5 * rescore)
        for kind, base_us in (("int8", 90.0), ("binary", 30.0), ("pq", 150.0))
        for rescore in (1, 4, 8, 16)
    ]
    return of_rows(rows, measure.RECALL_LATENCY)


def runbook():
    operations = ("insert", "delete", "replace", "search")
    rows = [
        (kind, step, operations[step % 4], 100, 1 - step * slope if step % 4 == 3 else None)
        for kind, slope in (("int8", 0.001), ("pq, retrained", 0.002))
        for step in range(100)
    ]
    return of_rows(rows, plot.runbook.RUNBOOK)


def losses():
    concerns = ("asynchronous", "1, received", "majority, flushed")
    rows = [(concern, seed, 100, seed % 2) for concern in concerns for seed in range(4)]
    return pd.DataFrame(rows, columns=list(plot.loss.LOSS))


def swept():
    concerns, faults = ("asynchronous", "majority, flushed"), ("none", "crash", "cut, then crash")
    runs = [
        (concern, fault, {"seed": seed, "has_loss": seed % 2 == 0})
        for concern in range(2)
        for fault in range(3)
        for seed in range(8)
    ]
    columns = {
        "concern": (list(concerns), [run[0] for run in runs]),
        "faults": (list(faults), [run[1] for run in runs]),
    }
    return sweep(columns, [run[2] for run in runs])


PLOTS = {
    "health": (lambda run, ax: run.plot_health(ax=ax), 2.4),
    "lag": (lambda run, ax: run.plot_lag(ax=ax), 2.4),
    "loss": (lambda _, ax: plot.plot_loss(losses(), ax=ax), 1.9),
    "operation life": (lambda run, ax: run.plot_operation_life(ax=ax), 2.6),
    "recall": (lambda run, ax: run.plot_recall(ax=ax), 2.2),
    "recall of one": (lambda run, ax: run.plot_recall(node="node-2", ax=ax), 2.4),
    "recall against latency": (lambda _, ax: plot.plot_recall_latency(searches(), ax=ax), 2.6),
    "runbook": (lambda _, ax: plot.plot_runbook(runbook(), ax=ax), 2.4),
    "staleness": (lambda run, ax: run.plot_staleness(by="node", ax=ax), 2.4),
    "sweep": (lambda _, ax: plot.plot_sweep(swept(), "concern", "faults", ax=ax), 2.4),
    "sweep by one": (lambda _, ax: plot.plot_sweep(swept(), "faults", ax=ax), 1.9),
    "timeline": (lambda run, ax: run.plot_timeline(from_ms=2_100, to_ms=2_900, ax=ax), 3.6),
    "update latency": (lambda _, ax: plot.plot_update_latency(updates(), ax=ax), 2.4),
    "update spread": (lambda _, ax: plot.plot_update_spread(updates(), ax=ax), 2.6),
}


def drawn(run, name):
    draw, height_in = PLOTS[name]
    figure = Figure(figsize=(COLUMN_IN, height_in), dpi=100, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    ax = draw(run, figure.subplots())
    canvas.draw()
    canvas.draw()  # A layout needs what a first drawing has measured.
    return ax


def words(ax):
    """What can be read, each with its box; ticks outside of the limits cannot."""
    limits = (ax.xaxis, sorted(ax.get_xlim())), (ax.yaxis, sorted(ax.get_ylim()))
    ticks = [
        tick.label1
        for axis, (low, high) in limits
        for tick in axis.get_major_ticks()
        if low <= tick.get_loc() <= high
    ]
    legend = ax.get_legend()
    named = [] if legend is None else [*legend.get_texts(), legend.get_title()]
    every = [*ticks, *named, *ax.texts, ax.xaxis.label, ax.yaxis.label]
    return [text for text in every if text.get_visible() and text.get_text().strip()]


def box(text: Text):
    return text.get_window_extent()


@pytest.mark.parametrize("name", PLOTS)
def test_nothing_is_cut_off_and_nothing_is_too_small(run, name):
    ax = drawn(run, name)
    edge = ax.figure.bbox
    cut = [
        text.get_text()
        for text in words(ax)
        if box(text).x0 < -SLACK_PX
        or box(text).y0 < -SLACK_PX
        or box(text).x1 > edge.x1 + SLACK_PX
        or box(text).y1 > edge.y1 + SLACK_PX
    ]
    assert cut == []
    assert min(text.get_fontsize() for text in words(ax)) >= SIZE_PT_MIN


@pytest.mark.parametrize("name", PLOTS)
def test_no_word_lies_on_another(run, name):
    found = [
        (one.get_text(), other.get_text())
        for one, other in combinations(words(drawn(run, name)), 2)
        if _overlap_px(box(one), box(other)) > SLACK_PX
    ]
    assert found == []


def _overlap_px(one, other):
    """By how much two boxes lie on each other, in the direction in which it is less."""
    wide = min(one.x1, other.x1) - max(one.x0, other.x0)
    high = min(one.y1, other.y1) - max(one.y0, other.y0)
    return min(wide, high)


def test_axes_that_share_a_figure_are_narrow_and_a_wide_figure_is_as_it_was():
    wide, (left, right) = Figure(figsize=(7, 3)).subplots(), Figure(figsize=(7, 3)).subplots(1, 2)
    assert [is_narrow(ax) for ax in (wide, left, right)] == [False, True, True]
    assert (size_pt(wide, 9), size_pt(left, 10)) == (9, pytest.approx(7.8))
    assert size_pt(left, 7) == SIZE_PT_MIN
