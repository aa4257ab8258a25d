"""Content digests: equal collections have equal digests, whatever the order of their slots."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Final

import xxhash

from vectorkit.operations import CollectionConfig, canonical_payload
from vectorkit.types import Float32Array, Id, Payload

_LENGTHS: Final = struct.Struct("<cII")
_MODULUS: Final = 1 << 128


def row_hash(row_id: Id, row: bytes, payload: Payload | None) -> int:
    """128 bits over the id, the stored vector bits and the canonical payload."""
    name = row_id.encode("utf-8", "surrogatepass") if isinstance(row_id, str) else b"%d" % row_id
    extra = canonical_payload(payload)
    kind = b"s" if isinstance(row_id, str) else b"i"
    head = _LENGTHS.pack(kind, len(name), len(extra))
    return xxhash.xxh3_128_intdigest(b"".join((head, name, extra, row)))


def row_hashes(
    ids: Iterable[Id], rows: Float32Array, payloads: Iterable[Payload | None]
) -> list[int]:
    """`row_hash` for each row of (count, dim) float32."""
    data = rows.astype("<f4", copy=False).tobytes()
    width = rows.shape[1] * 4
    return [
        row_hash(row_id, data[start : start + width], payload)
        for row_id, payload, start in zip(ids, payloads, range(0, len(data), width), strict=True)
    ]


def combine(config: CollectionConfig, total: int, count: int) -> str:
    """The digest of a collection from the sum of its row hashes: 32 hexadecimal digits."""
    facts = repr(sorted(asdict(config).items())).encode()
    return xxhash.xxh3_128_hexdigest(
        b"".join((facts, count.to_bytes(8, "little"), (total % _MODULUS).to_bytes(16, "little")))
    )


@dataclass(slots=True)
class DigestFold:
    """A running sum of row hashes that folds in only what has changed since it was last asked."""

    hashes: list[int] = field(default_factory=list)
    total: int = 0
    dirty: set[int] = field(default_factory=set)

    def truncate(self, count: int, removed_count: int) -> None:
        """The `removed_count` slots from `count` on are gone."""
        self.total -= sum(self.hashes[count:])
        del self.hashes[count:]
        self.dirty.difference_update(range(count, count + removed_count))

    def replace(self, slots: list[int], hashes: list[int]) -> None:
        """Put the new hashes of all dirty slots (ascending) in place of the old ones."""
        for slot, new in zip(slots, hashes, strict=True):
            if slot == len(self.hashes):
                self.hashes.append(new)
                self.total += new
            else:
                self.total += new - self.hashes[slot]
                self.hashes[slot] = new
        self.dirty.clear()
