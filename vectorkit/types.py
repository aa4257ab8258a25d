"""The words that every layer shares: ids, metrics, payloads, and the KEEP marker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from enum import Enum
from typing import Any, Final, Literal, TypeVar, dataclass_transform

import numpy as np
from numpy.typing import NDArray

_LINE_MAX: Final = 150

Id = str | int
"""The name of a row: str or int, one kind in a collection."""

Metric = Literal["cosine", "dot", "euclidean"]
METRICS: Final[tuple[Metric, ...]] = ("cosine", "dot", "euclidean")

Payload = Mapping[str, Any]
"""What a row carries beside its vector: a JSON object; docs/values.md says what becomes one."""

Where = Mapping[str, Any] | Callable[[Mapping[str, NDArray[Any]]], Any]
"""Which rows a search may answer with: conditions by payload key, or a function of the columns."""

Float32Array = NDArray[np.float32]
Float64Array = NDArray[np.float64]
Int32Array = NDArray[np.int32]
MaskArray = NDArray[np.bool_]
ObjectArray = NDArray[np.object_]


_Kind = TypeVar("_Kind")


@dataclass_transform(frozen_default=True)
def value(kind: type[_Kind]) -> type[_Kind]:
    """A class of values that nobody changes, for those that are made at every event of a run.

    The type checker sees to it: frozen at run time, they would take three times as long to make.

    >>> @value
    ... class Beat:
    ...     number: int
    >>> Beat(7), Beat(7) == Beat(7)
    (Beat(number=7), True)
    """
    return dataclass(slots=True, unsafe_hash=True)(kind)


class Keep(Enum):
    """The type of `KEEP`, the marker for "leave this part of the row as it is"."""

    KEEP = "KEEP"

    def __repr__(self) -> str:
        return "KEEP"


KEEP: Final = Keep.KEEP
"""Passed to `update` in place of a vector or a payload that must not change."""


def differing(record: Any) -> dict[str, Any]:
    """The fields of a frozen record that have another value than their default.

    >>> from vectorkit.sim import Link
    >>> differing(Link(delay_ms=5, loss=0.0))
    {'delay_ms': 5}
    """
    found = {}
    for each in (each for each in fields(record) if each.init):
        value = getattr(record, each.name)
        makes = each.default_factory
        if value != (each.default if makes is MISSING else makes()):
            found[each.name] = value
    return found


def brief(record: Any) -> str:
    """A record of many options in one line: those that differ from their defaults, cut short.

    >>> from vectorkit.sim import Link
    >>> brief(Link(delay_ms=5, sample_ms=tuple(range(100)), loss=0.1))
    'Link(delay_ms=5, loss=0.1, sample_ms=(0, 1, … 100 in all))'
    """
    told = ", ".join(f"{name}={_short(value)}" for name, value in differing(record).items())
    line = f"{type(record).__name__}({told})"
    return line if len(line) <= _LINE_MAX else f"{line[: _LINE_MAX - 2]}…)"


def _short(item: Any) -> str:
    if isinstance(item, list | tuple) and len(item) > 2:
        return f"({_short(item[0])}, {_short(item[1])}, … {len(item):,} in all)"
    return repr(item)
