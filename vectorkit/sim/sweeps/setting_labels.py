"""Short names for values of a grid, as a reader would say them."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from typing import Any

from vectorkit.records import to_plain
from vectorkit.replication import Failover, WriteConcern
from vectorkit.sim.faults.faults import Fault

Label = str | int | float
"""What a column of a frame tells of a value: numbers and texts tell themselves."""


def label_of(value: object) -> Label:
    """A value in few words.

    >>> label_of(WriteConcern(count="majority", stage="applied")), label_of(None), label_of(0.5)
    ('majority applied', 'none', 0.5)
    """
    label: Label = str(value)
    match value:
        case None:
            label = "none"
        case str() | int() | float() if not isinstance(value, bool):
            label = value
        case WriteConcern():
            label = _concern(value)
        case Failover(detector="deadline"):
            label = f"deadline {value.deadline_ms} ms"
        case Failover():
            label = f"phi {value.phi:g}"
        case Fault():
            label = type(value).__name__
        case [*faults] if all(isinstance(each, Fault) for each in faults):
            label = _faults(faults)
        case _ if is_dataclass(value):
            label = _named(to_plain(value)) or "default"
        case _ if callable(value):
            label = _function(value)
    return label


def _concern(concern: WriteConcern) -> str:
    default = WriteConcern()
    parts = [f"{concern.count} {concern.stage}" if concern.count else "0"]
    if concern.timeout_ms != default.timeout_ms:
        parts.append(f"{concern.timeout_ms} ms")
    if concern.on_timeout != default.on_timeout:
        parts.append(concern.on_timeout)
    return ", ".join(parts)


def _faults(faults: Sequence[object]) -> str:
    counts = Counter(type(fault).__name__ for fault in faults)
    parts = (kind if count == 1 else f"{count} × {kind}" for kind, count in counts.items())
    return ", ".join(parts) or "none"


def _function(function: Any) -> str:
    """A nemesis by its name and by what is bound to it."""
    if isinstance(function, functools.partial):
        bound = _named(function.keywords)
        return f"{_function(function.func)}({bound})" if bound else _function(function.func)
    return str(getattr(function, "__name__", type(function).__name__))


def _named(values: Mapping[str, object]) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items())
