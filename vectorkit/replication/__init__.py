"""Master-replica replication as pure state machines: no clock, no network, no randomness."""

from vectorkit.replication.candidate import Promotion
from vectorkit.replication.master.master import MasterRole
from vectorkit.replication.monitoring.health import ReplicaStatus, status_of
from vectorkit.replication.monitoring.stats import ReplicaInfo, ReplicationStats
from vectorkit.replication.node import Node
from vectorkit.replication.protocol.durable import Image
from vectorkit.replication.protocol.effects import (
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
from vectorkit.replication.protocol.failure_detectors import Failover
from vectorkit.replication.protocol.log import Position, Record, ReplicationLog
from vectorkit.replication.protocol.options import ReplicationOptions
from vectorkit.replication.protocol.write_concern import WriteConcern, majority
from vectorkit.replication.replica.replica import ReplicaRole
from vectorkit.replication.status import NodeStatus, node_status

MasterNode = MasterRole
"""The role by the name that the first design gave it."""

ReplicaNode = ReplicaRole
"""The role by the name that the first design gave it."""

__all__ = [
    "Appended",
    "Applied",
    "Effect",
    "Failover",
    "Image",
    "MasterNode",
    "MasterRole",
    "Node",
    "NodeStatus",
    "Noted",
    "Persist",
    "Position",
    "Promotion",
    "Record",
    "ReplicaInfo",
    "ReplicaNode",
    "ReplicaRole",
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
