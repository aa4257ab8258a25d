"""The host's side of the rows: slot → id and slot → payload, published together with the state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vectorkit.collections.filters.columns import Columns
from vectorkit.collections.storage.pins import Pin, Pinned
from vectorkit.types import Id, Int32Array, Payload


class Tables:
    """Ids and payloads by slot. Appending may be shared, overwriting may not.

    Before it overwrites an entry, a caller must call `for_overwriting`. `columns` are the payloads
    in the form that filters read, made when a filter first needs them. After an exception, every
    method may be called again with the same arguments.
    """

    __slots__ = ("columns", "ids", "payloads", "pinned")

    def __init__(self) -> None:
        self.ids: list[Id] = []
        self.payloads: list[Payload | None] = []
        self.columns = Columns(self.payloads)
        self.pinned = Pinned()

    def for_overwriting(self) -> Tables:
        """These tables if nobody else reads them, else a copy."""
        if not self.pinned.is_held:
            return self
        twin = Tables()
        twin.ids, twin.payloads = self.ids.copy(), self.payloads.copy()
        twin.columns = self.columns.copy(twin.payloads)
        return twin

    def append(self, count: int, ids: Sequence[Id], payloads: Sequence[Payload | None]) -> None:
        """New rows behind the first `count`, in place of whatever is there."""
        self.ids[count:] = ids
        self.payloads[count:] = payloads

    def set_payloads(self, slots: Sequence[int], payloads: Sequence[Payload | None]) -> None:
        """Overwrite the payloads of present rows."""
        for slot, payload in zip(slots, payloads, strict=True):
            self.payloads[slot] = payload
        self.columns.reread(slots)

    def set_ids(self, slots: Sequence[int], ids: Sequence[Id]) -> None:
        """Overwrite the ids of present rows."""
        for slot, row_id in zip(slots, ids, strict=True):
            self.ids[slot] = row_id

    def truncate(self, count: int) -> None:
        """Drop the entries from `count` on."""
        del self.ids[count:], self.payloads[count:]
        self.columns.truncate(count)


@dataclass(frozen=True, slots=True)
class StateView:
    """One published value: a state, its tables, and how many rows of them are in use.

    The state is opaque here: only the collection's backend understands it. As long as the view is
    there, its `pins` keep what they belong to as it is.
    """

    state: Any
    tables: Tables
    count: int
    version: int
    pins: tuple[Pin, ...] = ()

    @property
    def ids(self) -> list[Id]:
        """The ids in slot order, as a list of its own."""
        return self.tables.ids[: self.count]

    @property
    def payloads(self) -> list[Payload | None]:
        """The payloads in slot order, as a list of its own."""
        return self.tables.payloads[: self.count]


def close_holes(slots: Int32Array, count: int) -> tuple[Int32Array, Int32Array]:
    """Which rows move where when `slots` of `count` are taken out: (sources, targets).

    The remaining tail rows go into the holes, ascending into ascending.

    >>> sources, targets = close_holes(np.array([1, 4]), count=5)
    >>> sources.tolist(), targets.tolist()
    ([3], [1])
    """
    remaining = count - len(slots)
    is_gone = np.zeros(len(slots), np.bool_)
    is_gone[slots[slots >= remaining] - remaining] = True
    sources = np.flatnonzero(~is_gone) + remaining
    targets = np.sort(slots[slots < remaining])
    return sources.astype(np.int32), targets.astype(np.int32)
