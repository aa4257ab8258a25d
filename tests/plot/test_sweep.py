"""The sweep plot: a figure with its interval, in every cell and on every row."""

import matplotlib as mpl
import pytest
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from vectorkit.plot import plot_sweep
from vectorkit.plot.style import BLUE, VERMILION
from vectorkit.sim.sweeps.frames import sweep
from vectorkit.sim.sweeps.intervals import wilson


@pytest.fixture
def ax():
    return Figure().subplots()


def frame(cells, of="has_loss", settings=("concern", "faults")):
    """`{(concern, faults): [outcome, …]}`: a run each, by seed."""
    labels = [list(dict.fromkeys(key[place] for key in cells)) for place in (0, 1)]
    runs = [
        (*(labels[place].index(key[place]) for place in (0, 1)), {"seed": seed, of: value})
        for key, values in cells.items()
        for seed, value in enumerate(values)
    ]
    columns = {
        name: (labels[place], [run[place] for run in runs]) for place, name in enumerate(settings)
    }
    return sweep(columns, [run[2] for run in runs])


CELLS = {
    ("0", "none"): [False] * 4,
    ("0", "cut"): [True] * 4,
    ("majority flushed to disk", "none"): [False] * 3,
    ("majority flushed to disk", "cut"): [True, False, False, False],
}
GAPS = {("0", "none"): [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], ("1", "none"): [1_000.0, 2_000.0]}


def texts(ax):
    return {text.get_position(): text.get_text() for text in ax.texts}


def test_a_cell_has_the_rate_above_its_interval(ax):
    plot_sweep(frame(CELLS), "concern", "faults", ax=ax)
    assert texts(ax) == {
        (0, 0): "0 %\n0 to 49",
        (0, 1): "100 %\n51 to 100",
        (1, 0): "0 %\n0 to 56",
        (1, 1): "25 %\n5 to 70",
    }
    (image,) = ax.images
    assert image.get_array().tolist() == [[0.0, 0.0], [1.0, 0.25]]
    assert image.get_clim() == (0.0, 1.0)
    assert [text.get_color() for text in ax.texts].count("white") == 1


def test_axes_have_the_settings_with_their_values_in_the_order_of_the_grid(ax):
    plot_sweep(frame(CELLS), "concern", "faults", ax=ax)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("concern", "faults")
    assert [text.get_text() for text in ax.get_xticklabels()] == ["0", "majority flushed to disk"]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["none", "cut"]
    assert ax.get_title(loc="left") == (
        "share of runs that lost an acknowledged write\n95 % intervals, 3 to 4 runs per cell"
    )


@pytest.mark.parametrize(
    ("width_in", "labels", "degrees"),
    [
        (5.0, ["0", "majority flushed to disk"], 0),
        (3.0, ["0", "majority flushed\nto disk"], 0),
        (1.8, ["0", "majority\nflushed\nto disk"], 0),
        (1.5, ["0", "majority flushed to disk"], 35),
    ],
)
def test_the_narrower_the_cells_the_more_lines_until_labels_stand_aslant(width_in, labels, degrees):
    ax = Figure(figsize=(width_in, 3), layout="constrained").subplots()
    plot_sweep(frame(CELLS), "concern", "faults", ax=ax)
    assert [text.get_text() for text in ax.get_xticklabels()] == labels
    assert {text.get_rotation() for text in ax.get_xticklabels()} == {degrees}


@pytest.mark.parametrize("width_in", [2.6, 3.4, 5.0])
@pytest.mark.parametrize("of", ["has_loss", "write_gap_ms_max"])
def test_no_figure_leaves_its_cell_in_one_column_of_a_paper(width_in, of):
    values = [True] * 6 if of == "has_loss" else [123.4, 234.5, 345.6, 456.7, 567.8, 678.9]
    cells = {(concern, "none"): values for concern in ("0", "1 flushed", "majority")}
    figure = Figure(figsize=(width_in, 2), layout="constrained")
    ax = plot_sweep(frame(cells, of), "concern", "faults", of=of, ax=figure.subplots())
    figure.draw_without_rendering()
    cell = ax.get_window_extent().width / 3
    assert max(text.get_window_extent().width for text in ax.texts) < cell


def test_medians_are_drawn_up_to_the_largest_and_say_where_they_have_no_interval(ax):
    table = frame(GAPS, "write_gap_ms_max")
    plot_sweep(table, "concern", "faults", of="write_gap_ms_max", ax=ax)
    assert texts(ax) == {(0, 0): "3.5\n1 to 6", (1, 0): "1,500\nn = 2"}
    assert ax.images[0].get_clim() == (0.0, 1_500.0)
    assert ax.get_title(loc="left").startswith("median of write gap max (ms)\n")


def test_a_pair_of_values_without_a_run_is_an_empty_cell(ax):
    cells = {("0", "none"): [True], ("1", "cut"): [True]}
    plot_sweep(frame(cells), "concern", "faults", ax=ax)
    assert sorted(texts(ax)) == [(0, 0), (1, 1)]
    assert ax.images[0].get_array().mask.tolist() == [[False, True], [True, False]]


def test_numeric_settings_are_labels_too(ax):
    cells = {(20, "none"): [True], (5, "none"): [True]}
    plot_sweep(frame(cells, settings=("writes_per_s", "faults")), "writes_per_s", "faults", ax=ax)
    assert [text.get_text() for text in ax.get_xticklabels()] == ["20", "5"]
    assert ax.get_xlabel() == "writes per s"


def test_over_one_setting_each_value_has_a_point_within_its_interval(ax):
    plot_sweep(frame(CELLS), "faults", ax=ax)
    points = [(line.get_xdata()[0], line.get_ydata()[0], line.get_color()) for line in ax.lines]
    assert points == [(0.0, 0, BLUE), (0.625, 1, VERMILION)]
    assert [line.get_marker() for line in ax.lines] == ["D", "o"]
    bars = [each.get_segments()[0][:, 0].tolist() for each in ax.collections]
    assert bars == [pytest.approx(wilson(0, 7)), pytest.approx(wilson(5, 8))]
    assert [text.get_text() for text in ax.texts] == ["0 of 7", "5 of 8", "runs"]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["none", "cut"]
    assert (ax.get_xlim(), ax.get_ylim()) == ((0, 1), (1.5, -0.5))


def test_a_median_without_an_interval_is_a_point_alone(ax):
    plot_sweep(frame(GAPS, "write_gap_ms_max"), "concern", of="write_gap_ms_max", ax=ax)
    assert [line.get_xdata()[0] for line in ax.lines] == [3.5, 1_500.0]
    bars = [each.get_segments()[0][:, 0].tolist() for each in ax.collections]
    assert bars == [[1.0, 6.0]]
    assert [text.get_text() for text in ax.texts] == ["6", "2", "runs"]


@pytest.mark.parametrize("y", [None, "faults"])
def test_given_axes_are_used_and_pyplot_has_no_figure_of_its_own(ax, y):
    before, settings = plt.get_fignums(), dict(mpl.rcParams)
    assert plot_sweep(frame(CELLS), "concern", y, ax=ax) is ax
    assert (plt.get_fignums(), dict(mpl.rcParams)) == (before, settings)


@pytest.mark.parametrize("y", [None, "faults"])
def test_a_sweep_without_runs_gives_an_empty_plot(ax, y):
    assert plot_sweep(frame(CELLS).iloc[:0], "concern", y, ax=ax) is ax
    *others, why = [text.get_text() for text in ax.texts]
    assert others == ([] if y else ["runs"])
    assert " ".join(why.split()) == "No run has a value of 'has loss': give a frame of sim.sweep."
