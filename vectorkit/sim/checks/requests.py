"""What clients have asked and what has become of it, told from the trace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from vectorkit.sim.checks.history import NOWHERE, Place
from vectorkit.sim.trace_events import (
    MessageDelivered,
    MessageSent,
    RecordAppended,
    RequestCompleted,
    RequestInvoked,
    TraceEvent,
)

WRITES: Final = ("write", "delete")
REFUSED: Final = ("refused", "not_master")
"""Outcomes after which a write has not happened, and never will."""


@dataclass(slots=True)
class Request:
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
    place: Place = NOWHERE
    """The record that it wrote, or the end of the history that it read."""
    places: list[Place] = field(default_factory=list)
    """Every record that a node wrote for it: one, if at all."""
    value: int | None = None
    error: str = ""
    served_index: int | None = None
    """When the node answered."""

    @property
    def is_write(self) -> bool:
        """Whether it would change something."""
        return self.kind in WRITES

    @property
    def is_ok(self) -> bool:
        """Whether the client was told that all is well."""
        return self.outcome == "ok"


def requests_of(trace: Sequence[TraceEvent]) -> list[Request]:
    """All requests in the order in which they were made.

    A write that its client has heard nothing of may have been appended all the same: the record
    that a node appends in the very moment in which it gets a write is that write's.
    """
    found: dict[int, Request] = {}
    being_written: dict[str, tuple[int, int]] = {}
    for index, event in enumerate(trace):
        match event:
            case MessageDelivered(target=node):
                being_written.pop(node, None)
                if event.message == "ClientWrite":
                    being_written[node] = event.number, event.time_ns
            case RecordAppended(node=node) if node in being_written:
                number, time_ns = being_written.pop(node)
                if time_ns == event.time_ns and number in found:
                    found[number].place = event.epoch, event.offset
                    found[number].places.append(found[number].place)
            case MessageSent(message="ClientReply", number=number) if number in found:
                if found[number].served_index is None:
                    found[number].served_index = index
            case RequestInvoked(request=number):
                found[number] = _invoked(index, event)
            case RequestCompleted(request=number) if number in found:
                _complete(found[number], index, event)
            case _:
                pass
    return list(found.values())


def foreign_records(trace: Sequence[TraceEvent], requests: Sequence[Request]) -> int:
    """How many records were appended by other hands since the first request was made."""
    if not requests:
        return 0
    writes = [request for request in requests if request.is_write]
    own = {place for request in writes for place in (request.place, *request.places)}
    first = requests[0].invoked_index
    return sum(
        isinstance(event, RecordAppended)
        and event.operation != "EpochStart"
        and (event.epoch, event.offset) not in own
        for event in trace[first:]
    )


def _invoked(index: int, event: RequestInvoked) -> Request:
    return Request(
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


def _complete(request: Request, index: int, event: RequestCompleted) -> None:
    request.completed_index, request.completed_ns = index, event.time_ns
    request.outcome = event.outcome
    request.node = event.node or request.node
    if event.offset:
        request.place = event.epoch, event.offset
    request.value, request.error = event.value, event.error
