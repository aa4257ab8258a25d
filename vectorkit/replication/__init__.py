"""Master-replica replication as pure state machines: no clock, no network, no randomness."""

from vectorkit.replication.effects import Applied, Effect, Send, SetTimer, SyncChanged
from vectorkit.replication.health import ReplicaStatus, status_of
from vectorkit.replication.log import Position, Record, ReplicationLog
from vectorkit.replication.master import MasterNode
from vectorkit.replication.options import ReplicationOptions
from vectorkit.replication.replica import ReplicaNode
from vectorkit.replication.stats import ReplicaInfo, ReplicationStats

__all__ = [
    "Applied",
    "Effect",
    "MasterNode",
    "Position",
    "Record",
    "ReplicaInfo",
    "ReplicaNode",
    "ReplicaStatus",
    "ReplicationLog",
    "ReplicationOptions",
    "ReplicationStats",
    "Send",
    "SetTimer",
    "SyncChanged",
    "status_of",
]
