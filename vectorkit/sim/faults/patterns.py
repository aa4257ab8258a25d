"""Named patterns of faults: each gives a list that is a function of its arguments alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from vectorkit.sim.faults.draws import Draws, draws_of
from vectorkit.sim.faults.faults import CURRENT_MASTER, Clog, Crash, Cut, Fault, Partition
from vectorkit.sim.options import ClusterOptions


def swizzle_clog(
    options: ClusterOptions, *, duration_ms: int, seed: int, intensity: float = 0.5
) -> list[Fault]:
    """Some nodes are clogged one after the other, then released in another order; again and again.

    >>> faults = swizzle_clog(ClusterOptions(), duration_ms=10_000, seed=7)
    >>> {type(fault).__name__ for fault in faults}
    {'Clog'}
    """
    draws = draws_of(1, seed, duration_ms, intensity)
    period_ms = round(4_000 - 2_000 * intensity)
    faults: list[Fault] = []
    for number, start_ms in enumerate(range(500, duration_ms - period_ms, 2 * period_ms)):
        here = draws.at(number)
        count = here.between(1, max(1, round(len(options.node_ids) * intensity)), 0)
        chosen = here.some(options.node_ids, count, 1)
        released = here.some(chosen, count, 2)
        step_ms = period_ms // (2 * count)
        for place, node in enumerate(chosen):
            at_ms = start_ms + place * step_ms
            until_ms = start_ms + period_ms // 2 + (released.index(node) + 1) * step_ms
            faults.append(Clog(at_ms=at_ms, for_ms=until_ms - at_ms, source=node))
            faults.append(Clog(at_ms=at_ms, for_ms=until_ms - at_ms, target=node))
    return faults


def flapping_link(
    options: ClusterOptions, *, duration_ms: int, seed: int, intensity: float = 0.5
) -> list[Fault]:
    """The link of two drawn nodes breaks and heals, for drawn times; `intensity` is broken.

    >>> flapping_link(ClusterOptions(), duration_ms=600, seed=7)[0].until_ms <= 600
    True
    """
    draws = draws_of(2, seed, duration_ms, intensity)
    if not options.replicas:
        return []
    source, target = draws.some(options.node_ids, 2, 0)
    faults: list[Fault] = []
    at_ms, number = draws.between(0, 400, 1), 0
    while at_ms < duration_ms and intensity > 0:
        here = draws.at(2, number)
        period_ms = here.between(200, 2_000, 0)
        for_ms = max(1, min(round(period_ms * intensity), duration_ms - at_ms))
        faults.append(Cut(at_ms=at_ms, for_ms=for_ms, source=source, target=target))
        faults.append(Cut(at_ms=at_ms, for_ms=for_ms, source=target, target=source))
        at_ms, number = at_ms + period_ms, number + 1
    return faults


def rolling_restart(
    options: ClusterOptions, *, duration_ms: int, seed: int, intensity: float = 0.5
) -> list[Fault]:
    """Every node is restarted, one after the other, in a drawn order; it keeps its disk.

    >>> faults = rolling_restart(ClusterOptions(replicas=2), duration_ms=9_000, seed=7)
    >>> [fault.at_ms for fault in faults], sorted(fault.node for fault in faults)
    ([1500.0, 4500.0, 7500.0], ['node-0', 'node-1', 'node-2'])
    """
    draws = draws_of(3, seed, duration_ms, intensity)
    nodes = draws.some(options.node_ids, len(options.node_ids), 0)
    share_ms = duration_ms / len(nodes)
    for_ms = max(1, round(share_ms * intensity))
    return [
        Crash(at_ms=round((number + 0.5) * share_ms, 3), for_ms=for_ms, node=node)
        for number, node in enumerate(nodes)
    ]


def isolate_master(
    options: ClusterOptions, *, duration_ms: int, seed: int, intensity: float = 0.5
) -> list[Fault]:
    """Isolate the master of the moment from all others, repeatedly.

    >>> isolate_master(ClusterOptions(), duration_ms=10_000, seed=7)[0].isolate
    ('CURRENT_MASTER',)
    """
    draws = draws_of(4, seed, duration_ms, intensity)
    return [
        Partition(at_ms=at_ms, for_ms=for_ms, isolate=(CURRENT_MASTER,))
        for at_ms, for_ms in _spells(draws, duration_ms, intensity)
        if options.replicas
    ]


def majorities_ring(
    options: ClusterOptions, *, duration_ms: int, seed: int, intensity: float = 0.5
) -> list[Fault]:
    """Each node hears its two neighbours only: of five, each a majority, and no two the same.

    >>> majorities_ring(ClusterOptions(replicas=4), duration_ms=10_000, seed=7)[0].shape
    'ring'
    """
    draws = draws_of(5, seed, duration_ms, intensity)
    return [
        Partition(at_ms=at_ms, for_ms=for_ms, shape="ring")
        for at_ms, for_ms in _spells(draws, duration_ms, intensity)
        if options.replicas > 2
    ]


def rare_paths(options: ClusterOptions, *, seed: int) -> ClusterOptions:
    """The same cluster with a drawn subset of its bounds at their smallest; acks may be late.

    >>> rare_paths(ClusterOptions(), seed=7).replication.window_bytes <= 1 << 20
    True
    """
    draws = draws_of(7, seed, 1, 1.0)
    before = options.replication
    batch_bytes = draws.between(1, 2_000, 0)
    drawn: list[dict[str, Any]] = [
        {"batch_bytes": batch_bytes, "window_bytes": batch_bytes * draws.between(1, 4, 1)},
        {"heartbeat_ms": min(before.heartbeat_ms, draws.between(20, 200, 2))},
        {"log_capacity_operations": draws.between(4, 40, 3)},
        {"chunk_bytes": draws.between(64, 1_024, 4), "chunk_window": draws.between(1, 3, 5)},
        {"checkpoint_operations": draws.between(1, 10, 6)},
        {"reorder_window": draws.between(1, 8, 7)},
        {"refresh_ms": draws.between(1, 100, 8)},
        {"ack_delay_ms": draws.between(1, 40, 10)},
    ]
    changed: dict[str, Any] = {}
    for number, each in enumerate(drawn):
        if draws.has(0.6, 9, number):
            changed |= each
    return replace(options, replication=replace(before, **changed))


def _spells(draws: Draws, duration_ms: int, intensity: float) -> list[tuple[int, int]]:
    """Times that come again and again, each with its length; `intensity` of the time in all."""
    spells, start_ms, number = [], 0, 0
    while start_ms < duration_ms and intensity > 0:
        period_ms = draws.between(3_000, 8_000, number, 0)
        for_ms = max(1, round(period_ms * intensity))
        at_ms = start_ms + draws.between(0, period_ms - for_ms, number, 1)
        if at_ms < duration_ms:
            spells.append((at_ms, min(for_ms, duration_ms - at_ms)))
        start_ms, number = start_ms + period_ms, number + 1
    return spells
