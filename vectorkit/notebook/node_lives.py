"""What each node of a run was from moment to moment: role, epoch, and how far its log came."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from vectorkit.sim.trace import TraceRow
from vectorkit.units import ns_to_ms

if TYPE_CHECKING:
    from vectorkit.sim import Run


class NodeLife(NamedTuple):
    """A node between two rows of the trace. A node that is down has applied nothing."""

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
    for _, row in run.facts.events:
        if row.node in now:
            life = _after(now[row.node], row)
            if life != now[row.node]:
                now[row.node] = life
                found[row.node].append((ns_to_ms(row.time_ns), life))
    return found


def _after(life: NodeLife, row: TraceRow) -> NodeLife:
    """The life after a row of the trace."""
    if row.event in ("append", "apply", "flush", "ack"):
        return _after_write(life, row)
    match row.event:
        case "start":
            life = life._replace(role="starting")
        case "crash" if row.kind == "lost_disk":
            life = NodeLife(role="down", is_disk_lost=True)
        case "crash":
            kept = life.flushed + row.number
            life = life._replace(role="down", received=kept, flushed=kept, applied=0)
        case "lost_state":
            life = life._replace(received=0, flushed=0, applied=0)
        case "role":
            life = life._replace(role=row.kind, epoch=max(life.epoch, row.number))
        case "promise":
            life = life._replace(epoch=max(life.epoch, row.number))
        case "discard":
            received, flushed, applied = (min(each, row.value) for each in life[2:5])
            life = life._replace(received=received, flushed=flushed, applied=applied)
    return life


def _after_write(life: NodeLife, row: TraceRow) -> NodeLife:
    number, received = row.number, max(life.received, row.number)
    if row.event == "flush":
        return life._replace(received=received, flushed=number, is_disk_lost=False)
    if row.event == "ack":
        return life._replace(received=int(row.text.partition(" ")[0]))
    if row.kind in ("stream", "replay"):
        return life._replace(received=received, applied=number)
    return life._replace(received=number, applied=number)  # Appended, or a snapshot.
