"""The trace of a run: every event in order. Frames, checks and the hash are computed from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, TypeVar, overload

import xxhash

from vectorkit.sim.world.garbage import uncollected
from vectorkit.sim.world.trace_events import EVENT_TYPES, TraceEvent

_TYPES: Final = {kind.__name__: kind for kind in EVENT_TYPES}

E1 = TypeVar("E1")
E2 = TypeVar("E2")
E3 = TypeVar("E3")


class TraceRow(NamedTuple):
    """An event in its canonical encoding; what the fields hold depends on `event`.

    >>> from vectorkit.sim.world.trace_events import DiskFlushed
    >>> TraceRow(*DiskFlushed(5, "node-1", offset=7, size_bytes=40).row()).event
    'flush'
    """

    time_ns: int
    event: str
    node: str
    peer: str
    kind: str
    number: int
    value: int
    text: str


def _typed(event: Any) -> TraceEvent:
    return _TYPES[event[0]](*event[1:]) if type(event) is tuple else event


class Trace:
    """Typed events in the order in which they happened (`vectorkit.sim.world.trace_events`).

    >>> from vectorkit import sim
    >>> run = sim.simulate(sim.ClusterOptions(replicas=1), duration_ms=500, seed=7)
    >>> from vectorkit.sim.world.trace_events import RoleTaken
    >>> [(event.node, event.role) for event in run.trace.of(RoleTaken)]
    [('node-0', 'master'), ('node-1', 'replica')]
    """

    def __init__(self) -> None:
        # Events, or from `_typed_count` on also tuples (class name, field, …): building an object
        # for each message while the simulation runs would cost it several percent.
        self._events: list[Any] = []
        self._typed_count = 0
        self._rows: list[TraceRow] = []
        self.add: Callable[[TraceEvent], None] = self._events.append
        """Append an event."""
        self.add_raw: Callable[[tuple[Any, ...]], None] = self._events.append
        """Append (class name, field, …): `add` for the hot paths of the simulator."""

    def __len__(self) -> int:
        return len(self._events)

    def __repr__(self) -> str:
        return f"Trace({len(self):,} events)"

    @property
    def events(self) -> Sequence[TraceEvent]:
        """All events so far."""
        if self._typed_count < len(self._events):
            plain = self._events[self._typed_count :]
            self._events[self._typed_count :] = uncollected(lambda: list(map(_typed, plain)))
            self._typed_count = len(self._events)
        return self._events

    @property
    def rows(self) -> Sequence[TraceRow]:
        """The canonical encoding: each event as eight plain fields, as the hash covers them."""
        events, rows = self.events, self._rows
        rows += [TraceRow._make(event.row()) for event in events[len(rows) :]]
        return rows

    @overload
    def of(self, first: type[E1], /) -> list[E1]: ...

    @overload
    def of(self, first: type[E1], second: type[E2], /) -> list[E1 | E2]: ...

    @overload
    def of(self, first: type[E1], second: type[E2], third: type[E3], /) -> list[E1 | E2 | E3]: ...

    def of(self, *kinds: Any) -> list[Any]:
        """The events of these classes, in order."""
        return [event for event in self.events if type(event) in kinds]

    def copy(self) -> Trace:
        """The events so far, as a trace of its own."""
        copied = Trace()
        copied._events.extend(self._events)
        copied._typed_count = self._typed_count
        return copied

    def hash(self) -> str:
        """32 hexadecimal digits over all events: equal traces, and hardly any others, agree."""
        hasher = xxhash.xxh3_128()
        for event in self._events:  # Typed one at a time: a hash alone needs no list of objects.
            hasher.update(repr(_typed(event).row()).encode())
        return hasher.hexdigest()
