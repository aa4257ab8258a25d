"""Convert values that callers pass to the values that collections store, by one table.

`docs/values.md` shows the table. Payloads, ids, counts and the values in filters are all converted
here, so that a value is stored, found and compared in one form. The result shares no memory with
the argument.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Final
from uuid import UUID

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from vectorkit.collections.values.not_storable import NotStorable, short
from vectorkit.collections.values.time_texts import (
    text_of_date,
    text_of_datetime,
    text_of_datetime64,
    text_of_duration,
    text_of_time,
    text_of_timedelta64,
)
from vectorkit.types import Id, Keep, Payload

DEPTH_MAX: Final = 100
"""How deep lists and dicts of a payload may be nested."""

INT_MAX: Final = 2**63 - 1

STORABLE: Final = (
    "str, bool, a finite number of at most 64 bits, a date, time or duration, UUID, Enum, "
    "list, array or dict"
)

_PLAIN: Final = frozenset((str, bool))
_SCALAR_BYTES_MAX: Final = 8
_JSON_NAN: Final = "JSON has no NaN: put None where a value inside a list or dict is missing"
_REMEDIES: Final[tuple[tuple[tuple[type, ...], str], ...]] = (
    ((Decimal,), "pass float(value), which may round it, or str(value), its exact text"),
    ((bytes, bytearray, memoryview), "pass text: value.decode(), or base64 of it"),
    ((set, frozenset), "pass a list, whose order is fixed: sorted(value)"),
    ((complex, np.complexfloating), "pass [value.real, value.imag]"),
    ((Keep,), "pass KEEP in place of a whole vector or payload, not inside one"),
    ((Tracer,), "JAX is tracing and this has no value yet: pass a value from outside"),
)
_OTHERWISE: Final = "convert it to a str, a number, a bool, a list or a dict"


class _Missing(Enum):
    """The converters return a member of this for a missing value."""

    MISSING = "MISSING"
    NAN = "NAN"
    """A member for NaN alone, which may result from failed arithmetic: a list refuses it."""


MISSING: Final = _Missing.MISSING
_NAN: Final = _Missing.NAN

Converter = Callable[[Any, int], object]


def stored_payload(given: Mapping[Any, Any]) -> Payload | None:
    """Return a payload as it is stored, without the keys whose values are missing.

    Returns None if all values are missing; an empty mapping stays empty.

    >>> stored_payload({"year": np.int16(1990), "rating": math.nan, "tags": ("a", None)})
    {'year': 1990, 'tags': ['a', None]}
    """
    items = given if type(given) is dict else _items(given)
    stored: dict[str, object] = {}
    missing_count = 0
    key: Any = None
    try:
        for key, value in items.items():
            if type(value) not in _PLAIN:
                value = _CONVERTERS[type(value)](value, 1)  # noqa: PLW2901 - Hot: no second name.
                if value is MISSING or value is _NAN:
                    missing_count += 1
                    continue
            stored[key if type(key) is str else _key(key)] = value
    except NotStorable as error:
        error.path.append(_part(key))
        raise
    if len(stored) + missing_count != len(items):
        raise NotStorable(given, "two keys are the same text: leave one of them out")
    return stored if stored or not missing_count else None


def stored_value(given: object) -> object:
    """Return one value of a payload as it is stored; None if it is missing.

    >>> stored_value(datetime(2020, 1, 1, 12)), stored_value(math.nan)
    ('2020-01-01T12:00:00', None)
    """
    value = _CONVERTERS[type(given)](given, 1)
    return None if isinstance(value, _Missing) else value


def stored_id(given: object) -> Id | None:
    """Return an id as it is stored; None if this cannot be an id.

    >>> stored_id(np.int64(7)), stored_id(UUID(int=7)), stored_id(7.0), stored_id(True)
    (7, '00000000-0000-0000-0000-000000000007', None, None)
    """
    plain = without_enum(given)
    if isinstance(plain, UUID):
        return UUID.__str__(plain)
    if isinstance(plain, str):
        return str.__str__(plain)
    number = whole_number(plain)
    return number if number is not None and abs(number) <= INT_MAX else None


def whole_number(given: object) -> int | None:
    """Return an integer of Python, NumPy or an Enum as an int; None for all else, also for bool.

    >>> whole_number(np.uint8(3)), whole_number(np.timedelta64(3, "s")), whole_number(False)
    (3, None, None)
    """
    plain = without_enum(given)
    if isinstance(plain, bool | np.timedelta64):  # NumPy has timedelta64 as a subclass of integer.
        return None
    if isinstance(plain, int):
        return int.__index__(plain)
    return int(plain) if isinstance(plain, np.integer) else None


def is_missing(given: object) -> bool:
    """Whether this is None, NaN, NaT or pandas.NA.

    >>> is_missing(np.datetime64("NaT")), is_missing("")
    (True, False)
    """
    try:
        return isinstance(_CONVERTERS[type(given)](given, 1), _Missing)
    except NotStorable:
        return False


def is_duration(given: object) -> bool:
    """Whether this is a timedelta of Python, pandas or NumPy."""
    return isinstance(without_enum(given), timedelta | np.timedelta64)


def without_enum(given: object) -> object:
    """Return the value of an Enum member; any other object unchanged."""
    while isinstance(given, Enum) and not isinstance(given, Keep):
        given = given.value
    return given


def stored_key(given: object) -> str | None:
    """Return a key as it is stored; None if it is not a text."""
    plain = without_enum(given)
    return str.__str__(plain) if isinstance(plain, str) else None


def known_name(given: object, known: Iterable[str]) -> str | None:
    """Return the known name that this equals, as a plain str; None if it equals none.

    >>> known_name(np.str_("dot"), ["cosine", "dot"]), known_name(["dot"], ["cosine", "dot"])
    ('dot', None)
    """
    name = stored_key(given)
    return next((each for each in known if each == name), None)


def count_masked(given: object) -> int:
    """Count the masked values of a masked array, or of a list of such arrays."""
    if isinstance(given, np.ma.MaskedArray):
        return int(np.ma.getmaskarray(given).sum())
    if isinstance(given, list | tuple):
        return sum(count_masked(each) for each in given if isinstance(each, np.ma.MaskedArray))
    return 0


def _missing(_: object, __: int) -> _Missing:
    return MISSING


def _same(value: object, _: int) -> object:
    return value


def _int(value: int, _: int) -> int:
    if -INT_MAX <= value <= INT_MAX:
        return value
    raise NotStorable(value, "integers have at most 64 bits: pass a text, or a float")


def _float(value: float, _: int) -> float | _Missing:
    if math.isfinite(value):
        return value
    if math.isnan(value):
        return _NAN
    raise NotStorable(value, "JSON has no infinity: leave the key out, or pass a text")


def _list(given: Any, depth: int) -> list[object]:
    _refuse_depth(given, depth)
    stored: list[object] = []
    try:
        for value in given:  # The error needs the index: a comprehension does not give it.
            plain = value if type(value) in _PLAIN else _nested(value, depth)
            stored.append(plain)
    except NotStorable as error:
        error.path.append(len(stored))
        raise
    return stored


def _object(given: Mapping[Any, Any], depth: int) -> dict[str, object]:
    _refuse_depth(given, depth)
    items = given if type(given) is dict else _items(given)
    stored: dict[str, object] = {}
    key: Any = None
    try:
        for key, value in items.items():
            name = key if type(key) is str else _key(key)
            stored[name] = value if type(value) in _PLAIN else _nested(value, depth)
    except NotStorable as error:
        error.path.append(_part(key))
        raise
    if len(stored) != len(items):
        raise NotStorable(given, "two keys are the same text: leave one of them out")
    return stored


def _nested(value: object, depth: int) -> object:
    plain = _CONVERTERS[type(value)](value, depth + 1)
    if plain is _NAN:
        raise NotStorable(value, _JSON_NAN)
    return None if plain is MISSING else plain


def _refuse_depth(given: object, depth: int) -> None:
    if depth > DEPTH_MAX:
        remedy = f"nest lists and dicts {DEPTH_MAX} deep at most, none inside itself"
        raise NotStorable(given, remedy)


def _items(given: Mapping[Any, Any]) -> dict[Any, Any]:
    try:
        return dict(given.items())
    except (TypeError, ValueError) as error:
        raise NotStorable(given, "a mapping must have items() of keys and values") from error


def _key(key: object) -> str:
    name = stored_key(key)
    if name is None:
        raise NotStorable(key, "keys are texts: pass str(key)")
    return name


def _part(key: object) -> str:
    name = stored_key(key)
    return short(key) if name is None else name


def _enum(given: Enum, depth: int) -> object:
    value = given.value
    return _CONVERTERS[type(value)](value, depth)


def _array(given: np.ndarray[Any, Any], depth: int) -> object:
    """Return a list of the values, or one value if the array has no dimension."""
    if masked := count_masked(given):
        raise NotStorable(given, f"masked values: {masked}; pass array.filled(value)")
    array = np.asarray(given)
    kind, size = array.dtype.kind, array.dtype.itemsize
    listed: object = array
    if kind in "mM":  # `tolist` makes integers of some units, and microseconds of the others.
        listed = _elements(array)
    elif kind in "biuUO" or (kind == "f" and size <= _SCALAR_BYTES_MAX):
        listed = array.tolist()
    elif kind == "f":
        listed = _elements(array)
    elif array.dtype.names is None and _is_real(array.dtype):
        listed = array.tolist()
    if listed is array:
        raise NotStorable(given, f"an array of dtype {array.dtype} has no form in JSON")
    return _CONVERTERS[type(listed)](listed, depth)


def _elements(array: np.ndarray[Any, Any]) -> object:
    return [_elements(each) for each in array] if array.ndim else array[()]


def _array_like(given: Any, depth: int) -> object:
    """Convert a Series, an Index, or an array of pandas or JAX."""
    try:
        listed = given.tolist()
    except (TypeError, ValueError) as error:
        raise NotStorable(given, _remedy(given)) from error
    return _CONVERTERS[type(listed)](listed, depth)


def _number(given: Any, depth: int) -> object:
    """Convert a scalar of NumPy, or of a package that adds types to NumPy."""
    kind = given.dtype.kind
    if kind == "b":
        return bool(given)
    if kind in "iu":
        return _int(int(given), depth)
    if kind == "f":
        if (value := float(given)) != given and not math.isnan(value):
            raise NotStorable(given, "float64 cannot hold it exactly: pass float(value)")
        return _float(value, depth)
    if given.dtype.names is None and _is_real(given.dtype):
        plain = given.item()
        return _CONVERTERS[type(plain)](plain, depth)
    raise NotStorable(given, _OTHERWISE)


def _is_real(dtype: Any) -> bool:
    """Whether this is a type that JAX adds to NumPy, such as bfloat16 or int4."""
    return bool(jnp.issubdtype(dtype, jnp.floating) or jnp.issubdtype(dtype, jnp.integer))


def _refused(given: object, _: int) -> object:
    raise NotStorable(given, _remedy(given))


def _remedy(given: object) -> str:
    found = (remedy for kinds, remedy in _REMEDIES if isinstance(given, kinds))
    return next(found, _OTHERWISE)


def _text_by(text_of: Callable[[Any], str | None]) -> Converter:
    def converter(value: object, _: int) -> object:
        text = text_of(value)
        return MISSING if text is None else text

    return converter


class _Converters(dict[type, Converter]):
    """The converters by type. A subclass uses the converter of its first base in the table."""

    def __missing__(self, kind: type) -> Converter:
        return self.setdefault(kind, _converter_of(kind))


def _converter_of(kind: type) -> Converter:
    # pandas may not be imported here, so its two missing values are known by their names.
    if kind.__name__ in ("NAType", "NaTType") and kind.__module__.startswith("pandas."):
        return _missing
    for base, converter in _BASES:
        if issubclass(kind, base):
            return converter
    if all(hasattr(kind, name) for name in ("tolist", "dtype", "shape")):
        return _array_like
    return _refused


_BASES: Final[tuple[tuple[type, Converter], ...]] = (
    (Keep, _refused),
    (Enum, _enum),
    (np.ndarray, _array),
    (np.datetime64, _text_by(text_of_datetime64)),
    (np.timedelta64, _text_by(text_of_timedelta64)),
    (np.str_, lambda value, _: str.__str__(value)),
    (np.bytes_, _refused),
    (np.generic, _number),
    (str, lambda value, _: str.__str__(value)),
    (int, lambda value, depth: _int(int.__index__(value), depth)),
    (float, lambda value, depth: _float(float.__float__(value), depth)),
    (datetime, _text_by(text_of_datetime)),
    (date, _text_by(text_of_date)),
    (time, _text_by(text_of_time)),
    (timedelta, _text_by(text_of_duration)),
    (UUID, lambda value, _: UUID.__str__(value)),
    (Mapping, _object),
    (list, _list),
    (tuple, _list),
)
_CONVERTERS: Final = _Converters(
    {
        type(None): _missing,
        str: _same,
        bool: _same,
        int: _int,
        float: _float,
        list: _list,
        tuple: _list,
        dict: _object,
    }
)
