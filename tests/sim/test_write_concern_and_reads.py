"""Clients of a cluster: write concern, read-only replicas, and reads routed by a policy."""

import json

import pytest

from tests.sim.checks import rows
from tests.sim.clusters import cluster, fill, node
from vectorkit import KEEP, QuantizedCollection
from vectorkit.errors import InvalidOption, ReadOnlyReplica, WriteConcernTimeout
from vectorkit.replication import ReplicationOptions, WriteConcern, majority
from vectorkit.sim import Cluster, ClusterOptions, Link, Workload
from vectorkit.store import VectorStore

MASTER, REPLICA = "node-0", "node-1"
WIDE = WriteConcern(count=3, stage="applied", timeout_ms=400)


# Write concern


def test_too_few_acks_are_an_error_with_required_confirmed_and_offset():
    made = cluster(3, concern=WIDE)
    fill(made, 4)
    made.advance(ms=1_000)
    assert made.confirm() == 5
    made.cut("node-2")
    made.store.upsert("words", ["king"], [[1, 0]])
    began_ms = made.now_ms
    with pytest.raises(WriteConcernTimeout, match="2 of 3 replicas at offset 6") as caught:
        made.confirm()
    assert made.now_ms - began_ms == 400
    assert caught.value.code == "write_concern_timeout"
    facts = {name: caught.value.details[name] for name in ("required", "confirmed", "offset")}
    assert facts == {"required": 3, "confirmed": 2, "offset": 6}
    assert "may still take effect" in str(caught.value)
    assert made.stats(MASTER).write_concern_timeouts == 1
    assert made.stats(MASTER).degraded_acks == 0


def test_a_write_that_timed_out_takes_effect_when_the_link_heals():
    made = cluster(3, concern=WIDE)
    fill(made, 2)
    made.advance(ms=1_000)
    made.cut("node-2")
    made.store.upsert("words", ["king"], [[1, 0]])
    with pytest.raises(WriteConcernTimeout):
        made.confirm()
    made.heal()
    made.advance(ms=2_000)
    assert made.confirm() == 4
    assert "king" in made.stores["node-2"]["words"]


@pytest.mark.parametrize(
    ("count", "replicas", "required"),
    [(0, 3, 0), (1, 3, 1), (2, 3, 2), ("majority", 2, 1), ("majority", 3, 2), ("all", 3, 3)],
)
def test_a_concern_is_met_by_exactly_as_many_replicas_as_it_asks_for(count, replicas, required):
    made = cluster(replicas, concern=WriteConcern(count=count, timeout_ms=300))
    made.advance(ms=1_000)
    cut = [f"node-{number}" for number in range(1, replicas + 1 - required)]
    if cut:
        made.cut(*cut)
    fill(made, 3)
    assert made.confirm() == 4
    if required:
        made.cut(f"node-{replicas}")
        fill(made, 1)
        with pytest.raises(WriteConcernTimeout) as caught:
            made.confirm()
        assert caught.value.details["required"] == required
        assert caught.value.details["confirmed"] == required - 1


def test_all_means_all_that_are_configured_and_not_all_that_are_connected():
    made = cluster(2, concern=WriteConcern(count="all", timeout_ms=300))
    made.advance(ms=1_000)
    made.cut("node-2")
    made.advance(ms=70_000)
    assert made.stats(MASTER).connected_replicas == 1
    fill(made, 1)
    with pytest.raises(WriteConcernTimeout, match="1 of 2 replicas"):
        made.confirm()


def test_without_replicas_to_ask_the_masters_own_disk_is_waited_for():
    made = cluster(1, concern=WriteConcern(count=0))
    fill(made, 3)
    made.cut(REPLICA)
    assert node(made, MASTER).member.flushed.offset == 1
    assert made.confirm() == 4
    assert node(made, MASTER).member.flushed.offset == 4


@pytest.mark.parametrize("on_timeout", ["fail", "degrade"])
def test_a_client_hears_of_the_failure_or_of_an_answer_that_is_degraded(on_timeout):
    concern = WriteConcern(count=2, timeout_ms=500, on_timeout=on_timeout)
    load = Workload(writes_per_s=10, source="uniform:20x4")
    options = ClusterOptions(replicas=2, write_concern=concern)
    made = Cluster(options, seed=7, workload=load)
    made.advance(ms=1_050)
    made.cut("node-2")
    made.advance(ms=1_000)
    stats = made.stats(MASTER)
    outcome = "timeout" if on_timeout == "fail" else "degraded"
    counts = (stats.write_concern_timeouts, stats.degraded_acks)
    done = rows(made.finish(), "complete")
    assert {row.kind for row in done if row.time_ns <= 1_100_000_000} == {"ok"}
    late = [row for row in done if row.kind == outcome]
    assert late[0].time_ns == 1_604_000_000  # At 1,100 it left; two milliseconds each way.
    assert late[0].value == 14
    event = "timeout" if on_timeout == "fail" else "degrade"
    noted = rows(made.finish(), event)
    assert {row.value for row in noted} == {1}
    assert counts == ((5, 0) if on_timeout == "fail" else (0, 5))


def test_a_concern_that_no_cluster_could_fulfil_is_refused_at_construction():
    with pytest.raises(InvalidOption, match="more replicas than there are"):
        ClusterOptions(replicas=1, write_concern=WriteConcern(count=2))
    with pytest.raises(InvalidOption, match="nothing is flushed without durable logs"):
        ReplicationOptions(has_durable_log=False, write_concern=majority())


# Read-only replicas

STORE_WRITES = {
    "create_collection": lambda store: store.create_collection("new", dim=2),
    "drop_collection": lambda store: store.drop_collection("words"),
    "rename_collection": lambda store: store.rename_collection("words", "terms"),
    "upsert": lambda store: store.upsert("words", [1], [[1, 2]]),
    "insert": lambda store: store.insert("words", [999], [[1, 2]]),
    "update_vector": lambda store: store.update_vector("words", 1, [1, 2]),
    "update_vectors": lambda store: store.update_vectors("words", [1], [[1, 2]]),
    "update": lambda store: store.update("words", 1, vector=KEEP, payload=None),
    "delete": lambda store: store.delete("words", [1]),
}
STORE_READS = {
    *("attach", "copy", "digest", "get", "search", "search_many", "snapshot", "subscribe"),
}
COLLECTION_WRITES = {
    "upsert": lambda words: words.upsert([1], [[1, 2]]),
    "insert": lambda words: words.insert([999], [[1, 2]]),
    "update_vector": lambda words: words.update_vector(1, [1, 2]),
    "update_vectors": lambda words: words.update_vectors([1], [[1, 2]]),
    "update": lambda words: words.update(1, vector=KEEP, payload=None),
    "delete": lambda words: words.delete([1]),
    "retrain": lambda words: words.retrain(),
}
COLLECTION_READS = {
    *("audit", "batches", "codec_report", "compile_report", "copy", "digest", "dim"),
    *("from_frame", "get", "ids", "kind", "memory", "metric", "payload", "reserve"),
    *("save", "search", "search_many", "snapshot", "to_frame", "version"),
}


def public(kind):
    return {name for name in dir(kind) if not name.startswith("_")}


def filled():
    made = cluster(1)
    words = made.store.create_collection("words", dim=2, kind="quantized", codec="pq")
    words.upsert(range(300), [[n, 1] for n in range(300)], [{"n": n} for n in range(300)])
    made.advance(ms=500)
    return made


def test_the_writes_below_are_all_there_are():
    assert public(VectorStore) - STORE_READS == set(STORE_WRITES)
    assert public(QuantizedCollection) - COLLECTION_READS == set(COLLECTION_WRITES)


def test_a_replica_refuses_every_write_of_its_store_and_of_its_collections():
    made = filled()
    store = made.stores[REPLICA]
    before = (store.digest(), store["words"].version, node(made, REPLICA).log.head)
    held = store["words"]
    paths = [*((write, store) for write in STORE_WRITES.values())]
    paths += [(write, held) for write in COLLECTION_WRITES.values()]
    for write, target in paths:
        with pytest.raises(ReadOnlyReplica, match=r"node-1 is a replica.*its master, node-0"):
            write(target)
        assert (store.digest(), store["words"].version, node(made, REPLICA).log.head) == before


@pytest.mark.parametrize("name", sorted(STORE_WRITES))
def test_every_write_of_a_masters_store_reaches_its_replica(name):
    made = filled()
    STORE_WRITES[name](made.store)
    assert made.stats(MASTER).master_offset == 4
    assert made.finish().is_converged


@pytest.mark.parametrize("name", sorted(COLLECTION_WRITES))
def test_every_write_of_a_masters_collection_reaches_its_replica(name):
    made = filled()
    COLLECTION_WRITES[name](made.store["words"])
    assert made.stats(MASTER).master_offset == 4
    assert made.finish().is_converged


def test_a_collection_taken_while_master_refuses_writes_once_it_is_a_replica():
    made = cluster(2, concern=majority())
    fill(made, 3)
    made.advance(ms=500)
    held = made.store["words"]
    made.promote(REPLICA)
    made.advance(ms=100)
    with pytest.raises(ReadOnlyReplica, match=r"node-0 is a replica.*its master, node-1"):
        held.upsert(["king"], [[1, 0]])


# Reads


def reading(policy, *, replicas=2, link=None, **options):
    load = dict.fromkeys(("bound_ms", "avoid_ms", "client_timeout_ms", "clients"))
    load = {name: options.pop(name) for name in list(load) if name in options}
    workload = Workload(
        writes_per_s=20,
        reads_per_s=100,
        source="uniform:20x4",
        insert_share=1.0,
        read_policy=policy,
        **load,
    )
    made = ClusterOptions(
        replicas=replicas,
        link=link or Link(),
        write_concern=majority(),
        replication=ReplicationOptions(**options),
    )
    return Cluster(made, seed=7, workload=workload)


def asked(run, client=None, since_ms=0.0, until_ms=float("inf")):
    """The nodes that reads went to, in order."""
    found = rows(run, "invoke", kind="read", **({} if client is None else {"node": client}))
    return [row.peer for row in found if since_ms <= row.time_ns / 1e6 < until_ms]


def outcomes(run, since_ms=0.0):
    """How reads ended, with the error where there was one."""
    reads = {row.number for row in rows(run, "invoke", kind="read")}
    return {
        (row.kind, json.loads(row.text)["error"])
        for row in rows(run, "complete")
        if row.number in reads and row.time_ns / 1e6 >= since_ms
    }


@pytest.mark.parametrize(
    ("policy", "nodes"),
    [
        ("master", {MASTER}),
        ("linearizable", {MASTER}),
        ("nearest", {MASTER}),
        ("confirmed", {MASTER}),
        ("round_robin", {MASTER, REPLICA, "node-2"}),
    ],
)
def test_reads_go_where_their_policy_says(policy, nodes):
    made = reading(policy)
    made.advance(ms=2_000)
    run = made.finish()
    assert set(asked(run)) == nodes
    assert outcomes(run, since_ms=100) == {("ok", "")}
    assert run.check().broken == ()


def test_round_robin_asks_one_node_after_the_other():
    made = reading("round_robin")
    made.advance(ms=2_000)
    order = asked(made.finish())
    assert order == [f"node-{number % 3}" for number in range(len(order))]


def test_sticky_clients_keep_their_own_node():
    made = reading("sticky", clients=3)
    made.advance(ms=2_000)
    run = made.finish()
    assert {client: set(asked(run, f"client-{client}")) for client in range(3)} == {
        0: {MASTER},
        1: {REPLICA},
        2: {"node-2"},
    }
    assert run.check()["monotonic_reads"].verdict == "held"


def test_a_replica_that_is_down_is_passed_over_until_it_is_back():
    made = reading("round_robin", client_timeout_ms=200, avoid_ms=1_000)
    made.advance(ms=1_000)
    made.crash(REPLICA)
    made.advance(ms=1_000)
    made.restart(REPLICA)
    made.advance(ms=2_000)
    run = made.finish()
    # Silent at first, and passed over as soon as the first read has waited in vain.
    assert REPLICA in asked(run, since_ms=1_000, until_ms=1_230)
    assert REPLICA not in asked(run, since_ms=1_230, until_ms=2_200)
    assert REPLICA in asked(run, since_ms=2_500)
    assert run.check().broken == ()


def test_bounded_staleness_is_refused_by_a_node_that_is_further_behind():
    made = reading(
        "bounded_staleness",
        bound_ms=3_000,
        client_timeout_ms=200,
        avoid_ms=60_000,
        clients=2,
        heartbeat_ms=100,
    )
    made.advance(ms=3_000)
    made.cut(REPLICA, "client-0")  # The other client goes on writing.
    made.advance(ms=8_000)
    run = made.finish()
    assert set(asked(run, "client-0", since_ms=3_250)) == {REPLICA}
    assert outcomes(run) == {("ok", ""), ("silent", ""), ("refused", "too_stale")}
    answered = [each for each in run.reads.itertuples() if each.outcome == "ok"]
    assert 2_000 < max(each.staleness_ms for each in answered) <= 3_000
    cut_off = [each for each in run.reads.itertuples() if each.client == "client-0"]
    late = [each.outcome for each in cut_off if each.invoked_ms > 3_250]
    assert late == sorted(late)  # First "ok", then "refused".
    assert set(late) == {"ok", "refused"}
    assert run.check()["bounded_staleness"].verdict == "held"


@pytest.mark.parametrize("link", [Link(), Link(delay_ms=30, jitter_ms=60, loss=0.02)])
def test_a_client_reads_its_own_writes_on_every_node_that_it_may_be_routed_to(link):
    made = reading("read_your_writes", link=link, clients=3)
    made.advance(ms=1_000)
    for number in range(3):
        made.cut(f"node-{number}")
        made.advance(ms=700)
        made.heal()
        made.advance(ms=700)
    run = made.finish()
    assert run.check()["read_your_writes"].verdict == "held"
    assert outcomes(run) <= {("ok", ""), ("refused", "write_not_in_history"), ("silent", "")}
    assert run.check().broken == ()


def test_a_node_without_the_write_says_so_instead_of_answering_with_less():
    made = reading("read_your_writes", client_timeout_ms=100, avoid_ms=60_000)
    made.advance(ms=1_000)
    made.cut(REPLICA)
    made.advance(ms=500)
    made.heal()
    made.cut(REPLICA, "client-0")
    made.advance(ms=1_000)
    made.heal()
    made.advance(ms=1_000)
    run = made.finish()
    assert set(asked(run, since_ms=1_610, until_ms=2_500)) == {REPLICA}
    assert outcomes(run, since_ms=1_610) >= {("refused", "write_not_in_history"), ("ok", "")}
    cut = [each for each in run.reads.itertuples() if 1_610 <= each.invoked_ms < 2_490]
    assert {(each.node, each.outcome) for each in cut} == {(REPLICA, "refused")}
    assert run.check()["read_your_writes"].verdict == "held"
    assert run.check().broken == ()
