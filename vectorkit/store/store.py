"""VectorStore: named collections behind one commit path that yields an ordered operation stream."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from copy import copy as copied
from typing import Any, Literal

from vectorkit.collections import (
    BatchMatches,
    Collection,
    Matches,
    Row,
    WriteResult,
)
from vectorkit.collections.copies import from_bytes, options_of
from vectorkit.collections.execution.guard import Guard
from vectorkit.collections.execution.jax_context import plain_jax
from vectorkit.collections.factory import config_of, make_collection
from vectorkit.collections.readable import readers_table
from vectorkit.collections.storage.redo import Change
from vectorkit.collections.validation import check_name
from vectorkit.errors import (
    CollectionExists,
    CollectionNotFound,
    InvalidOption,
    WriteInSubscriber,
    WriteRefused,
)
from vectorkit.operations import (
    CreateCollection,
    Delete,
    DropCollection,
    EpochStart,
    Operation,
    RenameCollection,
    RowOperation,
    SetCodebook,
    UpdateVectors,
    Upsert,
    encode,
)
from vectorkit.store.cache import QueryCache, check_cache
from vectorkit.store.commit import Commit, Journal, Subscriber
from vectorkit.store.snapshot import StoreSnapshot, store_digest
from vectorkit.types import KEEP, Id, Keep, Payload, Where


class VectorStore:
    """Named collections. Every write, by whatever path, is one operation of one ordered stream.

    A write is validated whole, applied, recorded by the journal where one is attached, and then
    shown to the subscribers, which must not change what an operation holds. A collection taken
    from the store writes through the same path. With a `cache`, `search` by name keeps its answers.

    >>> store = VectorStore()
    >>> words = store.create_collection("words", dim=2, metric="cosine")
    >>> seen = []
    >>> _ = store.subscribe(lambda operation: seen.append(type(operation).__name__))
    >>> _ = store.upsert("words", ["king"], [[1, 0]])
    >>> _ = words.update_vector("king", [0, 1])
    >>> seen
    ['Upsert', 'UpdateVectors']
    """

    def __init__(self, *, cache: QueryCache | None = None) -> None:
        self._cache = None if cache is None else check_cache(cache)
        self._collections: dict[str, Collection] = {}
        self._subscribers: list[Subscriber] = []
        self._guard = Guard()
        self._journal: Journal | None = None
        self._applied: object = None
        """The token of the last operation that came with one."""

    # Collections

    def create_collection(
        self,
        name: str,
        *,
        dim: int,
        metric: str = "cosine",
        kind: str = "cpu",
        codec: str | None = None,
        rescore: int | None = None,
        rows: str | None = None,
    ) -> Collection:
        """Make an empty collection and return it.

        `kind` is "cpu", "gpu", "quantized" or "sharded"; `codec`, `rescore` and `rows` are those of
        `QuantizedCollection`. Raises CollectionExists, InvalidDimension, UnknownMetric,
        DeviceNotFound, and InvalidOption for the kind and its options.

        >>> store = VectorStore()
        >>> store.create_collection("words", dim=8, kind="quantized", codec="binary", rescore=8)
        QuantizedCollection('words', 0 × 8, cosine, version 0)
        """
        self._admit()
        config = config_of(kind, dim, metric, codec=codec, rescore=rescore, rows=rows)
        operation = CreateCollection(check_name(name), config)
        return self._guard.run(self._create, operation)

    def drop_collection(self, name: str) -> None:
        """Take a collection out, with all its rows. Raises CollectionNotFound."""
        self._admit()
        self._commit(DropCollection(self[name].name))

    def rename_collection(self, name: str, new_name: str) -> None:
        """Give a collection another name.

        Raises CollectionNotFound, CollectionExists, and InvalidOption for the name.
        """
        self._admit()
        self._commit(RenameCollection(self[name].name, check_name(new_name)))

    def __getitem__(self, name: str) -> Collection:
        """The collection of this name; it writes through the store's commit path."""
        found = self._present.get(name)
        if found is None:
            raise self._not_found(name)
        return found

    def __contains__(self, name: object) -> bool:
        return name in self._present

    def __iter__(self) -> Iterator[str]:
        """The names of the collections, in the order of their creation."""
        return iter(list(self._present))

    def __len__(self) -> int:
        """How many collections there are."""
        return len(self._present)

    # Rows: the methods of the collection, by its name

    def upsert(
        self,
        name: str,
        ids: Iterable[Id],
        vectors: Any,
        payloads: Iterable[Payload | None] | None = None,
    ) -> WriteResult:
        """Write all rows or none; see `Collection.upsert`."""
        return self._writable(name).upsert(ids, vectors, payloads)

    def insert(
        self,
        name: str,
        ids: Iterable[Id],
        vectors: Any,
        payloads: Iterable[Payload | None] | None = None,
    ) -> WriteResult:
        """Write all rows as new ones, or none; see `Collection.insert`."""
        return self._writable(name).insert(ids, vectors, payloads)

    def update_vector(self, name: str, row_id: Id, vector: Any) -> WriteResult:
        """Replace the vector of one row atomically; see `Collection.update_vector`."""
        return self._writable(name).update_vector(row_id, vector)

    def update_vectors(self, name: str, ids: Iterable[Id], vectors: Any) -> WriteResult:
        """Replace the vectors of all these rows or of none; see `Collection.update_vectors`."""
        return self._writable(name).update_vectors(ids, vectors)

    def update(
        self, name: str, row_id: Id, *, vector: Any = KEEP, payload: Payload | Keep | None = KEEP
    ) -> WriteResult:
        """Replace the vector, the payload or both of one row; see `Collection.update`."""
        return self._writable(name).update(row_id, vector=vector, payload=payload)

    def delete(
        self, name: str, ids: Iterable[Id], *, missing: Literal["raise", "ignore"] = "raise"
    ) -> WriteResult:
        """Take out all these rows or none; see `Collection.delete`."""
        return self._writable(name).delete(ids, missing=missing)

    def get(self, name: str, row_id: Id) -> Row:
        """One row as it is stored; see `Collection.get`."""
        return self[name].get(row_id)

    def search(self, name: str, query: Any, k: int = 10, *, where: Where | None = None) -> Matches:
        """The k best rows for one query, from the cache if there; see `Collection.search`."""
        if self._cache is None:
            return self[name].search(query, k, where=where)
        return self._cache.search(self[name], query, k, where=where)

    def search_many(
        self, name: str, queries: Any, k: int = 10, *, where: Where | None = None
    ) -> BatchMatches:
        """The k best rows for each query; see `Collection.search_many`."""
        return self[name].search_many(queries, k, where=where)

    # The whole store

    def subscribe(self, on_operation: Subscriber) -> Callable[[], None]:
        """Call `on_operation(operation)` after each write, in order; call the result to end it.

        A subscriber that raises undoes nothing: the others are called and a RuntimeWarning names
        the error. Writing to the store inside a subscriber raises WriteInSubscriber.
        """
        if not callable(on_operation):
            raise InvalidOption(
                "a subscriber must be callable",
                got=repr(on_operation),
                wanted="a function of one operation",
                remedy="pass the function itself",
            )
        self._guard.run(self._subscribers.append, on_operation)
        return lambda: self._unsubscribe(on_operation)

    def snapshot(self) -> StoreSnapshot:
        """All collections as they are now, in constant time a collection."""
        return self._guard.run_on_device(
            lambda: StoreSnapshot([each._snapshot_now() for each in self._collections.values()])
        )

    def digest(self) -> str:
        """A hash over all collections by name: equal stores have equal digests."""
        return self._guard.run_on_device(
            lambda: store_digest(
                (each.name, each._storage.digest()) for each in self._collections.values()
            )
        )

    def copy(self) -> VectorStore:
        """Another store with copies of all collections as they are at one moment.

        A write to one is never seen in the other. Its cache is empty, with the same options;
        subscribers and a journal are not copied, so that the copy of a replica's store takes
        writes. `copy.copy`, `copy.deepcopy` and pickles make the same.

        >>> store = VectorStore()
        >>> _ = store.create_collection("words", dim=2)
        >>> twin = store.copy()
        >>> twin.drop_collection("words")
        >>> list(twin), list(store)
        ([], ['words'])
        """
        return self._guard.run_on_device(self._copy)

    __copy__ = copy

    def __deepcopy__(self, memo: dict[int, Any]) -> VectorStore:
        return self.copy()

    def __reduce__(self) -> tuple[Any, ...]:
        taken = self._guard.run_on_device(
            lambda: [(each, each._snapshot_now()) for each in self._collections.values()]
        )
        parts = [each._as_bytes(snapshot)[1] for each, snapshot in taken]
        return _from_parts, (self._cache, parts)

    def attach(self, journal: Journal) -> Applier:
        """Put a journal into the commit path; only its holder can write around it, by the result.

        A store takes one journal, for life.
        """
        self._guard.run(self._attach, journal)
        return Applier(self)

    def __repr__(self) -> str:
        inside = ", ".join(f"{name!r}: {len(each):,}" for name, each in self._present.items())
        return f"VectorStore({{{inside}}})"

    def _repr_html_(self) -> str:
        return readers_table(self._present.values())

    # The commit path

    def _commit(self, operation: Operation, *, is_from_client: bool = True) -> WriteResult:
        return self._guard.run(self._commit_now, operation, is_from_client)

    def _commit_now(
        self, operation: Operation, is_from_client: bool, token: object = None
    ) -> WriteResult:
        guard = self._guard
        guard.refuse_in_filter()
        if guard.pending is not None:
            # A call from outside finishes what is pending first, so this one comes from within.
            raise WriteInSubscriber(
                "a subscriber cannot write to the store that called it",
                got=type(operation).__name__,
                wanted="no write before the subscriber returns",
                remedy="queue the write and make it after the call",
            )
        if is_from_client:
            self._admit()
        journal = self._journal if is_from_client else None
        with plain_jax():
            change = self._plan(operation)
            encoded = b"" if journal is None else encode(operation)
            if journal is None and token is None and not self._subscribers:
                return change.make()  # Nobody else has to hear of it.
        commit = Commit(self, change, operation, encoded, journal, token)
        guard.pending = commit
        return commit.finish()

    def _apply(self, operation: Operation, token: object) -> None:
        if token is None or token is not self._applied:
            self._commit_now(operation, False, token)

    def _commit_rows(
        self, collection: Collection, operation: RowOperation | SetCodebook
    ) -> WriteResult:
        self._admit()
        if self._collections.get(operation.collection) is not collection:
            raise self._not_found(operation.collection)
        return self._commit_now(operation, is_from_client=True)

    @property
    def _present(self) -> dict[str, Collection]:
        """The collections, with those of a change that an exception has broken off."""
        if self._guard.pending is None or self._guard.is_owned:
            return self._collections
        return self._guard.run(lambda: self._collections)

    def _create(self, operation: CreateCollection) -> Collection:
        self._commit_now(operation, is_from_client=True)
        return self._collections[operation.collection]

    def _attach(self, journal: Journal) -> None:
        if self._journal is not None:
            raise WriteRefused(
                "this store has a journal already",
                got=repr(journal),
                wanted="a store of its own",
                remedy="make a new VectorStore for this node",
            )
        self._journal = journal

    def _plan(self, operation: Operation) -> Change:
        """What makes an operation happen; calling it again at once changes nothing.

        All collections by name are one value, which each change replaces by one store.
        """
        match operation:
            case Upsert() | UpdateVectors() | Delete() | SetCodebook():
                return self[operation.collection]._plan(operation)
            case CreateCollection():
                self._refuse_existing(operation.collection)
                made = make_collection(operation.collection, operation.config)
                made._bind(self._commit_rows, self._guard)
                return self._replacing({**self._collections, made.name: made}, WriteResult())
            case DropCollection():
                dropped = self[operation.collection]
                rest = {name: c for name, c in self._collections.items() if c is not dropped}
                return self._replacing(rest, WriteResult(deleted=len(dropped)))
            case RenameCollection():
                renamed, new_name = self[operation.collection], operation.new_name
                self._refuse_existing(new_name)
                after = {
                    new_name if each is renamed else name: each
                    for name, each in self._collections.items()
                }
                return self._replacing(after, WriteResult(), renamed)
            case EpochStart():
                return Change(WriteResult, lambda: True)

    def _replacing(
        self,
        collections: dict[str, Collection],
        result: WriteResult,
        renamed: Collection | None = None,
    ) -> Change:
        def change() -> WriteResult:
            self._collections = collections
            if renamed is not None:
                renamed.name = next(name for name, c in collections.items() if c is renamed)
            return result

        return Change(change, lambda: True)

    def _install(self, other: VectorStore) -> None:
        collections = other._collections

        def install() -> None:
            self._guard.refuse_in_filter()
            for collection in collections.values():
                collection._bind(self._commit_rows, self._guard)
            self._collections = collections

        self._guard.run(install)

    def _copy(self) -> VectorStore:
        return _with_collections(
            copied(self._cache),
            [
                each._made(options_of(each), each._own_contents(each._snapshot_now()))
                for each in self._collections.values()
            ],
        )

    def _unsubscribe(self, on_operation: Subscriber) -> None:
        with suppress(ValueError):  # It has ended already.
            self._guard.run(self._subscribers.remove, on_operation)

    def _admit(self) -> None:
        if self._journal is not None:
            self._journal.admit()

    def _writable(self, name: str) -> Collection:
        self._admit()
        return self[name]

    def _refuse_existing(self, name: str) -> None:
        if name in self._collections:
            raise CollectionExists(
                "the store has a collection of this name",
                got=repr(name),
                wanted="a new name",
                remedy=f"use store[{name!r}], or drop it first",
                name=name,
            )

    def _not_found(self, name: object) -> CollectionNotFound:
        names = list(self._collections)
        return CollectionNotFound(
            "the store has no such collection",
            got=repr(name),
            wanted=" or ".join(map(repr, names)) or "a created collection (there is none)",
            remedy="create it with store.create_collection; a replica gets it from its master",
            names=names,
        )


def _from_parts(cache: QueryCache | None, parts: list[tuple[Any, ...]]) -> VectorStore:
    return _with_collections(cache, [from_bytes(*each) for each in parts])


def _with_collections(cache: QueryCache | None, collections: list[Collection]) -> VectorStore:
    store = VectorStore(cache=cache)
    for each in collections:
        each._bind(store._commit_rows, store._guard)
    store._collections = {each.name: each for each in collections}
    return store


class Applier:
    """The capability to change a store behind its journal: for the node that owns the store."""

    def __init__(self, store: VectorStore) -> None:
        self._store = store

    def apply(self, operation: Operation, token: object = None) -> None:
        """Apply an operation that another store has committed; it must be valid here too.

        A second call with the same `token` right after the first does nothing: where an exception
        has broken the first one off, it says whether the operation has been applied.
        """
        self._store._guard.run(self._store._apply, operation, token)

    def install(self, other: VectorStore) -> None:
        """Replace all collections at once by those of a store built aside."""
        self._store._install(other)


def store_of(operations: Iterable[Operation]) -> VectorStore:
    """A new store that has applied these operations, such as those of a snapshot."""
    store = VectorStore()
    for operation in operations:
        store._commit(operation)
    return store
