"""A deterministic simulation of a replicated vector store: virtual time, faults as data."""

from vectorkit.replication import Failover, WriteConcern, majority
from vectorkit.sim.checks import Finding, Findings
from vectorkit.sim.cluster import Cluster
from vectorkit.sim.explain import Explanation, explain
from vectorkit.sim.fault_lists import fault_from_dict
from vectorkit.sim.faults import (
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
from vectorkit.sim.kept_seed import KeptSeed
from vectorkit.sim.lab import fault_lab
from vectorkit.sim.nemeses import (
    flapping_link,
    isolate_master,
    majorities_ring,
    rare_paths,
    rolling_restart,
    swizzle_clog,
)
from vectorkit.sim.options import ClusterOptions, Disk, Link
from vectorkit.sim.random_faults import random_faults
from vectorkit.sim.random_scenario import random_scenario
from vectorkit.sim.run import Run
from vectorkit.sim.scenario import Scenario
from vectorkit.sim.shrink import Shrunk, shrink
from vectorkit.sim.simulate import simulate
from vectorkit.sim.statistics import compare, medians, rates
from vectorkit.sim.sweep import sweep
from vectorkit.sim.workload import Request, Workload

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
    "Promote",
    "Replace",
    "Request",
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


def __dir__() -> list[str]:
    """Return the public names, for completion."""
    return sorted(__all__)
