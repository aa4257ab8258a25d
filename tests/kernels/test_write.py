"""Writing rows: what is beyond the capacity is dropped, everything else lands where it should."""

import jax.numpy as jnp
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vectorkit.kernels import write

CAPACITY = 8


def make_state():
    rows = np.arange(CAPACITY * 2, dtype=np.float32).reshape(CAPACITY, 2)
    return jnp.asarray(rows), jnp.asarray(rows[:, 0] + 100)


@given(st.lists(st.integers(0, CAPACITY - 1), unique=True))
def test_rows_land_in_their_slots_and_padding_is_dropped(slots):
    rows, norms = make_state()
    padded = jnp.array(slots + [CAPACITY] * (CAPACITY - len(slots)), jnp.int32)
    new = jnp.full((len(padded), 2), -1.0)
    written, new_norms = write.write_rows((rows, norms), padded, (new, new[:, 0]))
    expected = np.array(rows)
    expected[slots] = -1
    assert np.asarray(written).tolist() == expected.tolist()
    assert [slot for slot in range(CAPACITY) if new_norms[slot] == -1] == sorted(slots)


def test_rows_move_with_their_norms():
    rows, norms = make_state()
    moved, moved_norms = write.move_rows(
        (rows, norms), jnp.array([6, 7, 0]), jnp.array([1, 3, CAPACITY])
    )
    assert np.asarray(moved)[[0, 1, 3, 7]].tolist() == np.asarray(rows)[[0, 6, 7, 7]].tolist()
    assert np.asarray(moved_norms)[[0, 1, 3]].tolist() == [100, 112, 114]


def test_reading_gives_rows_in_the_order_asked():
    rows, _ = make_state()
    (read,) = write.read_rows((rows,), jnp.array([3, 0, 3]))
    assert np.asarray(read).tolist() == [[6, 7], [0, 1], [6, 7]]
