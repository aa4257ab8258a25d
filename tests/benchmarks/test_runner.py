"""Suites run in processes of their own; one that breaks is a line, and the next one runs."""

import importlib

import pytest

from benchmarks import runner
from benchmarks.rows import Plan
from benchmarks.suites import SUITES, Suite


@pytest.fixture
def run(monkeypatch):
    monkeypatch.setitem(SUITES, "breaks", Suite("tests.benchmarks.targets", "", is_by_cores=True))
    monkeypatch.setitem(SUITES, "dies", Suite("tests.benchmarks.dying", ""))

    def run(*names, cores=(1,)):
        return list(runner.run(names, Plan(cores=1, repeats=1), cores=cores))

    return run


def test_a_suite_that_raises_or_dies_is_a_line_with_its_error_and_the_next_one_runs(run):
    one, broken, dead = run("breaks", "dies")
    assert (one["case"], one["values"], one["error"]) == ("one", {"cores_count": 1.0}, "")
    assert broken["error"] == "RuntimeError: the second row is broken"
    assert (dead["suite"], dead["case"]) == ("dies", "the whole suite")
    assert dead["error"] == "Lost: its process ended by SIGKILL"


def test_a_suite_by_cores_is_run_once_for_each_number_and_says_so(run):
    lines = run("breaks", cores=(1, 2))
    assert [each["run"]["cores"] for each in lines] == [1, 1, 2, 2]
    assert len({each["run"]["date"] for each in lines}) == 1


@pytest.mark.parametrize("name", SUITES)
def test_every_suite_is_a_module_with_rows_and_says_what_it_answers(name):
    module = importlib.import_module(SUITES[name].module)
    assert callable(module.rows)
    assert module.__doc__
    assert SUITES[name].what
