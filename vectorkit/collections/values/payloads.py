"""Payloads: JSON objects, converted and copied before they are stored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from vectorkit.collections.values.conversion import STORABLE, is_missing, stored_payload
from vectorkit.collections.values.not_storable import NotStorable, short
from vectorkit.errors import InvalidPayload
from vectorkit.types import Id, Payload


def check_payload(payload: object, row_id: Id) -> Payload | None:
    """The payload of a row as it is stored, sharing nothing with what was passed.

    None where there is none: it is None itself or missing, or all of its values are.
    """
    try:
        return _stored(payload)
    except NotStorable as error:
        raise _bad_payload(error, row_id) from error


def check_payloads(payloads: Any, ids: Sequence[Id]) -> tuple[Payload | None, ...] | None:
    """One payload for each of `ids`; None where no row has one."""
    if payloads is None:
        return None
    count = len(ids)
    is_table = len(getattr(payloads, "shape", (count,))) != 1
    if is_table or isinstance(payloads, Mapping | str) or not isinstance(payloads, Iterable):
        raise _bad_list(payloads, f"a {type(payloads).__name__}", count)
    given = payloads if isinstance(payloads, list | tuple) else list(islice(payloads, count + 1))
    if len(given) != count:
        more = "" if isinstance(payloads, list | tuple) or len(given) < count else " or more"
        raise _bad_list(payloads, f"{len(given)}{more} payloads", count)
    checked: list[Payload | None] = []
    try:
        for payload in given:  # The error needs the index: a comprehension does not give it.
            checked.append(None if payload is None else _stored(payload))  # noqa: PERF401
    except NotStorable as error:
        raise _bad_payload(error, ids[len(checked)]) from error
    return None if checked.count(None) == count else tuple(checked)


def _stored(payload: object) -> Payload | None:
    if type(payload) is dict or isinstance(payload, Mapping):
        return stored_payload(payload)
    if is_missing(payload):
        return None
    remedy = "pass a dict with texts as keys, or None; a row of a frame as row.to_dict()"
    raise NotStorable(payload, remedy)


def _bad_payload(error: NotStorable, row_id: Id) -> InvalidPayload:
    place = error.place
    holds = f"holds a value that cannot be stored at key {place}" if place else "cannot be stored"
    wanted = STORABLE if place else "a JSON object"
    return InvalidPayload(
        f"the payload of {short(row_id)} {holds}",
        got=error.got,
        wanted=f"{wanted}; None for what is missing",
        remedy=error.remedy,
        id=row_id,
        key=place,
    )


def _bad_list(payloads: object, got: str, count: int) -> InvalidPayload:
    return InvalidPayload(
        "payloads come as a list, one for each row",
        got=f"{got}: {short(payloads)}",
        wanted=f"{count} payloads, None where a row has none",
        remedy='pass payloads=[{…}, None, …]; a DataFrame as df.to_dict("records")',
    )
