"""Full syncs: a pinned snapshot cut into chunks, and chunks put together again."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from functools import cached_property
from typing import Final

from vectorkit.errors import CorruptSnapshot, VectorKitError
from vectorkit.operations import Operation, decode, encode
from vectorkit.replication.protocol.log import Position
from vectorkit.replication.protocol.messages import Chunk, StartFull
from vectorkit.replication.protocol.options import ReplicationOptions, first_wait_ns, longer
from vectorkit.replication.protocol.wire import wire_size
from vectorkit.store import StoreSnapshot, VectorStore, store_of

_LENGTH: Final = struct.Struct("<Q")
_UNREADABLE: Final = (VectorKitError, ValueError, LookupError, TypeError, struct.error)
"""What reading bytes raises that no master has written."""


class SnapshotSource:
    """A snapshot at a point in history, pinned in constant time, encoded when needed."""

    def __init__(
        self,
        snapshot: StoreSnapshot,
        position: Position,
        digest: str,
        chunk_bytes: int,
        epochs: tuple[tuple[int, int], ...],
    ) -> None:
        self.position = position
        self.digest = digest
        self._snapshot = snapshot
        self._chunk_bytes = chunk_bytes
        self._epochs = epochs

    def header(self, generation: int, epoch: int, reason: str, shared_offset: int) -> StartFull:
        """Return the message that precedes the chunks."""
        return StartFull(
            generation,
            epoch,
            reason,
            self.position,
            tuple(number for pair in self._epochs for number in pair),
            shared_offset,
            self.digest,
            self.chunk_count,
            len(self.data),
            self._chunk_bytes,
        )

    @cached_property
    def data(self) -> bytes:
        """The operations that rebuild the store, each behind its length."""
        parts = []
        for operation in self._snapshot.operations():
            encoded = encode(operation)
            parts += [_LENGTH.pack(len(encoded)), encoded]
        return b"".join(parts)

    @property
    def chunk_count(self) -> int:
        """How many chunks carry the data; none where there is none."""
        return -(-len(self.data) // self._chunk_bytes)

    @property
    def chunks_wire_bytes(self) -> int:
        """What all chunks together take on the wire."""
        return self.chunk_count * wire_size(Chunk(0, 0, 0, b"")) + len(self.data)

    def chunk(self, generation: int, number: int) -> Chunk:
        """One piece with its checksum."""
        piece = self.data[number * self._chunk_bytes : (number + 1) * self._chunk_bytes]
        return Chunk(generation, number, zlib.crc32(piece), piece)


class SnapshotAssembly:
    """The receiver of a full sync: it requests chunks, a few at a time, and lost chunks again.

    It takes over the chunks that an earlier connection received of the same snapshot, and no
    chunks of any other snapshot.
    """

    def __init__(
        self,
        header: StartFull,
        options: ReplicationOptions,
        earlier: SnapshotAssembly | None = None,
    ) -> None:
        self.header = header
        self._window = options.chunk_window
        self._least_ms = options.resend_after_ms
        self._first_ns = self._patience_ns = first_wait_ns(self._least_ms, None)
        self._is_doubtful = False
        """Whether chunks were late, and none that was asked for once has come since."""
        self._pieces: dict[int, bytes] = {}
        self._asked_ns: dict[int, int] = {}
        self._once_ns: dict[int, int] = {}
        """When those chunks were asked for that were asked for once so far."""
        self._next = 0
        self.wire_bytes = wire_size(header)
        """What header and chunks have taken on the wire so far, each piece once."""
        if earlier is not None and earlier.header.snapshot == header.snapshot:
            self._pieces = earlier._pieces
            self.wire_bytes = earlier.wire_bytes

    @property
    def is_complete(self) -> bool:
        """Whether every chunk has come."""
        return len(self._pieces) == self.header.chunk_count

    @property
    def next_deadline_ns(self) -> int | None:
        """When a chunk that was asked for counts as lost."""
        return min(self._asked_ns.values()) + self._patience_ns if self._asked_ns else None

    def accept(self, chunk: Chunk, now_ns: int) -> bool:
        """Keep a piece and say whether it was new; a damaged one is as good as lost."""
        is_whole = zlib.crc32(chunk.data) == chunk.checksum
        is_new = self._asked_ns.pop(chunk.number, None) is not None if is_whole else False
        if is_new:
            self._pieces[chunk.number] = chunk.data
            self.wire_bytes += wire_size(chunk)
            asked_ns = self._once_ns.pop(chunk.number, None)
            if asked_ns is not None:  # Another answer may be to any of its questions.
                self._first_ns = first_wait_ns(self._least_ms, now_ns - asked_ns)
                self._patience_ns, self._is_doubtful = self._first_ns, False
        return is_new

    def due(self, now_ns: int) -> tuple[int, ...]:
        """Return the chunks to ask for now: those that are late, and new ones up to the window.

        The question may be lost, or the link slow. So all late chunks are asked for again once,
        then the first of them alone, until a chunk that was asked for once comes.
        """
        late = [
            number
            for number, asked_ns in self._asked_ns.items()
            if now_ns >= asked_ns + self._patience_ns
        ]
        numbers = late[:1] if self._is_doubtful else late[:]
        for number in late:
            self._asked_ns[number] = now_ns
        for number in numbers:
            self._once_ns.pop(number, None)
        if late:
            self._patience_ns = longer(self._patience_ns, self._first_ns)
            self._is_doubtful = True
        while len(self._asked_ns) < self._window and self._next < self.header.chunk_count:
            if self._next not in self._pieces:
                self._asked_ns[self._next] = self._once_ns[self._next] = now_ns
                numbers.append(self._next)
            self._next += 1
        return tuple(numbers)

    def build(self) -> VectorStore:
        """The store of this snapshot, built aside. Raises CorruptSnapshot where it is not equal."""
        data = b"".join(self._pieces[number] for number in range(self.header.chunk_count))
        try:
            store = store_of(_operations(data))
        except _UNREADABLE as error:
            raise self._corrupt(data, repr(error)) from error
        if len(data) != self.header.snapshot_bytes or store.digest() != self.header.digest:
            raise self._corrupt(data, f"digest {store.digest()}")
        return store

    def _corrupt(self, data: bytes, got: str) -> CorruptSnapshot:
        return CorruptSnapshot(
            "the snapshot does not amount to what its header says",
            got=f"{len(data)} bytes, {got}",
            wanted=f"{self.header.snapshot_bytes} bytes, digest {self.header.digest}",
            remedy="sync again from a master with an intact store",
        )


def _operations(data: bytes) -> Iterator[Operation]:
    view, at = memoryview(data), 0
    while at < len(view):
        start = at + _LENGTH.size
        at = start + _LENGTH.unpack_from(view, at)[0]
        yield decode(view[start:at])
