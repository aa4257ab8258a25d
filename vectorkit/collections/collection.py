"""The facade of every collection: validates all of a call, then makes one state change or none."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from dataclasses import replace
from operator import call
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np

from vectorkit.collections import files, frames
from vectorkit.collections.backends.base import Backend, ReadRows
from vectorkit.collections.copies import from_bytes, options_of, unpacked
from vectorkit.collections.execution.guard import Guard
from vectorkit.collections.execution.jax_context import plain_jax
from vectorkit.collections.files import Contents
from vectorkit.collections.filters.filter import Filter
from vectorkit.collections.memory import Memory
from vectorkit.collections.readable import Reader, Snapshot, not_found
from vectorkit.collections.results import WriteResult
from vectorkit.collections.storage.redo import Change, Head
from vectorkit.collections.storage.storage import PIECE_ROWS, Storage
from vectorkit.collections.storage.tables import StateView
from vectorkit.collections.validation import (
    check_dim,
    check_id,
    check_ids,
    check_metric,
    check_row,
    check_row_count,
    check_rows,
    mixed_ids,
)
from vectorkit.collections.values.conversion import known_name
from vectorkit.collections.values.payloads import check_payload, check_payloads
from vectorkit.errors import InvalidInput, VectorExists
from vectorkit.operations import (
    CollectionConfig,
    Delete,
    RowOperation,
    SetCodebook,
    UpdateVectors,
    Upsert,
)
from vectorkit.types import KEEP, Id, Keep, MaskArray, Metric, Payload

if TYPE_CHECKING:
    from vectorkit.tabular import DataFrame

Commit = Callable[["Collection", RowOperation | SetCodebook], WriteResult]
"""The commit path of a store that a collection writes through."""


class Collection(Reader):
    """Vectors by id, held on one JAX device, changed atomically.

    A write call happens whole or not at all: everything is validated first, and after a refused
    call version and digest are what they were. A reader in any thread sees the state before or
    after a write call, never between, and every read made after a write returned sees it.

    This also holds when an exception arrives in the middle of a call, whatever raises it and
    wherever it arrives: Ctrl-C or Jupyter's stop button, a signal handler, an alarm. Each call
    then has happened completely or not at all, as with a database whose connection breaks while
    it commits; `version` says which. The collection stays usable, snapshots stay as they are,
    and nothing needs to be repaired. A signal handler or finalizer that itself calls a collection
    in the middle of another call of its thread is refused by ReentrantCall, or sees one state.

    Writes are accepted into a host buffer and reach the device before the next search as one
    scatter in place, so a single `update_vector` costs microseconds. One lock covers "flush, take
    the state, dispatch"; waiting for results happens outside it.

    This is the abstract type; make a `CpuCollection`, or ask a `VectorStore` for one.

    >>> import vectorkit as vk
    >>> isinstance(vk.CpuCollection(dim=2), vk.Collection)
    True
    """

    kind: ClassVar[str]

    def __init__(self, *, dim: int, metric: str = "cosine", name: str = "") -> None:
        self.name = name
        self.config = self._make_config(check_dim(dim), check_metric(metric))
        self._dim = self.config.dim
        self._begin()

    def _begin(self) -> None:
        """Begin without rows, from the options alone."""
        with plain_jax():
            self._backend = self._make_backend()
            self._storage = Storage(self.config, self._backend)
        self._guard = Guard()
        self._commit: Commit | None = None
        self._incarnation = object()
        """Whatever the name: no other collection has the same."""

    def _make_config(self, dim: int, metric: Metric) -> CollectionConfig:
        """Everything that makes two empty collections of this kind the same."""
        return CollectionConfig(dim, metric, self.kind)

    @abstractmethod
    def _make_backend(self) -> Backend:
        """How this kind keeps its rows."""

    @property
    def version(self) -> int:
        """How many writes have changed this collection since it was made."""
        return self._head.version

    def __len__(self) -> int:
        return self._head.size

    def upsert(
        self,
        ids: Iterable[Id],
        vectors: Any,
        payloads: Iterable[Payload | None] | None = None,
    ) -> WriteResult:
        """Write all rows or none; a row that is there is replaced, vector and payload.

        `vectors` has shape (len(ids), dim) and any real dtype, stored as float32. A missing payload
        clears the old one; docs/values.md says how its values are stored. New rows take the slots
        behind the last, in their order. Raises InvalidId, DuplicateId, InvalidVector,
        InvalidPayload.

        >>> import vectorkit as vk
        >>> c = vk.CpuCollection(dim=2)
        >>> c.upsert(["a", "b"], [[1, 0], [0, 1]], payloads=[{"n": 1}, None])
        WriteResult(inserted=2, updated=0, deleted=0, version=1)
        """
        return self._write(self._upsert(ids, vectors, payloads))

    def insert(
        self,
        ids: Iterable[Id],
        vectors: Any,
        payloads: Iterable[Payload | None] | None = None,
    ) -> WriteResult:
        """Write all rows as new ones, or none: VectorExists where an id is there already.

        >>> import vectorkit as vk
        >>> c = vk.CpuCollection(dim=2)
        >>> c.insert([1], [[1, 0]]).inserted
        1
        """
        return self._guard.run(self._insert, self._upsert(ids, vectors, payloads))

    def update_vector(self, row_id: Id, vector: Any) -> WriteResult:
        """Replace the vector of one row: old or new, never neither, never half; payload kept.

        `vector` has shape (dim,). Costs microseconds: no delete, no insert, no dispatch. Raises
        VectorNotFound (also a KeyError) and InvalidVector.

        >>> import vectorkit as vk
        >>> c = vk.CpuCollection(dim=2)
        >>> _ = c.upsert(["a"], [[1, 0]], payloads=[{"n": 1}])
        >>> c.update_vector("a", [0, 1])
        WriteResult(inserted=0, updated=1, deleted=0, version=2)
        >>> c.get("a")
        Row(id='a', vector=array([0., 1.], dtype=float32), payload={'n': 1})
        """
        row = check_row(vector, self._dim)
        wanted = row_id if type(row_id) is str else check_id(row_id)
        if self._commit is not None:
            rows = row.copy()[None, :]
            return self._write(UpdateVectors(self.name, (wanted,), rows, KEEP))
        guard, storage = self._guard, self._storage  # What `guard.run` does, in half the time.
        if guard.lock._is_owned():
            guard.refuse_inside()
        try:
            with guard.lock:
                guard.is_open = guard.runs_filter = False
                if storage.head.redo is not None:
                    storage.finish()
                slot = storage.slot_of.get(wanted)
                if slot is None:
                    raise not_found(wanted, self)
                return storage.put(slot, row)
        except BaseException:
            guard.release()
            raise

    def update_vectors(self, ids: Iterable[Id], vectors: Any) -> WriteResult:
        """Replace the vectors of all these rows or of none; payloads kept.

        `vectors` has shape (len(ids), dim). Raises VectorNotFound where any id is absent.

        >>> import vectorkit as vk
        >>> c = vk.CpuCollection(dim=2)
        >>> _ = c.upsert(["a", "b"], [[1, 0], [0, 1]])
        >>> c.update_vectors(["b", "a"], [[2, 0], [0, 2]]).updated
        2
        """
        names = check_ids(ids)
        rows = check_rows(vectors, len(names), self.dim)
        return self._write(UpdateVectors(self.name, names, rows, KEEP))

    def update(
        self, row_id: Id, *, vector: Any = KEEP, payload: Payload | Keep | None = KEEP
    ) -> WriteResult:
        """Replace the vector, the payload or both of one row; KEEP keeps, None clears a payload.

        >>> import vectorkit as vk
        >>> c = vk.CpuCollection(dim=2)
        >>> _ = c.upsert(["a"], [[1, 0]], payloads=[{"n": 1}])
        >>> _ = c.update("a", payload=None)
        >>> c.get("a").payload is None
        True
        """
        if vector is KEEP and payload is KEEP:
            raise InvalidInput(
                "an update without a change",
                got="vector=KEEP, payload=KEEP",
                wanted="a vector, a payload or both",
                remedy="pass what should change",
            )
        name = check_id(row_id)
        rows = KEEP if vector is KEEP else check_row(vector, self.dim).copy()[None, :]
        payloads: tuple[Payload | None, ...] | Keep | None = KEEP
        if payload is not KEEP:
            payloads = None if (checked := check_payload(payload, name)) is None else (checked,)
        return self._write(UpdateVectors(self.name, (name,), rows, payloads))

    def delete(
        self, ids: Iterable[Id], *, missing: Literal["raise", "ignore"] = "raise"
    ) -> WriteResult:
        """Take out all these rows or none. The last rows move into their slots.

        `missing` says what an absent id means: "raise" VectorNotFound, or "ignore" it.

        >>> import vectorkit as vk
        >>> c = vk.CpuCollection(dim=2)
        >>> _ = c.upsert(["a", "b"], [[1, 0], [0, 1]])
        >>> c.delete(["a", "x"], missing="ignore").deleted
        1
        """
        wanted = known_name(missing, ("raise", "ignore"))
        if wanted is None:
            raise InvalidInput(
                "delete cannot treat absent ids like this",
                got=f"missing={missing!r}",
                wanted="'raise' or 'ignore'",
                remedy="pass one of these",
            )
        return self._guard.run(self._delete, check_ids(ids), wanted == "ignore")

    def snapshot(self) -> Snapshot:
        """The present rows, immutable, in constant time; later writes copy what they change once.

        >>> import vectorkit as vk
        >>> c = vk.CpuCollection(dim=2)
        >>> before = c.snapshot()
        >>> _ = c.upsert(["a"], [[1, 0]])
        >>> len(before), len(c)
        (0, 1)
        """
        return self._guard.run_on_device(self._snapshot_now)

    def _snapshot_now(self) -> Snapshot:
        return Snapshot(self.name, self.config, self._backend, self._storage.hold())

    def copy(self) -> Self:
        """Another collection with the same rows, slots, options, version and digest.

        A write to one is never seen in the other. The copy belongs to no store. `copy.copy` and
        `copy.deepcopy` make the same; pickle and cloudpickle too, in another process on the device
        of the same platform and number, or the first of that platform. Where JAX does not see the
        platform there, loading raises DeviceNotFound. Subclasses keep their attributes.

        >>> import vectorkit as vk
        >>> c = vk.CpuCollection(dim=2)
        >>> _ = c.upsert(["a"], [[1, 0]])
        >>> twin = c.copy()
        >>> _ = twin.delete(["a"])
        >>> len(twin), len(c)
        (0, 1)
        """
        return self._made(options_of(self), self._own_contents(self.snapshot()))

    __copy__ = copy

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self._made(deepcopy(options_of(self), memo), self._own_contents(self.snapshot()))

    def __reduce__(self) -> tuple[Any, ...]:
        return self._as_bytes(self.snapshot())

    def _as_bytes(self, snapshot: Snapshot) -> tuple[Any, ...]:
        contents = files.to_bytes(snapshot._contents())
        return from_bytes, (type(self), options_of(self), contents)

    @classmethod
    def _made(cls, options: dict[str, Any], contents: Contents) -> Self:
        """A collection of these attributes and rows; a subclass may take other arguments."""
        collection = cls.__new__(cls)
        vars(collection).update({name: unpacked(each) for name, each in options.items()})
        collection._begin()
        collection._adopt(contents)
        return collection

    def _own_contents(self, snapshot: Snapshot) -> Contents:
        contents = snapshot._contents()
        if self._backend.is_exact:
            return contents  # Which copies the rows when it adopts them.
        # JAX may take a NumPy array over as it is, and these lie in the memory of the first.
        own = {name: np.array(each) for name, each in contents.arrays.items()}
        return replace(contents, arrays=own)

    def reserve(self, count: int) -> None:
        """Make room for `count` rows at once, so that no write up to there has to grow.

        >>> import vectorkit as vk
        >>> c = vk.CpuCollection(dim=2)
        >>> c.reserve(1_000)
        >>> c.memory().device["rows"]
        8192
        """
        self._guard.run_on_device(self._storage.reserve, check_row_count(count), self._guard)

    def memory(self) -> Memory:
        """Every byte that this collection holds, on its devices and on the host.

        Walks all ids and payloads, so it costs a moment where there are many.
        """
        return self._guard.run_on_device(self._storage.memory)

    def compile_report(self) -> DataFrame:
        """One row a program compiled for vectors of this dimension since the process began.

        `cause` is "growth" where the same program had been compiled for a smaller capacity.
        """
        return frames.compile_report(self.dim)

    def digest(self) -> str:
        """A hash over ids, stored vector bits, payloads and configuration, not over slot order.

        Costs the rows changed since it was last asked for.
        """
        return self._guard.run_on_device(self._storage.digest)

    @classmethod
    def from_frame(
        cls,
        df: DataFrame,
        *,
        id: str | None = "id",
        vector: str | Sequence[str] = "vector",
        metric: str = "cosine",
        name: str = "",
        **options: Any,
    ) -> Self:
        """A new collection of a frame's rows, all of them or none.

        `id` names the column of ids, None takes the index. `vector` names a column of arrays or
        lists, or several columns of numbers. Every other column is a payload key; where a value is
        missing (None, NaN, NaT or pandas.NA) its row goes without the key, as in `upsert`.
        `options` are those of the kind, and `dim` for a frame without rows.
        `from_frame(c.to_frame())` holds what `c` holds, with None for an empty payload. Raises
        InvalidInput, InvalidId, DuplicateId, InvalidVector, InvalidPayload.

        >>> import pandas as pd, vectorkit as vk
        >>> df = pd.DataFrame({"word": ["a", "b"], "x": [1, 0], "y": [0, 1], "rank": [1, 2]})
        >>> c = vk.CpuCollection.from_frame(df, id="word", vector=["x", "y"])
        >>> c.get("b")
        Row(id='b', vector=array([0., 1.], dtype=float32), payload={'rank': 2})
        """
        from vectorkit.collections import from_frame

        ids, vectors, payloads = from_frame.rows_of(df, id, vector)
        options.setdefault("dim", len(vectors[0]) if len(vectors) else 0)
        collection = cls(metric=metric, name=name, **options)
        collection.insert(ids, vectors, payloads)
        return collection

    def _adopt(self, contents: Contents) -> None:
        """Begin with what was saved, before anybody else has this collection."""
        with plain_jax():
            self._storage.adopt(contents)

    def _plan(self, operation: RowOperation | SetCodebook) -> Change:
        """Everything of an operation that can be refused; the result makes it happen.

        For the holder of the lock, under `plain_jax`, from the plan to the change.
        """
        storage = self._storage
        storage.finish()
        if isinstance(operation, SetCodebook):
            return storage.plan_codebook(operation.codebook)
        if isinstance(operation, Upsert):
            self._refuse_mixed_kinds(operation.ids)
            return storage.plan_upsert(operation.ids, operation.vectors, operation.payloads)
        slots = self._present(operation.ids)
        if isinstance(operation, Delete):
            return storage.plan_delete(np.array(slots, np.int32))
        return storage.plan_update(slots, operation.vectors, operation.payloads)

    def _bind(self, commit: Commit, guard: Guard) -> None:
        """Make every write go through `commit`, under the guard of the store that it belongs to."""
        self._commit = commit
        self._guard = guard

    @property
    def _head(self) -> Head:
        """What the last write that has happened has left."""
        if self._guard.pending is None or self._guard.is_owned:
            return self._storage.head
        return self._guard.run(lambda: self._storage.head)

    def _upsert(
        self, ids: Iterable[Id], vectors: Any, payloads: Iterable[Payload | None] | None
    ) -> Upsert:
        names = check_ids(ids)
        checked = check_payloads(payloads, names)
        # Last, because a large array is not copied: a generator of payloads could still change it.
        is_written_at_once = self._commit is None and len(names) > PIECE_ROWS
        rows = check_rows(vectors, len(names), self.dim, is_shared=is_written_at_once)
        return Upsert(self.name, names, rows, checked)

    def _write(self, operation: RowOperation) -> WriteResult:
        return self._guard.run(self._write_now, operation)

    def _write_now(self, operation: RowOperation) -> WriteResult:
        return self._commit_now(operation) if operation.ids else WriteResult(version=self.version)

    def _commit_now(self, operation: RowOperation | SetCodebook) -> WriteResult:
        self._guard.refuse_in_filter()
        if self._commit is not None:
            return self._commit(self, operation)
        if type(operation) is UpdateVectors and len(operation.ids) == 1:
            return self._plan(operation).make()  # No device but to flush, which looks after it.
        with plain_jax():
            return self._plan(operation).make()

    def _insert(self, operation: Upsert) -> WriteResult:
        present = [row_id for row_id in operation.ids if self._storage.find(row_id) is not None]
        if present:
            raise VectorExists(
                f"{len(present)} of {len(operation.ids)} ids are there already",
                got=repr(present[0]),
                wanted="new ids only",
                remedy="use upsert to replace rows, or leave these ids out",
                ids=present,
            )
        return self._write_now(operation)

    def _delete(self, names: tuple[Id, ...], ignores_missing: bool) -> WriteResult:
        if ignores_missing:
            names = tuple([name for name in names if self._storage.find(name) is not None])
        return self._write_now(Delete(self.name, names))

    def _present(self, ids: tuple[Id, ...]) -> list[int]:
        try:
            return [self._storage.slot_of[row_id] for row_id in ids]
        except KeyError as error:
            raise not_found(error.args[0], self) from None

    def _refuse_mixed_kinds(self, ids: tuple[Id, ...]) -> None:
        if len(self) and type(self._storage.tables.ids[0]) is not type(ids[0]):
            known = type(self._storage.tables.ids[0]).__name__
            raise mixed_ids(f"{type(ids[0]).__name__} into a collection of {known}")

    def _filtered(self, wanted: Filter, view: StateView) -> MaskArray:
        run = self._guard.run_filter if wanted.key is None else call
        return run(wanted.mask, view.tables.columns, view.count)

    def _peek(self, look: Callable[[StateView], Any]) -> Any:
        return self._guard.run(lambda: look(self._storage.peek()))

    def _slot(self, row_id: Id, view: StateView) -> int | None:
        return self._storage.slot_of.get(row_id)

    def _row(self, row_id: Id) -> tuple[ReadRows, Payload | None]:
        return self._guard.run(self._newest_row, row_id)

    def _newest_row(self, row_id: Id) -> tuple[ReadRows, Payload | None]:
        """A row that waits in the buffer needs no device, and no other has to be there yet."""
        storage = self._storage
        slot = storage.find(row_id)
        if slot is None:
            raise not_found(row_id, self)
        payload: Payload | None = storage.tables.payloads[slot]
        if self._backend.keeps_rows:
            row = storage.buffered(slot)
            if row is not None:
                return lambda: row, payload
            state = storage.state
        else:
            state = storage.view().state
        return self._backend.read(state, np.full(1, slot, np.int32)), payload

    def _read(self, dispatch: Callable[[StateView], Any]) -> tuple[StateView, Any]:
        return self._guard.run(self._dispatched, dispatch)

    def _dispatched(self, dispatch: Callable[[StateView], Any]) -> tuple[StateView, Any]:
        view = self._storage.view()
        return view, dispatch(view)
