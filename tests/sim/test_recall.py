"""Recall of replicas: the shares of their master's best that they answer, and why not all."""

import numpy as np
import pytest

from vectorkit import CpuCollection, QuantizedCollection, sim
from vectorkit.sim.analysis.recall_probe import best_rows, compared, probe_queries

EAST = np.array([[1, 0]], np.float32)


def line(*places, kind=CpuCollection, **options):
    """Rows named by their place, that far to the east."""
    made = kind(dim=2, metric="dot", **options)
    made.upsert([f"at {place}" for place in places], [[place, 0] for place in places])
    return made


def shares(shown, true, k=10):
    return compared(shown.search_many(EAST, k), shown, EAST, best_rows(true, EAST, k))


def test_equal_rows_are_recalled_whole():
    assert shares(line(*range(20)), line(*range(20))) == (1.0, 0.0, 0.0, 0.0)


def test_what_a_replica_lacks_is_lost_to_staleness():
    assert shares(line(*range(17)), line(*range(20))) == (0.7, 0.3, 0.0, 0.0)


def test_what_a_search_over_codes_misses_is_lost_to_quantization():
    rows = np.random.default_rng(7).normal(size=(400, 16)).astype(np.float32)
    query = rows[:1]
    exact = CpuCollection(dim=16)
    coded = QuantizedCollection(dim=16, codec="binary", rescore=1)
    for made in (exact, coded):
        made.upsert(range(400), rows)
    truth = best_rows(exact, query, 10)
    served = coded.search_many(query, 10)
    recall, staleness, quantization, order = compared(served, coded, query, truth)
    found = set(coded.search(query[0], 10).ids)
    assert recall == len(found & set(exact.search(query[0], 10).ids)) / 10 < 1
    assert (staleness, order) == (0, 0)
    assert recall + quantization == pytest.approx(1)


def test_another_order_of_equals_is_no_loss_but_of_order():
    true, shown = line(), line()
    names = [f"{number}" for number in range(12)]
    true.upsert(names, [[1, 0]] * 12)
    shown.upsert(names[::-1], [[1, 0]] * 12)
    recall, staleness, quantization, order = shares(shown, true)
    assert (recall, staleness, quantization) == (0.8, 0.0, 0.0)
    assert order == pytest.approx(0.2)


def test_all_equals_of_the_last_are_as_good():
    (best,) = best_rows(line(3, 2, 2.0, 1), EAST, 2)
    assert best.ids == {"at 3", "at 2"}
    made = line(3, 1)
    made.upsert(["also 1"], [[1, 0]])
    (best,) = best_rows(made, EAST, 2)
    assert (len(best.ids), best.ids_and_equals) == (2, {"at 3", "at 1", "also 1"})


def test_fewer_rows_than_asked_for_are_the_whole_truth():
    assert shares(line(1, 2), line(1, 2)) == (1.0, 0.0, 0.0, 0.0)
    assert shares(line(1), line(1, 2)) == (0.5, 0.5, 0.0, 0.0)


def test_an_empty_master_wants_nothing():
    (best,) = best_rows(line(), EAST, 10)
    assert best.ids == best.ids_and_equals == frozenset()


def test_queries_are_midpoints_drawn_from_the_seed():
    rows = np.eye(8, dtype=np.float32)
    queries = probe_queries(rows, seed=7)
    assert queries.tobytes() == probe_queries(rows, seed=7).tobytes()
    assert queries.tobytes() != probe_queries(rows, seed=8).tobytes()
    assert set(queries.sum(axis=1).tolist()) == {1.0}


LOAD = sim.Workload(writes_per_s=50, source="uniform:60x4")


@pytest.fixture(scope="module")
def run():
    return sim.simulate(
        sim.ClusterOptions(replicas=2, recall_every_ms=500),
        workload=LOAD,
        faults=[sim.Partition(at_ms=1_000, for_ms=2_000, isolate=["node-2"])],
        duration_ms=5_000,
        seed=7,
    )


def test_every_replica_is_asked_as_often_as_wanted(run):
    for node in ("node-1", "node-2"):
        times = [each.time_ms for each in run.recall_samples if each.node == node]
        assert times == [500.0 * (number + 1) for number in range(10)]


def test_a_replica_that_is_cut_loses_to_staleness_alone_and_recovers(run):
    mine = [each for each in run.recall_samples if each.node == "node-2"]
    assert {each.quantization_loss for each in mine} == {each.order_loss for each in mine} == {0}
    cut = [each for each in mine if 1_500 <= each.time_ms <= 3_000]
    assert min(each.recall for each in cut) < 1
    sums = [each.recall + each.staleness_loss for each in mine]
    assert sums == pytest.approx([1] * len(mine))
    assert mine[-1].recall == 1
    assert mine[-1].visible_offset == mine[-1].head_offset


def test_asking_changes_nothing_of_the_run(run):
    options = sim.ClusterOptions(replicas=2)
    fault = sim.Partition(at_ms=1_000, for_ms=2_000, isolate=["node-2"])
    silent = sim.simulate(options, workload=LOAD, faults=[fault], duration_ms=5_000, seed=7)
    assert silent.recall_samples == ()
    assert silent.trace_hash == run.trace_hash


def test_a_run_without_a_master_is_not_asked():
    fault = sim.Crash(at_ms=100, node="node-0", lose_disk=True)
    options = sim.ClusterOptions(replicas=1, recall_every_ms=200)
    cluster = sim.Cluster(options, workload=LOAD, faults=[fault], seed=7)
    cluster.advance(ms=2_000)
    assert cluster._probe.samples == []
