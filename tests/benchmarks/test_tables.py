"""Tables say what was measured, what was aimed at, and who came first."""

import pytest

from benchmarks import tables
from benchmarks.budgets import Budget
from tests.benchmarks.made import record


def made(who, median_us, **more):
    return record(who=who, **more) | {"median_us": median_us, "iqr_us": 1.0}


def test_competitors_stand_by_case_and_the_quickest_first():
    rows = [made("slow", 9.0), made("failed", None, error="a | b"), made("quick", 2.0)]
    lines = tables.suite(rows, "update", "quick").splitlines()
    assert lines[2] == "| one row | 2 | quick | 2 | 1 | – | by floor 1 |"
    assert lines[3].startswith("|  | 2 | slow | 9 |")
    assert lines[4] == "|  | 2 | failed | – | 1 | – | a / b |"


@pytest.mark.parametrize(("value", "verdict"), [(1.2, "met"), (1.3, "**missed**")])
def test_a_bar_is_met_or_missed_where_a_budget_is_kept(value, verdict):
    budget = Budget(
        suite="update", case="*", value="by floor", relation="at_most", full=2, bar=1.25
    )
    (row,) = tables.bars([record(value=value, form="full")], [budget]).splitlines()[2:]
    assert row == (
        f"| update: one row | vectorkit | by floor | {value} | ≤ 1.25 | {verdict} | 2, full |"
    )


def test_bars_are_of_full_runs_where_there_is_one():
    budget = Budget(suite="update", case="*", value="by floor", relation="at_most", full=2)
    rows = [record(value=1.0), record(value=1.5, form="full")]
    assert tables.bars(rows, [budget]).splitlines()[2:] == [
        "| update: one row | vectorkit | by floor | 1.5 | ≤ 2 | met | 2, full |"
    ]


def test_a_quick_run_is_not_held_against_a_bar():
    budget = Budget(
        suite="update", case="*", value="by floor", relation="at_most", quick=9, full=2, bar=1
    )
    (row,) = tables.bars([record(value=3.0)], [budget]).splitlines()[2:]
    assert row == "| update: one row | vectorkit | by floor | 3 | ≤ 9 | met | 2, quick |"


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (None, "–"),
        (0.0, "0"),
        (3.0, "3"),
        (1234.5, "1,234"),
        (0.12345, "0.123"),
        (99.96, "100"),
        (999.7, "1,000"),
    ],
)
def test_numbers_are_short(number, text):
    assert tables.short(number) == text


def test_a_result_is_told_in_one_line():
    kept = made("faiss-flat", 12.5) | {"roofline_share": 0.5, "roofline_of": "bytes"}
    assert tables.told(kept) == (
        "update[2] one row · faiss-flat: 12.5 µs (± 1, 0 repeats), by floor 1, "
        "50% of the bytes limit"
    )
    assert tables.told(record(error="broken")) == "update[2] one row · vectorkit: broken"
