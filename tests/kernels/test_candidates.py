"""Candidates: the best by approximate score among the rows in use, ties by lowest slot."""

import jax.numpy as jnp
import numpy as np
import pytest

from tests.collections.reference import METRICS
from vectorkit.kernels.candidates import pick_candidates

ROWS = np.array([[2, 0], [0, 3], [1, 0], [2, 0], [9, 9], [9, 9]], np.float32)
NORMS = np.linalg.norm(ROWS, axis=1)


def pick(metric, query, width, count=4):
    queries = np.array([query], np.float32)
    norms = np.linalg.norm(queries, axis=1)
    targets = queries / norms[:, None] if metric == "cosine" else queries
    arrays = map(jnp.asarray, (ROWS, NORMS, targets, norms, count))
    picked = pick_candidates(*arrays, metric, width)
    return [np.asarray(array) for array in picked]


@pytest.mark.parametrize("metric", METRICS)
def test_unused_slots_come_last_with_minus_infinity(metric):
    scores, slots, _, _ = pick(metric, [1, 0], width=6)
    assert slots[0, 4:].tolist() == [4, 5]
    assert scores[0, 4:].tolist() == [-np.inf, -np.inf]


@pytest.mark.parametrize(
    ("metric", "slots", "scores"),
    [
        ("dot", [0, 3, 2, 1], [4, 4, 2, 0]),
        ("cosine", [0, 2, 3, 1], [1, 1, 1, 0]),
        ("euclidean", [0, 3, 2, 1], [0, 0, -1, -13]),
    ],
)
def test_candidates_are_ordered_by_score_then_slot(metric, slots, scores):
    found = pick(metric, [2, 0], width=4)
    assert found[1].tolist() == [slots]
    assert found[0].tolist() == [scores]


def test_candidates_bring_their_rows_and_the_largest_norm_in_use():
    _, slots, rows, largest = pick("dot", [0, 1], width=2)
    assert rows[0].tolist() == ROWS[slots[0]].tolist()
    assert largest == 3.0


def test_an_empty_collection_has_only_unused_candidates():
    scores, _, _, largest = pick("dot", [1, 0], width=2, count=0)
    assert scores.tolist() == [[-np.inf, -np.inf]]
    assert largest == 0.0
