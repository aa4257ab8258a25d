"""Serving a read at a node: what its policy asks of the node, checked by the node itself."""

from __future__ import annotations

import json
from typing import Final

from vectorkit.replication.log import Position
from vectorkit.replication.member import Member
from vectorkit.replication.messages import ClientRead, ClientReply
from vectorkit.replication.role import Role
from vectorkit.store import StoreSnapshot, VectorStore
from vectorkit.types import Id
from vectorkit.units import NS_PER_MS

MASTER_POLICIES: Final = ("master", "linearizable")


def payload_of(store: VectorStore | StoreSnapshot, collection: str, row_id: Id) -> str:
    """The payload of a row as JSON, "null" where it has none, "" where there is no such row."""
    if collection not in store or row_id not in store[collection]:
        return ""
    return json.dumps(store[collection].payload(row_id), sort_keys=True)


def serve(member: Member, role: Role, read: ClientRead) -> ClientReply:
    """The answer of a node that is not the serving master."""
    refusal = _refusal(member, role, read)
    master = role.master_id or ""
    if refusal:
        outcome = "not_master" if refusal == "not_master" else "refused"
        return ClientReply(read.request, outcome, Position(), "", refusal, 0, master)
    payload = payload_of(member.readable(), read.collection, read.row_id)
    return ClientReply(read.request, "ok", member.visible, payload, "", 0, master)


def lacks_write(member: Member, read: ClientRead) -> bool:
    """Whether a node does not show the record that a read has to see."""
    if read.policy != "read_your_writes" or not read.offset:
        return False
    is_there = member.log.epoch_of(read.offset) == read.epoch
    return not is_there or member.visible_offset < read.offset


def _refusal(member: Member, role: Role, read: ClientRead) -> str:
    if read.policy in MASTER_POLICIES:
        return "not_master"
    if member.is_lost:
        return "no_state"
    if lacks_write(member, read):
        return "write_not_in_history"
    if read.policy == "bounded_staleness":
        staleness_ns = role.staleness_ns(member.now_ns)
        if staleness_ns is None or staleness_ns > read.bound_ms * NS_PER_MS:
            return "too_stale"
    return ""
