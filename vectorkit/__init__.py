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

from vectorkit import accessors, datasets, errors
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
from vectorkit.collections.comparisons import diff, parity_report
from vectorkit.errors import VectorKitError
from vectorkit.store import VectorStore
from vectorkit.store.cache import CacheStats, QueryCache
from vectorkit.types import KEEP

if TYPE_CHECKING:
    from vectorkit import frames, measure, plot, replication, sim
    from vectorkit.notebook.update_lab import update_lab

__version__ = "0.2.0"

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
    "frames",
    "load",
    "measure",
    "parity_report",
    "plot",
    "replication",
    "sim",
    "update_lab",
]


def __getattr__(name: str) -> object:
    """Load what is half of the package, simulation, plots, labs, when it is first named."""
    match name:
        case "frames":
            import vectorkit.frames

            return vectorkit.frames
        case "measure":
            import vectorkit.measure

            return vectorkit.measure
        case "plot":
            import vectorkit.plot

            return vectorkit.plot
        case "replication":
            import vectorkit.replication

            return vectorkit.replication
        case "sim":
            import vectorkit.sim

            return vectorkit.sim
        case "update_lab":
            from vectorkit.notebook.update_lab import update_lab

            return update_lab
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the public names, also those that are not loaded yet, for completion."""
    return sorted([*__all__, "__version__"])


def _plot() -> object:
    import vectorkit.plot

    return vectorkit.plot


def _dashboard() -> object:
    from vectorkit.notebook.dashboard import dashboard

    return dashboard


def _fault_lab() -> object:
    from vectorkit.notebook.fault_lab import fault_lab

    return fault_lab


accessors.provide("plot", _plot)
accessors.provide("dashboard", _dashboard)
accessors.provide("fault_lab", _fault_lab)
