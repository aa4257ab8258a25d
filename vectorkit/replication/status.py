"""The whole state of a node as one JSON shape, for files, services and people alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from vectorkit.display import record_table
from vectorkit.replication.monitoring.stats import ReplicaInfo, ReplicationStats, Role
from vectorkit.replication.node import Node


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """A node's role, its figures and, on a master, all of its replicas; None on other nodes.

    Times are milliseconds of the node's own clock: Unix time where that is what it shows.

    >>> from vectorkit import sim
    >>> cluster = sim.Cluster(sim.ClusterOptions(replicas=1))
    >>> status = cluster.status("node-0")
    >>> sorted(status.to_dict())
    ['enabled', 'replicas', 'role', 'stats']
    >>> type(status).from_dict(status.to_dict()) == status
    True
    """

    role: Role
    enabled: bool
    stats: ReplicationStats
    replicas: tuple[ReplicaInfo, ...] | None

    def to_dict(self) -> dict[str, Any]:
        """Every field by its name, ready for JSON."""
        infos = None if self.replicas is None else [info.to_dict() for info in self.replicas]
        return {
            "role": self.role,
            "enabled": self.enabled,
            "stats": self.stats.to_dict(),
            "replicas": infos,
        }

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> Self:
        """The same status again."""
        infos = facts["replicas"]
        return cls(
            role=facts["role"],
            enabled=facts["enabled"],
            stats=ReplicationStats.from_dict(facts["stats"]),
            replicas=None if infos is None else tuple(map(ReplicaInfo.from_dict, infos)),
        )

    def _repr_html_(self) -> str:
        return record_table(self)


def node_status(node: Node, now_ns: int) -> NodeStatus:
    """What a node says of itself and its replicas now.

    >>> node = Node("node-1", node_ids=["node-0", "node-1"], now_ns=0)
    >>> node_status(node, now_ns=0).replicas is None
    True
    """
    stats = node.stats(now_ns)
    replicas = tuple(node.replicas(now_ns)) if stats.role == "master" else None
    return NodeStatus(stats.role, enabled=True, stats=stats, replicas=replicas)
