"""vectorkit: a laboratory for vector stores that change and replicate.

Collections hold vectors and change them atomically, a store turns every write into an ordered
stream of operations, and `vectorkit.sim` replicates it across simulated nodes, from a seed.
"""

import sys
from typing import TYPE_CHECKING

# pip refuses an older Python; a checkout on the path, or PYTHONPATH, can be imported without it.
if sys.version_info < (3, 11):  # noqa: UP036
    raise ImportError(
        "vectorkit cannot run on this Python: "
        f"got {'.'.join(map(str, sys.version_info[:3]))}, wanted 3.11 or newer; "
        "make an environment with a newer one: python3.11 -m venv .venv"
    )

import jax  # noqa: F401 - Loaded deep inside the imports below it takes a twentieth longer.

from vectorkit import datasets, errors
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

if TYPE_CHECKING:
    from vectorkit import replication, sim
    from vectorkit.notebook.update_lab import update_lab

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
    "update_lab",
]


def __getattr__(name: str) -> object:
    """Load what is half of the package, replication, simulation, labs, when it is first named."""
    if name == "replication":
        import vectorkit.replication

        return vectorkit.replication
    if name == "sim":
        import vectorkit.sim

        return vectorkit.sim
    if name == "update_lab":
        from vectorkit.notebook.update_lab import update_lab

        return update_lab
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
