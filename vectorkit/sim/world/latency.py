"""How long messages travel, as integers: every law is a table of its inverse, in nanoseconds."""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist
from typing import Final

from vectorkit.draws import below
from vectorkit.sim.options import Link
from vectorkit.units import ms_to_ns

TABLE_SIZE: Final = 4_096
"""A law is cut into so many equally likely parts, each stood for by its median."""


class Latency:
    """What a message's draw makes of a link: `base_ns` and up to more, by the link's law.

    >>> Latency(Link(delay_ms=2, jitter_ms=1)).at(word=1 << 31)
    2500000
    >>> Latency(Link(delay_ms=2, sample_ms=(1, 7))).at(word=1 << 31)
    9000000
    """

    __slots__ = ("_span_ns", "_table", "base_ns", "is_constant")

    def __init__(self, link: Link) -> None:
        self.base_ns = ms_to_ns(link.delay_ms)
        self._table = jitter_table(link)
        self._span_ns = 0 if self._table else ms_to_ns(link.jitter_ms)
        self.is_constant = not self._table and not self._span_ns

    def at(self, word: int) -> int:
        """The time of a message, from a uint32."""
        if self._table:
            return self.base_ns + self._table[below(word, len(self._table))]
        return self.base_ns + below(word, self._span_ns)


@lru_cache(maxsize=64)
def jitter_table(link: Link) -> tuple[int, ...]:
    """The inverse of a link's law, ascending; empty where the law is uniform or constant.

    Whole nanoseconds hide the last bits in which the mathematics of machines differ.
    """
    if link.sample_ms:
        return tuple(sorted(map(ms_to_ns, link.sample_ms)))
    if link.law == "uniform" or not link.jitter_ms:
        return ()
    middles = ((number + 0.5) / TABLE_SIZE for number in range(TABLE_SIZE))
    if link.law == "exponential":
        return tuple(ms_to_ns(-link.jitter_ms * math.log1p(-middle)) for middle in middles)
    normal = NormalDist()
    return tuple(
        ms_to_ns(link.jitter_ms * math.exp(link.sigma * normal.inv_cdf(middle)))
        for middle in middles
    )
