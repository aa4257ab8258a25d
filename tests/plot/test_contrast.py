"""Every line, mark and letter of every plot can be read, on a light and on a dark background."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import to_hex, to_rgb, to_rgba
from matplotlib.figure import Figure

from tests.plot.test_column import PLOTS, run, words  # noqa: F401 - `run` is a fixture.
from tests.plot.test_empty import SAID
from vectorkit import frames, plot
from vectorkit.plot import contrast, style

STYLES = ("default", "dark_background", "Solarize_Light2", "ggplot")
RATIO_MIN = 3.0


def luminance(rgb):
    """By the definition of WCAG 2.2, written out a second time."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


def ratio(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def over(colour, behind):
    """A colour that lets some of what is behind it by, as it is seen."""
    *rgb, alpha = to_rgba(colour)
    return tuple(alpha * a + (1 - alpha) * b for a, b in zip(rgb, behind, strict=True))


def drawn(run, name):  # noqa: F811
    draw, height_in = PLOTS[name]
    figure = plt.figure(figsize=(7, 2 * height_in), layout="constrained")
    ax = draw(run, figure.subplots())
    FigureCanvasAgg(figure).draw()
    plt.close(figure)
    return ax


def colours(ax):
    """What is drawn with lines, marks and letters, each with its colour as it is seen."""
    behind = to_rgb(ax.get_facecolor())
    legend = ax.get_legend()
    handles = [] if legend is None else legend.get_lines()
    for line in (*ax.lines, *handles):
        if line.get_linestyle() not in ("None", "none", ""):
            yield f"line {line.get_label()}", over(to_rgba(line.get_color()), behind)
        if line.get_marker() not in ("None", "none", "", None):
            yield (
                f"mark {line.get_label()}",
                over(to_rgba(line.get_markerfacecolor()), behind)
                if (to_rgb(line.get_markerfacecolor()) != behind)
                else to_rgb(line.get_markeredgecolor()),
            )
    for each in ax.collections:
        if isinstance(each, LineCollection):
            found = each.get_colors()
        elif isinstance(each, PathCollection):
            found = each.get_facecolors()
        else:
            continue  # What is filled is as wide as it is high.
        for colour in np.unique(found, axis=0):
            yield f"{type(each).__name__} {each.get_label()}", over(colour, behind)
    for text in words(ax):
        if not (ax.images and text in ax.texts):  # What stands in cells is compared with them.
            yield text.get_text(), to_rgb(text.get_color())


@pytest.mark.parametrize("look", STYLES)
@pytest.mark.parametrize("name", PLOTS)
def test_lines_marks_and_letters_can_be_read_in_every_style(run, name, look):  # noqa: F811
    with mpl.style.context(look):
        ax = drawn(run, name)
        behind = to_rgb(ax.get_facecolor())
        seen = list(colours(ax))
    unreadable = {what: to_hex(rgb) for what, rgb in seen if ratio(rgb, behind) < RATIO_MIN}
    assert len(seen) > 4
    assert unreadable == {}


@pytest.mark.parametrize("look", STYLES)
def test_the_figure_in_a_cell_can_be_read_on_its_cell(run, look):  # noqa: F811
    with mpl.style.context(look):
        ax = drawn(run, "sweep")
        (cells,) = ax.images
        shades = cells.cmap(cells.norm(cells.get_array()))
    for text in ax.texts:
        across, down = text.get_position()
        assert ratio(to_rgb(text.get_color()), shades[round(down), round(across)][:3]) >= RATIO_MIN


@pytest.mark.parametrize("look", STYLES)
@pytest.mark.parametrize("name", SAID)
def test_why_a_plot_is_empty_can_be_read_in_every_style(name, look):
    with mpl.style.context(look):
        figure = plt.figure(figsize=(5, 3))
        ax = getattr(plot, name)(frames.of_rows([], SAID[name][0]), ax=figure.subplots())
        plt.close(figure)
        behind = to_rgb(ax.get_facecolor())
        assert [text for text in ax.texts if ratio(to_rgb(text.get_color()), behind) < 3] == []


@pytest.mark.parametrize("look", STYLES)
def test_letters_have_the_colour_of_the_style_where_it_can_be_read(look):
    with mpl.style.context(look):
        figure = plt.figure()
        ax = figure.subplots()
        plt.close(figure)
        assert style.text_colour(ax) == mpl.rcParams["text.color"]
        ax.set_facecolor(mpl.rcParams["text.color"])
        assert ratio(to_rgb(style.text_colour(ax)), to_rgb(ax.get_facecolor())) >= RATIO_MIN


channels = st.integers(0, 255).map(lambda part: part / 255)
rgbs = st.tuples(channels, channels, channels)


@given(colour=rgbs, behind=rgbs)
def test_any_colour_can_be_read_on_any_background(colour, behind):
    ax = Figure(facecolor=behind).subplots()
    ax.set_facecolor(behind)
    shown = contrast.readable(to_hex(colour), ax)
    assert ratio(to_rgb(shown), behind) >= RATIO_MIN
    is_dark_grey = len(set(colour)) == 1 and colour[0] < 0.5
    if ratio(colour, behind) >= RATIO_MIN and not (is_dark_grey and contrast.is_dark(ax)):
        assert shown == to_hex(colour)


@pytest.mark.parametrize(
    ("figure", "axes", "behind"),
    [
        ("white", "black", (0, 0, 0)),
        ("black", "none", (0, 0, 0)),
        ("none", "none", (1, 1, 1)),
        ("black", (1, 1, 1, 0.5), (0.5, 0.5, 0.5)),
    ],
)
def test_the_background_is_what_is_seen_through_the_axes(figure, axes, behind):
    ax = Figure(facecolor=figure).subplots()
    ax.set_facecolor(axes)
    assert contrast.background(ax) == behind


@pytest.mark.parametrize("look", STYLES)
def test_ten_nodes_can_be_told_apart_in_every_style(look):
    with mpl.style.context(look):
        figure = plt.figure()
        ax = figure.subplots()
        plt.close(figure)
        nodes = np.array([to_rgb(style.node_colour(f"node-{i}", ax)) for i in range(10)])
        hues = [contrast.readable(colour, ax) for colour in style.MESSAGE_COLOURS.values()]
    apart = np.linalg.norm(nodes[:, None] - nodes[None], axis=-1) + 2 * np.eye(10)
    assert apart.min() > 0.14  # Of 1.73, from black to white.
    messages = np.array([to_rgb(colour) for colour in hues])
    assert np.linalg.norm(nodes[:5, None] - messages[None], axis=-1).min() > 0.14
