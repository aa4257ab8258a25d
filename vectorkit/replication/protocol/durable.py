"""What a node keeps on its disk: its log, a checkpoint, its promise. A crash loses all else.

A driver owns an `Image` for each node, changes it as `Persist` effects complete, and hands it
over when the node starts again. `recover` says what can be made of it.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from vectorkit.operations import EpochStart, encode
from vectorkit.records import fast_frozen
from vectorkit.replication.protocol.epochs import KnownIndices
from vectorkit.replication.protocol.log import NO_HASH, Entry, Position, Record, next_hash, place_of
from vectorkit.store import StoreSnapshot

_FRAME_BYTES: Final = 28
_CHANGE_BYTES: Final = 32


@fast_frozen
class Frame:
    """A record on the disk with the checksum of what was meant to be written."""

    record: Record
    hash: bytes
    """The running hash behind the record."""
    checksum: int

    @property
    def position(self) -> Position:
        """The point in history behind the record."""
        return Position(self.record.epoch, self.record.offset, self.hash)

    @property
    def is_intact(self) -> bool:
        """Whether the bytes are those that were meant."""
        return checksum(self.record) == self.checksum


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """A whole store at a point in history, and the offsets at which the epochs up to it began."""

    position: Position
    epochs: tuple[tuple[int, int], ...]
    digest: str
    snapshot: StoreSnapshot


@fast_frozen
class AppendRecords:
    """Records that go on from the end of the log, with the mark that covers them."""

    frames: tuple[Frame, ...]


@dataclass(frozen=True, slots=True)
class SetMark:
    """The log ends at this offset: all of it is flushed, what lies behind was torn and is cut."""

    offset: int


@dataclass(frozen=True, slots=True)
class SetPromise:
    """The node takes nothing from a lower epoch any more."""

    epoch: int


@dataclass(frozen=True, slots=True)
class SetIdentity:
    """The node's index, how often it has started, and whether it is without state."""

    index: int
    boot: int
    is_lost: bool


@dataclass(frozen=True, slots=True, eq=False)
class SetCheckpoint:
    """A newer checkpoint; records before the one at `keep_from` are needed no more."""

    checkpoint: Checkpoint
    keep_from: int


@dataclass(frozen=True, slots=True, eq=False)
class Install:
    """A full sync: another checkpoint, an empty log behind it, and no lack of state."""

    checkpoint: Checkpoint


@dataclass(frozen=True, slots=True)
class SetKnownIndices:
    """What the node knows of all slots' indices; it is merged with what the disk has."""

    known: KnownIndices


@dataclass(frozen=True, slots=True)
class SetCounters:
    """The node's statistics as they are now."""

    counters: Mapping[str, Any]


LogChange = (
    AppendRecords
    | SetMark
    | SetPromise
    | SetIdentity
    | SetCheckpoint
    | Install
    | SetKnownIndices
    | SetCounters
)


@dataclass(slots=True)
class Image:
    """The content of one node's disk.

    A blank image is that of a node without state: only a cluster's construction writes another.

    >>> image = Image.of_new_node(index=1, promise=65536)
    >>> image.apply(SetPromise(131072))
    >>> image.promise, image.is_lost, image.mark
    (131072, False, 0)
    """

    index: int = -1
    """The node's index; below 0 where nothing was ever written."""
    boot: int = 0
    is_lost: bool = True
    promise: int = 0
    mark: int = 0
    """The offset up to which the log is flushed: a bad record above it is only a torn tail."""
    checkpoint: Checkpoint | None = None
    frames: list[Frame] = field(default_factory=list)
    known: KnownIndices = field(default_factory=KnownIndices)
    """What is known of all slots' indices. Apart from the log, as the promise is: a damaged record
    of the log takes neither away."""
    counters: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of_new_node(cls, *, index: int, promise: int) -> Image:
        """The disk of a replica that a cluster begins with: intact, and empty."""
        return cls(index=index, is_lost=False, promise=promise)

    @classmethod
    def of_first_master(cls, *, index: int, epoch: int) -> Image:
        """The disk of the master that a cluster begins with: its epoch has begun."""
        start = EpochStart(epoch)
        record = Record(epoch, 1, start, encode(start))
        frame = Frame(record, next_hash(NO_HASH, record), checksum(record))
        return cls(index=index, is_lost=False, promise=epoch, mark=1, frames=[frame])

    def apply(self, change: LogChange) -> None:
        """Make a change durable."""
        match change:
            case AppendRecords():
                self._append(change.frames)
                self.mark = self.frames[-1].record.offset
            case SetMark():
                while self.frames and self.frames[-1].record.offset > change.offset:
                    self.frames.pop()
                self.mark = change.offset
            case SetPromise():
                self.promise = max(self.promise, change.epoch)
            case SetIdentity():
                self.index, self.boot = change.index, change.boot
                self.is_lost = change.is_lost
            case SetCheckpoint():
                self.checkpoint = change.checkpoint
                self._cut_front(change.keep_from)
            case Install():
                self.checkpoint = change.checkpoint
                self.frames = []
                self.mark = change.checkpoint.position.offset
                self.is_lost = False
            case SetKnownIndices():
                self.known = self.known.merged(change.known)
            case SetCounters():
                self.counters = change.counters

    def tear(self, changes: Iterable[LogChange], whole: int, *, has_part: bool) -> None:
        """A crash amid changes: the first `whole` of their records are there, behind the mark.

        `has_part`: and a piece of the next one. Nothing else of the changes is.
        """
        frames = [
            frame
            for change in changes
            if isinstance(change, AppendRecords)
            for frame in change.frames
        ]
        self._append(frames[:whole])
        if has_part and whole < len(frames):
            torn = frames[whole]
            part = _damaged(torn.record, len(torn.record.encoded) // 2)
            self._append([Frame(part, torn.hash, torn.checksum)])

    def flip_bit(self, offset: int) -> bool:
        """Damage the record at an offset, or the checkpoint for 0; False where there is none."""
        if offset == 0:
            if self.checkpoint is None:
                return False
            here = self.checkpoint
            self.checkpoint = Checkpoint(here.position, here.epochs, "damaged", here.snapshot)
            return True
        for place, frame in enumerate(self.frames):
            if frame.record.offset == offset:
                damaged = _damaged(frame.record, 0)
                self.frames[place] = Frame(damaged, frame.hash, frame.checksum)
                return True
        return False

    def _append(self, frames: Iterable[Frame]) -> None:
        """Write at the end of the log; what was torn there before is overwritten."""
        for frame in frames:
            while self.frames and self.frames[-1].record.offset >= frame.record.offset:
                self.frames.pop()
            self.frames.append(frame)

    def _cut_front(self, offset: int) -> None:
        first = next(
            (place for place, each in enumerate(self.frames) if each.record.offset >= offset),
            len(self.frames),
        )
        del self.frames[:first]


def frame_of(entry: Entry) -> Frame:
    """A record of a log as it is written."""
    return Frame(entry.record, entry.hash, checksum(entry.record))


def checksum(record: Record) -> int:
    """CRC-32 over epoch, offset and operation."""
    return zlib.crc32(place_of(record.epoch, record.offset) + record.encoded)


def size_of(change: LogChange) -> int:
    """What a change takes on the disk; a checkpoint is written while nothing waits for it."""
    if isinstance(change, AppendRecords):
        return sum([_FRAME_BYTES + len(frame.record.encoded) for frame in change.frames])
    return _CHANGE_BYTES


def intact_frames(image: Image) -> tuple[list[Frame], str]:
    """The records that can be read, from the front on, and why the state is lost; "" if it is not.

    A bad record behind the mark is a torn tail: it and what follows are left out. One at or before
    the mark, or a gap, is corruption.
    """
    base = 0 if image.checkpoint is None else image.checkpoint.position.offset
    frames = image.frames
    if frames and frames[0].record.offset > base + 1:
        return [], "the log does not begin at the checkpoint"
    expected = frames[0].record.offset if frames else base + 1
    taken: list[Frame] = []
    for frame in frames:
        if frame.record.offset != expected or not frame.is_intact:
            break
        taken.append(frame)
        expected += 1
    if expected <= image.mark:
        return [], f"record {expected} is damaged, and {image.mark} were flushed"
    return taken, ""


def _damaged(record: Record, place: int) -> Record:
    data = bytearray(record.encoded)
    data[place] ^= 1
    return Record(record.epoch, record.offset, record.operation, bytes(data))
