"""The windows of logs are sampled where health is, exact at that moment, and as they change."""

from vectorkit import sim
from vectorkit.replication import ReplicationOptions


def cluster_of(**options):
    return sim.Cluster(
        sim.ClusterOptions(replicas=1, **options),
        workload=sim.Workload(writes_per_s=100, source="uniform:10x4"),
        seed=7,
    )


def test_the_last_window_of_each_node_is_that_of_its_log():
    cluster = cluster_of(replication=ReplicationOptions(log_capacity_operations=20))
    cluster.advance(ms=1_000)
    run = cluster.finish()
    last = {each.node: each for each in run.log_samples}
    for node, stats in run.stats.items():
        assert last[node].first_offset == stats.log_first_offset
        assert last[node].head_offset == run.nodes["offset"].tolist()[0]
        assert last[node].head_offset - last[node].first_offset + 1 == 20


def test_a_window_that_does_not_change_is_sampled_once():
    run = sim.simulate(sim.ClusterOptions(replicas=1), duration_ms=3_000)
    assert run.log_samples == (
        (0.0, "node-0", 1, 1),
        (0.0, "node-1", 1, 0),
        (250.0, "node-1", 2, 1),
    )


def test_samples_leave_the_trace_as_it_is():
    often, seldom = (cluster_of(sample_every_ms=every_ms) for every_ms in (50, 5_000))
    for cluster in (often, seldom):
        cluster.advance(ms=500)
    runs = [cluster.finish() for cluster in (often, seldom)]
    assert len(runs[0].log_samples) > len(runs[1].log_samples)
    assert runs[0].operations.equals(runs[1].operations)
