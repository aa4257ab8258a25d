"""A search of many queries goes to the device in several calls, and answers as one would."""

import numpy as np
import pytest

from tests.collections.kinds import EXACT, KINDS
from tests.collections.reference import everything, filled, hard_rows
from vectorkit.collections import CpuCollection, QuantizedCollection
from vectorkit.collections import search as searching
from vectorkit.collections.backends.base import SELECTION_PRODUCTS
from vectorkit.collections.backends.compiled import trace_counts
from vectorkit.collections.backends.state import padded_size

ASKED = hard_rows("common", 5, 25, 4)
"""Queries in pieces of 8: three whole ones and one alone."""


FILTERS = [{"n": {"gte": 7}}, lambda columns: columns["n"] != 3]


def take(collection, query_count):
    """Let one call of the device answer that many queries, and note how many each is given."""
    backend, sizes = collection._backend, []
    products = padded_size(len(collection)) * (collection.dim + SELECTION_PRODUCTS)
    backend.products_at_once = products * query_count
    prepare = type(backend).prepare

    def noted(queries):
        sizes.append(len(queries))
        return prepare(backend, queries)

    backend.prepare = noted
    return sizes


def between(collection, number, action):
    """Call `action` once the device has answered that many pieces, before it gets the next."""
    backend = collection._backend
    prepare, begun = backend.prepare, []

    def noted(queries):
        if len(begun) == number:
            action()
        begun.append(len(queries))
        return prepare(queries)

    backend.prepare = noted


def bits(found):
    return found.ids.tolist(), found.scores.tobytes(), found.counts.tolist()


@pytest.mark.parametrize(
    ("kind", "where"),
    [(kind, None) for kind in KINDS]
    + [(kind, where) for kind in ("cpu", "int8, rows device") for where in FILTERS],
)
def test_every_kind_answers_in_pieces_as_in_one_call(kind, where):
    collection = filled(KINDS[kind])
    whole = bits(collection.search_many(ASKED, k=10, where=where))
    sizes = take(collection, 8)
    assert bits(collection.search_many(ASKED, k=10, where=where)) == whole
    assert sizes == [8, 8, 8, 1]


@pytest.mark.parametrize(
    ("query_count", "sizes"),
    [(0, [8, 8, 8, 1]), (7, [8, 8, 8, 1]), (15, [8, 8, 8, 1]), (16, [16, 9]), (32, [25])],
)
def test_a_piece_is_a_power_of_two_that_the_device_answers_in_time_and_at_least_eight(
    query_count, sizes
):
    collection = filled(CpuCollection)
    taken = take(collection, query_count)
    collection.search_many(ASKED)
    assert taken == sizes


def test_a_larger_collection_gets_smaller_pieces():
    collection = filled(CpuCollection)
    sizes = take(collection, 16)
    names = [f"new {number}" for number in range(40)]
    collection.upsert(names, hard_rows("common", 9, 40, 4))
    collection.search_many(ASKED)
    assert sizes == [8, 8, 8, 1]


@pytest.mark.parametrize("kind", EXACT)
def test_queries_that_need_more_candidates_are_asked_in_pieces_too(kind):
    rows = hard_rows("near duplicates", 3, 200, 4)
    collection = KINDS[kind](dim=4, metric="cosine")
    collection.insert(range(200), rows)
    whole_sizes = take(collection, 1024)
    whole = bits(collection.search_many(rows[:40], k=3))
    assert len(whole_sizes) > 1
    sizes = take(collection, 8)
    assert bits(collection.search_many(rows[:40], k=3)) == whole
    assert sum(sizes) == sum(whole_sizes)
    assert max(sizes) == 8


def test_whether_a_filter_leaves_few_rows_is_asked_of_all_queries_together(monkeypatch):
    collection = filled(QuantizedCollection)
    monkeypatch.setattr(searching, "GATHERED_NUMBERS_MAX", 5 * 8 * 4)
    searched, search = [], collection._backend.search

    def noted(*arguments):
        searched.append(arguments)
        return search(*arguments)

    monkeypatch.setattr(collection._backend, "search", noted)
    take(collection, 8)
    collection.search_many(ASKED, where={"n": {"lt": 5}})
    assert len(searched) == 4


@pytest.mark.parametrize("kind", KINDS)
def test_all_pieces_answer_from_the_state_that_the_first_has_seen(kind):
    collection = filled(KINDS[kind])
    whole = bits(collection.search_many(ASKED, k=10))
    sizes = take(collection, 8)
    between(collection, 2, lambda: collection.upsert(["1", "new"], np.full((2, 4), 9.0)))
    assert bits(collection.search_many(ASKED, k=10)) == whole
    assert sizes == [8, 8, 8, 1]
    assert "new" in collection
    assert bits(collection.search_many(ASKED, k=10)) != whole


def test_a_filter_is_called_once_for_all_pieces():
    collection, called = filled(CpuCollection), []
    take(collection, 8)

    def where(columns):
        called.append(len(columns["n"]))
        return columns["n"] >= 7

    collection.search_many(ASKED, where=where)
    assert called == [40]


@pytest.mark.parametrize(
    ("kind", "number"), [(kind, 2) for kind in KINDS] + [("cpu", 1), ("cpu", 3)]
)
def test_an_interrupt_between_two_pieces_is_seen_there_and_changes_nothing(kind, number):
    collection = filled(KINDS[kind])
    before, whole = everything(collection), bits(collection.search_many(ASKED))
    sizes = take(collection, 8)

    def interrupt():
        raise KeyboardInterrupt

    between(collection, number, interrupt)
    with pytest.raises(KeyboardInterrupt):
        collection.search_many(ASKED)
    assert sizes == [8] * number
    assert not collection._guard.is_owned
    assert not any(pinned.is_held for pinned in collection._storage._pinned)
    take(collection, 8)
    assert bits(collection.search_many(ASKED)) == whole
    assert everything(collection) == before
    collection.upsert(["new"], np.ones((1, 4)))
    assert collection.digest() == collection.snapshot().digest()


def test_pieces_need_no_program_of_another_size():
    collection = filled(CpuCollection, dim=19)
    queries = hard_rows("common", 5, 32, 19)
    take(collection, 8)
    traced = []
    for count in (8, 16, 24, 32, 31):
        before = trace_counts.copy()
        collection.search_many(queries[:count])
        traced.append(dict(trace_counts - before))
    assert traced == [{"search": 1}, {}, {}, {}, {}]
