"""Scanning in two passes finds what one sort of all estimates finds."""

from functools import partial

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vectorkit.collections.backends import compiled
from vectorkit.collections.codecs import CODECS, codec_of
from vectorkit.kernels import scanning
from vectorkit.kernels.select import NO_SLOT


def table_scores(codes, prepared, metric):
    """The codes are the scores: a row has one for each of the queries, which name columns."""
    return codes[0][:, prepared["columns"]]


def scanned(scores, width, count, mask=None):
    batch = scores.shape[1]
    prepared = {"columns": jnp.arange(batch), "norms": jnp.ones(batch)}
    limit = None if mask is None else jnp.asarray(mask)
    found = compiled.scan(
        (jnp.asarray(scores),),
        prepared,
        jnp.int32(count),
        limit,
        tile_scores=table_scores,
        metric="dot",
        width=width,
        dim=4,
    )
    return np.asarray(found)


@given(
    seed=st.integers(0, 2**32 - 1),
    capacity=st.sampled_from([8, 96, 512]),
    width=st.sampled_from([5, 64]),
    batch=st.sampled_from([1, 3]),
    part=st.floats(0, 1),
    chance=st.sampled_from([None, 0.0, 0.01, 0.5, 1.0]),
    levels=st.sampled_from([2, 1_000_000]),
)
def test_the_best_of_the_wanted_rows_are_found(seed, capacity, width, batch, part, chance, levels):
    rng = np.random.default_rng(seed)
    scores = rng.integers(-levels, levels, size=(capacity, batch)).astype(np.float32)
    mask = None if chance is None else rng.random(capacity) < chance
    count, width = int(part * capacity), min(width, capacity)
    is_wanted = (np.arange(capacity) < count) & (True if mask is None else mask)
    found = scanned(scores, width, count, mask)
    assert found.shape == (batch, width)
    for query in range(batch):
        real = min(width, is_wanted.sum())
        best = -np.sort(-scores[is_wanted, query])[:real]
        slots = found[query, :real]
        assert len(set(slots.tolist())) == real
        assert is_wanted[slots].all()
        assert scores[slots, query].tolist() == best.tolist()
        assert (found[query, real:] == NO_SLOT).all()


def test_maxima_that_do_not_fit_at_once_are_selected_in_turn(monkeypatch):
    scores = np.random.default_rng(0).normal(size=(1 << 15, 2)).astype(np.float32)
    whole = scanned(scores, 16, 30_000)
    monkeypatch.setattr(scanning, "MAXIMA_NUMBERS", 1 << 11)
    compiled.scan.jitted.clear_cache()
    assert scanned(scores, 16, 30_000).tolist() == whole.tolist()
    assert whole.tolist() == np.argsort(-scores[:30_000], axis=0)[:16].T.tolist()


def test_rows_that_tie_come_from_the_lowest_slots():
    assert scanned(np.zeros((512, 2), np.float32), 12, 500).tolist() == [list(range(12))] * 2


def test_only_tiles_in_use_are_scored():
    scores = np.zeros((1 << 15, 1), np.float32)
    scores[1 << 13 :] = np.nan
    assert scanned(scores, 2, 1 << 13).tolist() == [[0, 1]]


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize("batch", [1, 8])
def test_every_codec_s_prepared_queries_can_be_taken_one_by_one(name, batch):
    rng = np.random.default_rng(0)
    rows, queries = rng.normal(size=(1_024, 24)), rng.normal(size=(batch, 24))
    rows, queries = rows.astype(np.float32), queries.astype(np.float32)
    codec = codec_of(name, 24).trained(rows)
    codes = tuple(map(jnp.asarray, codec.encode(rows)))
    prepared = {key: jnp.asarray(array) for key, array in codec.prepare(queries, "dot").items()}
    scores = np.asarray(codec.tile_scores(codes, prepared, "dot"))
    scan = partial(compiled.scan, tile_scores=codec.tile_scores, metric="dot", width=16, dim=24)
    found = np.asarray(scan(codes, prepared, jnp.int32(1_024), None))
    kept = np.take_along_axis(scores.T, found, axis=1)
    np.testing.assert_allclose(kept, -np.sort(-scores.T, axis=1)[:, :16], rtol=1e-4, atol=1e-4)
