"""A cached answer is the fresh one, bit for bit, and the counters tell how it came about."""

import copy
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import vectorkit as vk
from tests.collections.reference import HARD_ROWS, METRICS, hard_rows
from vectorkit.collections import search
from vectorkit.collections.backends import compiled
from vectorkit.collections.storage import change_log
from vectorkit.errors import (
    CollectionNotFound,
    InvalidFilter,
    InvalidK,
    InvalidOption,
    InvalidVector,
)
from vectorkit.operations import Delete, UpdateVectors, Upsert
from vectorkit.store import store_of
from vectorkit.store.cache import CacheStats
from vectorkit.types import KEEP

ZERO = CacheStats(0, 0, 0, 0, 0, 0, 0)
QUERY = [1.0]
"""Under dot with dim = 1 every row's score is its own number."""


class Journal:
    place = None

    def admit(self):
        """Every write is welcome."""

    def append(self, operation, encoded, place):
        """Nothing is kept."""


def numbered(values=(9, 8, 7, 6, 5, 4), **options):
    """A store with a cache and a collection "numbers" of one-number rows "r0", "r1", …"""
    cache = vk.QueryCache(**options)
    store = vk.VectorStore(cache=cache)
    numbers = store.create_collection("numbers", dim=1, metric="dot")
    put(numbers, values)
    return cache, store, numbers


def put(collection, values):
    names = [f"r{number}" for number in range(len(values))]
    collection.insert(names, np.array(values, np.float32)[:, None])


def same(found, expected):
    return (found.ids, found.scores.tobytes(), found.metric) == (
        expected.ids,
        expected.scores.tobytes(),
        expected.metric,
    )


def counted(cache, do):
    """What `do` adds to the counters, without those that stay as they are."""
    before = cache.stats()._asdict()
    do()
    after = cache.stats()._asdict()
    return {name: after[name] - before[name] for name in after if after[name] != before[name]}


def asked(cache, collection, k=3, query=QUERY, **more):
    """How the next answer comes about; it must be the fresh one."""

    def ask():
        found = cache.search(collection, query, k, **more)
        assert same(found, collection.search(query, k, **more))

    return counted(cache, ask)


HIT, PATCHED, MISS = {"hits": 1}, {"hits": 1, "patched": 1}, {"misses": 1}
FIRST = MISS | {"size": 1}


# Reads


def test_the_second_search_is_a_hit():
    cache, store, numbers = numbered()
    first, second = store.search("numbers", QUERY, k=3), store.search("numbers", QUERY, k=3)
    assert cache.stats() == ZERO._replace(hits=1, misses=1, size=1)
    assert same(first, second)
    assert same(first, numbers.search(QUERY, k=3))


def test_a_hit_runs_no_program_on_the_device(monkeypatch):
    cache, _, numbers = numbered()
    cache.search(numbers, QUERY)
    monkeypatch.setattr(compiled, "search", None)
    monkeypatch.setattr(compiled, "read", None)
    assert cache.search(numbers, QUERY).ids[0] == "r0"


def test_changing_an_answer_changes_no_other():
    cache, _, numbers = numbered()
    for _ in range(3):
        found = cache.search(numbers, QUERY, k=2)
        assert found.scores.tolist() == [9.0, 8.0]
        found.scores[:] = -1


def test_changing_the_query_that_was_passed_changes_no_entry():
    cache, _, numbers = numbered()
    query = np.ones(1, np.float32)
    numbers.update_vector("r5", [4.5])
    cache.search(numbers, query, 2)
    query[:] = -1
    assert asked(cache, numbers, 2) == HIT
    numbers.update_vector("r5", [9.5])
    assert asked(cache, numbers, 2) == PATCHED


# Reads


WRITES = {
    "insert": lambda c: c.insert(["new"], [[8.5]]),
    "update": lambda c: c.update_vector("r1", [9.5]),
    "update two": lambda c: c.update_vectors(["r0", "r4"], [[1], [8]]),
    "replace": lambda c: c.upsert(["r0", "new"], [[3], [10]]),
    "payload": lambda c: c.update("r2", payload={"n": 1}),
    "both": lambda c: c.update("r5", vector=[20], payload={"n": 1}),
    "delete a member": lambda c: c.delete(["r1"]),
    "delete the last": lambda c: c.delete(["r5"]),
    "delete, a row moves": lambda c: c.delete(["r3"]),
    "delete all": lambda c: c.delete([f"r{number}" for number in range(6)]),
}
REPLICATED = {
    "insert": Upsert("numbers", ("new",), np.float32([[8.5]]), None),
    "update": UpdateVectors("numbers", ("r1",), np.float32([[9.5]]), KEEP),
    "payload": UpdateVectors("numbers", ("r1",), KEEP, ({"n": 1},)),
    "delete": Delete("numbers", ("r0",)),
}


@pytest.mark.parametrize("k", [1, 3, 6, 50])
@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_the_answer_after_a_write_is_the_fresh_one(write, k):
    cache, store, numbers = numbered()
    other = store.create_collection("other", dim=1, metric="dot")
    put(other, (1, 2, 3))
    loose = vk.CpuCollection(dim=1, metric="dot")
    put(loose, (9, 8, 7, 6, 5, 4))
    for each in (numbers, other, loose):
        assert asked(cache, each, k) == FIRST
    write(numbers)
    write(loose)
    for each in (numbers, loose):
        assert asked(cache, each, k) in (PATCHED, MISS)
        assert asked(cache, each, k) == HIT
    assert asked(cache, other, k) == HIT


@pytest.mark.parametrize("operation", REPLICATED.values(), ids=REPLICATED)
def test_a_replicated_write_is_seen(operation):
    cache, store, numbers = numbered()
    applier = store.attach(Journal())
    asked(cache, numbers, 3)
    applier.apply(operation)
    assert asked(cache, numbers, 3) in (PATCHED, MISS)


def test_another_collection_of_the_same_name_and_version_has_no_entries():
    cache, store, _ = numbered()
    store.search("numbers", QUERY)
    store.drop_collection("numbers")
    again = store.create_collection("numbers", dim=1, metric="dot")
    put(again, (1, 2, 3))
    assert again.version == 1
    assert asked(cache, again, 10) == FIRST
    with pytest.raises(CollectionNotFound):
        store.search("absent", QUERY)


def test_an_installed_store_has_no_entries_of_the_one_it_replaces():
    cache, store, numbers = numbered()
    asked(cache, numbers)
    _, other, _ = numbered(values=(1, 2, 3))
    store.attach(Journal()).install(store_of(other.snapshot().operations()))
    assert store["numbers"].version == numbers.version
    assert asked(cache, store["numbers"]) == FIRST
    assert store.search("numbers", QUERY, k=3).scores.tolist() == [3.0, 2.0, 1.0]


def test_a_renamed_collection_keeps_its_entries():
    cache, store, numbers = numbered()
    asked(cache, numbers)
    store.rename_collection("numbers", "figures")
    assert counted(cache, lambda: store.search("figures", QUERY, k=3)) == HIT


def test_stores_may_share_a_cache_and_a_name():
    cache = vk.QueryCache()
    stores = [vk.VectorStore(cache=cache) for _ in range(2)]
    for number, store in enumerate(stores):
        put(store.create_collection("numbers", dim=1, metric="dot"), (number, 5 + number))
    assert [asked(cache, store["numbers"]) for store in stores] == [FIRST, FIRST]
    assert [asked(cache, store["numbers"]) for store in stores] == [HIT, HIT]


# Each value is written to a row of 9, 8, 7, 6, 5, 4 between two searches for the 3 best.


PATCHES = {
    "stays outside": ("r5", 1, PATCHED),
    "comes to just below the k-th": ("r5", 6.9999995, PATCHED),
    "enters": ("r5", 8.5, PATCHED),
    "becomes the best": ("r5", 100, PATCHED),
    "a member gets better": ("r2", 10, PATCHED),
    "a member falls and stays": ("r0", 7.5, PATCHED),
    "the k-th gets worse and could be passed": ("r2", 6.5, MISS),
    "a member leaves": ("r0", 1, MISS),
    "the k-th is written as it was": ("r2", 7, PATCHED),
    "a tie with the k-th from behind": ("r5", 7, PATCHED),
}


@pytest.mark.parametrize(("row_id", "value", "expected"), PATCHES.values(), ids=PATCHES)
def test_an_update_is_merged_unless_the_kth_gets_worse(row_id, value, expected):
    cache, _, numbers = numbered()
    asked(cache, numbers)
    numbers.update_vector(row_id, [value])
    assert asked(cache, numbers) == expected
    assert asked(cache, numbers) == HIT


def test_a_tie_from_a_lower_slot_takes_the_kth_place():
    cache, _, numbers = numbered(values=(4, 9, 8, 7, 6))
    asked(cache, numbers)
    numbers.update_vector("r0", [7])
    assert asked(cache, numbers) == PATCHED
    assert cache.search(numbers, QUERY, 3).ids == ("r1", "r2", "r0")


def test_a_kth_that_is_replaced_by_a_tie_further_back_may_have_been_passed():
    """r3 was below r2, the old k-th, by its slot only; r5 is further back than both."""
    cache, _, numbers = numbered(values=(9, 8, 7, 7, 5, 4))
    asked(cache, numbers)
    numbers.update_vectors(["r2", "r5"], [[1], [7]])
    assert asked(cache, numbers) == MISS
    assert cache.search(numbers, QUERY, 3).ids == ("r0", "r1", "r3")


def test_a_row_that_moves_into_a_hole_is_ranked_by_its_new_slot():
    cache, _, numbers = numbered(values=(9, 1, 5, 5, 5))
    assert asked(cache, numbers, 2) == FIRST
    numbers.delete(["r1"])
    assert asked(cache, numbers, 2) == PATCHED
    assert cache.search(numbers, QUERY, 2).ids == ("r0", "r4")


def test_a_member_whose_slot_was_emptied_and_filled_again_is_gone():
    cache, _, numbers = numbered(values=(7, 8, 9))
    assert asked(cache, numbers, 2) == FIRST
    numbers.delete(["r2"])
    numbers.insert(["new"], [[1]])
    assert asked(cache, numbers, 2) == MISS
    assert cache.search(numbers, QUERY, 2).ids == ("r1", "r0")


def test_a_row_that_was_changed_and_then_deleted_is_not_there():
    cache, _, numbers = numbered()
    asked(cache, numbers)
    numbers.update_vector("r5", [100])
    numbers.delete(["r5"])
    assert asked(cache, numbers) == PATCHED


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("kind", HARD_ROWS)
def test_patched_scores_are_those_of_a_search_to_the_last_bit(kind, metric):
    cache, rows = vk.QueryCache(), hard_rows(kind, 1, 120, 33)
    collection = vk.CpuCollection(dim=33, metric=metric)
    collection.insert(range(60), rows[:60])
    ks = (70, 60, 20)
    before = [asked(cache, collection, k, rows[119]) for k in ks]
    assert before == [FIRST] * 3
    collection.update_vectors(range(30, 60), rows[60:90])
    assert asked(cache, collection, 70, rows[119]) == PATCHED
    for k in ks[1:]:
        assert asked(cache, collection, k, rows[119]) in (PATCHED, MISS)


def test_an_answer_that_holds_all_rows_is_always_merged():
    cache, _, numbers = numbered()
    assert asked(cache, numbers, 8) == FIRST
    for write in (
        lambda: numbers.update_vectors(["r0", "r3"], [[-1], [100]]),
        lambda: numbers.delete(["r0", "r5"]),
        lambda: numbers.delete(numbers.ids()),
        lambda: put(numbers, range(8)),
    ):
        write()
        assert asked(cache, numbers, 8) == PATCHED
    numbers.delete(["r0"])
    assert asked(cache, numbers, 8) == MISS


def test_a_payload_written_alone_leaves_a_hit():
    cache, _, numbers = numbered()
    asked(cache, numbers)
    numbers.update("r0", payload={"n": 1})
    assert asked(cache, numbers) == PATCHED


def test_patches_follow_on_patches():
    cache, _, numbers = numbered()
    asked(cache, numbers)
    for number in range(50):
        numbers.update_vector(f"r{3 + number % 3}", [number % 7])
        assert asked(cache, numbers) == PATCHED


def test_many_writes_between_two_searches_are_merged_at_once():
    cache, _, numbers = numbered()
    asked(cache, numbers)
    for number in range(change_log.WRITES_KEPT):
        numbers.update_vector(f"r{3 + number % 3}", [number % 7])
    assert asked(cache, numbers) == PATCHED
    for _ in range(change_log.WRITES_KEPT + 1):
        numbers.update_vector("r5", [1])
    assert asked(cache, numbers) == MISS


def test_more_rows_than_the_log_tells_apart_are_searched():
    cache, _, numbers = numbered([9] * 3 + [0] * change_log.SLOTS_MAX * 16)
    asked(cache, numbers)
    names = [f"r{number}" for number in range(3, change_log.SLOTS_MAX + 4)]
    numbers.update_vectors(names[:-1], np.ones((change_log.SLOTS_MAX, 1)))
    assert asked(cache, numbers) == PATCHED
    numbers.update_vectors(names, np.zeros((len(names), 1)))
    assert asked(cache, numbers) == MISS


def test_changed_rows_that_cost_more_than_a_search_are_searched():
    """64 rows, and one more for every 16 that a search would scan."""
    cache, _, numbers = numbered([9] * 3 + [0] * 317)
    asked(cache, numbers)
    names = [f"r{number}" for number in range(3, 88)]
    numbers.update_vectors(names[:84], np.ones((84, 1)))
    assert asked(cache, numbers) == PATCHED
    numbers.update_vectors(names, np.zeros((85, 1)))
    assert asked(cache, numbers) == MISS


def test_a_kind_that_is_not_exact_is_searched_afresh():
    cache, _, numbers = numbered()
    numbers._backend.is_exact = False
    asked(cache, numbers)
    assert asked(cache, numbers) == HIT
    numbers.update_vector("r5", [1])
    assert asked(cache, numbers) == MISS


ODD = {"odd": True}
FILTERED = {
    "a row outside passes and stays outside": ("r9", {"payload": ODD}, PATCHED),
    "a row outside passes and enters": ("r2", {"payload": ODD}, PATCHED),
    "a row outside gets better": ("r7", {"vector": [20]}, PATCHED),
    "a row that does not pass gets better": ("r6", {"vector": [20]}, PATCHED),
    "a member stays": ("r1", {"payload": ODD | {"n": 1}}, PATCHED),
    "a member no longer passes": ("r1", {"payload": {"odd": False}}, MISS),
    "a member loses its payload": ("r3", {"payload": None}, MISS),
    "a row passes and is the best": ("r8", {"vector": [20], "payload": ODD}, PATCHED),
}


@pytest.mark.parametrize(("row_id", "parts", "expected"), FILTERED.values(), ids=FILTERED)
def test_a_filter_is_asked_about_changed_rows_only(row_id, parts, expected):
    cache, _, numbers = numbered(values=range(10, 0, -1))
    for number in range(1, 10, 2):
        numbers.update(f"r{number}", payload=ODD)
    assert asked(cache, numbers, 2, where=ODD) == FIRST
    numbers.update(row_id, **parts)
    assert asked(cache, numbers, 2, where=ODD) == expected
    assert asked(cache, numbers, 2, where=ODD) == HIT


def test_a_filtered_answer_that_holds_all_that_pass_is_always_merged():
    cache, _, numbers = numbered()
    assert asked(cache, numbers, 3, where=ODD) == FIRST
    for row_id, payload in (("r5", ODD), ("r0", ODD), ("r5", None), ("r3", ODD), ("r1", ODD)):
        numbers.update(row_id, payload=payload)
        assert asked(cache, numbers, 3, where=ODD) == PATCHED
    numbers.update("r0", payload=None)
    assert asked(cache, numbers, 3, where=ODD) == MISS


# Reads


def test_the_least_recently_used_answer_makes_room():
    cache, _, numbers = numbered(capacity=2)
    assert asked(cache, numbers, 1) == FIRST
    assert asked(cache, numbers, 2) == FIRST
    assert asked(cache, numbers, 1) == HIT
    assert asked(cache, numbers, 3) == MISS | {"evicted": 1}
    assert asked(cache, numbers, 1) == HIT
    assert asked(cache, numbers, 2) == MISS | {"evicted": 1}
    assert cache.stats().size == 2


def test_an_answer_expires_at_its_age_however_often_it_is_used():
    now = [100.0]
    cache, _, numbers = numbered(max_age_s=10, timer=lambda: now[0])
    assert asked(cache, numbers) == FIRST
    now[0] = 109.5
    assert asked(cache, numbers) == HIT
    now[0] = 110.0
    assert asked(cache, numbers) == FIRST
    assert cache.stats() == ZERO._replace(hits=1, misses=2, expired=1, size=1)


def test_the_answers_of_a_copied_cache_grow_old_by_the_same_timer():
    now = [100.0]
    _, _, numbers = numbered()
    cache = copy.copy(vk.QueryCache(max_age_s=10, timer=lambda: now[0]))
    for time_s, misses in [(100.0, 1), (109.5, 1), (110.0, 2)]:
        now[0] = time_s
        cache.search(numbers, [1.0])
        assert cache.stats().misses == misses


def test_a_patch_makes_an_answer_young_again():
    now = [0.0]
    cache, _, numbers = numbered(max_age_s=10, timer=lambda: now[0])
    asked(cache, numbers)
    now[0] = 9.0
    numbers.update_vector("r5", [1])
    assert asked(cache, numbers) == PATCHED
    now[0] = 18.0
    assert asked(cache, numbers) == HIT


def test_what_has_expired_is_not_counted_as_held_or_evicted():
    now = [0.0]
    cache, _, numbers = numbered(capacity=2, max_age_s=10, timer=lambda: now[0])
    for k in (1, 2):
        asked(cache, numbers, k)
    now[0] = 10.0
    assert cache.stats() == ZERO._replace(misses=2, expired=2)
    assert asked(cache, numbers, 3) == FIRST


def test_without_an_age_an_answer_stays():
    now = [0.0]
    cache, _, numbers = numbered(timer=lambda: now[0])
    asked(cache, numbers)
    now[0] = 1e18
    assert asked(cache, numbers) == HIT


def test_clearing_lets_go_of_answers_and_keeps_the_counters():
    cache, _, numbers = numbered()
    asked(cache, numbers)
    cache.clear()
    assert cache.stats() == ZERO._replace(misses=1)
    assert asked(cache, numbers) == FIRST


# Reads


def test_another_k_or_query_is_another_entry():
    cache, _, numbers = numbered()
    for k, query in ((3, [1.0]), (4, [1.0]), (3, [np.float32(1.0000001)]), (3, [-1.0])):
        assert asked(cache, numbers, k, query) == FIRST
        assert asked(cache, numbers, k, query) == HIT


def test_one_query_in_all_its_guises_is_one_entry():
    cache, _, numbers = numbered()
    asked(cache, numbers)
    for query in ((1,), np.ones(1), np.ones(2, np.float32)[::2], np.ones(1, np.int8)):
        assert asked(cache, numbers, np.int64(3), query) == HIT


def test_metrics_have_different_entries():
    cache, store, _ = numbered()
    for metric in METRICS:
        put(store.create_collection(metric, dim=1, metric=metric), (3, 2, 1))
        assert asked(cache, store[metric]) == FIRST
    found = [store.search(metric, QUERY, k=3).scores.tolist() for metric in METRICS]
    assert found == [[3.0, 2.0, 1.0], [1.0, 1.0, 1.0], [0.0, -1.0, -2.0]]


def test_another_filter_is_another_entry_and_another_spelling_is_not():
    cache, _, numbers = numbered()
    filters = ({}, ODD, {"odd": False}, {"odd": 1}, {"not": ODD})
    for where in (None, *filters):
        assert asked(cache, numbers, where=where) == FIRST
        assert asked(cache, numbers, where=where) == HIT
    assert asked(cache, numbers, where={"odd": {"eq": np.True_}}) == HIT


def test_a_function_as_filter_is_asked_every_time():
    cache, store, numbers = numbered()
    numbers.update("r3", payload={"n": 5})
    for _ in range(2):
        assert asked(cache, numbers, where=lambda columns: columns["n"] == 5) == {"bypassed": 1}
    found = store.search("numbers", QUERY, where=lambda columns: columns["n"] == 5)
    assert found.ids == ("r3",)


def test_no_neighbours_need_no_entry():
    cache, _, numbers = numbered()
    assert asked(cache, numbers, 0) == {"bypassed": 1}


# Reads


def while_scoring(monkeypatch, do):
    """Run `do` once, after the next search has been dispatched and before it is scored."""
    real = search.canonical_scores

    def score(*arrays):
        monkeypatch.setattr(search, "canonical_scores", real)
        do()
        return real(*arrays)

    monkeypatch.setattr(search, "canonical_scores", score)


def test_an_answer_is_kept_under_the_version_that_it_was_found_in(monkeypatch):
    cache, _, numbers = numbered()
    expected = numbers.search(QUERY, k=3)
    while_scoring(monkeypatch, lambda: numbers.update_vector("r0", [1]))
    assert same(cache.search(numbers, QUERY, 3), expected)
    assert asked(cache, numbers) == MISS
    while_scoring(monkeypatch, lambda: numbers.update_vector("r0", [100]))
    cache.search(numbers, [2.0], 3)
    assert asked(cache, numbers, 3, [2.0]) == PATCHED


def test_an_answer_found_at_the_second_attempt_is_kept_under_the_later_version(monkeypatch):
    cache, _, numbers = numbered(values=[7] * 300)
    while_scoring(monkeypatch, lambda: numbers.update_vector("r9", [8]))
    assert cache.search(numbers, QUERY, 3).ids == ("r9", "r0", "r1")
    assert asked(cache, numbers) == HIT


def test_a_search_that_ends_late_does_not_replace_a_later_answer(monkeypatch):
    cache, _, numbers = numbered()

    def overtake():
        numbers.update_vector("r5", [1])
        cache.search(numbers, QUERY, 3)

    while_scoring(monkeypatch, overtake)
    cache.search(numbers, QUERY, 3)
    assert cache.stats() == ZERO._replace(misses=2, size=1)
    assert asked(cache, numbers) == HIT


class Interrupted(vk.CpuCollection):
    """Something happens between the cache's look-up and the read that a patch makes."""

    before_read = None

    def _read(self, dispatch):
        if self.before_read is not None:
            do, self.before_read = self.before_read, None
            do()
        return super()._read(dispatch)


class Overtaken(vk.CpuCollection):
    """Its version is looked at some writes before all else."""

    behind = 0

    @property
    def version(self):
        return super().version - self.behind


def test_a_patch_takes_the_version_and_the_rows_changed_since_in_one_read():
    cache, numbers = vk.QueryCache(), Interrupted(dim=1, metric="dot")
    put(numbers, (9, 8, 7, 6, 5, 4))
    asked(cache, numbers)
    numbers.update_vector("r5", [1])
    numbers.before_read = lambda: numbers.update_vector("r4", [8.5])
    assert cache.search(numbers, QUERY, 3).ids == ("r0", "r4", "r1")
    assert asked(cache, numbers) == HIT


def test_a_patch_translates_slots_with_the_tables_of_its_read(monkeypatch):
    cache, _, numbers = numbered()
    asked(cache, numbers)
    numbers.update_vector("r5", [1])
    real = np.lexsort

    def sort_after_a_write(keys):
        monkeypatch.setattr(np, "lexsort", real)
        numbers.delete(["r0", "r1"])
        return real(keys)

    monkeypatch.setattr(np, "lexsort", sort_after_a_write)
    assert cache.search(numbers, QUERY, 3).ids == ("r0", "r1", "r2")
    assert asked(cache, numbers) == MISS


def test_an_entry_later_than_the_version_that_was_looked_at_is_a_hit():
    cache, numbers = vk.QueryCache(), Overtaken(dim=1, metric="dot")
    put(numbers, (9, 8, 7))
    asked(cache, numbers)
    numbers.behind = 1
    assert asked(cache, numbers) == HIT


# Threads


def test_every_answer_in_threads_is_of_one_state_and_counted_once():
    """Every row scores its own number, so that a patch from between two states shows."""
    cache = vk.QueryCache(capacity=3)
    numbers = vk.CpuCollection(dim=1, metric="dot")
    rows = np.arange(64, dtype=np.float32)[:, None]
    numbers.insert(range(64), rows)
    done = threading.Event()

    def write():
        step = 0
        while not done.is_set():
            gone = [(step * 7 + offset) % 64 for offset in range(5)]
            numbers.delete(gone)
            numbers.insert(gone[::-1], rows[gone[::-1]])
            step += 1

    def read():
        pairs = set()
        for number in range(400):
            pairs.update(cache.search(numbers, [1.0], 1 + number % 5))
        return pairs

    with ThreadPoolExecutor(5) as pool:
        writer = pool.submit(write)
        try:
            seen = [each.result() for each in [pool.submit(read) for _ in range(4)]]
        finally:
            done.set()
        writer.result()
    assert [pair for pair in set.union(*seen) if pair[0] != pair[1]] == []
    stats = cache.stats()
    assert stats.hits + stats.misses == 1_600
    assert stats.size == 3
    for k in range(1, 6):
        asked(cache, numbers, k)


def test_entries_are_touched_under_the_lock_only():
    """They are counted, ordered and dated together, and each touch asks the timer."""
    is_locked = []
    cache, _, numbers = numbered(
        max_age_s=10, timer=lambda: is_locked.append(cache._guard.is_owned) or 0.0
    )
    for use in (
        lambda: cache.search(numbers, QUERY),
        lambda: cache.search(numbers, QUERY),
        lambda: numbers.update_vector("r5", [1]) and cache.search(numbers, QUERY),
        cache.stats,
    ):
        is_locked.clear()
        use()
        assert set(is_locked) == {True}


# What is refused


@pytest.mark.parametrize(
    "options",
    [
        {"capacity": 0},
        {"capacity": -1},
        {"capacity": 2.0},
        {"capacity": True},
        {"capacity": None},
        {"max_age_s": 0},
        {"max_age_s": -1.0},
        {"max_age_s": float("nan")},
        {"max_age_s": float("inf")},
        {"max_age_s": 10**400},
        {"max_age_s": True},
        {"max_age_s": "10"},
        {"timer": 5},
    ],
    ids=str,
)
def test_a_cache_refuses_what_it_cannot_use(options):
    with pytest.raises(InvalidOption, match=next(iter(options))):
        vk.QueryCache(**options)


@pytest.mark.parametrize("cache", [1_000, False, {}, vk.QueryCache], ids=str)
def test_a_store_refuses_what_is_no_cache(cache):
    with pytest.raises(InvalidOption, match="QueryCache"):
        vk.VectorStore(cache=cache)


def test_a_search_that_is_refused_counts_and_keeps_nothing():
    cache, store, _ = numbered()
    for error, query, k, where in (
        (InvalidVector, [1, 2], 3, None),
        (InvalidK, QUERY, -1, None),
        (InvalidFilter, QUERY, 3, {"n": {"above": 3}}),
        (InvalidFilter, QUERY, 3, lambda columns: columns["absent"]),
    ):
        with pytest.raises(error):
            store.search("numbers", query, k, where=where)
    assert cache.stats() == ZERO


def test_options_of_a_cache_are_kept_as_given():
    cache = vk.QueryCache(np.int64(5), np.float32(0.5))
    assert (cache.capacity, cache.max_age_s) == (5, 0.5)
    assert (vk.QueryCache().capacity, vk.QueryCache().max_age_s) == (1_000, None)
