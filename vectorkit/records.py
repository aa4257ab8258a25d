"""Frozen records of options: their defaults, their JSON, and the checks of their values."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from types import UnionType
from typing import (
    Any,
    Final,
    TypeVar,
    Union,
    cast,
    dataclass_transform,
    get_args,
    get_origin,
    get_type_hints,
)

from vectorkit.errors import InvalidOption

T = TypeVar("T")

_REPR_COLUMNS: Final = 150
_JSON_COLUMNS: Final = 120


@dataclass_transform(frozen_default=True)
def fast_frozen(kind: type[T]) -> type[T]:
    """Make a dataclass with slots, equality and a hash, which the type checker treats as frozen.

    For classes with an instance per event of a run: an instance of a dataclass that is frozen at
    run time takes three times as long to make.

    >>> @fast_frozen
    ... class Beat:
    ...     number: int
    >>> Beat(7), Beat(7) == Beat(7)
    (Beat(number=7), True)
    """
    return dataclass(slots=True, unsafe_hash=True)(kind)


def non_default_fields(record: Any) -> dict[str, Any]:
    """Return the fields of a dataclass instance whose value differs from their default.

    >>> from vectorkit.sim import Link
    >>> non_default_fields(Link(delay_ms=5, loss=0.0))
    {'delay_ms': 5}
    """
    found = {}
    for each in (each for each in fields(record) if each.init):
        value = getattr(record, each.name)
        factory = each.default_factory
        if value != (each.default if factory is MISSING else factory()):
            found[each.name] = value
    return found


def short_repr(record: Any) -> str:
    """Return a repr of one line with the fields that differ from their default, shortened.

    >>> from vectorkit.sim import Link
    >>> short_repr(Link(delay_ms=5, sample_ms=tuple(range(100)), loss=0.1))
    'Link(delay_ms=5, loss=0.1, sample_ms=(0, 1, … 100 in all))'
    """
    values = non_default_fields(record).items()
    line = (
        f"{type(record).__name__}({', '.join(f'{name}={_short(item)}' for name, item in values)})"
    )
    return line if len(line) <= _REPR_COLUMNS else f"{line[: _REPR_COLUMNS - 2]}…)"


def _short(item: Any) -> str:
    if isinstance(item, list | tuple) and len(item) > 2:
        return f"({_short(item[0])}, {_short(item[1])}, … {len(item):,} in all)"
    return repr(item)


def to_plain(record: Any) -> dict[str, Any]:
    """Return the fields that differ from their default, as values that JSON can hold.

    >>> from vectorkit.sim import Link
    >>> to_plain(Link(delay_ms=5.0, loss=0.01))
    {'delay_ms': 5, 'loss': 0.01}
    """
    return {name: _plain(value) for name, value in non_default_fields(record).items()}


def from_plain(kind: type[T], data: Mapping[str, Any], where: str) -> T:
    """Return the record with these values; `where` names it in errors. Raises InvalidOption.

    >>> from vectorkit.sim import Link
    >>> from_plain(Link, {"loss": 0.01}, "link").loss
    0.01
    """
    known = {each.name for each in fields(cast("Any", kind)) if each.init}
    unknown = [name for name in data if name not in known]
    if unknown:
        raise InvalidOption(
            f"{where} has fields that {kind.__name__} does not have",
            got=", ".join(map(repr, unknown)),
            wanted=", ".join(sorted(known)),
            remedy="leave them out, or use a newer vectorkit",
        )
    hints = get_type_hints(kind)
    try:
        return kind(**{n: _typed(hints[n], value, f"{where}.{n}") for n, value in data.items()})
    except TypeError as error:
        raise InvalidOption(
            f"{where} is not complete",
            got=str(error),
            wanted=f"the fields of {kind.__name__}",
            remedy="add what is missing",
        ) from error


def json_text(value: Any, *, indent: int | None, margin: str = "", used: int = 0) -> str:
    """Return plain values as JSON; with `indent`, an inner value that fits stays on one line.

    >>> print(json_text({"seed": 7, "faults": [{"kind": "Pause", "at_ms": 5}]}, indent=2))
    {
      "seed": 7,
      "faults": [{"kind": "Pause", "at_ms": 5}]
    }
    """
    flat = json.dumps(value)
    is_whole = bool(margin) and used + len(flat) < _JSON_COLUMNS
    if indent is None or is_whole or not value or not isinstance(value, dict | list):
        return flat
    inner = margin + " " * indent
    if isinstance(value, dict):
        heads = [f"{json.dumps(name)}: " for name in value]
    else:
        heads = [""] * len(value)
    parts = value.values() if isinstance(value, dict) else value
    lines = [
        f"{inner}{head}{json_text(part, indent=indent, margin=inner, used=len(inner) + len(head))}"
        for head, part in zip(heads, parts, strict=True)
    ]
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    return f"{opening}\n" + ",\n".join(lines) + f"\n{margin}{closing}"


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        to_dict: Callable[[], dict[str, Any]] | None = getattr(value, "to_dict", None)
        return to_plain(value) if to_dict is None else to_dict()
    if isinstance(value, Mapping):
        return [[_plain(key), _plain(item)] for key, item in value.items()]
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _typed(hint: Any, value: Any, where: str) -> Any:
    """Convert a plain value to the type of its field; a record checks its own fields."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        lists = [each for each in args if get_origin(each) is Sequence]
        if lists and value is not None:
            return _typed(lists[0], value, where)
        records = [each for each in args if is_dataclass(each)]
        is_record = bool(records) and isinstance(value, Mapping)
        return from_plain(cast("type", records[0]), value, where) if is_record else value
    if is_dataclass(hint) and not isinstance(value, cast("type", hint)):
        _check_fits(isinstance(value, Mapping), where, value, "an object")
        value = from_plain(cast("type", hint), value, where)
    elif origin in (tuple, Sequence):
        _check_fits(isinstance(value, list), where, value, "a list")
        value = tuple(_typed(args[0], item, where) for item in value)
    elif origin is Mapping:
        is_pairs = isinstance(value, list) and all(
            isinstance(item, list) and len(item) == len(args) for item in value
        )
        _check_fits(is_pairs, where, value, "a list of pairs")
        value = {_typed(args[0], k, where): _typed(args[1], item, where) for k, item in value}
    elif hint in (int, float, str, bool):
        _check_fits(_fits(hint, value), where, value, hint.__name__)
    return value


def _fits(kind: type, value: Any) -> bool:
    if kind in (int, float):
        numbers = (int, float) if kind is float else (int,)
        return isinstance(value, numbers) and not isinstance(value, bool)
    return isinstance(value, kind)


def _check_fits(is_right: bool, where: str, value: Any, wanted: str) -> None:
    if not is_right:
        raise InvalidOption(
            f"{where} is of another type",
            got=repr(value),
            wanted=wanted,
            remedy="pass the result of to_json",
        )


def check_not_negative(name: str, value: object) -> None:
    """Raise InvalidOption unless the value is a finite number of zero or more."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= cast("float", value) < float("inf"):
        raise InvalidOption(
            "an option is out of its range",
            got=f"{name}={value!r}",
            wanted=f"{name} as a finite number of 0 or more",
            remedy="pass a plain number",
        )


def check_range(name: str, value: object, least: int, most: int) -> None:
    """Raise InvalidOption unless the value is an integer within these bounds."""
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    if not is_whole or not least <= cast("int", value) <= most:
        raise InvalidOption(
            "an option is out of its range",
            got=f"{name}={value!r}",
            wanted=f"{name} as an integer from {least:,} to {most:,}",
            remedy="pass a whole number in this range",
        )


def check_choice(name: str, value: object, allowed: Sequence[object]) -> None:
    """Raise InvalidOption unless the value is one of these."""
    if value not in allowed:
        raise InvalidOption(
            "there is no such choice",
            got=f"{name}={value!r}",
            wanted=" or ".join(map(repr, allowed)),
            remedy="pass one of these, or leave it out",
        )


def check_probability(name: str, value: object) -> None:
    """Raise InvalidOption unless the value is a number in [0, 1]."""
    check_not_negative(name, value)
    if cast("float", value) > 1:
        raise InvalidOption(
            "a probability is out of its range",
            got=f"{name}={value}",
            wanted="0 to 1",
            remedy="pass a fraction, 0.01 for one in a hundred",
        )


def check_type(name: str, value: object, kind: type) -> None:
    """Raise InvalidOption unless the value is an instance of this class."""
    if not isinstance(value, kind):
        raise InvalidOption(
            "an option is of the wrong type",
            got=f"{name}={value!r}",
            wanted=f"a {kind.__name__}",
            remedy=f"make one with {kind.__name__}(…)",
        )


def check_seed(seed: object) -> None:
    """Raise InvalidOption unless the seed is an integer from 0 to 2**64 - 1."""
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 1 << 64:
        raise InvalidOption(
            "this cannot be a seed",
            got=f"seed={seed!r}",
            wanted="an integer from 0 to 2**64 − 1",
            remedy="pass a small whole number",
        )
