"""Convert dates, times and durations of Python, NumPy and pandas to ISO 8601 texts.

Equal moments of different types have the same text, and the order of the texts is the order of the
moments: a fraction has 0, 6 or 9 digits, as `isoformat` writes it, and the zone is "+00:00" because
"+" sorts before "." and "Z" does not.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Final

import numpy as np

from vectorkit.collections.values.not_storable import NotStorable

_UNIX_DAY: Final = date(1970, 1, 1).toordinal()
_MONTHS: Final = {"Y": 12, "M": 1}
_DAY_NS: Final = 86_400 * 10**9
_TICK_NS: Final = {
    "W": 7 * _DAY_NS, "D": _DAY_NS, "h": 3_600 * 10**9, "m": 60 * 10**9, "s": 10**9,
    "ms": 10**6, "us": 10**3, "ns": 1,
}  # fmt: skip
_TICKS_IN_NS: Final = {"ps": 10**3, "fs": 10**6, "as": 10**9}


def text_of_date(given: date) -> str:
    """Return ten characters, so that a date sorts before every moment of its day."""
    return date.isoformat(given)


def text_of_datetime(given: datetime) -> str:
    """Return the moment, in UTC if it has a zone, so that equal moments have the same text.

    >>> text_of_datetime(datetime(2020, 1, 1, 12, 0, 0, 500_000))
    '2020-01-01T12:00:00.500000'
    """
    moment, zone = given, ""
    if given.utcoffset() is not None:
        try:
            moment, zone = given.astimezone(UTC), "+00:00"
        except (OverflowError, ValueError) as error:  # The second is that of pandas.
            raise _wrong_year(given) from error
    if not 1 <= moment.year <= 9999:  # A Timestamp of pandas may be.
        raise _wrong_year(given)
    day = f"{moment.year:04}-{moment.month:02}-{moment.day:02}"
    ns = moment.microsecond * 1_000 + getattr(moment, "nanosecond", 0)
    seconds = (moment.hour * 60 + moment.minute) * 60 + moment.second
    return f"{day}T{_clock(seconds * 10**9 + ns)}{zone}"


def text_of_time(given: time) -> str:
    """Return the time of day. A zone is refused, because its offset depends on the date."""
    if given.tzinfo is not None:
        raise NotStorable(given, "a time of day with a zone needs its date: pass a datetime")
    return time.isoformat(given)


def text_of_datetime64(given: np.datetime64) -> str | None:
    """Return a date for units of a day or longer, else a moment; None for NaT.

    >>> text_of_datetime64(np.datetime64("2020-02")), text_of_datetime64(np.datetime64(1, "ns"))
    ('2020-02-01', '1970-01-01T00:00:00.000000001')
    """
    if np.isnat(given):
        return None
    unit, step = np.datetime_data(given.dtype)
    count = int(given.astype(np.int64)) * step
    try:
        if unit in _MONTHS:
            years, month = divmod(count * _MONTHS[unit], 12)
            return date(1970 + years, month + 1, 1).isoformat()
        days, rest = divmod(_as_ns(given, unit, count), _DAY_NS)
        day = date.fromordinal(_UNIX_DAY + days).isoformat()
    except (ValueError, OverflowError) as error:
        if isinstance(error, NotStorable):
            raise
        raise _wrong_year(given) from error
    return day if unit in ("D", "W") else f"{day}T{_clock(rest)}"


def text_of_duration(given: timedelta) -> str:
    """Return days, hours, minutes and seconds, with one sign in front.

    >>> text_of_duration(timedelta(seconds=-90.5))
    '-P0DT0H1M30.5S'
    """
    microseconds = (given.days * 86_400 + given.seconds) * 10**6 + given.microseconds
    return _duration(microseconds * 1_000 + getattr(given, "nanoseconds", 0))


def text_of_timedelta64(given: np.timedelta64) -> str | None:
    """Return years and months if that is the unit, else as `text_of_duration`; None for NaT.

    >>> text_of_timedelta64(np.timedelta64(15, "M"))
    'P1Y3M'
    """
    if np.isnat(given):
        return None
    unit, step = np.datetime_data(given.dtype)
    count = int(given.astype(np.int64)) * step
    if unit in _MONTHS:
        years, months = divmod(abs(count * _MONTHS[unit]), 12)
        return f"{'-' if count < 0 else ''}P{years}Y{months}M"
    return _duration(_as_ns(given, unit, count))


def _as_ns(given: object, unit: str, count: int) -> int:
    if unit in _TICK_NS:
        return count * _TICK_NS[unit]
    if unit not in _TICKS_IN_NS:
        raise NotStorable(given, "it has no unit: name one, as in np.timedelta64(5, 's')")
    ns, rest = divmod(count, _TICKS_IN_NS[unit])
    if rest:
        raise NotStorable(given, "it is finer than a nanosecond: round it to one, or pass a number")
    return ns


def _clock(ns: int) -> str:
    """Return the time of day, its fraction with 0, 6 or 9 digits as `isoformat` writes it."""
    seconds, rest = divmod(ns, 10**9)
    text = f"{seconds // 3_600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    if rest == 0:
        return text
    return f"{text}.{rest:09}" if rest % 1_000 else f"{text}.{rest // 1_000:06}"


def _duration(ns: int) -> str:
    """Return the form of `pandas.Timedelta.isoformat`, with one sign in front if negative."""
    seconds, rest = divmod(abs(ns), 10**9)
    days, seconds = divmod(seconds, 86_400)
    fraction = f".{rest:09}".rstrip("0") if rest else ""
    clock = f"{seconds // 3_600}H{seconds // 60 % 60}M{seconds % 60}{fraction}S"
    return f"{'-' if ns < 0 else ''}P{days}DT{clock}"


def _wrong_year(given: object) -> NotStorable:
    return NotStorable(given, "dates have years from 1 to 9999: pass a number")
