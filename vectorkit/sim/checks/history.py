"""The tree of histories that a run has written, built from its events.

An epoch has one master, so a record is (epoch, offset), and the records of an epoch continue the
history that its master had when it began. Hence each epoch hangs on a point of another.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from vectorkit.sim.world.trace_events import (
    HistoryApplied,
    NodeCrashed,
    RecordAppended,
    RoleTaken,
    StateLost,
    TraceEvent,
)

LogPosition = tuple[int, int]
"""(epoch, offset): a record, and the history that ends with it."""

NOWHERE: Final[LogPosition] = (0, 0)


@dataclass(frozen=True, slots=True)
class AppendedRecord:
    """A record as its master has written it."""

    index: int
    time_ns: int
    node: str
    operation: str
    hash: str


class History:
    """Which record follows which, who wrote it when, and how far each node's history goes."""

    def __init__(self, events: Iterable[tuple[int, TraceEvent]], *, has_disks: bool = True) -> None:
        self.appended: dict[LogPosition, AppendedRecord] = {}
        self.master_of: dict[int, str] = {}
        """The node that wrote the first record of an epoch."""
        self.begins: dict[int, LogPosition] = {}
        """Where each epoch hangs: the last record of another epoch before its first."""
        self.tips: dict[str, LogPosition] = {}
        """The end of each node's history, applied or, on a master, appended; nodes without any
        are left out."""
        self.masters: dict[str, int] = {}
        """Who serves at the end, and which epoch."""
        for index, event in events:
            self._take(index, event, has_disks)

    @property
    def final(self) -> LogPosition:
        """The end of the history that counts: the last master's, else the greatest."""
        serving = {epoch: node for node, epoch in self.masters.items()}
        if serving:
            return self.tips.get(serving[max(serving)], NOWHERE)
        return max(self.tips.values(), default=NOWHERE)

    def at(self, tip: LogPosition, offset: int) -> LogPosition:
        """The record at an offset of the history that ends with `tip`."""
        epoch = tip[0]
        while epoch in self.begins and offset <= self.begins[epoch][1]:
            epoch = self.begins[epoch][0]
        return epoch, offset

    def contains(self, tip: LogPosition, place: LogPosition) -> bool:
        """Whether the history that ends with `tip` goes through a record."""
        if place == NOWHERE:
            return True
        return place[1] <= tip[1] and self.at(tip, place[1]) == place

    def shared(self, one: LogPosition, other: LogPosition) -> int:
        """The last offset up to which two histories are one."""
        offset = min(one[1], other[1])
        while offset > 0 and self.at(one, offset) != self.at(other, offset):
            here, there = self.at(one, offset)[0], self.at(other, offset)[0]
            offset = min(offset, self._first_before(max(here, there)))
        return offset

    def epochs(self, tip: LogPosition) -> list[int]:
        """The epochs that a history goes through, the first one first."""
        epoch, found = tip[0], []
        while epoch:
            found.append(epoch)
            epoch = self.begins.get(epoch, NOWHERE)[0]
        return found[::-1]

    def began_ns(self, epoch: int) -> int:
        """When the first record of an epoch was written; 0 where no event tells."""
        written = self.appended.get((epoch, self.begins.get(epoch, NOWHERE)[1] + 1))
        return 0 if written is None else written.time_ns

    def _first_before(self, epoch: int) -> int:
        return self.begins[epoch][1] if epoch in self.begins else 0

    def _take(self, index: int, event: TraceEvent, has_disks: bool) -> None:
        match event:
            case RecordAppended():
                self._append(index, event)
            case HistoryApplied(node=node):
                self.tips[node] = event.epoch, event.offset
            case RoleTaken(node=node):
                self.masters.pop(node, None)
                if event.role == "master":
                    self.masters[node] = event.epoch
            case NodeCrashed(node=node):
                self.masters.pop(node, None)
                if event.kind == "lost_disk" or not has_disks:
                    self.tips.pop(node, None)
            case StateLost(node=node):
                self.tips.pop(node, None)
            case _:
                pass

    def _append(self, index: int, event: RecordAppended) -> None:
        epoch, offset = place = event.epoch, event.offset
        node = event.node
        tip = self.tips.get(node, NOWHERE)
        if epoch not in self.master_of:
            self.master_of[epoch] = node
            if tip[0] not in (0, epoch):
                parent = self.at(tip, min(offset - 1, tip[1]))
                if parent[1]:
                    self.begins[epoch] = parent
        written = AppendedRecord(index, event.time_ns, node, event.operation, event.history)
        self.appended.setdefault(place, written)
        self.tips[node] = place
