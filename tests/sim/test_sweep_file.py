"""A sweep on disk: torn ends are dropped, all else that is not as it was written is refused."""

import json
import resource
from importlib.metadata import version

import pytest
from pandas.testing import assert_frame_equal

from tests.sim.small import BASE
from vectorkit import sim
from vectorkit.errors import CorruptSweep, InvalidInput, InvalidOption, SaveFailed
from vectorkit.sim.sweeps.results_file import SweepFile, key_of

GRID = {"loss": [0, 0.2]}
RUNS = {key_of(text): text for text in ('{"version": 1, "seed": 1}', '{"version": 1, "seed": 2}')}
FIRST, SECOND = RUNS
OUTCOMES = {FIRST: {"failovers": 1}, SECOND: {"error": "LimitReached: ä\n"}}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "runs.jsonl"


@pytest.fixture
def content(path):
    """A file with both runs."""
    with SweepFile(path, RUNS) as file:
        for key, text in RUNS.items():
            file.append(key, OUTCOMES[key], text)
    return path.read_bytes()


def read(path, keys=RUNS):
    with SweepFile(path, keys) as file:
        return file.outcomes


def test_a_line_holds_one_run_and_the_first_says_what_the_file_is(content):
    header, first, second = map(json.loads, content.splitlines())
    assert header == {"format": "vectorkit sweep", "version": 1, "vectorkit": version("vectorkit")}
    assert [each.pop("xxh3") != "" for each in (first, second)] == [True, True]
    assert [first, second] == [
        {"key": key, "outcome": OUTCOMES[key], "scenario": json.loads(text)}
        for key, text in RUNS.items()
    ]


def test_what_was_appended_is_read_again(path, content):
    assert read(path) == OUTCOMES
    assert path.read_bytes() == content


def test_cut_at_any_byte_the_whole_runs_are_known_and_the_file_can_be_gone_on_with(path, content):
    ends = [index + 1 for index, byte in enumerate(content) if byte == ord("\n")]
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with SweepFile(path, RUNS) as file:
            whole = [key for key, end in zip(RUNS, ends[1:], strict=True) if length >= end - 1]
            assert list(file.outcomes) == whole, length
            for key in [key for key in RUNS if key not in whole]:
                file.append(key, OUTCOMES[key], RUNS[key])
        assert path.read_bytes() == content, length


def test_a_sweep_cut_at_any_byte_of_its_last_line_gives_the_same_frame(path):
    frame = sim.sweep(GRID, seeds=[0], base=BASE, path=path)
    content = path.read_bytes()
    start = content.rindex(b"\n", 0, -1) + 1
    for length in [*range(start, len(content), 101), len(content) - 1]:
        path.write_bytes(content[:length])
        seen = []
        again = sim.sweep(GRID, seeds=[0], base=BASE, path=path, progress=seen.append)
        assert_frame_equal(again, frame)
        assert path.read_bytes() == content
        assert seen == ([2] if length == len(content) - 1 else [1, 2])


@pytest.mark.parametrize("line", [2, 3])
def test_a_changed_line_is_named_and_the_file_is_as_it_was(path, content, line):
    lines = content.splitlines(keepends=True)
    for index in range(len(lines[line - 1]) - 1):
        changed = bytearray(lines[line - 1])
        changed[index] ^= 1
        damaged = b"".join([*lines[: line - 1], bytes(changed), *lines[line:]])
        path.write_bytes(damaged)
        with pytest.raises(CorruptSweep, match=rf"line {line}: .*delete line {line}"):
            read(path)
        assert path.read_bytes() == damaged


def test_a_lost_line_in_the_middle_is_a_run_to_be_made(path, content):
    header, _, second = content.splitlines(keepends=True)
    path.write_bytes(header + second)
    assert read(path) == {SECOND: OUTCOMES[SECOND]}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"my notes", "this file is none of a sweep's: got "),
        (b"my notes\n", "this file is none of a sweep's: got "),
        (b'{"format": "vectorkit sweep", "version": 2}\n', "this sweep is of another version"),
        (b"\n", "this file is none of a sweep's: got "),
    ],
)
def test_a_file_of_another_kind_or_version_is_left_as_it_is(path, text, told):
    path.write_bytes(text)
    with pytest.raises(InvalidInput) as caught:
        read(path)
    assert told in str(caught.value)
    assert "line 1" in str(caught.value)
    assert path.read_bytes() == text


def test_a_file_of_another_vectorkit_is_refused(path, content):
    header, _, rest = content.partition(b"\n")
    old = json.dumps({**json.loads(header), "vectorkit": "0.0.1"}).encode()
    path.write_bytes(old + b"\n" + rest)
    with pytest.raises(InvalidInput, match="of another version"):
        read(path)


def test_runs_of_another_sweep_are_refused_and_named(path, content):
    with pytest.raises(InvalidOption, match=r"1 of 2 runs, the first in line 3"):
        read(path, [FIRST])
    assert path.read_bytes() == content


def test_two_sweeps_cannot_write_to_one_file(path, content):
    with SweepFile(path, RUNS), pytest.raises(InvalidInput, match="another sweep is writing"):
        read(path)
    assert read(path) == OUTCOMES


@pytest.fixture
def full_disk(content):
    """No file of this process grows beyond 10 bytes more than both runs have."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(content) + 10, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_says_so_and_the_runs_that_were_there_stay(path, content, request):
    request.getfixturevalue("full_disk")
    with SweepFile(path, RUNS) as file, pytest.raises(SaveFailed, match="did not take a run"):
        file.append(FIRST, OUTCOMES[FIRST], RUNS[FIRST])
    assert path.read_bytes()[: len(content)] == content
    assert len(path.read_bytes()) == len(content) + 10
    assert read(path) == OUTCOMES
    assert path.read_bytes() == content


def test_a_path_that_is_no_place_for_a_file_is_an_os_error(tmp_path):
    with pytest.raises(IsADirectoryError):
        SweepFile(tmp_path, RUNS)
    with pytest.raises(FileNotFoundError):
        SweepFile(tmp_path / "no" / "folder", RUNS)
