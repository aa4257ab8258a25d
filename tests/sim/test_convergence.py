"""Whatever is lost, late, cut or too small: all nodes end with the master's history, once each."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sim.checks import check_history, check_links, rows
from vectorkit.operations import EpochStart
from vectorkit.replication import ReplicationOptions
from vectorkit.sim import Cluster, ClusterOptions, Link, Partition, Workload, simulate
from vectorkit.store import store_of

ROWS = 6
NAMES = ("a", "b", "c")


def test_loss_and_reordering_alone_cause_no_full_sync():
    link = Link(delay_ms=2, jitter_ms=40, loss=0.05)
    load = Workload(writes_per_s=200, source="uniform:50x4")
    made = Cluster(ClusterOptions(replicas=2, link=link), seed=7, workload=load)
    made.advance(ms=15_000)
    run = made.finish()
    check_history(run)
    check_links(run, made.links())
    assert len(rows(run, "lost", kind="Records")) > 200
    assert run.stats["node-0"].partial_sync_refusals == {"first_sync": 2}
    assert run.stats["node-0"].full_syncs == 2


@pytest.mark.parametrize("seed", range(4))
def test_half_of_all_messages_may_be_lost(seed):
    options = ClusterOptions(replicas=1, link=Link(jitter_ms=30, loss=0.5))
    load = Workload(writes_per_s=20, source="uniform:20x4")
    run = simulate(options, workload=load, duration_ms=5_000, seed=seed)
    check_history(run)


def test_a_replica_that_is_too_slow_for_the_log_catches_up_when_the_load_ends():
    tiny = ReplicationOptions(
        log_capacity_operations=10, window_bytes=300, batch_bytes=300, chunk_bytes=200
    )
    options = ClusterOptions(replicas=2, link=Link(delay_ms=60), replication=tiny)
    load = Workload(writes_per_s=100, source="uniform:20x4")
    with pytest.warns(UserWarning, match="a full sync of 800 bytes .* may never end"):
        run = simulate(options, workload=load, duration_ms=5_000, seed=7)
    check_history(run)
    refusals = run.stats["node-0"].partial_sync_refusals
    assert set(refusals) == {"first_sync", "too_old"}
    assert run.replicas[0].sync_attempts == 0


def one_of_each(store):
    """Every operation that a store can make, once, each as a step of its own."""
    return [
        lambda: store.create_collection("b", dim=2, metric="dot"),
        lambda: store.upsert("a", ["x", "y"], [[1, 2], [3, 4]], [{"n": 1}, None]),
        lambda: store.update_vector("a", "x", [5, 6]),
        lambda: store.update("a", "x", payload=None),
        lambda: store.delete("a", ["x"]),
        lambda: store.rename_collection("a", "c"),
        lambda: store.drop_collection("c"),
    ]


@pytest.mark.parametrize("cut_at", range(8))
def test_a_cut_at_every_offset_of_every_operation_converges(cut_at):
    made = Cluster(ClusterOptions(replicas=1), seed=7)
    made.store.create_collection("a", dim=2)
    made.advance(ms=100)
    for number, step in enumerate(one_of_each(made.store)):
        if number == cut_at:
            made.cut("node-1")
        step()
        made.advance(ms=5)
    made.advance(ms=6_000)
    run = made.finish()
    kinds = {row.kind for row in rows(run, "append")}
    assert len(kinds) == 7
    check_history(run)


ACTIONS = st.one_of(
    st.tuples(st.just("write"), st.sampled_from(NAMES), st.integers(0, ROWS - 1)),
    st.tuples(st.just("update"), st.sampled_from(NAMES), st.integers(0, ROWS - 1)),
    st.tuples(st.just("payload"), st.sampled_from(NAMES), st.integers(0, ROWS - 1)),
    st.tuples(st.just("delete"), st.sampled_from(NAMES), st.integers(0, ROWS - 1)),
    st.tuples(st.just("create"), st.sampled_from(NAMES)),
    st.tuples(st.just("drop"), st.sampled_from(NAMES)),
    st.tuples(st.just("rename"), st.sampled_from(NAMES), st.sampled_from(NAMES)),
    st.tuples(st.just("burst"), st.sampled_from(NAMES), st.integers(2, 12)),
    st.tuples(st.just("wait"), st.sampled_from([1, 3, 40, 700, 6_000])),
    st.tuples(st.just("cut"), st.integers(0, 3)),
    st.tuples(st.just("heal")),
)

CLUSTERS = st.builds(
    ClusterOptions,
    replicas=st.integers(1, 4),
    link=st.builds(
        Link,
        delay_ms=st.sampled_from([0, 1, 30]),
        jitter_ms=st.sampled_from([0, 5, 80]),
        loss=st.sampled_from([0, 0.05, 0.1]),
    ),
    replication=st.builds(
        ReplicationOptions,
        log_capacity_operations=st.sampled_from([1, 2, 5, 1_000]),
        log_capacity_bytes=st.sampled_from([100, 100_000]),
        batch_bytes=st.sampled_from([1, 150]),
        window_bytes=st.sampled_from([150, 400, 100_000]),
        reorder_window=st.sampled_from([1, 3, 1_000]),
        chunk_bytes=st.sampled_from([40, 10_000]),
        chunk_window=st.sampled_from([1, 4]),
        sync_attempts_max=st.sampled_from([1, 5]),
    ),
)


def act(made, action, step):
    """Do one thing to a cluster, if its present state allows it."""
    store = made.store
    match action:
        case ("wait", ms):
            made.advance(ms=ms)
        case ("cut", index):
            made.cut(made.options.node_ids[index % (made.options.replicas + 1)])
        case ("heal",):
            made.heal()
        case ("create", name) if name not in store:
            store.create_collection(name, dim=2)
        case ("drop", name) if name in store:
            store.drop_collection(name)
        case ("rename", name, new_name) if name in store and new_name not in store:
            store.rename_collection(name, new_name)
        case ("write", name, row) if name in store:
            ids = [row, (row + 1) % ROWS]
            store.upsert(name, ids, [[row, step], [step, 1]], [{"n": step}, None])
        case ("burst", name, count) if name in store:
            for number in range(count):
                store.upsert(name, [number % ROWS], [[step, number]])
        case ("update", name, row) if name in store and row in store[name]:
            store.update_vector(name, row, [step, row])
        case ("payload", name, row) if name in store and row in store[name]:
            store.update(name, row, payload={"step": step})
        case ("delete", name, row) if name in store and row in store[name]:
            store.delete(name, [row])


@settings(max_examples=4 * settings.default.max_examples)
@given(CLUSTERS, st.lists(ACTIONS, min_size=12, max_size=40), st.integers(0, 2**64 - 1))
def test_any_small_cluster_converges_after_any_sequence_of_writes_cuts_and_heals(
    options, actions, seed
):
    made = Cluster(options, seed=seed)
    stream = []
    made.store.subscribe(stream.append)
    made.store.create_collection("a", dim=2)
    for step, action in enumerate(actions, 1):
        act(made, action, step)
    run = made.finish()
    check_history(run)
    check_links(run, made.links())
    expected = store_of([EpochStart(1), *stream])
    for store in made.stores.values():
        assert store.digest() == expected.digest()
        assert [store[name].ids() for name in store] == [expected[name].ids() for name in expected]


@pytest.mark.parametrize("node", ["node-0", "node-1"])
def test_it_does_not_matter_which_side_of_a_link_is_cut_off(node):
    fault = Partition(at_ms=1_000, for_ms=7_000, isolate=[node])
    load = Workload(writes_per_s=20, source="uniform:20x4")
    run = simulate(ClusterOptions(replicas=2), workload=load, faults=[fault], seed=7)
    check_history(run)


def test_a_handshake_whose_answers_are_often_lost_needs_no_long_back_off():
    options = ClusterOptions(replicas=3, link=Link(loss=0.3), sample_every_ms=5_000)
    run = simulate(options, duration_ms=1_000, seed=67)
    check_history(run)
    assert run.duration_ms < 20_000
