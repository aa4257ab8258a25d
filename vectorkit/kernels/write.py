"""Changing rows: scatter and move. A slot at or beyond the capacity means "drop".

Rows are several arrays with the slots as their first axis. Pad slots with the capacity, never with
−1: −1 is the last row, also under `mode="drop"`.
"""

from __future__ import annotations

from vectorkit.kernels.shapes import Array, Int, Shaped

Arrays = tuple[Shaped[Array, "capacity ..."], ...]
Rows = tuple[Shaped[Array, "batch ..."], ...]


def write_rows(arrays: Arrays, slots: Int[Array, " batch"], rows: Rows) -> Arrays:
    """Put `rows` into `slots`; the slots below the capacity must be distinct."""
    pairs = zip(arrays, rows, strict=True)
    return tuple(array.at[slots].set(new, mode="drop") for array, new in pairs)


def move_rows(
    arrays: Arrays, sources: Int[Array, " batch"], targets: Int[Array, " batch"]
) -> Arrays:
    """Copy the rows at `sources` into `targets`; no slot may be in both."""
    return write_rows(arrays, targets, read_rows(arrays, sources))


def read_rows(arrays: Arrays, slots: Int[Array, " batch"]) -> Rows:
    """The rows at `slots`, in their order."""
    return tuple(array[slots] for array in arrays)
