"""The host's side of the rows: slot → id and slot → payload, published together with the state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from vectorkit.collections.state import CollectionState
from vectorkit.types import Id, Payload


@dataclass(slots=True)
class Tables:
    """Ids and payloads by slot. Appending may be shared, overwriting may not.

    `pins` counts the searches that still translate slots with these tables, `is_held` says that a
    snapshot does. Whoever wants to overwrite an entry asks `for_overwriting` first.
    """

    ids: list[Id] = field(default_factory=list)
    payloads: list[Payload | None] = field(default_factory=list)
    pins: int = 0
    is_held: bool = False

    def for_overwriting(self) -> Tables:
        """These tables if nobody else reads them, else a copy."""
        if self.pins == 0 and not self.is_held:
            return self
        return Tables(self.ids.copy(), self.payloads.copy())


@dataclass(frozen=True, slots=True)
class View:
    """One published value: a state, its tables, and how many rows of them are in use."""

    state: CollectionState
    tables: Tables
    count: int
    version: int

    @property
    def ids(self) -> list[Id]:
        """The ids in slot order, as a list of its own."""
        return self.tables.ids[: self.count]

    @property
    def payloads(self) -> list[Payload | None]:
        """The payloads in slot order, as a list of its own."""
        return self.tables.payloads[: self.count]


def close_holes(slots: Sequence[int], count: int) -> tuple[list[int], list[int]]:
    """Which rows move where when `slots` of `count` are taken out: (sources, targets).

    The remaining tail rows go into the holes, ascending into ascending.

    >>> close_holes([1, 4], count=5)
    ([3], [1])
    """
    gone, remaining = set(slots), count - len(slots)
    sources = [slot for slot in range(remaining, count) if slot not in gone]
    targets = sorted(slot for slot in gone if slot < remaining)
    return sources, targets
