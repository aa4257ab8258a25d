"""Draw a space-time diagram: each message from sender to receiver, and each node's roles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from vectorkit.plot.contrast import background, readable
from vectorkit.plot.style import (
    MESSAGE_COLOURS,
    axes,
    explain_empty,
    finish,
    is_narrow,
    legend_above,
    node_colour,
    node_number,
    shade_faults,
    size_pt,
    text_colour,
)

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

MESSAGE_CLASSES: Final = {
    "Records": "records",
    "Resume": "records",
    "Ack": "acks",
    "MasterHeartbeat": "heartbeats",
    "ReplicaHeartbeat": "heartbeats",
    "AskConfirmed": "acks",
    "Confirmed": "acks",
    "Hello": "handshakes, syncs",
    "StartPartial": "handshakes, syncs",
    "StartFull": "handshakes, syncs",
    "Close": "handshakes, syncs",
    "RequestChunks": "handshakes, syncs",
    "Chunk": "handshakes, syncs",
    "Seek": "mastership",
    "Announce": "mastership",
    "Prepare": "mastership",
    "Promise": "mastership",
    "Reject": "mastership",
    "StartElection": "mastership",
    "AskPromise": "mastership",
    "TellPromise": "mastership",
    "ConfirmEpoch": "mastership",
    "EpochConfirmed": "mastership",
    "ClientWrite": "clients",
    "ClientRead": "clients",
    "ClientReply": "clients",
}
"""The class of each message type, which determines its colour."""

_ROLE_LINES: Final[dict[str, dict[str, Any]]] = {
    "master": {"linewidth": 5.5, "linestyle": "-"},
    "replica": {"linewidth": 1.8, "linestyle": "-"},
    "candidate": {"linewidth": 5.5, "linestyle": (0, (0.5, 0.3))},
    "returning": {"linewidth": 1.8, "linestyle": (0, (1, 1))},
    "starting": {"linewidth": 1.8, "linestyle": (0, (1, 1))},
}
_IS_SHOWN: Final = ("master", "replica", "candidate", "returning")
_LEGEND_PT: Final = 7.5
_STUB: Final = 0.35
"""A message that was lost at its sender is drawn this share of the distance to its target."""
_MS_BELOW: Final = 5_000.0
_LOOKS: Final = ((60, 1.0, 1.0, 18.0), (250, 0.7, 1.0, 10.0), (1_000, 0.5, 1.0, 5.0))
_LOOK_OF_MANY: Final = (0.3, 0.35, 1.5)
_NARROW_SHARE: Final = 0.6
"""Lines and arrows in narrow axes shrink by this factor."""


def plot_timeline(
    messages: pd.DataFrame,
    *,
    roles: pd.DataFrame | None = None,
    faults: pd.DataFrame | None = None,
    from_ms: float = 0.0,
    to_ms: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw each message as a slanted line from its sender to its receiver, over time.

    The colour of a line is the class of its message, and a cross ends a message that was lost. A
    client has a row if it sends or receives a message in the window.

    Args:
        messages: `run.messages`, or rows of it.
        roles: `run.roles`. The line of a node is then thick while it is master, dotted while it
            returns, and a thin dotted line, after a cross, while it is down.
        faults: `run.fault_windows`, drawn as shades.
        from_ms: Start of the window, in ms of virtual time.
        to_ms: End of the window, in ms; None draws to the end of the run.
        ax: Axes to draw in; None creates a new figure.

    Returns:
        The axes, with virtual time in ms or s and one row per node or client.

    >>> from vectorkit import sim
    >>> run = sim.simulate(sim.ClusterOptions(replicas=2), duration_ms=2_000)
    >>> plot_timeline(run.messages, roles=run.roles, to_ms=50).get_xlabel()
    'virtual time (ms)'
    """
    times = messages[["sent_ms", "arrived_ms", "lost_ms"]].max(axis=1)
    if to_ms is None:
        ends = times if roles is None else pd.concat([times, roles["ended_ms"]])
        to_ms = float(ends.max()) if ends.notna().any() else 1_000.0
    unit_ms = 1.0 if to_ms - from_ms < _MS_BELOW else 1_000.0
    seen = messages[(times >= from_ms) & (messages["sent_ms"] <= to_ms)]
    rows = _rows(messages if roles is None else None, seen, roles)
    ax = axes(ax, width=7.0, height=1.2 + 0.72 * len(rows))
    ax.set_xlim(from_ms / unit_ms, to_ms / unit_ms)
    ax.set_yticks(range(len(rows)), list(rows))
    ax.set_ylim(max(len(rows), 1) - 0.5, -0.45)
    shades = [] if faults is None else shade_faults(ax, faults, rows, unit_ms=unit_ms)
    lines = _draw_nodes(ax, rows, roles, unit_ms)
    slants = _draw_messages(ax, rows, seen, _travel_ms(messages), unit_ms)
    ax.xaxis.set_major_formatter("{x:,.10g}")
    ax.set_xlabel(f"virtual time ({'ms' if unit_ms == 1 else 's'})")
    legend_above(ax, [*slants, *lines, *shades], text_pt=_LEGEND_PT)
    if seen.empty and roles is None:
        explain_empty(ax, "No message was sent in this window of time: change from_ms and to_ms.")
    finish(ax, has_rows=True)
    return ax


def _rows(
    every: pd.DataFrame | None, seen: pd.DataFrame, roles: pd.DataFrame | None
) -> dict[str, int]:
    """Return the row of each participant: clients above nodes, each sorted by number."""
    names = {*seen["source"], *seen["target"]}
    names |= {*every["source"], *every["target"]} if every is not None else set()
    clients = [name for name in names if not name.startswith("node-")]
    nodes = {name for name in names if name.startswith("node-")}
    nodes |= set() if roles is None else set(roles["node"])
    order = [*sorted(clients, key=node_number), *sorted(nodes, key=node_number)]
    return {name: row for row, name in enumerate(order)}


def _travel_ms(messages: pd.DataFrame) -> float:
    """Return the median travel time, used as the slope of messages that never arrived."""
    taken = (messages["arrived_ms"] - messages["sent_ms"]).dropna()
    return 1.0 if taken.empty else float(taken.median())


def _draw_messages(
    ax: Axes, rows: Mapping[str, int], seen: pd.DataFrame, travel_ms: float, unit_ms: float
) -> list[Artist]:
    from matplotlib.collections import LineCollection
    from matplotlib.lines import Line2D

    many = [look for most, *look in _LOOKS if len(seen) <= most]
    width, alpha, size = many[0] if many else _LOOK_OF_MANY
    if is_narrow(ax):
        width, size = width * _NARROW_SHARE, size * _NARROW_SHARE
    handles: list[Artist] = []
    classes = seen["kind"].map(MESSAGE_CLASSES)
    for name, hue in MESSAGE_COLOURS.items():
        colour = readable(hue, ax)
        mine = seen[classes == name]
        if mine.empty:
            continue
        starts, ends, is_there, is_lost = _slants(mine, rows, travel_ms)
        starts[:, 0] /= unit_ms
        ends[:, 0] /= unit_ms
        segments = np.stack([starts, ends], axis=1)
        ax.add_collection(
            LineCollection(
                list(segments), colors=colour, linewidths=width, alpha=alpha, zorder=3, label=name
            ),
            autolim=False,
        )
        goes_down = ends[:, 1] > starts[:, 1]
        for is_so, marker in (
            (is_there & goes_down, "v"),
            (is_there & ~goes_down, "^"),
            (is_lost, "x"),
        ):
            ax.scatter(
                ends[is_so, 0],
                ends[is_so, 1],
                s=size * (1.6 if marker == "x" else 1),
                marker=marker,
                color=colour,
                linewidths=1.1 if marker == "x" else 0,
                zorder=4,
            )
        # In narrow axes a long name would leave the legend one column less.
        label = name.partition(",")[0] if is_narrow(ax) else name
        handles.append(Line2D([], [], color=colour, label=label))
    if seen["lost_ms"].notna().any():
        cross = Line2D(
            [], [], color=readable("0.2", ax), marker="x", markersize=5, linestyle="", label="lost"
        )
        handles.append(cross)
    return handles


def _slants(
    mine: pd.DataFrame, rows: Mapping[str, int], travel_ms: float
) -> tuple[Any, Any, Any, Any]:
    """Return starts and ends as (time in ms, row), and masks of arrived and lost messages."""
    sources = mine["source"].map(rows).to_numpy(float)
    targets = mine["target"].map(rows).to_numpy(float)
    sent_ms, arrived_ms = mine["sent_ms"].to_numpy(), mine["arrived_ms"].to_numpy()
    lost_ms = mine["lost_ms"].to_numpy()
    ended_ms = np.where(np.isnan(arrived_ms), lost_ms, arrived_ms)
    is_stub = ~(ended_ms > sent_ms) & np.isnan(arrived_ms)
    ended_ms = np.where(is_stub, sent_ms + _STUB * travel_ms, ended_ms)
    reached = np.where(is_stub, sources + _STUB * np.sign(targets - sources), targets)
    # Arrows end just before the line of their target, so that they do not hide it.
    reached -= np.where(is_stub, 0.0, 0.07 * np.sign(targets - sources))
    starts, ends = np.stack([sent_ms, sources], axis=1), np.stack([ended_ms, reached], axis=1)
    return starts, ends, ~np.isnan(arrived_ms), ~np.isnan(lost_ms)


def _draw_nodes(
    ax: Axes, rows: Mapping[str, int], roles: pd.DataFrame | None, unit_ms: float
) -> list[Artist]:
    from matplotlib.lines import Line2D

    low, high = ax.get_xlim()
    for name, row in rows.items():
        has_roles = roles is not None and name.startswith("node-")
        style = (0, (1, 3)) if has_roles else "-"
        ax.hlines(
            row, low, high, color=readable("0.5", ax), linewidth=0.8, linestyle=style, zorder=1
        )
    if roles is None:
        return []
    seen: set[str] = set()
    role_of: dict[str, str] = {}
    for each in roles.to_dict("records"):
        # A node that is replaced while it is down has two "down" rows but went down only once.
        was_down = role_of.get(each["node"]) == each["role"] == "down"
        role_of[each["node"]] = each["role"]
        start, end = each["started_ms"] / unit_ms, each["ended_ms"] / unit_ms
        if start > high or end < low or was_down:
            continue
        row, colour = rows[each["node"]], node_colour(each["node"], ax)
        if each["role"] != "down" or start >= low:
            seen.add(each["role"])
        if each["role"] == "down":
            ax.plot(
                start,
                row,
                "X",
                color=colour,
                markersize=size_pt(ax, 8),
                zorder=6,
                markeredgecolor=background(ax),
            )
            continue
        left, right = max(start, low), min(end, high)
        look = dict(_ROLE_LINES[each["role"]])
        look["linewidth"] *= _NARROW_SHARE if is_narrow(ax) else 1
        ax.plot([left, right], [row, row], color=colour, zorder=2, solid_capstyle="butt", **look)
        if each["role"] == "master":
            _name_epoch(ax, left, row, each["epoch"])
    handles: list[Artist] = [
        Line2D([], [], color=readable("0.2", ax), label=role, **_ROLE_LINES[role])
        for role in _IS_SHOWN
        if role in seen
    ]
    if "down" in seen:
        handles.append(
            Line2D(
                [],
                [],
                color=readable("0.2", ax),
                marker="X",
                markersize=7,
                linestyle="",
                label="goes down",
            )
        )
    return handles


def _name_epoch(ax: Axes, left: float, row: int, epoch: str) -> None:
    ax.annotate(
        epoch,
        (left, row),
        xytext=(2, 6),
        textcoords="offset points",
        fontsize=size_pt(ax, 7),
        zorder=7,
        color=text_colour(ax),
        bbox={"facecolor": background(ax), "alpha": 0.85, "linewidth": 0, "pad": 0.6},
    )
