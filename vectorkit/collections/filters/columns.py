"""Payloads by column: what filters read, kept beside the payloads for the keys they ask for.

A column gives every row a code. The first six codes are kinds: missing, None, False, True, and the
two sorts of numbers, whose 64 bits lie in an array of their own. Every other code stands for one
text, or for one list or dict by its canonical JSON. So a test is made once for each distinct text
and then looked up by code, numbers stay exact, and counts of codes tell a uniform column.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from vectorkit.collections.backends.state import padded_size
from vectorkit.collections.execution.guard import Guard
from vectorkit.collections.filters.dictionary import (
    FALSE,
    FIXED,
    FLOAT,
    INT,
    MISSING,
    NONE,
    Dictionary,
    Int64Array,
    canonical_json,
)
from vectorkit.types import Float64Array, Int32Array, Payload

COLUMNS_MAX: Final = 64
"""How many columns are kept; the one that was asked for longest ago goes first."""

_TEXT: Final = FIXED
_JSON: Final = FIXED + 1
_FEW: Final = 32
_UNUSED_MIN: Final = 64
_UNUSED_SHARE: Final = 16


class _AbsentKey:
    """The value of a key that a payload does not have."""


_ABSENT: Final = _AbsentKey()


class _Kinds(dict[type, int]):
    """The kind of a value by its type; a subclass has the kind of its base."""

    def __missing__(self, kind: type) -> int:
        bases = (base for base in (bool, int, float, str) if issubclass(kind, base))
        return self.setdefault(kind, self[next(bases, list)])


_KINDS: Final = _Kinds(
    {
        _AbsentKey: MISSING,
        type(None): NONE,
        bool: FALSE,
        int: INT,
        float: FLOAT,
        str: _TEXT,
        list: _JSON,
        dict: _JSON,
    }
)


@dataclass(frozen=True, slots=True, eq=False)
class ColumnView:
    """The rows of one column that a filter reads. `ints` and `floats` are the same 64 bits.

    `uses` counts the fixed codes over at least these rows, `total` is the number of rows counted.
    """

    codes: Int32Array
    ints: Int64Array
    floats: Float64Array
    dictionary: Dictionary
    uses: tuple[int, ...]
    total: int

    def at(self, slots: Any) -> ColumnView:
        """The same column at some of its rows only."""
        codes, ints, floats = self.codes[slots], self.ints, self.floats
        if len(ints):
            ints = ints[slots]
            floats = ints.view(np.float64)
        return ColumnView(codes, ints, floats, self.dictionary, self.uses, self.total)


class Columns:
    """The columns of a list of payloads, each made when a filter first asks for its key.

    The list stays the truth and is not copied. Rows appended to it need no call: they are read
    when a filter next asks. After entries were overwritten call `reread` with their slots, after
    the list was cut call `truncate`. Where nobody filters all of this costs nothing.

    Reading is safe from any thread while another one appends; overwriting is for a list that
    nobody else reads, so take a `copy` first where a snapshot holds it.

    >>> payloads = [{"year": 1990}, None]
    >>> columns = Columns(payloads)
    >>> columns.column("year", count=2).uses
    (1, 0, 0, 0, 1, 0)
    >>> payloads[1] = {"year": 2000}
    >>> columns.reread([1])
    >>> columns.column("year", count=2).ints.tolist()
    [1990, 2000]
    """

    def __init__(self, payloads: list[Payload | None]) -> None:
        self._payloads = payloads
        self._columns: dict[str, _Column] = {}
        self._guard = Guard()

    def __len__(self) -> int:
        return len(self._payloads)

    @property
    def nbytes(self) -> int:
        """The memory of the columns made so far, without the texts they share with payloads."""
        return self._guard.run(lambda: sum(column.nbytes for column in self._columns.values()))

    def keys(self, count: int) -> list[str]:
        """All keys of the first `count` payloads, sorted. It looks at every one of them."""
        return sorted(set().union(*filter(None, self._payloads[:count])))

    def column(self, key: str, count: int) -> ColumnView:
        """The first `count` rows of a key, made or brought up to date as needed."""
        return self._guard.run(self._column, key, count)

    def reread(self, slots: Sequence[int]) -> None:
        """Take over the payloads that these slots hold now."""
        if self._columns:
            self._guard.run(self._change, lambda column: column.rewrite(slots, self._payloads))

    def truncate(self, count: int) -> None:
        """Forget the rows from `count` on."""
        if self._columns:
            self._guard.run(self._change, lambda column: column.truncate(count))

    def copy(self, payloads: list[Payload | None]) -> Columns:
        """The columns of an equal list; what both have is copied when one of them changes it."""
        twin = Columns(payloads)
        twin._columns = self._guard.run(self._shared)
        return twin

    def _column(self, key: str, count: int) -> ColumnView:
        column = self._columns.get(key) or _Column(key)
        self._columns.pop(key, None)
        if column.count < count:
            column = column.owned()
            column.append(self._payloads[column.count : count])
        self._columns[key] = column
        if len(self._columns) > COLUMNS_MAX:
            del self._columns[next(iter(self._columns))]
        return column.view(count)

    def _change(self, change: Callable[[_Column], None]) -> None:
        """Change all columns, in their order.

        A column is taken out while it changes: where an exception breaks the change off, it is
        rebuilt when a filter next asks, and no reader ever sees a half-built one.
        """
        for key in list(self._columns):
            column = self._columns.pop(key).owned()
            change(column)
            self._columns[key] = column

    def _shared(self) -> dict[str, _Column]:
        for column in self._columns.values():
            column.is_shared = True
        return self._columns.copy()


class _Column:
    """One key of all payloads up to `count`. Only its owner, which holds the lock, changes it."""

    __slots__ = ("codes", "count", "dictionary", "floats", "ints", "is_shared", "key")

    def __init__(self, key: str) -> None:
        self.key = key
        self.count = 0
        self.codes: Int32Array = np.zeros(0, np.int32)
        self.ints: Int64Array = np.zeros(0, np.int64)
        self.floats: Float64Array = self.ints.view(np.float64)
        self.dictionary = Dictionary()
        self.is_shared = False

    @property
    def nbytes(self) -> int:
        entries = self.dictionary.entries
        tables = sys.getsizeof(self.dictionary) + sys.getsizeof(entries)
        documents = sum(sys.getsizeof(entry) for entry in entries if type(entry) is bytes)
        return self.codes.nbytes + self.ints.nbytes + 8 * len(entries) + tables + documents

    def view(self, count: int) -> ColumnView:
        uses = tuple(self.dictionary.uses[:FIXED])
        ints, floats = self.ints[:count], self.floats[:count]
        return ColumnView(self.codes[:count], ints, floats, self.dictionary, uses, self.count)

    def owned(self) -> _Column:
        if not self.is_shared:
            return self
        twin = _Column(self.key)
        twin.count = self.count
        twin.codes, twin.ints = self.codes.copy(), self.ints.copy()
        twin.floats = twin.ints.view(np.float64)
        twin.dictionary = self.dictionary.clone()
        return twin

    def append(self, payloads: Sequence[Payload | None]) -> None:
        start, stop = self.count, self.count + len(payloads)
        self._reserve(stop)
        if len(payloads) <= _FEW:
            self.codes[start:stop] = MISSING
            self.dictionary.uses[MISSING] += len(payloads)
            self.count = stop
            for slot, payload in enumerate(payloads, start):
                self._put(slot, payload)
        else:
            self.dictionary.tally(self._write(slice(start, stop), payloads), 1)
            self.count = stop
        self._compact()

    def rewrite(self, slots: Sequence[int], payloads: Sequence[Payload | None]) -> None:
        if len(slots) <= _FEW:
            for slot in slots:
                if slot < self.count:
                    self._put(slot, payloads[slot])
        else:
            within = np.unique(np.asarray(slots, np.int64))
            within = within[within < self.count]
            self.dictionary.tally(self.codes[within], -1)
            self.dictionary.tally(
                self._write(within, [payloads[slot] for slot in within.tolist()]), 1
            )
        self._compact()

    def truncate(self, count: int) -> None:
        if self.count <= count:
            return
        if self.count - count <= _FEW:
            for slot in range(count, self.count):
                self._put(slot, None)
            self.dictionary.uses[MISSING] -= self.count - count
        else:
            self.dictionary.tally(self.codes[count : self.count], -1)
        self.count = count
        self._compact()

    def _put(self, slot: int, payload: Payload | None) -> None:
        value: Any = _ABSENT if payload is None else payload.get(self.key, _ABSENT)
        code = _KINDS[type(value)]
        if code == _TEXT:
            code = self.dictionary[value]
        elif code == INT:
            self._numbers()
            self.ints[slot] = value
        elif code == FLOAT:
            self._numbers()
            self.floats[slot] = value
        elif code == FALSE:
            code += value
        elif code == _JSON:
            code = self.dictionary[canonical_json(value)]
        old = self.codes.item(slot)
        if code != old:
            self.codes[slot] = code
            self.dictionary.exchange(old, code)

    def _write(self, where: slice | Int64Array, payloads: Sequence[Payload | None]) -> Int32Array:
        """Write many rows at once, kind by kind; their codes are returned to be counted."""
        key = self.key
        values: list[Any] = [_ABSENT if p is None else p.get(key, _ABSENT) for p in payloads]
        codes = np.fromiter(map(_KINDS.__getitem__, map(type, values)), np.int32, len(values))
        kinds = np.bincount(codes, minlength=_JSON + 1)
        if kinds[INT] or kinds[FLOAT]:
            self._numbers()
            numbers = np.zeros(len(values), np.int64)
            for kind, array_of in ((INT, numbers), (FLOAT, numbers.view(np.float64))):
                if kinds[kind] == len(values):
                    array_of[:] = values
                elif kinds[kind]:
                    chosen = codes == kind
                    array_of[chosen] = list(compress(values, chosen.tolist()))
            self.ints[where] = numbers
        is_text, is_json, is_bool = codes == _TEXT, codes == _JSON, codes == FALSE
        code_of = self.dictionary.__getitem__
        if kinds[_TEXT]:
            codes[is_text] = list(map(code_of, compress(values, is_text.tolist())))
        if kinds[_JSON]:
            documents = map(canonical_json, compress(values, is_json.tolist()))
            codes[is_json] = list(map(code_of, documents))
        if kinds[FALSE]:
            codes[is_bool] += np.fromiter(compress(values, is_bool.tolist()), np.int32)
        self.codes[where] = codes
        return codes

    def _reserve(self, count: int) -> None:
        """Room for rows. Views keep the arrays that they have."""
        if count > len(self.codes):
            self.codes = _longer(self.codes, padded_size(count))
            if len(self.ints):
                self.ints = _longer(self.ints, len(self.codes))
                self.floats = self.ints.view(np.float64)

    def _numbers(self) -> None:
        if not len(self.ints):
            self.ints = np.zeros(len(self.codes), np.int64)
            self.floats = self.ints.view(np.float64)

    def _compact(self) -> None:
        """Assign codes again where unused entries dominate, seldom enough to cost writes little."""
        old = self.dictionary
        used = len(old) - old.unused
        if old.unused <= max(_UNUSED_MIN, used, self.count // _UNUSED_SHARE):
            return
        fresh, code_of = old.without_unused()
        codes = np.zeros_like(self.codes)
        codes[: self.count] = code_of[self.codes[: self.count]]
        self.codes, self.dictionary = codes, fresh


def _longer(short: NDArray[Any], length: int) -> NDArray[Any]:
    longer = np.zeros(length, short.dtype)
    longer[: len(short)] = short
    return longer
