"""Choices of a nemesis, by addressed draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from vectorkit.draws import address, below, fold, threshold
from vectorkit.records import check_not_negative, check_probability, check_seed

T = TypeVar("T")

_STREAM: Final = 24


@dataclass(frozen=True, slots=True)
class Draws:
    """Choices, each by its own address: one more of the ones moves none of the others."""

    prefix: int

    def at(self, *words: int) -> Draws:
        """The choices of one part."""
        return Draws(fold(self.prefix, *words))

    def between(self, low: int, high: int, *words: int) -> int:
        """A whole number from low to high, both included."""
        return low + below(fold(self.prefix, *words), max(1, high - low + 1))

    def has(self, chance: float, *words: int) -> bool:
        """Whether something of this chance happens."""
        return fold(self.prefix, *words) < threshold(min(1.0, chance))

    def pick(self, items: Sequence[T], *words: int) -> T:
        """One of them."""
        return items[self.between(0, len(items) - 1, *words)]

    def some(self, items: Sequence[T], count: int, *words: int) -> list[T]:
        """So many of them, in a drawn order."""
        order = sorted(range(len(items)), key=lambda number: fold(self.prefix, *words, number))
        return [items[number] for number in order[:count]]


def draws_of(nemesis: int, seed: int, duration_ms: int, intensity: float) -> Draws:
    """The choices of a nemesis, by its number. Raises InvalidOption."""
    check_seed(seed)
    check_not_negative("duration_ms", duration_ms)
    check_probability("intensity", intensity)
    return Draws(fold(address(seed), _STREAM, nemesis))
