"""The language of change: every write is one of these operations, with one canonical encoding.

A collection is a state machine over operations, a store routes them, the log ships them, a
replica applies them. They carry what is *stored* (float32 bits, canonical payloads), never what
the caller passed, so that two nodes that applied the same operations are equal bit for bit.

The encoding serves hash, log, wire and snapshot alike: four bytes of header length, a canonical
JSON header, then the rows as little-endian float32.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from vectorkit.types import KEEP, Float32Array, Id, Keep, Metric, Payload

_LENGTH: Final = struct.Struct("<I")
_JSON: Final = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False
)

Payloads = tuple[Payload | None, ...]


@dataclass(frozen=True, slots=True)
class CollectionConfig:
    """Everything that makes two empty collections the same. None: the kind has no such option."""

    dim: int
    metric: Metric
    kind: str
    codec: str | None = None
    rescore: int | None = None
    rows: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The options that this kind has, by name."""
        return {name: value for name, value in asdict(self).items() if value is not None}


class _Encodable:
    """Keeps the bytes that `encode` has made: hash, log, wire and disk ask for the same."""

    __slots__ = ("_encoded",)

    _encoded: bytes


@dataclass(frozen=True, slots=True)
class CreateCollection(_Encodable):
    """A new, empty collection with its whole configuration."""

    collection: str
    config: CollectionConfig


@dataclass(frozen=True, slots=True)
class DropCollection(_Encodable):
    """A collection goes, with all its rows."""

    collection: str


@dataclass(frozen=True, slots=True)
class RenameCollection(_Encodable):
    """A collection gets another name; rows and slots stay."""

    collection: str
    new_name: str


@dataclass(frozen=True, slots=True, eq=False)
class Upsert(_Encodable):
    """Rows written whole: vector and payload replace what was there. `payloads=None`: none."""

    collection: str
    ids: tuple[Id, ...]
    vectors: Float32Array
    payloads: Payloads | None


@dataclass(frozen=True, slots=True, eq=False)
class UpdateVectors(_Encodable):
    """Parts of present rows: KEEP leaves the vectors or the payloads, `payloads=None` clears."""

    collection: str
    ids: tuple[Id, ...]
    vectors: Float32Array | Keep
    payloads: Payloads | Keep | None


@dataclass(frozen=True, slots=True)
class Delete(_Encodable):
    """Rows taken out; the last rows move into the holes."""

    collection: str
    ids: tuple[Id, ...]


@dataclass(frozen=True, slots=True, eq=False)
class SetCodebook(_Encodable):
    """A quantized collection encodes all its rows again with newly learned parameters.

    For "pq" that is a codebook (subspaces, 256, width), for "binary" a centre (dim,).
    """

    collection: str
    codebook: Float32Array


@dataclass(frozen=True, slots=True)
class EpochStart(_Encodable):
    """The first record of a master's epoch: it changes no collection."""

    epoch: int


RowOperation = Upsert | UpdateVectors | Delete
Operation = (
    RowOperation | CreateCollection | DropCollection | RenameCollection | SetCodebook | EpochStart
)

_TYPES: Final = (
    CreateCollection,
    DropCollection,
    RenameCollection,
    Upsert,
    UpdateVectors,
    Delete,
    SetCodebook,
    EpochStart,
)
_TYPE_OF: Final = {kind.__name__: kind for kind in _TYPES}


def encode(operation: Operation) -> bytes:
    """The canonical bytes of an operation, made once: equal operations give equal bytes.

    >>> encode(Delete("words", ("king",)))[4:]
    b'{"collection":"words","ids":["king"],"type":"Delete"}'
    """
    try:
        return operation._encoded
    except AttributeError:
        encoded = _encode(operation)
        object.__setattr__(operation, "_encoded", encoded)
        return encoded


def _encode(operation: Operation) -> bytes:
    header: dict[str, Any] = {"type": type(operation).__name__}
    rows = b""
    match operation:
        case Upsert() | UpdateVectors():
            vectors, payloads = operation.vectors, operation.payloads
            header |= {"collection": operation.collection, "ids": operation.ids}
            header["payloads"] = "KEEP" if payloads is KEEP else payloads
            header["dim"] = None
            if not isinstance(vectors, Keep):
                header["dim"] = vectors.shape[1]
                rows = vectors.astype("<f4", copy=False).tobytes()
        case SetCodebook():
            header |= {"collection": operation.collection, "shape": operation.codebook.shape}
            rows = operation.codebook.astype("<f4", copy=False).tobytes()
        case CreateCollection():
            header |= {"collection": operation.collection, "config": operation.config.to_dict()}
        case DropCollection() | RenameCollection() | Delete() | EpochStart():
            header |= {name: getattr(operation, name) for name in operation.__slots__}
    text = _json(header)
    return b"".join((_LENGTH.pack(len(text)), text, rows))


def decode(data: bytes | memoryview) -> Operation:
    """The operation of canonical bytes: `encode(decode(data)) == data`.

    >>> decode(encode(EpochStart(65536)))
    EpochStart(epoch=65536)
    """
    view = memoryview(data)
    start = _LENGTH.size + _LENGTH.unpack_from(view)[0]
    header = json.loads(bytes(view[_LENGTH.size : start]))
    kind = _TYPE_OF[header.pop("type")]
    if "ids" in header:
        header["ids"] = tuple(header["ids"])
    if "config" in header:
        header["config"] = CollectionConfig(**header["config"])
    if "shape" in header:
        book = np.frombuffer(view, dtype="<f4", offset=start)
        header["codebook"] = book.reshape(header.pop("shape"))
    if "payloads" in header:
        payloads, dim = header["payloads"], header.pop("dim")
        header["payloads"] = KEEP if payloads == "KEEP" else _tuple_or_none(payloads)
        header["vectors"] = KEEP
        if dim is not None:
            rows = np.frombuffer(view, dtype="<f4", offset=start)
            header["vectors"] = rows.reshape(len(header["ids"]), dim)
    operation: Operation = kind(**header)
    return operation


def canonical_payload(payload: Payload | None) -> bytes:
    """The bytes that stand for a payload in digests: sorted keys, no spaces.

    >>> canonical_payload({"year": 1990, "lang": "en"})
    b'{"lang":"en","year":1990}'
    """
    return b"" if payload is None else _json(dict(payload))


def count_rows(operation: Operation) -> int:
    """How many rows an operation names.

    >>> count_rows(Delete("words", ("king", "queen")))
    2
    """
    return len(operation.ids) if isinstance(operation, Upsert | UpdateVectors | Delete) else 0


def _json(value: dict[str, Any]) -> bytes:
    """Canonical JSON. As ASCII, two lone surrogates would read back as one character."""
    return _JSON.encode(value).encode("utf-8", "surrogatepass")


def _tuple_or_none(payloads: Iterable[Payload | None] | None) -> Payloads | None:
    return None if payloads is None else tuple(payloads)
