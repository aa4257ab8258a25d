"""Draw recall against the time of a query, and the Pareto front."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from vectorkit.measure import summarise_recall
from vectorkit.plot.contrast import background, readable
from vectorkit.plot.style import (
    PANEL_SHARE,
    SERIES,
    axes,
    explain_empty,
    finish,
    legend_above,
    size_pt,
    width_in,
)

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

_POINTS_PER_INCH: Final = 72.0
_LABEL_PT: Final = (24.0, 8.5)
"""Width and height that the name of a setting needs."""
_WIDE: Final = 8.0
_RAISED_PT: Final = 5.0
"""Above the line of the front, which comes from the lower left."""
_HEIGHT_SHARE: Final = 0.7
"""Share of the height for the data area; legend and labels may use the rest."""


def plot_recall_latency(frame: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the recall of each setting against its time per query, and the Pareto front.

    A point is a setting: its recall, and the median and quartiles of its times. Settings on the
    front are filled and joined by a line: no setting is better in both recall and time. All other
    points are hollow. Better settings are to the right and below. The time axis is logarithmic.

    Args:
        frame: The result of `measure.recall_latency`.
        ax: Axes to draw in; None creates a new figure.

    Returns:
        The axes, with recall from 0 to 1 and time per query in µs.

    >>> from vectorkit import measure
    >>> rows = [("int8", "×1", 0, 0.97, 90.0), ("int8", "×4", 0, 1.0, 120.0)]
    >>> frame = pd.DataFrame(rows, columns=list(measure.RECALL_LATENCY))
    >>> plot_recall_latency(frame).get_xlabel()
    'recall'
    """
    from matplotlib.lines import Line2D
    from matplotlib.ticker import LogLocator, MaxNLocator

    ax = axes(ax, width=5.2, height=3.2)
    table = summarise_recall(frame)
    front = table[table["is_on_front"]].sort_values(["recall", "us_per_query"])
    grey = readable("0.6", ax)
    ax.plot(front["recall"], front["us_per_query"], color=grey, linewidth=1.2, zorder=1)
    handles: list[Artist] = []
    colours: dict[str, str] = {}
    for number, kind in enumerate(dict.fromkeys(table["kind"])):
        colour, marker = SERIES[number % len(SERIES)]
        colours[kind] = colour = readable(colour, ax)
        for each in table[table["kind"] == kind].to_dict("records"):
            _draw_point(ax, each, colour, marker)
        handles.append(Line2D([], [], color=colour, marker=marker, linestyle="", label=kind))
    if len(front) > 1:
        handles.append(Line2D([], [], color=grey, linewidth=1.2, label="Pareto front"))
    times_us = table["us_per_query"]
    is_wide = len(table) and times_us.max() > _WIDE * times_us.min()
    ax.set_yscale("log")
    # Below a decade a logarithmic axis has too few ticks; evenly spaced ones are clear there.
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)) if is_wide else MaxNLocator(5))
    ax.yaxis.set_major_formatter("{x:,.10g}")
    ax.minorticks_off()
    ax.margins(x=0.12, y=0.14)
    _name_settings(ax, table, colours)
    ax.set_xlabel("recall")
    ax.set_ylabel("time per query (µs)")
    legend_above(ax, handles)
    if table.empty:
        explain_empty(ax, "The frame has no rows: give measure.recall_latency kinds and queries.")
    finish(ax)
    return ax


def _draw_point(ax: Axes, each: dict[Any, Any], colour: str, marker: str) -> None:
    """Draw a setting as a marker, filled on the front, with its quartiles as a thin bar."""
    recall, middle_us = each["recall"], each["us_per_query"]
    ax.vlines(
        recall, each["us_per_query_q25"], each["us_per_query_q75"], color=colour, linewidth=1.0
    )
    ax.plot(
        recall,
        middle_us,
        marker,
        color=colour,
        markerfacecolor=colour if each["is_on_front"] else background(ax),
        markersize=5.5,
        zorder=3,
    )


def _name_settings(ax: Axes, table: pd.DataFrame, colours: Mapping[str, str]) -> None:
    """Write each setting above and left of its point, without overlaps, from the bottom up."""
    ends = ax.transLimits.transform(ax.transScale.transform(table[["recall", "us_per_query"]]))
    figure_in = ax.figure.get_figure(root=True).get_size_inches()[1]
    height_in = figure_in * ax.get_position().height * _HEIGHT_SHARE
    size_in = width_in(ax) * PANEL_SHARE, height_in
    places = ends * size_in * _POINTS_PER_INCH
    written: list[tuple[float, float]] = []
    for index in np.argsort(places[:, 1], kind="stable"):
        left, height = places[index][0], places[index][1] + _RAISED_PT
        for other, taken in written:
            if abs(other - left) < _LABEL_PT[0] and height < taken + _LABEL_PT[1]:
                height = taken + _LABEL_PT[1]
        written.append((left, height))
        each = table.iloc[index]
        ax.annotate(
            each["setting"],
            (each["recall"], each["us_per_query"]),
            xytext=(-6, height - places[index][1]),
            textcoords="offset points",
            ha="right",
            va="center",
            fontsize=size_pt(ax, 7),
            color=colours[each["kind"]],
        )
