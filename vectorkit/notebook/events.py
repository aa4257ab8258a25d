"""What happened in a run that is worth a line: faults, roles, crashes, health, syncs."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from vectorkit.sim import Block, Fault, Partition
from vectorkit.sim.faults.faults import LinkFault
from vectorkit.sim.world.trace_events import (
    FaultChanged,
    HealthChanged,
    NodeCrashed,
    NodeStarted,
    RoleTaken,
    SyncReported,
    TraceEvent,
)
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
    for _, event in run.evidence.events:
        if isinstance(event, RoleTaken):
            if roles.get(event.node) == event.role == "replica":
                continue  # It follows another master, as the health of all will tell.
            roles[event.node] = event.role
        was_down = False
        if isinstance(event, NodeCrashed):
            was_down, roles[event.node] = roles.get(event.node) == "down", "down"
        time_ms, text = ns_to_ms(event.time_ns), _told(run, event, was_down=was_down)
        if isinstance(event, HealthChanged) and events and events[-1].time_ms == time_ms:
            head, _, names = events[-1].text.partition(": ")
            if head == event.status:  # All at once, as when the master goes: one line is enough.
                events[-1] = Event(time_ms, f"{head}: {names}, {event.node}")
                continue
        if text:
            events.append(Event(time_ms, text))
    return events


def _told(run: Run, event: TraceEvent, *, was_down: bool) -> str:
    """What an event says; nothing where it is not worth a line."""
    text = ""
    match event:
        case FaultChanged(phase=phase, fault=fault):
            ending = f" {phase}s" if phase != "none" else ": there is none"
            text = f"{describe(fault)}{ending}"
        case RoleTaken(node=node, role=role, epoch=epoch):
            named = role in ("master", "candidate")
            text = f"{node} is {role}" + (f" ({run.evidence.epoch_name(epoch)})" if named else "")
        case NodeCrashed(node=node, kind=kind) if was_down:
            text = f"{node} loses its disk while it is down" if kind == "lost_disk" else ""
        case NodeCrashed(node=node, kind=kind):
            text = f"{node} goes down" + (", disk lost" if kind == "lost_disk" else "")
        case NodeStarted(node=node, cause="restart"):
            text = f"{node} starts again"
        case HealthChanged(node=node, status=status):
            text = f"{status}: {node}"
        case SyncReported(node=node, peer=peer, phase=phase, reason=reason) if node != peer:
            cause = f" ({reason.replace('_', ' ')})" if reason and phase == "started" else ""
            text = f"{event.kind} sync of {peer} {phase}{cause}"
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
