"""Truth is float64, and who ties with the k-th is as good as it."""

import numpy as np

from benchmarks import truth
from benchmarks.timing import drawn

ROWS = np.array([[1, 0], [0, 1], [0, 1], [0, 1], [0.5, 0]], np.float32)
QUERY = np.array([[0, 1]], np.float32)


def test_the_best_scores_are_those_of_a_full_sort():
    rows, queries = drawn(300, 8), drawn(70, 8, seed=3)
    full = -np.sort(-(queries.astype(np.float64) @ rows.astype(np.float64).T), axis=1)[:, :10]
    assert np.allclose(truth.best(rows, queries, 10), full, rtol=0, atol=1e-15)


def test_fewer_rows_than_asked_for_are_all_there_are():
    assert truth.best(ROWS, QUERY, 10).tolist() == [[1.0, 1.0, 1.0, 0.0, 0.0]]


def test_any_of_the_rows_that_tie_with_the_last_counts():
    best = truth.best(ROWS, QUERY, 2)
    for found in (["b", "c"], ["d", "b"], ["c", "d"]):
        assert truth.recall([found], "abcde", ROWS, QUERY, best) == 1.0
    assert truth.recall([["b", "a"]], "abcde", ROWS, QUERY, best) == 0.5


def test_the_same_id_twice_and_an_id_that_is_not_there_count_once_and_not_at_all():
    best = truth.best(ROWS, QUERY, 2)
    assert truth.recall([["b", "b"]], "abcde", ROWS, QUERY, best) == 0.5
    assert truth.recall([["b", "gone"]], "abcde", ROWS, QUERY, best) == 0.5
    assert truth.recall([[]], "abcde", ROWS, QUERY, best) == 0.0


def test_what_is_found_beyond_k_does_not_count():
    best = truth.best(ROWS, QUERY, 2)
    assert truth.recall([["a", "b", "c"]], "abcde", ROWS, QUERY, best) == 0.5
