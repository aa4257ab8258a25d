"""The spread of updates: each curve is the cumulative share of its own calls."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from tests.plot.health_frames import legend_texts
from vectorkit.measure import UPDATE_LATENCY
from vectorkit.plot import plot_update_spread
from vectorkit.plot.style import METHOD_COLOURS


@pytest.fixture
def ax():
    return Figure().subplots()


def measured(**times_us):
    """`update_16=[…]` and so on: a repeat for each time."""
    names = {"update": "update", "pair": "delete + insert"}
    rows = [
        (names[name.split("_")[0]], int(name.split("_")[1]), repeat, 16, time_us)
        for name, times in times_us.items()
        for repeat, time_us in enumerate(times)
    ]
    return pd.DataFrame(rows, columns=list(UPDATE_LATENCY)).astype(UPDATE_LATENCY)


def test_a_curve_rises_by_one_share_at_each_time_and_ends_at_one(ax):
    plot_update_spread(measured(update_1=[4.0, 1.0, 2.0, 3.0]), ax=ax)
    (line,) = ax.lines
    xs, ys = np.asarray(line.get_xydata()).T
    assert xs.tolist() == [1.0, 1.0, 2.0, 3.0, 4.0, pytest.approx(4.4)]
    assert ys.tolist() == [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]
    assert line.get_drawstyle() == "steps-post"


def test_methods_have_colours_and_batches_have_dashes(ax):
    frame = measured(update_1=[1.0], update_16=[2.0], pair_1=[9.0], pair_16=[8.0])
    plot_update_spread(frame, ax=ax)
    looks = [(line.get_color(), line.get_linestyle()) for line in ax.lines]
    slow, quick = METHOD_COLOURS["delete + insert"], METHOD_COLOURS["update"]
    assert [colour for colour, _ in looks] == [slow, slow, quick, quick]
    assert looks[0][1] == looks[2][1] != looks[1][1] == looks[3][1]
    assert legend_texts(ax) == ["delete + insert", "update", "1 row", "16 rows"]


def test_what_was_not_measured_is_not_named(ax):
    plot_update_spread(measured(update_1=[1.0]), ax=ax)
    assert legend_texts(ax) == ["update", "1 row"]


def test_axes_have_their_units_and_time_is_logarithmic(ax):
    plot_update_spread(measured(update_1=[1.0, 100.0]), ax=ax)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("time per row (µs)", "share of calls")
    assert (ax.get_xscale(), ax.get_ylim()) == ("log", (0, 1.02))


def test_a_frame_without_rows_gives_an_empty_plot(ax):
    assert plot_update_spread(measured(), ax=ax) is ax
    assert (len(ax.lines), legend_texts(ax)) == (0, [])


def test_given_axes_are_used_and_pyplot_has_no_figure_of_its_own(ax):
    before, settings = plt.get_fignums(), dict(mpl.rcParams)
    assert plot_update_spread(measured(update_1=[1.0]), ax=ax) is ax
    assert (plt.get_fignums(), dict(mpl.rcParams)) == (before, settings)
