"""Rows in chunks: one program reads them as if they were one array."""

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.collections.reference import HARD_ROWS, METRICS, hard_rows
from vectorkit.kernels.candidates import pick_candidates
from vectorkit.kernels.canonical import scaled_queries, stored_norms
from vectorkit.kernels.chunks import capacity_of, on_tile, regrouped, rows_at

LENGTH, COUNT = 8, 4
NUMBERS = np.arange(LENGTH * COUNT * 2, dtype=np.float32).reshape(-1, 2)


def in_chunks(*arrays, length=LENGTH):
    starts = range(0, len(arrays[0]), length)
    return tuple(
        tuple(jnp.asarray(array[start : start + length]) for array in arrays) for start in starts
    )


@given(st.lists(st.integers(0, LENGTH * COUNT - 1), min_size=1, max_size=20))
def test_rows_come_from_the_chunk_of_their_slot(slots):
    arrays = tuple(rows for (rows,) in in_chunks(NUMBERS))
    found = rows_at(arrays, jnp.array(slots, jnp.int32))
    assert np.asarray(found).tolist() == NUMBERS[slots].tolist()
    pairs = rows_at(arrays, jnp.array([slots, slots], jnp.int32))
    assert np.asarray(pairs).tolist() == NUMBERS[[slots, slots]].tolist()


def test_a_slot_beyond_the_capacity_gets_a_row_and_no_error():
    arrays = tuple(rows for (rows,) in in_chunks(NUMBERS))
    found = rows_at(arrays, jnp.array([2**31 - 1, 3], jnp.int32))
    assert np.asarray(found)[1].tolist() == NUMBERS[3].tolist()
    assert np.isfinite(np.asarray(found)).all()


def test_a_function_of_a_tile_sees_the_rows_of_its_slots():
    chunks = in_chunks(NUMBERS, NUMBERS[:, 0])
    for start in range(0, LENGTH * COUNT, 4):
        both = jax.jit(lambda at: on_tile(chunks, at, 4, lambda rows, ones: rows.sum(1) + ones))
        expected = NUMBERS[start : start + 4].sum(1) + NUMBERS[start : start + 4, 0]
        assert np.asarray(both(jnp.int32(start))).tolist() == expected.tolist()


@given(st.sampled_from([1, 2, 4]), st.sampled_from([8, 16, 32]), st.integers(0, 2**32 - 1))
def test_growing_keeps_the_bits_and_adds_zeros(count, length, seed):
    numbers = np.random.default_rng(seed).normal(size=(count * LENGTH, 3)).astype(np.float32)
    numbers[0] = [-0.0, 1e-45, np.float32(-1e-45)]
    chunks = in_chunks(numbers, numbers[:, 0])
    larger = -(-capacity_of(chunks) // length) + 1
    grown = regrouped(chunks, length, larger)
    assert [len(each) for chunk in grown for each in chunk] == [length] * (2 * larger)
    rows, first = (np.concatenate([np.asarray(chunk[at]) for chunk in grown]) for at in (0, 1))
    expected = np.zeros((length * larger, 3), np.float32)
    expected[: len(numbers)] = numbers
    assert rows.tobytes() == expected.tobytes()
    assert first.tobytes() == expected[:, 0].tobytes()


def pick(chunks, targets, scales, count, mask, metric):
    arrays = map(jnp.asarray, (targets, scales, np.int32(count)))
    return pick_candidates(chunks, *arrays, mask, metric, 16)


@given(
    st.sampled_from(METRICS),
    st.sampled_from(sorted(HARD_ROWS)),
    st.integers(0, 2**32 - 1),
    st.sampled_from([1, 8]),
    st.integers(1, LENGTH * COUNT),
)
def test_candidates_of_chunks_are_those_of_one_array(metric, kind, seed, batch, count):
    rows = hard_rows(kind, seed, LENGTH * COUNT, 5)
    rows[3::4] = rows[0]  # Rows that tie lie in different chunks.
    mask = np.random.default_rng(seed).random(len(rows)) < 0.7
    targets, scales, _ = scaled_queries(hard_rows(kind, seed + 1, batch, 5), metric)
    norms = stored_norms(rows)
    one, several = in_chunks(rows, norms, length=len(rows)), in_chunks(rows, norms)
    for wanted in (None, jnp.asarray(mask)):
        answers = [
            [np.asarray(each) for each in pick(chunks, targets, scales, count, wanted, metric)]
            for chunks in (one, several)
        ]
        (bounds, slots, _), (other_bounds, other_slots, found) = answers
        assert bounds.tobytes() == other_bounds.tobytes()
        assert slots.tolist() == other_slots.tolist()
        is_found = bounds > -np.inf
        assert found[is_found].tobytes() == rows[slots[is_found]].tobytes()
