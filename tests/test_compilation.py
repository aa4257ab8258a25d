"""Programs are compiled once per shape, and a write goes to the device only when a read asks."""

import os
import subprocess
import sys

import jax
import numpy as np
import pytest
from jax.experimental.compilation_cache import compilation_cache

from vectorkit.collections import CpuCollection
from vectorkit.collections.backends import compiled
from vectorkit.collections.backends.compiled import trace_counts

COUNTED = """
from collections import Counter

import jax

events = Counter()
jax.monitoring.register_event_listener(lambda name, **_: events.update([name]))
import vectorkit as vk

collection = vk.CpuCollection(dim=19)
collection.upsert(["a"], [range(19)])
collection.search(range(19))
print(*(events[f"/jax/compilation_cache/cache_{name}"] for name in ("hits", "misses")))
"""
"""A search in a process of its own; prints how many programs it found, and how many it compiled."""

PROGRAMS = ("write_copy", "write_in_place", "move_copy", "move_in_place", "grow", "read", "search")


@pytest.fixture
def calls(monkeypatch):
    """The names of the device programs that were called, in order."""
    called = []

    def spy_on(name):
        program = getattr(compiled, name)

        def spy(*arrays, **options):
            called.append(name)
            return program(*arrays, **options)

        monkeypatch.setattr(compiled, name, spy)

    for name in PROGRAMS:
        spy_on(name)
    return called


def filled(dim, count=300, metric="dot"):
    collection = CpuCollection(dim=dim, metric=metric)
    collection.insert(range(count), np.random.default_rng(dim).normal(size=(count, dim)))
    return collection


def work(collection, step):
    """One step of a mixed workload that keeps the count of rows."""
    rng = np.random.default_rng(step)
    rows = rng.normal(size=(200, collection.dim))
    name = step * 7 % 300
    match step % 8:
        case 0:
            collection.update_vector(name, rows[0])
        case 1:
            collection.update_vectors(range(200), rows)
        case 2:
            collection.search(rows[1], k=10)
        case 3:
            collection.search_many(rows[: 9 + step % 8], k=10)
        case 4:
            collection.delete([name, (name + 50) % 300])
            collection.upsert([name, (name + 50) % 300], rows[:2])
        case 5:
            collection.snapshot()
            collection.update(name, vector=rows[3], payload={"n": step})
        case 6:
            collection.digest()
        case 7:
            collection.get(name)


def traced_by(action):
    before = trace_counts.copy()
    action()
    return trace_counts - before


@pytest.mark.parametrize("metric", ["dot", "cosine", "euclidean"])
def test_200_mixed_steps_after_a_warm_up_trace_nothing_new(metric):
    collection = filled(dim=11, metric=metric)
    for step in range(48):
        work(collection, step)
    assert traced_by(lambda: [work(collection, step) for step in range(48, 248)]) == {}


def test_batches_of_9_to_16_queries_share_one_program():
    collection = filled(dim=12)
    queries = np.random.default_rng(0).normal(size=(16, 12))
    sizes = [traced_by(lambda n=n: collection.search_many(queries[:n])) for n in range(9, 17)]
    assert sizes == [{"search": 1}] + [{}] * 7


def test_every_k_from_3_to_10_shares_one_program():
    collection = filled(dim=13)
    traced = [traced_by(lambda k=k: collection.search(np.ones(13), k=k)) for k in range(3, 11)]
    assert traced == [{"search": 1}] + [{}] * 7


def test_batches_of_129_to_256_updates_share_one_program():
    collection = filled(dim=14)
    rows = np.ones((256, 14))
    traced = [
        traced_by(lambda n=n: collection.update_vectors(range(n), rows[:n]))
        for n in (129, 200, 256)
    ]
    assert traced == [{"write": 1}, {}, {}]


def test_deletes_of_1_to_8_rows_share_one_program():
    collection = filled(dim=15)
    assert traced_by(lambda: collection.delete([0])) == {"move": 1}
    assert traced_by(lambda: [collection.delete([1, 2, 3]), collection.delete(range(10, 18))]) == {}


def test_growth_is_counted_apart():
    collection = filled(dim=16, count=8)
    collection.digest()
    rows = np.ones((300, 16))
    assert traced_by(lambda: collection.insert(range(100, 120), rows[:20])) == {
        "grow": 1,
        "write": 1,
    }
    assert traced_by(lambda: collection.insert(range(200, 203), rows[:3])) == {}


def test_two_collections_of_one_shape_share_their_programs():
    first, second = filled(dim=17), filled(dim=17)
    first.search(np.ones(17))
    assert traced_by(lambda: second.search(np.ones(17))) == {}


def test_updates_of_single_rows_stay_on_the_host_until_a_read(calls):
    collection = filled(dim=4)
    calls.clear()
    for number in range(100):
        collection.update_vector(number, np.ones(4))
    collection.update(7, vector=np.ones(4), payload={"a": 1})
    collection.update_vectors(range(64), np.ones((64, 4)))
    assert calls == []
    collection.search(np.ones(4), k=1)
    assert calls[:2] == ["write_in_place", "search"]


def test_1_000_updates_and_a_search_make_one_scatter(calls):
    collection = filled(dim=4)
    calls.clear()
    rng = np.random.default_rng(1)
    for number in range(1000):
        collection.update_vector(number % 300, rng.normal(size=4))
    collection.search(np.ones(4))
    assert calls == ["write_in_place", "search"]


def test_reads_without_writes_between_them_write_nothing(calls):
    collection = filled(dim=4)
    collection.update_vector(1, np.ones(4))
    calls.clear()
    assert collection.get(1).vector.tolist() == [1] * 4
    assert calls == []
    collection.get(2)
    assert calls == ["read"]
    collection.search(np.ones(4))
    calls.clear()
    for read in (collection.ids, collection.snapshot, collection.digest, lambda: 1 in collection):
        read()
    assert [name for name in calls if name.startswith(("write", "move"))] == []


def test_a_delete_is_one_move_and_a_delete_at_the_end_none(calls):
    collection = filled(dim=4)
    calls.clear()
    collection.delete([3, 5])
    assert calls == ["move_in_place"]
    collection.delete([collection.ids()[-1]])
    assert calls == ["move_in_place"]


def test_a_snapshot_costs_one_copy_at_the_next_write_and_none_after(calls):
    collection = filled(dim=4)
    calls.clear()
    held = collection.snapshot()
    assert calls == []
    for _ in range(3):
        collection.update_vectors(range(200), np.ones((200, 4)))
    assert calls == ["write_copy", "write_in_place", "write_in_place"]
    del held


def test_a_snapshot_that_nobody_has_any_more_costs_nothing(calls):
    collection = filled(dim=4)
    collection.snapshot()
    calls.clear()
    collection.update_vectors(range(200), np.ones((200, 4)))
    assert calls == ["write_in_place"]


def hits_and_misses():
    command = [sys.executable, "-c", COUNTED]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return tuple(map(int, done.stdout.split()))


def test_processes_of_a_test_run_share_the_programs_that_they_compile():
    first, second = hits_and_misses(), hits_and_misses()
    assert sum(first) > 0
    assert second == (sum(first), 0)


def test_this_process_takes_part():
    folder = os.environ["JAX_COMPILATION_CACHE_DIR"]
    assert jax.config.jax_compilation_cache_dir == folder
    assert traced_by(lambda: filled(dim=18).search(np.ones(18)))["search"] == 1
    assert any(name.startswith("jit_") for name in os.listdir(folder))


def test_programs_from_the_directory_count_as_compiled_once_for_each_shape():
    """What is counted is tracing: the directory spares the compilation that follows it."""
    traced_by(lambda: filled(dim=20).search(np.ones(20)))
    jax.clear_caches()
    assert traced_by(lambda: filled(dim=20).search(np.ones(20)))["search"] == 1
    assert traced_by(lambda: filled(dim=20).search(np.ones(20))) == {}


@pytest.fixture
def own_directory(tmp_path):
    before = jax.config.jax_compilation_cache_dir
    compilation_cache.set_cache_dir(str(tmp_path))
    compilation_cache.reset_cache()
    yield tmp_path
    compilation_cache.set_cache_dir(before)
    compilation_cache.reset_cache()


def test_a_program_that_another_process_is_still_writing_is_compiled(own_directory):
    expected = filled(dim=21).search(np.ones(21))
    entries = [each for each in own_directory.iterdir() if each.name.endswith("-cache")]
    assert entries
    for each in entries:
        each.write_bytes(each.read_bytes()[:100])
    jax.clear_caches()
    assert filled(dim=21).search(np.ones(21)).ids == expected.ids
