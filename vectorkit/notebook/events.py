"""What happened in a run that is worth a line: faults, roles, crashes, health, syncs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from vectorkit.sim import Block, Fault, Partition, fault_from_dict
from vectorkit.sim.faults import LinkFault
from vectorkit.sim.trace import TraceRow
from vectorkit.units import ns_to_ms

if TYPE_CHECKING:
    from vectorkit.sim import Run


class Event(NamedTuple):
    """Something worth a line."""

    time_ms: float
    text: str


def events_of(run: Run) -> list[Event]:
    """All of them, in order.

    >>> from vectorkit import sim
    >>> run = sim.simulate(sim.ClusterOptions(replicas=1), duration_ms=500)
    >>> [each.text for each in events_of(run)][-2:]
    ['full sync of node-1 finished', 'Connected: node-1']
    """
    events: list[Event] = []
    roles: dict[str, str] = {}
    for _, row in run.facts.events:
        if row.event == "role" and roles.get(row.node) == row.kind == "replica":
            continue  # It follows another master, as the health of all will tell.
        if row.event in ("role", "crash"):
            roles[row.node] = row.kind
        time_ms, text = ns_to_ms(row.time_ns), _told(run, row)
        if row.event == "status" and events and events[-1].time_ms == time_ms:
            head, _, names = events[-1].text.partition(": ")
            if head == row.kind:  # All at once, as when the master goes: one line is enough.
                events[-1] = Event(time_ms, f"{head}: {names}, {row.peer}")
                continue
        if text:
            events.append(Event(time_ms, text))
    return events


def _told(run: Run, row: TraceRow) -> str:
    """What a row says; nothing where it is not worth a line."""
    text = ""
    match row.event:
        case "fault":
            fault = describe(fault_from_dict(json.loads(row.text)))
            text = f"{fault} {row.kind}s" if row.kind != "none" else f"{fault}: there is none"
        case "role":
            epoch = run.facts.epoch_name(row.number)
            named = f" ({epoch})" if row.kind in ("master", "candidate") else ""
            text = f"{row.node} is {row.kind}{named}"
        case "crash":
            text = f"{row.node} goes down" + (", disk lost" if row.kind == "lost_disk" else "")
        case "start" if row.kind == "restart":
            text = f"{row.node} starts again"
        case "status":
            text = f"{row.kind}: {row.peer}"
        case "sync" if row.node != row.peer:
            phase, _, reason = row.text.partition(" ")
            cause = f" ({reason.replace('_', ' ')})" if reason and phase == "started" else ""
            text = f"{row.kind} sync of {row.peer} {phase}{cause}"
    return text


def describe(fault: Fault) -> str:
    """A fault in a few words: its kind, and whom it befalls.

    >>> from vectorkit.sim import Clog
    >>> describe(Partition(at_ms=0, isolate=["node-1", "node-2"]))
    'Partition of node-1, node-2'
    >>> describe(Clog(at_ms=0, source="node-0"))
    'Clog from node-0 to all'
    """
    kind = type(fault).__name__
    if isinstance(fault, LinkFault):
        what = f"{kind} of {fault.message}" if isinstance(fault, Block) else kind
        return f"{what} from {fault.source or 'all'} to {fault.target or 'all'}"
    if isinstance(fault, Partition) and not fault.isolate:
        groups = " | ".join(", ".join(group) for group in fault.groups)
        return f"Partition into {groups}" if groups else f"Partition as a {fault.shape}"
    return f"{kind} of {', '.join(fault.names)}"
