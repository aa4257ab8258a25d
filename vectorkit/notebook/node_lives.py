"""The role, the epoch and the log position of each node over time."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from vectorkit.sim.world.trace_events import (
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
    """The state of a node between two events of the trace; a node that is down has applied 0."""

    role: str = "starting"
    epoch: int = 0
    received: int = 0
    flushed: int = 0
    applied: int = 0
    is_disk_lost: bool = False


def lives_of_nodes(run: Run) -> dict[str, list[tuple[float, NodeLife]]]:
    """Return the changes of each node, in order, with their times in ms.

    >>> from vectorkit import sim
    >>> run = sim.simulate(sim.ClusterOptions(replicas=1), duration_ms=500)
    >>> [(time_ms, life.role) for time_ms, life in lives_of_nodes(run)["node-1"]][0]
    (0.5, 'replica')
    """
    now = {node: NodeLife() for node in run.options.node_ids}
    found: dict[str, list[tuple[float, NodeLife]]] = {node: [] for node in now}

    def note(node: str, time_ms: float, life: NodeLife) -> None:
        if life != now[node]:
            now[node] = life
            found[node].append((time_ms, life))

    def note_heads(node: str, until_ms: float) -> None:
        while heads[node] and heads[node][0][0] <= until_ms:
            sampled_ms, head = heads[node].popleft()
            # A sample at the time of an event is skipped: the trace does not order the two.
            if sampled_ms < until_ms and now[node].role != "down":
                note(node, sampled_ms, now[node]._replace(received=head))

    heads = {node: _sampled_heads(run, node) for node in now}
    for _, event in run.evidence.events:
        if isinstance(event, NODE_EVENTS):
            node, time_ms = event.node, ns_to_ms(event.time_ns)
            note_heads(node, time_ms)
            note(node, time_ms, _after(now[node], event))
    for node in now:
        note_heads(node, run.duration_ms)
    return found


def _sampled_heads(run: Run, node: str) -> deque[tuple[float, int]]:
    """Return the sampled ends of a node's log, which grows before an event reports it."""
    return deque((each.time_ms, each.head_offset) for each in run.log_samples if each.node == node)


def _after(life: NodeLife, event: NodeEvent) -> NodeLife:
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
