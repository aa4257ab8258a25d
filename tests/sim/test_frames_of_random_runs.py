"""The frames of random runs, faults of all kinds included, tell nothing untrue."""

from dataclasses import replace

import pytest

from tests.sim.frame_rules import untruths
from vectorkit import sim

DURATION_MS = 1_200
GROUP = 20


def shortened(seed):
    """A random scenario, its faults included, in a fraction of its time."""
    scenario = sim.random_scenario(seed)
    share = DURATION_MS / scenario.duration_ms
    faults = []
    for fault in scenario.faults:
        changes = {"at_ms": round(fault.at_ms * share)}
        if getattr(fault, "for_ms", None):
            changes["for_ms"] = max(1, round(fault.for_ms * share))
        faults.append(replace(fault, **changes))
    return replace(scenario, duration_ms=DURATION_MS, faults=faults)


def with_copies(seed):
    """Deletes of absent rows, and clients whose messages come twice, while the master changes."""
    twice = sim.Link(duplication=1, sample_ms=(0, 400, 700))
    options = sim.ClusterOptions(
        replicas=2,
        write_concern=sim.majority(),
        links={("client-0", "node-0"): twice, ("client-0", "node-1"): twice},
    )
    load = sim.Workload(
        writes_per_s=20,
        reads_per_s=10,
        source="uniform:6x2",
        clients=2,
        delete_share=0.3,
        insert_share=0.2,
        read_policy=("linearizable", "read_your_writes", "nearest")[seed % 3],
    )
    faults = [sim.Promote(at_ms=300 + 250 * i, node=f"node-{(i + 1) % 2}") for i in range(3)]
    return sim.Scenario(options, workload=load, faults=faults, duration_ms=1_200, seed=seed)


@pytest.mark.parametrize("first", range(0, 200, GROUP))
def test_frames_of_random_runs_are_true(first):
    told = {seed: untruths(sim.simulate(shortened(seed))) for seed in range(first, first + GROUP)}
    assert {seed: what for seed, what in told.items() if what} == {}


def test_frames_of_runs_with_late_copies_are_true_and_nothing_sound_is_blamed():
    copies = 0
    for seed in range(24):
        run = sim.simulate(with_copies(seed))
        assert untruths(run) == []
        assert run.check().broken == ()
        copies += (run.operations["outcome"] == "copy").sum()
    assert copies > 20
