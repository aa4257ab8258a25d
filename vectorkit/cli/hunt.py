"""The hunt: run random scenarios for a given time, save each find, and print a report."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import count, groupby, takewhile
from math import isfinite
from pathlib import Path
from signal import SIGINT, default_int_handler, signal
from time import perf_counter
from typing import Final

import joblib

from vectorkit.errors import InvalidOption
from vectorkit.progress import progress
from vectorkit.records import check_range, check_seed
from vectorkit.sim.fuzzing.coverage import COVERAGE_GOALS
from vectorkit.sim.fuzzing.hunt import VERDICTS, HuntTally, Trial, try_seed

_COLUMNS: Final = 100
_COUNT_WIDTH: Final = 10
_JOBS_MAX: Final = 1_000
_MS_PER_HOUR: Final = 3_600_000


def hunt(*, minutes: float, first_seed: int, jobs: int, out: Path, is_json: bool) -> int:
    """Try consecutive seeds for `minutes`; return 1 if a check was violated, else 0.

    The hunt writes each find immediately to a file in the folder `out`. After an interrupt it
    reports the seeds so far.

    Raises:
        InvalidOption: an argument is out of its range; raised before the hunt begins.
        OSError: `out` cannot be created; raised before the hunt begins.
    """
    if not (isfinite(minutes) and minutes > 0):
        raise InvalidOption(
            "the duration of a hunt must be above 0",
            got=f"--minutes {minutes}",
            wanted="a number above 0",
            remedy="pass --minutes 10",
        )
    check_seed(first_seed)
    check_range("jobs", jobs, 1, _JOBS_MAX)
    out.mkdir(parents=True, exist_ok=True)
    tally, started_s = HuntTally(), perf_counter()
    total_s = 60 * minutes
    try:
        with _stopped_by_hand() as is_stopped, progress("hunting", total=total_s, unit="s") as bar:
            seeds = takewhile(
                lambda _: not is_stopped() and perf_counter() - started_s < total_s,
                count(first_seed),
            )
            for trial in _trials(seeds, jobs):
                tally.add(trial)
                for kept in trial.finds:
                    (out / kept.file_name).write_text(kept.to_json() + "\n", encoding="utf-8")
                bar.reach(min(total_s, round(perf_counter() - started_s)))
            if is_stopped():
                print("stopped by hand", file=sys.stderr)
    except KeyboardInterrupt:  # From a process that was at work, or from a second Ctrl-C.
        print("stopped by hand", file=sys.stderr)
    print(json.dumps(tally.to_dict(), indent=2) if is_json else report(tally, out))
    return 1 if tally.finds else 0


@contextmanager
def _stopped_by_hand() -> Iterator[Callable[[], bool]]:
    """Within the block Ctrl-C lets the present seed end; a second one does not wait for it.

    An exception that came from anywhere could be lost in a callback of the compiler.
    """
    asked = []

    def ask(number: int, _: object) -> None:
        asked.append(number)
        signal(SIGINT, default_int_handler)

    before = signal(SIGINT, ask)
    try:
        yield lambda: bool(asked)
    finally:
        signal(SIGINT, before)


def _trials(seeds: Iterable[int], jobs: int) -> Iterator[Trial]:
    """What becomes of the seeds, in any order."""
    if jobs == 1:
        return map(try_seed, seeds)
    parallel = joblib.Parallel(n_jobs=jobs, return_as="generator_unordered")
    found: Iterator[Trial] = parallel(joblib.delayed(try_seed)(seed) for seed in seeds)
    return found


def report(tally: HuntTally, out: Path) -> str:
    """What a hunt has found and what it has been through, as a text for a terminal.

    >>> print(report(HuntTally(), Path("out")).splitlines()[0])
    0 seeds, 0.00 simulated hours, 0 events: nothing was broken
    """
    hours = tally.duration_ms / _MS_PER_HOUR
    verdict = f"{len(tally.finds):,} found" if tally.finds else "nothing was broken"
    lines = [
        f"{tally.seed_count:,} seeds, {hours:,.2f} simulated hours, {tally.event_count:,} events: "
        f"{verdict}"
    ]
    for kept in sorted(tally.finds, key=lambda kept: (kept.seed, kept.check)):
        evidence = kept.evidence[0] if kept.evidence else ""
        lines += [f"  {out / kept.file_name}", f"    {evidence}"]
    width = max([5, *map(len, tally.verdicts)])
    lines += ["", f"{'check':{width}}" + "".join(map(_cell, VERDICTS, VERDICTS))]
    for check, counts in tally.verdicts.items():
        cells = [_cell(each, f"{counts[each]:,}") for each in VERDICTS]
        lines.append(f"{check:{width}}" + "".join(cells))
    lines += ["", "In how many seeds it was seen:"]
    for group, places in groupby(COVERAGE_GOALS, key=lambda place: place.group):
        seen = [(place.name, tally.places[place]) for place in places]
        lines += ["", group, *_rows(seen)]
    return "\n".join(lines)


def _cell(verdict: str, text: str) -> str:
    """A cell of a verdict's column, which is as wide as its heading needs."""
    return text.rjust(max(_COUNT_WIDTH, len(verdict) + 2))


def _rows(cells: list[tuple[str, int]]) -> Iterator[str]:
    """Names with their numbers, as many side by side as there is room for; down, then right."""
    width = max(len(name) for name, _ in cells) + 12
    row_count = -(-len(cells) // max(1, _COLUMNS // width))
    for first in range(row_count):
        row = cells[first::row_count]
        yield "".join(f"  {name:{width - 12}}{number:>8,}  " for name, number in row).rstrip()
