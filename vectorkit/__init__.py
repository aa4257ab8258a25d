"""vectorkit: a laboratory for vector stores that change and replicate.

Collections hold vectors and change them atomically, a store turns every write into an ordered
stream of operations, and `vectorkit.sim` replicates it across simulated nodes, from a seed.
"""

import jax  # noqa: F401 - Loaded deep inside the imports below it takes a twentieth longer.

from vectorkit import datasets, errors, replication, sim
from vectorkit.cache import CacheStats, QueryCache
from vectorkit.collections import (
    BatchMatches,
    CodecReport,
    Collection,
    CpuCollection,
    GpuCollection,
    Matches,
    Memory,
    QuantizedCollection,
    Row,
    ShardedCollection,
    Snapshot,
    WriteResult,
    load,
)
from vectorkit.comparisons import diff, parity_report
from vectorkit.errors import VectorKitError
from vectorkit.store import VectorStore
from vectorkit.types import KEEP

__version__ = "0.1.0"

__all__ = [
    "KEEP",
    "BatchMatches",
    "CacheStats",
    "CodecReport",
    "Collection",
    "CpuCollection",
    "GpuCollection",
    "Matches",
    "Memory",
    "QuantizedCollection",
    "QueryCache",
    "Row",
    "ShardedCollection",
    "Snapshot",
    "VectorKitError",
    "VectorStore",
    "WriteResult",
    "datasets",
    "diff",
    "errors",
    "load",
    "parity_report",
    "replication",
    "sim",
]
