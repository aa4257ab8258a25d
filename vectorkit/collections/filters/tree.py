"""A checked filter as a tree: each node has its canonical text and answers with a mask."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vectorkit.collections.filters import predicates
from vectorkit.collections.filters.columns import ColumnView
from vectorkit.collections.filters.predicates import Mask, Members

Source = Callable[[str], ColumnView]
"""The rows that are asked about, as columns by key."""


@dataclass(frozen=True, slots=True)
class FilterNode(ABC):
    """A question with an answer for every row. Equal meaning has equal `text`."""

    text: str

    @abstractmethod
    def mask(self, source: Source, count: int) -> Mask:
        """Which of the `count` rows pass, as a new array (count,)."""


@dataclass(frozen=True, slots=True)
class Equal(FilterNode):
    """The key has one of these values."""

    key: str
    wanted: Members

    def mask(self, source: Source, count: int) -> Mask:
        """One lookup for texts, one comparison for each number."""
        return predicates.equal_to(source(self.key), self.wanted)


@dataclass(frozen=True, slots=True)
class Ordered(FilterNode):
    """The key's value stands before or behind a bound."""

    key: str
    order: str
    bound: str | int | float

    def mask(self, source: Source, count: int) -> Mask:
        """One comparison for each sort of number, one lookup for texts."""
        return predicates.ordered(source(self.key), self.order, self.bound)


@dataclass(frozen=True, slots=True)
class Present(FilterNode):
    """The row has the key."""

    key: str

    def mask(self, source: Source, count: int) -> Mask:
        """None is present too."""
        return predicates.present(source(self.key))


@dataclass(frozen=True, slots=True)
class Not(FilterNode):
    """The part does not hold."""

    part: FilterNode

    def mask(self, source: Source, count: int) -> Mask:
        """The part's answer, turned round in place."""
        mask = self.part.mask(source, count)
        return np.logical_not(mask, out=mask)


@dataclass(frozen=True, slots=True)
class Several(FilterNode):
    """All of the parts hold, or any of them: without a part all do and none does."""

    is_all: bool
    parts: tuple[FilterNode, ...]

    def mask(self, source: Source, count: int) -> Mask:
        """The parts' answers, combined in the first one's array."""
        if not self.parts:
            return np.full(count, self.is_all)
        combine = np.logical_and if self.is_all else np.logical_or
        mask = self.parts[0].mask(source, count)
        for part in self.parts[1:]:
            combine(mask, part.mask(source, count), out=mask)
        return mask
