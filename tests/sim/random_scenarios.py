"""Scenarios drawn from a seed: topology, options, load and faults, within what is promised."""

from vectorkit import sim
from vectorkit.draws import draw

DURATION_MS = 8_000
_STREAM = 99
_POLICIES = (
    *("master", "nearest", "sticky", "round_robin"),
    *("linearizable", "linearizable", "read_your_writes", "bounded_staleness"),
)


def drawn_scenario(seed):
    """One experiment of eight seconds, of thousands of events."""

    def pick(number, *choices):
        return choices[draw(seed, _STREAM, number) % len(choices)]

    nodes = pick(0, 2, 3, 3, 3, 4, 5)
    options = sim.ClusterOptions(
        replicas=nodes - 1,
        link=sim.Link(
            delay_ms=pick(2, 1, 3), jitter_ms=pick(3, 0, 5, 20), loss=pick(4, 0, 0.01, 0.05)
        ),
        write_concern=sim.WriteConcern(
            count=pick(1, 1, 1, 2) if nodes > 2 else 1,
            stage=pick(5, "flushed", "applied", "visible"),
            timeout_ms=1_500,
        ),
        failover=pick(6, None, sim.Failover(deadline_ms=2_500), sim.Failover(detector="phi")),
    )
    if pick(7, False, True):
        options = sim.rare_paths(options, seed=seed)
    load = sim.Workload(
        writes_per_s=pick(8, 5, 20),
        reads_per_s=pick(9, 0, 10, 20),
        source="uniform:30x4",
        clients=pick(10, 1, 2, 3),
        read_policy=pick(11, *_POLICIES),
        bound_ms=pick(17, 1_500, 5_000),
        keys=pick(12, "uniform", "zipf", "sequential"),
        insert_share=pick(13, 0, 0.2),
        delete_share=pick(14, 0, 0.2),
        loop=pick(15, "open", "closed"),
        arrivals=pick(16, "fixed", "exponential"),
    )
    intensity = pick(18, 0.2, 0.5, 0.8)
    faults = sim.random_faults(options, duration_ms=DURATION_MS, seed=seed, intensity=intensity)
    if pick(19, False, True):  # With drift there is no bound to keep.
        faults = [fault for fault in faults if not type(fault).__name__.startswith("Clock")]
    return sim.Scenario(options, workload=load, faults=faults, duration_ms=DURATION_MS, seed=seed)
