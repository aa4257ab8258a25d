"""Draw the results of a sweep over one or two settings, each value with its interval."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from vectorkit.plot.contrast import background, contrast, is_dark, readable
from vectorkit.plot.style import BLUE, VERMILION, axes, explain_empty, finish, size_pt, write_beside
from vectorkit.sim.sweeps import intervals

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_RATE_IN, _MEDIAN_IN, _ROW_IN = 0.82, 1.02, 0.5
"""Width of a cell with a rate, width of a cell with a median, and height."""
_MARGIN_IN: Final = 1.3
_LETTER_IN: Final = 0.0083
"""Approximate width of a letter in inches, per point of its size."""
_LABEL_PT: Final = 10.0
_LABEL_IN: Final = _LETTER_IN * _LABEL_PT
_PANEL_SHARE, _NAME_IN = 0.75, 0.45
"""Share of the figure that an axes takes before labels, and room for the axis name."""
_TEXT_PT, _TEXT_PT_MIN = 8.0, 4.5
"""The letter size in cells, and its minimum in narrow cells."""
_SAID: Final = {
    "has_loss": "runs that lost an acknowledged write",
    "is_broken": "runs that broke a promise",
    "is_converged": "runs that converged",
}


def plot_sweep(
    frame: pd.DataFrame,
    x: str,
    y: str | None = None,
    *,
    of: str = "has_loss",
    ax: Axes | None = None,
) -> Axes:
    """Draw a rate, or the median of a number, with 95 % intervals, by one or two settings.

    With one setting, each value has a row: a point, its interval, and the number of runs. With two
    settings the plot is a heat map: each cell shows the value above its interval, and a larger
    value has a stronger colour. Runs with different values of all other settings are pooled. A
    median of fewer than six runs has no interval.

    Args:
        frame: The result of `sim.sweep`.
        x: The setting on the horizontal axis, or that of the rows if `y` is None.
        y: A second setting, on the vertical axis of a heat map.
        of: The column to summarise: the rate of a boolean column, the median of a number.
        ax: Axes to draw in; None creates a new figure.

    Returns:
        The axes, with rates from 0 to 1, or medians in the unit of the column.

    >>> from vectorkit import sim
    >>> load = sim.Workload(writes_per_s=20, source="uniform:20x4")
    >>> base = sim.Scenario(sim.ClusterOptions(replicas=1), workload=load, duration_ms=500)
    >>> frame = sim.sweep({"loss": [0, 0.1], "replicas": [1, 2]}, seeds=range(2), base=base)
    >>> plot_sweep(frame, "loss", "replicas", of="is_converged").get_ylabel()
    'replicas'
    """
    is_rate = of not in frame or pd.api.types.is_bool_dtype(frame[of].dtype)
    count = intervals.rates if is_rate else intervals.medians
    what = "rate" if is_rate else "median"
    table = count(frame, [x] if y is None else [x, y], of).rename(
        columns={what: "middle", f"{what}_low": "low", f"{what}_high": "high"}
    )
    said = f"{'share' if is_rate else 'median'} of {_SAID.get(of, _words(of))}"
    ax = _draw_rows(ax, table, x, said) if y is None else _draw_cells(ax, table, x, y, said)
    if table.empty:
        explain_empty(ax, f"No run has a value of {_words(of)!r}: give a frame of sim.sweep.")
    return ax


def _draw_rows(ax: Axes | None, table: pd.DataFrame, x: str, said: str) -> Axes:
    is_rate, labels = "k" in table, [str(label) for label in table[x]]
    ax = axes(ax, width=5.2, height=1.0 + 0.45 * max(len(labels), 1))
    if is_rate:
        ax.set_xlim(0, 1)
        ax.xaxis.set_major_formatter(lambda share, _: f"{100 * share:.0f} %")
    for row, each in enumerate(table.to_dict("records")):
        is_hit = not is_rate or each["k"] > 0
        colour = readable(VERMILION if is_rate and is_hit else BLUE, ax)
        if math.isfinite(each["low"]):
            ax.hlines(row, each["low"], each["high"], color=colour, linewidth=2.2, clip_on=False)
        marker = "o" if is_hit else "D"
        ax.plot(each["middle"], row, marker, color=colour, clip_on=False)
        write_beside(ax, row, f"{each['k']:,} of {each['n']:,}" if is_rate else f"{each['n']:,}")
    write_beside(ax, -0.7, "runs")
    ax.set_yticks(range(len(labels)), labels)
    ax.set_ylim(max(len(labels), 1) - 0.5, -0.5)
    ax.set_xlabel(_wrapped(said, _width_in(ax, labels), size_pt(ax, _LABEL_PT)))
    ax.set_ylabel(_words(x))
    ax.tick_params(axis="y", pad=9)
    finish(ax, has_rows=True)
    return ax


def _draw_cells(ax: Axes | None, table: pd.DataFrame, x: str, y: str, said: str) -> Axes:
    is_rate = "k" in table
    grid = table.pivot_table(index=y, columns=x, values="middle", observed=True)
    across, down = list(grid.columns), list(grid.index)
    word_in = _letters(word for each in across for word in str(each).split()) * _LABEL_IN + 0.1
    cell_in = max(word_in, _RATE_IN if is_rate else _MEDIAN_IN)
    width = _NAME_IN + _letters(down) * _LABEL_IN + cell_in * max(len(across), 2)
    ax = axes(ax, width=width, height=_MARGIN_IN + _ROW_IN * max(len(down), 2))
    top = 1.0 if is_rate else float(np.nanmax(grid, initial=0.0)) or 1.0
    scale = "Blues_r" if is_dark(ax) else "Blues"
    if len(table):
        ax.imshow(grid.to_numpy(np.float64), cmap=scale, vmin=0, vmax=top, aspect="auto")
    cell_in = _width_in(ax, down) / max(len(across), 1)
    texts = {
        (across.index(each[x]), down.index(each[y])): (_cell_text(each, is_rate), each["middle"])
        for each in table.dropna(subset="middle").to_dict("records")
    }
    letters = _letters(text for text, _ in texts.values()) or 1
    text_pt = min(_TEXT_PT, max(_TEXT_PT_MIN, 0.93 * cell_in / (letters * _LETTER_IN)))
    for place, (text, middle) in texts.items():
        colour = _letter_colour(scale, middle / top)
        ax.text(*place, text, color=colour, ha="center", va="center", fontsize=text_pt)
    _label(ax, [str(each) for each in across], cell_in)
    ax.set_yticks(range(len(down)), [str(each) for each in down])
    ax.set_xticks(np.arange(1, len(across)) - 0.5, minor=True)
    ax.set_yticks(np.arange(1, len(down)) - 0.5, minor=True)
    ax.grid(which="minor", color=background(ax), linewidth=2)
    ax.tick_params(which="both", length=0)
    ax.set_xlabel(_words(x))
    ax.set_ylabel(_words(y))
    finish(ax, has_rows=True)
    ax.spines[:].set_visible(False)
    counts = sorted({table["n"].min(), table["n"].max()}) if len(table) else [0]
    runs = " to ".join(f"{count:,}" for count in counts)
    said = _wrapped(said, _width_in(ax, down), _TEXT_PT)
    ax.set_title(f"{said}\n95 % intervals, {runs} runs per cell", fontsize=_TEXT_PT, loc="left")
    return ax


def _letter_colour(scale: str, share: float) -> str:
    """Return white or black, whichever has more contrast with this colour of the scale."""
    import matplotlib as mpl

    red, green, blue, _ = mpl.colormaps[scale](share)
    on_white, on_black = (contrast((red, green, blue), (end,) * 3) for end in (1.0, 0.0))
    return "white" if on_white > on_black else "black"


def _label(ax: Axes, labels: list[str], cell_in: float) -> None:
    """Label the columns in wrapped lines, or at an angle if a word is wider than its cell."""
    label_pt = size_pt(ax, _LABEL_PT)
    letters = int(cell_in / (_LETTER_IN * label_pt))
    if all(len(word) <= letters for label in labels for word in label.split()):
        ax.set_xticks(range(len(labels)), [_wrapped(each, cell_in, label_pt) for each in labels])
    else:
        flat = [" ".join(label.split()) for label in labels]
        ax.set_xticks(range(len(flat)), flat, rotation=35, ha="right", rotation_mode="anchor")


def _width_in(ax: Axes, labels: Sequence[object]) -> float:
    """Estimate the width of axes in inches after the layout has made room for their labels."""
    figure_in = ax.figure.get_figure(root=True).get_size_inches()[0]
    panel_in = ax.get_position().width * figure_in / _PANEL_SHARE
    letter_in = _LETTER_IN * size_pt(ax, _LABEL_PT)
    return max(0.5, float(panel_in) - _NAME_IN - _letters(labels) * letter_in)


def _letters(texts: Iterable[object]) -> int:
    """Return the length of the longest line."""
    return max((len(line) for text in texts for line in str(text).split("\n")), default=0)


def _wrapped(text: str, width_in: float, size_pt: float) -> str:
    """Wrap a text into lines of this width without breaking words."""
    letters = max(1, int(width_in / (_LETTER_IN * size_pt)))
    return fill(text, letters, break_long_words=False, break_on_hyphens=False)


def _cell_text(each: dict[Any, Any], is_rate: bool) -> str:
    if is_rate:
        middle, low, high = (f"{100 * each[name]:.0f}" for name in ("middle", "low", "high"))
        return f"{middle} %\n{low} to {high}"
    if not math.isfinite(each["low"]):
        return f"{each['middle']:,.4g}\nn = {each['n']}"
    return f"{each['middle']:,.4g}\n{each['low']:,.4g} to {each['high']:,.4g}"


def _words(column: str) -> str:
    """Return the name of a column in words, followed by its unit.

    >>> _words("write_latency_ms_p99"), _words("writes_per_s"), _words("delay_ms")
    ('write latency p99 (ms)', 'writes per s', 'delay (ms)')
    """
    words = column.replace(".", "_").split("_")
    unit = " (ms)" if "ms" in words[1:] else ""
    return " ".join(word for word in words if word != "ms") + unit
