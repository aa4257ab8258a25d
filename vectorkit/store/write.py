"""An operation that came from elsewhere, written as its caller would have: checked whole."""

from __future__ import annotations

from vectorkit.collections import WriteResult
from vectorkit.errors import WriteRefused
from vectorkit.operations import (
    CreateCollection,
    Delete,
    DropCollection,
    EpochStart,
    Operation,
    RenameCollection,
    SetCodebook,
    UpdateVectors,
    Upsert,
)
from vectorkit.store.store import VectorStore
from vectorkit.types import KEEP


def write(store: VectorStore, operation: Operation) -> WriteResult:
    """Write an operation by the public methods of a store, with all their checks and errors.

    An update names rows that are there; a delete passes over those that are not.

    >>> from vectorkit.operations import CollectionConfig
    >>> store = VectorStore()
    >>> _ = write(store, CreateCollection("words", CollectionConfig(2, "dot", "cpu")))
    >>> write(store, Delete("words", ("king",))).deleted
    0
    """
    match operation:
        case Upsert():
            return store.upsert(
                operation.collection, operation.ids, operation.vectors, operation.payloads
            )
        case UpdateVectors():
            return _update(store, operation)
        case Delete():
            return store.delete(operation.collection, operation.ids, missing="ignore")
        case CreateCollection():
            config = operation.config
            store.create_collection(
                operation.collection,
                dim=config.dim,
                metric=config.metric,
                kind=config.kind,
                codec=config.codec,
                rescore=config.rescore,
                rows=config.rows,
            )
        case DropCollection():
            store.drop_collection(operation.collection)
        case RenameCollection():
            store.rename_collection(operation.collection, operation.new_name)
        case SetCodebook() | EpochStart():
            raise WriteRefused(
                "clients do not write this operation",
                got=type(operation).__name__,
                wanted="a write of rows or collections",
                remedy="retrain through the collection of the master",
            )
    return WriteResult()


def _update(store: VectorStore, operation: UpdateVectors) -> WriteResult:
    """One row with both parts, or the vectors of many: what the public methods offer."""
    name, ids = operation.collection, operation.ids
    vectors, payloads = operation.vectors, operation.payloads
    if payloads is KEEP and vectors is not KEEP:
        return store.update_vectors(name, ids, vectors)
    if len(ids) != 1:
        raise WriteRefused(
            "payloads are updated one row at a time",
            got=f"{len(ids)} ids",
            wanted="one id",
            remedy="send one operation a row, or upsert the rows whole",
        )
    vector = KEEP if vectors is KEEP else vectors[0]
    payload = payloads if payloads is KEEP or payloads is None else payloads[0]
    return store.update(name, ids[0], vector=vector, payload=payload)
