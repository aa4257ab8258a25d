"""The lag plot: true and observed lag of each replica, on an axis that people can read."""

import math

import matplotlib as mpl
import pytest
from matplotlib import pyplot as plt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tests.plot.health_frames import health, legend_texts, steady
from vectorkit import frames, sim
from vectorkit.frames import of_rows
from vectorkit.plot import plot_lag
from vectorkit.plot.style import node_colour


@pytest.fixture
def ax():
    return Figure().subplots()


LINES = ("true (not applied)", "observed (not confirmed to its master)")


def test_in_narrow_axes_the_legend_says_the_two_lines_in_a_word_each():
    ax = Figure(figsize=(3.3, 2.4)).subplots()
    assert legend_texts(plot_lag(health(node_1=steady(1_000)), ax=ax))[1:] == ["true", "observed"]


def test_a_line_is_not_joined_over_the_time_in_which_nobody_sampled_the_node(ax):
    mine = [*steady(2_000), *[(ms, "Connected", False) for ms in range(7_000, 10_001, 500)]]
    plot_lag(health(node_0=mine, node_1=steady(10_000)), ax=ax)
    true, observed, *others = ax.lines
    for line in (true, observed):
        missing = [time_s for time_s, lag in zip(*line.get_data(), strict=True) if math.isnan(lag)]
        assert missing == [2.0]
    assert not any(math.isnan(lag) for line in others for lag in line.get_ydata())


def test_times_in_which_a_node_was_down_are_hatched(ax):
    rows = [("node-1", 300.0, 800.0, "down", None, "crash")]
    plot_lag(health(node_1=steady(1_000)), roles=of_rows(rows, frames.ROLES), ax=ax)
    (down,) = ax.patches
    assert (down.get_x(), down.get_x() + down.get_width()) == (0.3, 0.8)
    assert down.get_hatch() == "////"
    assert legend_texts(ax)[-1] == "down"


def lagging(peak_ms):
    return [(0, "Connected", False, 0, 0), (1_000, "Connected", False, peak_ms, peak_ms)]


def shades(ax):
    return [(patch.get_x(), patch.get_x() + patch.get_width()) for patch in ax.patches]


def tick_texts(ax):
    FigureCanvasAgg(ax.figure).draw()
    low, high = ax.get_ylim()
    places = zip(ax.get_yticks(), ax.get_yticklabels(), strict=True)
    return [text.get_text() for place, text in places if low <= place <= high]


def test_each_replica_has_a_solid_true_and_a_dashed_observed_line_in_its_colour(ax):
    frame = health(
        node_1=[(0, "Connected", False, 0, 0), (500, "Connected", False, 0, 40)],
        node_2=[(0, "Connected", False, 7, 5), (500, "Lagging", False, 2_000, 1_900)],
    )
    drawn = [
        (*map(list, line.get_data()), line.get_color(), line.get_linestyle())
        for line in plot_lag(frame, ax=ax).lines
    ]
    assert drawn == [
        ([0.0, 0.5], [0.0, 0.0], node_colour("node-1", ax), "-"),
        ([0.0, 0.5], [0.0, 40.0], node_colour("node-1", ax), "--"),
        ([0.0, 0.5], [7.0, 2_000.0], node_colour("node-2", ax), "-"),
        ([0.0, 0.5], [5.0, 1_900.0], node_colour("node-2", ax), "--"),
    ]


def test_the_legend_names_nodes_in_order_then_the_two_lines_then_the_cut(ax):
    frame = health(node_10=steady(1_000), node_2=steady(1_000, (0, 500)))
    assert legend_texts(plot_lag(frame, ax=ax)) == [
        "node-2",
        "node-10",
        *LINES,
        "node-2 cut off",
    ]


def test_colours_in_the_legend_are_those_of_the_lines(ax):
    plot_lag(health(node_1=steady(1_000), node_2=steady(1_000)), ax=ax)
    handles = ax.get_legend().get_lines()
    assert [line.get_color() for line in handles[:2]] == [
        line.get_color() for line in ax.lines[::2]
    ]


def test_the_legend_of_many_nodes_names_the_nine_that_fell_furthest_behind(ax):
    peaks = {f"node_{number}": lagging(number * 10) for number in range(1, 13)}
    plot_lag(health(**peaks), ax=ax)
    assert legend_texts(ax)[:-2] == [f"node-{number}" for number in range(4, 13)]
    assert len(ax.lines) == 2 * 12


@pytest.mark.parametrize("count", [1, 8, 99])
def test_the_legend_leaves_room_for_the_lines(count):
    nodes = {f"node_{number}": steady(1_000, (0, 500)) for number in range(1, count + 1)}
    made = plot_lag(health(**nodes))
    made.figure.canvas.draw()
    box = made.get_position()
    assert box.width > 0.75
    assert box.height > 0.5
    plt.close(made.figure)


def test_cuts_are_shaded_over_the_whole_height_and_those_of_a_group_once(ax):
    frame = health(
        node_1=steady(9_000, (1_000, 3_000), (5_000, 6_000)),
        node_2=steady(9_000, (1_000, 3_000)),
        node_3=steady(9_000, (2_000, 5_500), (8_000, 10_000)),
    )
    plot_lag(frame, ax=ax)
    assert shades(ax) == [(1.0, 3.0), (2.0, 5.5), (5.0, 6.0), (8.0, 9.0)]
    tops = [(patch.get_window_extent().y0, patch.get_window_extent().y1) for patch in ax.patches]
    assert tops == [pytest.approx((ax.bbox.y0, ax.bbox.y1))] * 4
    assert legend_texts(ax)[-1] == "3 nodes cut off"


def test_where_cuts_overlap_both_can_be_seen(ax):
    frame = health(node_1=steady(9_000, (1_000, 3_000)), node_2=steady(9_000, (2_000, 5_000)))
    assert {patch.get_alpha() for patch in plot_lag(frame, ax=ax).patches} == {0.13}


def test_a_run_without_a_cut_has_no_shade(ax):
    plot_lag(health(node_1=steady(1_000)), ax=ax)
    assert (shades(ax), legend_texts(ax)) == ([], ["node-1", *LINES])


def test_axes_have_their_units_and_lag_is_written_in_plain_numbers(ax):
    plot_lag(health(node_1=lagging(70_000)), ax=ax)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("virtual time (s)", "lag (ms)")
    assert ax.get_xlim() == (0, 1.0)
    assert (ax.get_yscale(), ax.get_ylim()[0]) == ("symlog", 0)
    assert ax.get_ylim()[1] >= 70_000
    assert tick_texts(ax)[:5] == ["0", "10", "100", "1,000", "10,000"]


def test_small_lags_are_drawn_on_an_axis_up_to_a_second(ax):
    plot_lag(health(node_1=lagging(3)), ax=ax)
    assert ax.get_ylim() == (0, 1_000)
    assert tick_texts(ax) == ["0", "10", "100", "1,000"]


def test_a_frame_without_rows_gives_an_empty_plot(ax):
    assert plot_lag(health(), ax=ax) is ax
    assert (ax.lines[:], ax.patches[:], ax.get_xlim()) == ([], [], (0, 1.0))
    assert "replicas=1 or more" in ax.texts[0].get_text()


def test_the_lag_of_a_real_run_is_that_of_its_health(ax):
    run = sim.simulate(
        sim.ClusterOptions(replicas=1),
        workload=sim.Workload(writes_per_s=20, source="uniform:20x4"),
        faults=[sim.Partition(at_ms=500, for_ms=1_000, isolate=["node-1"])],
        duration_ms=3_000,
    )
    assert run.plot_lag(ax=ax) is ax
    true, observed = ax.lines
    assert true.get_ydata().tolist() == run.health["lag_ms_true"].tolist()
    assert observed.get_ydata().tolist() == run.health["lag_ms"].tolist()
    assert shades(ax) == [(0.5, 1.5)]


def test_the_time_in_which_a_node_of_a_real_run_was_down_is_hatched(ax):
    crash = sim.Crash(at_ms=500, for_ms=1_000, node="node-1")
    run = sim.simulate(sim.ClusterOptions(replicas=1), faults=[crash], duration_ms=3_000)
    run.plot_lag(ax=ax)
    downs = [patch for patch in ax.patches if patch.get_hatch()]
    assert [(each.get_x(), each.get_width()) for each in downs] == [(0.5, 1.0)]


def test_given_axes_are_used_and_pyplot_has_no_figure_of_its_own(ax):
    before, settings = plt.get_fignums(), dict(mpl.rcParams)
    assert plot_lag(health(node_1=steady(1_000)), ax=ax) is ax
    assert (plt.get_fignums(), dict(mpl.rcParams)) == (before, settings)
