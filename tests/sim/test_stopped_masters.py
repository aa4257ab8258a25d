"""A notebook writes to a store only while its node runs and takes writes; else nothing changes."""

import pytest

from vectorkit import sim
from vectorkit.errors import (
    PromotionRefused,
    ReadOnlyReplica,
    WriteConcernTimeout,
    WriteInSubscriber,
    WriteRefused,
)
from vectorkit.replication import ReplicationOptions, majority
from vectorkit.sim import Cluster, ClusterOptions

WRITES = {
    "create_collection": lambda store: store.create_collection("cities", dim=2),
    "drop_collection": lambda store: store.drop_collection("words"),
    "rename_collection": lambda store: store.rename_collection("words", "names"),
    "store.upsert": lambda store: store.upsert("words", ["queen"], [[0, 1]]),
    "insert": lambda store: store["words"].insert(["queen"], [[0, 1]]),
    "upsert": lambda store: store["words"].upsert(["queen"], [[0, 1]]),
    "upsert of no row": lambda store: store.upsert("words", [], []),
    "update_vector": lambda store: store["words"].update_vector("king", [0, 1]),
    "update": lambda store: store["words"].update("king", payload={"a": 1}),
    "update of an absent row": lambda store: store["words"].update("queen", payload={"a": 1}),
    "delete": lambda store: store["words"].delete(["king"]),
    "delete of an absent row": lambda store: store.delete("words", ["queen"], missing="ignore"),
}
BY_WRITE = pytest.mark.parametrize("write", WRITES.values(), ids=list(WRITES))


def cluster(**options):
    """Three nodes that all have the row "king"."""
    made = Cluster(ClusterOptions(replicas=2, write_concern=majority(), **options), seed=7)
    made.store.create_collection("words", dim=2).upsert(["king"], [[1, 0]])
    made.confirm()
    return made


def facts(made, store):
    """All that a refused write could have changed."""
    heads = [machine.node.log.head for machine in made._engine.machines.values()]
    return store.digest(), list(store), store["words"].version, heads, made.now_ms


def refused(made, store, write, error=WriteRefused):
    """The error of a write that is refused, having changed nothing."""
    before = facts(made, store)
    with pytest.raises(error) as caught:
        write(store)
    assert facts(made, store) == before
    assert type(caught.value) is error
    return caught.value


@BY_WRITE
def test_a_paused_master_takes_no_write_of_a_notebook(write):
    made = cluster()
    store = made.store
    made.inject(sim.Pause(at_ms=0, for_ms=400, node="node-0"))
    made.inject(sim.Pause(at_ms=100, for_ms=500, node="node-0"))  # Pauses add up.
    for _ in range(6):
        made.advance(ms=99)
        error = refused(made, store, write)
        assert error.problem == "node-0 is paused"
        assert made.master == "node-0"
    made.advance(ms=10)
    assert str(error).endswith("advance the time until the pause is over, or promote another node")
    made.store.upsert("words", ["paris"], [[1, 1]])
    made.confirm()
    assert "paris" in made.stores["node-2"]["words"]


@BY_WRITE
def test_the_store_of_a_node_that_has_crashed_takes_no_write_then_or_after_its_restart(write):
    made = cluster()
    store = made.store
    made.crash("node-0")
    assert refused(made, store, write).problem == "node-0 has crashed"
    with pytest.raises(WriteRefused, match="the cluster has no master now"):
        made.store  # noqa: B018
    made.restart("node-0")
    made.advance(ms=5_000)
    assert made.master == "node-0"
    assert refused(made, store, write).problem == "node-0 has crashed"  # That was another life.
    made.store["words"].upsert(["queen"], [[0, 1]])


@BY_WRITE
def test_a_replicas_store_takes_no_write(write):
    made = cluster()
    assert refused(made, made.stores["node-1"], write, ReadOnlyReplica).got == "a write"


@pytest.mark.parametrize("name", ["create_collection", "upsert", "update", "delete"])
def test_a_subscriber_cannot_write_to_the_store_that_called_it(name):
    made = cluster()
    store, told = made.store, []

    def on_operation(operation):
        with pytest.raises(WriteInSubscriber) as caught:
            WRITES[name](store)
        told.append(caught.value.code)

    end = store.subscribe(on_operation)
    store["words"].upsert(["rook"], [[1, 1]])
    end()
    assert told == ["write_in_subscriber"]
    assert len(store["words"]) == 2


def test_a_node_that_restarts_while_it_is_paused_takes_no_write_until_it_runs():
    made = cluster()
    made.inject(sim.Pause(at_ms=0, for_ms=3_000, node="node-0"))
    made.advance(ms=1)
    made.crash("node-0")
    made.restart("node-0")
    store = made.stores["node-0"]
    made.advance(ms=1)
    assert refused(made, store, WRITES["create_collection"]).problem == "node-0 is paused"
    made.advance(ms=10_000)
    assert made.master == "node-0"
    made.store["words"].upsert(["queen"], [[0, 1]])
    made.confirm()


def test_a_pause_that_ends_while_its_node_is_down_does_not_wake_the_dead():
    made = cluster()
    store = made.store
    made.inject(sim.Pause(at_ms=0, for_ms=100, node="node-0"))
    made.advance(ms=1)
    made.crash("node-0")
    made.advance(ms=200)
    assert refused(made, store, WRITES["upsert"]).problem == "node-0 has crashed"


def test_a_candidate_and_a_master_that_does_not_serve_yet_take_no_write():
    made = cluster(disk=sim.Disk(fsync_ms=20))
    store = made.stores["node-1"]
    made.crash("node-0")
    made.inject(sim.Promote(at_ms=0, node="node-1"))
    made.advance(ms=1)
    role = made._engine.node("node-1").role
    assert role.name == "candidate"
    refused(made, store, WRITES["upsert"], ReadOnlyReplica)
    while made.master is None:
        made.advance(ms=1)
    assert refused(made, store, WRITES["upsert"]).problem == "node-1 is not serving yet"
    made.advance(ms=100)
    store["words"].upsert(["queen"], [[0, 1]])


def test_a_write_to_a_stalled_disk_is_taken_as_a_clients_is_and_waits():
    made = cluster()
    made.inject(sim.StalledDisk(at_ms=0, for_ms=500, node="node-0"))
    made.advance(ms=1)
    made.store["words"].upsert(["queen"], [[0, 1]])
    made.confirm()
    assert 500 <= made.now_ms < 600


def test_a_busy_processor_delays_what_a_notebook_has_written_and_refuses_nothing():
    made = cluster()
    made.inject(sim.SlowCpu(at_ms=0, for_ms=500, node="node-0", step_ms=20))
    made.advance(ms=1)
    began_ms = made.now_ms
    made.store["words"].upsert(["queen"], [[0, 1]])
    made.confirm()
    assert made.now_ms > began_ms + 20


def test_what_was_written_to_a_deposed_master_is_never_called_confirmed():
    """It does not know that it was deposed, so it takes the write; but nobody promises anything."""
    made = cluster(replication=ReplicationOptions(write_concern=majority(timeout_ms=700)))
    words = made.store["words"]
    made.cut("node-0")
    made.promote("node-1")
    made.confirm()
    words.upsert(["queen"], [[0, 1]])
    with pytest.raises(WriteConcernTimeout) as caught:
        made.confirm()
    assert (caught.value.got, caught.value.details["confirmed"]) == (
        f"0 of 1 replicas at offset {made._engine.node('node-0').log.head.offset} of node-0",
        0,
    )
    made.heal()
    made.advance(ms=5_000)
    assert made.confirm() == made._engine.node("node-1").log.head.offset
    assert "queen" not in made.store["words"]


def test_a_master_that_is_deposed_while_its_writes_wait_says_that_they_may_be_lost():
    made = cluster()
    words = made.store["words"]
    made.cut("node-0")
    made.promote("node-1")
    words.upsert(["queen"], [[0, 1]])
    made.inject(sim.Replace(at_ms=50, node="node-2"))
    made._injector.end_network()
    with pytest.raises(WriteRefused, match="node-0 is no longer master"):
        made.confirm()


def test_a_node_that_is_paused_hears_no_command_of_an_operator():
    made = cluster()
    made.inject(sim.Pause(at_ms=0, for_ms=None, node="node-1"))
    made.inject(sim.Pause(at_ms=6, for_ms=None, node="node-2"))
    made.advance(ms=1)
    with pytest.raises(PromotionRefused, match="a node that is paused cannot be promoted"):
        made.promote("node-1")
    made.crash("node-0")
    with pytest.raises(PromotionRefused, match="node-2 was not promoted"):
        made.promote("node-2")  # It is paused before it is elected: no endless wait.
    assert made.now_ms < 100
