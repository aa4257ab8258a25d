"""The hunt as a command: it ends in time or by hand, reports, and keeps what it finds."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from vectorkit import sim
from vectorkit.cli import main
from vectorkit.cli.hunt import report
from vectorkit.sim.fuzzing.coverage import COVERAGE_GOALS
from vectorkit.sim.fuzzing.hunt import HuntTally, try_seed

BRIEF = ("hunt", "--minutes", "0.001")


@pytest.fixture
def broken(monkeypatch):
    """Every run raises, since it may have so few events."""
    monkeypatch.setitem(sim.random_scenario.__globals__, "_EVENTS_MAX", 5)


def test_a_hunt_of_sound_seeds_ends_in_time_and_reports(tmp_path, capsys):
    assert main([*BRIEF, "--first-seed", "14", "--out", str(tmp_path / "out")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith(": nothing was broken")
    assert int(lines[0].split()[0]) >= 1
    assert list((tmp_path / "out").iterdir()) == []


def test_a_hunt_in_several_processes_tries_the_same_seeds(tmp_path, capsys):
    assert (
        main([*BRIEF, "--first-seed", "14", "--jobs", "2", "--out", str(tmp_path), "--json"]) == 0
    )
    told = json.loads(capsys.readouterr().out)
    expected = HuntTally()
    for seed in range(14, 14 + told["seeds"]):
        expected.add(try_seed(seed))
    assert told == expected.to_dict()


@pytest.mark.usefixtures("broken")
def test_a_find_is_a_file_that_breaks_again_and_the_status_tells(tmp_path, capsys):
    assert main([*BRIEF, "--first-seed", "14", "--out", str(tmp_path)]) == 1
    path = tmp_path / "seed-14-raises_LimitReached.json"
    assert path in tmp_path.iterdir()
    kept = sim.KeptSeed.from_json(path.read_text("utf-8"))
    assert kept.smallest.faults == ()
    assert try_seed(14).finds == (kept,)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith(" found")
    assert lines[1:3] == [f"  {path}", f"    {kept.evidence[0]}"]


@pytest.mark.usefixtures("broken")
def test_the_report_as_json_names_the_finds(tmp_path, capsys):
    assert main([*BRIEF, "--first-seed", "14", "--out", str(tmp_path), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["finds"][0] == "seed-14-raises_LimitReached.json"
    assert sorted(told["finds"]) == sorted(path.name for path in tmp_path.iterdir())


def test_the_report_is_a_table_for_a_terminal():
    tally = HuntTally()
    for seed in (5, 14):
        tally.add(try_seed(seed))
    lines = report(tally, Path("out")).splitlines()
    assert lines[0].startswith("2 seeds, 0.00 simulated hours, ")
    assert " ".join(lines[2].split()) == "check held not exercised seen, not promised broken"
    assert f"{'lag_is_never_negative':42} 2 0 0 0".split() in [line.split() for line in lines]
    assert max(map(len, lines)) <= 100
    text = " ".join(" ".join(lines).split())
    for place in COVERAGE_GOALS:
        assert f"{place.name} {tally.places[place]}" in text


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--minutes", "0", "got --minutes 0.0, wanted a number above 0"),
        ("--minutes", "nan", "got --minutes nan, wanted a number above 0"),
        ("--minutes", "inf", "got --minutes inf, wanted a number above 0"),
        ("--first-seed", "-1", "got seed=-1, wanted an integer from 0 to 2**64 − 1"),
        ("--jobs", "0", "got jobs=0, wanted jobs as an integer from 1 to 1,000"),
    ],
)
def test_what_cannot_be_hunted_is_refused_before_anything_is_written(
    option, value, message, tmp_path, capsys
):
    assert main(["hunt", "--out", str(tmp_path / "out"), option, value]) == 1
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.out == ""
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_refused_before_the_hunt(tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    assert main(["hunt", "--out", str(tmp_path / "file")]) == 1
    assert capsys.readouterr().err.startswith("vectorkit: cannot write the report: ")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_hunt_that_is_stopped_by_hand_reports_what_it_has_done(jobs, tmp_path):
    command = [sys.executable, "-W", "error", "-m", "vectorkit", "hunt", "--minutes", "1"]
    shown = {name: value for name, value in os.environ.items() if name != "TQDM_DISABLE"}
    hunt = subprocess.Popen(
        [*command, "--jobs", jobs, "--out", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # As a terminal would: the signal goes to all of its processes.
        env=shown,
    )
    assert hunt.stderr.read(1)  # The progress line: it has begun.
    os.killpg(hunt.pid, signal.SIGINT)
    out, told = hunt.communicate(timeout=60)
    assert "stopped by hand" in told
    assert "Traceback" not in told
    assert (hunt.returncode, out.splitlines()[0].endswith(": nothing was broken")) == (0, True)
