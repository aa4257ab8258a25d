"""Draw the cost of an update, compared with deleting and inserting the row again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from vectorkit.measure import DELETE_INSERT, UPDATE, summarise_updates
from vectorkit.plot.contrast import readable
from vectorkit.plot.style import (
    METHOD_COLOURS,
    axes,
    explain_empty,
    finish,
    legend_above,
    size_pt,
    text_colour,
)

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes


def plot_update_latency(frame: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the time per row by batch size: medians with quartiles, and the speed-up.

    Both axes are logarithmic. A dotted line joins the two medians of a batch size; the number
    beside it is the speed-up of update over delete + insert.

    Args:
        frame: The result of `measure.update_latency`.
        ax: Axes to draw in; None creates a new figure.

    Returns:
        The axes, with rows per call and time per row in µs.

    >>> from vectorkit import datasets, measure
    >>> frame = measure.update_latency(datasets.glove(limit=500), batches=(1, 16), repeats=2)
    >>> plot_update_latency(frame).get_ylabel()
    'time per row (µs)'
    """
    from matplotlib.ticker import LogLocator

    ax = axes(ax, width=5.2, height=3.2)
    summary = summarise_updates(frame)
    for name, method in (("delete_insert_us", DELETE_INSERT), ("update_us", UPDATE)):
        middle = summary[name]
        spread = [middle - summary[f"{name}_q25"], summary[f"{name}_q75"] - middle]
        ax.errorbar(
            summary["batch"],
            middle,
            yerr=spread,
            color=readable(METHOD_COLOURS[method], ax),
            marker="o",
            markersize=4,
            linewidth=1.4,
            capsize=2.5,
            label=method,
        )
    ax.vlines(
        summary["batch"],
        summary["update_us"],
        summary["delete_insert_us"],
        color=readable("0.6", ax),
        linestyle=":",
        linewidth=1.0,
        zorder=1,
    )
    _name_speedups(ax, summary)
    ax.set_xscale("log", base=2)
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter("{x:,.10g}")
    ax.set_xticks(summary["batch"], [f"{batch:,}" for batch in summary["batch"]])
    ax.minorticks_off()
    ax.margins(x=0.1, y=0.12)
    ax.set_xlabel("rows per call")
    ax.set_ylabel("time per row (µs)")
    legend_above(ax, _handles(ax))
    if summary.empty:
        explain_empty(ax, "The frame has no rows: give measure.update_latency rows and batches.")
    finish(ax)
    return ax


def _handles(ax: Axes) -> list[Artist]:
    from matplotlib.lines import Line2D

    return [
        Line2D(
            [],
            [],
            color=readable(METHOD_COLOURS[method], ax),
            marker="o",
            markersize=4,
            label=method,
        )
        for method in (DELETE_INSERT, UPDATE)
    ]


def _name_speedups(ax: Axes, summary: pd.DataFrame) -> None:
    """Write the speed-up beside each dotted line."""
    between = (summary["update_us"] * summary["delete_insert_us"]) ** 0.5
    for batch, speedup, height in zip(summary["batch"], summary["speedup"], between, strict=True):
        ax.annotate(
            f"{speedup:.1f}×",
            (batch, height),
            xytext=(4, 0),
            textcoords="offset points",
            ha="left",
            va="center",
            color=text_colour(ax),
            fontsize=size_pt(ax, 8),
        )
