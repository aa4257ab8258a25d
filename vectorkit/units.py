"""The only conversions between units: integer nanoseconds inside, milliseconds at the edge."""

from __future__ import annotations

from typing import Final

NS_PER_MS: Final = 1_000_000
KIB: Final = 1 << 10
MIB: Final = 1 << 20


def ms_to_ns(ms: float) -> int:
    """Milliseconds to whole nanoseconds, rounded to the nearest.

    >>> ms_to_ns(2.5)
    2500000
    """
    return round(ms * NS_PER_MS)


def ns_to_ms(ns: int) -> float:
    """Nanoseconds to milliseconds.

    >>> ns_to_ms(2_500_000)
    2.5
    """
    return ns / NS_PER_MS
