"""Which slots each of the last writes has changed: what a cached answer has to look at again."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Final

import numpy as np

from vectorkit.types import Int32Array

WRITES_KEPT: Final = 1_024
SLOTS_MAX: Final = 1_024
"""More changed slots than this count as "everything changed"."""


class ChangeLog:
    """The slots that the last `WRITES_KEPT` writes changed, one entry for each version.

    An entry has its place by its version, so that noting a write again changes nothing. `version`
    is the last one noted. A slot that a deletion has emptied is not named: it is at or beyond the
    count.
    """

    def __init__(self, version: int = 0) -> None:
        self._first = self.version = version
        self._entries: list[int | Int32Array | None] = [None] * WRITES_KEPT

    def note(self, version: int, slots: Int32Array | int) -> None:
        """The write that made `version`, the present one or the next, has changed these slots."""
        entry: Int32Array | int | None = slots
        if not isinstance(slots, int):
            entry = slots.item() if len(slots) == 1 else slots if len(slots) <= SLOTS_MAX else None
        self._entries[version % WRITES_KEPT] = entry
        self.version = version

    def note_each(self, version: int, slots: Iterable[int]) -> None:
        """The writes up to `version` have changed one slot each."""
        entries = self._entries
        for number, slot in enumerate(slots, self.version + 1):
            entries[number % WRITES_KEPT] = slot
        self.version = version

    def last(self, count: int) -> Int32Array | None:
        """The distinct slots that the last `count` writes changed, ascending; None: unknown."""
        if count > min(WRITES_KEPT, self.version - self._first):
            return None
        single: list[int] = []
        several: list[Int32Array] = []
        for number in range(self.version - count + 1, self.version + 1):
            entry = self._entries[number % WRITES_KEPT]
            if entry is None:
                return None
            if isinstance(entry, int):
                single.append(entry)
            else:
                several.append(entry)
        slots = np.unique(np.concatenate((np.array(single, np.int32), *several)))
        return slots if len(slots) <= SLOTS_MAX else None

    @property
    def nbytes(self) -> int:
        """Host bytes of the entries that are kept."""
        arrays = (entry.nbytes for entry in self._entries if isinstance(entry, np.ndarray))
        return sys.getsizeof(self._entries) + sum(arrays)
