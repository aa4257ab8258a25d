"""Changing rows: scatter, move, grow. A slot at or beyond the capacity means "drop".

Pad slots with the capacity, never with −1: −1 is the last row, also under `mode="drop"`.
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

Rows = Float[Array, "capacity dim"]
Norms = Float[Array, " capacity"]


def write_rows(
    rows: Rows,
    norms: Norms,
    slots: Int[Array, " batch"],
    new_rows: Float[Array, "batch dim"],
    new_norms: Float[Array, " batch"],
) -> tuple[Rows, Norms]:
    """Put `new_rows` into `slots`; the slots below the capacity must be distinct."""
    return (
        rows.at[slots].set(new_rows, mode="drop"),
        norms.at[slots].set(new_norms, mode="drop"),
    )


def move_rows(
    rows: Rows,
    norms: Norms,
    sources: Int[Array, " batch"],
    targets: Int[Array, " batch"],
) -> tuple[Rows, Norms]:
    """Copy the rows at `sources` into `targets`; no slot may be in both."""
    return write_rows(rows, norms, targets, rows[sources], norms[sources])


def grow_rows(
    rows: Rows, norms: Norms, capacity: int
) -> tuple[Float[Array, "larger dim"], Float[Array, " larger"]]:
    """The same rows with room for `capacity` of them."""
    extra = capacity - rows.shape[0]
    return jnp.pad(rows, ((0, extra), (0, 0))), jnp.pad(norms, (0, extra))


def read_rows(rows: Rows, slots: Int[Array, " batch"]) -> Float[Array, "batch dim"]:
    """The rows at `slots`, in their order."""
    return rows[slots]
