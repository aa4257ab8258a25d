"""Colours, legends and fault windows of all plots; colour-blind readers can distinguish them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from textwrap import fill
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from vectorkit.plot.contrast import is_dark, readable

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.patches import Patch

# States and methods have the palette of Okabe and Ito (2008).
ORANGE: Final = "#E69F00"
GREEN: Final = "#009E73"
BLUE: Final = "#0072B2"
VERMILION: Final = "#D55E00"
SKY_BLUE: Final = "#56B4E9"
PURPLE: Final = "#CC79A7"
PLUM: Final = "#AA3377"  # From Tol's "bright" palette: sky blue is too close to a node's colour.

STATUS_COLOURS: Final = {
    "Connected": GREEN,
    "Lagging": ORANGE,
    "Disconnected": VERMILION,
    "Syncing": BLUE,
}
MESSAGE_COLOURS: Final = {
    "records": BLUE,
    "acks": PLUM,
    "heartbeats": "0.62",
    "handshakes, syncs": GREEN,
    "mastership": VERMILION,
    "clients": ORANGE,
}
LOSS_COLOURS: Final = {"staleness": ORANGE, "quantization": BLUE, "order": PURPLE}
"""The causes of a replica's recall below 1."""
POLICY_COLOURS: Final = {
    "master": "black",
    "nearest": VERMILION,
    "round_robin": ORANGE,
    "sticky": PURPLE,
    "bounded_staleness": BLUE,
    "read_your_writes": GREEN,
    "confirmed": PLUM,
    "linearizable": SKY_BLUE,
}
METHOD_COLOURS: Final = {"update": BLUE, "delete + insert": VERMILION}
SERIES: Final = (
    (BLUE, "o"),
    (VERMILION, "s"),
    (GREEN, "^"),
    (ORANGE, "D"),
    (PURPLE, "v"),
    (SKY_BLUE, "P"),
)
"""Colours and markers for series without a fixed colour, such as kinds, in order of appearance."""
DASHES: Final[tuple[Any, ...]] = ("-", (0, (5, 1.5)), (0, (1.5, 1)), (0, (5, 1.2, 1.2, 1.2)))

# Nodes have black and the "muted" palette of Tol (2021), so that no node looks like a state. Its
# sand is replaced by a brown: darkened for a white background, sand becomes the olive beside it.
_NODE_COLOURS: Final = (
    "#000000",
    "#332288",
    "#88CCEE",
    "#CC6677",
    "#999933",
    "#AA4499",
    "#44AA99",
    "#882255",
    "#661100",
    "#117733",
)
_SHADE_ALPHA, _SHADE_ALPHA_DARK = 0.13, 0.2
HATCH: Final[dict[str, Any]] = {
    "facecolor": "none",
    "edgecolor": "0.5",
    "hatch": "////",
    "linewidth": 0,
}
"""Patch style for times in which a node was down."""
MASTER_COLOUR: Final = "0.45"
"""Grey for masters in plots whose colours mean states; readable on white and on black."""
_REGULAR_SHARE, _GAP_INTERVALS = 0.9, 1.5
_LEGEND_COLUMNS_MAX: Final = 9
_LABEL_LETTERS_MAX: Final = 28
_MARGIN_IN, _HANDLE_IN, _LETTER_IN = 0.75, 0.43, 0.075
_LEGEND_PT, _LABEL_PT = 9.0, 10.0
_NARROW_IN, _NARROW_SHARE, _SIZE_PT_MIN = 4.6, 0.78, 6.5
"""Axes narrower than this have smaller letters, but never below a readable size."""
PANEL_SHARE: Final = 0.775
"""Share of its place in a figure that an axes takes before labels are laid out."""
_NARROW_LETTERS_MAX, _NARROW_TICKS_MAX = 30, 4


def node_colour(node: str, ax: Axes | None = None) -> str:
    """Return the colour of a node, the same in every plot, by the number at the end of its name.

    With `ax`, return a readable colour for its background: `node-0` is black on white and white
    on black.

    >>> node_colour("node-1")
    '#332288'
    """
    colour = _NODE_COLOURS[node_number(node) % len(_NODE_COLOURS)]
    return colour if ax is None else readable(colour, ax)


def node_number(node: str) -> int:
    """Return the number at the end of a node's name, by which nodes are sorted."""
    return int(node.rpartition("-")[2])


def axes(ax: Axes | None, *, width: float, height: float) -> Axes:
    """Return the given axes, or the axes of a new figure of this size in inches."""
    if ax is not None:
        return ax
    from matplotlib import pyplot as plt

    _, made = plt.subplots(figsize=(width, height), layout="constrained")
    return made


def width_in(ax: Axes) -> float:
    """Return the width, in inches, of the figure area that belongs to these axes."""
    figure_in = ax.figure.get_figure(root=True).get_size_inches()[0]
    return float(ax.get_position().width * figure_in) / PANEL_SHARE


def is_narrow(ax: Axes) -> bool:
    """Return whether the axes are narrower than two columns of a paper."""
    return width_in(ax) < _NARROW_IN


def size_pt(ax: Axes, wide_pt: float) -> float:
    """Return the letter size for these axes; `wide_pt` is the size in wide axes."""
    return max(_SIZE_PT_MIN, _NARROW_SHARE * wide_pt) if is_narrow(ax) else wide_pt


def finish(ax: Axes, *, has_rows: bool = False) -> None:
    """Remove unnecessary lines; in narrow axes shrink the labels until they fit.

    With `has_rows` the vertical axis is a list of names, which needs no line and no ticks.
    """
    from matplotlib.ticker import AutoLocator

    ax.spines[["top", "right", "left"] if has_rows else ["top", "right"]].set_visible(False)
    if has_rows:
        ax.tick_params(axis="y", length=0)
    if is_narrow(ax):
        size = size_pt(ax, _LABEL_PT)
        ax.tick_params(which="both", labelsize=size)
        for axis in (ax.xaxis, ax.yaxis):
            axis.label.set_fontsize(size)
        ax.set_xlabel(fill(ax.get_xlabel(), _NARROW_LETTERS_MAX))
        if isinstance(ax.xaxis.get_major_locator(), AutoLocator):
            ax.locator_params(axis="x", nbins=_NARROW_TICKS_MAX)


def shade_look(ax: Axes) -> dict[str, Any]:
    """Return the patch style of shaded times on the background of these axes."""
    alpha = _SHADE_ALPHA_DARK if is_dark(ax) else _SHADE_ALPHA
    return {"color": readable("black", ax), "alpha": alpha, "linewidth": 0}


def shade(ax: Axes, start_s: float, end_s: float, *, row: int | None = None) -> None:
    """Shade a stretch of time, over the full height or in one row; overlaps become darker."""
    if row is None:
        ax.axvspan(start_s, end_s, zorder=0, **shade_look(ax))
    else:
        ax.barh(row, end_s - start_s, left=start_s, height=1.0, zorder=0, **shade_look(ax))


def text_colour(ax: Axes) -> str:
    """Return the text colour of the matplotlib style, made readable on these axes."""
    import matplotlib as mpl

    return readable(str(mpl.rcParams["text.color"]), ax)


def explain_empty(ax: Axes, text: str) -> None:
    """Write in the middle of empty axes why they are empty and what to do."""
    letter_in = _LETTER_IN * size_pt(ax, _LEGEND_PT) / _LEGEND_PT
    letters = max(20, int(0.75 * width_in(ax) / letter_in))
    ax.text(
        0.5,
        0.5,
        fill(text, letters, break_long_words=False),
        transform=ax.transAxes,
        ha="center",
        va="center",
        fontsize=size_pt(ax, _LEGEND_PT),
        color=text_colour(ax),
    )


def sampling_gap_ms(health: pd.DataFrame) -> float:
    """Return the time in ms from which on the distance of two samples counts as a gap.

    A change of status adds a row between regular samples, so a high quantile of the differences,
    not their mean, gives the sampling interval. The gap is 1.5 intervals, so that a late sample
    breaks no bar.
    """
    taken_ms = health.sort_values("time_ms").groupby("node")["time_ms"].diff()
    regular = taken_ms[taken_ms > 0]
    if regular.empty:
        return float("inf")
    return _GAP_INTERVALS * float(regular.quantile(_REGULAR_SHARE, interpolation="lower"))


def down_windows(roles: pd.DataFrame | None) -> list[tuple[str, float, float]]:
    """Return node, start (s) and end (s) of each stretch in which a node was down."""
    if roles is None:
        return []
    down = roles[roles["role"] == "down"]
    times_s = (down["started_ms"] / 1_000, down["ended_ms"] / 1_000)
    return list(zip(down["node"], *times_s, strict=True))


def down_handles(roles: pd.DataFrame | None) -> list[Patch]:
    """Return the legend entry for hatched times; empty if no node was down."""
    from matplotlib.patches import Patch

    return [Patch(label="down", **HATCH)] if down_windows(roles) else []


def write_beside(ax: Axes, row: float, text: str) -> None:
    """Write a text to the right of the axes, at the height of a row."""
    ax.annotate(
        text,
        (1.0, row),
        xycoords=("axes fraction", "data"),
        xytext=(8, 0),
        textcoords="offset points",
        va="center",
        fontsize=size_pt(ax, 8),
        color=text_colour(ax),
        annotation_clip=False,
    )


def pause_look(ax: Axes) -> dict[str, Any]:
    """Return the patch style of paused times, visible over a bar too."""
    return {**HATCH, "hatch": "....", "edgecolor": readable("black", ax)}


def cut_handles(ax: Axes, health: pd.DataFrame) -> list[Patch]:
    """Return the legend entry that names the nodes that were cut off; empty if there is none."""
    from matplotlib.patches import Patch

    nodes = health[health["is_cut"]]["node"].unique().tolist()
    names = nodes[0] if len(nodes) == 1 else f"{len(nodes)} nodes"
    return [Patch(label=f"{names} cut off", **shade_look(ax))] if nodes else []


def shade_faults(
    ax: Axes, faults: pd.DataFrame, rows: Mapping[str, int], *, unit_ms: float = 1_000
) -> list[Artist]:
    """Shade the times of faults, in the rows of the nodes that they name or over the full height.

    `faults` is `run.fault_windows`, and `rows` maps node to row. A fault without a duration is a
    dotted line. Times are divided by `unit_ms`. Draw only faults within the limits of the time
    axis; return their legend entries.
    """
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    low, high = ax.get_xlim()
    colour = readable("0.25", ax)
    lasting, sudden = Counter[str](), Counter[str]()
    for each in faults.to_dict("records"):
        start, end = each["started_ms"] / unit_ms, each["ended_ms"] / unit_ms
        if start > high or end < low:
            continue
        nodes = each["node"].split() if isinstance(each["node"], str) else []
        affected = [rows[node] for node in nodes if node in rows]
        what = each["kind"] if affected else " ".join([each["kind"], *nodes])
        if start == end:
            sudden[what] += 1
            ax.axvline(start, color=colour, linewidth=0.8, linestyle=":", zorder=1)
            continue
        lasting[what] += 1
        for row in affected or (None,):
            shade(ax, max(start, low), min(end, high), row=row)
    handles: list[Artist] = []
    if lasting:
        handles.append(Patch(label=_listed(lasting, "faults"), **shade_look(ax)))
    if sudden:
        line = Line2D([], [], color=colour, linewidth=0.8, linestyle=":")
        line.set_label(_listed(sudden, "events"))
        handles.append(line)
    return handles


def _listed(counts: Counter[str], many: str) -> str:
    """Return the names with their counts, or only the total if the names are too long."""
    names = (name if count == 1 else f"{count} × {name}" for name, count in counts.items())
    listed = ", ".join(names)
    return listed if len(listed) <= _LABEL_LETTERS_MAX else f"{counts.total()} {many}"


def legend_above(ax: Axes, handles: Sequence[Artist], *, text_pt: float = _LEGEND_PT) -> None:
    """Draw a legend above the axes, where it covers no data, in as few lines as possible."""
    if handles:
        ax.legend(
            handles=list(handles),
            ncols=_columns([str(handle.get_label()) for handle in handles], ax, text_pt),
            loc="lower left",
            bbox_to_anchor=(0, 1.0),
            frameon=False,
            borderaxespad=0.2,
            fontsize=size_pt(ax, text_pt),
            labelcolor=text_colour(ax),
            handlelength=1.4,
            columnspacing=1.2,
        )


def _columns(labels: Sequence[str], ax: Axes, text_pt: float) -> int:
    """Return how many columns of these labels fit into the width of the axes."""
    share = size_pt(ax, text_pt) / _LEGEND_PT
    room = width_in(ax) - _MARGIN_IN
    for columns in range(min(len(labels), _LEGEND_COLUMNS_MAX), 1, -1):
        widest = [max(map(len, part)) for part in np.array_split(list(labels), columns)]
        if share * sum(_HANDLE_IN + _LETTER_IN * length for length in widest) <= room:
            return columns
    return 1


def cut_windows(mine: pd.DataFrame, gap_ms: float) -> list[tuple[float, float]]:
    """Return start and end (s) of the times in which a node was cut off, by its health samples.

    A window ends where the next sample is further away than `gap_ms`, for example while the node
    itself is master: no sample then shows whether it was cut off.
    """
    windows: list[tuple[float, float]] = []
    samples = list(zip(mine["time_ms"].tolist(), mine["is_cut"].tolist(), strict=True))
    for (start_ms, is_cut), (end_ms, _) in pairwise(samples):
        if not is_cut or end_ms - start_ms > gap_ms:
            continue
        start_s, end_s = start_ms / 1_000, end_ms / 1_000
        if windows and windows[-1][1] == start_s:
            start_s = windows.pop()[0]
        windows.append((start_s, end_s))
    return windows


def broken_at_gaps(mine: pd.DataFrame, gap_ms: float, columns: Sequence[str]) -> pd.DataFrame:
    """Insert a missing value after each sample that a gap follows, so that the line ends there."""
    missing = mine[mine["time_ms"].diff(-1).abs() > gap_ms].copy()
    missing[list(columns)] = np.nan
    whole: pd.DataFrame = pd.concat([mine, missing]).sort_values("time_ms", kind="stable")
    return whole


def paused_windows(faults: pd.DataFrame | None) -> list[tuple[str, float, float]]:
    """Return node, start (s) and end (s) of each stretch in which a node was paused."""
    if faults is None:
        return []
    paused = faults[faults["kind"] == "Pause"]
    times_s = (paused["started_ms"] / 1_000, paused["ended_ms"] / 1_000)
    return list(zip(paused["node"], *times_s, strict=True))
