"""The recall plot: one line a replica, or one replica and what it lacks, adding up to 1."""

from itertools import pairwise

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from tests.plot.health_frames import legend_texts
from vectorkit import frames, sim
from vectorkit.frames import of_rows
from vectorkit.plot import plot_recall
from vectorkit.plot.style import LOSS_COLOURS, node_colour


@pytest.fixture
def ax():
    return Figure(figsize=(7, 3)).subplots()


def recall(**nodes):
    """`node_1=[(time_ms, staleness, quantization, order), …]`; the recall is the rest up to 1."""
    rows = [
        (name.replace("_", "-"), float(ms), 1 - sum(losses), *losses, 1, 1)
        for name, samples in nodes.items()
        for ms, *losses in samples
    ]
    return of_rows(rows, frames.RECALL)


STALE = [(0, 0.0, 0.0, 0.0), (1_000, 0.25, 0.0, 0.0), (2_000, 0.0, 0.0, 0.0)]
CODED = [(0, 0.0, 0.25, 0.0), (1_000, 0.125, 0.25, 0.0), (2_000, 0.0, 0.125, 0.125)]


def bands(ax):
    """Bottom and top of each filled band at each of its times, by cause."""
    found = {}
    for each in ax.collections:
        if isinstance(each, PolyCollection):
            points = np.unique(each.get_paths()[0].vertices, axis=0)
            found[each.get_label()] = [
                (points[points[:, 0] == time, 1].min(), points[points[:, 0] == time, 1].max())
                for time in np.unique(points[:, 0])
            ]
    return found


def test_each_replica_has_a_line_in_its_colour_in_the_order_of_numbers(ax):
    plot_recall(recall(node_10=STALE, node_2=CODED), ax=ax)
    assert [line.get_color() for line in ax.lines] == [
        node_colour("node-2", ax),
        node_colour("node-10", ax),
    ]
    assert [line.get_ydata().tolist() for line in ax.lines] == [
        [0.75, 0.625, 0.75],
        [1.0, 0.75, 1.0],
    ]
    assert ax.lines[0].get_xdata().tolist() == [0.0, 1.0, 2.0]
    assert (legend_texts(ax), bands(ax)) == (["node-2", "node-10"], {})


def test_lines_that_coincide_are_nested(ax):
    plot_recall(recall(node_1=STALE, node_2=STALE, node_3=STALE), ax=ax)
    widths = [line.get_linewidth() for line in ax.lines]
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] >= 1 + 0.1
    assert len(set(widths)) == 3


def test_one_replica_s_losses_are_stacked_from_its_recall_up_to_one(ax):
    plot_recall(recall(node_1=STALE, node_2=CODED), node="node-2", ax=ax)
    assert bands(ax) == {
        "staleness": [(0.75, 0.75), (0.625, 0.75), (0.75, 0.75)],
        "quantization": [(0.75, 1.0), (0.75, 1.0), (0.75, 0.875)],
        "order": [(1.0, 1.0), (1.0, 1.0), (0.875, 1.0)],
    }
    assert legend_texts(ax) == [
        "node-2",
        "lost to staleness",
        "lost to quantization",
        "lost to order",
    ]
    shown = [each.get_facecolor()[0][:3].tolist() for each in ax.collections]
    assert shown == [list(to_rgba(colour)[:3]) for colour in LOSS_COLOURS.values()]


def test_a_cause_that_cost_nothing_is_left_out(ax):
    plot_recall(recall(node_1=STALE), node="node-1", ax=ax)
    assert list(bands(ax)) == ["staleness"]


def test_axes_have_names_and_reach_from_below_the_worst_to_one(ax):
    plot_recall(recall(node_1=CODED), ax=ax)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("virtual time (s)", "recall")
    assert ax.get_xlim() == (0, 2)
    assert ax.get_ylim() == pytest.approx((0.575, 1.005))
    good = Figure().subplots()
    plot_recall(recall(node_1=[(500, 0.0, 0.0, 0.0)]), ax=good)
    assert good.get_ylim() == pytest.approx((0.9, 1.005))


def test_a_frame_without_rows_gives_an_empty_plot(ax):
    assert plot_recall(recall(), node="node-1", ax=ax) is ax
    assert (ax.lines[:], bands(ax), legend_texts(ax), ax.get_xlim()) == ([], {}, [], (0, 1))


def test_the_recall_of_a_real_run_falls_while_a_replica_is_cut_off_and_the_cut_is_shaded(ax):
    run = sim.simulate(
        sim.ClusterOptions(replicas=2, recall_every_ms=250),
        workload=sim.Workload(writes_per_s=100, source="uniform:100x8"),
        faults=[sim.Partition(at_ms=500, for_ms=1_000, isolate=["node-2"])],
        duration_ms=2_000,
        seed=7,
    )
    assert run.plot_recall(ax=ax) is ax
    whole, cut = (line.get_ydata() for line in ax.lines)
    assert cut.min() < whole.min()
    assert cut[-1] == 1.0
    assert [(p.get_x(), p.get_x() + p.get_width()) for p in ax.patches] == [(0.5, 1.5)]
    assert legend_texts(ax) == ["node-1", "node-2", "Partition node-2"]


def test_given_axes_are_used_and_pyplot_has_no_figure_of_its_own(ax):
    before, settings = plt.get_fignums(), dict(mpl.rcParams)
    assert plot_recall(recall(node_1=STALE), ax=ax) is ax
    assert (plt.get_fignums(), dict(mpl.rcParams)) == (before, settings)


def lines(ax):
    """Time and recall of each point of each line; None where the line is broken."""
    return [
        [(x, None if np.isnan(y) else y) for x, y in zip(*line.get_data(), strict=True)]
        for line in ax.lines
    ]


def with_gap(*times_ms):
    """Samples of which each lacks a quarter, at these times."""
    return [(time_ms, 0.25, 0.0, 0.0) for time_ms in times_ms]


def test_a_line_and_its_losses_end_where_the_node_was_not_sampled(ax):
    samples = with_gap(0, 500, 1_000, 6_000, 6_500, 7_000)
    plot_recall(recall(node_1=samples), node="node-1", ax=ax)
    ((*before, (gap_s, missing), after, _, _),) = lines(ax)
    assert before == [(0.0, 0.75), (0.5, 0.75), (1.0, 0.75)]
    assert (gap_s, missing, after) == (1.0, None, (6.0, 0.75))
    (band,) = [each for each in ax.collections if isinstance(each, PolyCollection)]
    spans = [(path.vertices[:, 0].min(), path.vertices[:, 0].max()) for path in band.get_paths()]
    assert spans == [(0.0, 1.0), (6.0, 7.0)]
    assert ax.lines[0].get_markevery() == []


def test_a_sample_between_two_gaps_is_a_dot(ax):
    often = with_gap(*range(0, 20_000, 500))
    plot_recall(recall(node_1=[*with_gap(0, 500, 3_000, 6_000, 6_500), *often[15:]]), ax=ax)
    (line,) = ax.lines
    assert [line.get_xdata()[index] for index in line.get_markevery()] == [3.0]
    assert line.get_marker() == "o"


def test_no_recall_is_drawn_while_a_node_of_a_real_run_is_master_or_down(ax):
    run = sim.simulate(
        sim.ClusterOptions(
            replicas=2, recall_every_ms=250, failover=sim.Failover(deadline_ms=2_000)
        ),
        workload=sim.Workload(writes_per_s=40, source="uniform:40x4"),
        faults=[
            sim.Crash(at_ms=1_000, for_ms=4_000, node="node-0"),
            sim.Crash(at_ms=5_000, for_ms=2_000, node=sim.CURRENT_MASTER),
        ],
        duration_ms=10_000,
        seed=7,
    )
    run.plot_recall(ax=ax)
    away = run.roles[run.roles["role"].isin(["master", "down"])]
    names = sorted(run.recall["node"].unique())
    drawn = dict(zip(names, lines(ax), strict=True))
    assert {"node-0", "node-1"} <= set(away["node"])
    for each in away.to_dict("records"):
        points = drawn.get(each["node"], [])
        start_s, end_s = each["started_ms"] / 1_000, each["ended_ms"] / 1_000
        crossing = [
            (one, other)
            for one, other in pairwise(points)
            if one[1] is not None and other[1] is not None
            if one[0] < start_s - 0.5 and other[0] > end_s + 0.5
        ]
        assert crossing == []
