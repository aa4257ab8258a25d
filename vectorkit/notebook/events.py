"""List the events of a run for a reader: faults, roles, crashes, health, syncs."""

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
    """One event of a run, as a line of text."""

    time_ms: float
    text: str


def events_of(run: Run) -> list[Event]:
    """Return the listed events of a run, in order.

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
                continue  # It follows another master: changes of health report that.
            roles[event.node] = event.role
        was_down = False
        if isinstance(event, NodeCrashed):
            was_down, roles[event.node] = roles.get(event.node) == "down", "down"
        time_ms, text = ns_to_ms(event.time_ns), _text_of(run, event, was_down=was_down)
        if isinstance(event, HealthChanged) and events and events[-1].time_ms == time_ms:
            head, _, names = events[-1].text.partition(": ")
            if head == event.status:  # When a master fails, all nodes change at once: one line.
                events[-1] = Event(time_ms, f"{head}: {names}, {event.node}")
                continue
        if text:
            events.append(Event(time_ms, text))
    return events


def _text_of(run: Run, event: TraceEvent, *, was_down: bool) -> str:
    """Return the line of an event, or "" if it is not listed."""
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
    """Return the kind of a fault and the nodes or links that it affects.

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
