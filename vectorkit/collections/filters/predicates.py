"""Single tests on the rows of a column, exact and without a loop over rows.

Numbers compare by value, never by rounding: a bound that a sort of number cannot hold is replaced
by the nearest one that it can, with the comparison that gives the same answer.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from vectorkit.collections.filters.columns import ColumnView
from vectorkit.collections.filters.dictionary import (
    FALSE,
    FIXED,
    FLOAT,
    INT,
    MISSING,
    NONE,
    TRUE,
    canonical_json,
)
from vectorkit.collections.values.conversion import INT_MAX

Mask = NDArray[np.bool_]
"""Which rows pass: always an array of its own."""

ORDERS: Final = ("lt", "lte", "gt", "gte")

_COMPARE: Final[dict[str, Callable[..., Mask]]] = {
    "lt": np.less,
    "lte": np.less_equal,
    "gt": np.greater,
    "gte": np.greater_equal,
}
_FEW_CODES: Final = 8


@dataclass(frozen=True, slots=True)
class Members:
    """The values that a row is compared with for equality, sorted by how they are compared."""

    codes: tuple[int, ...]
    entries: tuple[str | bytes, ...]
    ints: tuple[int, ...]
    floats: tuple[float, ...]


def members(values: Iterable[object]) -> Members:
    """Values of payloads, made ready for `equal_to`. None stands for rows without the key, too.

    >>> members(["en", None, 2, 0.5])
    Members(codes=(0, 1), entries=('en',), ints=(2,), floats=(2.0, 0.5))
    """
    codes: list[int] = []
    entries: list[str | bytes] = []
    ints: list[int] = []
    floats: list[float] = []
    for value in values:
        match value:
            case None:
                codes += (MISSING, NONE)
            case bool():
                codes.append(TRUE if value else FALSE)
            case str():
                entries.append(value)
            case int() | float():
                if value == int(value) and abs(value) <= INT_MAX:
                    ints.append(int(value))
                if value == float(value):
                    floats.append(float(value))
            case _:
                entries.append(canonical_json(value))
    return Members(tuple(codes), tuple(entries), tuple(ints), tuple(floats))


def equal_to(view: ColumnView, wanted: Members) -> Mask:
    """The rows that equal one of the values: of the same kind, int and float being one."""
    known = (view.dictionary.get(entry) for entry in wanted.entries)
    codes = [*wanted.codes, *(code for code in known if code is not None)]
    mask = _has_code(view, codes) if codes else None
    for kind, numbers, values in (
        (INT, view.ints, wanted.ints),
        (FLOAT, view.floats, wanted.floats),
    ):
        if values and view.uses[kind]:
            mask = _either(mask, _of_kind(view, kind, _is_number(numbers, values)))
    return np.zeros(len(view.codes), np.bool_) if mask is None else mask


def ordered(view: ColumnView, order: str, bound: str | int | float) -> Mask:
    """The rows of the bound's kind that stand before or behind it."""
    mask: Mask | None = None
    if isinstance(bound, str):
        codes = _texts(view, order, bound)
        mask = _has_code(view, codes) if len(codes) else None
    else:
        if view.uses[INT]:
            mask = _of_kind(view, INT, _ints(view, order, bound))
        if view.uses[FLOAT]:
            mask = _either(mask, _of_kind(view, FLOAT, _floats(view, order, bound)))
    return np.zeros(len(view.codes), np.bool_) if mask is None else mask


def present(view: ColumnView) -> Mask:
    """The rows that have the key, be it with None."""
    if not view.uses[MISSING]:
        return np.ones(len(view.codes), np.bool_)
    mask: Mask = view.codes != MISSING
    return mask


def values(view: ColumnView) -> NDArray[Any]:
    """The rows as a read-only array of their own, in the plainest dtype that holds them.

    int64 where all are int and bool where all are bool; float64 with NaN for what is missing or
    None where the others are numbers; else objects, None for what is missing.
    """
    codes = view.codes
    found = set(np.flatnonzero(np.bincount(codes, minlength=FIXED)).tolist())
    made: NDArray[Any]
    if found <= {MISSING, NONE, INT, FLOAT} and found & {INT, FLOAT}:
        made = view.ints.copy() if found == {INT} else _as_floats(view)
    elif found and found <= {FALSE, TRUE}:
        made = codes == TRUE
    else:
        made = _as_objects(view)
    made.setflags(write=False)
    return made


def _has_code(view: ColumnView, wanted: Sequence[int] | NDArray[Any]) -> Mask:
    """Which rows have one of these codes: compared one by one if few, else looked up."""
    codes, mask = view.codes, np.empty(len(view.codes), np.bool_)
    if len(wanted) > _FEW_CODES:
        is_wanted = np.zeros(len(view.dictionary.entries), np.bool_)
        is_wanted[wanted] = True
        return is_wanted.take(codes, out=mask, mode="clip")
    np.equal(codes, wanted[0], out=mask)
    if len(wanted) > 1:
        other = np.empty_like(mask)
        for code in wanted[1:]:
            np.logical_or(mask, np.equal(codes, code, out=other), out=mask)
    return mask


def _of_kind(view: ColumnView, kind: int, mask: Mask) -> Mask:
    """Only rows of this kind; in a uniform column all are."""
    if view.uses[kind] != view.total:
        np.logical_and(mask, view.codes == kind, out=mask)
    return mask


def _either(mask: Mask | None, other: Mask) -> Mask:
    if mask is not None:
        np.logical_or(mask, other, out=other)
    return other


def _is_number(numbers: NDArray[Any], wanted: tuple[int, ...] | tuple[float, ...]) -> Mask:
    if len(wanted) > _FEW_CODES:
        found: Mask = np.isin(numbers, np.array(wanted, numbers.dtype))
        return found
    mask: Mask = numbers == wanted[0]
    for each in wanted[1:]:
        mask |= numbers == each
    return mask


def _ints(view: ColumnView, order: str, bound: int | float) -> Mask:
    if bound != math.floor(bound) or abs(bound) > INT_MAX:
        bound = max(min(math.floor(bound), INT_MAX), -INT_MAX - 1)
        order = {"lt": "lte", "gte": "gt"}.get(order, order)
    mask: Mask = _COMPARE[order](view.ints, int(bound))
    return mask


def _floats(view: ColumnView, order: str, bound: int | float) -> Mask:
    nearest = float(bound)
    if nearest > bound:
        order = {"lte": "lt", "gt": "gte"}.get(order, order)
    elif nearest < bound:
        order = {"lt": "lte", "gte": "gt"}.get(order, order)
    return _COMPARE[order](view.floats, nearest)


def _texts(view: ColumnView, order: str, bound: str) -> NDArray[np.int32]:
    texts, codes = view.dictionary.in_order()
    place = bisect_left(texts, bound) if order in {"lt", "gte"} else bisect_right(texts, bound)
    return codes[:place] if order in {"lt", "lte"} else codes[place:]


def _as_floats(view: ColumnView) -> NDArray[np.float64]:
    made = np.where(view.codes == FLOAT, view.floats, np.nan)
    is_int = view.codes == INT
    made[is_int] = view.ints[is_int]
    return made


def _as_objects(view: ColumnView) -> NDArray[np.object_]:
    value_of = np.full(len(view.dictionary.entries), None, np.object_)
    value_of[FALSE], value_of[TRUE] = False, True
    for code in np.unique(view.codes).tolist():
        entry = view.dictionary.entries[code]
        if code >= FIXED:
            value_of[code] = _parsed(entry) if isinstance(entry, bytes) else entry
    made = value_of[view.codes]
    for kind, numbers in ((INT, view.ints), (FLOAT, view.floats)):
        chosen = view.codes == kind
        if chosen.any():
            made[chosen] = numbers[chosen].tolist()
    return made


def _parsed(document: bytes) -> object:
    return json.loads(document.decode("utf-8", "surrogatepass"))[""]
