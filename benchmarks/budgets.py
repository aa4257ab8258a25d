"""Budgets: what a result may cost at most, and the bar that it aims at.

`budgets.toml` holds them, one table each. They are ratios to a competitor of the same run, counts,
shares and bytes, never bare seconds, which would be of one machine and one hour.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from operator import eq, ge, le
from pathlib import Path
from typing import Any, Literal, get_args

from benchmarks.history import Record
from benchmarks.rows import OURS, Form, number_of
from vectorkit.errors import InvalidOption

PATH = Path(__file__).with_name("budgets.toml")
Relation = Literal["at_most", "at_least", "exactly"]
HOLDS: dict[Relation, Callable[[float, float], bool]] = {
    "at_most": le,
    "at_least": ge,
    "exactly": eq,
}
SIGNS = {"at_most": "≤", "at_least": "≥", "exactly": "="}
SECONDS = ("_s", "_ms", "_us", "_ns")
VIRTUAL = "virtual_"
"""Times of the simulator are exact, and the same on every machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """One limit for the rows whose names match; `bar` is the aim, which may be missed."""

    suite: str
    case: str
    value: str
    relation: Relation
    who: str = OURS
    quick: float | None = None
    full: float | None = None
    bar: float | None = None

    def limit(self, form: str) -> float | None:
        """What holds for the runs of a form; None where nothing does."""
        return self.quick if form == "quick" else self.full

    def covers(self, record: Record) -> bool:
        """Whether this row is meant."""
        pairs = ((record["suite"], self.suite), (record["case"], self.case))
        return record["who"] == self.who and all(fnmatchcase(*pair) for pair in pairs)

    def __str__(self) -> str:
        return f"{self.suite} / {self.case} / {self.who}: {self.value}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a budget says of a row; of no row where none of its suite matched."""

    budget: Budget
    limit: float
    record: Record | None
    value: float | None

    @property
    def is_kept(self) -> bool:
        if self.value is None:
            return False
        return HOLDS[self.budget.relation](self.value, self.limit)

    @property
    def may_be_noise(self) -> bool:
        """Whether a second measurement may be asked: never where a count was exact."""
        return self.budget.relation != "exactly"

    def __str__(self) -> str:
        sign, budget = SIGNS[self.budget.relation], self.budget
        if self.record is None:
            return f"{budget}: no such row was measured (budget {sign} {self.limit:g})"
        row = f"{self.record['suite']} / {self.record['case']} / {self.record['who']}"
        cores = self.record["run"]["cores"]
        got = f"{self.value:.4g}" if self.value is not None else self.record["error"] or "no value"
        row = f"{row}, {cores} core{'s' * (cores > 1)}"
        return f"{row}: {budget.value} is {got} (budget {sign} {self.limit:g})"


def load(path: Path = PATH) -> list[Budget]:
    """The budgets of a file. Raises InvalidOption for one that is no budget."""
    try:
        tables = tomllib.loads(path.read_text("utf-8")).get("budget", [])
    except (OSError, ValueError) as error:  # No file, no text, no TOML.
        raise _refused(path, 0, str(error)) from error
    if not isinstance(tables, list):
        raise _refused(path, 0, f"budget={tables!r}")
    return [_budget(path, number, table) for number, table in enumerate(tables, 1)]


def _budget(path: Path, number: int, table: dict[str, Any]) -> Budget:
    try:
        budget = Budget(**table)
    except TypeError as error:
        raise _refused(path, number, str(error)) from error
    numbers = {name: table[name] for name in ("quick", "full", "bar") if name in table}
    for name, number_given in numbers.items():
        if not isinstance(number_given, int | float):
            raise _refused(path, number, f"{name}={number_given!r}, no number")
    if budget.relation not in get_args(Relation):
        raise _refused(path, number, f"relation={budget.relation!r}")
    if budget.value.endswith(SECONDS) and not budget.value.startswith(VIRTUAL):
        raise _refused(path, number, f"value={budget.value!r}, a time of one machine")
    if budget.quick is None and budget.full is None:
        raise _refused(path, number, "neither quick nor full")
    return budget


def _refused(path: Path, number: int, got: str) -> InvalidOption:
    return InvalidOption(
        f"budget {number} of {path.name} cannot be read",
        got=got,
        wanted="suite, case, value (a ratio, a count, a share or bytes), relation "
        f"({', '.join(get_args(Relation))}), quick or full, and perhaps who and bar",
        remedy="write it like the ones beside it",
    )


def judged(records: Sequence[Record], budgets: Iterable[Budget], form: Form) -> list[Verdict]:
    """A verdict for every row that a budget means; one without a row where its suite was run."""
    mine = [each for each in records if each["run"]["form"] == form]
    suites = {each["suite"] for each in mine}
    verdicts: list[Verdict] = []
    for budget in budgets:
        limit = budget.limit(form)
        if limit is None or budget.suite not in suites:
            continue
        meant = [each for each in mine if budget.covers(each)]
        verdicts += [Verdict(budget, limit, each, number_of(each, budget.value)) for each in meant]
        if not meant:
            verdicts.append(Verdict(budget, limit, None, None))
    return verdicts
