"""Received ≥ flushed ≥ applied ≥ visible, against what the disks have really held."""

from __future__ import annotations

from collections import defaultdict

from vectorkit.sim.checks.evidence import Evidence
from vectorkit.sim.checks.findings import CheckTally, Finding
from vectorkit.sim.checks.requests import ObservedRequest
from vectorkit.sim.world.trace_events import (
    NODE_EVENTS,
    AckSent,
    AnswerSent,
    DiskFlushed,
    HistoryApplied,
    HistoryShown,
    MessageSent,
    NodeCrashed,
    NodeEvent,
    NodeStarted,
    RecordAppended,
    RoleTaken,
    StateLost,
    TraceEvent,
)
from vectorkit.units import ns_to_ms


def check_order(evidence: Evidence) -> Finding:
    """In every ack, received ≥ flushed ≥ applied ≥ visible; readers see only what is applied.

    With `refresh_ms` an ack names as visible what readers were shown, and no more.
    """
    tally = CheckTally("positions_are_in_order")
    applied: dict[str, int] = defaultdict(int)
    shown: dict[str, int] = defaultdict(int)
    is_shown_later = evidence.options.protocol.refresh_ms > 0
    for _, event in evidence.events:
        at_ms = ns_to_ms(event.time_ns)
        match event:
            case RecordAppended(node=node):
                applied[node] = event.offset
            case HistoryApplied(node=node):
                applied[node] = event.offset
                if event.source != "stream":
                    shown[node] = event.offset
            case AckSent(node=node, visible_offset=visible):
                tally.see()
                received, flushed = event.received_offset, event.flushed_offset
                if not received >= flushed >= event.applied_offset >= visible:
                    tally.violated(
                        f"{node} acked received {received}, flushed {flushed}, applied "
                        f"{event.applied_offset}, visible {visible} at {at_ms:,} ms"
                    )
                if is_shown_later and visible > shown[node]:
                    tally.violated(
                        f"{node} acked {visible} as visible at {at_ms:,} ms, where readers saw "
                        f"{shown[node]}"
                    )
            case HistoryShown(node=node, offset=offset):
                shown[node] = offset
                if offset > applied[node]:
                    tally.violated(
                        f"{node} showed offset {offset} at {at_ms:,} ms, having applied "
                        f"{applied[node]}"
                    )
            case _:
                pass
    return tally.finding(of="acks", idle="no replica acked anything")


def check_durability(evidence: Evidence) -> Finding:
    """What an ack names as flushed is on the node's disk, then and after a restart.

    A lost disk ends that, and so does a full sync from a later epoch; nothing is applied from a
    stream before it is flushed.
    """
    has_disks = evidence.options.protocol.has_durable_log
    tally = CheckTally(
        "acked_is_durable", unpromised="" if has_disks else "the nodes have no disks"
    )
    disks: dict[str, _Disk] = defaultdict(_Disk)
    for _, event in evidence.events if has_disks else ():
        if not isinstance(event, NODE_EVENTS):
            continue
        tally.see(isinstance(event, AckSent) and event.flushed_offset > 0)
        if problem := disks[event.node].take(event):
            tally.violated(f"{event.node} {problem} at {ns_to_ms(event.time_ns):,} ms")
    idle = "no replica acked anything" if has_disks else "the nodes have no disks"
    return tally.finding(of="acks", idle=idle)


def check_stateless(evidence: Evidence) -> Finding:
    """A node that lost its state acks, serves, answers and votes for nothing before a full sync."""
    tally = CheckTally("stateless_nodes_are_silent")
    has_disks = evidence.options.protocol.has_durable_log
    answered = {each.served_index: each for each in evidence.requests if each.is_ok}
    lost: dict[str, str] = {}
    for index, event in enumerate(evidence.trace):
        match event:
            case NodeCrashed(node=node) if event.kind == "lost_disk" or not has_disks:
                lost[node] = "lost its disk" if has_disks else "lost its memory"
            case StateLost(node=node):
                tally.see()
                lost[node] = f"found its state lost ({event.reason})"
            case HistoryApplied(node=node, source="snapshot"):
                lost.pop(node, None)
            case _ if lost and (said := _said(event, answered.get(index))):
                node, what = said
                if node in lost:
                    at_ms = ns_to_ms(event.time_ns)
                    tally.violated(f"{node} {what} at {at_ms:,} ms, having {lost[node]}")
            case _:
                pass
    return tally.finding(of="nodes without state", idle="no node lost its state")


def _said(event: TraceEvent, answered: ObservedRequest | None) -> tuple[str, str] | None:
    """What a node says with an event that only a node with its state may say."""
    match event:
        case AckSent(node=node):
            return node, f"acked offset {event.flushed_offset}"
        case RoleTaken(node=node, role="master" | "candidate" as role):
            return node, f"became {role}"
        case MessageSent(source=node, message="Promise" | "EpochConfirmed" as message):
            return node, f"sent {message} {event.number}"
        case AnswerSent(node=node) if answered is not None:
            return node, f"answered {answered.kind} {event.request}"
    return None


class _Disk:
    """How far a disk is known to hold the history, and what was said of it."""

    def __init__(self) -> None:
        self._mark = 0
        self._acked = 0
        self._is_fresh = False

    def take(self, event: NodeEvent) -> str:
        match event:
            case DiskFlushed(offset=offset):
                self._mark = offset
                if self._is_fresh:
                    self._is_fresh = False
                    if offset < self._acked:
                        return f"came back with {offset} flushed, having acked {self._acked}"
            case HistoryApplied(source="snapshot"):
                self._acked = min(self._acked, event.offset)
            case HistoryApplied(source="stream", offset=offset) if offset > self._mark:
                return f"applied offset {offset}, of which its disk holds {self._mark}"
            case AckSent(flushed_offset=flushed):
                self._acked = max(self._acked, flushed)
                if flushed > self._mark:
                    return f"acked {flushed} as flushed, of which its disk holds {self._mark}"
            case NodeStarted():
                self._is_fresh = event.cause == "restart"
            case StateLost() | NodeCrashed(kind="lost_disk"):
                self._mark = self._acked = 0
            case _:
                pass
        return ""
