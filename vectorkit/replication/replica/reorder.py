"""Records that came too early, held until the gap before them closes."""

from __future__ import annotations

from vectorkit.replication.protocol.messages import Records


class ReorderBuffer:
    """Batches of records above a gap, within a window of operations.

    >>> ReorderBuffer(window=4).first_offset is None
    True
    """

    def __init__(self, window: int) -> None:
        self._window = window
        self._batches: dict[int, Records] = {}

    def __len__(self) -> int:
        """How many operations are held."""
        return len({record.offset for each in self._batches.values() for record in each.records})

    @property
    def first_offset(self) -> int | None:
        """The lowest offset that is held."""
        return min(self._batches, default=None)

    def clear(self) -> None:
        """Forget everything."""
        self._batches.clear()

    def hold(self, batch: Records, head_offset: int) -> None:
        """Keep a batch that is next or lies within the window above `head_offset`, else drop it."""
        first, last = batch.records[0].offset, batch.records[-1].offset
        if first <= head_offset + 1 or last <= head_offset + self._window:
            self._batches.setdefault(first, batch)

    def next_after(self, head_offset: int) -> Records | None:
        """Take out a batch that goes on from `head_offset`; what lies wholly below is dropped."""
        while self._batches:
            first = min(self._batches)
            if first > head_offset + 1:
                return None
            batch = self._batches.pop(first)
            if batch.records[-1].offset > head_offset:
                return batch
        return None
