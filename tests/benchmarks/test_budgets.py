"""Budgets judge rows: kept, past, without a value, without a row."""

import pytest

from benchmarks.budgets import Budget, judged, load
from benchmarks.suites import SUITES
from tests.benchmarks.made import record
from vectorkit.errors import InvalidOption

BUDGET = Budget(
    suite="update", case="one *", value="by floor", relation="at_most", quick=3, full=2, bar=1
)


def verdicts(*records, budget=BUDGET, form="quick"):
    return judged(records, [budget], form)


@pytest.mark.parametrize(
    ("relation", "value", "is_kept"),
    [
        ("at_most", 3.0, True),
        ("at_most", 3.01, False),
        ("at_least", 3.0, True),
        ("at_least", 2.99, False),
        ("exactly", 3.0, True),
        ("exactly", 3.01, False),
    ],
)
def test_a_budget_is_kept_up_to_its_limit(relation, value, is_kept):
    budget = Budget(suite="update", case="*", value="by floor", relation=relation, quick=3)
    assert [each.is_kept for each in verdicts(record(value=value), budget=budget)] == [is_kept]


def test_what_is_past_is_told_with_row_value_and_budget():
    (verdict,) = verdicts(record(value=4.5))
    told = "update / one row / vectorkit, 2 cores: by floor is 4.5 (budget ≤ 3)"
    assert str(verdict) == told


def test_each_form_has_its_own_limit_and_rows():
    both = [record(value=2.5), record(value=2.5, form="full")]
    assert [each.is_kept for each in verdicts(*both)] == [True]
    assert [each.is_kept for each in verdicts(*both, form="full")] == [False]


def test_a_form_without_a_limit_is_not_judged():
    budget = Budget(suite="update", case="*", value="by floor", relation="at_most", full=1)
    assert verdicts(record(value=9.0), budget=budget) == []


def test_every_row_that_matches_is_judged_and_no_other():
    rows = [record("one a"), record("one b"), record("two"), record("one c", who="faiss-flat")]
    found = verdicts(*rows, record("one d", suite="search"))
    assert [each.record["case"] for each in found] == ["one a", "one b"]


def test_a_row_that_ended_in_an_error_keeps_no_budget():
    (verdict,) = verdicts(record(value=1.0) | {"error": "ValueError: broken"})
    assert not verdict.is_kept
    assert "by floor is ValueError: broken (budget ≤ 3)" in str(verdict)


def test_a_row_that_was_not_measured_keeps_no_budget():
    (verdict,) = verdicts(record("two"))
    assert not verdict.is_kept
    assert str(verdict) == (
        "update / one * / vectorkit: by floor: no such row was measured (budget ≤ 3)"
    )


def test_a_suite_that_was_not_run_is_not_judged():
    assert verdicts(record(suite="search")) == []


def test_only_a_ratio_may_be_noise():
    exact = Budget(suite="update", case="*", value="by floor", relation="exactly", quick=0)
    assert [each.may_be_noise for each in verdicts(record())] == [True]
    assert [each.may_be_noise for each in verdicts(record(), budget=exact)] == [False]


GOOD = 'suite = "a"\ncase = "b"\nvalue = "n_count"\nrelation = "exactly"\nquick = 0\n'


@pytest.mark.parametrize(
    ("text", "got"),
    [
        (GOOD.replace("exactly", "about"), "relation='about'"),
        (GOOD.replace("n_count", "call_us"), "value='call_us', a time of one machine"),
        (GOOD.replace("quick = 0", ""), "neither quick nor full"),
        (GOOD.replace("quick = 0", 'quick = "0"'), "quick='0', no number"),
        (GOOD + "most = 3\n", "most"),
        (GOOD.replace('case = "b"\n', ""), "case"),
    ],
)
def test_what_is_no_budget_is_refused_with_its_number(tmp_path, text, got):
    path = tmp_path / "some.toml"
    path.write_text(f"[[budget]]\n{GOOD}[[budget]]\n{text}", "utf-8")
    with pytest.raises(InvalidOption, match="budget 2 of some") as error:
        load(path)
    assert got in error.value.got


@pytest.mark.parametrize("written", [b"budget = [", b"budget = 3", b"[budget]\n", b"\xff\xfe"])
def test_a_file_that_holds_no_budgets_is_refused(tmp_path, written):
    path = tmp_path / "some.toml"
    path.write_bytes(written)
    with pytest.raises(InvalidOption, match=r"of some\.toml"):
        load(path)


def test_times_of_the_simulator_are_exact_and_may_be_judged(tmp_path):
    path = tmp_path / "some.toml"
    path.write_text(f"[[budget]]\n{GOOD.replace('n_count', 'virtual_duration_ms')}", "utf-8")
    assert load(path)[0].value == "virtual_duration_ms"


def test_the_budgets_of_the_project_name_suites_that_there_are():
    budgets = load()
    assert {each.suite for each in budgets} <= set(SUITES)
    assert any(each.quick is not None for each in budgets)
    exact = {each.value for each in budgets if each.relation == "exactly"}
    assert {"torn_count", "stale_count", "wrong_count", "compilation_count"} <= exact
