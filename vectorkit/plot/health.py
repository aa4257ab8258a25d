"""Draw the health of replicas over time, with masters, downtime and pauses."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

import pandas as pd

from vectorkit.plot.contrast import background, readable
from vectorkit.plot.style import (
    HATCH,
    MASTER_COLOUR,
    STATUS_COLOURS,
    axes,
    cut_handles,
    cut_windows,
    down_handles,
    down_windows,
    explain_empty,
    finish,
    is_narrow,
    legend_above,
    node_number,
    pause_look,
    paused_windows,
    sampling_gap_ms,
    shade,
    size_pt,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.patches import Patch

_BAR_HEIGHT, _DOWN_HEIGHT = 0.62, 0.9
_SHORT_SHARE: Final = 0.012
_LABEL_SHARE, _LABEL_SHARE_NARROW = 0.05, 0.15
_LABEL_ZORDER: Final = 6
"""Above the hatching of downtime, which would make a label unreadable."""
_ROW_IN_MIN: Final = 0.36
"""The smallest row height, in inches, with room for a label above the bar."""


def plot_health(
    frame: pd.DataFrame,
    *,
    roles: pd.DataFrame | None = None,
    faults: pd.DataFrame | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the status of each replica over time, as its master sampled it.

    A bar ends where samples are further apart than the sampling interval, for example while the
    node itself is master: an empty stretch was not sampled. Times in which a node was cut off are
    shaded. A status that lasted too short to be visible is widened and, if there is room, labelled
    with its true length in seconds, unless only one sample saw it.

    Args:
        frame: `run.health`, or rows of it.
        roles: `run.roles`. Adds a bar while a node is master, and hatching while it is down,
            over the status that its master believes.
        faults: `run.fault_windows`. Adds dots while a node is paused, master or not.
        ax: Axes to draw in; None creates a new figure.

    Returns:
        The axes, with virtual time in seconds and one row per node.

    >>> from vectorkit import sim
    >>> run = sim.simulate(sim.ClusterOptions(replicas=2), duration_ms=2_000)
    >>> plot_health(run.health, roles=run.roles).get_xlabel()
    'virtual time (s)'
    """
    from matplotlib.patches import Patch

    names = set(frame["node"]) | set(() if roles is None else roles["node"])
    names |= {node for node, *_ in paused_windows(faults)}
    nodes = sorted(names, key=node_number)
    ax = axes(ax, width=7.0, height=1.3 + 0.5 * len(nodes))
    ends_ms = (
        frame["time_ms"] if roles is None else pd.concat([frame["time_ms"], roles["ended_ms"]])
    )
    end_s = ends_ms.max() / 1_000 if len(ends_ms) else 1.0
    gap_ms = sampling_gap_ms(frame)
    ax.set_ylim(max(len(nodes), 1) - 0.5, -0.75)
    ax.set_xlim(0, end_s)
    for row, node in enumerate(nodes):
        mine = frame[frame["node"] == node]
        for start_s, until_s in cut_windows(mine, gap_ms):
            shade(ax, start_s, until_s, row=row)
        _draw_dwells(ax, row, _dwells(mine, gap_ms / 1_000), end_s)
    reigns = [] if roles is None else _draw_roles(ax, nodes, roles)
    ax.set_yticks(range(len(nodes)), nodes)
    ax.set_xlabel("virtual time (s)")
    seen = set(frame["status"])
    handles = [
        Patch(color=colour, label=status)
        for status, colour in STATUS_COLOURS.items()
        if status in seen
    ]
    pauses = _draw_pauses(ax, nodes, faults)
    downs, cuts = down_handles(roles), cut_handles(ax, frame)
    legend_above(ax, [*handles, *reigns, *downs, *pauses, *cuts])
    if frame.empty:
        explain_empty(ax, "No replica was sampled: simulate replicas=1 or more, and for longer.")
    finish(ax, has_rows=True)
    return ax


def _draw_roles(ax: Axes, nodes: list[str], roles: pd.DataFrame) -> list[Patch]:
    """Draw when nodes were master or down; return the legend entry for masters."""
    from matplotlib.patches import Patch

    reigns = roles[roles["role"] == "master"]
    for each in reigns.to_dict("records"):
        start_s, until_s = each["started_ms"] / 1_000, each["ended_ms"] / 1_000
        ax.barh(
            nodes.index(each["node"]),
            until_s - start_s,
            left=start_s,
            height=_BAR_HEIGHT,
            color=MASTER_COLOUR,
            linewidth=0,
            zorder=2,
        )
    for node, start_s, until_s in down_windows(roles):
        ax.barh(
            nodes.index(node),
            until_s - start_s,
            left=start_s,
            height=_DOWN_HEIGHT,
            zorder=4,
            **HATCH,
        )
    return [Patch(color=MASTER_COLOUR, label="master")] if len(reigns) else []


def _draw_pauses(ax: Axes, nodes: list[str], faults: pd.DataFrame | None) -> list[Patch]:
    """Draw when nodes were paused; return the legend entry."""
    from matplotlib.patches import Patch

    windows, look = paused_windows(faults), pause_look(ax)
    for node, start_s, until_s in windows:
        ax.barh(
            nodes.index(node),
            until_s - start_s,
            left=start_s,
            height=_BAR_HEIGHT,
            zorder=4,
            **look,
        )
    return [Patch(label="paused", **look)] if windows else []


def _draw_dwells(ax: Axes, row: int, dwells: list[tuple[float, float, str]], end_s: float) -> None:
    share = _LABEL_SHARE_NARROW if is_narrow(ax) else _LABEL_SHARE
    has_room = _row_in(ax) >= _ROW_IN_MIN
    drawn_s, labelled_s = 0.0, -end_s
    for start_s, length_s, status in dwells:
        shown_s, left_s = length_s, start_s
        is_short = length_s < end_s * _SHORT_SHARE
        if is_short:  # Widened bars must not overlap each other or leave the axes.
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
        # A status that only one sample saw has no known length.
        has_length = is_short and length_s > 0
        if has_room and has_length and left_s - labelled_s >= end_s * share:
            # A label at the left edge starts at its bar; any other is centred on it.
            labelled_s = left_s + (end_s * share / 2 if not left_s else 0)
            text, edge_s = f"{length_s:.2f} s", end_s * share
            _label(ax, row, left_s, shown_s, text, STATUS_COLOURS[status], edge_s)


def _row_in(ax: Axes) -> float:
    """Return the height of a row, in inches."""
    figure_in = ax.figure.get_figure(root=True).get_size_inches()[1]
    low, high = ax.get_ylim()
    return float(ax.get_position().height * figure_in) / abs(high - low)


def _label(
    ax: Axes, row: int, left_s: float, shown_s: float, text: str, colour: str, edge_s: float
) -> None:
    """Write above a bar; within `edge_s` of the left or right edge align the text inwards."""
    from matplotlib.patheffects import withStroke

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
        color=readable(colour, ax),
        path_effects=[withStroke(linewidth=1.8, foreground=background(ax))],
        zorder=_LABEL_ZORDER,
    )


def _dwells(mine: pd.DataFrame, gap_s: float) -> list[tuple[float, float, str]]:
    """Return start (s), length (s) and status of each stretch of one status without a gap."""
    times_s = (mine["time_ms"] / 1_000).tolist()
    statuses = mine["status"].tolist()
    if not times_s:
        return []
    is_gap = [after - before > gap_s for before, after in pairwise(times_s)]
    starts = [
        i for i, each in enumerate(statuses) if i == 0 or each != statuses[i - 1] or is_gap[i - 1]
    ]
    dwells = []
    for start, after in zip(starts, [*starts[1:], len(times_s)], strict=True):
        is_followed = after < len(times_s) and not is_gap[after - 1]
        end_s = times_s[after if is_followed else after - 1]
        dwells.append((times_s[start], end_s - times_s[start], statuses[start]))
    return dwells
