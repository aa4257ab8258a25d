"""What stands behind the codes of a column: kinds, texts, and lists and dicts as canonical JSON."""

from __future__ import annotations

from array import array

import numpy as np
from numpy.typing import NDArray

from vectorkit.operations import canonical_payload
from vectorkit.types import Int32Array

MISSING, NONE, FALSE, TRUE, INT, FLOAT, FIXED = range(7)
"""The codes that are kinds, and the first code that stands for a text, a list or a dict."""

Int64Array = NDArray[np.int64]


class Dictionary(dict[str | bytes, int]):
    """The codes of texts (str) and of lists and dicts (canonical JSON), given at first sight.

    `entries` goes the other way. `uses` counts the rows of every code, the fixed ones included;
    `unused` is how many entries no row has.
    """

    def __init__(self) -> None:
        super().__init__()
        self.entries: list[str | bytes | None] = [None] * FIXED
        self.uses = array("q", [0] * FIXED)
        self.unused = 0
        self._sorted: tuple[int, list[str], Int32Array] = (0, [], np.zeros(0, np.int32))

    def __missing__(self, entry: str | bytes) -> int:
        code = len(self.entries)
        self.entries.append(entry)
        self.uses.append(0)
        self.unused += 1
        self[entry] = code
        return code

    def in_order(self) -> tuple[list[str], Int32Array]:
        """The texts by code point, and their codes, sorted again where entries were added."""
        size, texts, codes = self._sorted
        if size != len(self.entries):
            entries = self.entries.copy()
            pairs = sorted(
                (text, code) for code, text in enumerate(entries) if isinstance(text, str)
            )
            texts = [text for text, _ in pairs]
            codes = np.array([code for _, code in pairs], np.int32)
            self._sorted = len(entries), texts, codes
        return texts, codes

    def clone(self) -> Dictionary:
        """An equal dictionary that shares nothing that changes."""
        twin = Dictionary()
        twin.update(self)
        twin.entries, twin.uses, twin.unused = self.entries.copy(), self.uses[:], self.unused
        twin._sorted = self._sorted
        return twin

    def exchange(self, old: int, new: int) -> None:
        """One row that had the code `old` has `new`."""
        uses = self.uses
        if new >= FIXED and uses[new] == 0:
            self.unused -= 1
        uses[new] += 1
        uses[old] -= 1
        if old >= FIXED and uses[old] == 0:
            self.unused += 1

    def tally(self, codes: Int32Array, sign: int) -> None:
        """Count many rows in (+1) or out (−1)."""
        counts = self.counts()
        counts += sign * np.bincount(codes, minlength=len(counts))
        self.unused = int(np.count_nonzero(counts[FIXED:] == 0))

    def counts(self) -> Int64Array:
        """`uses` as an array on the same memory; drop the array before adding an entry."""
        return np.frombuffer(self.uses, np.int64)

    def without_unused(self) -> tuple[Dictionary, Int32Array]:
        """A dictionary of the entries that rows have, and its code for every code of this one."""
        counts = self.counts()
        kept = np.flatnonzero(counts[FIXED:]) + FIXED
        fresh = Dictionary()
        fresh.entries += [self.entries[code] for code in kept.tolist()]
        fresh.uses = array("q", counts[:FIXED].tolist() + counts[kept].tolist())
        fresh.update({entry: code for code, entry in enumerate(fresh.entries) if entry is not None})
        code_of = np.zeros(len(self.entries), np.int32)
        code_of[:FIXED] = np.arange(FIXED)
        code_of[kept] = np.arange(FIXED, FIXED + len(kept))
        return fresh, code_of


def canonical_json(value: object) -> bytes:
    """The bytes by which two lists or two dicts are equal.

    >>> canonical_json({"b": 1, "a": [True]})
    b'{"":{"a":[true],"b":1}}'
    """
    return canonical_payload({"": value})
