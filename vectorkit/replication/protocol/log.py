"""The replication log: offsets, running hash, and a ring of the latest operations."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from struct import Struct
from typing import Final, NamedTuple

import xxhash

from vectorkit.errors import OperationTooOld
from vectorkit.operations import Operation, encode
from vectorkit.records import fast_frozen

HASH_BYTES: Final = 16
NO_HASH: Final = bytes(HASH_BYTES)
"""h(0): the hash of the empty history."""

place_of: Final = Struct("<QQ").pack
"""An epoch and an offset as 16 bytes."""


class Record(NamedTuple):
    """An operation with its place in history: it got its offset once, at append, for ever.

    >>> from vectorkit.operations import DropCollection
    >>> log = ReplicationLog(capacity_operations=10, capacity_bytes=1_000)
    >>> log.append(DropCollection("a"), epoch=1, now_ns=0).record.offset
    1
    """

    epoch: int
    offset: int
    operation: Operation
    encoded: bytes


class Position(NamedTuple):
    """A point in history. Two nodes share a history up to an offset iff all three are equal.

    >>> Position().offset
    0
    """

    epoch: int = 0
    offset: int = 0
    hash: bytes = NO_HASH


@fast_frozen
class Entry:
    """A record in the log, the point in history behind it, and the log's bytes up to its end."""

    record: Record
    position: Position
    appended_ns: int
    end_bytes: int

    @property
    def hash(self) -> bytes:
        """The running hash behind the record."""
        return self.position.hash


def next_hash(previous: bytes, record: Record) -> bytes:
    """h(i) = xxh3_128(h(i − 1) ‖ epoch ‖ offset ‖ canonical bytes of operation i)."""
    return xxhash.xxh3_128_digest(previous + place_of(record.epoch, record.offset) + record.encoded)


def within(entries: Iterable[Entry], limit_bytes: int, *, is_first_free: bool) -> list[Entry]:
    """The first of these entries, as many as fit; the very first in any case where it is free."""
    taken: list[Entry] = []
    for entry in entries:
        limit_bytes -= len(entry.record.encoded)
        if limit_bytes < 0 and (taken or not is_first_free):
            break
        taken.append(entry)
    return taken


class ReplicationLog:
    """The latest operations of a history, bounded in number and bytes, the oldest going first.

    Offsets are 1, 2, 3, …; `base` is the point just before the first record that is still held.

    >>> from vectorkit.operations import DropCollection
    >>> log = ReplicationLog(capacity_operations=2, capacity_bytes=1_000)
    >>> for name in ("a", "b", "c"):
    ...     _ = log.append(DropCollection(name), epoch=1, now_ns=0)
    >>> log.first_offset, log.head.offset
    (2, 3)
    """

    def __init__(self, *, capacity_operations: int, capacity_bytes: int) -> None:
        self.capacity_operations = capacity_operations
        self.capacity_bytes = capacity_bytes
        self.base = Position()
        self.head = Position()
        self.epochs: list[tuple[int, int]] = []
        """Each epoch of the whole history and the offset at which it begins."""
        self._entries: dict[int, Entry] = {}
        self._base_bytes = 0
        self._end_bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def first_offset(self) -> int:
        """The oldest offset that is held; head + 1 where nothing is."""
        return self.base.offset + 1

    @property
    def size_bytes(self) -> int:
        """The encoded size of the operations that are held."""
        return self._end_bytes - self._base_bytes

    def append(
        self, operation: Operation, *, epoch: int, now_ns: int, encoded: bytes | None = None
    ) -> Entry:
        """Give an operation the next offset; `encoded` saves encoding it again."""
        data = encode(operation) if encoded is None else encoded
        return self.extend(Record(epoch, self.head.offset + 1, operation, data), now_ns=now_ns)

    def extend(self, record: Record, *, now_ns: int, running: bytes | None = None) -> Entry:
        """Take over the next record of another node's history.

        `running`, the hash behind it, saves hashing it again.
        """
        assert record.offset == self.head.offset + 1, (record.offset, self.head.offset)
        # An exception may break this off: until the head moves, all of it may be done again.
        while self.epochs and self.epochs[-1][1] > self.head.offset:
            self.epochs.pop()
        if not self.epochs or self.epochs[-1][0] != record.epoch:
            self.epochs.append((record.epoch, record.offset))
        before = self._entries.get(self.head.offset)
        end_bytes = self._base_bytes if before is None else before.end_bytes
        if running is None:
            running = next_hash(self.head.hash, record)
        position = Position(record.epoch, record.offset, running)
        entry = Entry(record, position, now_ns, end_bytes + len(record.encoded))
        self._entries[record.offset] = entry
        self._end_bytes = entry.end_bytes
        self.head = position
        while len(self._entries) > self.capacity_operations or (
            self._end_bytes - self._base_bytes > self.capacity_bytes and len(self._entries) > 1
        ):
            self._evict()
        return entry

    def entry(self, offset: int) -> Entry:
        """Return the record at an offset. Raises OperationTooOld if it is gone."""
        entry = self._entries.get(offset)
        if entry is None:
            assert offset <= self.head.offset, (offset, self.head.offset)
            raise OperationTooOld(
                "the log no longer holds this operation",
                got=f"offset {offset}",
                wanted=f"{self.first_offset} to {self.head.offset}",
                remedy="start a full sync, or increase the capacity of the log",
                offset=offset,
                first_offset=self.first_offset,
            )
        return entry

    def since(self, offset: int) -> Iterator[Entry]:
        """All records above an offset. Raises OperationTooOld where one of them is gone."""
        if offset < self.head.offset:
            self.entry(offset + 1)
        return (self._entries[each] for each in range(offset + 1, self.head.offset + 1))

    def bytes_until(self, offset: int) -> int:
        """The encoded bytes of the history up to an offset, as far as the log still knows."""
        entry = self._entries.get(offset)
        if entry is None:
            assert offset <= self.base.offset, (offset, self.base.offset)
            return self._base_bytes
        return entry.end_bytes

    def holds(self, position: Position) -> bool:
        """Whether this history passes through a point that the log still knows."""
        if position.offset == self.base.offset:
            return position == self.base
        entry = self._entries.get(position.offset)
        return entry is not None and entry.position == position

    def epoch_of(self, offset: int) -> int:
        """The epoch of the record at an offset of this history, held or not; 0 where none is."""
        if not 0 < offset <= self.head.offset:
            return 0
        place = bisect_right(self.epochs, offset, key=lambda begin: begin[1])
        return self.epochs[place - 1][0] if place else 0

    def shared_offset(self, position: Position) -> int:
        """Up to where a history that ends at a position is surely this one too.

        An epoch has one master: two histories with records of one epoch agree up to the last
        offset that both have in it. Records of a higher epoch than the position's are not shared.
        """
        last = min(position.offset, self.head.offset)
        for epoch, begin in reversed(self.epochs):
            if epoch <= position.epoch:
                return last
            last = min(last, begin - 1)
        return 0

    def refusal(self, position: Position) -> str:
        """Why a replica at this position cannot go on from there; empty where it can."""
        if position.offset == 0:
            return "first_sync"
        if position.offset > self.head.offset:
            return "ahead_of_master"
        if position.offset < self.base.offset:
            return "too_old"
        return "" if self.holds(position) else "different_history"

    def reset(self, position: Position, epochs: Iterable[tuple[int, int]]) -> None:
        """Start anew behind a point in history, as after a full sync."""
        self._entries.clear()
        self.epochs = list(epochs)
        self.base = self.head = position
        self._base_bytes = self._end_bytes

    def _evict(self) -> None:
        oldest = self._entries[self.first_offset]
        self._base_bytes = oldest.end_bytes
        self.base = oldest.position
        del self._entries[oldest.record.offset]
