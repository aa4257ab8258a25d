"""How long writes take to reach each stage of their life."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from vectorkit.plot.style import BLUE, axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STAGES: Final = {
    "written_ms": "written",
    "flushed_ms": "flushed by master",
    "applied_ms_first": "on first replica",
    "applied_ms_last": "on last replica",
    "confirmed_ms": "confirmed",
    "answered_ms": "answered",
}
"""The columns of `run.operations` that are stages, as a figure names them."""

_LOG_ABOVE: Final = 50.0


def plot_operation_life(frame: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw how long after it was asked for a write reached each stage: median, 90 %, 99 %.

    `frame` is `run.operations`; a write that no client asked for counts from when it was written.
    A thick bar reaches from the 10 % to the 90 % quantile, a thin one from the least to the 99 %
    quantile, a dot is the median. A stage that some writes never reached says how many did. The
    axis is logarithmic where the stages are far apart.

    >>> from vectorkit import sim
    >>> load = sim.Workload(writes_per_s=50, source="uniform:20x4")
    >>> run = sim.simulate(sim.ClusterOptions(replicas=2), workload=load, duration_ms=1_000)
    >>> plot_operation_life(run.operations).get_xlabel()
    'time since the write was asked for (ms)'
    """
    ax = axes(ax, width=5.2, height=3.0)
    since_ms = frame["invoked_ms"].fillna(frame["written_ms"])
    names, ends_ms = [], [0.0]
    for row, (column, name) in enumerate(STAGES.items()):
        taken_ms = (frame[column] - since_ms).dropna().to_numpy()
        is_all = len(taken_ms) == len(frame)
        names.append(name if is_all else f"{name}\n({len(taken_ms):,} of {len(frame):,})")
        if not len(taken_ms):
            continue
        low, tenth, middle, most, nearly_all = np.quantile(taken_ms, [0, 0.1, 0.5, 0.9, 0.99])
        ends_ms += [middle, nearly_all]
        ax.hlines(row, low, nearly_all, color=BLUE, linewidth=1.2, zorder=2)
        ax.hlines(row, tenth, most, color=BLUE, linewidth=6, alpha=0.45, zorder=2)
        ax.plot(middle, row, "o", color=BLUE, markersize=5, zorder=3)
        ax.annotate(
            f"{middle:,.1f} · {most:,.1f} · {nearly_all:,.1f}",
            (1.0, row),
            xycoords=("axes fraction", "data"),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    positive = [end for end in ends_ms if end > 0]
    if positive and max(positive) > _LOG_ABOVE * min(positive):
        ax.set_xscale("symlog", linthresh=1)
        ax.xaxis.set_major_formatter("{x:,.0f}")
    ax.set_xlim(0, max(ends_ms) * 1.05 or 1.0)
    ax.set_yticks(range(len(STAGES)), names)
    ax.set_ylim(len(STAGES) - 0.5, -0.5)
    ax.set_xlabel("time since the write was asked for (ms)")
    ax.set_title("50 % · 90 % · 99 %", loc="right", fontsize=8)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(axis="y", length=0)
    return ax
