"""Draw how long writes take to reach each stage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from vectorkit.plot.contrast import background, readable
from vectorkit.plot.style import BLUE, axes, explain_empty, finish, is_narrow, write_beside

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STAGES: Final = {
    "written_ms": "written",
    "flushed_ms": "flushed by master",
    "applied_ms_first": "applied on first replica",
    "applied_ms_last": "applied on last replica",
    "visible_ms_first": "visible on first replica",
    "visible_ms_last": "visible on last replica",
    "confirmed_ms": "confirmed",
    "answered_ms": "answered",
}
"""The columns of `run.operations` that are stages, and their names in the figure."""

_LOG_ABOVE: Final = 50.0


def plot_operation_life(frame: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw how long after its request a write reached each stage: median, 90 %, 99 %.

    The thick bar extends from the 10 % to the 90 % quantile, the thin bar from the minimum to the
    99 % quantile, and the hollow dot is the median. If some writes never reached a stage, its label
    states how many did. The time axis is logarithmic if the stages are far apart. "Visible" is
    drawn as a stage of its own only if it comes later than "applied".

    Args:
        frame: `run.operations`. Only the writes of clients count; if there are none, all writes
            count, from the time when the master wrote them.
        ax: Axes to draw in; None creates a new figure.

    Returns:
        The axes, with times in ms and one row per stage.

    >>> from vectorkit import sim
    >>> load = sim.Workload(writes_per_s=50, source="uniform:20x4")
    >>> run = sim.simulate(sim.ClusterOptions(replicas=2), workload=load, duration_ms=1_000)
    >>> plot_operation_life(run.operations).get_xlabel()
    'time since the write was requested (ms)'
    """
    ax = axes(ax, width=7.0, height=3.0)
    asked = frame[frame["invoked_ms"].notna()]
    since = "written_ms" if asked.empty else "invoked_ms"
    frame = frame if asked.empty else asked
    stages = {column: name for column, name in STAGES.items() if not _is_shown(frame, column)}
    blue, hollow = readable(BLUE, ax), background(ax)
    names, ends_ms = [], list[float]()
    is_short = is_narrow(ax)  # Three numbers beside narrow axes would leave no room for the bars.
    for row, (column, name) in enumerate(stages.items()):
        taken_ms = (frame[column] - frame[since]).dropna().to_numpy()
        is_all = len(taken_ms) == len(frame)
        names.append(name if is_all else f"{name}\n({len(taken_ms):,} of {len(frame):,})")
        if not len(taken_ms):
            continue
        low, tenth, middle, most, nearly_all = np.quantile(taken_ms, [0, 0.1, 0.5, 0.9, 0.99])
        ends_ms += [low, nearly_all]
        ax.hlines(row, low, nearly_all, color=blue, linewidth=1.2, zorder=2)
        ax.hlines(row, tenth, most, color=blue, linewidth=6, zorder=2)
        ax.plot(middle, row, "o", color=blue, markerfacecolor=hollow, markersize=7, zorder=3)
        quantiles = (middle, nearly_all) if is_short else (middle, most, nearly_all)
        write_beside(ax, row, " · ".join(map(_rounded, quantiles)))
    least, most = min(ends_ms, default=0.0), max(ends_ms, default=0.0)
    is_wide = most > _LOG_ABOVE * least > 0
    if is_wide:
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter("{x:,.10g}")
    ax.set_xlim(least * 0.7 if is_wide else 0, most * 1.1 or 1.0)
    ax.set_yticks(range(len(stages)), names)
    write_beside(ax, -0.8, "50 % · 99 %" if is_short else "50 % · 90 % · 99 %")
    ax.set_ylim(len(stages) - 0.5, -0.6)
    was = "written" if asked.empty else "requested"
    ax.set_xlabel(f"time since the write was {was} (ms)")
    finish(ax, has_rows=True)
    if frame.empty:
        explain_empty(ax, "No write was recorded: give the run Workload(writes_per_s=50).")
    return ax


def _rounded(time_ms: float) -> str:
    return f"{time_ms:,.1f}" if time_ms < 100 else f"{time_ms:,.0f}"


def _is_shown(frame: pd.DataFrame, column: str) -> bool:
    """Return whether a "visible" column says no more than its "applied" column."""
    if not column.startswith("visible"):
        return False
    shown, applied = frame[column], frame[column.replace("visible", "applied")]
    return bool(shown.isna().all()) or shown.equals(applied)
