"""Scanning int8 rows equals float64 arithmetic on the rows that they stand for."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.collections.reference import METRICS
from vectorkit.kernels.int8 import tile_scores

by_metric = pytest.mark.parametrize("metric", METRICS)


def reference(rows, queries, metric):
    """The documented estimate in float64: cosine of unit queries, euclidean as −‖x − q‖²."""
    if metric == "euclidean":
        return -np.square(rows[None] - queries[:, None]).sum(axis=2)
    lengths = np.linalg.norm(rows, axis=1)
    return queries @ rows.T / (np.where(lengths > 0, lengths, 1) if metric == "cosine" else 1)


def drawn(seed, count, dim):
    rng = np.random.default_rng(seed)
    levels = rng.integers(-127, 128, (count, dim)).astype(np.int8)
    return levels, rng.uniform(0.01, 2, count).astype(np.float32)


def scan(codes, scales, prepared, metric):
    rows = codes * scales[:, None].astype(np.float64)
    norms = np.linalg.norm(rows, axis=1).astype(np.float32)
    arrays = {name: jnp.asarray(array) for name, array in prepared.items()}
    tile = tuple(map(jnp.asarray, (codes, scales, norms)))
    return rows, np.asarray(tile_scores(tile, arrays, metric)).T


@by_metric
@given(seed=st.integers(0, 2**32 - 1))
def test_float_queries_score_as_in_float64(metric, seed):
    codes, scales = drawn(seed, 16, 33)
    queries = np.random.default_rng(seed).normal(size=(3, 33)).astype(np.float32)
    norms = np.linalg.norm(queries, axis=1)
    rows, found = scan(codes, scales, {"targets": queries, "norms": norms}, metric)
    expected = reference(rows, queries.astype(np.float64), metric)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


@by_metric
@given(seed=st.integers(0, 2**32 - 1))
def test_integer_queries_score_as_in_float64(metric, seed):
    codes, scales = drawn(seed, 16, 33)
    levels, steps = drawn(seed + 1, 8, 33)
    queries = levels * steps[:, None].astype(np.float64)
    norms = np.linalg.norm(queries, axis=1).astype(np.float32)
    prepared = {"codes": levels, "scales": steps, "norms": norms}
    rows, found = scan(codes, scales, prepared, metric)
    expected = reference(rows, queries, metric)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def test_integer_sums_of_the_largest_dimension_do_not_overflow():
    codes = np.full((1, 65_536), 127, np.int8)
    prepared = {"codes": codes, "scales": np.ones(1, np.float32), "norms": np.ones(1, np.float32)}
    _, found = scan(codes, np.ones(1, np.float32), prepared, "dot")
    assert found.tolist() == [[np.float32(127 * 127 * 65_536)]]


def test_rows_of_zeros_score_zero_under_cosine():
    zeros = np.zeros((2, 4), np.int8)
    prepared = {"targets": np.ones((1, 4), np.float32), "norms": np.ones(1, np.float32)}
    _, found = scan(zeros, np.ones(2, np.float32), prepared, "cosine")
    assert found.tolist() == [[0.0, 0.0]]
