"""The update plot: medians, quartiles and speed-ups as the summary has them, at readable ticks."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from vectorkit.measure import UPDATE_LATENCY, summarise_updates
from vectorkit.plot import plot_update_latency
from vectorkit.plot.style import METHOD_COLOURS


@pytest.fixture
def ax():
    return Figure().subplots()


def measured(*batches):
    """Three repeats: an update takes 2, 3 and 7 µs a row by the batch, a pair ten times as long."""
    rows = [
        (method, batch, repeat, 200, factor * time_us / batch**0.5)
        for batch in batches
        for method, factor in (("update", 1), ("delete + insert", 10))
        for repeat, time_us in enumerate((2.0, 3.0, 7.0))
    ]
    return pd.DataFrame(rows, columns=list(UPDATE_LATENCY))


def tick_texts(axis, limits):
    places = zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=True)
    return [text.get_text() for place, text in places if limits[0] <= place <= limits[1]]


@pytest.mark.parametrize("batches", [(1,), (1, 16), (1, 4, 16, 64, 256, 1_024)], ids=len)
def test_points_are_medians_and_bars_reach_from_quartile_to_quartile(ax, batches):
    frame = measured(*batches)
    summary = summarise_updates(frame)
    plot_update_latency(frame, ax=ax)
    assert [container.get_label() for container in ax.containers] == ["delete + insert", "update"]
    for container, name in zip(ax.containers, ("delete_insert_us", "update_us"), strict=True):
        line, _, (bars,) = container.lines
        assert line.get_xdata().tolist() == list(batches)
        assert line.get_ydata().tolist() == summary[name].tolist()
        ends = np.array([segment[:, 1] for segment in bars.get_segments()])
        assert ends == pytest.approx(summary[[f"{name}_q25", f"{name}_q75"]].to_numpy())
        assert line.get_color() == METHOD_COLOURS[container.get_label()]


def test_the_speed_up_stands_beside_its_batch_between_the_two_medians(ax):
    plot_update_latency(measured(1, 16), ax=ax)
    assert [(text.get_text(), text.xy) for text in ax.texts] == [
        ("10.0×", (1, pytest.approx(np.sqrt(3 * 30)))),
        ("10.0×", (16, pytest.approx(np.sqrt(3 * 30) / 4))),
    ]


def test_a_speed_up_lies_on_no_bar(ax):
    plot_update_latency(measured(1, 16, 128), ax=ax)
    FigureCanvasAgg(ax.figure).draw()
    places = [text.get_window_extent() for text in ax.texts]
    right = [ax.transData.transform(text.xy)[0] for text in ax.texts]
    assert all(box.x0 > bar + 2 for box, bar in zip(places, right, strict=True))


def test_ticks_are_the_batches_and_plain_numbers(ax):
    plot_update_latency(measured(1, 16, 1_024), ax=ax)
    FigureCanvasAgg(ax.figure).draw()
    assert tick_texts(ax.xaxis, ax.get_xlim()) == ["1", "16", "1,024"]
    assert set(tick_texts(ax.yaxis, ax.get_ylim())) >= {"0.1", "0.5", "1", "2", "5", "10"}
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")


def test_axes_have_their_units_and_the_legend_both_methods(ax):
    plot_update_latency(measured(1), ax=ax)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("rows per call", "time per row (µs)")
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts == ["delete + insert", "update"]


def test_everything_drawn_lies_within_the_limits(ax):
    plot_update_latency(measured(1, 16), ax=ax)
    low, high = ax.get_ylim()
    assert low < 2.0 / 4
    assert high > 70.0
    assert ax.get_xlim()[0] < 1
    assert ax.get_xlim()[1] > 16


def test_given_axes_are_used_and_pyplot_has_no_figure_of_its_own(ax):
    before, settings = plt.get_fignums(), dict(mpl.rcParams)
    assert plot_update_latency(measured(1, 16), ax=ax) is ax
    assert (plt.get_fignums(), dict(mpl.rcParams)) == (before, settings)


def test_without_axes_a_figure_is_made_for_it():
    made = plot_update_latency(measured(1)).figure
    assert made.get_size_inches().tolist() == [5.2, 3.2]
    plt.close(made)
