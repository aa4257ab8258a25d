"""The command line: an overview, a tour that leaves a report, and clear words for bad input."""

import os
import subprocess
import sys

import pytest

from vectorkit.cli import main


def refused(arguments, capsys):
    """The status and the last line on standard error of a call that must not succeed."""
    try:
        status = main(arguments)
    except SystemExit as stop:
        status = stop.code
    printed = capsys.readouterr()
    assert "Traceback" not in printed.err
    assert printed.out == ""
    return status, printed.err.splitlines()[-1]


def test_the_module_prints_an_overview_and_succeeds():
    command = [sys.executable, "-W", "error", "-m", "vectorkit"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("vectorkit: ")
    assert "python -m vectorkit tour " in done.stdout


def test_the_overview_names_commands_that_exist(capsys):
    assert main([]) == 0
    overview = capsys.readouterr().out
    assert "python -m vectorkit tour --quick" in overview
    assert max(map(len, overview.splitlines())) <= 100
    with pytest.raises(SystemExit) as stop:
        main(["tour", "--help"])
    assert stop.value.code == 0
    told = capsys.readouterr().out
    for option in ("--vectors", "--seed", "--out", "--quick"):
        assert option in told


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--vectors", "10", "got --vectors 10, wanted 1,500 or more"),
        ("--vectors", "0", "got --vectors 0, wanted 1,500 or more"),
        ("--vectors", "-3", "got --vectors -3, wanted 1,500 or more"),
        ("--vectors", "400001", "got limit=400001, wanted an integer from 1 to 400,000"),
        ("--seed", "-1", "got seed=-1, wanted an integer from 0 to 2**64 − 1"),
    ],
)
def test_what_the_tour_cannot_do_is_refused_before_anything_is_written(
    option, value, message, tmp_path, capsys
):
    out = tmp_path / "out"
    status, told = refused(["tour", "--quick", "--out", str(out), option, value], capsys)
    assert status == 1
    assert told.startswith("vectorkit: ")
    assert message in told
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tour", "--vectors", "abc"], "argument --vectors: invalid int value: 'abc'"),
        (["tour", "--seed", "1.5"], "argument --seed: invalid int value: '1.5'"),
        (["tour", "--fast"], "unrecognized arguments: --fast"),
        (["detour"], "invalid choice: 'detour'"),
    ],
)
def test_what_is_no_command_is_refused_with_the_word_that_is_wrong(
    arguments, message, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    status, told = refused(arguments, capsys)
    assert status == 2
    assert message in told
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("inside", [(), ("below",)], ids=["a file", "below a file"])
def test_a_folder_that_cannot_be_made_is_refused_and_what_is_there_stays(inside, tmp_path, capsys):
    file = tmp_path / "report"
    file.write_text("mine")
    arguments = ["tour", "--quick", "--out", str(file.joinpath(*inside))]
    status, told = refused(arguments, capsys)
    assert status == 1
    assert told.startswith("vectorkit: cannot write the report: ")
    assert str(file) in told
    assert told.endswith("pass another --out")
    assert [path.name for path in tmp_path.iterdir()] == ["report"]
    assert file.read_text() == "mine"


def test_a_folder_that_takes_no_files_is_refused_before_the_work(tmp_path, monkeypatch, capsys):
    # Root may write everywhere, so the system's refusal is made here.
    def refuse(self, *arguments, **options):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr("pathlib.Path.mkdir", refuse)
    status, told = refused(["tour", "--quick", "--out", str(tmp_path / "out")], capsys)
    assert status == 1
    assert "Permission denied" in told
    assert list(tmp_path.iterdir()) == []


def test_the_version_is_told(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["--version"])
    assert (stopped.value.code, capsys.readouterr().out) == (0, "vectorkit 0.2.0\n")
