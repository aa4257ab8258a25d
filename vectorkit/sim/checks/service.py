"""Health that is honest, syncs that have a cause, and bytes that add up."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Final

from vectorkit.sim.checks.evidence import Evidence
from vectorkit.sim.checks.findings import CheckTally, Finding
from vectorkit.sim.checks.history import NOWHERE, LogPosition
from vectorkit.sim.faults.faults import Degrade, FlipBit
from vectorkit.sim.world.trace_events import (
    DiskFlushed,
    FaultChanged,
    HistoryApplied,
    MessageDelivered,
    MessageLost,
    MessageSent,
    NodeCrashed,
    NodeStarted,
    RecordAppended,
    RecordQuarantined,
    StateLost,
    SyncReported,
    TraceEvent,
)
from vectorkit.units import ms_to_ns, ns_to_ms

REASONS: Final = (
    "first_sync",
    "too_old",
    "ahead_of_master",
    "different_history",
    "digest_mismatch",
    "poisoned",
)
"""Why a full sync may happen."""


def check_status(evidence: Evidence) -> Finding:
    """A node that is up and has its state is not Connected for long while its true lag is large.

    Large is above `lagging_above_ms`; long is `connection_timeout_ms`, after which a master knows
    that a connection is over.
    """
    protocol = evidence.options.protocol
    tally = CheckTally("status_is_honest")
    since_ms: dict[str, float] = {}
    warned: set[str] = set()
    for sample in evidence.samples:
        node = sample.node
        is_behind = sample.lag_ms_true > protocol.lagging_above_ms and sample.is_up
        if is_behind and evidence.guarantee.is_stateless(node, ms_to_ns(sample.time_ms)):
            is_behind = False
        tally.see(is_behind)
        if not is_behind or sample.status != "Connected":
            since_ms.pop(node, None)
            warned.discard(node)
            continue
        begin_ms = since_ms.setdefault(node, sample.time_ms)
        if sample.time_ms - begin_ms > protocol.connection_timeout_ms and node not in warned:
            warned.add(node)
            tally.violated(
                f"{node} was Connected from {begin_ms:,} to {sample.time_ms:,} ms and is truly "
                f"{sample.lag_ms_true:,} ms behind"
            )
    idle = f"no node was more than {protocol.lagging_above_ms:,} ms behind"
    return tally.finding(of="samples of nodes that were behind", idle=idle)


def check_lag(evidence: Evidence) -> Finding:
    """No lag, believed or true, is ever below zero."""
    tally = CheckTally("lag_is_never_negative")
    tally.see(len(evidence.samples) + len(evidence.stats))
    for sample in evidence.samples:
        if min(sample.lag_ms, sample.lag_ms_true, sample.lag_operations) < 0:
            tally.violated(
                f"{sample.node} at {sample.time_ms:,} ms: lag {sample.lag_ms:,} ms, truly "
                f"{sample.lag_ms_true:,} ms, {sample.lag_operations:,} operations"
            )
    for node, stats in evidence.stats.items():
        if min(stats.lag_ms, stats.lag_operations, stats.operations_pending) < 0:
            tally.violated(
                f"{node} at the end: lag {stats.lag_ms:,} ms, {stats.lag_operations:,} operations, "
                f"{stats.operations_pending:,} pending"
            )
    return tally.finding(of="samples", idle="nothing was sampled")


def check_syncs(evidence: Evidence) -> Finding:
    """Every full sync has a reason of the list, and the trace shows a cause for it."""
    tally = CheckTally("full_syncs_have_a_cause")
    causes = _Causes(evidence)
    for event in evidence.trace:
        match event:
            case SyncReported(node=master, peer=node, kind="full", phase="started") if (
                node != master
            ):
                tally.see()
                reason = event.reason
                if reason not in REASONS:
                    problem = "no reason of the list"
                else:
                    problem = causes.missing(reason, master, node)
                if problem:
                    tally.violated(
                        f"{master} began a full sync of {node} at {ns_to_ms(event.time_ns):,} ms "
                        f"for {reason or 'no reason'!r}: {problem}"
                    )
            case _:
                causes.take(event)
    return tally.finding(of="full syncs", idle="no full sync was begun")


class _Causes:
    """What can have brought about a full sync, as far as the trace has come."""

    def __init__(self, evidence: Evidence) -> None:
        self._options = evidence.options.protocol
        self._history = evidence.history
        self._tips: dict[str, LogPosition] = {}
        self._said: dict[tuple[str, int], LogPosition] = {}
        """Where each node was when it asked for a connection, by the number of that."""
        self._heard: dict[tuple[str, str], LogPosition] = {}
        self._bases: dict[str, int] = defaultdict(int)
        self._flushed_bytes: dict[str, int] = defaultdict(int)
        self._poisoned: set[str] = set()
        self._has_damage = False

    def take(self, event: TraceEvent) -> None:
        """Take note of an event."""
        match event:
            case MessageSent(source=node, message="Hello"):
                self._said[node, event.number] = self._tips.get(node, NOWHERE)
            case MessageDelivered(source=peer, target=node, message="Hello"):
                self._heard[node, peer] = self._said.get((peer, event.number), NOWHERE)
            case MessageSent() | MessageDelivered():
                pass  # They are most events: no other class needs to be tried for them.
            case RecordAppended(node=node):
                self._tips[node] = event.epoch, event.offset
            case HistoryApplied(node=node):
                self._tips[node] = event.epoch, event.offset
                if event.source == "snapshot":
                    self._bases[node] = event.offset
                    self._poisoned.discard(node)
            case NodeStarted(node=node):
                self._bases[node] = self._tips.get(node, NOWHERE)[1]
            case NodeCrashed(node=node, kind="lost_disk") | StateLost(node=node):
                self._tips.pop(node, None)
            case DiskFlushed(node=node):
                self._flushed_bytes[node] += event.size_bytes
            case RecordQuarantined(node=node):
                self._poisoned.add(node)
            case FaultChanged(fault=fault):
                is_corrupting = isinstance(fault, Degrade) and fault.corruption > 0
                self._has_damage |= is_corrupting or isinstance(fault, FlipBit)
            case _:
                pass

    def missing(self, reason: str, master: str, node: str) -> str:
        """What there should be for this reason and is not; empty where there is."""
        here = self._heard.get((master, node), self._tips.get(node, NOWHERE))
        there = self._tips.get(master, NOWHERE)
        match reason:
            case "first_sync":
                return "" if here == NOWHERE else f"it has offset {here[1]}"
            case "too_old":
                release = there[1] - here[1] > self._options.log_capacity_operations
                release |= self._flushed_bytes[master] >= self._options.log_capacity_bytes
                release |= here[1] < self._bases[master]
                return "" if release else f"the log reaches back to its offset, {here[1]}"
            case "ahead_of_master" | "different_history":
                is_other = not self._history.contains(there, here) or here[0] < there[0]
                return "" if is_other else f"its history up to {here[1]} is the master's"
            case "digest_mismatch":
                return "" if self._has_damage else "nothing was damaged"
            case _:
                return "" if node in self._poisoned else "it had applied every operation"


def check_links(evidence: Evidence) -> Finding:
    """On each link, what was sent, copies included, has arrived, was lost, or is still on its way.

    Nodes that never crashed have counted the same bytes themselves; copies are not the sender's.
    """
    tally = CheckTally("link_bytes_add_up")
    flying: Counter[tuple[str, str, str, int, int]] = Counter()
    sent: Counter[str] = Counter()
    received: Counter[str] = Counter()
    for event in evidence.trace:
        if isinstance(event, MessageSent):
            flying[_message(event)] += 1
            if event.note != "copy":
                sent[event.source] += event.size_bytes
        elif isinstance(event, MessageDelivered | MessageLost):
            message = _message(event)
            how = "was lost"
            if isinstance(event, MessageDelivered):
                how = "arrived"
                received[event.target] += event.size_bytes
            flying[message] -= 1
            if flying[message] < 0:
                tally.violated(
                    f"{event.message} {event.number} ({event.size_bytes} bytes) from "
                    f"{event.source} to {event.target} {how} at {ns_to_ms(event.time_ns):,} ms "
                    "more often than it was sent"
                )
    tally.see(len(flying))
    crashed = {event.node for _, event in evidence.events if isinstance(event, NodeCrashed)}
    for node, stats in evidence.stats.items():
        if node in crashed:
            continue
        for what, counted, truth in (
            ("sent", stats.bytes_sent, sent[node]),
            ("received", stats.bytes_received, received[node]),
        ):
            if counted != truth:
                tally.violated(f"{node} counts {counted:,} bytes {what}, its links {truth:,}")
    return tally.finding(of="messages", idle="nothing was sent")


def _message(
    event: MessageSent | MessageDelivered | MessageLost,
) -> tuple[str, str, str, int, int]:
    return event.source, event.target, event.message, event.number, event.size_bytes
