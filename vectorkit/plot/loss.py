"""Draw how often acknowledged writes are lost, by write concern."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pandas as pd

from vectorkit.plot.contrast import readable
from vectorkit.plot.style import BLUE, VERMILION, axes, explain_empty, finish, write_beside
from vectorkit.sim.sweeps.intervals import wilson

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LOSS: Final = {"concern": "str", "seed": "int64", "acknowledged": "int64", "lost": "int64"}
"""The columns of a frame of losses, with one row per write concern and run."""


def plot_loss(frame: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the share of runs that lost an acknowledged write, with its 95 % interval, by concern.

    The writes of one run are not independent, so the plot counts runs. The intervals are those of
    Wilson (1927). Beside each row stand the numbers of lost and of acknowledged writes.

    Args:
        frame: One row per write concern and run, with the columns `concern` (its name), `seed`,
            `acknowledged` (number of writes) and `lost` (number of these that were lost).
        ax: Axes to draw in; None creates a new figure.

    Returns:
        The axes, with shares from 0 to 1 and one row per write concern.

    >>> rows = [("none", 1, 100, 3), ("none", 2, 100, 0), ("majority", 1, 90, 0)]
    >>> plot_loss(pd.DataFrame(rows, columns=list(LOSS))).get_xlabel()
    'share of runs that lost an acknowledged write'
    """
    concerns = list(dict.fromkeys(frame["concern"]))
    ax = axes(ax, width=5.2, height=1.0 + 0.45 * max(len(concerns), 1))
    for row, concern in enumerate(concerns):
        mine = frame[frame["concern"] == concern]
        hits, trials = int((mine["lost"] > 0).sum()), len(mine)
        colour = readable(VERMILION if hits else BLUE, ax)
        ax.hlines(row, *wilson(hits, trials), color=colour, linewidth=2.2, clip_on=False)
        ax.plot(hits / trials, row, "o" if hits else "D", color=colour, clip_on=False)
        write_beside(ax, row, f"{mine['lost'].sum():,} of {mine['acknowledged'].sum():,}")
    ax.set_xlim(0, 1)
    ax.xaxis.set_major_formatter(lambda share, _: f"{100 * share:.0f} %")
    ax.set_yticks(range(len(concerns)), concerns)
    write_beside(ax, -0.7, "writes lost")
    ax.set_ylim(max(len(concerns), 1) - 0.5, -0.5)
    ax.set_xlabel("share of runs that lost an acknowledged write")
    ax.tick_params(axis="y", pad=9)
    finish(ax, has_rows=True)
    if frame.empty:
        explain_empty(
            ax, "No run is in this frame: give rows of concern, seed, acknowledged and lost."
        )
    return ax
