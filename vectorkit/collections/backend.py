"""Where rows live and how candidates are found: one backend for each kind of collection.

A backend holds no rows. It is a set of pure functions over a state that only it understands, so
that storage, facade and search are the same for every kind. A function that is told `in_place`
may reuse the memory of the state that it is given: nobody else may hold it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from vectorkit.collections import compiled
from vectorkit.collections.buffer import Batch
from vectorkit.collections.state import CAPACITY_MIN, CollectionState
from vectorkit.kernels.canonical import stored_norms
from vectorkit.types import Float32Array, Int32Array, Metric

State = Any
"""What a backend keeps on its devices; opaque to everyone else."""

Encoded = tuple[Any, ...]
"""A padded batch of rows, ready for one scatter into a state."""

Candidates = tuple[Array, Array, Array, Array]
"""Approximate scores, slots and rows of the candidates, and the largest norm in use."""

Placement: TypeAlias = jax.Device | jax.sharding.Sharding


class Backend(ABC):
    """How one kind of collection keeps its rows."""

    is_exact: bool

    @abstractmethod
    def empty(self) -> State:
        """A state without rows, with room for at least `CAPACITY_MIN`."""

    @abstractmethod
    def capacity(self, state: State) -> int:
        """How many rows the state has room for."""

    @abstractmethod
    def encode(self, state: State, batch: Batch) -> Encoded:
        """A batch as the state keeps it: whatever of a write can fail, or takes time, is here."""

    @abstractmethod
    def write(self, state: State, encoded: Encoded, *, in_place: bool) -> State:
        """The state with an encoded batch written; its slots are distinct."""

    @abstractmethod
    def move(
        self, state: State, sources: Int32Array, targets: Int32Array, *, in_place: bool
    ) -> State:
        """The state with the rows at `sources` copied to `targets`; no slot is in both."""

    @abstractmethod
    def grow(self, state: State, capacity: int) -> State:
        """A new state with room for at least `capacity` rows; the old one stays."""

    @abstractmethod
    def read(self, state: State, slots: Int32Array) -> Array | Float32Array:
        """The stored rows (count, dim) at these slots."""

    @abstractmethod
    def rows(self, state: State, count: int) -> Float32Array:
        """The first `count` stored rows on the host; they may share the state's memory."""

    @abstractmethod
    def search(
        self,
        state: State,
        queries: Float32Array,
        query_norms: Float32Array,
        count: int,
        width: int,
    ) -> Candidates:
        """The `width` best of the first `count` rows for each query, as `pick_candidates`."""

    def wait(self, state: State) -> None:
        """Return when the state is there and no memory of a caller is read any more."""
        for array in self.arrays(state).values():
            array.block_until_ready()

    def parameters(self, state: State) -> bytes:
        """What a codec has learned, for digests: nothing where there is nothing to learn."""
        return b""

    @abstractmethod
    def arrays(self, state: State) -> Mapping[str, Array]:
        """The arrays of a state by name, for files and for counting bytes."""


class ExactBackend(Backend):
    """Float32 rows and their norms on one device, or sharded over several."""

    is_exact = True

    def __init__(self, dim: int, metric: Metric, placement: Placement) -> None:
        self.dim = dim
        self.metric = metric
        self.placement = placement

    def empty(self) -> CollectionState:
        """Zeros, committed to the placement: every program follows them there."""
        return CollectionState(
            rows=jnp.zeros((CAPACITY_MIN, self.dim), jnp.float32, device=self.placement),
            norms=jnp.zeros((CAPACITY_MIN,), jnp.float32, device=self.placement),
        )

    def capacity(self, state: CollectionState) -> int:
        """The length of the arrays."""
        return int(state.rows.shape[0])

    def encode(self, state: CollectionState, batch: Batch) -> Encoded:
        """Slots, rows and norms."""
        norms = np.zeros(len(batch.slots), np.float32)
        norms[: batch.row_count] = stored_norms(batch.rows[: batch.row_count])
        return batch.slots, batch.rows, norms

    def write(self, state: CollectionState, encoded: Encoded, *, in_place: bool) -> CollectionState:
        """One scatter."""
        write = compiled.write_in_place if in_place else compiled.write_copy
        slots, rows, norms = encoded
        arrays = write((state.rows, state.norms), slots, (rows, norms), dim=self.dim)
        return CollectionState(*arrays)

    def move(
        self, state: CollectionState, sources: Int32Array, targets: Int32Array, *, in_place: bool
    ) -> CollectionState:
        """One gather and one scatter."""
        move = compiled.move_in_place if in_place else compiled.move_copy
        arrays = move((state.rows, state.norms), sources, targets, dim=self.dim)
        return CollectionState(*arrays)

    def grow(self, state: CollectionState, capacity: int) -> CollectionState:
        """The arrays, padded with zeros."""
        arrays = (state.rows, state.norms)
        return CollectionState(*compiled.grow(arrays, capacity=capacity, dim=self.dim))

    def read(self, state: CollectionState, slots: Int32Array) -> Array:
        """One gather, not waited for."""
        (found,) = compiled.read((state.rows,), slots, dim=self.dim)
        rows: Array = found
        return rows

    def rows(self, state: CollectionState, count: int) -> Float32Array:
        """The bits that were put in."""
        return np.asarray(state.rows)[:count]

    def search(
        self,
        state: CollectionState,
        queries: Float32Array,
        query_norms: Float32Array,
        count: int,
        width: int,
    ) -> Candidates:
        """One matrix product and one top-k, not waited for."""
        found: Candidates = compiled.search(
            state,
            queries,
            query_norms,
            np.int32(count),
            metric=self.metric,
            width=min(width, self.capacity(state)),
        )
        return found

    def arrays(self, state: CollectionState) -> Mapping[str, Array]:
        """Rows and norms."""
        return {"rows": state.rows, "norms": state.norms}
