"""A deterministic simulation of a replicated vector store: virtual time, faults as data."""

import warnings

from vectorkit.replication import Failover, WriteConcern, majority
from vectorkit.sim.analysis.explain import Explanation, explain
from vectorkit.sim.checks import Finding, Findings
from vectorkit.sim.cluster import Cluster
from vectorkit.sim.faults.codec import fault_from_dict
from vectorkit.sim.faults.faults import (
    CURRENT_MASTER,
    Block,
    ClockDrift,
    ClockJump,
    ClockOffset,
    Clog,
    Crash,
    Cut,
    Degrade,
    Fault,
    FlipBit,
    FullDisk,
    Partition,
    Pause,
    Promote,
    Replace,
    Restart,
    Retire,
    SlowCpu,
    SlowDisk,
    StalledDisk,
)
from vectorkit.sim.faults.patterns import (
    flapping_link,
    isolate_master,
    majorities_ring,
    rare_paths,
    rolling_restart,
    swizzle_clog,
)
from vectorkit.sim.faults.random_faults import random_faults
from vectorkit.sim.fuzzing.random_scenario import random_scenario
from vectorkit.sim.fuzzing.regression import KeptSeed
from vectorkit.sim.fuzzing.shrink import Shrunk, shrink
from vectorkit.sim.lab import fault_lab
from vectorkit.sim.load.workload import PlannedRequest, Workload
from vectorkit.sim.options import ClusterOptions, Disk, Link
from vectorkit.sim.run import Run
from vectorkit.sim.scenario import Scenario
from vectorkit.sim.simulate import simulate
from vectorkit.sim.sweeps.statistics import compare, medians, rates
from vectorkit.sim.sweeps.sweep import sweep

__all__ = [
    "CURRENT_MASTER",
    "Block",
    "ClockDrift",
    "ClockJump",
    "ClockOffset",
    "Clog",
    "Cluster",
    "ClusterOptions",
    "Crash",
    "Cut",
    "Degrade",
    "Disk",
    "Explanation",
    "Failover",
    "Fault",
    "Finding",
    "Findings",
    "FlipBit",
    "FullDisk",
    "KeptSeed",
    "Link",
    "Partition",
    "Pause",
    "PlannedRequest",
    "Promote",
    "Replace",
    "Restart",
    "Retire",
    "Run",
    "Scenario",
    "Shrunk",
    "SlowCpu",
    "SlowDisk",
    "StalledDisk",
    "Workload",
    "WriteConcern",
    "compare",
    "explain",
    "fault_from_dict",
    "fault_lab",
    "flapping_link",
    "isolate_master",
    "majorities_ring",
    "majority",
    "medians",
    "random_faults",
    "random_scenario",
    "rare_paths",
    "rates",
    "rolling_restart",
    "shrink",
    "simulate",
    "sweep",
    "swizzle_clog",
]


def __getattr__(name: str) -> object:
    """Find `Request`, the former name of `PlannedRequest`, with a warning."""
    if name == "Request":
        message = "sim.Request is now sim.PlannedRequest; the old name goes with version 0.3"
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        return PlannedRequest
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the public names, for completion."""
    return sorted(__all__)
