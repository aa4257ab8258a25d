"""What nodes say to each other.

Every message names the connection (`generation`) that it belongs to; those of an older connection
are dropped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from vectorkit.replication.log import Position, Record


@dataclass(frozen=True, slots=True)
class Hello:
    """A replica asks for a connection from where it stands; `wants` says why it needs all."""

    generation: int
    position: Position
    wants: str


@dataclass(frozen=True, slots=True)
class StartPartial:
    """The master will stream the records above the replica's position."""

    generation: int
    epoch: int
    head_offset: int


@dataclass(frozen=True, slots=True)
class StartFull:
    """The header of a snapshot: where in history it stands, what it must amount to, and why."""

    generation: int
    epoch: int
    reason: str
    position: Position
    digest: str
    chunk_count: int
    snapshot_bytes: int


@dataclass(frozen=True, slots=True)
class Close:
    """The master ends a connection that can go on only by another sync."""

    generation: int
    reason: str


@dataclass(frozen=True, slots=True)
class RequestChunks:
    """A replica asks for pieces of the snapshot by number."""

    generation: int
    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Chunk:
    """One piece of the snapshot with its CRC-32."""

    generation: int
    number: int
    checksum: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Records:
    """Consecutive records, and the running hash behind the last of them."""

    generation: int
    records: tuple[Record, ...]
    hash: bytes


@dataclass(frozen=True, slots=True)
class Resume:
    """A replica asks again for the records above `offset` up to `until_offset`."""

    generation: int
    offset: int
    until_offset: int


@dataclass(frozen=True, slots=True)
class Ack:
    """How far a replica has come; `position` names its last flushed record. Cumulative."""

    generation: int
    position: Position
    received_offset: int
    flushed_offset: int
    applied_offset: int
    visible_offset: int


@dataclass(frozen=True, slots=True)
class MasterHeartbeat:
    """The master lives; its head, and how far it has sent on this connection."""

    generation: int
    beat: int
    head_offset: int
    sent_offset: int


@dataclass(frozen=True, slots=True)
class ReplicaHeartbeat:
    """A replica lives; its positions, its digest there, and the beat that it answers."""

    generation: int
    beat: int
    ack: Ack
    digest: str
    echo_beat: int
    echo_held_ns: int


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
)
"""In the order of their numbers on the wire."""
