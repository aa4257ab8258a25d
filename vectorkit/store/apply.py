"""An operation that came from elsewhere, checked whole and committed as it is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from vectorkit.collections import Collection, WriteResult
from vectorkit.collections.validation import check_ids, check_rows
from vectorkit.collections.values.payloads import check_payloads
from vectorkit.errors import InvalidInput, WriteRefused
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
from vectorkit.types import KEEP, Keep


def write(store: VectorStore, operation: Operation) -> WriteResult:
    """Write an operation with all the checks and errors of a store's public methods.

    An update names rows that are there; a delete passes over those that are not. One whose parts
    are canonical is committed as it is, so that its encoding is made once.

    >>> from vectorkit.operations import CollectionConfig
    >>> store = VectorStore()
    >>> _ = write(store, CreateCollection("words", CollectionConfig(2, "dot", "cpu")))
    >>> write(store, Delete("words", ("king",))).deleted
    0
    """
    match operation:
        case Upsert() | UpdateVectors():
            collection = store[operation.collection]
            checked = _checked(collection, operation)
            if not checked.ids:
                return WriteResult(version=collection.version)
            return store._commit(checked)
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


def _checked(collection: Collection, operation: Upsert | UpdateVectors) -> Upsert | UpdateVectors:
    """The operation itself where all of its parts are as they would be stored, else one like it."""
    ids, vectors, payloads = operation.ids, operation.vectors, operation.payloads
    if vectors is KEEP and payloads is KEEP:
        raise InvalidInput(
            "an update without a change",
            got="vectors=KEEP, payloads=KEEP",
            wanted="vectors, payloads or both",
            remedy="send what should change",
        )
    parts: dict[str, Any] = {"ids": check_ids(ids)}
    is_same = _is_same(parts["ids"], ids)
    if not isinstance(vectors, Keep):
        parts["vectors"] = check_rows(vectors, len(ids), collection.dim, is_shared=True)
        is_same = is_same and parts["vectors"].dtype == vectors.dtype
    if not isinstance(payloads, Keep):
        parts["payloads"] = check_payloads(payloads, parts["ids"])
        is_same = is_same and _is_same(parts["payloads"], payloads)
    return operation if is_same else replace(operation, **parts)


def _is_same(checked: Any, given: Any) -> bool:
    """Equal in types, too: a bool of NumPy or a member of an Enum equals what it is stored as."""
    if type(checked) is not type(given):
        return False
    if isinstance(checked, dict):
        return len(checked) == len(given) and all(
            _is_same(*keys) and _is_same(checked[keys[0]], given[keys[1]])
            for keys in zip(checked, given, strict=True)
        )
    if isinstance(checked, list | tuple):
        return len(checked) == len(given) and all(map(_is_same, checked, given))
    return bool(checked == given)
