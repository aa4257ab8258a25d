"""What a node says of itself and of its replicas, put together when it is asked."""

from __future__ import annotations

from typing import Any

from vectorkit.replication.master.master import MasterRole
from vectorkit.replication.master.peer import Peer
from vectorkit.replication.member import Member
from vectorkit.replication.monitoring.stats import ReplicaInfo, ReplicationStats
from vectorkit.replication.protocol.epochs import round_of, slot_of
from vectorkit.replication.replica.replica import ReplicaRole
from vectorkit.replication.role import Role
from vectorkit.units import ns_to_ms


def node_stats(member: Member, role: Role, now_ns: int) -> ReplicationStats:
    """The node's own figures, counted at the source."""
    first_ns = next((each.appended_ns for each in member.log.since(member.log.base.offset)), now_ns)
    facts = _of_master(role, now_ns) if isinstance(role, MasterRole) else _of_replica(member, role)
    return ReplicationStats(
        epoch=role.epoch,
        lag_ms=ns_to_ms(role.lag_ns(now_ns)),
        log_first_offset=member.log.first_offset,
        log_headroom_ms=ns_to_ms(now_ns - first_ns),
        **facts,
        **member.counters.facts(),
    )


def _name(member: Member, epoch: int) -> str:
    node_ids = member.node_ids
    return f"{node_ids[slot_of(epoch)]}@{round_of(epoch)}" if epoch else ""


def _of_master(role: MasterRole, now_ns: int) -> dict[str, Any]:
    member, head_offset = role.member, role.member.log.head.offset
    active = [peer for peer in role.peers if peer.is_active(now_ns, member.options)]
    pending = head_offset - min((peer.applied_offset for peer in active), default=head_offset)
    return {
        "role": "master",
        "repl_id": _name(member, role.epoch),
        "lag_operations": pending,
        "master_offset": head_offset,
        "replica_offset": None,
        "operations_pending": pending,
        "last_sync": None if role.last_equal_ns is None else ns_to_ms(role.last_equal_ns),
        "connected_replicas": len(active),
    }


def _of_replica(member: Member, role: Role) -> dict[str, Any]:
    applied_offset = member.applied_offset
    head_offset, pending, equal_ns = applied_offset, 0, None
    if isinstance(role, ReplicaRole):
        head_offset, equal_ns = role.known_head, role.knows.last_equal_ns
        pending = len(role.stream.held) + member.received_offset - applied_offset
    return {
        "role": "replica",
        "repl_id": _name(member, role.epoch),
        "lag_operations": head_offset - applied_offset,
        "master_offset": head_offset,
        "replica_offset": applied_offset,
        "operations_pending": pending,
        "last_sync": None if equal_ns is None else ns_to_ms(equal_ns),
        "connected_replicas": None,
    }


def replica_info(member: Member, peer: Peer, now_ns: int) -> ReplicaInfo:
    """All that a master knows of a replica, as a value."""
    return peer.info(now_ns, member.log, member.options)
