"""The rotation: orthogonal, undone by its inverse, mixing, and each row for itself."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vectorkit.kernels.rotation import rotate, rotate_back, rotation_signs

DIMS = [1, 2, 3, 5, 31, 50, 64, 100, 384, 511, 768]
by_dim = pytest.mark.parametrize("dim", DIMS)


@by_dim
def test_lengths_and_products_stay(dim):
    matrix = rotate(np.eye(dim, dtype=np.float32), rotation_signs(dim, 7))
    wide = matrix.astype(np.float64)
    assert np.abs(wide @ wide.T - np.eye(dim)).max() < 5e-6


@by_dim
def test_turning_back_gives_the_rows(dim):
    rows, signs = np.eye(dim, dtype=np.float32), rotation_signs(dim, 7)
    assert np.abs(rotate_back(rotate(rows, signs), signs) - rows).max() < 2e-6


@pytest.mark.parametrize("dim", [50, 100, 384, 511, 768])
def test_the_energy_of_one_coordinate_spreads_over_all_of_them(dim):
    matrix = rotate(np.eye(dim, dtype=np.float32), rotation_signs(dim, 7))
    alignments = np.abs(matrix).sum(axis=1) / np.sqrt(dim)
    assert alignments.min() > 0.7
    assert np.mean(alignments) == pytest.approx(np.sqrt(2 / np.pi), abs=0.02)


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 3, 9, 64]))
def test_a_row_turns_alike_alone_and_in_a_batch(seed, dim):
    rows = np.random.default_rng(seed).normal(size=(9, dim)).astype(np.float32)
    signs = rotation_signs(dim, seed)
    together = rotate(rows, signs)
    assert together.tobytes() == b"".join(rotate(row[None], signs).tobytes() for row in rows)


def test_blocks_do_not_show():
    rows = np.random.default_rng(0).normal(size=(400, 384)).astype(np.float32)
    signs = rotation_signs(384, 7)
    parts = [rotate(rows[:1], signs), rotate(rows[1:250], signs), rotate(rows[250:], signs)]
    assert rotate(rows, signs).tobytes() == np.concatenate(parts).tobytes()


def test_signs_depend_on_the_seed_and_are_even():
    one, other = rotation_signs(1_000, 1), rotation_signs(1_000, 2)
    assert set(np.unique(one)) == {-1.0, 1.0}
    assert (one != other).mean() == pytest.approx(0.5, abs=0.05)
    assert one.mean() == pytest.approx(0.0, abs=0.06)
