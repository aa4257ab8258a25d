"""The health of replicas over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pandas as pd

from vectorkit.plot.style import (
    STATUS_COLOURS,
    axes,
    cut_handles,
    cut_windows,
    finish,
    is_narrow,
    legend_above,
    node_number,
    shade,
    size_pt,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BAR_HEIGHT: Final = 0.62
_SHORT_SHARE: Final = 0.012
_LABEL_SHARE, _LABEL_SHARE_NARROW = 0.05, 0.15
_ROW_IN_MIN: Final = 0.36
"""How high a row must be for a label above its bar."""


def plot_health(frame: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw a bar a replica, coloured by status, over the shaded times in which it was cut off.

    `frame` is `run.health`. A dwell too short to be seen is widened and, where there is room,
    labelled with its true length in seconds, unless a single sample saw it.

    >>> from vectorkit import sim
    >>> run = sim.simulate(sim.ClusterOptions(replicas=2), duration_ms=2_000)
    >>> plot_health(run.health).get_xlabel()
    'virtual time (s)'
    """
    from matplotlib.patches import Patch

    nodes = sorted(frame["node"].unique(), key=node_number)
    ax = axes(ax, width=7.0, height=1.3 + 0.5 * len(nodes))
    end_s = frame["time_ms"].max() / 1_000 if len(frame) else 1.0
    ax.set_ylim(max(len(nodes), 1) - 0.5, -0.75)
    ax.set_xlim(0, end_s)
    for row, node in enumerate(nodes):
        mine = frame[frame["node"] == node]
        for start_s, until_s in cut_windows(mine):
            shade(ax, start_s, until_s, row=row)
        _draw_dwells(ax, row, mine, end_s)
    ax.set_yticks(range(len(nodes)), nodes)
    ax.set_xlabel("virtual time (s)")
    seen = set(frame["status"])
    handles = [
        Patch(color=colour, label=status)
        for status, colour in STATUS_COLOURS.items()
        if status in seen
    ]
    legend_above(ax, [*handles, *cut_handles(frame)])
    finish(ax, has_rows=True)
    return ax


def _draw_dwells(ax: Axes, row: int, mine: pd.DataFrame, end_s: float) -> None:
    share = _LABEL_SHARE_NARROW if is_narrow(ax) else _LABEL_SHARE
    has_room = _row_in(ax) >= _ROW_IN_MIN
    drawn_s, labelled_s = 0.0, -end_s
    for start_s, length_s, status in _dwells(mine):
        shown_s, left_s = length_s, start_s
        is_short = length_s < end_s * _SHORT_SHARE
        if is_short:  # Beside the short one before it, and within the axes.
            shown_s = end_s * _SHORT_SHARE
            left_s = min(max(start_s, drawn_s), end_s - shown_s)
            drawn_s = left_s + shown_s
        ax.barh(
            row,
            shown_s,
            left=left_s,
            height=_BAR_HEIGHT,
            color=STATUS_COLOURS[status],
            linewidth=0,
            zorder=3 if is_short else 2,
        )
        # What was seen in a single sample has no length that could be told.
        is_told = is_short and length_s > 0
        if has_room and is_told and left_s - labelled_s >= end_s * share:
            # At the left edge a label begins at its bar, elsewhere it lies over its middle.
            labelled_s = left_s + (end_s * share / 2 if not left_s else 0)
            text, edge_s = f"{length_s:.2f} s", end_s * share
            _label(ax, row, left_s, shown_s, text, STATUS_COLOURS[status], edge_s)


def _row_in(ax: Axes) -> float:
    """How high a row is, in inches."""
    figure_in = ax.figure.get_figure(root=True).get_size_inches()[1]
    low, high = ax.get_ylim()
    return float(ax.get_position().height * figure_in) / abs(high - low)


def _label(
    ax: Axes, row: int, left_s: float, shown_s: float, text: str, colour: str, edge_s: float
) -> None:
    """Write above a bar, within the axes, whose edges are where a label would not fit."""
    places = {"left": left_s, "center": left_s + shown_s / 2, "right": left_s + shown_s}
    is_last = left_s > ax.get_xlim()[1] - edge_s
    align = "left" if left_s < edge_s else "right" if is_last else "center"
    ax.annotate(
        text,
        (places[align], row - _BAR_HEIGHT / 2),
        xytext=(0, 1.5),
        textcoords="offset points",
        ha=align,
        fontsize=size_pt(ax, 7),
        color=colour,
    )


def _dwells(mine: pd.DataFrame) -> list[tuple[float, float, str]]:
    """Start and length in seconds, and status, of each stretch of equal status."""
    times_s = (mine["time_ms"] / 1_000).tolist()
    statuses = mine["status"].tolist()
    starts = [i for i, each in enumerate(statuses) if i == 0 or each != statuses[i - 1]]
    ends = [times_s[i] for i in starts[1:]] + times_s[-1:]
    return [
        (times_s[i], end - times_s[i], statuses[i]) for i, end in zip(starts, ends, strict=True)
    ]
