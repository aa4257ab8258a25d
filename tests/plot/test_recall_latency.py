"""Recall against latency: a point a setting, the front filled and joined, names apart."""

from itertools import pairwise

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from tests.plot.health_frames import legend_texts
from vectorkit.frames import of_rows
from vectorkit.measure import RECALL_LATENCY
from vectorkit.plot import plot_recall_latency
from vectorkit.plot.style import SERIES


@pytest.fixture
def ax():
    return Figure().subplots()


def searches(*settings):
    """(kind, setting, recall, times) each: a repeat for each time."""
    rows = [
        (kind, setting, repeat, recall, time_us)
        for kind, setting, recall, times_us in settings
        for repeat, time_us in enumerate(times_us)
    ]
    return of_rows(rows, RECALL_LATENCY)


SETTINGS = (
    ("float32", "", 1.0, [100.0, 110.0, 120.0]),
    ("int8", "×1", 0.95, [40.0, 50.0, 90.0]),
    ("int8", "×4", 0.99, [50.0, 60.0, 70.0]),
    ("pq", "×4", 0.9, [200.0, 210.0, 220.0]),
)


def points(ax):
    """Where each point is, its colour, and whether it is filled."""
    return [
        (
            *line.get_xydata()[0].tolist(),
            line.get_color(),
            to_rgba(line.get_markerfacecolor()) != to_rgba("white"),
        )
        for line in ax.lines
        if line.get_marker() != "None"
    ]


def test_points_are_recall_and_median_time_in_the_colour_of_their_kind(ax):
    plot_recall_latency(searches(*SETTINGS), ax=ax)
    (blue, _), (vermilion, _), (green, _) = SERIES[:3]
    assert points(ax) == [
        (1.0, 110.0, blue, True),
        (0.95, 50.0, vermilion, True),
        (0.99, 60.0, vermilion, True),
        (0.9, 210.0, green, False),
    ]
    assert legend_texts(ax) == ["float32", "int8", "pq", "Pareto front"]


def test_the_front_joins_what_nobody_beats_in_the_order_of_recall(ax):
    plot_recall_latency(searches(*SETTINGS), ax=ax)
    (front,) = [line for line in ax.lines if line.get_marker() == "None"]
    assert front.get_xydata().tolist() == [[0.95, 50.0], [0.99, 60.0], [1.0, 110.0]]


def test_thin_bars_reach_from_quartile_to_quartile(ax):
    plot_recall_latency(searches(*SETTINGS), ax=ax)
    ends = [each.get_segments()[0][:, 1].tolist() for each in ax.collections]
    assert ends[1] == [45.0, 70.0]


def test_settings_at_one_place_are_named_above_each_other(ax):
    same = [("a", f"×{number}", 1.0, [100.0 + number / 10]) for number in range(5)]
    plot_recall_latency(searches(*same, ("b", "far", 0.2, [200.0])), ax=ax)
    FigureCanvasAgg(ax.figure).draw()
    boxes = {text.get_text(): text.get_window_extent() for text in ax.texts}
    stacked = [boxes[f"×{number}"] for number in range(5)]
    assert all(low.y1 <= high.y0 for low, high in pairwise(stacked))
    left, height = ax.transData.transform((0.2, 200.0))
    middle_pt = (boxes["far"].y0 + boxes["far"].y1 - 2 * height) / 2 * 72 / ax.figure.dpi
    assert middle_pt == pytest.approx(5.0, abs=1.0)  # Over the front, which comes from below.
    assert boxes["far"].x1 < left


def test_names_have_the_colours_of_their_points(ax):
    plot_recall_latency(searches(*SETTINGS), ax=ax)
    named = {text.get_text(): to_rgba(text.get_color()) for text in ax.texts if text.get_text()}
    assert named["×1"] == to_rgba(SERIES[1][0])


@pytest.mark.parametrize("slowest_us", [150.0, 90_000.0])
def test_ticks_are_plain_numbers_and_there_are_several(ax, slowest_us):
    rows = searches(("a", "", 0.9, [100.0]), ("a", "b", 1.0, [slowest_us]))
    plot_recall_latency(rows, ax=ax)
    FigureCanvasAgg(ax.figure).draw()
    low, high = ax.get_ylim()
    shown = [tick.label1.get_text() for tick in ax.yaxis.get_major_ticks()]
    inside = [
        text
        for text, place in zip(shown, ax.get_yticks(), strict=True)
        if low <= place <= high and text
    ]
    assert len(inside) >= 2
    assert all(float(text.replace(",", "")) > 0 for text in inside)


def test_a_front_of_one_setting_is_no_line_and_has_no_legend(ax):
    plot_recall_latency(searches(("exact", "", 1.0, [400.0])), ax=ax)
    assert legend_texts(ax) == ["exact"]


@pytest.mark.parametrize("most", [100.0, 150.0, 700.0, 5_000.0])
def test_times_have_at_least_three_ticks_whatever_their_range(ax, most):
    plot_recall_latency(searches(("int8", "×1", 0.9, [90.0]), ("int8", "×4", 1.0, [most])), ax=ax)
    low, high = ax.get_ylim()
    assert sum(low <= tick <= high for tick in ax.get_yticks()) >= 3


def test_a_frame_without_rows_gives_an_empty_plot(ax):
    assert plot_recall_latency(searches(), ax=ax) is ax
    assert (points(ax), legend_texts(ax)) == ([], [])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("recall", "time per query (µs)")


def test_given_axes_are_used_and_pyplot_has_no_figure_of_its_own(ax):
    before, settings = plt.get_fignums(), dict(mpl.rcParams)
    assert plot_recall_latency(searches(*SETTINGS), ax=ax) is ax
    assert (plt.get_fignums(), dict(mpl.rcParams)) == (before, settings)
    assert np.isfinite(ax.get_ylim()).all()
