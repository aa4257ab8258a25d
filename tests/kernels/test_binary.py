"""Counting bits equals multiplying the signs and levels that they stand for."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vectorkit.kernels.binary import counts_by_products, counts_by_words, tile_scores

WORDS = 3
QUERY_BITS = 4

by_planes = pytest.mark.parametrize("planes", [1, 2])
by_batch = pytest.mark.parametrize("batch", [3, 9])  # Counted, and multiplied.
seeds = st.integers(0, 2**32 - 1)


def planes_of(numbers, bits):
    """Numbers (count, dim) as (count, bits, WORDS) words, the lowest bit first."""
    missing = 32 * WORDS - numbers.shape[1]
    each = [np.pad((numbers >> bit) & 1, ((0, 0), (0, missing))) for bit in range(bits)]
    return np.stack([np.packbits(plane, axis=1).view(np.uint32) for plane in each], axis=1)


def drawn(seed, dim, planes, batch=3):
    """Heights, scales and odd levels of 16 rows, and heights and odd levels of queries."""
    rng = np.random.default_rng(seed)
    levels = rng.integers(0, 1 << planes, (16, dim)) * 2 - (1 << planes) + 1
    asked = rng.integers(0, 1 << QUERY_BITS, (batch, dim)) * 2 - (1 << QUERY_BITS) + 1
    scales = rng.integers(0, 9, 16).astype(np.float32)
    levels[scales == 0] = 1 - (1 << planes)  # As a row of height only is coded.
    heights, above = rng.integers(-50, 50, 16), rng.integers(-50, 50, batch)
    return (heights.astype(np.float32), scales, levels), (above.astype(np.float32), asked)


def scan(rows, queries, planes, metric="dot", longer=1.0):
    """Scores by the kernel; decoded rows are too short by the root of `longer`."""
    (heights, scales, levels), (above, asked) = rows, queries
    dim, top = levels.shape[1], (1 << QUERY_BITS) - 1
    prepared = {
        "planes": planes_of((asked + top) // 2, QUERY_BITS),
        "offsets": np.full(len(asked), top * ((1 << planes) - 1) * dim, np.float32),
        "steps": np.full(len(asked), 2, np.float32),
        "heights": above,
        "norms": np.linalg.norm(asked, axis=1).astype(np.float32),
        "constants": np.array([dim, longer], np.float32),
    }
    words = planes_of((levels + (1 << planes) - 1) // 2, planes).reshape(len(levels), -1)
    tile = tuple(map(jnp.asarray, (words, scales, heights)))
    arrays = {name: jnp.asarray(array) for name, array in prepared.items()}
    return np.asarray(tile_scores(tile, arrays, metric)).T


def whole(rows, queries):
    """The rows and queries that codes stand for, in float64."""
    (heights, scales, levels), (above, asked) = rows, queries
    wide = np.column_stack([heights, levels * scales[:, None]]).astype(np.float64)
    return wide, np.column_stack([above, asked]).astype(np.float64)


@by_planes
@by_batch
@given(seed=seeds, dim=st.sampled_from([1, 31, 32, 65, 96]))
def test_counted_products_are_exact(planes, batch, seed, dim):
    rows, queries = drawn(seed, dim, planes, batch)
    wide, asked = whole(rows, queries)
    assert scan(rows, queries, planes).tolist() == (asked @ wide.T).tolist()


@by_planes
@by_batch
@given(seed=seeds)
def test_euclidean_scores_are_minus_squared_distances(planes, batch, seed):
    rows, queries = drawn(seed, 64, planes, batch)
    wide, asked = whole(rows, queries)
    expected = -np.square(wide[None] - asked[:, None]).sum(axis=2)
    np.testing.assert_allclose(scan(rows, queries, planes, "euclidean"), expected, rtol=1e-5)


@by_planes
@by_batch
@given(seed=seeds)
def test_cosine_divides_by_the_norm_of_the_row_and_a_zero_row_scores_zero(planes, batch, seed):
    rows, (above, asked) = drawn(seed, 64, planes, batch)
    rows[0][rows[1] == 0] = 0
    wide, targets = whole(rows, (above, asked))
    lengths = np.linalg.norm(wide, axis=1)
    expected = targets @ wide.T / np.where(lengths > 0, lengths, np.inf)
    found = scan(rows, (above, asked), planes, "cosine")
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert (found[:, lengths == 0] == 0).all()


@by_planes
def test_decoded_rows_count_as_longer_by_the_given_factor(planes):
    rows, queries = drawn(0, 64, planes)
    wide, asked = whole(rows, queries)
    squares = np.square(wide[:, 1:]).sum(axis=1)
    found = scan(rows, queries, planes, "euclidean", longer=1.5)
    expected = -np.square(wide[None] - asked[:, None]).sum(axis=2) - 0.5 * squares
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_common_height_does_not_drown_what_rows_differ_by():
    """At a height of 20,000 the float32 norms are off by more than the distances differ."""
    (_, scales, levels), (_, asked) = drawn(3, 64, planes=2)
    rows = np.full(16, 2e4, np.float32), scales, levels
    queries = np.full(3, 2e4, np.float32), asked
    wide, targets = whole(rows, queries)
    expected = -np.square(wide[None] - targets[:, None]).sum(axis=2)
    np.testing.assert_allclose(scan(rows, queries, 2, "euclidean"), expected, rtol=1e-5)


@by_planes
@given(seed=seeds, words=st.sampled_from([1, 48]), bits=st.sampled_from([1, 4]))
def test_products_of_unpacked_bits_count_what_words_count(planes, seed, words, bits):
    rng = np.random.default_rng(seed)
    rows = jnp.asarray(rng.integers(0, 2**32, (16, planes * words), dtype=np.uint32))
    queries = jnp.asarray(rng.integers(0, 2**32, (5, bits, words), dtype=np.uint32))
    wide = np.asarray(rows).reshape(16, 1, planes, 1, words)
    differing = np.bitwise_count(wide ^ np.asarray(queries)[None, :, None]).sum(axis=4)
    weights = np.left_shift.outer(1 << np.arange(planes), np.arange(bits))
    expected = (differing * weights).sum(axis=(2, 3)).tolist()
    assert counts_by_words(rows, queries).tolist() == expected
    assert counts_by_products(rows, queries).tolist() == expected
