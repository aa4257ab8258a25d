"""What a check may know of a run: its options, its trace, its samples and its nodes' statistics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

from vectorkit.sim.checks.guarantee import Guarantee
from vectorkit.sim.checks.history import History
from vectorkit.sim.checks.requests import ObservedRequest, foreign_records, requests_of
from vectorkit.sim.faults.faults import ClockDrift, ClockJump
from vectorkit.sim.options import ClusterOptions
from vectorkit.sim.world.trace_events import MESSAGE_EVENTS, FaultChanged, TraceEvent


class Sample(Protocol):
    """A node at one moment, as it is believed and as it is."""

    @property
    def time_ms(self) -> float:
        """When."""

    @property
    def node(self) -> str:
        """Which."""

    @property
    def status(self) -> str:
        """What it is believed to be."""

    @property
    def is_up(self) -> bool:
        """Whether it runs."""

    @property
    def lag_ms(self) -> float:
        """How far behind it is believed to be."""

    @property
    def lag_ms_true(self) -> float:
        """How far behind it is."""

    @property
    def lag_operations(self) -> int:
        """How many operations behind it is believed to be."""


class Answers(Protocol):
    """What a node has answered to the queries of a probe."""

    @property
    def time_ms(self) -> float:
        """When."""

    @property
    def node(self) -> str:
        """Which."""

    @property
    def offset(self) -> int:
        """Where the history that it showed ends."""

    @property
    def history(self) -> str:
        """That history's hash."""

    @property
    def answers(self) -> str:
        """A hash over ids, order and scores."""


class Counted(Protocol):
    """What a node has counted itself."""

    @property
    def bytes_sent(self) -> int:
        """To all others."""

    @property
    def bytes_received(self) -> int:
        """From all others."""

    @property
    def lag_ms(self) -> float:
        """How far behind it is believed to be."""

    @property
    def lag_operations(self) -> int:
        """How many operations behind it is believed to be."""

    @property
    def operations_pending(self) -> int:
        """Not applied everywhere."""


@dataclass(frozen=True)
class Evidence:
    """The evidence, and what follows from it alone; each part is worked out once."""

    options: ClusterOptions
    trace: Sequence[TraceEvent]
    samples: Sequence[Sample] = ()
    stats: Mapping[str, Counted] = field(default_factory=dict)
    answers: Sequence[Answers] = ()

    @cached_property
    def events(self) -> list[tuple[int, TraceEvent]]:
        """The events that are about no message, each with its index in the trace."""
        return [each for each in enumerate(self.trace) if type(each[1]) not in MESSAGE_EVENTS]

    @cached_property
    def history(self) -> History:
        """Which record follows which."""
        return History(self.events, has_disks=self.options.protocol.has_durable_log)

    @cached_property
    def guarantee(self) -> Guarantee:
        """What the write concern promises, and from when on it no longer does."""
        return Guarantee(self.options, self.events)

    @cached_property
    def requests(self) -> list[ObservedRequest]:
        """What clients have asked, and what has become of it."""
        return requests_of(self.trace)

    @cached_property
    def foreign_count(self) -> int:
        """How many records other hands than clients' have written since the first request."""
        return foreign_records(self.trace, self.requests)

    @cached_property
    def has_clock_faults(self) -> bool:
        """Whether a node's clock was made to run at another pace, or to jump."""
        faults = [event.fault for _, event in self.events if isinstance(event, FaultChanged)]
        return any(isinstance(fault, ClockDrift | ClockJump) for fault in faults)

    def epoch_name(self, epoch: int) -> str:
        """An epoch by its node and round, as the statistics name it."""
        return epoch_name(epoch, self.options.node_ids)

    def place(self, position: tuple[int, int]) -> str:
        """A position in words."""
        return f"offset {position[1]} of {self.epoch_name(position[0])}"


def epoch_name(epoch: int, node_ids: Sequence[str]) -> str:
    """An epoch by its node and round.

    >>> epoch_name(131073, ("node-0", "node-1"))
    'node-1@2'
    """
    slot = epoch & 0xFF
    return f"{node_ids[slot] if slot < len(node_ids) else '?'}@{epoch >> 16}"
