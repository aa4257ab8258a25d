"""Frozen records as plain values, and back: what a scenario's JSON is made of."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from types import UnionType
from typing import Any, Final, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from vectorkit.errors import InvalidOption
from vectorkit.types import differing

T = TypeVar("T")

_COLUMNS: Final = 120


def to_plain(record: Any) -> dict[str, Any]:
    """The fields that differ from their defaults, as JSON has them.

    >>> from vectorkit.sim.options import Link
    >>> to_plain(Link(delay_ms=5.0, loss=0.01))
    {'delay_ms': 5, 'loss': 0.01}
    """
    return {name: _plain(value) for name, value in differing(record).items()}


def from_plain(kind: type[T], data: Mapping[str, Any], where: str) -> T:
    """The record of these values; `where` names it in errors. Raises InvalidOption.

    >>> from vectorkit.sim.options import Link
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


def to_text(value: Any, *, indent: int | None, margin: str = "", used: int = 0) -> str:
    """Plain values as JSON; with `indent`, whatever is inside and fits on a line stands on one.

    >>> print(to_text({"seed": 7, "faults": [{"kind": "Pause", "at_ms": 5}]}, indent=2))
    {
      "seed": 7,
      "faults": [{"kind": "Pause", "at_ms": 5}]
    }
    """
    flat = json.dumps(value)
    is_whole = bool(margin) and used + len(flat) < _COLUMNS
    if indent is None or is_whole or not value or not isinstance(value, dict | list):
        return flat
    inner = margin + " " * indent
    if isinstance(value, dict):
        heads = [f"{json.dumps(name)}: " for name in value]
    else:
        heads = [""] * len(value)
    parts = value.values() if isinstance(value, dict) else value
    lines = [
        f"{inner}{head}{to_text(part, indent=indent, margin=inner, used=len(inner) + len(head))}"
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
    """A value as its field has it; what fields check themselves is left to them."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        lists = [each for each in args if get_origin(each) is Sequence]
        if lists and value is not None:
            return _typed(lists[0], value, where)
        records = [each for each in args if is_dataclass(each)]
        is_record = bool(records) and isinstance(value, Mapping)
        return from_plain(cast("type", records[0]), value, where) if is_record else value
    if is_dataclass(hint) and not isinstance(value, cast("type", hint)):
        _refuse_unless(isinstance(value, Mapping), where, value, "an object")
        value = from_plain(cast("type", hint), value, where)
    elif origin in (tuple, Sequence):
        _refuse_unless(isinstance(value, list), where, value, "a list")
        value = tuple(_typed(args[0], item, where) for item in value)
    elif origin is Mapping:
        is_pairs = isinstance(value, list) and all(
            isinstance(item, list) and len(item) == len(args) for item in value
        )
        _refuse_unless(is_pairs, where, value, "a list of pairs")
        value = {_typed(args[0], k, where): _typed(args[1], item, where) for k, item in value}
    elif hint in (int, float, str, bool):
        _refuse_unless(_fits(hint, value), where, value, hint.__name__)
    return value


def _fits(kind: type, value: Any) -> bool:
    if kind in (int, float):
        numbers = (int, float) if kind is float else (int,)
        return isinstance(value, numbers) and not isinstance(value, bool)
    return isinstance(value, kind)


def _refuse_unless(is_right: bool, where: str, value: Any, wanted: str) -> None:
    if not is_right:
        raise InvalidOption(
            f"{where} is of another type",
            got=repr(value),
            wanted=wanted,
            remedy="pass what to_json gives",
        )
