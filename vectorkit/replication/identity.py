"""Indices and epochs: small integers that name a node's life and a master's term, for ever."""

from __future__ import annotations

from typing import Final

SLOT_BITS: Final = 8
_INDEX_BITS: Final = 16


def index_of(slot: int, incarnation: int) -> int:
    """A node's index: its slot, and how often the slot has come back without state."""
    return incarnation << SLOT_BITS | slot


def slot_of(index: int) -> int:
    """The slot of an index, or of the owner of an epoch."""
    return index & ((1 << SLOT_BITS) - 1)


def epoch_of(term: int, index: int) -> int:
    """`round << 16 | node_index`: unique to its node, totally ordered."""
    return term << _INDEX_BITS | index


def owner_of(epoch: int) -> int:
    """The index of the node whose epoch it is."""
    return epoch & ((1 << _INDEX_BITS) - 1)


def round_of(epoch: int) -> int:
    """How many rounds of mastership came before, about."""
    return epoch >> _INDEX_BITS


FIRST_EPOCH: Final = epoch_of(1, 0)
"""Served by slot 0 when a cluster begins."""
