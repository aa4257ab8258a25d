"""Effects gathered for the driver: bytes are counted here, changes become one disk write."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from vectorkit.atomic import Calls
from vectorkit.replication.monitoring.stats import Counters
from vectorkit.replication.protocol.durable import LogChange, size_of
from vectorkit.replication.protocol.effects import Effect, Persist, Send, SetTimer, Writer
from vectorkit.replication.protocol.log import Position
from vectorkit.replication.protocol.messages import Message
from vectorkit.replication.protocol.wire import wire_size

Callback = Callable[[], None]

Origin = tuple[int, Writer]
"""The offset of a record, and the client and request that it is made for."""

Also = Callable[[Position, Writer], Calls]
"""What is done together with a record."""


class Outbox:
    """The effects of one transition, and the node's one timer.

    The timer only ever moves earlier: a deadline that has moved later is found when the old one
    fires, which costs one idle tick and saves a timer for every message. All changes of one
    transition are one write to the disk; what waits for it is called when it is confirmed, in
    order. Without a disk it is called as soon as the transition is over.
    """

    def __init__(self, counters: Counters, *, has_disk: bool) -> None:
        self._counters = counters
        self._has_disk = has_disk
        self._effects: list[Effect] = []
        self._changes: list[LogChange] = []
        self._callbacks: list[Callback] = []
        self._waiting: deque[tuple[int, list[Callback]]] = deque()
        self._number = 0
        self._timer_ns: int | None = None

    def send(self, target: str, message: Message) -> int:
        """Put a message on its way and count it; the result is its size in bytes."""
        size_bytes = wire_size(message)
        self._counters.bytes_sent += size_bytes
        self._effects.append(Send(target, message, size_bytes))
        return size_bytes

    def add(self, effect: Effect) -> None:
        """Ask for something else."""
        self._effects.append(effect)

    def persist(self, change: LogChange, then: Callback | None = None) -> None:
        """Make a change durable, then go on."""
        if self._has_disk:
            self._changes.append(change)
        if then is not None:
            self._callbacks.append(then)

    def recording(self, effect: Effect, change: LogChange, then: Callback) -> Calls:
        """What `add` and `persist` would do, for `at_once`."""
        changes = [(self._changes.append, change)] if self._has_disk else []
        return [(self._effects.append, effect), *changes, (self._callbacks.append, then)]

    def adding(self, effect: Effect) -> tuple[Callable[[Any], Any], Any]:
        """What `add` would do, for `at_once`."""
        return self._effects.append, effect

    def after_changes(self, then: Callback) -> None:
        """Go on once all changes so far are durable."""
        self._callbacks.append(then)

    def persisted(self, number: int) -> None:
        """Every disk write up to this number is done: go on with what has waited."""
        while self._waiting and self._waiting[0][0] <= number:
            _run(self._waiting[0][1])
            self._waiting.popleft()

    def timer_fired(self) -> None:
        """The timer that was set is spent."""
        self._timer_ns = None

    def close(self) -> None:
        """End the transition: its changes become one write, and what needs no disk goes on."""
        if not self._has_disk:
            _run(self._callbacks)
        if self._changes:
            self._number += 1
            changes, self._changes = tuple(self._changes), []
            self._waiting.append((self._number, self._callbacks))
            self._callbacks = []
            self._effects.append(Persist(self._number, changes, sum(map(size_of, changes))))

    def drain(self, due_ns: int | None) -> list[Effect]:
        """All effects so far, with a timer for the next deadline."""
        if due_ns is not None and (self._timer_ns is None or due_ns < self._timer_ns):
            self._timer_ns = due_ns
            self._effects.append(SetTimer(due_ns))
        effects, self._effects = self._effects, []
        return effects


def nothing(_: Position, __: Writer) -> Calls:
    """Nothing is done together with a record."""
    return []


def _run(callbacks: list[Callback]) -> None:
    """Call all, in order, and those that they add. One that an exception breaks off stays."""
    while callbacks:
        callbacks[0]()
        del callbacks[0]
