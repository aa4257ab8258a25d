"""`where`: which rows a search may answer with, checked before it starts.

A filter is a mapping from a payload's keys to conditions, all of which must hold:

    {"year": {"gte": 1990, "lt": 2000}, "lang": {"in": ["en", "de"]}, "title": "Alien"}

- `eq`, `ne`, `in`; a bare value is short for `eq`. `ne` is exactly "not `eq`", so rows without the
  key pass it. Lists and dicts are equal where their canonical JSON is ([1] is not [1.0]).
- `lt`, `lte`, `gt`, `gte`: numbers with numbers, exactly, int and float alike; texts with texts by
  code point. Nothing else has an order, so rows of another kind do not pass.
- `exists`: True or False.
- `{"and": [filters]}`, `{"or": [filters]}`, `{"not": filter}`, nested at will, beside keys too.
  Keys of these three names are reached by a function.

Values are converted as those of payloads are (docs/values.md): a date of any type is compared as
its text, and None, NaN, NaT and pandas.NA equal what is missing, so `{"year": None}` asks for the
rows without a year. A bool is never a number: True does not equal 1. A key that a row lacks passes
only `ne`, `{"exists": False}` and what asks for None. {} passes every row, `{"or": []}` none.

A function is called with the columns, read-only arrays by key, and returns one bool a row. It must
not write to the collection or store that is searched: that raises WriteInFilter.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vectorkit.collections.filters import predicates
from vectorkit.collections.filters.columns import Columns
from vectorkit.collections.filters.grammar import node, wrong
from vectorkit.collections.filters.predicates import Mask
from vectorkit.collections.filters.tree import FilterNode
from vectorkit.collections.values.not_storable import short
from vectorkit.errors import InvalidFilter, ReentrantCall, WriteInFilter


def parse(where: object) -> Filter:
    """A filter that has an answer for every row, or InvalidFilter before anything is searched.

    The answer shares nothing with `where`, which may be a mapping or a function of the columns.

    >>> parse({"year": {"gte": 1990.0}, "lang": "en"}).key
    'and(["lang","in",["en"]],["year","gte",1990])'
    """
    if isinstance(where, Mapping):
        return StructuredFilter(node(where))
    if callable(where):
        return ComputedFilter(where)
    raise wrong(
        "this cannot be a filter",
        "where",
        got=f"{short(where)} ({type(where).__name__})",
        wanted="a mapping from keys to conditions, or a function of the columns",
        remedy='write where={"year": {"gte": 1990}, "lang": "en"}',
    )


class Filter(ABC):
    """A checked `where`. Made by `parse`; it never changes.

    >>> columns = Columns([{"year": 1990}, {"year": 2000}, None])
    >>> parse({"year": {"gt": 1995}}).mask(columns, count=3).tolist()
    [False, True, False]
    """

    @property
    @abstractmethod
    def key(self) -> str | None:
        """The filter in one spelling, for caches; None where only calling it would tell."""

    @abstractmethod
    def mask(self, columns: Columns, count: int) -> Mask:
        """Which of the first `count` rows pass, as a new array (count,)."""

    @abstractmethod
    def mask_at(self, columns: Columns, slots: Sequence[int] | NDArray[Any]) -> Mask:
        """Which of the rows at `slots` pass, as a new array of their length."""


@dataclass(frozen=True, slots=True)
class StructuredFilter(Filter):
    """A filter of conditions."""

    root: FilterNode

    @property
    def key(self) -> str:
        """Equal for filters that say the same with keys, lists or numbers written differently."""
        return self.root.text

    def mask(self, columns: Columns, count: int) -> Mask:
        """Which of the first `count` rows pass, as a new array (count,)."""
        return self.root.mask(lambda key: columns.column(key, count), count)

    def mask_at(self, columns: Columns, slots: Sequence[int] | NDArray[Any]) -> Mask:
        """Which of the rows at `slots` pass; it costs nothing for the other rows."""
        chosen = np.asarray(slots, np.int64)
        count = int(chosen.max(initial=-1)) + 1
        return self.root.mask(lambda key: columns.column(key, count).at(chosen), len(chosen))


@dataclass(frozen=True, slots=True)
class ComputedFilter(Filter):
    """A filter that is a function of the columns. It is not asked about a collection of no rows."""

    function: Callable[[Mapping[str, NDArray[Any]]], Any]

    @property
    def key(self) -> None:
        """None: two functions cannot be compared."""
        return None

    def mask(self, columns: Columns, count: int) -> Mask:
        """Which of the first `count` rows pass. Raises InvalidFilter where the function fails."""
        if count == 0:
            return np.zeros(0, np.bool_)
        arrays = _Arrays(columns, count)
        try:
            answer = np.asarray(self.function(arrays))
        except (ReentrantCall, WriteInFilter):
            raise
        except _NoColumn as error:
            raise _no_column(error.args[0], columns.keys(count)) from error
        except Exception as error:
            raise wrong(
                "the filter function failed",
                "where",
                got=f"{type(error).__name__}: {error}",
                wanted=f"a bool array of shape ({count},)",
                remedy="try it on small arrays; text columns hold None for what is missing",
            ) from error
        finally:
            arrays.is_closed = True
        if answer.dtype != np.bool_ or answer.shape != (count,):
            raise wrong(
                "the filter function did not return one bool a row",
                "where",
                got=f"{answer.dtype} of shape {answer.shape}",
                wanted=f"a bool array of shape ({count},)",
                remedy="compare columns with values, and combine with &, | and ~",
            )
        return answer.copy()

    def mask_at(self, columns: Columns, slots: Sequence[int] | NDArray[Any]) -> Mask:
        """Which of the rows at `slots` pass. All rows are computed: a function may compare them."""
        return self.mask(columns, len(columns))[np.asarray(slots, np.int64)]


class _NoColumn(KeyError):
    """A function asked for a key that no row has."""


class _Arrays(Mapping[str, NDArray[Any]]):
    """The columns that a filter function reads: made on access, read-only, until it returns.

    Afterwards the rows may change, so access through a mapping that the function kept is refused.
    The arrays that the function has read are copies and stay valid.
    """

    def __init__(self, columns: Columns, count: int) -> None:
        self._columns = columns
        self._count = count
        self._made: dict[str, NDArray[Any]] = {}
        self.is_closed = False

    def __getitem__(self, key: str) -> NDArray[Any]:
        if key not in self._made:
            self._refuse_closed()
            view = self._columns.column(key, self._count)
            if not predicates.present(view).any():
                raise _NoColumn(key)
            self._made[key] = predicates.values(view)
        return self._made[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys())

    def __len__(self) -> int:
        return len(self._keys())

    def _keys(self) -> list[str]:
        self._refuse_closed()
        return self._columns.keys(self._count)

    def _refuse_closed(self) -> None:
        if self.is_closed:
            raise wrong(
                "the columns of a search cannot be read after it",
                "where",
                got="columns that a filter function has kept",
                wanted="columns read before the function returns",
                remedy="keep the arrays themselves: they are copies",
            )


def _no_column(key: str, keys: list[str]) -> InvalidFilter:
    near = get_close_matches(str(key), keys, n=1)
    return wrong(
        "the filter function asked for a column that no row has",
        "where",
        got=short(key),
        wanted=f"one of {short(keys)}",
        remedy=f"did you mean {near[0]!r}?" if near else "columns.get(key) gives None for these",
        columns=keys,
        nearest=near[0] if near else None,
    )
