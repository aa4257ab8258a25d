"""Why a node has not come into line, in words: what it waits for, and from whom."""

from __future__ import annotations

from typing import Final, NamedTuple

from vectorkit.display import record_table
from vectorkit.replication.candidate import CandidateRole
from vectorkit.replication.replica.replica import ReplicaRole
from vectorkit.replication.state_loss import ReturningRole
from vectorkit.sim.world.engine import Engine


class StuckNode(NamedTuple):
    """A node that is not equal to its master, or whose master does not know it."""

    node: str
    role: str
    state: str
    epoch: int
    received_offset: int
    flushed_offset: int
    applied_offset: int
    reason: str

    def _repr_html_(self) -> str:
        return record_table(self)


def stuck_nodes(engine: Engine) -> tuple[StuckNode, ...]:
    """All nodes but a master with the whole history, each with its state and the reason."""
    found = []
    for node_id, machine in engine.machines.items():
        reason = _reason(engine, node_id)
        if reason:
            member, role = machine.node.member, machine.node.role
            state = role.state if isinstance(role, ReplicaRole) else role.name
            found.append(
                StuckNode(
                    node_id,
                    role.name,
                    state if machine.is_up else "down",
                    role.epoch,
                    member.received_offset,
                    member.flushed.offset,
                    member.applied_offset,
                    reason,
                )
            )
    return tuple(found)


def _reason(engine: Engine, node_id: str) -> str:
    machine = engine.machines[node_id]
    role, member = machine.node.role, machine.node.member
    reason = ""
    if not machine.is_up:
        reason = "is down"
    elif isinstance(role, ReturningRole):
        reason = f"waits for the promise of {_listed(role.missing)}"
    elif isinstance(role, CandidateRole):
        reason = f"stands for epoch {role.epoch} and lacks answers of {_listed(role.missing)}"
    elif engine.master_id is None:
        reason = f"no master: {_nobody(engine)}"
    elif isinstance(role, ReplicaRole):
        reason = _behind(engine, node_id, role, engine.master_id)
    elif engine.master_id != node_id:
        reason = f"serves epoch {role.epoch} and has not heard of {engine.master_id}"
    elif member.flushed != member.log.head:
        unflushed = member.log.head.offset - member.flushed.offset
        reason = f"has {unflushed} operations that are not flushed"
    return reason


_STATES: Final = {
    "promising": "waits for its disk to hold a promise",
    "installing": "waits for its disk to hold a snapshot",
    "connecting": "waits for {} to answer its handshake",
    "full": "waits for the rest of a snapshot from {}",
}


def _behind(engine: Engine, node_id: str, role: ReplicaRole, master_id: str) -> str:
    """Why a replica is not equal to a master that is there."""
    master, member = engine.machines[master_id], role.member
    head, now_ns = master.node.log.head, master.clock.local_ns(engine.now_ns)
    known_offset = master.node.replica(node_id, now_ns).applied_offset
    status = master.node.status(node_id, now_ns).value
    reason = ""
    if master.node.member.known.refuses(member.index):
        reason = f"its index {member.index} is retired: it can return only without its state"
    elif role.master_id != master_id:
        reason = f"follows {role.master_id or 'nobody'} and has not heard of {master_id}"
    elif role.state in _STATES:
        reason = _STATES[role.state].format(master_id)
    elif member.is_poisoned:
        reason = f"cannot apply operation {member.applied_offset + 1}"
    elif member.applied != head:
        reason = f"is at offset {member.applied_offset} of {head.offset}"
    elif known_offset != head.offset:
        reason = f"is equal, and {master_id} knows only of offset {known_offset}"
    elif status != "Connected":
        reason = f"is equal, and {master_id} has it as {status}"
    return reason


def _nobody(engine: Engine) -> str:
    """Why no node is master."""
    lost = [each.id for each in engine.machines.values() if each.node.member.is_lost]
    quorum = engine.machines[engine.options.node_ids[0]].node.member.quorum
    if len(engine.machines) - len(lost) < quorum:
        return f"{_listed(lost)} without state, and a promotion needs {quorum} intact nodes"
    if engine.options.protocol.failover is None:
        return "only an operator promotes, and none does"
    tried = {each.id: each.node.promotion for each in engine.machines.values()}
    attempts = [
        f"{node_id} failed: {each.reason or each.state}" for node_id, each in tried.items() if each
    ]
    return "; ".join(attempts) or "nobody has stood"


def _listed(names: list[str]) -> str:
    return " and ".join(names) or "nobody"
