"""Random scenarios from a seed: cluster, workload and faults have independent draws."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, Literal

from vectorkit.replication import Failover, ReplicationOptions, WriteConcern
from vectorkit.replication.protocol.write_concern import STAGES
from vectorkit.replication.reads import proves_reads
from vectorkit.replication.routing import POLICIES, Policy
from vectorkit.sim.faults.draws import Draws, draws_of
from vectorkit.sim.faults.faults import ClockDrift, ClockJump, ClockOffset, Fault
from vectorkit.sim.faults.patterns import (
    flapping_link,
    isolate_master,
    majorities_ring,
    rare_paths,
    rolling_restart,
    swizzle_clog,
)
from vectorkit.sim.faults.random_faults import random_faults
from vectorkit.sim.load.distributions import KEY_LAWS
from vectorkit.sim.load.workload import Workload
from vectorkit.sim.options import LAWS, ClusterOptions, Disk, Link
from vectorkit.sim.scenario import Scenario

_FAILOVERS: Final = (
    None,
    Failover(deadline_ms=2_500),
    Failover(deadline_ms=2_000, stagger_ms=0),
    Failover(detector="phi"),
)
_DISKS: Final = (Disk(), Disk(fsync_ms=5), Disk(fsync_ms=50), Disk(mib_per_s=1), None)
_COUNTS: Final[tuple[int | Literal["majority", "all"], ...]] = (0, 1, 1, 2, "majority", "all")
_WEAK: Final[tuple[Policy, ...]] = tuple(policy for policy in POLICIES if policy != "linearizable")
_KINDS: Final = (*(("cpu", None),) * 8, ("quantized", "int8"), ("quantized", "pq"))
_NEMESES: Final = (
    swizzle_clog,
    flapping_link,
    rolling_restart,
    isolate_master,
    majorities_ring,
)
_INTENSITIES: Final = (0.2, 0.5, 0.8)
_CLOCK_FAULTS: Final = (ClockDrift, ClockJump, ClockOffset)
_EVENTS_MAX: Final = 200_000
"""A run with more events counts as endless."""
_MS_PER_NODE: Final = 20
_NEMESIS: Final = 8


def random_scenario(seed: int) -> Scenario:
    """Draw a valid scenario of 4 to 8 virtual seconds; equal seeds give equal scenarios.

    Most runs have fewer than 5,000 events. Drawn faults rarely void the guarantee of the options:
    only if all nodes of a cluster without disks restart, or if a node loses its state before
    another has recovered its own. The run then reports it.

    Raises:
        InvalidOption: the seed is not an integer from 0 to 2**64 − 1.

    >>> scenario = random_scenario(7)
    >>> scenario == random_scenario(7), scenario.seed
    (True, 7)
    """
    draws = draws_of(_NEMESIS, seed, 1, 1.0)
    options = _options(draws.at(1), seed)
    duration_ms = draws.pick((4_000, 6_000, 8_000), 2)
    return Scenario(
        options,
        workload=_workload(draws.at(3), options),
        faults=_faults(draws.at(4), options, duration_ms, seed),
        duration_ms=duration_ms,
        seed=seed,
    )


# The cluster


def _options(draws: Draws, seed: int) -> ClusterOptions:
    replicas = draws.pick((0, 1, 1, 2, 2, 2, 2, 3, 4, 5), 0)
    disk = draws.pick(_DISKS, 1)
    options = ClusterOptions(
        replicas=replicas,
        link=_link(draws.at(2)),
        disk=disk,
        replication=_replication(draws.at(3)),
        write_concern=_concern(draws.at(4), replicas, has_disks=disk is not None),
        failover=draws.pick(_FAILOVERS, 5),
        recall_every_ms=draws.pick((0, 0, 0, 500), 6),
        event_count_max=_EVENTS_MAX,
    )
    if replicas and draws.has(0.3, 7):
        source, target = draws.some(options.node_ids, 2, 8)
        options = replace(options, links={(source, target): _link(draws.at(9))})
    if draws.has(0.5, 10):
        options = _calmed(rare_paths(options, seed=seed))
    return options


def _calmed(options: ClusterOptions) -> ClusterOptions:
    """Limit periodic events, so that they do not dominate a run."""
    fastest_ms, drawn = _MS_PER_NODE * len(options.node_ids), options.replication
    calmed = replace(
        drawn,
        heartbeat_ms=max(drawn.heartbeat_ms, fastest_ms),
        refresh_ms=max(drawn.refresh_ms, fastest_ms) if drawn.refresh_ms else 0,
    )
    return replace(options, replication=calmed)


def _link(draws: Draws) -> Link:
    jitter_ms = draws.pick((0, 0, 5, 20), 0)
    is_sample = draws.has(0.2, 1)
    return Link(
        delay_ms=draws.pick((0, 1, 3, 10), 2),
        jitter_ms=0 if is_sample else jitter_ms,
        sample_ms=(0, 0, 1, jitter_ms, 80) if is_sample else (),
        law=draws.pick(LAWS, 3),
        loss=draws.pick((0, 0, 0.01, 0.05), 4),
        duplication=draws.pick((0, 0, 0, 0.1), 5),
        corruption=draws.pick((0, 0, 0, 0.1), 6),
        is_fifo=draws.has(0.25, 7),
        mib_per_s=draws.pick((0, 0, 0, 0.1), 8),
    )


def _replication(draws: Draws) -> ReplicationOptions:
    is_impatient = draws.has(0.5, 0)
    return ReplicationOptions(
        connection_timeout_ms=2_000 if is_impatient else 5_000,
        disconnected_after_ms=3_000 if is_impatient else 60_000,
        lagging_above_ms=draws.pick((100, 1_000), 1),
        stand_timeout_ms=draws.pick((500, 2_000), 2),
        quorum="none" if draws.has(0.1, 3) else "safe",
    )


def _concern(draws: Draws, replicas: int, *, has_disks: bool) -> WriteConcern:
    counts = [each for each in _COUNTS if isinstance(each, str) or each <= replicas]
    stages = [each for each in STAGES if has_disks or each != "flushed"]
    return WriteConcern(
        count=draws.pick(counts, 0),
        stage=draws.pick(stages, 1),
        timeout_ms=draws.pick((300, 1_500), 2),
        on_timeout=draws.pick(("fail", "fail", "degrade"), 3),
    )


# The load


def _workload(draws: Draws, options: ClusterOptions) -> Workload:
    is_provable = proves_reads(options.protocol, options.replicas + 1)
    policies = (*POLICIES, "linearizable") if is_provable else _WEAK
    kind, codec = draws.pick(_KINDS, 0)
    return Workload(
        writes_per_s=draws.pick((5, 10, 20), 1),
        reads_per_s=draws.pick((0, 5, 10), 2),
        source=draws.pick(("uniform:5x4", "uniform:30x4"), 3),
        metric=draws.pick(("cosine", "dot", "euclidean"), 4),
        kind=kind,
        codec=codec,
        preload=draws.pick((None, None, 0), 5),
        keys=draws.pick(KEY_LAWS, 6),
        insert_share=draws.pick((0, 0.2), 7),
        delete_share=draws.pick((0, 0.2), 8),
        moves_vectors=draws.has(0.8, 9),
        payload_bytes=draws.pick((0, 0, 100, 2_000), 10),
        clients=draws.pick((1, 2, 3), 11),
        loop=draws.pick(("open", "open", "closed"), 12),
        arrivals=draws.pick(("fixed", "exponential"), 13),
        think_ms=draws.pick((50, 200), 14),
        read_policy=draws.pick(policies, 15),
        bound_ms=draws.pick((500, 1_500, 5_000), 16),
        client_timeout_ms=draws.pick((1_000, 10_000), 17),
        avoid_ms=draws.pick((500, 5_000), 18),
    )


# The faults


def _faults(draws: Draws, options: ClusterOptions, duration_ms: int, seed: int) -> list[Fault]:
    """Random faults, a named pattern, both, or rarely none; half of them without clock faults."""
    nemeses = [random_faults] if draws.has(0.75, 0) else []
    nemeses += [draws.pick(_NEMESES, 1)] if draws.has(0.5, 2) else []
    faults = [
        fault
        for number, nemesis in enumerate(nemeses)
        for fault in nemesis(
            options,
            duration_ms=duration_ms,
            seed=seed,
            intensity=draws.pick(_INTENSITIES, 3, number),
        )
    ]
    if draws.has(0.5, 4):  # Clock faults void time bounds: test those without.
        faults = [fault for fault in faults if not isinstance(fault, _CLOCK_FAULTS)]
    return sorted(faults, key=lambda fault: fault.at_ms)
