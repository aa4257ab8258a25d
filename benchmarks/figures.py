"""What is kept as figures: competitors of a case side by side, values over runs, budgets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchmarks.budgets import Budget, Verdict
from benchmarks.history import Record
from benchmarks.rows import OURS
from vectorkit.plot.style import BLUE, GREEN, VERMILION, finish, size_pt, write_beside

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OTHERS = "0.45"
WHO_MAX = 14
LETTERS_MAX = 64


def cost(record: Record) -> float:
    """What the competitors of a case are sorted by: the quickest first, who failed last."""
    return record["median_us"] if record.get("median_us") is not None else float("inf")


def draw_times(ax: Axes, records: Sequence[Record]) -> None:
    """Median times of a case, the quickest above, with quartiles; beside them recall, if any."""
    timed = sorted((each for each in records if each.get("median_us") is not None), key=cost)
    timed = timed[:WHO_MAX]
    for place, each in enumerate(timed):
        half = (each.get("iqr_us") or 0.0) / 2
        colour = BLUE if each["who"].startswith(OURS) else OTHERS
        ax.errorbar(each["median_us"], place, xerr=half, fmt="o", color=colour, markersize=4)
        recalls = [value for name, value in each["values"].items() if name.startswith("recall@")]
        if recalls:
            write_beside(ax, place, f"{recalls[0]:.3f}")
    if any(name.startswith("recall@") for each in timed for name in each["values"]):
        write_beside(ax, -1, "recall")
    ax.set_yticks(range(len(timed)), [each["who"] for each in timed])
    ax.set_ylim(len(timed) - 0.5, -0.5)
    ax.set_xscale("log")
    ax.grid(axis="x", alpha=0.3)
    ax.set_xlabel("median (µs)")
    finish(ax, has_rows=True)


def draw_trend(
    ax: Axes, name: str, points: Sequence[tuple[int, float]], budget: Budget | None, form: str
) -> None:
    """A value over the runs, by their numbers; dashed its budget, dotted its bar."""
    ax.plot(*zip(*points, strict=True), "o-", color=BLUE, markersize=3)
    if budget is not None:
        limit = budget.limit(form)
        if limit is not None:
            ax.axhline(limit, color=VERMILION, linestyle="--", linewidth=0.9)
        if budget.bar is not None:
            ax.axhline(budget.bar, color=GREEN, linestyle=":", linewidth=1.2)
    ax.set_title(name, fontsize=8)
    finish(ax)


def share_of(verdict: Verdict) -> float | None:
    """How much of its budget a value has used up, 1 is all of it; None for what has no share.

    Exact counts have none, they are kept or not, and neither have slopes below zero.
    """
    value, limit = verdict.value, verdict.limit
    if value is None or min(value, limit) <= 0 or not verdict.may_be_noise:
        return None
    return value / limit if verdict.budget.relation == "at_most" else limit / value


def draw_shares(ax: Axes, verdicts: Sequence[Verdict], *, count: int = 16) -> None:
    """The rows that are nearest to their budgets, one for each, the nearest above.

    Past the line is past the budget.
    """
    shares = [(share, each) for each in verdicts if (share := share_of(each)) is not None]
    worst: dict[Budget, tuple[float, Verdict]] = {}
    for share, each in sorted(shares, key=lambda pair: pair[0], reverse=True):
        worst.setdefault(each.budget, (share, each))
    nearest = list(worst.values())[:count]
    for place, (share, each) in enumerate(nearest):
        ax.plot(share, place, "o", color=BLUE if each.is_kept else VERMILION, markersize=4)
    ax.axvline(1, color="black", linestyle="--", linewidth=0.9)
    names = [_named(each) for _, each in nearest]
    ax.set_yticks(range(len(names)), names, fontsize=size_pt(ax, 8))
    ax.set_ylim(len(nearest) - 0.5, -0.5)
    ax.xaxis.set_major_formatter("{x:.0%}")
    ax.grid(axis="x", alpha=0.3)
    ax.set_xlabel("share of its budget that is used")
    finish(ax, has_rows=True)


def _named(verdict: Verdict) -> str:
    assert verdict.record is not None, "a budget without a row has no value"
    case, value = verdict.record["case"], verdict.budget.value
    room = LETTERS_MAX - len(value) - 2
    return f"{case if len(case) <= room else case[: room - 2] + ' …'}: {value}"
