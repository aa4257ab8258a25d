"""Faults are data: frozen records of what breaks, when and for how long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vectorkit.errors import InvalidOption
from vectorkit.sim.options import refuse_negative


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
        refuse_negative("at_ms", at_ms)
        refuse_negative("for_ms", for_ms)
        if for_ms == 0:
            raise InvalidOption(
                "a partition cannot happen then",
                got="for_ms=0",
                wanted="for_ms above 0",
                remedy="let it last",
            )
        is_list = isinstance(isolate, Sequence) and not isinstance(isolate, str)
        if not is_list or not isolate or not all(isinstance(node, str) for node in isolate):
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


def checked_faults(faults: object) -> tuple[Partition, ...]:
    """A list of faults as a tuple."""
    if isinstance(faults, Sequence) and all(isinstance(fault, Partition) for fault in faults):
        return tuple(faults)
    raise InvalidOption(
        "faults come as a list",
        got=f"faults={faults!r}",
        wanted="a list of Partition(…)",
        remedy='pass faults=[sim.Partition(at_ms=…, for_ms=…, isolate=["node-1"])]',
    )
