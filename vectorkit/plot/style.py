"""What all plots share: colours that colour-blind readers can tell apart, and fault windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.patches import Patch

# States and methods have the palette of Okabe and Ito (2008).
ORANGE: Final = "#E69F00"
GREEN: Final = "#009E73"
BLUE: Final = "#0072B2"
VERMILION: Final = "#D55E00"

STATUS_COLOURS: Final = {
    "Connected": GREEN,
    "Lagging": ORANGE,
    "Disconnected": VERMILION,
    "Syncing": BLUE,
}
METHOD_COLOURS: Final = {"update": BLUE, "delete + insert": VERMILION}

# Nodes have black and the "muted" palette of Tol (2021), so that no node looks like a state.
_NODE_COLOURS: Final = (
    "#000000",
    "#332288",
    "#88CCEE",
    "#CC6677",
    "#999933",
    "#AA4499",
    "#44AA99",
    "#882255",
    "#DDCC77",
    "#117733",
)
_SHADE: Final[dict[str, Any]] = {"color": "black", "alpha": 0.13, "linewidth": 0}
_LEGEND_COLUMNS_MAX: Final = 6


def node_colour(node: str) -> str:
    """The colour of a node in every plot, by the number at the end of its name.

    >>> node_colour("node-1")
    '#332288'
    """
    return _NODE_COLOURS[node_number(node) % len(_NODE_COLOURS)]


def node_number(node: str) -> int:
    """The number at the end of a node's name: nodes are listed in its order."""
    return int(node.rpartition("-")[2])


def axes(ax: Axes | None, *, width: float, height: float) -> Axes:
    """The given axes, or those of a new figure of this size in inches."""
    if ax is not None:
        return ax
    from matplotlib import pyplot as plt

    _, made = plt.subplots(figsize=(width, height), layout="constrained")
    return made


def shade(ax: Axes, start_s: float, end_s: float, *, row: int | None = None) -> None:
    """Shade a stretch of time, over the whole height or in one row; overlaps are darker."""
    if row is None:
        ax.axvspan(start_s, end_s, zorder=0, **_SHADE)
    else:
        ax.barh(row, end_s - start_s, left=start_s, height=1.0, zorder=0, **_SHADE)


def cut_handles(health: pd.DataFrame) -> list[Patch]:
    """What a legend says of the shades: who was cut off; nothing where no node was."""
    from matplotlib.patches import Patch

    nodes = health[health["is_cut"]]["node"].unique().tolist()
    names = nodes[0] if len(nodes) == 1 else f"{len(nodes)} nodes"
    return [Patch(label=f"{names} cut off", **_SHADE)] if nodes else []


def legend_above(ax: Axes, handles: Sequence[Artist]) -> None:
    """A legend above the axes, where it covers nothing, in as few rows as there is room for."""
    if handles:
        ax.legend(
            handles=list(handles),
            ncols=min(len(handles), _LEGEND_COLUMNS_MAX),
            loc="lower left",
            bbox_to_anchor=(0, 1.0),
            frameon=False,
            borderaxespad=0.2,
            fontsize=9,
            handlelength=1.4,
            columnspacing=1.2,
        )


def cut_windows(mine: pd.DataFrame) -> list[tuple[float, float]]:
    """From when to when a node was cut off by the samples of its health, in seconds."""
    times_s = mine["time_ms"].to_numpy() / 1_000
    edges = np.diff(np.concatenate(([0], mine["is_cut"].to_numpy().astype(int), [0])))
    starts = np.flatnonzero(edges == 1)
    ends = np.minimum(np.flatnonzero(edges == -1), len(times_s) - 1)
    return list(zip(times_s[starts].tolist(), times_s[ends].tolist(), strict=True))
