"""Content digests: equal collections have equal digests, whatever the order of their slots."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import xxhash
from numpy.typing import NDArray

from vectorkit.collections.backends.state import CAPACITY_MIN
from vectorkit.operations import CollectionConfig, canonical_payload
from vectorkit.types import Float32Array, Id, Int32Array, Payload

Hashes = NDArray[np.uint64]
"""128 bits a row, shape (count, 2): the high half, then the low one."""

_LENGTHS: Final = struct.Struct("<cII")
_MODULUS: Final = 1 << 128
_HALF: Final = np.uint64(32)
_LOW: Final = np.uint64((1 << 32) - 1)
_FOLDED_AT_ONCE: Final = 1 << 16


def row_hash(row_id: Id, row: bytes | memoryview, payload: Payload | None) -> bytes:
    """128 bits over the id, the stored vector bits and the canonical payload."""
    name = row_id.encode("utf-8", "surrogatepass") if isinstance(row_id, str) else b"%d" % row_id
    extra = canonical_payload(payload)
    kind = b"s" if isinstance(row_id, str) else b"i"
    head = _LENGTHS.pack(kind, len(name), len(extra))
    return xxhash.xxh3_128_digest(b"".join((head, name, extra, row)))


def row_hashes(ids: Iterable[Id], rows: Float32Array, payloads: Iterable[Payload | None]) -> Hashes:
    """`row_hash` for each row of (count, dim) float32."""
    data = np.ascontiguousarray(rows, "<f4").reshape(-1).view(np.uint8).data  # Not copied.
    width = rows.shape[1] * 4
    hashes = [
        row_hash(row_id, data[start : start + width], payload)
        for row_id, payload, start in zip(ids, payloads, range(0, len(data), width), strict=True)
    ]
    return np.frombuffer(b"".join(hashes), dtype=">u8").astype(np.uint64).reshape(-1, 2)


def total_of(hashes: Hashes) -> int:
    """The exact sum of fewer than 2³² hashes."""
    high, low = hashes[:, 0], hashes[:, 1]
    parts = (high >> _HALF, high & _LOW, low >> _HALF, low & _LOW)
    total = 0
    for part in parts:
        total = (total << 32) + int(part.sum(dtype=np.uint64))
    return total


def parameter_bytes(parameters: Mapping[str, NDArray[Any]]) -> bytes:
    """What a codec has learned, as bytes in one order."""
    return b"".join(name.encode() + parameters[name].tobytes() for name in sorted(parameters))


def combine(config: CollectionConfig, parameters: bytes, total: int, count: int) -> str:
    """The digest of a collection from the sum of its row hashes: 32 hexadecimal digits.

    `parameters` are the bytes of what its codec has learned, empty for a codec that learns nothing.
    """
    facts = repr(sorted(config.to_dict().items())).encode()
    sums = (count.to_bytes(8, "little"), (total % _MODULUS).to_bytes(16, "little"))
    return xxhash.xxh3_128_hexdigest(b"".join((facts, parameters, *sums)))


class DigestFold:
    """A running sum of row hashes that folds in only what has changed since it was last asked.

    A slot's hash is zero until it has been folded in, and again once a fold finds no row there.
    A fold is one store of what is to be put where, and then done; an exception in between leaves
    the rest to the next call.
    """

    def __init__(self) -> None:
        self._total = 0
        self._hashes: Hashes = np.zeros((0, 2), np.uint64)
        self._is_dirty: NDArray[np.bool_] = np.zeros(CAPACITY_MIN, np.bool_)
        self._folding: tuple[Int32Array, Hashes, int] | None = None

    def reserve(self, capacity: int) -> None:
        """Make room for the slots below `capacity`."""
        self._finish()
        if capacity > len(self._is_dirty):
            longer = np.zeros(capacity, np.bool_)
            longer[: len(self._is_dirty)] = self._is_dirty
            self._is_dirty = longer

    def mark(self, slots: Int32Array | list[int] | slice | int) -> None:
        """These slots have changed: another row, or none any more."""
        self._finish()
        self._is_dirty[slots] = True

    def fold(
        self,
        read: Callable[[Int32Array], Float32Array],
        ids: Sequence[Id],
        payloads: Sequence[Payload | None],
        count: int,
    ) -> int:
        """Fold in the slots that have changed, and return the sum over the first `count` rows.

        `read` returns the rows at some slots. It is called for as many at a time as fit in memory.
        """
        self._finish()
        dirty = np.flatnonzero(self._is_dirty).astype(np.int32)
        present = dirty[: np.searchsorted(dirty, count)]
        hashes = np.zeros((len(dirty), 2), np.uint64)
        for start in range(0, len(present), _FOLDED_AT_ONCE):
            block = present[start : start + _FOLDED_AT_ONCE]
            slots = block.tolist()
            names, extras = [ids[slot] for slot in slots], [payloads[slot] for slot in slots]
            hashes[start : start + len(block)] = row_hashes(names, read(block), extras)
        if len(dirty):
            self._replace(dirty, hashes)
        return self._total

    def _replace(self, slots: Int32Array, hashes: Hashes) -> None:
        """Put the new hashes of all dirty slots in place of the old ones; zero for no row."""
        if len(self._hashes) < len(self._is_dirty):
            grown = np.zeros((len(self._is_dirty), 2), np.uint64)
            grown[: len(self._hashes)] = self._hashes
            self._hashes = grown
        total = self._total + total_of(hashes) - total_of(self._hashes[slots])
        self._folding = slots, hashes, total
        self._finish()

    def _finish(self) -> None:
        if self._folding is not None:
            slots, hashes, total = self._folding
            self._hashes[slots] = hashes
            self._is_dirty[slots] = False
            self._total = total
            self._folding = None

    @property
    def nbytes(self) -> int:
        """Host bytes."""
        return self._is_dirty.nbytes + self._hashes.nbytes
