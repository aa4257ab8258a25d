"""Figures of what is kept: who is drawn, in which order, and how near a budget is."""

import pytest
from matplotlib import pyplot as plt

from benchmarks import figures
from benchmarks.budgets import Budget, Verdict
from tests.benchmarks.made import record
from vectorkit.plot.style import BLUE, VERMILION


@pytest.fixture
def ax():
    figure, made = plt.subplots(layout="constrained")
    yield made
    figure.canvas.draw()
    plt.close(figure)


def verdict(value, limit=2.0, relation="at_most", case="one row"):
    budget = Budget(suite="update", case=case, value="by floor", relation=relation, full=limit)
    return Verdict(budget, limit, record(case), value)


def timed(who, median_us, **values):
    return record(who=who) | {"median_us": median_us, "values": values}


def rows_of(ax):
    return [label.get_text() for label in ax.get_yticklabels()]


def points(ax):
    """Places and colours of what is drawn as single points, from above downwards."""
    lines = [line for line in ax.get_lines() if len(line.get_xdata()) == 1]
    return [(float(line.get_xdata()[0]), line.get_color()) for line in lines]


def test_the_quickest_is_above_ours_has_its_colour_and_recall_stands_beside(ax):
    slow = timed("peer", 9.0, **{"recall@10": 0.5})
    ours = timed("vectorkit", 3.0, **{"recall@10": 1.0})
    figures.draw_times(ax, [slow, ours])
    assert rows_of(ax) == ["vectorkit", "peer"]
    assert points(ax) == [(3.0, BLUE), (9.0, figures.OTHERS)]
    assert [text.get_text() for text in ax.texts] == ["1.000", "0.500", "recall"]
    assert ax.get_xlabel() == "median (µs)"


def test_who_failed_is_not_drawn_and_no_more_than_fit(ax):
    failed = record(who="broken", error="ValueError: no")
    many = [timed(f"peer {number:02}", 1.0 + number) for number in range(20)]
    figures.draw_times(ax, [failed, *many])
    assert rows_of(ax) == [f"peer {number:02}" for number in range(figures.WHO_MAX)]
    assert not ax.texts


def test_a_trend_has_its_budget_and_its_bar(ax):
    limits = {"quick": 9.0, "full": 5.0, "bar": 3.0}
    budget = Budget(suite="update", case="*", value="by floor", relation="at_most", **limits)
    figures.draw_trend(ax, "by floor", [(0, 4.0), (2, 4.5)], budget, "full")
    trend, limit, bar = ax.get_lines()
    assert (trend.get_xdata().tolist(), trend.get_ydata().tolist()) == ([0, 2], [4.0, 4.5])
    assert (limit.get_ydata()[0], bar.get_ydata()[0]) == (5.0, 3.0)


@pytest.mark.parametrize(
    ("given", "share"),
    [
        (verdict(1.0), 0.5),
        (verdict(3.0), 1.5),
        (verdict(4.0, relation="at_least"), 0.5),
        (verdict(2.0, relation="exactly"), None),
        (verdict(-0.5), None),
        (verdict(0.0, relation="at_least"), None),
        (verdict(None), None),
    ],
)
def test_the_share_of_a_budget_is_one_where_all_of_it_is_used(given, share):
    assert figures.share_of(given) == share


def test_the_nearest_to_its_budget_is_above_and_past_it_has_another_colour(ax):
    cases = {"far": 0.5, "past": 3.0, "near": 1.8, "a" * 90: 1.0}
    verdicts = [verdict(value, case=case) for case, value in cases.items()]
    farther = verdict(1.7, case="near")
    figures.draw_shares(ax, [farther, *verdicts], count=3)
    past, near, long = rows_of(ax)
    assert (past, near) == ("past: by floor", "near: by floor")
    assert len(long) == figures.LETTERS_MAX
    assert long.endswith("a …: by floor")
    assert points(ax) == [(1.5, VERMILION), (0.9, BLUE), (0.5, BLUE)]
