"""Selection from tiles: the exact best of the wanted slots, whatever the tiles and blocks."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax import lax

from vectorkit.kernels import select
from vectorkit.kernels.select import select_best, tile_rows


def selected(scores, tile, width, count, mask=None):
    """The best of scores (capacity, batch): (bounds, slots)."""
    table = jnp.asarray(scores)
    found = select_best(
        lambda start: lax.dynamic_slice_in_dim(table, start, tile),
        tile,
        scores.shape[1],
        width,
        jnp.int32(count),
        None if mask is None else jnp.asarray(mask),
    )
    return [np.asarray(array) for array in found]


def expected(scores, width, count, mask=None):
    """Per query the wanted scores, descending, filled with −inf."""
    is_wanted = np.arange(len(scores)) < count
    if mask is not None:
        is_wanted &= mask
    kept = np.where(is_wanted[:, None], scores, -np.inf)
    padded = np.concatenate([kept, np.full((width, scores.shape[1]), -np.inf, np.float32)])
    return -np.sort(-padded, axis=0)[:width].T


@given(
    seed=st.integers(0, 2**32 - 1),
    tile=st.sampled_from([8, 64, 128, 512]),
    width=st.sampled_from([1, 2, 4, 16, 64]),
    batch=st.sampled_from([1, 3]),
    part=st.floats(0, 1),
    chance=st.sampled_from([None, 0.0, 0.01, 0.5, 1.0]),
    levels=st.sampled_from([2, 1_000_000]),
)
def test_the_best_of_the_wanted_slots_are_found(seed, tile, width, batch, part, chance, levels):
    rng = np.random.default_rng(seed)
    scores = rng.integers(-levels, levels, size=(512, batch)).astype(np.float32)
    mask = None if chance is None else rng.random(512) < chance
    count = int(part * 512)
    bounds, slots = selected(scores, tile, width, count, mask)
    assert bounds.tolist() == expected(scores, width, count, mask).tolist()
    for query in range(batch):
        found = slots[query][bounds[query] > -np.inf]
        assert len(set(found.tolist())) == len(found)
        assert scores[found, query].tolist() == bounds[query, : len(found)].tolist()


def test_all_that_tie_are_taken_from_the_lowest_slots():
    _, slots = selected(np.zeros((512, 2), np.float32), tile=128, width=4, count=500)
    assert slots.tolist() == [[0, 1, 2, 3]] * 2


def test_only_tiles_in_use_are_visited():
    scores = np.zeros((512, 1), np.float32)
    scores[128:] = np.nan
    assert selected(scores, tile=64, width=2, count=128)[1].tolist() == [[0, 1]]


@pytest.mark.parametrize("width", [1, 16])
def test_places_without_a_slot_have_minus_infinity_and_a_slot_beyond_every_capacity(width):
    bounds, slots = selected(np.zeros((64, 1), np.float32), tile=64, width=width, count=0)
    assert (bounds == -np.inf).all()
    assert (slots >= 64).all()


def test_a_tile_divides_every_capacity_and_holds_the_candidates():
    for capacity in (8, 4096, 1 << 20):
        for batch in (1, select.LARGE_BATCH):
            for width in (1, 16, 5000, 1 << 21):
                tile = tile_rows(capacity, 384, batch, width)
                assert capacity % tile == 0
                assert tile >= min(width, capacity)
