"""Trace events: one frozen class per kind of thing that happens in a simulated cluster.

Times are true times in nanoseconds since the start. `row()` of an event is its canonical encoding:
eight plain fields, of which the trace's hash is computed.
"""

from __future__ import annotations

import json
from typing import Final, get_args

from vectorkit.sim.faults import Fault
from vectorkit.types import Id, value

Row = tuple[int, str, str, str, str, int, int, str]


# Messages


@value
class MessageSent:
    """An endpoint put a message on a link; `number` is the message's own.

    `note` is "copy" for a duplicate that the link made, "corrupt" where the link flipped a bit.
    """

    time_ns: int
    source: str
    target: str
    message: str
    number: int
    size_bytes: int
    note: str = ""

    def row(self) -> Row:
        ends = (self.source, self.target, self.message)
        return (self.time_ns, "send", *ends, self.number, self.size_bytes, self.note)


@value
class MessageLost:
    """A message will never arrive. `reason` is "cut", "loss", "down" or "blocked"."""

    time_ns: int
    source: str
    target: str
    message: str
    number: int
    size_bytes: int
    reason: str

    def row(self) -> Row:
        ends = (self.source, self.target, self.message)
        return (self.time_ns, "lost", *ends, self.number, self.size_bytes, self.reason)


@value
class MessageDelivered:
    """The target took a message."""

    time_ns: int
    source: str
    target: str
    message: str
    number: int
    size_bytes: int

    def row(self) -> Row:
        ends = (self.target, self.source, self.message)
        return (self.time_ns, "deliver", *ends, self.number, self.size_bytes, "")


# The history


@value
class RecordAppended:
    """A master gave an operation its place in the history. `history` is the hash up to there."""

    time_ns: int
    node: str
    operation: str
    offset: int
    epoch: int
    history: str

    def row(self) -> Row:
        fields = (self.operation, self.offset, self.epoch, self.history)
        return (self.time_ns, "append", self.node, "", *fields)


@value
class DiskFlushed:
    """A node's disk completed a write; it holds the history up to `offset` now."""

    time_ns: int
    node: str
    offset: int
    size_bytes: int

    def row(self) -> Row:
        return (self.time_ns, "flush", self.node, "", "", self.offset, self.size_bytes, "")


@value
class HistoryApplied:
    """A node's store holds the history up to `offset`.

    `source` is "stream" for one operation, "snapshot" for a full sync, "replay" for a restart.
    """

    time_ns: int
    node: str
    source: str
    offset: int
    epoch: int
    history: str

    def row(self) -> Row:
        fields = (self.source, self.offset, self.epoch, self.history)
        return (self.time_ns, "apply", self.node, "", *fields)


@value
class HistoryShown:
    """Readers of a node see the history up to `offset`; reported with `refresh_ms` only."""

    time_ns: int
    node: str
    offset: int

    def row(self) -> Row:
        return (self.time_ns, "visible", self.node, "", "", self.offset, 0, "")


@value
class AckSent:
    """A replica told its master how far it is. `epoch` is that of the record at `applied_offset`.

    `is_heartbeat`: the ack travels in a heartbeat.
    """

    time_ns: int
    node: str
    master: str
    is_heartbeat: bool
    epoch: int
    received_offset: int
    flushed_offset: int
    applied_offset: int
    visible_offset: int

    def row(self) -> Row:
        kind = "heartbeat" if self.is_heartbeat else ""
        text = f"{self.received_offset} {self.applied_offset} {self.visible_offset}"
        ends = (self.node, self.master, kind)
        return (self.time_ns, "ack", *ends, self.flushed_offset, self.epoch, text)


@value
class OffsetConfirmed:
    """A master's write concern holds up to `offset`, whose record is of `epoch`."""

    time_ns: int
    node: str
    offset: int
    epoch: int

    def row(self) -> Row:
        return (self.time_ns, "confirm", self.node, "", "", self.offset, self.epoch, "")


@value
class ConcernDegraded:
    """A master answered the write at `offset` before its write concern held, as "degraded"."""

    time_ns: int
    node: str
    offset: int
    replica_count: int
    """How many replicas had confirmed it."""

    def row(self) -> Row:
        return (self.time_ns, "degrade", self.node, "", "", self.offset, self.replica_count, "")


@value
class ConcernTimedOut:
    """A master gave up waiting for the write concern of the write at `offset`."""

    time_ns: int
    node: str
    offset: int
    replica_count: int
    """How many replicas had confirmed it."""

    def row(self) -> Row:
        return (self.time_ns, "timeout", self.node, "", "", self.offset, self.replica_count, "")


@value
class RecordsDiscarded:
    """A node took over a history without `count` of the operations that it had acknowledged."""

    time_ns: int
    node: str
    count: int
    shared_offset: int
    """The last offset that both histories share."""

    def row(self) -> Row:
        return (self.time_ns, "discard", self.node, "", "", self.count, self.shared_offset, "")


@value
class RecordQuarantined:
    """A node could not apply the operation at `offset`; `error` is the code of the error."""

    time_ns: int
    node: str
    offset: int
    error: str

    def row(self) -> Row:
        return (self.time_ns, "quarantine", self.node, "", "", self.offset, 0, self.error)


@value
class DigestTaken:
    """A digest of a node's store at `offset`.

    `moment` is "snapshot" where a master gives the store away, "install" where a replica takes it,
    "end" at the end of the run; then `history` holds the first 8 bytes of the history's hash.
    """

    time_ns: int
    node: str
    moment: str
    offset: int
    history: int
    digest: str

    def row(self) -> Row:
        fields = (self.moment, self.offset, self.history, self.digest)
        return (self.time_ns, "digest", self.node, "", *fields)


# Nodes


@value
class NodeStarted:
    """A node started: `cause` is "first" or "restart", `boot` counts its starts."""

    time_ns: int
    node: str
    cause: str
    boot: int

    def row(self) -> Row:
        return (self.time_ns, "start", self.node, "", self.cause, self.boot, 0, "")


@value
class NodeCrashed:
    """A node crashed.

    `kind` is "torn" where its disk kept `kept_count` records that were not yet flushed,
    "lost_disk" where the disk is gone, else empty.
    """

    time_ns: int
    node: str
    kind: str
    kept_count: int

    def row(self) -> Row:
        return (self.time_ns, "crash", self.node, "", self.kind, self.kept_count, 0, "")


@value
class RoleTaken:
    """A node took a role: "master", "replica", "candidate" or "returning".

    `epoch` is what a master serves and a candidate asks for. `is_forced`: the epoch began without
    a quorum. `cause` says why a candidate started its election.
    """

    time_ns: int
    node: str
    role: str
    epoch: int
    is_forced: bool
    cause: str

    def row(self) -> Row:
        fields = (self.role, self.epoch, int(self.is_forced), self.cause)
        return (self.time_ns, "role", self.node, "", *fields)


@value
class EpochPromised:
    """A node's promise of an epoch is durable."""

    time_ns: int
    node: str
    epoch: int

    def row(self) -> Row:
        return (self.time_ns, "promise", self.node, "", "", self.epoch, 0, "")


@value
class StateLost:
    """A node found no intact state on its disk; `index` is its new index, `reason` says why."""

    time_ns: int
    node: str
    index: int
    reason: str

    def row(self) -> Row:
        return (self.time_ns, "lost_state", self.node, "", "", self.index, 0, self.reason)


@value
class IndexRetired:
    """A node refuses an index from now on."""

    time_ns: int
    node: str
    index: int

    def row(self) -> Row:
        return (self.time_ns, "retire", self.node, "", "", self.index, 0, "")


@value
class SyncReported:
    """A sync with `peer` went on. A replica reports its own with `peer` equal to `node`.

    `kind` is "full" or "partial", `phase` is "started", "finished" or "lost".
    """

    time_ns: int
    node: str
    peer: str
    kind: str
    phase: str
    reason: str

    def row(self) -> Row:
        text = f"{self.phase} {self.reason}".rstrip()
        return (self.time_ns, "sync", self.node, self.peer, self.kind, 0, 0, text)


@value
class HealthChanged:
    """The health of `node` as `master` sees it is another; without a master, `master` is empty."""

    time_ns: int
    master: str
    node: str
    status: str

    def row(self) -> Row:
        return (self.time_ns, "status", self.master, self.node, self.status, 0, 0, "")


# Clients


@value
class RequestInvoked:
    """A client sent a request to a node. `kind` is "write", "delete" or "read".

    A write's value is its own request number: it goes into the payload of the row as `"w"`.
    """

    time_ns: int
    client: str
    node: str
    kind: str
    request: int
    key: Id
    policy: str = ""
    """The read policy; empty for writes."""
    token: tuple[int, int] = (0, 0)
    """(epoch, offset) of the newest history that the client has seen."""
    bound_ms: int | None = None
    """The bound of a read under `bounded_staleness`; None without one."""

    def row(self) -> Row:
        epoch, offset = self.token
        key = json.dumps(self.key, ensure_ascii=False)
        bound = "" if self.bound_ms is None else f',"bound_ms":{self.bound_ms}'
        text = f'{{"key":{key},"policy":"{self.policy}","token":[{epoch},{offset}]{bound}}}'
        return (self.time_ns, "invoke", self.client, self.node, self.kind, self.request, 0, text)


@value
class RequestCompleted:
    """A client got the answer to a request, or gave it up.

    `outcome` is "ok", "degraded", "timeout", "refused", "not_master" or "silent" (no answer came).
    The position is that of the record written, or the end of the history read.
    """

    time_ns: int
    client: str
    node: str
    outcome: str
    request: int
    offset: int
    epoch: int
    history: str
    value: int
    """What a read found: the request number of the write, 0 for a row that no request wrote, −1
    where there is no row."""
    error: str

    def row(self) -> Row:
        text = (
            f'{{"epoch":{self.epoch},"error":"{self.error}",'
            f'"hash":"{self.history}","value":{self.value}}}'
        )
        ends = (self.client, self.node, self.outcome)
        return (self.time_ns, "complete", *ends, self.request, self.offset, text)


# Faults


@value
class FaultChanged:
    """A fault began or ended: `phase` is "start", "end", or "none" where there was no master.

    `fault` names the node that was master instead of CURRENT_MASTER.
    """

    time_ns: int
    phase: str
    number: int
    fault: Fault

    def row(self) -> Row:
        text = json.dumps(self.fault.to_dict(), separators=(",", ":"))
        return (self.time_ns, "fault", "", "", self.phase, self.number, 0, text)


NodeEvent = (
    RecordAppended
    | DiskFlushed
    | HistoryApplied
    | HistoryShown
    | AckSent
    | OffsetConfirmed
    | ConcernDegraded
    | ConcernTimedOut
    | RecordsDiscarded
    | RecordQuarantined
    | DigestTaken
    | NodeStarted
    | NodeCrashed
    | RoleTaken
    | EpochPromised
    | StateLost
    | IndexRetired
    | SyncReported
)
"""What a node did, or what happened to it: `node` names it."""

TraceEvent = (
    MessageSent
    | MessageLost
    | MessageDelivered
    | NodeEvent
    | HealthChanged
    | RequestInvoked
    | RequestCompleted
    | FaultChanged
)
EVENT_TYPES: Final[tuple[type[TraceEvent], ...]] = get_args(TraceEvent)
NODE_EVENTS: Final[tuple[type[NodeEvent], ...]] = get_args(NodeEvent)
MESSAGE_EVENTS: Final = (MessageSent, MessageLost, MessageDelivered)
