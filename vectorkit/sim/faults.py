"""Faults are data: frozen records of what breaks, when and for how long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vectorkit.errors import InvalidOption


@dataclass(frozen=True, slots=True, init=False)
class Partition:
    """From `at_ms` on, for `for_ms`, the isolated nodes and the others hear nothing of each other.

    >>> Partition(at_ms=2_000, for_ms=3_000, isolate=["node-2"]).until_ms
    5000
    """

    at_ms: float
    for_ms: float
    isolate: tuple[str, ...]

    def __init__(self, *, at_ms: float, for_ms: float, isolate: Sequence[str]) -> None:
        if not 0 <= at_ms < float("inf") or not 0 < for_ms < float("inf"):
            raise InvalidOption(
                "a partition cannot happen then",
                got=f"at_ms={at_ms}, for_ms={for_ms}",
                wanted="at_ms of 0 or more, for_ms above 0, both finite",
                remedy="let it begin within the run and last",
            )
        if isinstance(isolate, str) or not isolate:
            raise InvalidOption(
                "a partition needs nodes to isolate",
                got=f"isolate={isolate!r}",
                wanted="a list of node ids",
                remedy='pass isolate=["node-2"]',
            )
        object.__setattr__(self, "at_ms", at_ms)
        object.__setattr__(self, "for_ms", for_ms)
        object.__setattr__(self, "isolate", tuple(isolate))

    @property
    def until_ms(self) -> float:
        """When it heals."""
        return self.at_ms + self.for_ms
