"""Received ≥ flushed ≥ applied ≥ visible, against what the disks have really held."""

from __future__ import annotations

from collections import defaultdict

from vectorkit.sim.checks.facts import Facts
from vectorkit.sim.checks.findings import Finding, Tally
from vectorkit.sim.trace import TraceRow
from vectorkit.units import ns_to_ms


def check_order(facts: Facts) -> Finding:
    """In every ack, received ≥ flushed ≥ applied ≥ visible; readers see only what is applied.

    With `refresh_ms` an ack names as visible what readers were shown, and no more.
    """
    tally = Tally("positions_are_in_order")
    applied: dict[str, int] = defaultdict(int)
    shown: dict[str, int] = defaultdict(int)
    is_shown_later = facts.options.protocol.refresh_ms > 0
    for _, row in facts.events:
        if row.event in ("append", "apply"):
            applied[row.node] = row.number
            if row.kind in ("snapshot", "replay"):
                shown[row.node] = row.number
        elif row.event == "ack":
            tally.see()
            received, shown_applied, visible = map(int, row.text.split())
            if not received >= row.number >= shown_applied >= visible:
                tally.violated(
                    f"{row.node} acked received {received}, flushed {row.number}, applied "
                    f"{shown_applied}, visible {visible} at {ns_to_ms(row.time_ns):,} ms"
                )
            if is_shown_later and visible > shown[row.node]:
                tally.violated(
                    f"{row.node} acked {visible} as visible at {ns_to_ms(row.time_ns):,} ms, "
                    f"where readers saw {shown[row.node]}"
                )
        elif row.event == "visible":
            shown[row.node] = row.number
            if row.number > applied[row.node]:
                tally.violated(
                    f"{row.node} showed offset {row.number} at {ns_to_ms(row.time_ns):,} ms, "
                    f"having applied {applied[row.node]}"
                )
    return tally.finding(of="acks", idle="no replica acked anything")


def check_durability(facts: Facts) -> Finding:
    """What an ack names as flushed is on the node's disk, then and after a restart.

    A lost disk ends that, and so does a full sync from a later epoch; nothing is applied from a
    stream before it is flushed.
    """
    has_disks = facts.options.protocol.has_durable_log
    tally = Tally("acked_is_durable", unpromised="" if has_disks else "the nodes have no disks")
    disks: dict[str, _Disk] = defaultdict(_Disk)
    for _, row in facts.events if has_disks else ():
        tally.see(row.event == "ack" and row.number > 0)
        if problem := disks[row.node].take(row):
            tally.violated(f"{row.node} {problem} at {ns_to_ms(row.time_ns):,} ms")
    idle = "no replica acked anything" if has_disks else "the nodes have no disks"
    return tally.finding(of="acks", idle=idle)


def check_stateless(facts: Facts) -> Finding:
    """A node that lost its state acks, serves, answers and votes for nothing before a full sync."""
    tally = Tally("stateless_nodes_are_silent")
    has_disks = facts.options.protocol.has_durable_log
    answered = {each.served_index: each for each in facts.requests if each.is_ok}
    lost: dict[str, str] = {}
    for index, row in enumerate(facts.rows):
        node, said = row.node, ""
        match row.event:
            case "crash" if row.kind == "lost_disk" or not has_disks:
                lost[node] = "lost its disk" if has_disks else "lost its memory"
            case "lost_state":
                tally.see()
                lost[node] = f"found its state lost ({row.text})"
            case "apply" if row.kind == "snapshot":
                lost.pop(node, None)
            case "ack":
                said = f"acked offset {row.number}"
            case "role" if row.kind in ("master", "candidate"):
                said = f"became {row.kind}"
            case "send" if row.kind in ("Promise", "EpochConfirmed"):
                said = f"sent {row.kind} {row.number}"
            case "send" if index in answered:
                said = f"answered {answered[index].kind} {row.number}"
            case _:
                pass
        if said and node in lost:
            tally.violated(f"{node} {said} at {ns_to_ms(row.time_ns):,} ms, having {lost[node]}")
    return tally.finding(of="nodes without state", idle="no node lost its state")


class _Disk:
    """How far a disk is known to hold the history, and what was said of it."""

    def __init__(self) -> None:
        self._mark = 0
        self._acked = 0
        self._is_fresh = False

    def take(self, row: TraceRow) -> str:
        match row.event:
            case "flush":
                self._mark = row.number
                if self._is_fresh:
                    self._is_fresh = False
                    if row.number < self._acked:
                        return f"came back with {row.number} flushed, having acked {self._acked}"
            case "apply" if row.kind == "snapshot":
                self._acked = min(self._acked, row.number)
            case "apply" if row.kind == "stream" and row.number > self._mark:
                return f"applied offset {row.number}, of which its disk holds {self._mark}"
            case "ack":
                self._acked = max(self._acked, row.number)
                if row.number > self._mark:
                    return f"acked {row.number} as flushed, of which its disk holds {self._mark}"
            case "start":
                self._is_fresh = row.kind == "restart"
            case "lost_state":
                self._mark = self._acked = 0
            case "crash" if row.kind == "lost_disk":
                self._mark = self._acked = 0
            case _:
                pass
        return ""
