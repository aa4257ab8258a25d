"""From a scenario to its run."""

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
    """Run a scenario to its end and until all nodes are equal again.

    Pass a Scenario, or the parts of one, with its defaults. After `duration_ms` writes and faults
    end and the cluster settles. `progress(now_ms)` is called once a virtual second.

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
            "a scenario is complete",
            got=f"a Scenario and {', '.join(parts)}",
            wanted="one or the other",
            remedy="use dataclasses.replace(scenario, …) for another scenario",
        )
    else:
        scenario = options
    return run_scenario(scenario, progress=progress, warns=True)


def run_scenario(
    scenario: Scenario, *, progress: Callable[[float], None] | None = None, warns: bool = False
) -> Run:
    """Run a scenario to its end; `warns` of syncs that may never end before they are seen to.

    >>> run_scenario(Scenario(duration_ms=100)).is_converged
    True
    """
    cluster = Cluster(
        scenario.options, seed=scenario.seed, workload=scenario.workload, faults=scenario.faults
    )
    if warns:
        warn_of_endless_syncs(cluster.store, scenario)
    until_ms = ns_to_ms(ms_to_ns(scenario.duration_ms))  # Or the last step could round to nothing.
    while cluster.now_ms < until_ms:
        cluster.advance(ms=min(_STEP_MS, until_ms - cluster.now_ms))
        if progress is not None:
            progress(cluster.now_ms)
    return replace(cluster.finish(), scenario=scenario)
