"""Float32 scores of proposed rows: close to canonical ones, finite, of what was proposed only."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.collections.reference import HARD_ROWS, METRICS, hard_rows
from vectorkit.collections.backends import compiled
from vectorkit.kernels.canonical import canonical_scores
from vectorkit.kernels.rescoring import row_scores
from vectorkit.kernels.select import NO_SLOT

by_metric = pytest.mark.parametrize("metric", METRICS)
kinds = st.sampled_from(sorted(HARD_ROWS))
seeds = st.integers(0, 2**32 - 1)


def best(rows, queries, slots, metric, width):
    arrays = (np.asarray(array) for array in (rows, queries.astype(np.float32), slots))
    found = compiled.rescore(*arrays, metric=metric, width=width)
    return [np.asarray(array) for array in found]


@by_metric
@given(seed=seeds, scale=st.sampled_from([1e-18, 1.0, 1e18]))
def test_scores_are_canonical_ones_by_a_factor_of_the_query(metric, seed, scale):
    rng = np.random.default_rng(seed)
    rows, query = rng.normal(size=(20, 33)), rng.normal(size=33)
    rows, query = (rows * scale).astype(np.float32), (query * scale).astype(np.float32)
    found = np.asarray(row_scores(jnp.asarray(rows), jnp.asarray(query), metric), np.float64)
    truth = canonical_scores(rows, query / np.float32(scale), "dot").astype(np.float64)
    factor = np.abs(query / np.float32(scale)).max()
    if metric == "cosine":
        truth = canonical_scores(rows, query, metric).astype(np.float64)
        factor /= np.linalg.norm(query / np.float32(scale))
    if metric == "euclidean":
        truth, factor = canonical_scores(rows, query, metric).astype(np.float64), 1.0
    np.testing.assert_allclose(found * factor, truth, rtol=1e-5, atol=1e-5 * np.abs(truth).max())


@by_metric
@given(kind=kinds, asked=kinds, seed=seeds)
def test_scores_are_finite_for_all_rows_that_a_collection_takes(metric, kind, asked, seed):
    rows = np.concatenate([hard_rows(kind, seed, 12, 9), np.zeros((1, 9), np.float32)])
    for query in (*hard_rows(asked, seed + 1, 3, 9), np.zeros(9, np.float32), rows[0]):
        assert np.isfinite(row_scores(jnp.asarray(rows), jnp.asarray(query), metric)).all()


def test_a_row_below_the_least_norm_scores_zero_under_cosine():
    rows = np.array([[1e-31, 0], [1e-25, 0], [0, 0]], np.float32)
    assert row_scores(jnp.asarray(rows), jnp.ones(2), "cosine").tolist() == [0, 1, 0]


def test_near_duplicates_far_from_the_origin_are_told_apart_by_euclidean_distance():
    rows = np.full((8, 4), 4096, np.float32) + np.arange(8, dtype=np.float32)[:, None] * 2**-11
    slots, _ = best(rows, rows[5:6], np.arange(8, dtype=np.int32)[None], "euclidean", 3)
    assert slots[0, 0] == 5
    assert set(slots[0].tolist()) == {4, 5, 6}


@by_metric
@given(seed=seeds)
def test_the_best_of_what_was_proposed_for_each_query_come_with_their_rows(metric, seed):
    rng = np.random.default_rng(seed)
    rows, queries = rng.normal(size=(64, 8)), rng.normal(size=(3, 8))
    rows, queries = rows.astype(np.float32), queries.astype(np.float32)
    slots = np.stack([rng.permutation(64)[:12] for _ in queries]).astype(np.int32)
    slots[1, 4:] = NO_SLOT
    found, gathered = best(rows, queries, slots, metric, 6)
    for query, places, proposed in zip(queries, found, slots, strict=True):
        real = proposed[proposed < NO_SLOT]
        order = np.argsort(-canonical_scores(rows[real], query, metric), kind="stable")
        assert places.tolist() == [*real[order], NO_SLOT, NO_SLOT][:6]
    is_real = found < NO_SLOT
    assert (gathered[is_real] == rows[found[is_real]]).all()


def test_equal_rows_stay_as_they_were_proposed():
    slots, _ = best(
        np.ones((32, 5), np.float32), np.ones((1, 5)), np.arange(32, dtype=np.int32)[None], "dot", 4
    )
    assert slots.tolist() == [[0, 1, 2, 3]]
