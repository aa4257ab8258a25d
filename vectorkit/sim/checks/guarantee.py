"""When acknowledged writes are promised to stay, and from when on a run has voided the promise.

With n ≥ 1 replicas, stage `flushed` or later and the safe quorum, no acknowledged write is lost
while at most n slots at a time are without their state: from the loss to the end of the return.
A forced epoch, and an index that was retired although its node lives, void the promise.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from vectorkit.sim.options import ClusterOptions
from vectorkit.sim.world.trace_events import (
    NODE_EVENTS,
    HistoryApplied,
    IndexRetired,
    NodeCrashed,
    NodeEvent,
    NodeStarted,
    RoleTaken,
    StateLost,
    TraceEvent,
)

_SLOT_MASK: Final = 0xFF
_STAGES: Final = ("flushed", "applied", "visible")


class Guarantee:
    """What the write concern promises about acknowledged writes, and what has voided it.

    `unpromised` says why the options promise nothing, empty where they do.
    """

    def __init__(self, options: ClusterOptions, events: Iterable[tuple[int, TraceEvent]]) -> None:
        protocol = options.protocol
        self.replica_count = protocol.write_concern.replica_count(len(options.node_ids))
        self.unpromised = _unpromised(options, self.replica_count)
        self.void_ns: int | None = None
        """From when on the promise is void; None where it never was."""
        self.void_reason = ""
        self.stateless: dict[str, list[tuple[int, int | None]]] = {}
        """When each node was without its state; None where that did not end."""
        self._node_ids = options.node_ids
        self._has_disks = protocol.has_durable_log
        self._open: dict[str, int] = {}
        self._lost: set[str] = set()
        self._crashed_ns: dict[str, int] = {}
        self._down: set[str] = set()
        self._starting: set[str] = set()
        self._indices: dict[str, int] = {}
        self._retired: dict[str, int] = {}
        for _, event in events:
            self._take(event)
        for node, since_ns in self._open.items():
            self.stateless.setdefault(node, []).append((since_ns, None))

    def is_in_force(self, time_ns: int) -> bool:
        """Whether acknowledged writes were still promised to stay at a time."""
        return not self.unpromised and (self.void_ns is None or time_ns < self.void_ns)

    def is_stateless(self, node: str, time_ns: int) -> bool:
        """Whether a node was without its state."""
        spans = self.stateless.get(node, ())
        return any(begin <= time_ns and (end is None or time_ns <= end) for begin, end in spans)

    def _take(self, event: TraceEvent) -> None:
        if self._starting and isinstance(event, NODE_EVENTS):
            self._has_acted(event)
        match event:
            case NodeCrashed(time_ns=time_ns, node=node):
                self._down.add(node)
                self._crashed_ns[node] = time_ns
                if event.kind == "lost_disk" or not self._has_disks:
                    self._lose(node, time_ns)
            case NodeStarted(node=node):
                self._down.discard(node)
                self._starting.add(node)
            case StateLost(node=node):
                self._indices[node] = event.index
                self._retired.pop(node, None)
                if node not in self._starting:  # It has dropped its state while it ran.
                    self._crashed_ns[node] = event.time_ns
                self._lose(node, self._crashed_ns.get(node, event.time_ns))
            case HistoryApplied(node=node, source="snapshot") if node in self._open:
                self._lost.discard(node)
                self.stateless.setdefault(node, []).append((self._open.pop(node), event.time_ns))
            case IndexRetired():
                self._retire(event)
            case RoleTaken(role="master", is_forced=True):
                self._void(event.time_ns, f"the epoch of {event.node} was forced")
            case _:
                pass

    def _has_acted(self, event: NodeEvent) -> None:
        """A node that acts after its start has its state, unless it reported its loss first."""
        node = event.node
        if node in self._starting and not isinstance(event, NodeStarted | StateLost):
            self._starting.discard(node)
            if node in self._retired and node not in self._lost:
                self._void(self._retired[node], f"{node} was retired, and has come back alive")

    def _lose(self, node: str, since_ns: int) -> None:
        self._lost.add(node)
        self._open_span(node, since_ns)

    def _open_span(self, node: str, since_ns: int) -> None:
        self._open.setdefault(node, since_ns)
        if len(self._open) > self.replica_count:
            names = ", ".join(sorted(self._open))
            reason = f"{names} were without state together, n = {self.replica_count}"
            self._void(max(self._open.values()), reason)

    def _retire(self, event: IndexRetired) -> None:
        slot = event.index & _SLOT_MASK
        if slot >= len(self._node_ids):
            return
        node = self._node_ids[slot]
        if node in self._retired or event.index < self._indices.get(node, slot):
            return
        self._retired[node] = event.time_ns
        if node not in self._down and node not in self._lost:
            self._void(event.time_ns, f"{node} was retired while it lived")
        self._open_span(node, event.time_ns)

    def _void(self, time_ns: int, reason: str) -> None:
        if self.void_ns is None or time_ns < self.void_ns:
            self.void_ns, self.void_reason = time_ns, reason


def _unpromised(options: ClusterOptions, replica_count: int) -> str:
    protocol = options.protocol
    if replica_count < 1:
        return "the write concern asks for no replica"
    if protocol.write_concern.stage not in _STAGES:
        return f"the write concern is met at the stage {protocol.write_concern.stage!r}"
    return "" if protocol.quorum == "safe" else f"quorum is {protocol.quorum!r}"
