"""Trace events: one frozen class per kind of thing that happens in a simulated cluster.

Times are true times in nanoseconds since the start. `row()` of an event is its canonical encoding:
eight plain fields, of which the trace's hash is computed.
"""

from __future__ import annotations

import json
from typing import Final, get_args

from vectorkit.records import fast_frozen
from vectorkit.sim.faults.faults import Fault
from vectorkit.sim.world.node_events import (
    NODE_EVENTS,
    AckSent,
    AnswerSent,
    ConcernDegraded,
    ConcernTimedOut,
    DigestTaken,
    DiskFlushed,
    EpochPromised,
    FlushTaken,
    HistoryApplied,
    HistoryShown,
    IndexRetired,
    NodeCrashed,
    NodeEvent,
    NodeStarted,
    OffsetConfirmed,
    RecordAppended,
    RecordQuarantined,
    RecordsDiscarded,
    RoleTaken,
    Row,
    StateLost,
    SyncReported,
)
from vectorkit.types import Id

# Messages


@fast_frozen
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


@fast_frozen
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


@fast_frozen
class MessageDelivered:
    """A message arrived and its target accepted it."""

    time_ns: int
    source: str
    target: str
    message: str
    number: int
    size_bytes: int

    def row(self) -> Row:
        ends = (self.target, self.source, self.message)
        return (self.time_ns, "deliver", *ends, self.number, self.size_bytes, "")


# Health


@fast_frozen
class HealthChanged:
    """The health of `node` in the view of `master` changed; without one `master` is empty."""

    time_ns: int
    master: str
    node: str
    status: str

    def row(self) -> Row:
        return (self.time_ns, "status", self.master, self.node, self.status, 0, 0, "")


# Clients


@fast_frozen
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


@fast_frozen
class RequestCompleted:
    """A client received the answer to a request, or stopped waiting for it.

    `outcome` is "ok", "degraded", "timeout", "refused", "not_master" or "silent" (no answer came).
    The position is that of the written record, or the end of the history that was read.
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
    """The result of a read: the request number of the write, 0 for a row that no request wrote,
    −1 if there is no row."""
    error: str

    def row(self) -> Row:
        text = (
            f'{{"epoch":{self.epoch},"error":"{self.error}",'
            f'"hash":"{self.history}","value":{self.value}}}'
        )
        ends = (self.client, self.node, self.outcome)
        return (self.time_ns, "complete", *ends, self.request, self.offset, text)


# Faults


@fast_frozen
class FaultChanged:
    """A fault began or ended: `phase` is "start", "end", or "none" if there was no master.

    `fault` names the node that was master instead of CURRENT_MASTER.
    """

    time_ns: int
    phase: str
    number: int
    fault: Fault

    def row(self) -> Row:
        text = json.dumps(self.fault.to_dict(), separators=(",", ":"))
        return (self.time_ns, "fault", "", "", self.phase, self.number, 0, text)


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
MESSAGE_EVENTS: Final = (MessageSent, MessageLost, MessageDelivered)

__all__ = [
    "EVENT_TYPES",
    "MESSAGE_EVENTS",
    "NODE_EVENTS",
    "AckSent",
    "AnswerSent",
    "ConcernDegraded",
    "ConcernTimedOut",
    "DigestTaken",
    "DiskFlushed",
    "EpochPromised",
    "FaultChanged",
    "FlushTaken",
    "HealthChanged",
    "HistoryApplied",
    "HistoryShown",
    "IndexRetired",
    "MessageDelivered",
    "MessageLost",
    "MessageSent",
    "NodeCrashed",
    "NodeEvent",
    "NodeStarted",
    "OffsetConfirmed",
    "RecordAppended",
    "RecordQuarantined",
    "RecordsDiscarded",
    "RequestCompleted",
    "RequestInvoked",
    "RoleTaken",
    "Row",
    "StateLost",
    "SyncReported",
    "TraceEvent",
]
