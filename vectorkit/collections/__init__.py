"""Collections of vectors that change: atomic writes, exact search, snapshots, digests."""

from vectorkit.collections.collection import Collection
from vectorkit.collections.cpu import CpuCollection
from vectorkit.collections.gpu import GpuCollection
from vectorkit.collections.kinds import load
from vectorkit.collections.memory import Memory
from vectorkit.collections.reader import Reader, Snapshot
from vectorkit.collections.results import BatchMatches, Matches, Row, WriteResult

__all__ = [
    "BatchMatches",
    "Collection",
    "CpuCollection",
    "GpuCollection",
    "Matches",
    "Memory",
    "Reader",
    "Row",
    "Snapshot",
    "WriteResult",
    "load",
]
