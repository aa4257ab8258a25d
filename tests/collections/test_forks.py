"""A fork of a process in which JAX runs: what would hang there is refused at once."""

import multiprocessing
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest

import vectorkit as vk
from vectorkit import sim

FORK = multiprocessing.get_context("fork")
WAIT_S = 60
"""A fork answers in milliseconds, or would hang for good."""


def in_fork(calls):
    """What each of the calls by name raises in a fork: its code, or what it returns."""
    receiving, sending = FORK.Pipe(duplex=False)

    def answer():
        for name, call in calls.items():
            try:
                outcome = repr(call())
            except Exception as error:
                outcome = getattr(error, "code", repr(error))
            sending.send((name, outcome))

    process = FORK.Process(target=answer)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # JAX, and later versions of Python, warn of forks.
        process.start()
    try:
        answers = [receiving.recv() if receiving.poll(WAIT_S) else ("hangs", "") for _ in calls]
    finally:
        process.kill()
        process.join(WAIT_S)
    return dict(answers)


def calls_of(c, row=(1, 0)):
    return {
        "upsert": lambda: c.upsert(["z"], [row]),
        "insert": lambda: c.insert(["z"], [row]),
        "update_vector": lambda: c.update_vector("a", np.ones(2, np.float32)),
        "update_vectors": lambda: c.update_vectors(["a"], [row]),
        "update": lambda: c.update("a", payload=None),
        "delete": lambda: c.delete(["a"]),
        "reserve": lambda: c.reserve(100),
        "get": lambda: c.get("a"),
        "payload": lambda: c.payload("a"),
        "contains": lambda: "a" in c,
        "ids": c.ids,
        "search": lambda: c.search(row),
        "search_many": lambda: c.search_many([row]),
        "digest": c.digest,
        "memory": c.memory,
        "snapshot": c.snapshot,
        "batches": lambda: list(c.batches()),
        "to_frame": c.to_frame,
        "audit": c.audit,
    }


def made(kind=vk.CpuCollection, **options):
    collection = kind(dim=2, **options)
    collection.upsert(["a", "b"], [[1, 0], [0, 1]], [{"n": 1}, None])
    return collection


@pytest.mark.parametrize("kind", [vk.CpuCollection, vk.QuantizedCollection, vk.ShardedCollection])
def test_every_call_of_a_collection_is_refused(kind):
    collection = made(kind)
    calls = calls_of(collection)
    assert in_fork(calls) == dict.fromkeys(calls, "forked_process")
    assert collection.search([1, 0], 1).ids == ("a",)  # The process itself goes on.


def test_what_needs_neither_a_device_nor_a_lock_is_answered():
    collection = made()
    snapshot = collection.snapshot()
    facts = {
        "len": lambda: len(collection),
        "version": lambda: collection.version,
        "repr": lambda: collection,
        "ids of a snapshot": lambda: snapshot._view.ids,
    }
    assert in_fork(facts) == {
        "len": "2",
        "version": "1",
        "repr": "CpuCollection(2 × 2, cosine, version 1)",
        "ids of a snapshot": "['a', 'b']",
    }


def test_snapshots_stores_caches_clusters_and_new_collections_are_refused(tmp_path):
    cache = vk.QueryCache()
    store = vk.VectorStore(cache=cache)
    words = store.create_collection("words", dim=2)
    words.upsert(["a"], [[1, 0]])
    store.search("words", [1, 0])
    before = words.snapshot()
    cluster = sim.Cluster(sim.ClusterOptions(replicas=1))
    calls = {
        "search of a snapshot": lambda: before.search([1, 0]),
        "digest of a snapshot": before.digest,
        "save of a snapshot": lambda: before.save(tmp_path / "saved.vk"),
        "search of a store": lambda: store.search("words", [1, 0]),
        "write to a store": lambda: store.update_vector("words", "a", [0, 1]),
        "snapshot of a store": store.snapshot,
        "subscribe": lambda: store.subscribe(print),
        "stats of a cache": cache.stats,
        "clear of a cache": cache.clear,
        "a cluster": lambda: cluster.store.create_collection("words", dim=2),
        "a new collection": made,
        "a new quantized collection": lambda: made(vk.QuantizedCollection),
    }
    assert in_fork(calls) == dict.fromkeys(calls, "forked_process")
    assert not (tmp_path / "saved.vk").exists()


def test_a_lock_that_another_thread_holds_at_the_fork_is_not_waited_for():
    collection = made()
    is_held, may_go = threading.Event(), threading.Event()

    def hold(columns):
        is_held.set()
        return np.full(2, may_go.wait(WAIT_S))

    thread = threading.Thread(target=collection.search, args=([1, 0],), kwargs={"where": hold})
    thread.start()
    assert is_held.wait(WAIT_S)
    calls = calls_of(collection)
    try:
        assert in_fork(calls) == dict.fromkeys(calls, "forked_process")
    finally:
        may_go.set()
        thread.join(WAIT_S)


def test_the_refusal_says_what_to_do():
    collection = made()

    def refused():
        try:
            collection.search([1, 0])
        except vk.errors.ForkedProcess as error:
            return error.problem, error.wanted, error.remedy

    assert in_fork({"search": refused})["search"] == repr(
        (
            "this process is a fork, in which JAX cannot run",
            "a new process, not a fork",
            "start processes by multiprocessing.get_context('spawn') or 'forkserver', or fork "
            "before JAX is used; collections and snapshots can be pickled",
        )
    )


BEFORE_JAX = """
import os
import vectorkit as vk
store = vk.VectorStore()
child = os.fork()
if child == 0:
    words = store.create_collection("words", dim=2)
    words.upsert(["a"], [[1, 0]])
    print(store.search("words", [1, 0]).ids, flush=True)
    os._exit(0)
os.waitpid(child, 0)
"""


def test_a_fork_from_before_jax_was_used_works():
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", BEFORE_JAX],
        capture_output=True, text=True, timeout=WAIT_S, check=True,
    )  # fmt: skip
    assert done.stdout == "('a',)\n"
