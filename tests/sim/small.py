"""A scenario of a few milliseconds of work, for sweeps."""

from vectorkit import sim

LOAD = sim.Workload(writes_per_s=20, source="uniform:20x4", arrivals="exponential")
BASE = sim.Scenario(
    sim.ClusterOptions(replicas=1, link=sim.Link(delay_ms=2, jitter_ms=3)),
    workload=LOAD,
    duration_ms=500,
)
GRID = {"writes_per_s": [20, 40], "loss": [0, 0.2]}
