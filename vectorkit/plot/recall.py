"""Draw the recall of replicas over time, and why it is below 1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from vectorkit.plot.style import (
    LOSS_COLOURS,
    axes,
    broken_at_gaps,
    explain_empty,
    finish,
    legend_above,
    node_colour,
    node_number,
    sampling_gap_ms,
    shade_faults,
)
from vectorkit.types import Float64Array

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

_BOTTOM_MAX: Final = 0.9
_EMPTY: Final = (
    "No recall was measured: simulate with a workload and ClusterOptions(recall_every_ms=500)."
)
_NEVER_COMPARED: Final = "was never compared with its master: give a node that was a replica."
_VALUES: Final = ("recall", *(f"{cause}_loss" for cause in LOSS_COLOURS))
_WIDTHS: Final = (1.4, 3.6)
"""From thin to thick: of lines that coincide, each stays visible."""


def plot_recall(
    frame: pd.DataFrame,
    *,
    node: str | None = None,
    faults: pd.DataFrame | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the recall of each replica over time, or of one replica with the causes of its loss.

    Recall is the share of the master's k best matches that a replica returns. A line ends where
    samples are further apart than the sampling interval, for example while the node is down or
    itself master; a single sample between two gaps is a dot.

    Args:
        frame: `run.recall`.
        node: Draw only this replica, and fill the rest up to 1 by cause: stale data, matches that
            quantization missed, and matches that are equally good but in another order.
        faults: `run.fault_windows`, drawn as shades.
        ax: Axes to draw in; None creates a new figure.

    Returns:
        The axes, with virtual time in seconds and recall from 0 to 1.

    >>> from vectorkit import sim
    >>> load = sim.Workload(writes_per_s=100, source="uniform:200x8")
    >>> options = sim.ClusterOptions(replicas=1, recall_every_ms=500)
    >>> run = sim.simulate(options, workload=load, duration_ms=1_200, seed=7)
    >>> plot_recall(run.recall, faults=run.fault_windows).get_ylabel()
    'recall'
    """
    from matplotlib.lines import Line2D

    ax = axes(ax, width=7.0, height=2.8)
    drawn = frame if node is None else frame[frame["node"] == node]
    ax.set_xlim(0, frame["time_ms"].max() / 1_000 if len(frame) else 1.0)
    handles: list[Artist] = []
    gap_ms = sampling_gap_ms(frame)
    names = sorted(drawn["node"].unique(), key=node_number)
    for name, width in zip(names, np.linspace(*_WIDTHS, len(names))[::-1], strict=True):
        mine = broken_at_gaps(drawn[drawn["node"] == name], gap_ms, _VALUES)
        colour, recalls = node_colour(name, ax), mine["recall"].to_numpy()
        ax.plot(
            mine["time_ms"] / 1_000,
            recalls,
            color=colour,
            linewidth=width,
            marker="o",
            markersize=width + 0.6,
            markevery=_alone(recalls),
            zorder=3,
        )
        handles.append(Line2D([], [], color=colour, label=name))
    if node is not None:
        handles += _fill(ax, broken_at_gaps(drawn, gap_ms, _VALUES))
    shades = [] if faults is None else shade_faults(ax, faults, {})
    lowest = drawn["recall"].min() if len(drawn) else 1.0
    ax.set_ylim(min(_BOTTOM_MAX, max(0.0, lowest - 0.05)), 1.005)
    ax.set_xlabel("virtual time (s)")
    ax.set_ylabel("recall")
    legend_above(ax, [*handles, *shades])
    if drawn.empty:
        explain_empty(ax, _EMPTY if frame.empty else f"{node} {_NEVER_COMPARED}")
    finish(ax)
    return ax


def _alone(values: Float64Array) -> list[int]:
    """Return the indices of values without a neighbour, which a line would not show."""
    is_there = np.pad(~np.isnan(values), 1)
    return np.flatnonzero(is_there[1:-1] & ~is_there[:-2] & ~is_there[2:]).tolist()


def _fill(ax: Axes, mine: pd.DataFrame) -> list[Artist]:
    """Fill the area between recall and 1, one colour per cause; return the legend entries."""
    from matplotlib.patches import Patch

    handles: list[Artist] = []
    times_s, below = mine["time_ms"] / 1_000, mine["recall"]
    for cause, colour in LOSS_COLOURS.items():
        lost = mine[f"{cause}_loss"]
        above = below + lost
        if lost.any():
            ax.fill_between(
                times_s, below, above, color=colour, alpha=0.75, linewidth=0, zorder=2, label=cause
            )
            handles.append(Patch(color=colour, alpha=0.75, label=f"lost to {cause}"))
        below = above
    return handles
