"""A deterministic simulation of a replicated vector store: virtual time, faults as data."""

from vectorkit.replication import Failover, WriteConcern, majority
from vectorkit.sim.checks import Finding, Findings
from vectorkit.sim.cluster import Cluster
from vectorkit.sim.explain import Explanation
from vectorkit.sim.faults import Partition
from vectorkit.sim.options import ClusterOptions, Disk, Link
from vectorkit.sim.run import Run
from vectorkit.sim.simulate import Scenario, simulate
from vectorkit.sim.workload import Workload

__all__ = [
    "Cluster",
    "ClusterOptions",
    "Disk",
    "Explanation",
    "Failover",
    "Finding",
    "Findings",
    "Link",
    "Partition",
    "Run",
    "Scenario",
    "Workload",
    "WriteConcern",
    "majority",
    "simulate",
]
