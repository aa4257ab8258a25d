"""Draw the staleness of clients' reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import pandas as pd

from vectorkit.plot.contrast import readable
from vectorkit.plot.style import (
    DASHES,
    POLICY_COLOURS,
    axes,
    explain_empty,
    finish,
    node_colour,
    node_number,
    size_pt,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_RIGHT_MS_MIN: Final = 10.0
_READS_MIN: Final = 20
"""With fewer reads a curve would be noise."""
_EMPTY: Final = (
    "No read was answered: simulate reads, such as Workload(reads_per_s=50), for longer."
)


def plot_staleness(
    frame: pd.DataFrame, *, by: Literal["policy", "node"] = "policy", ax: Axes | None = None
) -> Axes:
    """Draw the distribution of staleness over reads: a curve for each policy or each node.

    Staleness is the age of the oldest write that a read lacks. A curve shows the share of reads
    whose staleness is at most the value on the axis; it begins at 0 ms with the share of reads that
    lack no write. A policy or node with fewer than 20 reads has no curve; the legend counts its
    reads. The staleness axis is linear below 1 ms, then logarithmic.

    Args:
        frame: `run.reads`, or the concatenated reads of several runs. Only answered reads count.
        by: Draw one curve per read policy, or one per node that answered.
        ax: Axes to draw in; None creates a new figure.

    Returns:
        The axes, with staleness in ms and shares from 0 to 1.

    >>> from vectorkit import sim
    >>> load = sim.Workload(reads_per_s=50, source="uniform:20x4", read_policy="nearest")
    >>> run = sim.simulate(sim.ClusterOptions(replicas=2), workload=load, duration_ms=1_000)
    >>> plot_staleness(run.reads).get_xlabel()
    'staleness (ms)'
    """
    ax = axes(ax, width=5.2, height=3.2)
    answered = frame[frame["staleness_ms"].notna()]
    names = sorted(answered[by].unique(), key=node_number if by == "node" else _place)
    right_ms = max([_RIGHT_MS_MIN, *answered["staleness_ms"]]) * 1.3
    has_curve = False
    for number, name in enumerate(names):
        stale_ms = np.sort(answered.loc[answered[by] == name, "staleness_ms"])
        if len(stale_ms) < _READS_MIN:
            ax.plot([], [], linestyle="", label=f"{name} ({len(stale_ms):,}, too few)")
            continue
        has_curve = True
        shares = np.arange(1, len(stale_ms) + 1) / len(stale_ms)
        colour = readable(node_colour(name) if by == "node" else POLICY_COLOURS[name], ax)
        ax.step(
            [0.0, *stale_ms, right_ms],
            [0.0, *shares, 1.0],
            where="post",
            color=colour,
            linestyle=DASHES[number % len(DASHES)],
            linewidth=1.5,
            label=f"{name} ({len(stale_ms):,})",
        )
    ax.set_xscale("symlog", linthresh=1)
    ax.xaxis.set_major_formatter("{x:,.0f}")
    ax.set_xlim(0, right_ms)
    ax.set_ylim(0, 1.02)
    ax.set_xlabel("staleness (ms)")
    ax.set_ylabel("share of reads at most this stale")
    if names:
        size = size_pt(ax, 8)
        title = f"{by} (reads)"
        ax.legend(title=title, frameon=False, fontsize=size, title_fontsize=size, loc="best")
    if not has_curve:
        few = f"Too few reads were answered for a curve: wanted {_READS_MIN}, got"
        explain_empty(ax, f"{few} {len(answered):,}." if len(answered) else _EMPTY)
    finish(ax)
    return ax


def _place(policy: str) -> int:
    return list(POLICY_COLOURS).index(policy)
