"""Tests that do not always pass are found, on suites of a few lines, and fail again when asked."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stability import Recorder, history, main, report

PLUGINS = ("random_order.plugin", "pytest_cov.plugin", "nbval.plugin", "no:cacheprovider")
ROOT = Path(__file__).parents[1]
SOUND = "def test_sound(): pass\n"
FLAKY = """
from pathlib import Path

def test_flaky():
    count = Path("count")
    count.write_text(count.read_text() + "." if count.exists() else ".")
    assert count.read_text() != ".."
"""
LEAKY = """
import pytest

left = []

def test_leaves(): left.append(1)

@pytest.mark.parametrize("number", range(3))
def test_needs(number): assert left
"""
ALWAYS = "def test_always(): assert 0\n"


def python(folder, *arguments):
    """A run of Python in a folder that is a project of its own."""
    env = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # Loading all that is installed takes longer.
        "PYTEST_ADDOPTS": " ".join(f"-p {plugin}" for plugin in PLUGINS),
    }
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


def stability(folder, *arguments):
    return python(folder, "-m", "tests.stability", *arguments)


def told(done):
    """The lines of a report, from its first on."""
    lines = done.stdout.splitlines()
    return lines[next(i for i, line in enumerate(lines) if "tests, in" in line) :]


@pytest.fixture
def suite(tmp_path):
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    for name, text in {"sound": SOUND, "flaky": FLAKY, "leaky": LEAKY, "always": ALWAYS}.items():
        (tmp_path / f"test_{name}.py").write_text(text)
    return tmp_path


def test_a_test_that_fails_the_second_time_is_flaky_and_one_that_always_fails_is_not(suite):
    done = stability(suite, "--times", "3", "test_flaky.py", "test_sound.py", "test_always.py")
    lines = told(done)
    assert done.returncode == 1
    assert lines[:6] == [
        "3 tests, in 3 orders",
        "1 have both passed and failed",
        "  test_flaky.py::test_flaky: failed 1 of 3 times, again with",
        "    python -m pytest --no-cov -p tests.stability --random-order --random-order-seed=2 "
        "test_flaky.py test_sound.py test_always.py",
        "1 have always failed",
        "  test_always.py::test_always",
    ]
    assert lines[6].startswith("The slowest")
    assert len(lines) == 10


def test_a_test_that_needs_another_before_it_is_found_and_the_line_that_is_told_repeats_it(suite):
    lines = told(stability(suite, "--times", "2", "test_leaky.py"))
    assert lines[1] == "2 have both passed and failed"
    assert lines[2] == "  test_leaky.py::test_needs[0]: failed 1 of 2 times, again with"
    (_, *line) = shlex.split(lines[3])
    done = python(suite, *line)
    assert done.returncode == 1
    assert "FAILED test_leaky.py::test_needs[0] - " in done.stdout
    assert "1 failed, 3 passed" in done.stdout


def test_runs_are_added_to_the_history_in_orders_that_are_new(suite):
    first = stability(suite, "--times", "2", "test_sound.py")
    second = stability(suite, "--times", "1", "--history", ".pytest_cache/stability.jsonl")
    assert (first.returncode, second.returncode) == (0, 1)  # Without paths: everything.
    results = history(suite / ".pytest_cache" / "stability.jsonl")
    assert [(each.order, each.paths) for each in results[:2]] == [
        (1, "test_sound.py"),
        (2, "test_sound.py"),
    ]
    assert {(each.order, each.paths) for each in results[2:]} == {(3, "")}
    assert len(results) == 2 + 7


def test_the_cells_of_a_notebook_keep_their_order(suite):
    cells = [
        {
            "cell_type": "code",
            "execution_count": number + 1,
            "metadata": {},
            "outputs": [],
            "source": ["n = 0"] if number == 0 else ["n += 1\n", f"assert n == {number}"],
        }
        for number in range(6)
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "", "language": "python"}}
    text = {"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 4}
    (suite / "cells.ipynb").write_text(json.dumps(text))
    (suite / "pytest.ini").write_text("[pytest]\naddopts = --nbval-lax --nbval-current-env\n")
    done = stability(suite, "--times", "1", "cells.ipynb", "test_leaky.py")
    assert "cells.ipynb" in done.stdout
    results = history(suite / ".pytest_cache" / "stability.jsonl")
    cell_results = [each for each in results if "cells.ipynb" in each.test]
    assert [each.test.rpartition(" ")[2] for each in cell_results] == list("012345")
    assert all(each.has_passed for each in cell_results)


def refused(capsys, *arguments):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("times", ["0", "-1"])
def test_a_number_of_times_below_one_is_refused(times, suite, monkeypatch, capsys):
    monkeypatch.chdir(suite)
    assert f"--times {times}: wanted 1 or more" in refused(capsys, "--times", times)
    assert not (suite / ".pytest_cache").exists()


@pytest.mark.parametrize("line", ["{", "[]", '{"test": "a"}', '{"test": 1, "order": "x"}'])
def test_a_damaged_line_of_the_history_is_told_and_nothing_is_run_or_overwritten(
    line, suite, monkeypatch, capsys
):
    monkeypatch.chdir(suite)
    good = '{"test": "a", "paths": "", "order": 4, "has_passed": true, "duration_s": 0.5}'
    path = suite / "mine.jsonl"
    path.write_text(f"{good}\n{line}\n")
    problem = refused(capsys, "--history", "mine.jsonl", "test_flaky.py")
    assert f"line 2 of mine.jsonl is no result: {line!r}; take the line out" in problem
    assert not (suite / "count").exists()
    assert path.read_text() == f"{good}\n{line}\n"


def test_paths_that_pytest_does_not_know_are_no_result(suite):
    done = stability(suite, "test_missing.py")
    assert done.returncode == 2
    assert "pytest could not run these tests: it ended with 4" in done.stderr


class Report:
    def __init__(self, when, outcome, duration):
        self.nodeid, self.when, self.duration = "test_a", when, duration
        self.passed = outcome


def test_a_test_fails_with_any_of_its_phases_and_lasts_as_long_as_all_of_them(tmp_path):
    recorder = Recorder(tmp_path / "all", "tests/sim", 7)
    for phases in [(True, True, True), (True, True, False), (False, True)]:
        whens = ("setup", "call", "teardown") if len(phases) == 3 else ("setup", "teardown")
        for when, outcome in zip(whens, phases, strict=True):
            recorder.pytest_runtest_logreport(Report(when, outcome, 0.5))
    results = history(tmp_path / "all")
    assert [(each.has_passed, each.duration_s) for each in results] == [
        (True, 1.5),
        (False, 1.5),
        (False, 1.0),
    ]
    assert list(report(results))[1] == "1 have both passed and failed"
