"""Every answer equals the float64 reference, by every path, on rows made to mislead."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.collections.reference import (
    HARD_ROWS,
    METRICS,
    hard_rows,
    reference_score,
    reference_search,
)
from vectorkit.collections import CpuCollection
from vectorkit.collections import search as searching
from vectorkit.collections.backends import compiled
from vectorkit.collections.search import find_best

kinds = st.sampled_from(sorted(HARD_ROWS))
seeds = st.integers(0, 2**32 - 1)
by_metric = pytest.mark.parametrize("metric", METRICS)


def make_collection(rows, metric):
    collection = CpuCollection(dim=rows.shape[1], metric=metric)
    collection.insert(range(len(rows)), rows)
    return collection


def assert_exact(reader, rows, queries, k):
    batch = reader.search_many(queries, k)
    for query, matches in zip(queries, batch, strict=True):
        assert list(matches) == reference_search(rows, query, k, reader.metric)


@by_metric
@given(
    kind=kinds,
    asked=kinds,
    seed=seeds,
    count=st.sampled_from([1, 3, 8, 40, 70]),
    dim=st.sampled_from([1, 2, 9]),
    k=st.sampled_from([0, 1, 2, 10, 100]),
)
def test_search_equals_the_float64_reference(metric, kind, asked, seed, count, dim, k):
    rows = hard_rows(kind, seed, count, dim)
    queries = np.concatenate([hard_rows(asked, seed + 1, 3, dim), rows[:3], -rows[:2]])
    assert_exact(make_collection(rows, metric), rows, queries, k)


@by_metric
@settings(max_examples=25)
@given(kind=kinds, seed=seeds, batch=st.integers(1, 40), k=st.sampled_from([1, 10]))
def test_search_and_search_many_give_equal_bits(metric, kind, seed, batch, k):
    rows = hard_rows(kind, seed, 40, 5)
    queries = hard_rows(kind, seed + 1, batch, 5)
    collection = make_collection(rows, metric)
    together = collection.search_many(queries, k)
    for query, matches in zip(queries, together, strict=True):
        alone = collection.search(query, k)
        assert alone.ids == matches.ids
        assert alone.scores.tobytes() == matches.scores.tobytes()


@by_metric
@given(kind=kinds, seed=seeds)
def test_answers_stay_exact_while_the_capacity_doubles(metric, kind, seed):
    rows = hard_rows(kind, seed, 70, 3)
    queries = hard_rows(kind, seed + 1, 2, 3)
    collection = CpuCollection(dim=3, metric=metric)
    for start, stop in [(0, 7), (7, 8), (8, 9), (9, 33), (33, 70)]:
        collection.insert(range(start, stop), rows[start:stop])
        assert_exact(collection, rows[:stop], queries, k=5)


@by_metric
@given(kind=kinds, seed=seeds)
def test_answers_stay_exact_while_most_rows_go(metric, kind, seed):
    rows = hard_rows(kind, seed, 70, 3)
    collection = make_collection(rows, metric)
    collection.delete(range(10, 69))
    kept = rows[collection.ids()]
    best = reference_search(kept, rows[0], 5, metric)
    assert list(collection.search(rows[0], 5)) == [
        (collection.ids()[slot], score) for slot, score in best
    ]


@by_metric
@given(kind=kinds, seed=seeds)
def test_a_snapshot_and_an_updated_collection_are_exact(metric, kind, seed):
    rows, others = hard_rows(kind, seed, 40, 3), hard_rows(kind, seed + 1, 40, 3)
    collection = make_collection(rows, metric)
    before = collection.snapshot()
    collection.update_vectors(range(20), others[:20])
    for number in range(20, 40):
        collection.update_vector(number, others[number])
    assert_exact(before, rows, others[:3], k=4)
    assert_exact(collection, others, rows[:3], k=4)


def test_euclidean_ranks_rows_whose_squared_distance_overflows_float32():
    rows = np.zeros((100, 4), np.float32)
    rows[:, 0] = -np.linspace(1.6e19, 1.5e19, 100)
    query = np.array([1.5e19, 0, 0, 0], np.float32)
    assert_exact(make_collection(rows, "euclidean"), rows, query[None, :], k=3)


def test_euclidean_finds_a_row_whose_rounded_norm_squares_to_infinity():
    edge = np.array([np.nextafter(np.float32(2.0**64), np.float32(0)), 1.1 * 2.0**52], np.float32)
    rows = np.array([-0.3 * edge] * 40 + [edge], np.float32)
    assert np.float32(np.linalg.norm(edge.astype(np.float64))) == 2.0**64
    assert_exact(make_collection(rows, "euclidean"), rows, (0.4 * edge)[None, :], k=1)


@by_metric
def test_a_row_at_the_limit_survives_among_unused_slots(metric):
    edge = np.array([np.nextafter(np.float32(2.0**64), np.float32(0)), 1.1 * 2.0**52], np.float32)
    rows = np.concatenate([hard_rows("common", 1, 39, 2), edge[None, :]])
    collection = make_collection(rows, metric)
    collection.delete(range(3, 39))
    found = collection.search(edge, k=10)
    assert sorted(found.ids) == [0, 1, 2, 39]


@by_metric
def test_many_dimensions_score_as_the_reference(metric):
    rows = hard_rows("common", 3, 30, 300)
    assert_exact(make_collection(rows, metric), rows, rows[:3] + np.float32(0.5), k=10)


@by_metric
@given(kind=kinds, seed=seeds)
def test_scores_never_are_negative_zero(metric, kind, seed):
    rows = hard_rows(kind, seed, 20, 2)
    scores = make_collection(rows, metric).search_many(rows, k=20).scores
    assert not np.signbit(scores[scores == 0]).any()


def test_rows_that_differ_by_one_bit_are_told_apart():
    far = np.float32(1e6)
    rows = np.array([[np.nextafter(far, np.float32(np.inf))], [far]], np.float32)
    found = make_collection(rows, "euclidean").search([far], k=2)
    assert list(found) == [(1, 0.0), (0, -0.0625)]


def test_the_reference_scores_by_hand():
    row, query = np.array([3.0, 4.0], np.float32), np.array([0.0, 2.0], np.float32)
    scores = [float(reference_score(row, query, metric)) for metric in METRICS]
    assert scores == [8.0, float(np.float32(0.8)), -float(np.float32(np.sqrt(13.0)))]


@by_metric
@settings(max_examples=25)
@given(
    kind=kinds,
    seed=seeds,
    chance=st.sampled_from([0.0, 0.1, 0.9, 1.0]),
    numbers=st.sampled_from([-1, 1 << 18]),
    k=st.sampled_from([0, 1, 10, 100]),
)
def test_a_filtered_search_equals_the_reference_over_the_rows_that_match(
    metric, kind, seed, chance, numbers, k
):
    rows = hard_rows(kind, seed, 70, 3)
    mask = np.random.default_rng(seed).random(70) < chance
    kept = np.flatnonzero(mask)
    collection = make_collection(rows, metric)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(searching, "GATHERED_NUMBERS_MAX", numbers)
        batch = find_best(collection, rows[:3], k, metric, lambda view: mask).matches
    for query, matches in zip(rows[:3], batch, strict=True):
        best = reference_search(rows[kept], query, k, metric)
        assert list(matches) == [(int(kept[slot]), score) for slot, score in best]


def test_a_filter_is_asked_again_of_the_state_that_is_searched_again():
    collection = make_collection(np.ones((2000, 4), np.float32), "dot")
    versions = []

    def select(view):
        versions.append(view.version)
        if len(versions) == 1:
            marked = np.ones(view.count, np.bool_)
            marked[0] = False
            return marked
        return np.arange(view.count) >= 7

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(searching, "GATHERED_NUMBERS_MAX", -1)
        found = find_best(collection, np.ones((1, 4), np.float32), 3, "dot", select).matches
    assert found.ids.tolist() == [[7, 8, 9]]
    assert versions == [1, 1, 1, 1]


def test_a_filter_that_leaves_few_rows_scans_nothing():
    rows = hard_rows("common", 1, 300, 4)
    collection = make_collection(rows, "dot")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "search", None)
        found = find_best(
            collection, rows[:1], 3, "dot", lambda view: np.arange(view.count) < 5
        ).matches
    assert list(found[0]) == reference_search(rows[:5], rows[0], 3, "dot")


@by_metric
def test_more_queries_than_one_call_takes_are_answered_in_turn(metric, monkeypatch):
    rows = hard_rows("whole numbers", 1, 100, 3)
    collection = make_collection(rows, metric)
    together = collection.search_many(rows, k=10)
    monkeypatch.setattr(searching, "QUERIES_MAX", 16)
    in_turn = collection.search_many(rows, k=10)
    assert in_turn.ids.tolist() == together.ids.tolist()
    assert in_turn.scores.tobytes() == together.scores.tobytes()


@by_metric
def test_one_outlier_leaves_every_other_answer_proven_at_once(metric, monkeypatch):
    rows = hard_rows("common", 1, 3000, 16)
    rows[100] *= 1e18
    collection = make_collection(rows, metric)
    monkeypatch.setattr(searching, "WIDENINGS", 0)
    monkeypatch.setattr(searching, "_score_all", None)
    assert_exact(collection, rows, hard_rows("common", 2, 3, 16), k=10)


@by_metric
@pytest.mark.parametrize("count", [8192, 9000, 20_000])
def test_answers_from_several_tiles_are_exact(metric, count):
    rows = hard_rows("common", 1, count, 5)
    rows[-3:] = rows[:3]
    queries = rows[-3:] + np.float32(0.001)
    collection = make_collection(rows, metric)
    truth = searching.canonical_scores(rows[None], queries, metric)
    best = np.argsort(-truth, axis=1, kind="stable")[:, :10]
    for found in (collection.search_many(queries), [collection.search(query) for query in queries]):
        assert [list(matches.ids) for matches in found] == best.tolist()
