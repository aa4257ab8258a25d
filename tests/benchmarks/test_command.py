"""The command as it is typed: what it prints, what it keeps, and how it ends."""

import json

import pytest

from benchmarks import __main__ as command
from benchmarks import budgets, history, runner
from benchmarks.report import filled
from benchmarks.suites import SUITES
from tests.benchmarks.made import record
from vectorkit.errors import InvalidOption

BUDGETS = """
[[budget]]
suite = "update"
case = "one *"
value = "by floor"
relation = "at_most"
quick = 3
bar = 1

[[budget]]
suite = "search"
case = "*"
value = "by floor"
relation = "exactly"
quick = 1
"""


@pytest.fixture
def run(tmp_path, capsys):
    """Run the command on a history and budgets of its own; the result is code, out, err."""
    (tmp_path / "budgets.toml").write_text(BUDGETS, "utf-8")

    def run(name, *arguments):
        given = [name, *arguments, "--history", str(tmp_path / "history")]
        if name in {"run", "check"}:
            given += ["--budgets", str(tmp_path / "budgets.toml")]
        code = command.main(given)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    run.folder = tmp_path / "history"
    return run


@pytest.fixture
def measures(monkeypatch):
    """Let runs give made-up rows, one list after the other."""

    def plan(*turns):
        left = list(turns)
        monkeypatch.setattr(runner, "run", lambda names, plan, cores: iter(left.pop(0)))

    return plan


def test_a_real_suite_runs_through_the_command_and_is_kept(run):
    code, out, err = run("run", "limits", "--quick", "--cores", "1", "--repeats", "1")
    assert (code, err) == (0, "")
    kept, faults = history.read(run.folder)
    assert faults == []
    assert [each["case"] for each in kept] == [
        *["read every byte"] * 2, *["matrix product, float32"] * 2, "best of both"
    ]  # fmt: skip
    assert {each["run"]["cores"] for each in kept} == {1}
    assert all(each["repeats"] >= 1 and each["median_us"] > 0 for each in kept[:4])
    assert kept[0]["roofline_of"] == "bytes"
    assert out.count("\n") == 5


def test_what_is_discarded_is_not_kept(run, measures):
    measures([record()])
    assert run("run", "update", "--discard")[0] == 0
    assert not run.folder.exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nothing"], ("there is no such suite: got nothing", "update", "streaming")),
        (["update", "--peers", "faiss"], ("there is no such peer: got faiss", "faiss-flat")),
        (["--cores", "4096"], ("these cores are not there: got --cores 4096",)),
        (["--repeats", "0"], ("nothing can be timed: got --repeats 0",)),
    ],
)
def test_what_cannot_be_asked_ends_with_two_and_says_what_can(run, arguments, told):
    code, out, err = run("run", *arguments)
    assert (code, out) == (2, "")
    assert all(each in err for each in told)
    assert not run.folder.exists()


def test_the_list_names_every_suite_peer_and_run(run):
    history.append([record()], run.folder)
    _, out, _ = run("list")
    assert all(f"{name} " in out for name in SUITES)
    assert "faiss-flat" in out
    assert "runs kept: 2026-11-26T12:00:00+00:00" in out


def test_a_quick_run_of_everything_leaves_out_what_needs_a_full_one():
    assert "scale" not in command.checked_suites([], "quick")
    assert command.checked_suites([], "full") == list(SUITES)
    assert command.checked_suites(["scale", "limits"], "quick") == ["limits", "scale"]


def test_a_full_run_takes_one_core_and_all_of_them(monkeypatch):
    monkeypatch.setattr(command.machine, "core_count", lambda: 8)
    assert command.checked_cores(None, "full") == [1, 8]
    assert command.checked_cores(None, "quick") == [8]
    assert command.checked_cores(3, "full") == [3]


def test_a_kept_run_within_its_budgets_passes(run):
    history.append([record(value=3.0), record(suite="search")], run.folder)
    assert run("check") == (0, "2 of 2 budgets kept\n", "")


def test_a_kept_run_past_a_budget_fails_and_names_row_value_and_budget(run):
    history.append([record(value=3.5), record(suite="search")], run.folder)
    code, out, _ = run("check")
    assert code == 1
    assert out == (
        "PAST ITS BUDGET  update / one row / vectorkit, 2 cores: by floor is 3.5 (budget ≤ 3)\n"
        "1 of 2 budgets kept\n"
    )


def test_nothing_to_judge_is_no_pass(run):
    code, out, _ = run("check")
    assert code == 1
    assert "measures first" in out


def test_a_ratio_past_its_budget_is_measured_once_more(run, measures):
    measures([record(value=9.0), record(suite="search")], [record(value=2.0, date="2026-12")])
    code, out, _ = run("check", "--quick")
    assert code == 0
    assert "past a budget, measured once more: update" in out


def test_a_ratio_that_is_past_its_budget_twice_fails(run, measures):
    measures([record(value=9.0), record(suite="search")], [record(value=8.0)])
    code, out, _ = run("check", "--quick")
    assert code == 1
    assert "by floor is 8 (budget ≤ 3)" in out


def test_an_exact_count_has_no_second_chance(run, measures):
    measures([record(value=9.0), record(value=2.0, suite="search")])
    code, out, _ = run("check", "--quick")
    assert code == 1
    assert "search / one row / vectorkit, 2 cores: by floor is 2 (budget = 1)" in out


def test_a_suite_that_broke_off_fails_whatever_its_other_rows_say(run, measures):
    broken = record(runner.WHOLE, error="ValueError: no more")
    measures([record(), record(suite="search"), broken])
    code, out, _ = run("check", "--quick")
    assert code == 1
    told = "BROKE OFF  update[2] the whole suite · vectorkit: ValueError: no more\n"
    assert out.endswith(f"{told}2 of 2 budgets kept\n")
    assert run("check") == (1, f"{told}2 of 2 budgets kept\n", "")


def test_a_suite_that_breaks_off_when_it_is_measured_once_more_fails(run, measures):
    broken = record(runner.WHOLE, error="ValueError: no more")
    measures([record(value=9.0), record(suite="search")], [record(), broken])
    code, out, _ = run("check", "--quick", "--discard")
    assert code == 1
    assert out.endswith(": ValueError: no more\n2 of 2 budgets kept\n")


@pytest.mark.parametrize(
    "given", [("--repeats", "0"), ("--peers", "none"), ("--cores", "1"), ("--discard",)]
)
def test_how_to_measure_has_no_meaning_where_nothing_is_measured(run, given):
    history.append([record(), record(suite="search")], run.folder)
    code, out, err = run("check", *given)
    assert (code, out) == (2, "")
    assert f"got {given[0]}, wanted them beside --quick or --full" in err


def test_a_broken_line_is_named_and_the_rest_is_judged(run):
    history.append([record(), record(suite="search")], run.folder)
    with (run.folder / "update.jsonl").open("a") as file:
        file.write('{"suite": "upd')
    code, out, err = run("check")
    assert (code, out) == (0, "2 of 2 budgets kept\n")
    assert err.startswith("history: update.jsonl, line 2: ")


def test_a_path_that_cannot_be_used_is_named_in_one_line(run, tmp_path):
    history.append([record()], run.folder)
    page = tmp_path / "none" / "page.html"
    code, out, err = run("report", "--out", str(page))
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert str(page) in err


def test_two_runs_are_compared_by_what_has_changed(run):
    old = [record("same"), record("other", 2.0), record("gone")]
    new = [record("same", date="2026-12"), record("other", 3.0, date="2026-12")]
    history.append(old + new, run.folder)
    _, out, _ = run("compare")
    assert out.splitlines() == [
        "2026-11-26T12:00:00+00:00 → 2026-12: 2 rows in both",
        "update / other / vectorkit / 2: by floor 2 → 3, 1.50 ×",
        "only before: 1 rows",
    ]


def test_a_run_that_is_not_kept_cannot_be_compared(run):
    history.append([record()], run.folder)
    for dates in ((), ("2026-11-26T12:00:00+00:00", "2025")):
        code, _, err = run("compare", *dates)
        assert code == 2
        assert "two kept runs are needed" in err


def test_nothing_kept_cannot_be_reported(run):
    code, _, err = run("report")
    assert code == 2
    assert "run --quick" in err


def test_a_report_is_one_page_without_the_network(run, tmp_path):
    one = record("a <case>", 2.5) | {"median_us": 5.0, "iqr_us": 1.0}
    history.append([one, record(who="faiss-flat", error="ValueError: <no>")], run.folder)
    page = tmp_path / "page.html"
    code, _, err = run("report", "--out", str(page))
    assert (code, err) == (0, "")
    text = page.read_text("utf-8")
    assert "a &lt;case&gt;" in text
    assert "ValueError: &lt;no&gt;" in text
    assert text.count("data:image/png;base64,") == 1
    assert not [each for each in ("http://", "https://", "<script", "<link") if each in text]


def test_marked_tables_of_a_document_are_filled_and_the_rest_stays(run):
    history.append([record("a <case>", 2.5) | {"median_us": 5.0, "iqr_us": 1.0}], run.folder)
    text = "before\n<!-- table: update -->\nold\n<!-- end of table -->\nafter\n"
    found = filled(text, history.read(run.folder).records, budgets.load())
    assert found.startswith("before\n<!-- table: update -->\n")
    assert found.endswith("<!-- end of table -->\nafter\n")
    assert "| a <case> | 2 | vectorkit | 5 | 1 | – | by floor 2.5 |" in found
    assert "old" not in found


@pytest.mark.parametrize("text", ["no markers", "<!-- table: x -->\n\n<!-- end of table -->"])
def test_a_document_without_tables_to_fill_is_refused(run, text):
    history.append([record()], run.folder)
    with pytest.raises(InvalidOption, match="cannot be filled"):
        filled(text, history.read(run.folder).records, budgets.load())


def test_lines_are_json_of_one_line_each(run):
    history.append([record("a\nb")], run.folder)
    (line,) = (run.folder / "update.jsonl").read_text("utf-8").splitlines()
    assert json.loads(line)["case"] == "a\nb"
