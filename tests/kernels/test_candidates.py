"""Candidates: the rows of largest upper bound among those in use, and bounds that hold."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.collections.reference import HARD_ROWS, METRICS, hard_rows
from vectorkit.kernels.candidates import pick_candidates, upper_bounds
from vectorkit.kernels.canonical import (
    best_possible_outside,
    canonical_scores,
    scaled_queries,
    stored_norms,
)

kinds = st.sampled_from(sorted(HARD_ROWS))
seeds = st.integers(0, 2**32 - 1)
by_metric = pytest.mark.parametrize("metric", METRICS)

ROWS = np.array([[2, 0], [0, 3], [1, 0], [2, 0], [9, 9], [9, 9], [8, 8], [7, 7]], np.float32)


def pick(metric, query, width, count=4, mask=None):
    targets, scales, _ = scaled_queries(np.array([query], np.float32), metric)
    chunk = tuple(map(jnp.asarray, (ROWS, stored_norms(ROWS))))
    arrays = map(jnp.asarray, (targets, scales, count))
    mask = None if mask is None else jnp.asarray(mask)
    return [np.asarray(array) for array in pick_candidates((chunk,), *arrays, mask, metric, width)]


def outside(rows, queries, metric):
    """What `best_possible_outside` says were each of the rows the last candidate: (queries, rows).

    For one query at a time and for all of them: those are different products.
    """
    scaled = scaled_queries(queries, metric)
    targets, scales, _ = scaled
    norms = stored_norms(rows)
    alone = [
        upper_bounds(*map(jnp.asarray, (rows, norms, target[None], scale[None])), metric)
        for target, scale in zip(targets, scales, strict=True)
    ]
    together = upper_bounds(*map(jnp.asarray, (rows, norms, targets, scales)), metric)
    for bounds in (np.concatenate(alone, axis=1), np.asarray(together)):
        assert np.isfinite(bounds).all()
        yield np.stack(
            [best_possible_outside(row, scaled, metric) for row in bounds],
            axis=1,
        )


@by_metric
@settings(max_examples=200)
@given(kind=kinds, asked=kinds, seed=seeds, dim=st.sampled_from([1, 2, 9, 64, 1536]))
def test_no_canonical_score_lies_above_its_bound(metric, kind, asked, seed, dim):
    rows = np.concatenate([hard_rows(kind, seed, 16, dim), hard_rows(asked, seed + 1, 16, dim)])
    queries = np.concatenate([hard_rows(asked, seed + 2, 5, dim), rows[:1], -rows[1:2]])
    truth = canonical_scores(rows[None], queries, metric)
    for bounds in outside(rows, queries, metric):
        assert (bounds >= truth).all()


@by_metric
def test_bounds_of_common_rows_are_close_and_an_outlier_does_not_loosen_them(metric):
    rows, queries = hard_rows("common", 1, 20, 128), hard_rows("common", 2, 5, 128)
    rows[7] *= 1e17
    common = np.arange(20) != 7
    truth = canonical_scores(rows[None], queries, metric)
    scale = 1.0 if metric == "cosine" else 128.0
    for bounds in outside(rows, queries, metric):
        assert (bounds - truth)[:, common].max() < 2e-5 * scale


@by_metric
def test_places_that_no_row_fills_come_last(metric):
    bounds, slots, rows = pick(metric, [1, 0], width=6)
    assert sorted(slots[0, :4].tolist()) == [0, 1, 2, 3]
    assert bounds[0, 4:].tolist() == [-np.inf, -np.inf]
    assert (slots[0, 4:] >= 4).all()
    assert rows.shape == (1, 6, 2)


@pytest.mark.parametrize(
    ("metric", "slots"),
    [("dot", [0, 3, 2, 1]), ("cosine", [0, 2, 3, 1]), ("euclidean", [0, 3, 2, 1])],
)
def test_candidates_are_ordered_by_bound_then_slot_and_bring_their_rows(metric, slots):
    _, found, rows = pick(metric, [2, 0], width=4)
    assert found.tolist() == [slots]
    assert rows[0].tolist() == ROWS[slots].tolist()


def test_a_mask_takes_slots_out():
    bounds, slots, _ = pick("dot", [1, 0], width=3, mask=np.arange(8) % 2 == 1)
    assert slots[0, :2].tolist() == [3, 1]
    assert bounds[0, 2] == -np.inf


def test_an_empty_collection_has_no_candidates():
    assert pick("dot", [1, 0], width=2, count=0)[0].tolist() == [[-np.inf, -np.inf]]
