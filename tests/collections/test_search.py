"""The shape of answers: few rows, no rows, ties, and how often the device is asked."""

import numpy as np
import pytest

from tests.collections.reference import METRICS, filled, hard_rows, reference_search
from vectorkit.collections import BatchMatches, CpuCollection, Matches, search
from vectorkit.collections.backends import compiled

by_metric = pytest.mark.parametrize("metric", METRICS)
ROW = [1, 2, 3, 4]


@pytest.fixture
def widths(monkeypatch):
    """How many candidates each search program was asked for, in order."""
    asked, real = [], compiled.search

    def spy(*arrays, metric, width):
        asked.append(width)
        return real(*arrays, metric=metric, width=width)

    monkeypatch.setattr(compiled, "search", spy)
    return asked


@pytest.fixture
def direct(monkeypatch):
    """One entry for each query that was answered by scoring all rows: how many rows."""
    scored, real = [], search._score_all

    def spy(rows, query, metric):
        scored.append(len(rows))
        return real(rows, query, metric)

    monkeypatch.setattr(search, "_score_all", spy)
    return scored


@by_metric
@pytest.mark.parametrize("k", [0, 1, 10, 10_000])
def test_an_empty_collection_has_no_matches(metric, k):
    collection = CpuCollection(dim=4, metric=metric)
    found = collection.search(ROW, k)
    assert (found.ids, found.scores.tolist(), len(found)) == ((), [], 0)
    many = collection.search_many([ROW, ROW], k)
    assert many.counts.tolist() == [0, 0]
    assert many.ids.tolist() == [[None] * k] * 2
    assert many.scores.tolist() == [[-np.inf] * k] * 2


@by_metric
def test_k_of_zero_gives_no_matches(metric):
    collection = filled(CpuCollection, metric=metric)
    assert list(collection.search(ROW, k=0)) == []
    many = collection.search_many([ROW] * 3, k=0)
    assert (many.ids.shape, many.scores.shape, many.counts.tolist()) == ((3, 0), (3, 0), [0, 0, 0])


@by_metric
def test_one_row_is_found_whatever_the_query(metric):
    collection = filled(CpuCollection, count=1, metric=metric)
    for query in (ROW, [0, 0, 0, 0], [-1, -2, -3, -4]):
        assert collection.search(query, k=3).ids == ("0",)


@by_metric
@pytest.mark.parametrize("count", [1, 5, 8, 9, 40])
def test_more_neighbours_than_rows_gives_all_rows_in_order(metric, count):
    collection = filled(CpuCollection, count=count, metric=metric)
    rows, query = hard_rows("common", 0, count, 4), np.array(ROW, np.float32)
    best = reference_search(rows, query, count, metric)
    assert list(collection.search(query, k=100)) == [(str(slot), score) for slot, score in best]
    many = collection.search_many([query], k=100)
    assert many.counts.tolist() == [count]
    assert many.ids[0, count:].tolist() == [None] * (100 - count)
    assert many.scores[0, count:].tolist() == [-np.inf] * (100 - count)


@by_metric
@pytest.mark.parametrize("count", [5, 40, 300])
def test_ties_go_to_the_lowest_slot(metric, count):
    collection = CpuCollection(dim=4, metric=metric)
    collection.insert(range(count), [ROW] * count)
    assert collection.search(ROW, k=5).ids == (0, 1, 2, 3, 4)
    collection.delete([0, 2])
    assert collection.search(ROW, k=3).ids == tuple(collection.ids()[:3])


def test_no_queries_give_an_empty_batch():
    collection = filled(CpuCollection)
    for none in ([], np.empty((0, 4))):
        many = collection.search_many(none, k=3)
        assert (len(many), many.ids.shape, list(many)) == (0, (0, 3), [])


def test_a_zero_vector_scores_zero_with_everything_under_cosine():
    collection = CpuCollection(dim=2, metric="cosine")
    collection.insert(["zero", "tiny", "east", "west"], [[0, 0], [1e-31, 0], [2, 0], [-3, 0]])
    assert list(collection.search([5, 0], k=4)) == [
        ("east", 1.0),
        ("zero", 0.0),
        ("tiny", 0.0),
        ("west", -1.0),
    ]
    assert collection.search([0, 0], k=4).scores.tolist() == [0.0] * 4
    assert collection.search([0, 0], k=4).ids == ("zero", "tiny", "east", "west")


def test_the_type_of_an_answer_does_not_depend_on_the_rank_of_the_query():
    collection = filled(CpuCollection)
    assert type(collection.search(ROW)) is Matches
    assert type(collection.search_many([ROW])) is BatchMatches


def test_answers_of_different_calls_share_no_memory():
    collection = filled(CpuCollection)
    first = collection.search_many([ROW], k=3)
    expected = list(first[0])
    first.scores[:] = 7
    first.ids[:] = "x"
    assert list(collection.search(ROW, k=3)) == expected


@by_metric
def test_an_ordinary_query_needs_a_single_pass(metric, widths, direct):
    collection = filled(CpuCollection, count=1000, metric=metric)
    collection.search_many(hard_rows("common", 5, 20, 4), k=10)
    assert (widths, direct) == ([16], [])


@by_metric
def test_ties_beyond_the_candidates_widen_the_search_and_end_in_the_formula(metric, widths, direct):
    collection = CpuCollection(dim=4, metric=metric)
    collection.insert(range(1000), [ROW] * 1000)
    assert collection.search(ROW, k=10).ids == tuple(range(10))
    assert (widths, direct) == ([16, 64, 256], [1000])


@by_metric
def test_twenty_ties_are_proven_by_one_widening(metric, widths, direct):
    collection = filled(CpuCollection, count=1000, metric=metric)
    best = np.full(4, 2.0, np.float32)
    far = -best if metric != "euclidean" else best * 100
    collection.update_vectors(collection.ids(), [far] * 1000)
    collection.update_vectors([str(number) for number in range(900, 920)], [best] * 20)
    assert collection.search(best, k=10).ids == tuple(str(number) for number in range(900, 910))
    assert (widths, direct) == ([16, 64], [])


def test_only_the_queries_without_proof_are_asked_again(widths, direct):
    collection = CpuCollection(dim=2, metric="dot")
    rows = hard_rows("common", 1, 1000, 2)
    rows[:400] = 9
    collection.insert(range(1000), rows)
    queries = np.array([[1, 1], [-1, -1]], np.float32)
    found = collection.search_many(queries, k=3)
    assert (widths, direct) == ([16, 64, 256], [1000])
    for query, matches in zip(queries, found, strict=True):
        assert list(matches) == reference_search(rows, query, 3, "dot")


def test_near_duplicates_around_a_large_offset_reach_the_formula(direct):
    rows = hard_rows("near duplicates", 2, 500, 8)
    collection = CpuCollection(dim=8, metric="euclidean")
    collection.insert(range(500), rows)
    assert list(collection.search(rows[77], k=10)) == reference_search(
        rows, rows[77], 10, "euclidean"
    )
    assert direct == [500]


def test_all_rows_are_scored_in_blocks_that_join(monkeypatch):
    monkeypatch.setattr(search, "_BLOCK_ROWS", 7)
    collection = CpuCollection(dim=4, metric="dot")
    collection.insert(range(300), [ROW] * 299 + [[2, 2, 3, 4]])
    assert collection.search(ROW, k=2).ids == (299, 0)
