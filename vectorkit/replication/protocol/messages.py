"""What nodes, and clients, say to each other.

A message within a connection names it first (`generation`); those of an older connection are
dropped. A generation is never used again: it holds the node's incarnation and its boot.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any, Final

from vectorkit.operations import Operation
from vectorkit.records import fast_frozen
from vectorkit.replication.protocol.epochs import KnownIndices, owner_of
from vectorkit.replication.protocol.log import Position, Record
from vectorkit.types import Id

# Within a connection


@fast_frozen
class Hello:
    """A replica asks the master of `epoch` for a connection; `wants` says why it needs all.

    Its promise of that epoch is durable. `position` is where its history ends. `resumes` is the
    offset of the snapshot of which it has chunks from an earlier connection, 0 where it has none.
    """

    generation: int
    index: int
    epoch: int
    position: Position
    wants: str
    resumes: int = 0


@fast_frozen
class StartPartial:
    """The master will stream the records above the replica's position."""

    generation: int
    epoch: int
    head_offset: int


@fast_frozen
class StartFull:
    """The header of a snapshot: where in history it stands, what it must amount to, and why.

    `epochs` are pairs, flattened: each epoch and the offset at which it began. The two histories
    are known to be one up to `shared_offset`. All chunks but the last have `chunk_bytes`.
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
    chunk_bytes: int

    @property
    def snapshot(self) -> tuple[object, ...]:
        """What identifies the snapshot and how it is cut: chunks fit together iff it is equal.

        The epoch is part of it: only one master serves it, so equal chunks are bytes of one source.
        """
        cut = self.chunk_count, self.snapshot_bytes, self.chunk_bytes
        return self.epoch, self.position, self.epochs, self.digest, *cut


@fast_frozen
class Close:
    """The master ends a connection that can go on only by another sync."""

    generation: int
    reason: str


@fast_frozen
class RequestChunks:
    """A replica asks for pieces of the snapshot by number."""

    generation: int
    numbers: tuple[int, ...]


@fast_frozen
class Chunk:
    """One piece of the snapshot with its CRC-32."""

    generation: int
    number: int
    checksum: int
    data: bytes


@fast_frozen
class Records:
    """Consecutive records, and the running hash behind the last of them."""

    generation: int
    records: tuple[Record, ...]
    hash: bytes


@fast_frozen
class Resume:
    """A replica asks again for the records above `offset` up to `until_offset`."""

    generation: int
    offset: int
    until_offset: int


@fast_frozen
class Ack:
    """How far a replica has come; `position` names its last flushed record. Cumulative."""

    generation: int
    position: Position
    received_offset: int
    flushed_offset: int
    applied_offset: int
    visible_offset: int


@fast_frozen
class MasterHeartbeat:
    """The master lives; its head, how far it has sent, and the last beat that it has heard."""

    generation: int
    beat: int
    head_offset: int
    sent_offset: int
    echo_beat: int


@fast_frozen
class ReplicaHeartbeat:
    """A replica lives; its positions, its digest there, and the beat that it answers."""

    generation: int
    beat: int
    ack: Ack
    digest: str
    echo_beat: int
    echo_held_ns: int


@fast_frozen
class AskConfirmed:
    """A replica asks for a notice once the record at `offset` meets the write concern."""

    generation: int
    offset: int


@fast_frozen
class Confirmed:
    """The write concern holds, in the epoch of this connection, up to this offset."""

    generation: int
    offset: int


# Who is master


@fast_frozen
class Seek:
    """A node looks for a master at or above its promise."""

    index: int
    promise: int


@fast_frozen
class Announce:
    """The sender serves this epoch; it has given up the connection of this `generation`, if any."""

    epoch: int
    head_offset: int
    generation: int


@fast_frozen
class Prepare:
    """A candidate, having promised `epoch` itself, asks for the promise of the others."""

    epoch: int
    index: int


@fast_frozen
class Promise:
    """The promise is durable: the last durable record, and the highest offset heard of."""

    epoch: int
    index: int
    last_epoch: int
    flushed_offset: int
    heard_offset: int


@fast_frozen
class Reject:
    """No promise: a higher one was made before, or the node is without state."""

    epoch: int
    index: int
    promise: int
    is_lost: bool


@fast_frozen
class StartElection:
    """A candidate has given its epoch up for the receiver, whose log is the greatest it knows."""

    epoch: int


# Coming back without state


@fast_frozen
class AskPromise:
    """A node without state asks for what others have promised, under its new index.

    `known` is what it knows of all nodes' indices; who answers has stored that before.
    """

    index: int
    known: KnownIndices


@fast_frozen
class TellPromise:
    """The answer to the node of index `asker`, from that of `index`, with all that it knows."""

    asker: int
    index: int
    promise: int
    is_lost: bool
    known: KnownIndices


# Linearizable reads


@fast_frozen
class ConfirmEpoch:
    """A master asks whether the receiver has promised nothing higher."""

    epoch: int
    round: int


@fast_frozen
class EpochConfirmed:
    """It has not, and its state is intact."""

    epoch: int
    round: int
    index: int


# Clients


@fast_frozen
class ClientWrite:
    """One operation, sent once: a client that hears nothing does not know its outcome."""

    request: int
    operation: Operation


@fast_frozen
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


@fast_frozen
class ClientReply:
    """The answer: `outcome` is "ok", "degraded", "timeout", "refused" or "not_master".

    A write's `position` is that of its record, or of the history that it was found to change
    nothing of. A read's is the history that was read, `payload` the row's as JSON, "" where there
    is no such row. `error` is the code of what refused it, or "nothing_written" for a write that
    timed out and is known not to have happened; `confirmed` are the replicas that had confirmed a
    write, `master` is whom the node takes for master.
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
    | AskConfirmed
    | Confirmed
    | Seek
    | Announce
    | Prepare
    | Promise
    | Reject
    | StartElection
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
    StartElection,
    AskPromise,
    TellPromise,
    ConfirmEpoch,
    EpochConfirmed,
    ClientWrite,
    ClientRead,
    ClientReply,
    AskConfirmed,
    Confirmed,
)
"""In the order of their numbers on the wire, which no later kind changes."""

CONNECTION_TYPES: Final = (*MESSAGE_TYPES[:11], AskConfirmed, Confirmed)
"""Those that belong to a connection and name it first."""

MASTER_TYPES: Final = (
    StartPartial,
    StartFull,
    Close,
    Chunk,
    Records,
    MasterHeartbeat,
    Confirmed,
)
"""Those that a master sends within a connection."""

MESSAGE_NAMES: Final = tuple(kind.__name__ for kind in MESSAGE_TYPES)

_INDEX_OF: Final[dict[type, Callable[[Any], int]]] = {
    **dict.fromkeys(
        (Hello, Seek, Prepare, Promise, Reject, AskPromise, TellPromise, EpochConfirmed),
        attrgetter("index"),
    ),
    **dict.fromkeys(
        (StartPartial, StartFull, Announce, StartElection, ConfirmEpoch),
        lambda message: owner_of(message.epoch),
    ),
}


def index_of_sender(message: Message) -> int | None:
    """The index under which a message was sent; None where it names none.

    An epoch names the index of its owner: these messages come from its master or its candidate.

    >>> index_of_sender(Announce(epoch=131073, head_offset=7, generation=0))
    1
    """
    index_of = _INDEX_OF.get(type(message))
    return None if index_of is None else index_of(message)


def known_of(message: Message) -> KnownIndices:
    """All that a message tells of indices: its sender's own, and the record that it carries.

    >>> known_of(Seek(index=257, promise=65536)).newest
    (-1, 257)
    """
    index = index_of_sender(message)
    known = message.known if isinstance(message, AskPromise | TellPromise) else KnownIndices()
    return known if index is None else known.with_newest(index)
