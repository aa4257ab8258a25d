"""Indices and epochs: integers that identify a node's incarnation and a master's term."""

from __future__ import annotations

from itertools import zip_longest
from typing import Final

from vectorkit.records import fast_frozen

SLOT_BITS: Final = 8
_INDEX_BITS: Final = 16


def index_of(slot: int, incarnation: int) -> int:
    """Return a node's index: its slot, and how often the slot has returned without state."""
    return incarnation << SLOT_BITS | slot


def slot_of(index: int) -> int:
    """Return the slot of an index, or of the owner of an epoch."""
    return index & ((1 << SLOT_BITS) - 1)


def epoch_of(term: int, index: int) -> int:
    """Return `term << 16 | index`: unique to its node, totally ordered."""
    return term << _INDEX_BITS | index


def owner_of(epoch: int) -> int:
    """Return the index of the node that owns the epoch."""
    return epoch & ((1 << _INDEX_BITS) - 1)


def round_of(epoch: int) -> int:
    """Return the epoch's term: it grows with every election."""
    return epoch >> _INDEX_BITS


FIRST_EPOCH: Final = epoch_of(1, 0)
"""The epoch in which slot 0 is master when a cluster begins."""

NO_INDEX: Final = -1
"""A value below every index: a slot of which nothing is known."""


@fast_frozen
class KnownIndices:
    """The newest index and the highest retired index that a node knows of each slot.

    Both only grow; two such records merge by maximum. A node keeps its record durable beside the
    log, so damage of the log does not touch it.

    >>> known = KnownIndices.of_nodes(2).merged(KnownIndices(newest=(0, 257)))
    >>> known.refuses(1), known.refuses(257), known.is_gone(1)
    (True, False, False)
    >>> known.with_retired(257).is_gone(1)
    True
    """

    newest: tuple[int, ...] = ()
    retired: tuple[int, ...] = ()

    @classmethod
    def of_nodes(cls, count: int) -> KnownIndices:
        """Return the record of every node of a new cluster: each slot has its first index."""
        first = tuple(index_of(slot, 0) for slot in range(count))
        return cls(first, (NO_INDEX,) * count)

    def merged(self, other: KnownIndices) -> KnownIndices:
        """Return the maximum of both records, slot by slot."""
        return KnownIndices(
            _maxima(self.newest, other.newest), _maxima(self.retired, other.retired)
        )

    def with_newest(self, index: int) -> KnownIndices:
        """Return the record after the node has learned of an index."""
        return self.merged(KnownIndices(newest=_only(index)))

    def with_retired(self, index: int) -> KnownIndices:
        """Return the record after an operator has retired an index."""
        return self.merged(KnownIndices(retired=_only(index)))

    def covers(self, other: KnownIndices) -> bool:
        """Whether merging the other record would change nothing."""
        return self.merged(other) == self

    def refuses(self, index: int) -> bool:
        """Whether to drop messages of this index: it is replaced, retired, or of no known slot."""
        slot = slot_of(index)
        if slot >= len(self.newest):
            return True
        return index < self.newest[slot] or index <= self.retired[slot]

    def is_gone(self, slot: int) -> bool:
        """Whether the slot's newest index is retired, so that the slot counts as without state."""
        return self.newest[slot] <= self.retired[slot]

    def next_index(self, slot: int) -> int:
        """Return an index of the slot above all indices of the slot in this record."""
        known = max(self.newest[slot], self.retired[slot])
        return index_of(slot, (known >> SLOT_BITS) + 1)


def _only(index: int) -> tuple[int, ...]:
    """Return a record of one slot's index that knows nothing of the slots below."""
    return (NO_INDEX,) * slot_of(index) + (index,)


def _maxima(ours: tuple[int, ...], others: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(map(max, zip_longest(ours, others, fillvalue=NO_INDEX)))
