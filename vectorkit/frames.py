"""All frames of the package and their schemas under one name.

Frames are in long form: one row per observation, key columns first, units in the names. Each has
a schema; one without rows has the same columns and dtypes. The objects themselves give the same
frames: `matches.to_frame()`, `run.health`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vectorkit.collections.audit import AUDIT
from vectorkit.collections.comparisons import DIFF, PARITY
from vectorkit.collections.frames import COLLECTION, COMPILE_REPORT, compile_report
from vectorkit.collections.memory import MEMORY
from vectorkit.collections.results import BATCH_MATCHES, MATCHES
from vectorkit.replication.monitoring.frames import REPLICAS, replicas
from vectorkit.sim.analysis.explain import EXPLANATION
from vectorkit.sim.analysis.frames import (
    FAULT_WINDOWS,
    HEALTH,
    MESSAGES,
    NODES,
    OPERATIONS,
    READS,
    RECALL,
    ROLES,
    SYNCS,
    fault_windows,
    health,
    messages,
    nodes,
    operations,
    reads,
    recall,
    roles,
    syncs,
)
from vectorkit.sim.checks.findings import FINDINGS
from vectorkit.sim.faults.frames import FAULTS, faults_frame, faults_from_frame
from vectorkit.sim.fuzzing.shrink import REDUCTIONS
from vectorkit.sim.sweeps.frames import SWEEP
from vectorkit.tabular import Schema
from vectorkit.tabular import frame_of_rows as of_rows

if TYPE_CHECKING:
    from vectorkit.collections import BatchMatches, Matches, Memory, Reader
    from vectorkit.tabular import DataFrame

__all__ = [
    "AUDIT",
    "BATCH_MATCHES",
    "COLLECTION",
    "COMPILE_REPORT",
    "DIFF",
    "EXPLANATION",
    "FAULTS",
    "FAULT_WINDOWS",
    "FINDINGS",
    "HEALTH",
    "MATCHES",
    "MEMORY",
    "MESSAGES",
    "NODES",
    "OPERATIONS",
    "PARITY",
    "READS",
    "RECALL",
    "REDUCTIONS",
    "REPLICAS",
    "ROLES",
    "SWEEP",
    "SYNCS",
    "Schema",
    "batch_matches",
    "collection",
    "compile_report",
    "fault_windows",
    "faults_frame",
    "faults_from_frame",
    "health",
    "matches",
    "memory",
    "messages",
    "nodes",
    "of_rows",
    "operations",
    "reads",
    "recall",
    "replicas",
    "roles",
    "syncs",
]


def matches(found: Matches) -> DataFrame:
    """Return one row per match, best first; as `found.to_frame()`."""
    return found.to_frame()


def batch_matches(found: BatchMatches) -> DataFrame:
    """Return one row per match with the number of its query; as `found.to_frame()`."""
    return found.to_frame()


def collection(reader: Reader) -> DataFrame:
    """Return one row per stored vector, in slot order; as `reader.to_frame()`."""
    return reader.to_frame()


def memory(held: Memory) -> DataFrame:
    """Return one row per part of a collection in memory; as `held.to_frame()`."""
    return held.to_frame()


def __dir__() -> list[str]:
    """Return the public names, for completion."""
    return sorted(__all__)
