"""Collections of vectors that change: atomic writes, exact search, snapshots, digests."""

from vectorkit.collections.collection import Collection
from vectorkit.collections.cpu import CpuCollection
from vectorkit.collections.factory import load
from vectorkit.collections.gpu import GpuCollection
from vectorkit.collections.memory import Memory
from vectorkit.collections.quantized import CodecReport, QuantizedCollection
from vectorkit.collections.readable import Reader, Snapshot
from vectorkit.collections.results import BatchMatches, Matches, Row, WriteResult
from vectorkit.collections.sharded import ShardedCollection

__all__ = [
    "BatchMatches",
    "CodecReport",
    "Collection",
    "CpuCollection",
    "GpuCollection",
    "Matches",
    "Memory",
    "QuantizedCollection",
    "Reader",
    "Row",
    "ShardedCollection",
    "Snapshot",
    "WriteResult",
    "load",
]


def __dir__() -> list[str]:
    """Return the public names, for completion."""
    return sorted(__all__)
