"""Which slots each of the last writes has changed: what a cached answer has to look at again."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import Final

import numpy as np

from vectorkit.types import Int32Array

WRITES_KEPT: Final = 1_024
SLOTS_MAX: Final = 1_024
"""More changed slots than this are not told apart from "everything"."""


class ChangeLog:
    """The slots that the last `WRITES_KEPT` writes changed, one entry a version.

    A slot that a deletion has emptied is not named: it is at or beyond the count.
    """

    def __init__(self) -> None:
        self._entries: deque[int | Int32Array | None] = deque(maxlen=WRITES_KEPT)
        self.add = self._entries.append

    def add_many(self, slots: Int32Array) -> None:
        """A write has changed these slots."""
        self.add(slots if len(slots) <= SLOTS_MAX else None)

    def last(self, count: int) -> Int32Array | None:
        """The distinct slots that the last `count` writes changed, ascending; None: unknown."""
        if count > len(self._entries):
            return None
        single: list[int] = []
        several: list[Int32Array] = []
        for entry in islice(reversed(self._entries), count):
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
        """Host bytes of the slots that are kept."""
        return sum(entry.nbytes for entry in self._entries if isinstance(entry, np.ndarray))
