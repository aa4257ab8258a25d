"""What both roles share: effects gathered for the driver, bytes counted where they are sent."""

from __future__ import annotations

from collections.abc import Iterable

from vectorkit.replication.effects import Effect, Send, SetTimer
from vectorkit.replication.messages import Message
from vectorkit.replication.stats import Counters
from vectorkit.replication.wire import wire_size


class Outbox:
    """The effects of one transition, and the node's one timer.

    The timer only ever moves earlier: a deadline that has moved later is found when the old one
    fires, which costs one idle tick and saves a timer for every message.
    """

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._effects: list[Effect] = []
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

    def timer_fired(self) -> None:
        """The timer that was set is spent."""
        self._timer_ns = None

    def drain(self, deadlines: Iterable[int | None]) -> list[Effect]:
        """All effects so far, with a timer for the earliest deadline."""
        due_ns = min((each for each in deadlines if each is not None), default=None)
        if due_ns is not None and (self._timer_ns is None or due_ns < self._timer_ns):
            self._timer_ns = due_ns
            self._effects.append(SetTimer(due_ns))
        effects, self._effects = self._effects, []
        return effects
