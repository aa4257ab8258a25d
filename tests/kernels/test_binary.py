"""Counting bits equals multiplying the signs and levels that they stand for."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vectorkit.kernels.binary import counts_by_products, counts_by_words, tile_scores

WORDS = 3


def words_of(signs):
    octets = np.packbits(np.pad(signs > 0, ((0, 0), (0, 32 * WORDS - signs.shape[1]))), axis=1)
    return octets.view(np.uint32)


def scan(signs, scales, levels, metric="dot", shift=0.0):
    """Scores of rows scale · signs for queries of odd levels −15 … 15, a step of 2 apart."""
    dim, top = signs.shape[1], (1 << 4) - 1
    heights = (levels + top) // 2
    planes = np.stack([words_of(((heights >> bit) & 1) * 2 - 1) for bit in range(4)], axis=1)
    batch = len(levels)
    prepared = {
        "planes": planes,
        "offsets": np.full(batch, top * dim, np.float32),
        "steps": np.full(batch, 2, np.float32),
        "shifts": np.full(batch, shift, np.float32),
        "norms": np.linalg.norm(levels, axis=1).astype(np.float32),
    }
    norms = scales * np.float32(np.sqrt(dim))
    tile = tuple(map(jnp.asarray, (words_of(signs), scales, norms)))
    arrays = {name: jnp.asarray(array) for name, array in prepared.items()}
    return np.asarray(tile_scores(tile, arrays, metric)).T


def drawn(seed, dim, batch=3):
    rng = np.random.default_rng(seed)
    signs, levels = rng.choice([-1, 1], (16, dim)), rng.integers(0, 16, (batch, dim)) * 2 - 15
    return signs, rng.integers(0, 9, 16).astype(np.float32), levels


@given(seed=st.integers(0, 2**32 - 1), dim=st.sampled_from([1, 31, 32, 65, 96]))
def test_counted_products_are_exact(seed, dim):
    signs, scales, levels = drawn(seed, dim)
    expected = (levels @ signs.T) * scales
    assert scan(signs, scales, levels).tolist() == expected.tolist()


@given(seed=st.integers(0, 2**32 - 1))
def test_euclidean_scores_are_minus_squared_distances(seed):
    signs, scales, levels = drawn(seed, 64)
    rows = signs * scales[:, None]
    expected = -np.square(rows[None] - levels[:, None]).sum(axis=2)
    np.testing.assert_allclose(scan(signs, scales, levels, "euclidean"), expected, rtol=1e-4)


@given(seed=st.integers(0, 2**32 - 1))
def test_cosine_divides_by_the_norm_of_the_row_and_a_zero_row_scores_zero(seed):
    signs, scales, levels = drawn(seed, 64)
    expected = (levels @ signs.T) / 8 * (scales > 0)
    np.testing.assert_allclose(scan(signs, scales, levels, "cosine"), expected, rtol=1e-5)


@pytest.mark.parametrize("shift", [0.0, 2.5])
def test_the_shift_of_a_query_is_added_to_every_product(shift):
    signs, scales, levels = drawn(0, 64)
    moved = scan(signs, scales, levels, shift=shift)
    assert moved.tolist() == (scan(signs, scales, levels) + np.float32(shift)).tolist()


@given(seed=st.integers(0, 2**32 - 1), words=st.sampled_from([1, 48]), bits=st.sampled_from([1, 4]))
def test_products_of_unpacked_bits_count_what_words_count(seed, words, bits):
    rng = np.random.default_rng(seed)
    rows = jnp.asarray(rng.integers(0, 2**32, (16, words), dtype=np.uint32))
    planes = jnp.asarray(rng.integers(0, 2**32, (5, bits, words), dtype=np.uint32))
    expected = [
        [
            sum(int(np.bitwise_count(row ^ plane).sum()) << bit for bit, plane in enumerate(query))
            for query in np.asarray(planes)
        ]
        for row in np.asarray(rows)
    ]
    assert counts_by_words(rows, planes).tolist() == expected
    assert counts_by_products(rows, planes).tolist() == expected
