"""What each node of a run was from moment to moment: role, epoch, and how far its log came."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from vectorkit.sim.trace_events import (
    NODE_EVENTS,
    AckSent,
    DiskFlushed,
    EpochPromised,
    HistoryApplied,
    NodeCrashed,
    NodeEvent,
    NodeStarted,
    RecordAppended,
    RecordsDiscarded,
    RoleTaken,
    StateLost,
)
from vectorkit.units import ns_to_ms

if TYPE_CHECKING:
    from vectorkit.sim import Run


class NodeLife(NamedTuple):
    """A node between two events of the trace. A node that is down has applied nothing."""

    role: str = "starting"
    epoch: int = 0
    received: int = 0
    flushed: int = 0
    applied: int = 0
    is_disk_lost: bool = False


def lives_of_nodes(run: Run) -> dict[str, list[tuple[float, NodeLife]]]:
    """Each change of each node, with its time in milliseconds, in order.

    >>> from vectorkit import sim
    >>> run = sim.simulate(sim.ClusterOptions(replicas=1), duration_ms=500)
    >>> [(time_ms, life.role) for time_ms, life in lives_of_nodes(run)["node-1"]][0]
    (0.5, 'replica')
    """
    now = {node: NodeLife() for node in run.options.node_ids}
    found: dict[str, list[tuple[float, NodeLife]]] = {node: [] for node in now}
    for _, event in run.facts.events:
        if isinstance(event, NODE_EVENTS):
            life = _after(now[event.node], event)
            if life != now[event.node]:
                now[event.node] = life
                found[event.node].append((ns_to_ms(event.time_ns), life))
    return found


def _after(life: NodeLife, event: NodeEvent) -> NodeLife:
    """The life after an event of the node."""
    match event:
        case DiskFlushed(offset=offset):
            received = max(life.received, offset)
            life = life._replace(received=received, flushed=offset, is_disk_lost=False)
        case AckSent(received_offset=received):
            life = life._replace(received=received)
        case HistoryApplied(source="stream" | "replay", offset=offset):
            life = life._replace(received=max(life.received, offset), applied=offset)
        case RecordAppended(offset=offset) | HistoryApplied(offset=offset):
            life = life._replace(received=offset, applied=offset)
        case NodeStarted():
            life = life._replace(role="starting")
        case NodeCrashed(kind="lost_disk"):
            life = NodeLife(role="down", is_disk_lost=True)
        case NodeCrashed(kept_count=kept_count):
            kept = life.flushed + kept_count
            life = life._replace(role="down", received=kept, flushed=kept, applied=0)
        case StateLost():
            life = life._replace(received=0, flushed=0, applied=0)
        case RoleTaken(role=role, epoch=epoch):
            life = life._replace(role=role, epoch=max(life.epoch, epoch))
        case EpochPromised(epoch=epoch):
            life = life._replace(epoch=max(life.epoch, epoch))
        case RecordsDiscarded(shared_offset=shared):
            received, flushed, applied = (min(each, shared) for each in life[2:5])
            life = life._replace(received=received, flushed=flushed, applied=applied)
    return life
