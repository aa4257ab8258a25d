"""A node's disk: one write at a time, all that waits goes together, and a crash loses the rest."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from vectorkit.draws import below
from vectorkit.replication.protocol.durable import AppendRecords, Image, LogChange
from vectorkit.replication.protocol.effects import Persist
from vectorkit.sim.options import Disk
from vectorkit.units import ms_to_ns


@dataclass(slots=True)
class DiskDrive:
    """The content of a disk and what is on its way to it.

    A write takes the options' time, whatever joins it while it waits (group commit). Each of the
    `factors` multiplies it; a stalled or full disk begins no write, and counts how often it is so.
    """

    options: Disk
    image: Image
    factors: list[float] = field(default_factory=list)
    stalls: int = 0
    fills: int = 0
    waiting: deque[Persist] = field(default_factory=deque)
    """Effects that no write has taken along yet."""
    _writing: tuple[Persist, ...] = ()

    @property
    def is_full(self) -> bool:
        """Whether there is no room for another write."""
        return self.fills > 0

    def add(self, effect: Persist) -> None:
        """Something is to be written after all that waits."""
        self.waiting.append(effect)

    def begin(self) -> int | None:
        """Begin to write all that waits; how long it takes, None where nothing begins."""
        if self._writing or not self.waiting or self.stalls or self.fills:
            return None
        self._writing = tuple(self.waiting)
        self.waiting.clear()
        time_ms = self.options.fsync_ms
        if self.options.mib_per_s:
            size_bytes = sum(effect.size_bytes for effect in self._writing)
            time_ms += size_bytes / (self.options.mib_per_s * 1_048.576)
        for factor in self.factors:
            time_ms *= factor
        return ms_to_ns(time_ms)

    def complete(self) -> tuple[int, int, int]:
        """The write is done: the number of its last effect, the mark, and its bytes."""
        effects, self._writing = self._writing, ()
        size_bytes = 0
        for effect in effects:
            size_bytes += effect.size_bytes
            for change in effect.changes:
                self.image.apply(change)
        return effects[-1].number, self.image.mark, size_bytes

    def flip_bit(self, offset: int) -> bool:
        """Damage a record (−1 is the last), or for 0 the checkpoint; False where there is none."""
        if offset < 0:
            frames = self.image.frames
            if -offset > len(frames):
                return False
            offset = frames[offset].record.offset
        return self.image.flip_bit(offset)

    def crash(self, word: int, *, keeps_unsynced: bool) -> int:
        """Lose what was not confirmed, but for records that may have got there, the last torn.

        `word` draws how many. The result is how many whole records beyond the mark there are.
        """
        changes: list[LogChange] = [
            change for effect in (*self._writing, *self.waiting) for change in effect.changes
        ]
        self._writing = ()
        self.waiting.clear()
        count = sum(len(each.frames) for each in changes if isinstance(each, AppendRecords))
        if not keeps_unsynced or not count:
            return 0
        whole = below(word, count + 1)
        self.image.tear(changes, whole, has_part=True)
        return whole
