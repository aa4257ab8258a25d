"""Draw the distribution of update times."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from vectorkit.measure import DELETE_INSERT, UPDATE
from vectorkit.plot.contrast import readable
from vectorkit.plot.style import (
    DASHES,
    METHOD_COLOURS,
    axes,
    explain_empty,
    finish,
    legend_above,
)

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes


def plot_update_spread(frame: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the distribution of time per row over calls: a curve for each method and batch size.

    The colour of a curve is the method and its dash pattern is the batch size. The time axis is
    logarithmic.

    Args:
        frame: The result of `measure.update_latency`. With `calls=1` and many repeats each step of
            a curve is one call.
        ax: Axes to draw in; None creates a new figure.

    Returns:
        The axes, with time per row in µs and shares of calls from 0 to 1.

    >>> from vectorkit import datasets, measure
    >>> words = datasets.glove(limit=500)
    >>> frame = measure.update_latency(words, batches=(1, 16), repeats=20, calls=1)
    >>> plot_update_spread(frame).get_xlabel()
    'time per row (µs)'
    """
    from matplotlib.lines import Line2D

    ax = axes(ax, width=5.2, height=3.2)
    batches = sorted(frame["batch"].unique())
    dashes = {batch: DASHES[number % len(DASHES)] for number, batch in enumerate(batches)}
    most = frame["us_per_row"].max() if len(frame) else 1.0
    seen: list[str] = []
    for method in (DELETE_INSERT, UPDATE):
        for batch in batches:
            is_mine = (frame["method"] == method) & (frame["batch"] == batch)
            times_us = np.sort(frame.loc[is_mine, "us_per_row"])
            if not len(times_us):
                continue
            seen += [] if method in seen else [method]
            ax.step(
                [times_us[0], *times_us, most * 1.1],
                [0.0, *np.arange(1, len(times_us) + 1) / len(times_us), 1.0],
                where="post",
                color=readable(METHOD_COLOURS[method], ax),
                linestyle=dashes[batch],
                linewidth=1.5,
            )
    handles: list[Artist] = [
        Line2D([], [], color=readable(METHOD_COLOURS[method], ax), label=method) for method in seen
    ]
    handles += [
        Line2D([], [], color=readable("0.3", ax), linestyle=dashes[batch], label=_rows(batch))
        for batch in batches
    ]
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter("{x:,.10g}")
    ax.set_xlim(right=most * 1.1)
    ax.set_ylim(0, 1.02)
    ax.set_xlabel("time per row (µs)")
    ax.set_ylabel("share of calls")
    legend_above(ax, handles)
    finish(ax)
    if frame.empty:
        explain_empty(ax, "The frame has no rows: give measure.update_latency rows and batches.")
    return ax


def _rows(batch: int) -> str:
    return f"{batch:,} row" if batch == 1 else f"{batch:,} rows"
