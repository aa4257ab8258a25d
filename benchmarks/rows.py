"""What a suite yields, a plan it follows, and the line that is kept of each row."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from benchmarks.timing import Timing

OURS = "vectorkit"
Form = Literal["quick", "full"]
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much is measured: small sizes and no peers, or the sizes of the bars and all of them."""

    form: Form = "quick"
    cores: int = 1
    repeats: int = 5
    peers: tuple[str, ...] = ()

    def pick(self, quick: T, full: T) -> T:
        return quick if self.form == "quick" else full


@dataclass(frozen=True, kw_only=True)
class Row:
    """One competitor in one case: its times, and named numbers beside them.

    `operations` are done by one repeat. Names of `values` carry their unit: `_share`, `_bytes`,
    `_count`, `_us`, or `by_…` for a ratio to a competitor of the same case. Give the bytes that an
    operation cannot avoid to move, or its floating-point operations, and the line says what share
    of the machine's limit they are.
    """

    case: str
    who: str = OURS
    timing: Timing = field(default_factory=Timing)
    operations: int = 1
    values: Mapping[str, float] = field(default_factory=dict)
    moved_bytes: float = 0.0
    flops: float = 0.0
    error: str = ""
    notes: tuple[str, ...] = ()
    """What a reader should know of the result in full, such as tracebacks."""


@dataclass(frozen=True)
class Limits:
    """What this machine can do at most, measured in the run: the roof that results stand under."""

    bytes_per_s: float
    flops_per_s: float


def line(suite: str, row: Row, limits: Limits, run: Mapping[str, Any]) -> dict[str, Any]:
    """The row as the JSON object that is kept; what was not measured is null."""
    timing, scale = row.timing, 1e6 / row.operations
    seconds = timing.median_s / row.operations
    bandwidth = row.moved_bytes / seconds / limits.bytes_per_s if row.moved_bytes else math.nan
    arithmetic = row.flops / seconds / limits.flops_per_s if row.flops else math.nan
    is_bound_by_bytes = bandwidth >= arithmetic or math.isnan(arithmetic)
    return {
        "suite": suite,
        "case": row.case,
        "who": row.who,
        "error": row.error or timing.error,
        "median_us": _number(timing.median_s * scale),
        "iqr_us": _number(timing.iqr_s * scale),
        "best_us": _number(timing.best_s * scale),
        "repeats": len(timing.seconds),
        "operations": row.operations,
        "warm_up_s": _number(timing.warm_up_s),
        "compile_s": _number(timing.compile_s),
        "compilations": timing.compilations,
        "roofline_share": _number(bandwidth if is_bound_by_bytes else arithmetic),
        "roofline_of": ("bytes" if is_bound_by_bytes else "flops")
        if row.moved_bytes or row.flops
        else None,
        "values": {name: _number(value) for name, value in row.values.items()},
        "run": dict(run),
    } | ({"notes": list(row.notes)} if row.notes else {})


def _number(value: float) -> float | None:
    """Six digits, and null for what is no number: JSON has no other word for it."""
    number = float(value)
    return float(f"{number:.6g}") if math.isfinite(number) else None


def key(record: Mapping[str, Any]) -> tuple[str, str, str, int, str]:
    """What makes two lines results of the same row: another form or core count is another row."""
    run = record["run"]
    return record["suite"], record["case"], record["who"], run["cores"], run["form"]


def number_of(record: Mapping[str, Any], name: str) -> float | None:
    """A number of a line by its name, one of `values` or one that every line has.

    None where there is none, and where the row ended in an error: what it has by then is partial.
    """
    found = record["values"].get(name, record.get(name))
    return found if isinstance(found, int | float) and not record["error"] else None
