"""Draw recall while rows are inserted, deleted and replaced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from vectorkit.plot.contrast import readable
from vectorkit.plot.style import SERIES, axes, explain_empty, finish, legend_above

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

RUNBOOK: Final = {
    "kind": "str",
    "step": "int64",
    "operation": "str",
    "rows": "int64",
    "recall": "float64",
}
"""The columns of a frame of a runbook, one row per kind and step; only searches have a recall."""

_LANE_SHARE, _GAP_SHARE = 0.09, 0.05
_BOTTOM_MAX: Final = 0.9
_WIDTHS: Final = (1.0, 2.6)
_SEARCH: Final = "search"


def plot_runbook(frame: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw recall over the steps of a streaming runbook, and below it what each step did.

    Each kind has a line through its searches. Each write is a tick in the lane of its operation.

    Args:
        frame: One row per kind and step, with the columns `kind`, `step` (numbered in order),
            `operation` ("insert", "delete", "replace", "search", …), `rows` (the number of rows
            after the step) and `recall` (of a search).
        ax: Axes to draw in; None creates a new figure.

    Returns:
        The axes, with the steps and recall from 0 to 1.

    >>> rows = [("pq", 1, "insert", 100, None), ("pq", 2, "search", 100, 0.9)]
    >>> plot_runbook(pd.DataFrame(rows, columns=list(RUNBOOK))).get_xlabel()
    'step of the runbook'
    """
    from matplotlib.lines import Line2D

    ax = axes(ax, width=5.2, height=3.2)
    searches = frame[frame["operation"] == _SEARCH].dropna(subset="recall")
    handles: list[Artist] = []
    kinds = list(dict.fromkeys(frame["kind"]))
    # Thin lines lie over thick ones, so that lines that coincide all stay visible.
    for number, width in enumerate(np.linspace(*_WIDTHS, len(kinds))[::-1]):
        kind, (colour, marker) = kinds[number], SERIES[number % len(SERIES)]
        colour = readable(colour, ax)
        mine = searches[searches["kind"] == kind].sort_values("step")
        ax.plot(
            mine["step"],
            mine["recall"],
            color=colour,
            marker=marker,
            markersize=1.5 + 1.5 * width,
            linewidth=width,
        )
        handles.append(Line2D([], [], color=colour, marker=marker, markersize=4, label=str(kind)))
    low = min(_BOTTOM_MAX, float(searches["recall"].min()) if len(searches) else 1.0)
    ax.set_ylim(low, 1.0 + 0.03 * (1 - low))
    ticks = [tick for tick in ax.get_yticks() if low <= tick <= 1.0]
    lanes = _draw_lanes(ax, frame, low, 1.0 - low)
    ax.set_yticks([*ticks, *lanes.values()], [*(f"{tick:.2f}" for tick in ticks), *lanes])
    ax.set_xlim(0, (frame["step"].max() if len(frame) else 1) + 1)
    ax.set_xlabel("step of the runbook")
    ax.set_ylabel("recall")
    legend_above(ax, handles)
    finish(ax)
    if frame.empty:
        explain_empty(
            ax, "No step is in this frame: give rows of kind, step, operation, rows and recall."
        )
    return ax


def _draw_lanes(ax: Axes, frame: pd.DataFrame, low: float, height: float) -> dict[str, float]:
    """Draw a lane for each kind of write; return the height of each lane by name."""
    writes = frame[frame["operation"] != _SEARCH].drop_duplicates(["step", "operation"])
    lanes: dict[str, float] = {}
    for number, operation in enumerate(dict.fromkeys(writes["operation"])):
        place = low - (_GAP_SHARE + _LANE_SHARE * (number + 0.5)) * height
        steps = writes.loc[writes["operation"] == operation, "step"]
        half = 0.35 * _LANE_SHARE * height
        ax.vlines(steps, place - half, place + half, color=readable("0.35", ax), linewidth=0.8)
        lanes[str(operation)] = place
    if lanes:
        ax.axhline(low - _GAP_SHARE * height / 2, color=readable("0.5", ax), linewidth=0.8)
    ax.set_ylim(bottom=low - (_GAP_SHARE + _LANE_SHARE * len(lanes)) * height)
    return lanes
