"""Payloads: JSON objects, checked and copied before they are stored."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from vectorkit.collections.checks import INT_MAX, short
from vectorkit.errors import InvalidPayload
from vectorkit.types import Payload


def checked_payload(payload: object) -> Payload | None:
    """A JSON object as a dict that shares nothing with what was passed, or None."""
    if payload is None:
        return None
    if type(payload) is not dict and not isinstance(payload, Mapping):
        raise _bad_payload(payload, "not a mapping")
    try:
        return _object(payload)
    except (TypeError, ValueError, RecursionError) as error:
        raise _bad_payload(payload, str(error)) from error


def checked_payloads(payloads: Any, count: int) -> tuple[Payload | None, ...] | None:
    """One payload for each of `count` rows; None where no row has one."""
    if payloads is None:
        return None
    if isinstance(payloads, Mapping | str) or not isinstance(payloads, Iterable):
        raise _bad_list(payloads, f"a {type(payloads).__name__}", count)
    checked = tuple([checked_payload(payload) for payload in payloads])
    if len(checked) != count:
        raise _bad_list(payloads, f"{len(checked)} payloads", count)
    return None if checked.count(None) == count else checked


def _object(given: Mapping[Any, Any]) -> dict[str, object]:
    return {_key(key): _value(value) for key, value in given.items()}


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise TypeError(f"the key {short(key)} is not a str")
    return str(key)


def _value(value: object) -> object:
    if type(value) is str or (type(value) is int and -INT_MAX <= value <= INT_MAX):
        return value
    plain = value.item() if isinstance(value, np.generic) else value
    match plain:
        case None | bool() | str():
            return plain
        case int() if -INT_MAX <= plain <= INT_MAX:
            return plain
        case float() if math.isfinite(plain):
            return plain
        case list() | tuple():
            return [_value(each) for each in plain]
        case Mapping():
            return _object(plain)
    raise ValueError(f"the value {short(plain)} has no place in JSON")


def _bad_payload(payload: object, reason: str) -> InvalidPayload:
    return InvalidPayload(
        f"this cannot be a payload ({reason})",
        got=f"{short(payload)} ({type(payload).__name__})",
        wanted="a JSON object (dict with str keys; str, finite numbers, bool, None, lists, dicts)",
        remedy="convert the values to plain Python ones, and use None for what is missing",
    )


def _bad_list(payloads: object, got: str, count: int) -> InvalidPayload:
    return InvalidPayload(
        "payloads come as a list, one for each row",
        got=f"{got}: {short(payloads)}",
        wanted=f"{count} payloads, None where a row has none",
        remedy="pass payloads=[{…}, None, …]",
    )
