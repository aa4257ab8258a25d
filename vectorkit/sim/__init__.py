"""A deterministic simulation of a replicated vector store: virtual time, faults as data."""

from vectorkit.sim.checks import Finding, Findings
from vectorkit.sim.cluster import Cluster
from vectorkit.sim.explain import Explanation
from vectorkit.sim.faults import Partition
from vectorkit.sim.options import ClusterOptions, Link, Workload
from vectorkit.sim.run import Run
from vectorkit.sim.simulate import Scenario, simulate

__all__ = [
    "Cluster",
    "ClusterOptions",
    "Explanation",
    "Finding",
    "Findings",
    "Link",
    "Partition",
    "Run",
    "Scenario",
    "Workload",
    "simulate",
]
