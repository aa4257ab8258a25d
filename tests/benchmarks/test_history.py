"""History is appended to and never changed; what cannot be read is named, the rest is read."""

import json

import pytest

from benchmarks import history
from benchmarks.machine import cpu_model, described
from tests.benchmarks.made import record


def test_lines_are_appended_and_those_before_stay_as_they_are(tmp_path):
    history.append([record("a"), record("b", suite="search")], tmp_path)
    before = (tmp_path / "update.jsonl").read_bytes()
    history.append([record("c")], tmp_path)
    assert (tmp_path / "update.jsonl").read_bytes().startswith(before)
    kept, faults = history.read(tmp_path)
    assert [each["case"] for each in kept] == ["b", "a", "c"]
    assert faults == []


def test_a_torn_line_is_named_and_the_next_one_begins_on_its_own(tmp_path):
    history.append([record("a"), record("b")], tmp_path)
    path = tmp_path / "update.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    history.append([record("c")], tmp_path)
    kept, faults = history.read(tmp_path)
    assert [each["case"] for each in kept] == ["a", "c"]
    assert len(faults) == 1
    assert faults[0].startswith("update.jsonl, line 2: ")


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("[]", "a list where a JSON object was expected"),
        ("{}", "no suite, case, who, error, repeats, values, run, run.date"),
        (json.dumps(record() | {"values": 3}), "no values of the right kind"),
        (json.dumps(record() | {"run": {}}), "no run.date, run.form, run.cpu, run.cores"),
        ("\x00\x01", "Expecting value"),
    ],
)
def test_a_line_of_another_kind_is_named_with_file_and_number(tmp_path, line, fault):
    path = tmp_path / "update.jsonl"
    path.write_text(f"{json.dumps(record('a'))}\n{line}\n{json.dumps(record('b'))}\n", "utf-8")
    kept, faults = history.read(tmp_path)
    assert [each["case"] for each in kept] == ["a", "b"]
    assert faults[0].startswith("update.jsonl, line 2: ")
    assert fault in faults[0]


def test_bytes_that_are_no_text_are_a_fault_and_nothing_else(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b"\xff\xfe\n" + json.dumps(record()).encode())
    kept, faults = history.read(tmp_path)
    assert (len(kept), len(faults)) == (1, 1)


def test_a_folder_that_is_not_there_has_no_history(tmp_path):
    assert history.read(tmp_path / "none") == ([], [])


def test_the_newest_results_are_those_of_the_last_run_of_each_suite_and_form():
    old, new = "2026-01-01", "2026-02-01"
    records = [
        record("gone", date=old),
        record("a", date=old),
        record("a", date=old, form="full"),
        record("a", date=old, suite="search"),
        record("a", date=new),
    ]
    assert history.newest(records) == records[2:]
    assert history.runs(records) == [old, new]


def test_a_run_is_described_without_a_host_or_a_path():
    run = described("quick", 2)
    assert set(run) == {
        "date", "form", "cpu", "cores", "python", "dtype", "commit", "versions"
    }  # fmt: skip
    assert run["cpu"] == cpu_model() != ""
    assert run["dtype"] == "float32"
    assert "/" not in json.dumps(run["versions"])


def test_the_kept_history_of_the_project_can_be_read():
    kept, faults = history.read()
    assert faults == []
    assert {each["run"]["form"] for each in kept} <= {"quick", "full"}
