"""Trace events of nodes: changes of their history, disk, role and syncs."""

from __future__ import annotations

from typing import Final, get_args

from vectorkit.records import fast_frozen

Row = tuple[int, str, str, str, str, int, int, str]
"""The canonical encoding of an event: time, event, node, peer, kind, number, value, text."""


# The history


@fast_frozen
class RecordAppended:
    """A master appended an operation to its log. `history` is the hash up to this record.

    `client` and `request` name the request that caused the record. They are "" and None for a
    notebook's write and for the start of an epoch.
    """

    time_ns: int
    node: str
    operation: str
    offset: int
    epoch: int
    history: str
    client: str = ""
    request: int | None = None

    def row(self) -> Row:
        stated = self.history if self.request is None else f"{self.history}|{self.request}"
        fields = (self.operation, self.offset, self.epoch, stated)
        return (self.time_ns, "append", self.node, self.client, *fields)


@fast_frozen
class DiskFlushed:
    """A node's disk completed a write; it holds the history up to `offset` now.

    `is_waiting`: the node is busy; a later `FlushTaken` tells when it handles the completion.
    """

    time_ns: int
    node: str
    offset: int
    size_bytes: int
    is_waiting: bool = False

    def row(self) -> Row:
        kind = "waiting" if self.is_waiting else ""
        return (self.time_ns, "flush", self.node, "", kind, self.offset, self.size_bytes, "")


@fast_frozen
class FlushTaken:
    """A node that was busy handles a completed write of its disk."""

    time_ns: int
    node: str
    offset: int

    def row(self) -> Row:
        return (self.time_ns, "flush_taken", self.node, "", "", self.offset, 0, "")


@fast_frozen
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


@fast_frozen
class HistoryShown:
    """Readers of a node see the history up to `offset`; reported with `refresh_ms` only."""

    time_ns: int
    node: str
    offset: int

    def row(self) -> Row:
        return (self.time_ns, "visible", self.node, "", "", self.offset, 0, "")


@fast_frozen
class AckSent:
    """A replica acked its offsets to its master. `epoch` is of the record at `applied_offset`.

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


@fast_frozen
class OffsetConfirmed:
    """A master's write concern holds up to `offset`, whose record is of `epoch`."""

    time_ns: int
    node: str
    offset: int
    epoch: int

    def row(self) -> Row:
        return (self.time_ns, "confirm", self.node, "", "", self.offset, self.epoch, "")


@fast_frozen
class ConcernDegraded:
    """A master answered the write at `offset` before its write concern held, as "degraded"."""

    time_ns: int
    node: str
    offset: int
    replica_count: int
    """How many replicas had confirmed it."""

    def row(self) -> Row:
        return (self.time_ns, "degrade", self.node, "", "", self.offset, self.replica_count, "")


@fast_frozen
class ConcernTimedOut:
    """A master gave up waiting for the write concern of the write at `offset`."""

    time_ns: int
    node: str
    offset: int
    replica_count: int
    """How many replicas had confirmed it."""

    def row(self) -> Row:
        return (self.time_ns, "timeout", self.node, "", "", self.offset, self.replica_count, "")


@fast_frozen
class AnswerSent:
    """A node answered a request of a client; the position is the one that the answer names."""

    time_ns: int
    node: str
    client: str
    outcome: str
    request: int
    offset: int
    epoch: int

    def row(self) -> Row:
        ends = (self.node, self.client, self.outcome)
        return (self.time_ns, "answer", *ends, self.request, self.offset, str(self.epoch))


@fast_frozen
class RecordsDiscarded:
    """A node adopted a history that lacks `count` operations which it had acknowledged."""

    time_ns: int
    node: str
    count: int
    shared_offset: int
    """The last offset that is in both histories."""

    def row(self) -> Row:
        return (self.time_ns, "discard", self.node, "", "", self.count, self.shared_offset, "")


@fast_frozen
class RecordQuarantined:
    """A node could not apply the operation at `offset`; `error` is the code of the error."""

    time_ns: int
    node: str
    offset: int
    error: str

    def row(self) -> Row:
        return (self.time_ns, "quarantine", self.node, "", "", self.offset, 0, self.error)


@fast_frozen
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


@fast_frozen
class NodeStarted:
    """A node started: `cause` is "first" or "restart", `boot` counts its starts."""

    time_ns: int
    node: str
    cause: str
    boot: int

    def row(self) -> Row:
        return (self.time_ns, "start", self.node, "", self.cause, self.boot, 0, "")


@fast_frozen
class NodeCrashed:
    """A node crashed.

    `kind` is "torn" if its disk kept `kept_count` records that were not yet flushed,
    "lost_disk" if the disk is lost, else empty.
    """

    time_ns: int
    node: str
    kind: str
    kept_count: int

    def row(self) -> Row:
        return (self.time_ns, "crash", self.node, "", self.kind, self.kept_count, 0, "")


@fast_frozen
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


@fast_frozen
class EpochPromised:
    """A node's promise of an epoch is durable."""

    time_ns: int
    node: str
    epoch: int

    def row(self) -> Row:
        return (self.time_ns, "promise", self.node, "", "", self.epoch, 0, "")


@fast_frozen
class StateLost:
    """A node found no intact state on its disk; `index` is its new index, `reason` says why."""

    time_ns: int
    node: str
    index: int
    reason: str

    def row(self) -> Row:
        return (self.time_ns, "lost_state", self.node, "", "", self.index, 0, self.reason)


@fast_frozen
class IndexRetired:
    """A node refuses an index from now on."""

    time_ns: int
    node: str
    index: int

    def row(self) -> Row:
        return (self.time_ns, "retire", self.node, "", "", self.index, 0, "")


@fast_frozen
class SyncReported:
    """A sync with `peer` changed. A replica reports its own sync with `peer` equal to `node`.

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


NodeEvent = (
    RecordAppended
    | DiskFlushed
    | FlushTaken
    | AnswerSent
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
"""Events of one node, which `node` names."""
NODE_EVENTS: Final[tuple[type[NodeEvent], ...]] = get_args(NodeEvent)
