"""A data set knows its size, and holds out queries that the rest does not have."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vectorkit import errors
from vectorkit.datasets import Dataset


def numbered(count: int) -> Dataset:
    """Row i has the vector (i, −i), the id "i" and the payload {"row": i}."""
    rows = np.arange(count, dtype=np.float32)
    ids = tuple(str(row) for row in range(count))
    payloads = tuple({"row": row} for row in range(count))
    return Dataset("numbered", ids, np.stack([rows, -rows], axis=1), payloads)


def test_a_data_set_tells_its_size_in_one_line():
    assert repr(numbered(1_234)) == "Dataset('numbered', 1,234 × 2)"
    assert (len(numbered(7)), numbered(7).dim) == (7, 2)


@given(st.integers(2, 300), st.data(), st.integers(0, 2**64 - 1))
def test_every_row_is_either_held_out_or_left_in_its_order(count, data, seed):
    queries = data.draw(st.integers(1, count - 1))
    rest, held = numbered(count).split(queries=queries, seed=seed)
    left = [int(id) for id in rest.ids]
    assert left == sorted(left)
    assert sorted([*left, *held[:, 0].astype(int)]) == list(range(count))
    assert held.tobytes() == numbered(count).vectors[held[:, 0].astype(int)].tobytes()
    assert rest.vectors.tobytes() == numbered(count).vectors[left].tobytes()
    assert rest.payloads == tuple({"row": row} for row in left)


def test_a_split_is_the_same_in_every_process():
    assert numbered(10).split(queries=4, seed=1)[1][:, 0].tolist() == [2, 7, 4, 9]


def test_more_queries_begin_with_the_fewer():
    few, more = (numbered(100).split(queries=count, seed=3)[1] for count in (5, 50))
    assert few.tobytes() == more[:5].tobytes()


def test_another_seed_draws_other_queries():
    first, second = (numbered(100).split(queries=10, seed=seed)[1] for seed in (1, 2))
    assert first.tobytes() != second.tobytes()


def test_held_out_queries_and_the_rest_share_no_memory_with_the_whole():
    whole = numbered(10)
    rest, held = whole.split(queries=3)
    rest.vectors[:], held[:] = 99.0, 99.0
    assert whole.vectors.tobytes() == numbered(10).vectors.tobytes()


@pytest.mark.parametrize("queries", [0, -1, 10, 11, True, 2.0, None], ids=repr)
def test_queries_that_cannot_be_held_out_are_refused(queries):
    with pytest.raises(errors.InvalidOption) as caught:
        numbered(10).split(queries=queries)
    assert caught.value.got == f"queries={queries!r}"
    assert caught.value.wanted == "an integer from 1 to 9"
