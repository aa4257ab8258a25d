"""Master-replica replication as pure state machines: no clock, no network, no randomness."""

from vectorkit.replication.candidate import Promotion
from vectorkit.replication.concern import WriteConcern, majority
from vectorkit.replication.detectors import Failover
from vectorkit.replication.durable import Image
from vectorkit.replication.effects import (
    Appended,
    Applied,
    Effect,
    Noted,
    Persist,
    RoleChanged,
    Send,
    SetTimer,
    SyncChanged,
)
from vectorkit.replication.health import ReplicaStatus, status_of
from vectorkit.replication.log import Position, Record, ReplicationLog
from vectorkit.replication.master import MasterNode
from vectorkit.replication.node import Node
from vectorkit.replication.options import ReplicationOptions
from vectorkit.replication.replica import ReplicaNode
from vectorkit.replication.stats import ReplicaInfo, ReplicationStats
from vectorkit.replication.status import NodeStatus, node_status

__all__ = [
    "Appended",
    "Applied",
    "Effect",
    "Failover",
    "Image",
    "MasterNode",
    "Node",
    "NodeStatus",
    "Noted",
    "Persist",
    "Position",
    "Promotion",
    "Record",
    "ReplicaInfo",
    "ReplicaNode",
    "ReplicaStatus",
    "ReplicationLog",
    "ReplicationOptions",
    "ReplicationStats",
    "RoleChanged",
    "Send",
    "SetTimer",
    "SyncChanged",
    "WriteConcern",
    "majority",
    "node_status",
    "status_of",
]


def __dir__() -> list[str]:
    """Return the public names, for completion."""
    return sorted(__all__)
