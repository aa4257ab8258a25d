"""Serving a read at a node: what its policy asks of the node, checked by the node itself."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass
from typing import Final

from vectorkit.replication.member import Member
from vectorkit.replication.protocol.log import Position
from vectorkit.replication.protocol.messages import AskConfirmed, ClientRead, ClientReply
from vectorkit.replication.protocol.options import ReplicationOptions
from vectorkit.replication.role import Role
from vectorkit.store import StoreSnapshot, VectorStore
from vectorkit.types import Id
from vectorkit.units import NS_PER_MS

MASTER_POLICIES: Final = ("master", "linearizable")
_JSON: Final = json.JSONEncoder(sort_keys=True)


def payload_of(store: VectorStore | StoreSnapshot, collection: str, row_id: Id) -> str:
    """The payload of a row as JSON, "null" where it has none, "" where there is no such row."""
    if collection not in store:
        return ""
    rows = store[collection]
    return _JSON.encode(rows.payload(row_id)) if row_id in rows else ""


def proves_reads(options: ReplicationOptions, nodes: int) -> bool:
    """Whether a cluster's write concern lets a master prove that a read is linearizable.

    What was read has to stand on the disks of more nodes than the master's.

    >>> from vectorkit.replication import WriteConcern
    >>> proves_reads(ReplicationOptions(write_concern=WriteConcern(count=1)), nodes=3)
    True
    >>> proves_reads(ReplicationOptions(), nodes=3)
    False
    """
    concern = options.write_concern
    is_kept = options.has_durable_log and concern.stage != "received"
    return is_kept and concern.replica_count(nodes) >= 1


def serve(member: Member, role: Role, read: ClientRead) -> ClientReply:
    """The answer of a node that is not the serving master."""
    refusal = _refusal(member, role, read)
    if refusal:
        return refused(member, role, read.request, refusal)
    payload = payload_of(member.readable(), read.collection, read.row_id)
    master = role.master_id or ""
    return ClientReply(read.request, "ok", member.visible, payload, "", 0, master)


def refused(member: Member, role: Role, request: int, error: str) -> ClientReply:
    """The answer to a request that is refused; it names the node's own master, if it knows one."""
    outcome = "not_master" if error == "not_master" else "refused"
    return ClientReply(request, outcome, Position(), "", error, 0, role.master_id or "")


def master_refusal(member: Member, read: ClientRead) -> str:
    """Why a master refuses a read; "" where it does not."""
    if lacks_write(member, read):
        return "write_not_in_history"
    if read.policy == "linearizable" and not proves_reads(member.options, len(member.node_ids)):
        return "write_concern_too_weak"
    return ""


def lacks_write(member: Member, read: ClientRead) -> bool:
    """Whether a node does not show the record that a read has to see."""
    if read.policy != "read_your_writes" or not read.offset:
        return False
    is_there = member.log.epoch_of(read.offset) == read.epoch
    return not is_there or member.visible_offset < read.offset


class HeldReads:
    """Reads under `confirmed` at a replica: answers that wait until their state is confirmed.

    A read's answer is pinned when the read arrives. The replica asks its master up to which offset
    the write concern holds, repeats the question, and gives up after the concern's time-out.
    """

    def __init__(self, member: Member) -> None:
        self._member = member
        self.waiting: deque[_HeldRead] = deque()
        self._asked = (0, 0)
        """The connection, and the highest offset of a question in it."""
        self._ask_again_ns: int | None = None

    def due_ns(self, *, is_asking: bool) -> int:
        """Return the time of the first time-out, or of the next question to the master."""
        deadline_ns, ask_again_ns = self.waiting[0].deadline_ns, self._ask_again_ns
        if not is_asking or ask_again_ns is None:
            return deadline_ns
        return min(deadline_ns, ask_again_ns)

    def hold(self, source: str, read: ClientRead, master_id: str) -> bool:
        """Hold a read back if only the missing confirmation prevents its answer."""
        member = self._member
        if read.policy != "confirmed" or member.is_lost or member.shows_unflushed:
            return False
        if member.is_confirmed(member.visible[:2]):
            return False
        payload = payload_of(member.readable(), read.collection, read.row_id)
        reply = ClientReply(read.request, "ok", member.visible, payload, "", 0, master_id)
        timeout_ns = member.options.write_concern.timeout_ms * NS_PER_MS
        self.waiting.append(_HeldRead(source, reply, member.now_ns + timeout_ns))
        return True

    def question(self, generation: int) -> AskConfirmed | None:
        """Return the question to send to the master now, or None."""
        now_ns, offset = self._member.now_ns, self.waiting[-1].reply.position.offset
        is_late = self._ask_again_ns is not None and now_ns >= self._ask_again_ns
        if self._asked >= (generation, offset) and not is_late:
            return None
        self._asked = generation, offset
        self._ask_again_ns = now_ns + self._member.options.resend_after_ms * NS_PER_MS
        return AskConfirmed(generation, offset)

    def release(self) -> None:
        """Answer the reads that are confirmed, in order of arrival, and those that timed out."""
        member, waiting = self._member, self.waiting
        while waiting and member.is_confirmed(waiting[0].reply.position[:2]):
            held = waiting.popleft()
            member.outbox.send(held.client, held.reply)
        while waiting and member.now_ns >= waiting[0].deadline_ns:
            held = waiting.popleft()
            late = ClientReply(held.reply.request, "timeout", Position(), "", "", 0, "")
            member.outbox.send(held.client, late)


@dataclass(slots=True)
class _HeldRead:
    client: str
    reply: ClientReply
    deadline_ns: int


def _refusal(member: Member, role: Role, read: ClientRead) -> str:
    if read.policy in MASTER_POLICIES:
        return "not_master"
    if member.is_lost:
        return "no_state"
    if member.shows_unflushed:
        return "unflushed"
    return _policy_refusal(member, role, read)


def _policy_refusal(member: Member, role: Role, read: ClientRead) -> str:
    """Return why a node with flushed state cannot answer under the policy; "" if it can."""
    if lacks_write(member, read):
        return "write_not_in_history"
    if read.policy == "confirmed" and not member.is_confirmed(member.visible[:2]):
        return "unconfirmed"
    if read.policy == "bounded_staleness":
        staleness_ns = role.staleness_ns(member.now_ns)
        if staleness_ns is None or staleness_ns > read.bound_ms * NS_PER_MS:
            return "too_stale"
    return ""
