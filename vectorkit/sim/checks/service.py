"""Health that is honest, syncs that have a cause, and bytes that add up."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Final

from vectorkit.sim.checks.facts import Facts
from vectorkit.sim.checks.findings import Finding, Tally
from vectorkit.sim.checks.history import NOWHERE, Place
from vectorkit.sim.trace import TraceRow
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

_DAMAGE: Final = ("FlipBit", "corruption")


def check_status(facts: Facts) -> Finding:
    """A node that is up and has its state is not Connected for long while its true lag is large.

    Large is above `lagging_above_ms`; long is `connection_timeout_ms`, after which a master knows
    that a connection is over.
    """
    protocol = facts.options.protocol
    tally = Tally("status_is_honest")
    since_ms: dict[str, float] = {}
    told: set[str] = set()
    for sample in facts.samples:
        node = sample.node
        is_behind = sample.lag_ms_true > protocol.lagging_above_ms and sample.is_up
        if is_behind and facts.guarantee.is_stateless(node, ms_to_ns(sample.time_ms)):
            is_behind = False
        tally.see(is_behind)
        if not is_behind or sample.status != "Connected":
            since_ms.pop(node, None)
            told.discard(node)
            continue
        begin_ms = since_ms.setdefault(node, sample.time_ms)
        if sample.time_ms - begin_ms > protocol.connection_timeout_ms and node not in told:
            told.add(node)
            tally.violated(
                f"{node} was Connected from {begin_ms:,} to {sample.time_ms:,} ms and is truly "
                f"{sample.lag_ms_true:,} ms behind"
            )
    idle = f"no node was more than {protocol.lagging_above_ms:,} ms behind"
    return tally.finding(of="samples of nodes that were behind", idle=idle)


def check_lag(facts: Facts) -> Finding:
    """No lag, believed or true, is ever below zero."""
    tally = Tally("lag_is_never_negative")
    tally.see(len(facts.samples) + len(facts.stats))
    for sample in facts.samples:
        if min(sample.lag_ms, sample.lag_ms_true, sample.lag_operations) < 0:
            tally.violated(
                f"{sample.node} at {sample.time_ms:,} ms: lag {sample.lag_ms:,} ms, truly "
                f"{sample.lag_ms_true:,} ms, {sample.lag_operations:,} operations"
            )
    for node, stats in facts.stats.items():
        if min(stats.lag_ms, stats.lag_operations, stats.operations_pending) < 0:
            tally.violated(
                f"{node} at the end: lag {stats.lag_ms:,} ms, {stats.lag_operations:,} operations, "
                f"{stats.operations_pending:,} pending"
            )
    return tally.finding(of="samples", idle="nothing was sampled")


def check_syncs(facts: Facts) -> Finding:
    """Every full sync has a reason of the list, and the trace shows a cause for it."""
    tally = Tally("full_syncs_have_a_cause")
    causes = _Causes(facts)
    for row in facts.rows:
        is_masters = row.event == "sync" and row.peer != row.node
        if is_masters and row.kind == "full" and row.text.startswith("started"):
            tally.see()
            reason = row.text.partition(" ")[2]
            if reason not in REASONS:
                problem = "no reason of the list"
            else:
                problem = causes.missing(reason, row.node, row.peer)
            if problem:
                tally.violated(
                    f"{row.node} began a full sync of {row.peer} at {ns_to_ms(row.time_ns):,} ms "
                    f"for {reason or 'no reason'!r}: {problem}"
                )
        else:
            causes.take(row)
    return tally.finding(of="full syncs", idle="no full sync was begun")


class _Causes:
    """What can have brought about a full sync, as far as the trace has come."""

    def __init__(self, facts: Facts) -> None:
        self._options = facts.options.protocol
        self._history = facts.history
        self._tips: dict[str, Place] = {}
        self._said: dict[tuple[str, int], Place] = {}
        """Where each node was when it asked for a connection, by the number of that."""
        self._heard: dict[tuple[str, str], Place] = {}
        self._bases: dict[str, int] = defaultdict(int)
        self._flushed_bytes: dict[str, int] = defaultdict(int)
        self._poisoned: set[str] = set()
        self._has_damage = False

    def take(self, row: TraceRow) -> None:
        """Take note of a row."""
        node = row.node
        match row.event:
            case "append":
                self._tips[node] = row.value, row.number
            case "apply":
                self._tips[node] = row.value, row.number
                if row.kind == "snapshot":
                    self._bases[node] = row.number
                    self._poisoned.discard(node)
            case "start":
                self._bases[node] = self._tips.get(node, NOWHERE)[1]
            case "crash" if row.kind == "lost_disk":
                self._tips.pop(node, None)
            case "lost_state":
                self._tips.pop(node, None)
            case "send" if row.kind == "Hello":
                self._said[node, row.number] = self._tips.get(node, NOWHERE)
            case "deliver" if row.kind == "Hello":
                self._heard[node, row.peer] = self._said.get((row.peer, row.number), NOWHERE)
            case "flush":
                self._flushed_bytes[node] += row.value
            case "quarantine":
                self._poisoned.add(node)
            case "fault":
                self._has_damage |= any(word in row.text for word in _DAMAGE)
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
                let_go = there[1] - here[1] > self._options.log_capacity_operations
                let_go |= self._flushed_bytes[master] >= self._options.log_capacity_bytes
                let_go |= here[1] < self._bases[master]
                return "" if let_go else f"the log reaches back to its offset, {here[1]}"
            case "ahead_of_master" | "different_history":
                is_other = not self._history.contains(there, here) or here[0] < there[0]
                return "" if is_other else f"its history up to {here[1]} is the master's"
            case "digest_mismatch":
                return "" if self._has_damage else "nothing was damaged"
            case _:
                return "" if node in self._poisoned else "it had applied every operation"


def check_links(facts: Facts) -> Finding:
    """On each link, what was sent, copies included, has arrived, was lost, or is still on its way.

    Nodes that never crashed have counted the same bytes themselves; copies are not the sender's.
    """
    tally = Tally("link_bytes_add_up")
    flying: Counter[tuple[str, str, str, int, int]] = Counter()
    sent: Counter[str] = Counter()
    received: Counter[str] = Counter()
    for row in facts.rows:
        if row.event == "send":
            flying[row.node, row.peer, row.kind, row.number, row.value] += 1
            if row.text != "copy":
                sent[row.node] += row.value
        elif row.event in ("deliver", "lost"):
            is_in = row.event == "deliver"
            source, target = (row.peer, row.node) if is_in else (row.node, row.peer)
            message = source, target, row.kind, row.number, row.value
            if is_in:
                received[target] += row.value
            flying[message] -= 1
            if flying[message] < 0:
                how = "arrived" if is_in else "was lost"
                tally.violated(
                    f"{row.kind} {row.number} ({row.value} bytes) from {source} to {target} {how} "
                    f"at {ns_to_ms(row.time_ns):,} ms more often than it was sent"
                )
    tally.see(len(flying))
    crashed = {row.node for _, row in facts.events if row.event == "crash"}
    for node, stats in facts.stats.items():
        if node in crashed:
            continue
        for what, counted, truth in (
            ("sent", stats.bytes_sent, sent[node]),
            ("received", stats.bytes_received, received[node]),
        ):
            if counted != truth:
                tally.violated(f"{node} counts {counted:,} bytes {what}, its links {truth:,}")
    return tally.finding(of="messages", idle="nothing was sent")
