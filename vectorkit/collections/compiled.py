"""The one table of jitted programs: kernels made into functions of a collection's state.

A program whose name ends in `_in_place` donates the state that it is given: nobody else may hold
it. `trace_counts` counts how often each kernel was traced, hence compiled: a test reads it.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

import jax
from jaxtyping import Array, Float, Int

from vectorkit.collections.state import CollectionState
from vectorkit.kernels import candidates, write
from vectorkit.types import Metric

trace_counts: Final[Counter[str]] = Counter()


def _write(
    state: CollectionState,
    slots: Int[Array, " batch"],
    rows: Float[Array, "batch dim"],
    norms: Float[Array, " batch"],
) -> CollectionState:
    trace_counts["write"] += 1
    return CollectionState(*write.write_rows(state.rows, state.norms, slots, rows, norms))


def _move(
    state: CollectionState, sources: Int[Array, " batch"], targets: Int[Array, " batch"]
) -> CollectionState:
    trace_counts["move"] += 1
    return CollectionState(*write.move_rows(state.rows, state.norms, sources, targets))


def _grow(state: CollectionState, capacity: int) -> CollectionState:
    trace_counts["grow"] += 1
    return CollectionState(*write.grow_rows(state.rows, state.norms, capacity))


def _read(state: CollectionState, slots: Int[Array, " batch"]) -> Float[Array, "batch dim"]:
    trace_counts["read"] += 1
    return write.read_rows(state.rows, slots)


def _search(
    state: CollectionState,
    queries: Float[Array, "batch dim"],
    query_norms: Float[Array, " batch"],
    count: Int[Array, ""],
    metric: Metric,
    width: int,
) -> tuple[Array, Array, Array, Array]:
    trace_counts["search"] += 1
    return candidates.pick_candidates(
        state.rows, state.norms, queries, query_norms, count, metric, width
    )


write_copy: Final = jax.jit(_write)
write_in_place: Final = jax.jit(_write, donate_argnums=0)
move_copy: Final = jax.jit(_move)
move_in_place: Final = jax.jit(_move, donate_argnums=0)
grow: Final = jax.jit(_grow, static_argnames="capacity")
read: Final = jax.jit(_read)
search: Final = jax.jit(_search, static_argnames=("metric", "width"))
