"""The one way to score, and the bound that proves a search exact."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.collections.reference import (
    HARD_ROWS,
    METRICS,
    hard_rows,
    reference_score,
)
from vectorkit.kernels.candidates import approximate_scores
from vectorkit.kernels.canonical import (
    NORM_MAX,
    ZERO_NORM,
    best_possible_outside,
    canonical_norms,
    canonical_scores,
    stored_norms,
    unit_queries,
)

kinds = st.sampled_from(sorted(HARD_ROWS))
seeds = st.integers(0, 2**32 - 1)
by_metric = pytest.mark.parametrize("metric", METRICS)


def approximate(rows, queries, metric):
    """Float32 scores as a search computes them: (queries, rows)."""
    norms = canonical_norms(queries)
    targets = unit_queries(queries, norms) if metric == "cosine" else queries
    query_norms = np.minimum(norms, NORM_MAX).astype(np.float32)
    arrays = map(jnp.asarray, (rows, stored_norms(rows), targets, query_norms))
    return np.asarray(approximate_scores(*arrays, metric))


@by_metric
@given(kind=kinds, seed=seeds, dim=st.sampled_from([1, 2, 9, 64]))
def test_c2_canonical_scores_equal_the_float64_reference(metric, kind, seed, dim):
    rows, query = hard_rows(kind, seed, 8, dim), hard_rows(kind, seed + 1, 1, dim)[0]
    expected = [reference_score(row, query, metric) for row in rows]
    assert canonical_scores(rows, query, metric).tolist() == expected


@by_metric
@given(kind=kinds, seed=seeds, dim=st.sampled_from([1, 2, 9]))
def test_canonical_scores_do_not_depend_on_the_batch(metric, kind, seed, dim):
    rows, queries = hard_rows(kind, seed, 8, dim), hard_rows(kind, seed + 1, 5, dim)
    together = canonical_scores(np.stack([rows] * 5), queries, metric)
    alone = [canonical_scores(rows, query, metric) for query in queries]
    assert together.tobytes() == b"".join(scores.tobytes() for scores in alone)


@by_metric
@settings(max_examples=200)
@given(kind=kinds, asked=kinds, seed=seeds, dim=st.sampled_from([1, 2, 9, 64]))
def test_no_row_outside_of_the_candidates_beats_the_bound(metric, kind, asked, seed, dim):
    rows = np.concatenate([hard_rows(kind, seed, 16, dim), hard_rows(asked, seed + 1, 16, dim)])
    queries = np.concatenate([hard_rows(asked, seed + 2, 14, dim), rows[:1], -rows[1:2]])
    guesses = approximate(rows, queries, metric)
    largest, norms = float(stored_norms(rows).max()), canonical_norms(queries)
    truth = canonical_scores(np.stack([rows] * len(queries)), queries, metric)
    for slot in range(len(rows)):
        bound = best_possible_outside(guesses[:, slot], norms, largest, dim, metric)
        assert (bound >= truth[:, slot]).all()


@by_metric
def test_the_bound_is_infinite_where_a_term_may_overflow_but_not_under_cosine(metric):
    last, norms = np.array([-np.inf, 0.0], np.float32), np.array([1.8e19, 1.8e19])
    bound = best_possible_outside(last, norms, 1.8e19, 4, metric)
    assert (bound == np.inf).all() == (metric != "cosine")


@by_metric
def test_the_bound_is_close_to_the_last_candidate_of_common_rows(metric):
    bound = best_possible_outside(np.array([-4.0], np.float32), np.ones(1), 1.0, 128, metric)
    last = -2.0 if metric == "euclidean" else -4.0
    assert last < bound[0] < last + 2e-4


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


def test_unit_queries_have_length_one_and_a_zero_vector_stays_zero():
    queries = np.array([[3, 4], [0, 0]], np.float32)
    assert unit_queries(queries, canonical_norms(queries)).tolist() == [
        [np.float32(0.6), np.float32(0.8)],
        [0.0, 0.0],
    ]


def test_scores_of_a_zero_vector_under_cosine_are_zero():
    rows = np.array([[0, 0], [1e-31, 0], [1, 0]], np.float32)
    assert canonical_scores(rows, np.array([2, 0], np.float32), "cosine").tolist() == [0, 0, 1]
