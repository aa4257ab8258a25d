"""What became of every record that a master has written, stage by stage, read from the trace."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from vectorkit.sim.checks import Evidence
from vectorkit.sim.checks.history import NOWHERE, History, LogPosition
from vectorkit.sim.checks.requests import ObservedRequest
from vectorkit.sim.world.trace_events import (
    AckSent,
    DiskFlushed,
    HistoryApplied,
    HistoryShown,
    NodeCrashed,
    OffsetConfirmed,
    RecordAppended,
    TraceEvent,
)


@dataclass(slots=True)
class WriteHistory:
    """One record: who asked for it, and when it reached each stage. Times are None where never."""

    place: LogPosition
    operation: str
    master: str
    written_ns: int
    is_kept: bool
    """Whether the final history holds it."""
    request: ObservedRequest | None = None
    """The request of a client that caused it; None for what a notebook wrote, and for the start
    of an epoch."""
    flushed_ns: dict[str, int] = field(default_factory=dict)
    applied_ns: dict[str, tuple[int, str]] = field(default_factory=dict)
    """When each node first held it, and by what: append, stream, snapshot or replay."""
    visible_ns: dict[str, int] = field(default_factory=dict)
    """When readers of each node first saw it."""
    acked_ns: dict[str, int] = field(default_factory=dict)
    confirmed_ns: int | None = None

    @property
    def outcome(self) -> str | None:
        """The answer that the client received about this record.

        "ok", "degraded" or "timeout" by an answer that names it; "silent" where no answer came in
        time, "open" where one was still waited for. "copy": the answer is not about this record: a
        master made it of a copy of the message that came late. None without a client.
        """
        request = self.request
        if request is None:
            return None
        if request.outcome in ("", "silent"):
            return request.outcome or "open"
        return request.outcome if request.place == self.place else "copy"

    @property
    def answered_ns(self) -> int | None:
        """When the answer that names it reached its client; None where none did."""
        is_answered = self.outcome in ("ok", "degraded", "timeout")
        return self.request.completed_ns if self.request and is_answered else None


def write_histories(evidence: Evidence) -> dict[LogPosition, WriteHistory]:
    """All records in the order in which they were written."""
    return _Lives(evidence).lives


class _Lives:
    def __init__(self, evidence: Evidence) -> None:
        self._history: History = evidence.history
        final = self._history.final
        self.lives = {
            place: WriteHistory(
                place,
                each.operation,
                each.node,
                each.time_ns,
                self._history.contains(final, place),
            )
            for place, each in self._history.appended.items()
        }
        for request in evidence.requests:
            for place in request.places:
                self.lives[place].request = request
        self._tips: dict[str, LogPosition] = {}
        self._marks: dict[str, list[tuple[int, int]]] = defaultdict(list)
        self._unflushed: dict[str, deque[LogPosition]] = defaultdict(deque)
        self._shown: dict[str, LogPosition] = {}
        self._acked: dict[str, LogPosition] = {}
        self._confirmed: LogPosition = NOWHERE
        for _, event in evidence.events:
            self._take(event)
        if not evidence.options.protocol.refresh_ms:  # Then what is applied is shown.
            for life in self.lives.values():
                life.visible_ns = {node: time for node, (time, _) in life.applied_ns.items()}

    def _take(self, event: TraceEvent) -> None:
        match event:
            case RecordAppended(node=node, time_ns=time_ns):
                place = event.epoch, event.offset
                self._tips[node] = place
                self._unflushed[node].append(place)
                self.lives[place].applied_ns.setdefault(node, (time_ns, "append"))
            case DiskFlushed(node=node):
                self._flush(event)
                own = self._unflushed[node]
                while own and own[0][1] <= event.offset:
                    self.lives[own.popleft()].flushed_ns.setdefault(node, event.time_ns)
            case HistoryApplied():
                self._apply(event)
            case HistoryShown():
                self._show(event)
            case NodeCrashed(node=node):
                self._unflushed[node].clear()
                self._marks[node].clear()
            case AckSent(node=node):
                place = event.epoch, event.flushed_offset
                for life in self._new(self._acked.get(node, NOWHERE), place):
                    life.acked_ns.setdefault(node, event.time_ns)
                self._acked[node] = place
            case OffsetConfirmed():
                self._confirm(event)
            case _:
                pass

    def _show(self, event: HistoryShown) -> None:
        node = event.node
        place = self._history.at(self._tips.get(node, NOWHERE), event.offset)
        for life in self._new(self._shown.get(node, NOWHERE), place):
            life.visible_ns.setdefault(node, event.time_ns)
        self._shown[node] = place

    def _confirm(self, event: OffsetConfirmed) -> None:
        place = event.epoch, event.offset
        for life in self._new(self._confirmed, place):
            life.confirmed_ns = event.time_ns if life.confirmed_ns is None else life.confirmed_ns
        self._confirmed = place

    def _apply(self, event: HistoryApplied) -> None:
        node, place = event.node, (event.epoch, event.offset)
        before = self._tips.get(node, NOWHERE)
        if event.source == "replay":
            before = event.epoch, event.offset - 1
        for life in self._new(before, place):
            life.applied_ns.setdefault(node, (event.time_ns, event.source))
            if event.source == "stream":
                life.flushed_ns.setdefault(node, self._flushed_ns(event))
            else:
                life.flushed_ns.setdefault(node, event.time_ns)
        self._tips[node] = place

    def _flush(self, event: DiskFlushed) -> None:
        """Note how far a disk holds the history; the first flush that reached a mark counts."""
        marks = self._marks[event.node]
        while marks and marks[-1][0] > event.offset:
            marks.pop()
        if not marks or marks[-1][0] < event.offset:
            marks.append((event.offset, event.time_ns))

    def _flushed_ns(self, event: HistoryApplied) -> int:
        """When the disk of a node came to hold what it applies now."""
        marks = self._marks[event.node]
        place = bisect_left(marks, event.offset, key=lambda mark: mark[0])
        return marks[place][1] if place < len(marks) else event.time_ns

    def _new(self, before: LogPosition, now: LogPosition) -> Iterator[WriteHistory]:
        """The records of a history that another, earlier one did not hold."""
        shared = before[1] if before[0] == now[0] else self._history.shared(before, now)
        for offset in range(shared + 1, now[1] + 1):
            life = self.lives.get(self._history.at(now, offset))
            if life is not None:
                yield life
