"""No duration depends on what a clock shows: nodes may begin days before or after zero."""

from dataclasses import replace

import pytest

from tests.sim.clusters import roles
from vectorkit import sim
from vectorkit.replication import Failover, ReplicationOptions

DAY_MS = 86_400_000
NODES = ("node-0", "node-1", "node-2")
OPTIONS = sim.ClusterOptions(
    replicas=2,
    link=sim.Link(delay_ms=5, jitter_ms=20, loss=0.05),
    replication=ReplicationOptions(
        heartbeat_ms=200, connection_timeout_ms=800, disconnected_after_ms=1_000
    ),
    write_concern=sim.majority(),
    failover=Failover(deadline_ms=1_000),
)
FAULTS = (
    sim.Pause(at_ms=500, for_ms=900, node="node-1"),
    sim.Crash(at_ms=1_600, for_ms=400, node="node-0", lose_disk=True),
    sim.Promote(at_ms=2_600, node="node-2"),
    sim.Cut(at_ms=3_100, for_ms=1_500, source="node-2", target="node-0"),
)


def scenario(policy, seed, *, ahead_ms=(0, 0, 0)):
    load = sim.Workload(
        writes_per_s=20,
        reads_per_s=30,
        clients=2,
        source="uniform:9x2",
        read_policy=policy,
        bound_ms=300,
        client_timeout_ms=800,
    )
    offsets = [
        sim.ClockOffset(node=node, offset_ms=ms) for node, ms in zip(NODES, ahead_ms, strict=True)
    ]
    return sim.Scenario(
        OPTIONS, workload=load, faults=[*offsets, *FAULTS], duration_ms=5_000, seed=seed
    )


def told(run):
    """All that happened, and what the nodes said at the end of how long ago something was."""
    rows = [row for row in run.trace.rows if row.event != "fault"]
    stats = {node: replace(stats, last_sync=None) for node, stats in run.stats.items()}
    samples = [each._replace(last_heartbeat_ms=None) for each in run.samples]
    return rows, stats, samples


@pytest.mark.parametrize("policy", ["bounded_staleness", "confirmed", "linearizable"])
@pytest.mark.parametrize("ahead_ms", [(-DAY_MS, -2 * DAY_MS, -3 * DAY_MS), (DAY_MS, 0, -3_000)])
def test_a_run_is_the_same_whatever_its_clocks_show(policy, ahead_ms):
    for seed in range(2):
        plain = sim.simulate(scenario(policy, seed))
        moved = sim.simulate(scenario(policy, seed, ahead_ms=ahead_ms))
        assert told(moved) == told(plain)
        assert moved.check().broken == ()


@pytest.mark.parametrize("ahead_ms", [-2 * DAY_MS, 0, 2 * DAY_MS])
def test_the_lag_of_a_node_that_follows_nobody_is_the_time_since_it_was_equal_or_came_up(ahead_ms):
    offsets = [sim.ClockOffset(node=node, offset_ms=ahead_ms) for node in NODES]
    made = sim.Cluster(sim.ClusterOptions(replicas=2, write_concern=sim.majority()), faults=offsets)
    made.advance(ms=1_100)
    made.cut("node-1")
    made.crash("node-2", lose_disk=True)
    made.advance(ms=5_000)
    equal_ms = made.now_ms - made.stats("node-1").lag_ms
    made.inject(sim.Promote(at_ms=0, node="node-1"))
    made.restart("node-2")
    made.cut("node-2")
    made.advance(ms=700)
    assert roles(made) == {"node-0": "master", "node-1": "candidate", "node-2": "returning"}
    assert 0 <= equal_ms <= 1_100
    assert made.stats("node-1").lag_ms == made.now_ms - equal_ms
    assert made.stats("node-2").lag_ms == 700


def test_the_lag_of_a_master_that_was_deposed_begins_when_it_learns_of_it():
    made = sim.Cluster(sim.ClusterOptions(replicas=2, write_concern=sim.majority()))
    made.advance(ms=1_100)
    made.cut("node-0")
    made.promote("node-1")
    made.advance(ms=3_000)
    assert made.stats("node-0").lag_ms == 0
    made.heal()
    while roles(made)["node-0"] == "master":
        made.advance(ms=1)
    made.cut("node-0")
    made.advance(ms=500)
    assert 500 <= made.stats("node-0").lag_ms <= 501
