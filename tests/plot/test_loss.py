"""The loss plot: runs that lost an acknowledged write, with honest intervals."""

import matplotlib as mpl
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from vectorkit.plot import plot_loss
from vectorkit.plot.loss import LOSS, wilson
from vectorkit.plot.style import BLUE, VERMILION


@pytest.fixture
def ax():
    return Figure().subplots()


def losses(**concerns):
    """`none=[(acknowledged, lost), …]`: a run each."""
    rows = [
        (concern, seed, *counts)
        for concern, runs in concerns.items()
        for seed, counts in enumerate(runs)
    ]
    return pd.DataFrame(rows, columns=list(LOSS)).astype(LOSS)


@pytest.mark.parametrize(
    ("hits", "trials", "interval"),
    [
        (0, 10, (0.0, 0.2775)),
        (1, 10, (0.0179, 0.4042)),
        (5, 10, (0.2366, 0.7634)),
        (10, 10, (0.7225, 1.0)),
        (0, 0, (0.0, 1.0)),
    ],
)
def test_intervals_are_those_of_wilson(hits, trials, interval):
    assert wilson(hits, trials) == pytest.approx(interval, abs=5e-5)


def test_a_point_is_the_share_of_runs_with_a_loss_however_many_writes_each_lost(ax):
    frame = losses(none=[(10, 9), (10, 0), (10, 1), (10, 0)], majority=[(8, 0), (7, 0)])
    plot_loss(frame, ax=ax)
    points = [(line.get_xdata()[0], line.get_ydata()[0], line.get_color()) for line in ax.lines]
    assert points == [(0.5, 0, VERMILION), (0.0, 1, BLUE)]
    bars = [each.get_segments()[0][:, 0].tolist() for each in ax.collections]
    assert bars == [pytest.approx(wilson(2, 4)), pytest.approx(wilson(0, 2))]
    assert [text.get_text() for text in ax.texts] == ["10 of 40", "0 of 15", "writes lost"]


def test_concerns_stand_in_the_order_of_the_frame_from_the_top(ax):
    plot_loss(losses(none=[(1, 0)], received=[(1, 0)], flushed=[(1, 0)]), ax=ax)
    assert [text.get_text() for text in ax.get_yticklabels()] == ["none", "received", "flushed"]
    assert ax.get_ylim() == (2.5, -0.5)
    assert ax.get_xlim() == (0, 1)
    assert ax.get_xlabel() == "share of runs that lost an acknowledged write"


def test_loss_is_told_by_shape_as_well_as_by_colour(ax):
    plot_loss(losses(none=[(1, 1)], majority=[(1, 0)]), ax=ax)
    assert [line.get_marker() for line in ax.lines] == ["o", "D"]


def test_a_frame_without_rows_gives_an_empty_plot(ax):
    assert plot_loss(losses(), ax=ax) is ax
    assert ax.lines[:] == []


def test_given_axes_are_used_and_pyplot_has_no_figure_of_its_own(ax):
    before, settings = plt.get_fignums(), dict(mpl.rcParams)
    assert plot_loss(losses(none=[(1, 1)]), ax=ax) is ax
    assert (plt.get_fignums(), dict(mpl.rcParams)) == (before, settings)
