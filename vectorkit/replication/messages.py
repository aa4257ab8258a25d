"""What nodes, and clients, say to each other.

A message within a connection names it first (`generation`); those of an older connection are
dropped. A generation is never used again: it holds the node's incarnation and its boot.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeVar, dataclass_transform

from vectorkit.operations import Operation
from vectorkit.replication.log import Position, Record
from vectorkit.types import Id

_Kind = TypeVar("_Kind")


@dataclass_transform(frozen_default=True)
def message(kind: type[_Kind]) -> type[_Kind]:
    """A record that nobody changes. The type checker sees to that: frozen at run time, it would
    take three times as long to make, and one is made for almost every event."""
    return dataclass(slots=True, unsafe_hash=True)(kind)


# Within a connection


@message
class Hello:
    """A replica asks the master of `epoch` for a connection; `wants` says why it needs all.

    Its promise of that epoch is durable. `position` is where its history ends.
    """

    generation: int
    index: int
    epoch: int
    position: Position
    wants: str


@message
class StartPartial:
    """The master will stream the records above the replica's position."""

    generation: int
    epoch: int
    head_offset: int


@message
class StartFull:
    """The header of a snapshot: where in history it stands, what it must amount to, and why.

    `epochs` are pairs, flattened: each epoch and the offset at which it began. The two histories
    are known to be one up to `shared_offset`.
    """

    generation: int
    epoch: int
    reason: str
    position: Position
    epochs: tuple[int, ...]
    shared_offset: int
    digest: str
    chunk_count: int
    snapshot_bytes: int


@message
class Close:
    """The master ends a connection that can go on only by another sync."""

    generation: int
    reason: str


@message
class RequestChunks:
    """A replica asks for pieces of the snapshot by number."""

    generation: int
    numbers: tuple[int, ...]


@message
class Chunk:
    """One piece of the snapshot with its CRC-32."""

    generation: int
    number: int
    checksum: int
    data: bytes


@message
class Records:
    """Consecutive records, and the running hash behind the last of them."""

    generation: int
    records: tuple[Record, ...]
    hash: bytes


@message
class Resume:
    """A replica asks again for the records above `offset` up to `until_offset`."""

    generation: int
    offset: int
    until_offset: int


@message
class Ack:
    """How far a replica has come; `position` names its last flushed record. Cumulative."""

    generation: int
    position: Position
    received_offset: int
    flushed_offset: int
    applied_offset: int
    visible_offset: int


@message
class MasterHeartbeat:
    """The master lives; its head, how far it has sent, and the last beat that it has heard."""

    generation: int
    beat: int
    head_offset: int
    sent_offset: int
    echo_beat: int


@message
class ReplicaHeartbeat:
    """A replica lives; its positions, its digest there, and the beat that it answers."""

    generation: int
    beat: int
    ack: Ack
    digest: str
    echo_beat: int
    echo_held_ns: int


# Who is master


@message
class Seek:
    """A node looks for a master at or above its promise."""

    index: int
    promise: int


@message
class Announce:
    """The sender serves this epoch; it has given up the connection of this `generation`, if any."""

    epoch: int
    head_offset: int
    generation: int


@message
class Prepare:
    """A candidate, having promised `epoch` itself, asks for the promise of the others."""

    epoch: int
    index: int


@message
class Promise:
    """The promise is durable: the last durable record, and the highest offset heard of."""

    epoch: int
    index: int
    last_epoch: int
    flushed_offset: int
    heard_offset: int


@message
class Reject:
    """No promise: a higher one was made before, or the node is without state."""

    epoch: int
    index: int
    promise: int
    is_lost: bool


@message
class Stand:
    """A candidate has given its epoch up for the receiver, whose log is the greatest it knows."""

    epoch: int


# Coming back without state


@message
class AskPromise:
    """A node without state asks for what others have promised, under its new index."""

    index: int


@message
class TellPromise:
    """The answer to the node of that index."""

    index: int
    promise: int
    is_lost: bool


# Linearizable reads


@message
class ConfirmEpoch:
    """A master asks whether the receiver has promised nothing higher."""

    epoch: int
    round: int


@message
class EpochConfirmed:
    """It has not, and its state is intact."""

    epoch: int
    round: int
    index: int


# Clients


@message
class ClientWrite:
    """One operation, sent once: a client that hears nothing does not know its outcome."""

    request: int
    operation: Operation


@message
class ClientRead:
    """The payload of one row, under a policy (see `replication.routing`).

    `epoch` and `offset` name a record that a node must have to answer `read_your_writes`;
    `bound_ms` is that of `bounded_staleness`.
    """

    request: int
    policy: str
    collection: str
    row_id: Id
    bound_ms: int
    epoch: int
    offset: int


@message
class ClientReply:
    """The answer: `outcome` is "ok", "degraded", "timeout", "refused" or "not_master".

    A write's `position` is that of its record. A read's is the history that was read, `payload`
    the row's as JSON, "" where there is no such row. `error` is the code of what refused it,
    `confirmed` the replicas that had confirmed a write, `master` whom the node takes for master.
    """

    request: int
    outcome: str
    position: Position
    payload: str
    error: str
    confirmed: int
    master: str


Message = (
    Hello
    | StartPartial
    | StartFull
    | Close
    | RequestChunks
    | Chunk
    | Records
    | Resume
    | Ack
    | MasterHeartbeat
    | ReplicaHeartbeat
    | Seek
    | Announce
    | Prepare
    | Promise
    | Reject
    | Stand
    | AskPromise
    | TellPromise
    | ConfirmEpoch
    | EpochConfirmed
    | ClientWrite
    | ClientRead
    | ClientReply
)

MESSAGE_TYPES: Final = (
    Hello,
    StartPartial,
    StartFull,
    Close,
    RequestChunks,
    Chunk,
    Records,
    Resume,
    Ack,
    MasterHeartbeat,
    ReplicaHeartbeat,
    Seek,
    Announce,
    Prepare,
    Promise,
    Reject,
    Stand,
    AskPromise,
    TellPromise,
    ConfirmEpoch,
    EpochConfirmed,
    ClientWrite,
    ClientRead,
    ClientReply,
)
"""In the order of their numbers on the wire."""

CONNECTION_TYPES: Final = MESSAGE_TYPES[:11]
"""Those that belong to a connection and name it first."""
