"""Virtual time: integer nanoseconds, events in order of (time, insertion) and of nothing else."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Any

from vectorkit.errors import LimitReached

Event = tuple[int, int, str, Any]
"""When, the how-manieth that was put in, what kind, and its data."""


class Scheduler:
    """The events to come, as small tuples of data.

    >>> scheduler = Scheduler(event_count_max=10)
    >>> scheduler.at(5, "late", None)
    >>> scheduler.at(2, "early", None)
    >>> scheduler.pop(until_ns=9)[2], scheduler.now_ns
    ('early', 2)
    """

    def __init__(self, event_count_max: int) -> None:
        self.now_ns = 0
        self.event_count = 0
        self.is_in_event = False
        """Whether an event has been taken out whose handler has not returned."""
        self._event_count_max = event_count_max
        self._heap: list[Event] = []
        self._inserted = 0

    def at(self, time_ns: int, kind: str, data: Any) -> None:
        """Put in an event; one for a time that has passed happens now."""
        self._inserted += 1
        due_ns = time_ns if time_ns > self.now_ns else self.now_ns
        heappush(self._heap, (due_ns, self._inserted, kind, data))

    def pop(self, until_ns: int) -> Event | None:
        """Move to the next event up to `until_ns`, or to that time where there is none.

        Sets `is_in_event`, which the caller clears after the event. Raises LimitReached, with the
        event still to come.
        """
        if not self._heap or self._heap[0][0] > until_ns:
            self.now_ns = until_ns
            return None
        if self.event_count >= self._event_count_max:  # First, so that no event is lost.
            raise LimitReached(
                "the run has too many events",
                got=f"more than {self._event_count_max:,} before {until_ns / 1e6:,.0f} ms",
                wanted="a run within its bound",
                remedy="simulate less time or load, or raise event_count_max",
                event_count=self.event_count + 1,
                now_ns=self._heap[0][0],
            )
        self.is_in_event = True  # Before the event leaves the heap: then only its handler has it.
        event = heappop(self._heap)
        self.now_ns = event[0]
        self.event_count += 1
        return event
