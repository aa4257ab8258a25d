"""What a collection holds on its device: frozen arrays, no behaviour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

CAPACITY_MIN: Final = 8


@jax.tree_util.register_dataclass
@dataclass(frozen=True, slots=True)
class CollectionState:
    """The rows as they were given, and their canonical norms. Unused slots hold zeros or leftovers.

    Shapes: rows (capacity, dim) float32, norms (capacity,) float32.
    """

    rows: Float[Array, "capacity dim"]
    norms: Float[Array, " capacity"]


def empty_state(dim: int, device: jax.Device) -> CollectionState:
    """A state without rows on `device`."""
    return CollectionState(
        rows=jnp.zeros((CAPACITY_MIN, dim), jnp.float32, device=device),
        norms=jnp.zeros((CAPACITY_MIN,), jnp.float32, device=device),
    )


def padded_size(count: int) -> int:
    """The power of two, at least `CAPACITY_MIN`, that holds `count`.

    Rows, batches and queries all come in these sizes, so that few programs are compiled.

    >>> padded_size(3), padded_size(8), padded_size(9)
    (8, 8, 16)
    """
    return max(CAPACITY_MIN, 1 << (count - 1).bit_length())
