"""The read half of every collection, and the snapshot, which is nothing else."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vectorkit.collections import audit, files, frames
from vectorkit.collections.backends.base import Backend, ReadRows
from vectorkit.collections.execution.jax_context import plain_jax
from vectorkit.collections.filters.filter import Filter, parse
from vectorkit.collections.results import BatchMatches, Matches, Row, RowBatch
from vectorkit.collections.search import Found, find_best
from vectorkit.collections.storage.digest import combine, parameter_bytes, row_hashes, total_of
from vectorkit.collections.storage.tables import StateView, Tables
from vectorkit.collections.validation import (
    check_id,
    check_k,
    check_row,
    check_row_count,
    check_rows,
)
from vectorkit.display import facts_table, rows_table
from vectorkit.errors import InvalidId, InvalidOption, VectorNotFound
from vectorkit.operations import CollectionConfig
from vectorkit.types import Float32Array, Id, MaskArray, Metric, Payload, Where

if TYPE_CHECKING:
    from vectorkit.tabular import DataFrame


class Reader(ABC):
    """Rows that can be read: every answer comes from one state, never from between two."""

    name: str
    config: CollectionConfig
    _backend: Backend

    @property
    def dim(self) -> int:
        """The length of every vector."""
        return self.config.dim

    @property
    def metric(self) -> Metric:
        """How scores are made: "cosine", "dot" or "euclidean"."""
        return self.config.metric

    @property
    @abstractmethod
    def version(self) -> int:
        """How many writes have changed this collection since it was made."""

    @abstractmethod
    def snapshot(self) -> Snapshot:
        """The present rows, immutable, in constant time."""

    @abstractmethod
    def digest(self) -> str:
        """A hash over ids, stored vector bits, payloads and configuration, not over slot order."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def _filtered(self, wanted: Filter, view: StateView) -> MaskArray:
        """The rows that pass; where it calls a function, that cannot write to these rows."""

    @abstractmethod
    def _peek(self, look: Callable[[StateView], Any]) -> Any:
        """What `look` finds in the present tables; no write is brought to the device for it."""

    @abstractmethod
    def _slot(self, row_id: Id, view: StateView) -> int | None:
        """The slot of a row in this view."""

    @abstractmethod
    def _read(self, dispatch: Callable[[StateView], Any]) -> tuple[StateView, Any]:
        """Run `dispatch` on the present state; its tables stay as long as the view is there."""

    @abstractmethod
    def _row(self, row_id: Id) -> tuple[ReadRows, Payload | None]:
        """Begin to read a row, and return its payload. Raises VectorNotFound."""

    def __contains__(self, row_id: object) -> bool:
        """Whether a row has this id. An object that cannot be an id is in no collection."""
        try:
            wanted = check_id(row_id)
        except InvalidId:
            return False
        return bool(self._peek(lambda view: self._slot(wanted, view) is not None))

    def ids(self) -> list[Id]:
        """All ids in slot order, as a new list."""
        return list(self._peek(lambda view: view.ids))

    def get(self, row_id: Id) -> Row:
        """The row as it was put in, bit for bit; its vector (dim,) and payload are copies.

        A collection that keeps codes only decodes the vector, and the row says so (`is_decoded`).
        Raises VectorNotFound where no row has this id.

        >>> import vectorkit as vk
        >>> c = vk.CpuCollection(dim=2, metric="dot")
        >>> _ = c.upsert(["a"], [[1.0, 2.0]], payloads=[{"year": 1990}])
        >>> c.get("a")
        Row(id='a', vector=array([1., 2.], dtype=float32), payload={'year': 1990})
        """
        wanted = check_id(row_id)
        with plain_jax():
            row, payload = self._row(wanted)
            vector = np.array(row()).reshape(self.dim)
        return Row(wanted, vector, deepcopy(payload), not self._backend.keeps_rows)

    def payload(self, row_id: Id) -> Payload | None:
        """The payload of a row, as a copy, or None; no vector is read. Raises VectorNotFound.

        >>> import vectorkit as vk
        >>> c = vk.CpuCollection(dim=2)
        >>> _ = c.upsert(["a"], [[1.0, 2.0]], payloads=[{"year": 1990}])
        >>> c.payload("a")
        {'year': 1990}
        """
        wanted = check_id(row_id)

        def look(view: StateView) -> Payload | None:
            slot = self._slot(wanted, view)
            if slot is None:
                raise not_found(wanted, self)
            payload: Payload | None = view.tables.payloads[slot]
            return deepcopy(payload)

        found: Payload | None = self._peek(look)
        return found

    def search(self, query: Any, k: int = 10, *, where: Where | None = None) -> Matches:
        """Find the k rows that are truly the best: exact, ties by lowest slot.

        A `QuantizedCollection` finds the best of its candidates, with the same scores.

        `query` has shape (dim,). Fewer rows come where the collection has fewer than k; scores are
        float64 scores rounded to float32, larger is better, euclidean scores are −‖x − q‖, and a
        zero vector under cosine scores 0. `where` filters first: the k best are found among the
        rows whose payloads pass (see `vectorkit.collections.filters.filter`); it may also be a
        function of the payload columns. The function runs under the lock of the collection and its
        store: it may read, a write to them raises WriteInFilter, and it must not wait for a thread
        that writes to them. Raises InvalidVector, InvalidK, InvalidFilter.

        >>> import vectorkit as vk
        >>> c = vk.CpuCollection(dim=2, metric="euclidean")
        >>> _ = c.upsert(["origin", "east"], [[0, 0], [3, 4]])
        >>> list(c.search([0, 0], k=5))
        [('origin', 0.0), ('east', -5.0)]
        >>> _ = c.update("east", payload={"year": 1990})
        >>> c.search([0, 0], where={"year": {"gte": 1980}}).ids
        ('east',)
        """
        row = check_row(query, self.dim)
        wanted = None if where is None else parse(where)
        return self._search(row[None, :], check_k(k), wanted).matches[0]

    def search_many(self, queries: Any, k: int = 10, *, where: Where | None = None) -> BatchMatches:
        """`search` for each of the queries (batch, dim), all in one state, with equal bits.

        >>> import vectorkit as vk
        >>> c = vk.CpuCollection(dim=2, metric="dot")
        >>> _ = c.upsert([1, 2], [[1, 0], [0, 1]])
        >>> c.search_many([[2, 0], [0, 2]], k=1).ids.tolist()
        [[1], [2]]
        """
        rows = check_rows(queries, None, self.dim)
        wanted = None if where is None else parse(where)
        return self._search(rows, check_k(k), wanted).matches

    def batches(self, size: int = 4_096) -> Iterator[RowBatch]:
        """Every row of this moment exactly once, in slot order, whatever is written meanwhile.

        Yields (ids, vectors, payloads) of up to `size` rows, all of them copies.

        >>> import vectorkit as vk
        >>> c = vk.CpuCollection(dim=1)
        >>> _ = c.upsert(["a", "b", "c"], [[1], [2], [3]])
        >>> [(batch.ids, batch.vectors.tolist()) for batch in c.batches(size=2)]
        [(['a', 'b'], [[1.0], [2.0]]), (['c'], [[3.0]])]
        """
        if check_row_count(size) == 0:
            raise InvalidOption(
                "a batch must hold rows", got="size=0", wanted="1 or more", remedy="pass a size"
            )
        return self.snapshot()._batches(int(size))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the present rows to one file, or leave what is there; on the disk on return.

        The rows are those of a snapshot, so nobody waits for the disk. `vectorkit.load` reads it.
        Raises SaveFailed where the disk is full, and OSError where the path is no place for a file.
        """
        files.write(path, self.snapshot()._contents())

    def audit(self, sample: int | None = None, *, seed: int = 0) -> DataFrame:
        """One row a row: does a search for its own vector find it, and if not first, why?

        `sample` rows are drawn, None takes all. See `frames.AUDIT` for the columns; ties count as
        found, and under dot a longer row may rightly come first.

        >>> import vectorkit as vk
        >>> c = vk.CpuCollection(dim=2, metric="dot")
        >>> _ = c.upsert(["short", "long"], [[1, 0], [9, 0]])
        >>> c.audit()[["id", "is_found", "rank", "reason"]].to_numpy().tolist()
        [['short', True, 2, 'dot: a longer row wins'], ['long', True, 1, '']]
        """
        return audit.audit(self.snapshot(), sample, seed)

    def to_frame(self) -> DataFrame:
        """One row of the frame a row of the collection: id, vector, then a column a payload key."""
        now = self.snapshot()
        return frames.rows_frame(now.ids(), now.vectors(), now.payloads())

    def _facts(self) -> dict[str, object]:
        return {
            "kind": type(self).__name__,
            "name": self.name or "—",
            "rows": f"{len(self):,}",
            "dim": self.dim,
            "metric": self.metric,
            "version": self.version,
        }

    def __repr__(self) -> str:
        name = f"{self.name!r}, " if self.name else ""
        line = "{kind}({}{rows} × {dim}, {metric}, version {version})"
        return line.format(name, **self._facts())

    def _repr_html_(self) -> str:
        return facts_table(self._facts())

    def _search(self, queries: Float32Array, k: int, wanted: Filter | None) -> Found:
        select = None if wanted is None else partial(self._filtered, wanted)
        with plain_jax():
            return find_best(self, queries, k, self.metric, select)


def readers_table(readers: Iterable[Reader]) -> str:
    """Return an HTML table with one row per collection or snapshot."""
    names = ("name", "kind", "rows", "dim", "metric", "version")
    facts = [each._facts() for each in readers]
    return rows_table(names, [[each[name] for name in names] for each in facts])


class Snapshot(Reader):
    """A collection as it was: immutable, with the same read methods, whatever is written later.

    `Collection.snapshot()` makes it in constant time. It holds the memory of its rows.
    A write to the collection copies the arrays that it changes, once. `CpuCollection` and
    `GpuCollection` keep their rows in up to 16 chunks of 8,192 rows or more, and copy only the
    chunks that a write changes; the other kinds keep all rows in one array.

    >>> import vectorkit as vk
    >>> c = vk.CpuCollection(dim=2)
    >>> _ = c.upsert(["a"], [[1, 0]])
    >>> before = c.snapshot()
    >>> _ = c.delete(["a"])
    >>> before.search([1, 0]).ids, len(c)
    (('a',), 0)
    """

    def __init__(
        self, name: str, config: CollectionConfig, backend: Backend, view: StateView
    ) -> None:
        self.name = name
        self.config = config
        self._backend = backend
        self._view = view
        self._slot_of: dict[Id, int] | None = None
        self._digest: str | None = None

    @property
    def version(self) -> int:
        """The collection's version when the snapshot was taken."""
        return self._view.version

    def snapshot(self) -> Snapshot:
        """This snapshot itself."""
        return self

    def digest(self) -> str:
        """The collection's digest when the snapshot was taken, recomputed from its rows."""
        if self._digest is None:
            view, rows = self._view, self._rows()
            total = total_of(row_hashes(view.ids, rows, view.payloads))
            learned = parameter_bytes(self._backend.parameters(view.state))
            self._digest = combine(self.config, learned, total, view.count)
        return self._digest

    def parameters(self) -> dict[str, NDArray[Any]]:
        """What the collection's codec has learned, by name, as copies; nothing for most kinds."""
        learned = self._backend.parameters(self._view.state)
        return {name: array.copy() for name, array in learned.items()}

    def vectors(self) -> Float32Array:
        """All vectors in slot order, as a copy (count, dim)."""
        return np.require(self._rows(), requirements=["OWNDATA", "WRITEABLE"])

    def payloads(self) -> list[Payload | None]:
        """All payloads in slot order, as copies."""
        return [deepcopy(payload) for payload in self._view.payloads]

    def _batches(self, size: int) -> Iterator[RowBatch]:
        view = self._view
        for start in range(0, view.count, size):
            end = min(start + size, view.count)
            ids, payloads = view.tables.ids[start:end], view.tables.payloads[start:end]
            with plain_jax():
                rows = np.array(self._backend.rows(view.state, end, start))
            yield RowBatch(ids, rows, deepcopy(payloads))

    def _contents(self) -> files.Contents:
        view = self._view
        with plain_jax():
            arrays = self._backend.content(view.state, view.count)
        return files.Contents(self.name, self.config, view.version, view.ids, view.payloads, arrays)

    def __len__(self) -> int:
        return self._view.count

    def _slot(self, row_id: Id, view: StateView) -> int | None:
        if self._slot_of is None:
            self._slot_of = {name: slot for slot, name in enumerate(view.ids)}
        return self._slot_of.get(row_id)

    def _filtered(self, wanted: Filter, view: StateView) -> MaskArray:
        return wanted.mask(view.tables.columns, view.count)

    def _peek(self, look: Callable[[StateView], Any]) -> Any:
        return look(self._view)

    def _row(self, row_id: Id) -> tuple[ReadRows, Payload | None]:
        view = self._view
        slot = self._slot(row_id, view)
        if slot is None:
            raise not_found(row_id, self)
        row = self._backend.read(view.state, np.full(1, slot, np.int32))
        return row, view.tables.payloads[slot]

    def _read(self, dispatch: Callable[[StateView], Any]) -> tuple[StateView, Any]:
        return self._view, dispatch(self._view)

    def __copy__(self) -> Snapshot:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Snapshot:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _snapshot_from_bytes, (self._backend, files.to_bytes(self._contents()))

    def _rows(self) -> Float32Array:
        with plain_jax():
            return self._backend.rows(self._view.state, self._view.count)


def _snapshot_from_bytes(backend: Backend, data: bytes) -> Snapshot:
    contents, tables = files.from_bytes(data), Tables()
    count = len(contents.ids)
    with plain_jax():
        learned, blocks = backend.adopt(contents.arrays, count)
    tables.append(0, contents.ids, contents.payloads)
    view = StateView(backend.state(learned, blocks), tables, count, contents.version)
    return Snapshot(contents.name, contents.config, backend, view)


def not_found(row_id: Id, reader: Reader) -> VectorNotFound:
    """The error for an id that no row has."""
    return VectorNotFound(
        f"{reader.name or 'the collection'} has no row of this id",
        got=repr(row_id),
        wanted=f"one of its {len(reader):,} ids",
        remedy="write it first with upsert or insert",
        id=row_id,
    )
