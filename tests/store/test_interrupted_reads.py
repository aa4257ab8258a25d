"""An exception at any bytecode of a read: cached searches, loads, saves, audits and copies leave
right answers, counters that add up, and no lock held."""

import copy
import os
import pathlib
import pickle
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import vectorkit as vk
from tests.interrupts import AlarmRang, Interrupt, files_of, interrupted_at, points_of
from vectorkit.collections import audit, copies, files, readable
from vectorkit.collections import collection as facade
from vectorkit.collections.execution import guard
from vectorkit.store import cache as cache_module

CACHE = files_of(cache_module, guard)
COPIES = files_of(copies, facade, files, readable)
DISK = files_of(files)
AUDIT = files_of(audit, readable)
ROWS = np.array([[1, 0], [0, 2], [3, 1], [2, 2]], np.float32)
ERRORS = pytest.mark.parametrize("error", [Interrupt, AlarmRang])


def filled():
    collection = vk.CpuCollection(dim=2, metric="dot", name="words")
    collection.upsert(["a", "b", "c", "d"], ROWS, [{"n": number} for number in range(4)])
    return collection


def open_files():
    """How many descriptors this process has, where the system tells it."""
    listed = Path("/proc/self/fd")
    return len(os.listdir(listed)) if listed.exists() else 0


def answer(found):
    return found.ids, found.scores.tobytes(), found.metric


def facts(collection):
    assert not collection._guard.is_owned
    snapshot = collection.snapshot()
    assert snapshot.digest() == collection.digest()
    rows = snapshot.ids(), snapshot.vectors().tobytes(), snapshot.payloads()
    return rows, collection.version, answer(collection.search([1, 1], k=3))


def searched(stats):
    return stats.hits + stats.misses + stats.bypassed


SEARCHES = {
    "hit": (lambda _: None, {}),
    "patch": (lambda words: words.update_vector("d", [1, 1]), {}),
    "search after a change of the best": (lambda words: words.delete(["c"]), {}),
    "miss": (lambda _: None, {"where": {"n": 1}}),
    "eviction": (lambda _: None, {"where": {"n": 2}}),
    "bypassed": (lambda _: None, {"where": lambda columns: columns["n"] > 0}),
}


@pytest.mark.parametrize("name", SEARCHES)
def test_a_cached_search_that_is_interrupted_leaves_right_answers_and_counters(name):
    change, options = SEARCHES[name]
    capacity = 1 if name == "eviction" else 10

    def made():
        cache, words = vk.QueryCache(capacity), filled()
        cache.search(words, [1, 1], k=2)
        change(words)
        return cache, words

    def search(cache, words):
        return cache.search(words, [1, 1], k=2, **options)

    counted = set()
    for point in points_of(partial(search, *made()), CACHE)[::7]:
        cache, words = made()
        assert interrupted_at(point, partial(search, cache, words), CACHE), point
        assert not cache._guard.is_owned
        before = cache.stats()
        assert searched(before) in (1, 2), point
        assert before.patched <= before.hits
        assert before.size <= capacity
        counted.add(searched(before))
        fresh = answer(words.search([1, 1], k=2, **options))
        assert answer(search(cache, words)) == fresh, point
        assert answer(search(cache, words)) == fresh, point
        assert searched(cache.stats()) == searched(before) + 2, point
    assert counted == {1, 2}


def test_a_search_that_is_interrupted_twice_keeps_the_count_of_evictions():
    def made():
        cache, words = vk.QueryCache(1), filled()
        for number in range(4):
            cache.search(words, [1, number])
        cache._is_touched = True  # As an exception in the middle of a change leaves it.
        return cache

    assert made().stats().evicted == 3
    for point in points_of(made().stats, CACHE):
        cache = made()
        assert interrupted_at(point, cache.stats, CACHE), point
        assert cache.stats().evicted == 3, point


def test_a_clear_of_a_cache_that_is_interrupted_leaves_right_answers():
    words = filled()
    expected = answer(words.search([1, 1], k=2))

    def made():
        cache = vk.QueryCache()
        cache.search(words, [1, 1], k=2)
        return cache

    for point in points_of(made().clear, CACHE):
        cache = made()
        assert interrupted_at(point, cache.clear, CACHE), point
        assert cache.stats().size in (0, 1)
        assert answer(cache.search(words, [1, 1], k=2)) == expected


COPYING = {
    "copy": lambda words: words.copy(),
    "deepcopy": copy.deepcopy,
    "pickle": lambda words: pickle.loads(pickle.dumps(words)),
}


@ERRORS
@pytest.mark.parametrize("name", COPYING)
def test_a_copy_that_is_interrupted_changes_nothing(name, error):
    call, words = COPYING[name], filled()
    expected = facts(words)
    for point in points_of(partial(call, words), COPIES)[::5]:
        assert interrupted_at(point, partial(call, words), COPIES, error), point
        assert not words._guard.is_owned
    assert facts(words) == facts(call(words)) == expected
    words.update_vector("a", [9, 9])
    assert facts(words) != expected


def test_an_audit_that_is_interrupted_changes_nothing():
    words = filled()
    expected, table = facts(words), words.audit()
    for point in points_of(words.audit, AUDIT)[::9]:
        assert interrupted_at(point, words.audit, AUDIT), point
        assert not words._guard.is_owned
    assert facts(words) == expected
    assert words.audit().equals(table)


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_load_that_is_interrupted_leaves_the_file_and_no_descriptor(tmp_path):
    path, words = tmp_path / "words.vk", filled()
    words.save(path)
    data, expected = path.read_bytes(), facts(words)
    before = open_files()
    for point in points_of(partial(vk.load, path), DISK):
        assert interrupted_at(point, partial(vk.load, path), DISK), point
        assert open_files() == before, point
    assert path.read_bytes() == data
    assert facts(vk.load(path)) == expected


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_save_that_is_interrupted_leaves_the_old_file_or_the_new(tmp_path):
    old, new, path = filled(), filled(), tmp_path / "words.vk"
    new.update_vector("a", [9, 9])
    expected, seen = {"old": facts(old), "new": facts(new)}, set()
    new.save(path)
    before = open_files()
    for point in points_of(partial(new.save, path), DISK)[::2]:
        old.save(path)
        assert interrupted_at(point, partial(new.save, path), DISK), point
        found = facts(vk.load(path))
        seen |= (names := {name for name, each in expected.items() if each == found})
        assert names, point
        if names == {"old"}:  # Later only the last lines, which close it, can be broken off.
            assert open_files() == before, point
    assert seen == {"old", "new"}
    assert facts(new) == expected["new"]
    new.save(path)
    assert os.listdir(tmp_path) == ["words.vk"]


def test_a_save_that_is_interrupted_in_its_paths_closes_its_folder(tmp_path):
    path, words, paths = str(tmp_path / "words.vk"), filled(), files_of(pathlib)
    words.save(path)
    before = open_files()
    for point in points_of(partial(words.save, path), paths)[::2]:
        assert interrupted_at(point, partial(words.save, path), paths), point
        assert open_files() == before, point
    words.save(path)
    assert facts(vk.load(path)) == facts(words)
