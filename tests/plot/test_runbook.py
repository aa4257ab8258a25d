"""The runbook plot: recall at each search, and below it what every step did."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from tests.plot.health_frames import legend_texts
from vectorkit.frames import of_rows
from vectorkit.plot import plot_runbook
from vectorkit.plot.runbook import RUNBOOK
from vectorkit.plot.style import SERIES


@pytest.fixture
def ax():
    return Figure().subplots()


def runbook(*rows):
    """(kind, step, operation, recall) each."""
    full = [(kind, step, operation, 100, recall) for kind, step, operation, recall in rows]
    return of_rows(full, RUNBOOK)


WALK = (
    ("pq", 1, "insert", None),
    ("pq", 2, "search", 0.9),
    ("pq", 3, "delete", None),
    ("pq", 4, "insert", None),
    ("pq", 5, "search", 0.8),
    ("int8", 2, "search", 1.0),
    ("int8", 5, "search", 0.95),
)


def test_each_kind_is_a_line_through_its_searches_in_the_order_of_steps(ax):
    plot_runbook(runbook(*reversed(WALK)), ax=ax)
    assert [np.asarray(line.get_xydata()).tolist() for line in ax.lines[:2]] == [
        [[2, 1.0], [5, 0.95]],
        [[2, 0.9], [5, 0.8]],
    ]
    assert [(line.get_color(), line.get_marker()) for line in ax.lines[:2]] == list(SERIES[:2])
    assert legend_texts(ax) == ["int8", "pq"]


def test_lines_that_coincide_are_nested(ax):
    plot_runbook(runbook(*WALK), ax=ax)
    first, second = ax.lines[:2]
    assert first.get_linewidth() > second.get_linewidth()
    assert first.get_zorder() <= second.get_zorder()


def test_each_write_is_a_tick_in_the_lane_of_its_operation_below_the_lines(ax):
    plot_runbook(runbook(*WALK), ax=ax)
    lanes = [
        ([segment[0][0] for segment in lane.get_segments()], lane.get_segments()[0][:, 1])
        for lane in ax.collections
    ]
    assert [steps for steps, _ in lanes] == [[1, 4], [3]]
    tops = [heights.max() for _, heights in lanes]
    assert 0.8 > tops[0] > lanes[0][1].min() > tops[1]
    names = [text.get_text() for text in ax.get_yticklabels()]
    assert names[-2:] == ["insert", "delete"]
    assert ax.get_ylim()[0] < ax.get_yticks()[-1] < ax.get_yticks()[-2] < 0.8


def test_a_step_that_every_kind_takes_is_drawn_once(ax):
    plot_runbook(runbook(("a", 1, "insert", None), ("b", 1, "insert", None)), ax=ax)
    assert [len(lane.get_segments()) for lane in ax.collections] == [1]


def test_the_axis_begins_at_the_worst_recall_and_at_most_at_nine_tenths(ax):
    plot_runbook(runbook(("a", 1, "search", 0.99), ("a", 2, "search", 1.0)), ax=ax)
    assert ax.get_ylim() == (pytest.approx(0.9 - 0.05 * 0.1), pytest.approx(1.003))
    assert ax.get_xlim() == (0, 3)


def test_a_frame_without_rows_gives_an_empty_plot(ax):
    assert plot_runbook(runbook(), ax=ax) is ax
    assert (len(ax.lines), legend_texts(ax)) == (0, [])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("step of the runbook", "recall")


def test_given_axes_are_used_and_pyplot_has_no_figure_of_its_own(ax):
    before, settings = plt.get_fignums(), dict(mpl.rcParams)
    frame = runbook(*WALK)
    kept = frame.copy()
    assert plot_runbook(frame, ax=ax) is ax
    assert (plt.get_fignums(), dict(mpl.rcParams)) == (before, settings)
    pd.testing.assert_frame_equal(frame, kept)
