"""Draw the lag of replicas: the true lag, and the lag that their master observes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pandas as pd

from vectorkit.plot.contrast import readable
from vectorkit.plot.style import (
    HATCH,
    axes,
    broken_at_gaps,
    cut_handles,
    cut_windows,
    down_handles,
    down_windows,
    explain_empty,
    finish,
    is_narrow,
    legend_above,
    node_colour,
    node_number,
    sampling_gap_ms,
    shade,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_NAMED_MAX: Final = 9
_POINTS_MAX: Final = 250
_TOP_MS_MIN: Final = 1_000.0


def plot_lag(
    frame: pd.DataFrame, *, roles: pd.DataFrame | None = None, ax: Axes | None = None
) -> Axes:
    """Draw the true lag of each replica (solid) and the lag that its master observes (dashed).

    Lag is the age of the oldest write that the replica has not applied (true) or has not yet
    confirmed to its master as applied (observed). A new master has no confirmations. Until they
    arrive it counts from the oldest write that the replica might lack, so after a failover the
    observed lag rises far above the true lag.

    A line ends where samples are further apart than the sampling interval, for example while the
    node itself is master. The lag axis is linear below 10 ms, then logarithmic. A long run is
    drawn as the maxima of 250 equal stretches of time, so that no spike is missed. With more than
    nine replicas the legend names the nine that fell furthest behind.

    Args:
        frame: `run.health`, or rows of it.
        roles: `run.roles`. Adds hatching while a node is down.
        ax: Axes to draw in; None creates a new figure.

    Returns:
        The axes, with virtual time in seconds and lag in ms.

    >>> from vectorkit import sim
    >>> run = sim.simulate(sim.ClusterOptions(replicas=2), duration_ms=2_000)
    >>> plot_lag(run.health).get_ylabel()
    'lag (ms)'
    """
    from matplotlib.lines import Line2D

    ax = axes(ax, width=7.0, height=2.8)
    handles: list[Line2D] = []
    windows: set[tuple[float, float]] = set()
    gap_ms = sampling_gap_ms(frame)
    worst_ms = frame.groupby("node")["lag_ms_true"].max()
    named = worst_ms.sort_values(ascending=False, kind="stable").index[:_NAMED_MAX]
    for node in sorted(worst_ms.index, key=node_number):
        mine = frame[frame["node"] == node]
        windows |= set(cut_windows(mine, gap_ms))
        mine = _with_gaps(_maxima(mine), gap_ms)
        colour, times_s = node_colour(node, ax), mine["time_ms"] / 1_000
        ax.plot(times_s, mine["lag_ms_true"], color=colour, linewidth=1.4)
        ax.plot(times_s, mine["lag_ms"], color=colour, linewidth=1.0, linestyle=(0, (4, 2)))
        if node in named:
            handles.append(Line2D([], [], color=colour, label=node))
    for start_s, end_s in sorted(windows):
        shade(ax, start_s, end_s)
    for _, start_s, end_s in down_windows(roles):
        ax.axvspan(start_s, end_s, zorder=0, **HATCH)
    is_short = is_narrow(ax)
    true = "true" if is_short else "true (not applied)"
    observed = "observed" if is_short else "observed (not confirmed to its master)"
    grey = readable("0.5", ax)
    handles.append(Line2D([], [], color=grey, label=true))
    handles.append(Line2D([], [], color=grey, linestyle=(0, (4, 2)), label=observed))
    ax.set_yscale("symlog", linthresh=10)
    ax.set_ylim(0, max(_TOP_MS_MIN, ax.get_ylim()[1]))
    ax.yaxis.set_major_formatter("{x:,.0f}")
    ax.set_xlim(0, frame["time_ms"].max() / 1_000 if len(frame) else 1.0)
    ax.set_xlabel("virtual time (s)")
    ax.set_ylabel("lag (ms)")
    legend_above(ax, [*handles, *down_handles(roles), *cut_handles(ax, frame)])
    if frame.empty:
        explain_empty(ax, "No replica was sampled: simulate replicas=1 or more, and for longer.")
    finish(ax)
    return ax


def _maxima(mine: pd.DataFrame) -> pd.DataFrame:
    """Return the largest lags of each stretch of time if there are too many samples to draw."""
    lags = mine[["time_ms", "lag_ms", "lag_ms_true"]]
    if len(lags) <= _POINTS_MAX:
        return lags
    stretch_ms = lags["time_ms"].max() / _POINTS_MAX
    return lags.groupby(lags["time_ms"] // stretch_ms, as_index=False).max()


def _with_gaps(lags: pd.DataFrame, gap_ms: float) -> pd.DataFrame:
    """Break the line where samples, or the stretches that replace them, are too far apart."""
    stretch_ms = lags["time_ms"].max() / _POINTS_MAX
    return broken_at_gaps(lags, max(gap_ms, 2 * stretch_ms), ("lag_ms", "lag_ms_true"))
