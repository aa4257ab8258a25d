"""Requests of clients and their outcomes, read from the trace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from vectorkit.sim.checks.history import NOWHERE, LogPosition
from vectorkit.sim.world.trace_events import (
    AnswerSent,
    RecordAppended,
    RequestCompleted,
    RequestInvoked,
    TraceEvent,
)

WRITES: Final = ("write", "delete")
REFUSED: Final = ("refused", "not_master")
"""Outcomes by which a node says that it has not made the write.

A copy of the message that the network holds until another node is master is made all the same:
then `ObservedRequest.places` names the record.
"""
NOTHING_WRITTEN: Final = "nothing_written"
"""The error of a write that timed out and was not made."""


@dataclass(slots=True)
class ObservedRequest:
    """One request of a client. Places in the trace order what times do not tell apart."""

    client: str
    number: int
    kind: str
    node: str
    key: str
    policy: str
    bound_ms: float | None
    invoked_index: int
    invoked_ns: int
    completed_index: int | None = None
    completed_ns: int | None = None
    outcome: str = ""
    place: LogPosition = NOWHERE
    """What its answer names: the record written, or the end of the history that was read."""
    places: list[LogPosition] = field(default_factory=list)
    """Every record that a master made of it: several where copies of its message came late."""
    value: int | None = None
    error: str = ""
    served_index: int | None = None
    """When the node sent the answer that came: an index of the trace."""

    @property
    def is_write(self) -> bool:
        """Whether it would change something."""
        return self.kind in WRITES

    @property
    def is_ok(self) -> bool:
        """Whether the answer reports success."""
        return self.outcome == "ok"

    @property
    def has_not_happened(self) -> bool:
        """Whether the answer says that the write was not made."""
        return self.is_write and (self.outcome in REFUSED or self.error == NOTHING_WRITTEN)

    @property
    def record(self) -> LogPosition | None:
        """The record that its answer names; None where the answer names none that it wrote."""
        return self.place if self.place in self.places else None

    @property
    def copies(self) -> list[LogPosition]:
        """Records of it that masters of other epochs made of copies of its message.

        The record that its answer names is its own; where none was answered with "ok", its first.
        """
        own = self.record
        if own is None and not self.is_ok:
            own = next(iter(self.places), None)
        return [place for place in self.places if own is None or place[0] != own[0]]


def requests_of(trace: Sequence[TraceEvent]) -> list[ObservedRequest]:
    """All requests in the order in which they were made.

    A write that its client has heard nothing of may have been appended all the same.
    """
    found: dict[int, ObservedRequest] = {}
    answers: dict[int, list[tuple[int, AnswerSent]]] = {}
    for index, event in enumerate(trace):
        match event:
            case RecordAppended(request=number) if number in found:
                found[number].places.append((event.epoch, event.offset))
            case AnswerSent(request=number):
                answers.setdefault(number, []).append((index, event))
            case RequestInvoked(request=number):
                found[number] = _invoked(index, event)
            case RequestCompleted(request=number) if number in found:
                _complete(found[number], index, event)
                found[number].served_index = _served_index(answers.get(number, ()), event)
            case _:
                pass
    return list(found.values())


def _served_index(answers: Sequence[tuple[int, AnswerSent]], end: RequestCompleted) -> int | None:
    """When the answer that came was sent; of answers alike, the first."""
    answer = end.node, end.outcome, end.epoch, end.offset
    for index, sent in answers:
        if answer == (sent.node, sent.outcome, sent.epoch, sent.offset):
            return index
    return None


def foreign_records(trace: Sequence[TraceEvent], requests: Sequence[ObservedRequest]) -> int:
    """How many records no client has asked for since the first request was made."""
    if not requests:
        return 0
    return sum(
        isinstance(event, RecordAppended)
        and event.operation != "EpochStart"
        and event.request is None
        for event in trace[requests[0].invoked_index :]
    )


def _invoked(index: int, event: RequestInvoked) -> ObservedRequest:
    return ObservedRequest(
        client=event.client,
        number=event.request,
        kind=event.kind,
        node=event.node,
        key=str(event.key),
        policy=event.policy,
        bound_ms=event.bound_ms,
        invoked_index=index,
        invoked_ns=event.time_ns,
    )


def _complete(request: ObservedRequest, index: int, event: RequestCompleted) -> None:
    request.completed_index, request.completed_ns = index, event.time_ns
    request.outcome = event.outcome
    request.node = event.node or request.node
    if event.offset:
        request.place = event.epoch, event.offset
    request.value, request.error = event.value, event.error
