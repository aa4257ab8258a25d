"""What has been measured, kept for good: one JSON line a result, one file a suite.

Lines are appended and never changed. A line that cannot be read, such as one whose writing was cut
short, is named with its file and number, and all others are read.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

FOLDER = Path(__file__).with_name("history")
NEEDED = {
    "suite": str,
    "case": str,
    "who": str,
    "error": str,
    "repeats": int,
    "values": dict,
    "run": dict,
}
NEEDED_OF_RUN = {"date": str, "form": str, "cpu": str, "cores": int, "commit": str}

Record = dict[str, Any]


class History(NamedTuple):
    """All lines that could be read, oldest first in each suite, and what is wrong with others."""

    records: list[Record]
    faults: list[str]


def append(records: Iterable[Mapping[str, Any]], folder: Path = FOLDER) -> None:
    """Add lines behind what there is, each whole on the disk before this returns.

    After a torn line a new one begins, so that nothing is appended to it.
    """
    by_suite: dict[str, list[str]] = {}
    for record in records:
        text = json.dumps(record, allow_nan=False, ensure_ascii=False)
        by_suite.setdefault(record["suite"], []).append(text + "\n")
    folder.mkdir(parents=True, exist_ok=True)
    for suite, lines in by_suite.items():
        with (folder / f"{suite}.jsonl").open("ab+") as file:
            is_torn = file.tell() > 0 and not _ends_whole(file)
            file.write(("\n" * is_torn + "".join(lines)).encode())
            file.flush()
            os.fsync(file.fileno())


def _ends_whole(file: Any) -> bool:
    file.seek(-1, os.SEEK_END)
    return bool(file.read(1) == b"\n")


def read(folder: Path = FOLDER) -> History:
    """Everything that is kept in a folder; a broken line is a fault and nothing else."""
    records: list[Record] = []
    faults: list[str] = []
    for path in sorted(folder.glob("*.jsonl")):
        for number, raw in enumerate(path.read_bytes().split(b"\n"), 1):
            if not raw.strip():
                continue
            try:
                records.append(_checked(json.loads(raw)))
            except ValueError as error:
                faults.append(f"{path.name}, line {number}: {error}; the line is left out")
    return History(records, faults)


def _checked(record: Any) -> Record:
    if not isinstance(record, dict):
        raise ValueError(f"a {type(record).__name__} where a JSON object was expected")
    missing = [name for name, kind in NEEDED.items() if not isinstance(record.get(name), kind)]
    missing += [
        f"run.{name}"
        for name, kind in NEEDED_OF_RUN.items()
        if not isinstance(record.get("run"), dict) or not isinstance(record["run"].get(name), kind)
    ]
    if missing:
        raise ValueError(f"no {', '.join(missing)} of the right kind")
    return record


def newest(records: Iterable[Record]) -> list[Record]:
    """The results of the last run of each suite, by form and number of cores.

    A row that is no longer measured is therefore no longer shown or judged.
    """
    kept = list(records)
    last: dict[tuple[str, str, int], str] = {}
    for record in kept:
        date = record["run"]["date"]
        last[_ran(record)] = max(date, last.get(_ran(record), date))
    return [record for record in kept if record["run"]["date"] == last[_ran(record)]]


def _ran(record: Record) -> tuple[str, str, int]:
    run = record["run"]
    return record["suite"], run["form"], run["cores"]


def runs(records: Iterable[Record]) -> list[str]:
    """The dates of all runs, oldest first: every line of a run has the same."""
    return sorted({record["run"]["date"] for record in records})
