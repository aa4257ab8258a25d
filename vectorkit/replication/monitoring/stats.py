"""What a node can truthfully say of itself and of its replicas: counted at the source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, Self

from vectorkit.display import record_table
from vectorkit.replication.monitoring.health import ReplicaStatus

Role = Literal["master", "replica", "standalone"]


@dataclass(frozen=True, slots=True)
class ReplicationStats:
    """A node's own figures at one moment. Times are milliseconds of the node's own clock.

    None stands where a role has no such figure, or where nothing has happened yet.

    >>> from vectorkit import sim
    >>> cluster = sim.Cluster(sim.ClusterOptions(replicas=2))
    >>> cluster.advance(ms=1_000)
    >>> cluster.stats("node-0").connected_replicas, cluster.stats("node-1").lag_ms
    (2, 0.0)
    """

    role: Role
    epoch: int
    repl_id: str
    """A name of the history for people; nothing decides by it."""
    lag_ms: float
    """Master: its slowest active replica's. Others: 0 while it knows itself equal, else the time
    since it last did or served as master, at most since it came up."""
    lag_operations: int
    """Master: of its slowest active replica. Replica: known head − applied."""
    master_offset: int
    """The head of the master's log, on a replica as far as it has heard."""
    replica_offset: int | None
    """What this replica has applied; None on a master."""
    operations_pending: int
    """Master: not confirmed as applied by every active replica. Replica: received, not applied."""
    bytes_sent: int
    bytes_received: int
    total_replicated: int
    """Master: confirmed as applied, over all replicas. Replica: applied from a stream."""
    last_sync: float | None
    """When a replica last knew itself equal; on a master, when any replica last was."""
    connected_replicas: int | None
    """Replicas that are not Disconnected and have been heard; None on a replica."""
    full_syncs: int
    """Full syncs that have come to their end, also over several connections: each once."""
    partial_syncs: int
    partial_sync_refusals: Mapping[str, int]
    """Handshakes that a master answered with a full sync, new or resumed, by reason."""
    snapshot_size: int | None
    """Bytes of the last snapshot on the wire: header and chunks."""
    quarantined_operations: int
    degraded_acks: int
    """Writes that were answered before their write concern held."""
    write_concern_timeouts: int
    """Writes that were answered as failed for that reason; they may have taken effect."""
    unproven_answers: int
    """Refusals, and writes without effect, that were answered by what the master's store holds
    although nothing rules out that a later master holds something else: the write concern asks for
    no replica, or for less than `flushed`."""
    uncommitted_lost: int
    """Operations that this node, as a master, had answered for and later gave up."""
    log_first_offset: int
    log_headroom_ms: float
    """The age of the oldest record in the log: a shorter absence ends with a partial sync."""

    def to_dict(self) -> dict[str, Any]:
        """Every field by its name, ready for JSON."""
        return asdict(self) | {"partial_sync_refusals": dict(self.partial_sync_refusals)}

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> Self:
        """The same figures again."""
        return cls(**facts)

    def _repr_html_(self) -> str:
        return record_table(self)


@dataclass(frozen=True, slots=True)
class ReplicaInfo:
    """What a master knows of one replica at one moment, also of a disconnected one.

    Times are milliseconds of the master's own clock, None before the first such event. In the
    simulator a node's host is its id.

    >>> from vectorkit import sim
    >>> cluster = sim.Cluster(sim.ClusterOptions(replicas=1))
    >>> cluster.advance(ms=1_000)
    >>> [(info.id, str(info.status), info.applied_offset) for info in cluster.replicas()]
    [('node-1', 'Connected', 1)]
    """

    id: str
    host: str
    port: int
    address: str
    status: ReplicaStatus
    lag_ms: float
    """The age of the oldest operation that the replica has not confirmed as applied, else 0."""
    lag_operations: int
    lag_bytes: int
    last_heartbeat: float | None
    last_heartbeat_sent: float | None
    round_trip_ms: float | None
    operations_synced: int
    """Operations that it confirmed as applied from the stream."""
    offset: int
    """The applied offset: the earlier name."""
    sent_offset: int
    received_offset: int
    flushed_offset: int
    applied_offset: int
    visible_offset: int
    epoch: int
    """The epoch of the last record that it has confirmed."""
    digest: str
    """Of its store, as of its last heartbeat; empty before the first."""
    sync_reason: str
    """Why it last needed a full sync."""
    sync_attempts: int
    """Full syncs begun, resumed ones each time, since it last caught up with its master."""
    sync_progress: float
    """The share of the snapshot's chunks that were sent to it at least once, also while a full
    sync whose connection was lost may still be resumed; 1 with no sync."""

    def to_dict(self) -> dict[str, Any]:
        """Every field by its name, ready for JSON."""
        return asdict(self) | {"status": self.status.value}

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> Self:
        """The same knowledge again."""
        return cls(**{**facts, "status": ReplicaStatus(facts["status"])})

    def _repr_html_(self) -> str:
        return record_table(self)


@dataclass(slots=True)
class Counters:
    """A node's running counts. Nothing switches them off."""

    bytes_sent: int = 0
    bytes_received: int = 0
    total_replicated: int = 0
    full_syncs: int = 0
    partial_syncs: int = 0
    quarantined_operations: int = 0
    degraded_acks: int = 0
    write_concern_timeouts: int = 0
    unproven_answers: int = 0
    uncommitted_lost: int = 0
    partial_sync_refusals: Counter[str] = field(default_factory=Counter)
    snapshot_size: int | None = None

    def facts(self) -> dict[str, Any]:
        """All of them by the names that ReplicationStats gives them, the refusals as a copy."""
        counted = {each.name: getattr(self, each.name) for each in fields(self)}
        return counted | {"partial_sync_refusals": dict(self.partial_sync_refusals)}

    def restore(self, facts: Mapping[str, Any]) -> None:
        """Go on from the facts that a disk has kept."""
        for name, value in facts.items():
            setattr(self, name, Counter(value) if name == "partial_sync_refusals" else value)
