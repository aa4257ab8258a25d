"""A sweep on disk: JSON lines, one a finished run, so that a killed sweep goes on where it was.

The first line says what the file is. Each other line holds a run's key (a hash of its scenario),
its outcome, its scenario, and a checksum of all that. Lines are only ever appended, each whole and
synced; a last line without its end is what a crash has left of a write.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping
from importlib.metadata import version
from types import TracebackType
from typing import Any, Final

import xxhash

from vectorkit.errors import CorruptSweep, InvalidInput, InvalidOption, SaveFailed

_FORMAT: Final = 1
"""Raised where the columns of an outcome change their meaning."""
_KIND: Final = b'{"format": "vectorkit sweep"'

PathLike = str | os.PathLike[str]


def key_of(scenario_text: str) -> str:
    """What a run is known by: equal for equal scenarios, seeds and all.

    >>> key_of('{"version": 1}')
    '9e40ef23d908a4fe215e0e304fb1da00'
    """
    return xxhash.xxh3_128_hexdigest(scenario_text.encode())


class SweepFile:
    """The runs that are on disk, and a place behind them for more; nobody else's while it is open.

    `keys` are those of the sweep. Raises CorruptSweep for a line that has changed, InvalidInput for
    a file that is none of a sweep's, or in use, and InvalidOption where it has runs of another
    sweep; then the file is as it was. A torn last line is dropped, since its run is not known.
    """

    def __init__(self, path: PathLike, keys: Collection[str]) -> None:
        self.outcomes: dict[str, dict[str, Any]] = {}
        self._path = os.fspath(path)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            self._lock()
            with open(self._file, "rb", closefd=False) as file:
                content = file.read()
            kept_bytes = self._read(content)
            self._check_keys(keys)
            if kept_bytes < len(content):
                os.ftruncate(self._file, kept_bytes)
            if not kept_bytes:
                self._write(_header())
            elif not content.endswith(b"\n", 0, kept_bytes):
                self._write(b"\n")
        except BaseException:
            os.close(self._file)
            raise

    def __enter__(self) -> SweepFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        os.close(self._file)

    def append(self, key: str, outcome: Mapping[str, Any], scenario_text: str) -> None:
        """Put one more run on the disk, synced. Raises SaveFailed; what was there stays."""
        text = json.dumps({"key": key, "outcome": outcome, "scenario": json.loads(scenario_text)})
        self._write(f'{text[:-1]}, "xxh3": "{_seal(text)}"}}\n'.encode())

    def _write(self, line: bytes) -> None:
        try:
            while line:
                line = line[os.write(self._file, line) :]
            os.fsync(self._file)
        except OSError as error:
            raise SaveFailed(
                "the disk did not take a run",
                got=f"{error}",
                wanted=f"room for {len(line):,} bytes more in {self._path!r}",
                remedy="make room and sweep again: it goes on with what is on the disk",
            ) from error

    def _lock(self) -> None:
        import fcntl  # Not on every system, and needed here only.

        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InvalidInput(
                "another sweep is writing to this file",
                got=repr(self._path),
                wanted="a file of one's own",
                remedy="wait until that sweep has ended, or name another path",
            ) from error

    def _read(self, content: bytes) -> int:
        """Take all runs; how many bytes of the file are whole."""
        header, (*lines, tail) = _header(), content.split(b"\n")
        if not content.startswith(header):
            if not header.startswith(content):
                raise self._foreign(content.partition(b"\n")[0])
            return 0  # Nothing, or the beginning of the first line.
        for number, line in enumerate(lines[1:], 2):
            if not self._takes(line):
                raise CorruptSweep(
                    "a line of this sweep has changed",
                    got=f"{self._path!r}, line {number}: {line[:40]!r}",
                    wanted="a line as the sweep has written it",
                    remedy=f"delete line {number}: its run will be made again",
                )
        return len(content) if self._takes(tail) else len(content) - len(tail)

    def _takes(self, line: bytes) -> bool:
        """Take the run of a line, if it is whole."""
        try:
            record = json.loads(line)
            seal = record.pop("xxh3")
            if _seal(json.dumps(record)) != seal:
                return False
            self.outcomes[record["key"]] = record["outcome"]
        except (ValueError, TypeError, LookupError, AttributeError):
            return False
        return True

    def _check_keys(self, keys: Collection[str]) -> None:
        others = [number for number, key in enumerate(self.outcomes, 2) if key not in keys]
        if others:
            raise InvalidOption(
                "this file holds runs of another sweep",
                got=f"{self._path!r}, {len(others):,} of {len(self.outcomes):,} runs, the first "
                f"in line {others[0]}",
                wanted="runs of this grid, base and seeds only",
                remedy="name another path, or ask for the sweep that wrote it: values and seeds "
                "may be added to a sweep, none changed or taken away",
            )

    def _foreign(self, first: bytes) -> InvalidInput:
        is_sweep = first.startswith(_KIND)
        return InvalidInput(
            "this sweep is of another version" if is_sweep else "this file is none of a sweep's",
            got=f"{self._path!r}, line 1: {first[:100]!r}",
            wanted=repr(_header().rstrip()),
            remedy="use the vectorkit that wrote it, or name another path; the file is as it was",
        )


def _header() -> bytes:
    facts = {"format": "vectorkit sweep", "version": _FORMAT, "vectorkit": version("vectorkit")}
    return json.dumps(facts).encode() + b"\n"


def _seal(text: str) -> str:
    return xxhash.xxh3_64_hexdigest(text.encode())
