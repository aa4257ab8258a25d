"""What a node asks its driver to do, and what it tells it: it does no input or output itself."""

from __future__ import annotations

from typing import Final, Literal

from vectorkit.records import fast_frozen
from vectorkit.replication.protocol.durable import LogChange
from vectorkit.replication.protocol.log import Position
from vectorkit.replication.protocol.messages import Message

Writer = tuple[str, int | None]
"""The client and the request that a record is of."""

NoteName = Literal[
    "promise",
    "visible",
    "confirm",
    "degrade",
    "timeout",
    "discard",
    "quarantine",
    "digest",
    "lost_state",
    "retire",
]
"""The facts that a node notes, by the names that `Noted` explains."""

NO_CLIENT: Final[Writer] = ("", None)
"""The writer of what no client has asked for."""


@fast_frozen
class Send:
    """Put a message on the link to a node or a client.

    >>> from vectorkit.replication.protocol.messages import Close
    >>> Send("node-1", Close(generation=1, reason="too_old"), size_bytes=18).target
    'node-1'
    """

    target: str
    message: Message
    size_bytes: int


@fast_frozen
class SetTimer:
    """Call `tick` at this time of the node's clock; it replaces the timer set before.

    >>> SetTimer(at_ns=500_000_000).at_ns
    500000000
    """

    at_ns: int


@fast_frozen
class Persist:
    """Write these changes to the disk, all or none, after those before; then call `persisted`.

    `size_bytes` is what they take on the disk. After a crash, records of changes that were not
    confirmed may be there in part, and nothing else of them.

    >>> Persist(1, (), 0).number
    1
    """

    number: int
    changes: tuple[LogChange, ...]
    size_bytes: int


@fast_frozen
class Appended:
    """A master has given an operation its place in history; no disk holds it yet.

    `client` and `request` name the request that it is the record of: "" and None for what was
    written to the store directly, and for the start of an epoch.

    >>> Appended(Position(epoch=65536, offset=1), "EpochStart").operation_type
    'EpochStart'
    """

    position: Position
    operation_type: str
    client: str = ""
    request: int | None = None


@fast_frozen
class Applied:
    """The store holds the history up to here.

    `source` is "stream" for one operation, "snapshot" for a full sync, "replay" for a restart.

    >>> Applied(Position(offset=7), "snapshot").source
    'snapshot'
    """

    position: Position
    source: str


@fast_frozen
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


@fast_frozen
class RoleChanged:
    """A node has another role: "master", "replica", "candidate" or "returning".

    `is_forced`: the epoch began without enough intact answers, and guarantees nothing. `detail` is
    why a candidate stands.

    >>> RoleChanged("master", epoch=65536).role
    'master'
    """

    role: str
    epoch: int
    is_forced: bool = False
    detail: str = ""


@fast_frozen
class Noted:
    """Anything else worth an event of a trace.

    `event` is one of

    - "promise": the promise of epoch `number` is durable;
    - "visible": readers see the history up to offset `number`;
    - "confirm": the write concern holds up to offset `number`, whose record is of epoch `value`;
    - "degrade", "timeout": the write at offset `number` was answered before it did; `value`
      replicas had confirmed;
    - "discard": `number` operations that this node had acknowledged are not in the history that
      it has taken over;
    - "quarantine": the operation at offset `number` could not be applied, `text` says why;
    - "digest": the store at offset `number` has the digest `text`; `kind` is "snapshot" where a
      master gives it away, "install" where a replica has taken it;
    - "lost_state": the disk holds no intact state, `text` says why;
    - "retire": index `number` is refused from now on.

    >>> Noted("promise", number=65537).event
    'promise'
    """

    event: NoteName
    number: int = 0
    value: int = 0
    text: str = ""
    kind: Literal["", "snapshot", "install"] = ""


Effect = Send | SetTimer | Persist | Appended | Applied | SyncChanged | RoleChanged | Noted
"""A request of a node to the machine that it runs on, or a note of what it did."""
