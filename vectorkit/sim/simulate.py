"""Run a scenario and return its run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from vectorkit.errors import InvalidOption
from vectorkit.sim.cluster import Cluster
from vectorkit.sim.faults.faults import Fault
from vectorkit.sim.load.workload import Workload
from vectorkit.sim.options import ClusterOptions
from vectorkit.sim.run import Run
from vectorkit.sim.scenario import Scenario, warn_of_endless_syncs
from vectorkit.units import ms_to_ns, ns_to_ms

_STEP_MS: Final = 1_000.0


def simulate(
    options: ClusterOptions | Scenario | None = None,
    *,
    workload: Workload | None = None,
    faults: Sequence[Fault] | None = None,
    duration_ms: float | None = None,
    seed: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> Run:
    """Run a scenario for its duration, then until all nodes have converged.

    Pass a Scenario, or its parts; parts left out have the defaults of Scenario. After
    `duration_ms` requests and faults end and the cluster gets up to 120,000 ms to converge.

    Args:
        options: a complete Scenario, or the options of the cluster.
        workload: clients and their requests.
        faults: faults to inject, with times in virtual ms.
        duration_ms: virtual time with requests and faults, in ms.
        seed: determines every random draw; equal scenarios give equal runs.
        progress: called with the virtual time in ms, after each virtual second and at the end.

    Returns:
        The run, converged or not: see `Run.is_converged`.

    Raises:
        InvalidOption: the scenario is invalid, or parts were passed beside a Scenario.
        LimitReached: the run has more than `event_count_max` events.

    >>> from vectorkit import sim
    >>> load = sim.Workload(writes_per_s=50, source="uniform:100x8")
    >>> cut = sim.Partition(at_ms=1_000, for_ms=2_000, isolate=["node-2"])
    >>> run = sim.simulate(workload=load, faults=[cut], duration_ms=4_000, seed=7)
    >>> run
    Run(4 nodes, 4,100 ms, 2,438 events, seed 7, converged)
    """
    named = {"workload": workload, "faults": faults, "duration_ms": duration_ms, "seed": seed}
    parts: dict[str, Any] = {name: part for name, part in named.items() if part is not None}
    if not isinstance(options, Scenario):
        scenario = Scenario(options=ClusterOptions() if options is None else options, **parts)
    elif parts:
        raise InvalidOption(
            "a Scenario and parts of one were both passed",
            got=f"a Scenario and {', '.join(parts)}",
            wanted="either a Scenario or its parts",
            remedy="use dataclasses.replace(scenario, …) for another scenario",
        )
    else:
        scenario = options
    return run_scenario(scenario, progress=progress, warns=True)


def run_scenario(
    scenario: Scenario, *, progress: Callable[[float], None] | None = None, warns: bool = False
) -> Run:
    """Run a scenario to its end; `warns` first if a full sync may never end.

    >>> run_scenario(Scenario(duration_ms=100)).is_converged
    True
    """
    cluster = Cluster(
        scenario.options, seed=scenario.seed, workload=scenario.workload, faults=scenario.faults
    )
    if warns:
        warn_of_endless_syncs(cluster.store, scenario)
    # Round to whole ns first: else the last step could be 0 ns and the loop would not end.
    until_ms = ns_to_ms(ms_to_ns(scenario.duration_ms))
    while cluster.now_ms < until_ms:
        cluster.advance(ms=min(_STEP_MS, until_ms - cluster.now_ms))
        if progress is not None:
            progress(cluster.now_ms)
    return replace(cluster.finish(), scenario=scenario)
