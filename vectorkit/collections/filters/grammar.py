"""The grammar of `where`: a mapping becomes a node, or InvalidFilter says which part cannot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final

import numpy as np

from vectorkit.collections.filters.predicates import ORDERS, members
from vectorkit.collections.filters.tree import Equal, FilterNode, Not, Ordered, Present, Several
from vectorkit.collections.values.conversion import (
    INT_MAX,
    STORABLE,
    is_duration,
    stored_key,
    stored_value,
)
from vectorkit.collections.values.not_storable import NotStorable, short
from vectorkit.errors import InvalidFilter
from vectorkit.operations import canonical_payload

OPERATORS: Final = ("eq", "ne", "in", *ORDERS, "exists")

DEPTH_MAX: Final = 32
"""How deep `and`, `or` and `not` may be nested."""

_KNOWN_ELSEWHERE: Final = {
    "=": "eq", "==": "eq", "!=": "ne", "<>": "ne", "neq": "ne", "<": "lt", "<=": "lte", "le": "lte",
    "max": "lte", ">": "gt", ">=": "gte", "ge": "gte", "min": "gte", "any": "in", "isin": "in",
    "match": "eq",
}  # fmt: skip


def node(where: Mapping[Any, Any]) -> FilterNode:
    """The checked form of a mapping; equal meaning has an equal `text`.

    >>> node({"lang": {"ne": "en"}}).text
    'not(["lang","in",["en"]])'
    """
    return _filter(where, "where", 0)


def _filter(given: object, place: str, depth: int) -> FilterNode:
    if not isinstance(given, Mapping) or depth > DEPTH_MAX:
        raise wrong(
            "a filter is nested too deep" if depth > DEPTH_MAX else "this cannot be a filter",
            place,
            got=short(given),
            wanted=f"a mapping from keys to conditions, nested {DEPTH_MAX} deep at most",
            remedy='write it like {"year": {"gte": 1990}, "lang": "en"}',
        )
    parts: list[FilterNode] = []
    for key, value in given.items():
        inside = f"{place}[{short(key)}]"
        name = stored_key(key)
        if name is None:
            raise wrong(
                "a payload's keys are texts",
                place,
                got=f"the key {short(key)} ({type(key).__name__})",
                wanted="a str",
                remedy="name the key as it stands in the payloads",
            )
        if name in {"and", "or"}:
            parts.append(_several(name == "and", _filters(value, inside, depth)))
        elif name == "not":
            parts.append(_not(_filter(value, inside, depth + 1)))
        else:
            parts += _conditions(name, value, inside)
    return _several(True, parts)


def _filters(given: object, place: str, depth: int) -> list[FilterNode]:
    if not isinstance(given, list | tuple):
        raise wrong(
            "filters are combined in a list",
            place,
            got=f"{short(given)} ({type(given).__name__})",
            wanted="a list of filters",
            remedy='write {"or": [{"lang": "en"}, {"year": {"lt": 1950}}]}',
        )
    return [_filter(each, f"{place}[{index}]", depth + 1) for index, each in enumerate(given)]


def _conditions(key: str, given: object, place: str) -> list[FilterNode]:
    if isinstance(given, Mapping):
        if not given:
            raise wrong(
                "a key has no condition",
                place,
                got="{}",
                wanted=f"at least one of {', '.join(OPERATORS)}",
                remedy='leave the key out, or compare with {"eq": {}}',
            )
        return [_condition(key, name, operand, place) for name, operand in given.items()]
    value = _value(given, place)
    if isinstance(value, list):
        raise wrong(
            "a bare list is not clear",
            place,
            got=short(given),
            wanted="one value, or conditions",
            remedy='write {"in": […]} for any of these, {"eq": […]} for the list itself',
        )
    return [_equal(key, [value])]


def _condition(key: str, name: object, operand: object, place: str) -> FilterNode:
    inside = f"{place}[{short(name)}]"
    match stored_key(name):
        case "eq":
            return _equal(key, [_value(operand, inside)])
        case "ne":
            return _not(_equal(key, [_value(operand, inside)]))
        case "in":
            return _equal(key, _listed(operand, inside))
        case "lt" | "lte" | "gt" | "gte" as order:
            if is_duration(operand):
                raise _no_order(order, operand, inside, "durations have no order as texts")
            bound = _value(operand, inside)
            if not isinstance(bound, str | int | float) or isinstance(bound, bool):
                raise _no_order(order, operand, inside, "other values have no order")
            return _ordered(key, order, bound)
        case "exists":
            return _present(key, operand, inside)
    raise _unknown_operator(name, place)


def _listed(operand: object, place: str) -> list[object]:
    is_array = len(getattr(operand, "shape", ())) == 1
    listed = stored_value(operand) if is_array else operand
    if not isinstance(listed, list | tuple):
        raise wrong(
            "`in` takes a list of values",
            place,
            got=f"{short(operand)} ({type(operand).__name__})",
            wanted="a list, a tuple or a one-dimensional array",
            remedy="put the values into a list",
        )
    return [_value(each, f"{place}[{index}]") for index, each in enumerate(listed)]


def _equal(key: str, values: list[object]) -> FilterNode:
    texts = {canonical_payload({"": value}): value for value in map(_plainest, values)}
    plain = [texts[text] for text in sorted(texts)]
    return Equal(_text(key, "in", plain), key, members(plain))


def _ordered(key: str, order: str, bound: str | int | float) -> FilterNode:
    plain: Any = _plainest(bound)
    return Ordered(_text(key, order, plain), key, order, plain)


def _no_order(order: str, bound: object, place: str, why: str) -> InvalidFilter:
    return wrong(
        f"nothing is {order} this value",
        place,
        got=f"{short(bound)} ({type(bound).__name__})",
        wanted="a number, a text, a date or a time",
        remedy=f"use eq, ne or in: {why}",
    )


def _present(key: str, operand: object, place: str) -> FilterNode:
    if not isinstance(operand, bool | np.bool_):
        raise wrong(
            "`exists` is a yes or a no",
            place,
            got=f"{short(operand)} ({type(operand).__name__})",
            wanted="True or False",
            remedy='write {"exists": True} for rows that have the key',
        )
    is_present = Present(_text(key, "exists", True), key)
    return is_present if operand else _not(is_present)


def _not(part: FilterNode) -> FilterNode:
    return part.part if isinstance(part, Not) else Not(f"not({part.text})", part)


def _several(is_all: bool, parts: Sequence[FilterNode]) -> FilterNode:
    """Flat, without repetitions and in the order of texts, so that spelling does not matter."""
    flat: dict[str, FilterNode] = {}
    for part in parts:
        is_alike = isinstance(part, Several) and part.is_all == is_all
        inner = part.parts if isinstance(part, Several) and is_alike else (part,)
        flat |= {each.text: each for each in inner}
    if len(flat) == 1:
        return next(iter(flat.values()))
    texts = sorted(flat)
    name = "and" if is_all else "or"
    return Several(f"{name}({','.join(texts)})", is_all, tuple(flat[text] for text in texts))


def _value(value: object, place: str) -> object:
    """What a payload can hold, as it would hold it; None for what is missing."""
    try:
        return stored_value(value)
    except NotStorable as error:
        raise wrong(
            "no row can hold this value",
            f"{place}{error.place}" if error.place.startswith("[") else place,
            got=error.got,
            wanted=f"{STORABLE}, or None for rows without the key",
            remedy=f"{error.remedy}; leave out a bound that excludes no row",
        ) from error


def _plainest(value: object) -> object:
    """The int of a float that is whole, for one spelling of equal numbers."""
    is_whole = isinstance(value, float) and value.is_integer() and abs(value) <= INT_MAX
    return int(value) if isinstance(value, float) and is_whole else value


def _text(key: str, operator: str, operand: object) -> str:
    return canonical_payload({"": [key, operator, operand]}).decode("utf-8", "surrogatepass")[4:-1]


def _unknown_operator(name: object, place: str) -> InvalidFilter:
    spelled = str(name).lower().removeprefix("$")
    near = get_close_matches(spelled, OPERATORS, n=1) or [_KNOWN_ELSEWHERE.get(spelled, "")]
    return wrong(
        "a condition has an unknown operator",
        place,
        got=short(name),
        wanted=f"one of {', '.join(OPERATORS)}",
        remedy=f"did you mean {near[0]!r}?" if near[0] else 'compare with a dict by {"eq": {…}}',
        nearest=near[0] or None,
    )


def wrong(
    problem: str, place: str, *, got: str, wanted: str, remedy: str, **details: Any
) -> InvalidFilter:
    """The error for one place in a filter."""
    return InvalidFilter(
        f"{problem} (at {place})",
        got=got,
        wanted=wanted,
        remedy=remedy,
        path=place,
        **details,
    )
