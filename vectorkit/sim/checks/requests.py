"""What clients have asked and what has become of it, told from the trace."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from vectorkit.sim.checks.history import NOWHERE, Place
from vectorkit.sim.trace import TraceRow

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


def requests_of(rows: Sequence[TraceRow]) -> list[Request]:
    """All requests in the order in which they were made.

    A write that its client has heard nothing of may have been appended all the same: the record
    that a node appends in the very moment in which it gets a write is that write's.
    """
    found: dict[int, Request] = {}
    being_written: dict[str, tuple[int, int]] = {}
    for index, row in enumerate(rows):
        match row.event:
            case "deliver":
                being_written.pop(row.node, None)
                if row.kind == "ClientWrite":
                    being_written[row.node] = row.number, row.time_ns
            case "append" if row.node in being_written:
                number, time_ns = being_written.pop(row.node)
                if time_ns == row.time_ns and number in found:
                    found[number].place = row.value, row.number
                    found[number].places.append(found[number].place)
            case "send" if row.kind == "ClientReply" and row.number in found:
                if found[row.number].served_index is None:
                    found[row.number].served_index = index
            case "invoke":
                found[row.number] = _invoked(index, row)
            case "complete" if row.number in found:
                _complete(found[row.number], index, row)
            case _:
                pass
    return list(found.values())


def foreign_records(rows: Sequence[TraceRow], requests: Sequence[Request]) -> int:
    """How many records were appended by other hands since the first request was made."""
    if not requests:
        return 0
    writes = [request for request in requests if request.is_write]
    own = {place for request in writes for place in (request.place, *request.places)}
    first = requests[0].invoked_index
    return sum(
        row.event == "append" and row.kind != "EpochStart" and (row.value, row.number) not in own
        for row in rows[first:]
    )


def _invoked(index: int, row: TraceRow) -> Request:
    told = json.loads(row.text) if row.text else {}
    return Request(
        client=row.node,
        number=row.number,
        kind=row.kind,
        node=row.peer,
        key=str(told.get("key", "")),
        policy=told.get("policy") or "",
        bound_ms=told.get("bound_ms"),
        invoked_index=index,
        invoked_ns=row.time_ns,
    )


def _complete(request: Request, index: int, row: TraceRow) -> None:
    told = json.loads(row.text) if row.text else {}
    request.completed_index, request.completed_ns = index, row.time_ns
    request.outcome = row.kind
    request.node = row.peer or request.node
    if row.value:
        request.place = told.get("epoch", 0), row.value
    request.value = told.get("value")
    request.error = told.get("error") or ""
