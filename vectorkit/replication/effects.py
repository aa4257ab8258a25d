"""What a node asks its driver to do: it does no input or output itself."""

from __future__ import annotations

from dataclasses import dataclass

from vectorkit.replication.log import Position
from vectorkit.replication.messages import Message


@dataclass(frozen=True, slots=True)
class Send:
    """Put a message on the link to a node.

    >>> from vectorkit.replication import ReplicaNode
    >>> node = ReplicaNode("node-1", master_id="node-0", now_ns=0)
    >>> [effect.target for effect in node.tick(now_ns=0) if isinstance(effect, Send)]
    ['node-0']
    """

    target: str
    message: Message
    size_bytes: int


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Call `tick` at this time of the node's clock; it replaces the timer set before.

    >>> from vectorkit.replication import ReplicaNode
    >>> ReplicaNode("node-1", master_id="node-0", now_ns=0).tick(now_ns=0)[-1]
    SetTimer(at_ns=500000000)
    """

    at_ns: int


@dataclass(frozen=True, slots=True)
class Applied:
    """The store now holds the history up to here, by an operation or by a snapshot.

    >>> from vectorkit.replication import MasterNode
    >>> node = MasterNode("node-0", replica_ids=[], now_ns=0)
    >>> node.flush(now_ns=0)[0].position.offset
    1
    """

    position: Position
    operation_type: str = ""
    """Of the operation that the log has just got; by the time of reading it may have let go."""
    is_by_snapshot: bool = False


@dataclass(frozen=True, slots=True)
class SyncChanged:
    """A sync with a node begins or ends: what kind, and why.

    `phase` is "started", "finished" or "lost", `kind` is "full" or "partial".

    >>> SyncChanged("node-1", "started", "full", "first_sync").kind
    'full'
    """

    peer: str
    phase: str
    kind: str
    reason: str = ""


Effect = Send | SetTimer | Applied | SyncChanged
