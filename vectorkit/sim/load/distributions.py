"""Which row a request is for, and how long until the next request: laws over addressed draws."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable
from typing import Final, Literal, get_args

import numpy as np

from vectorkit.draws import CERTAIN, below

KeyLaw = Literal["uniform", "zipf", "sequential"]
KEY_LAWS: Final[tuple[KeyLaw, ...]] = get_args(KeyLaw)

KeyDistribution = Callable[[int, int], int]
"""From the index of a request and its draw to the place of a row."""

_STEPS: Final = 4_096
_UNIT: Final = 1 << 20
_GAPS: Final = tuple(
    round(-math.log(1 - (2 * step + 1) / (2 * _STEPS)) * _UNIT) for step in range(_STEPS)
)
"""The exponential law of mean 1 at the middle of each of its 4,096-quantiles, in 1 / 2**20."""


def key_distribution(law: KeyLaw, count: int, *, exponent: float) -> KeyDistribution:
    """A law over so many rows; of a zipf law the first row is drawn most often.

    >>> key_distribution("sequential", 3, exponent=1.0)(4, 0)
    1
    >>> zipf = key_distribution("zipf", 2, exponent=1.0)  # Row 0 gets 2 of 3 draws.
    >>> zipf(0, 2_863_311_530), zipf(0, 2_863_311_531)
    (0, 1)
    """
    if law == "sequential":
        return lambda index, _: index % count
    if law == "uniform":
        return lambda _, word: below(word, count)
    weights = np.arange(1, count + 1, dtype=np.float64) ** -exponent
    ends = [round(share * CERTAIN) for share in (np.cumsum(weights) / weights.sum()).tolist()]
    return lambda _, word: min(bisect_right(ends, word), count - 1)


def exponential_ns(word: int, mean_ns: int) -> int:
    """A time between two arrivals of a Poisson process, at most 9 times the mean, at least 1 ns.

    >>> exponential_ns(1 << 31, 1_000_000)
    693391
    """
    return max(1, _GAPS[below(word, _STEPS)] * mean_ns >> 20)
