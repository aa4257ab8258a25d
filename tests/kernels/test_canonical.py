"""The one way to score, and the bound that proves a search exact."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.collections.reference import (
    HARD_ROWS,
    METRICS,
    hard_rows,
    reference_score,
)
from vectorkit.kernels.canonical import (
    NORM_MAX,
    ZERO_NORM,
    ScaledQueries,
    best_possible_outside,
    canonical_norms,
    canonical_scores,
    flushed,
    relative_error,
    scaled_queries,
    stored_norms,
)

kinds = st.sampled_from(sorted(HARD_ROWS))
seeds = st.integers(0, 2**32 - 1)
by_metric = pytest.mark.parametrize("metric", METRICS)


@by_metric
@given(kind=kinds, seed=seeds, dim=st.sampled_from([1, 2, 9, 64]))
def test_canonical_scores_equal_the_float64_reference(metric, kind, seed, dim):
    rows, query = hard_rows(kind, seed, 8, dim), hard_rows(kind, seed + 1, 1, dim)[0]
    expected = [reference_score(row, query, metric) for row in rows]
    assert canonical_scores(rows, query, metric).tolist() == expected


@by_metric
@given(kind=kinds, seed=seeds, dim=st.sampled_from([1, 2, 9]))
def test_canonical_scores_do_not_depend_on_the_batch(metric, kind, seed, dim):
    rows, queries = hard_rows(kind, seed, 8, dim), hard_rows(kind, seed + 1, 5, dim)
    together = canonical_scores(np.stack([rows] * 5), queries, metric)
    alone = [canonical_scores(rows, query, metric) for query in queries]
    shared = canonical_scores(rows[None], queries, metric)
    assert together.tobytes() == b"".join(scores.tobytes() for scores in alone)
    assert shared.tobytes() == together.tobytes()


@by_metric
def test_nothing_is_outside_where_a_place_stayed_empty(metric):
    last = np.full(2, -np.inf, np.float32)
    queries = scaled_queries(np.array([[0, 0], [3, 0]], np.float32), metric)
    bound = best_possible_outside(last, queries, metric)
    assert (bound == -np.inf).all()


def test_the_bound_puts_the_terms_of_the_query_back():
    last = np.array([0.5], np.float32)
    targets, quarter, lengths = np.zeros((1, 8), np.float32), np.array([0.25]), np.array([4.0])
    queries = ScaledQueries(targets, quarter.astype(np.float32), lengths)
    assert best_possible_outside(last, queries, "cosine").tolist() == [0.5]
    assert best_possible_outside(last, queries, "dot").tolist() == [2.0]
    distance = -best_possible_outside(last, queries, "euclidean")[0]
    assert distance == np.float32(np.sqrt(12.0 - 16.0 * relative_error(8) - 8.0 * flushed(8)))


@pytest.mark.parametrize("kind", sorted(HARD_ROWS))
def test_stored_norms_are_finite_when_squared(kind):
    norms = stored_norms(hard_rows(kind, 0, 200, 3))
    assert np.isfinite(np.square(norms)).all()


@pytest.mark.parametrize("dim", [1, 3, 128, 1536])
@pytest.mark.parametrize("kind", sorted(HARD_ROWS))
def test_stored_norms_err_by_no_more_than_they_say(kind, dim):
    rows = hard_rows(kind, 0, 200, dim)
    exact = np.minimum(canonical_norms(rows), NORM_MAX)
    assert (np.abs(stored_norms(rows) - exact) <= exact * (dim + 4) * 2.0**-25).all()


def test_a_norm_that_rounds_beyond_the_limit_counts_as_the_limit():
    edge = np.array([[np.nextafter(np.float32(2.0**64), np.float32(0)), 1.1 * 2.0**52]], np.float32)
    assert stored_norms(edge).tolist() == [NORM_MAX]


def test_a_norm_below_the_smallest_is_zero():
    rows = np.array([[2 * ZERO_NORM], [ZERO_NORM / 2], [0.0]], np.float32)
    assert [norm > 0 for norm in stored_norms(rows).tolist()] == [True, False, False]


def test_norms_of_many_rows_are_made_in_blocks():
    rows = np.ones(((1 << 16) + 1, 4), np.float32)
    assert (stored_norms(rows) == 2.0).all()


def test_queries_of_dot_and_cosine_have_length_one_and_a_zero_vector_stays_zero():
    queries = np.array([[3, 4], [0, 0]], np.float32)
    for metric in ("dot", "cosine"):
        targets, _, lengths = scaled_queries(queries, metric)
        assert targets.tolist() == [[np.float32(0.6), np.float32(0.8)], [0.0, 0.0]]
        assert lengths.tolist() == [5.0, 0.0]


def test_a_tiny_query_is_a_zero_vector_under_cosine_only():
    queries = np.array([[1e-40, 0]], np.float32)
    assert scaled_queries(queries, "cosine")[0].tolist() == [[0, 0]]
    assert scaled_queries(queries, "dot")[0].tolist() == [[1, 0]]


@given(kind=kinds, seed=seeds)
def test_euclidean_queries_are_scaled_without_a_change_of_bits(kind, seed):
    queries = hard_rows(kind, seed, 8, 3)
    targets, scales, _ = scaled_queries(queries, "euclidean")
    assert (np.linalg.norm(targets.astype(np.float64), axis=1) <= 1).all()
    assert (scales <= 1).all()
    large = np.abs(targets) > 1e-37
    assert (targets.astype(np.float64) / scales[:, None] == queries)[large].all()


def test_scores_of_a_zero_vector_under_cosine_are_zero():
    rows = np.array([[0, 0], [1e-31, 0], [1, 0]], np.float32)
    assert canonical_scores(rows, np.array([2, 0], np.float32), "cosine").tolist() == [0, 0, 1]
