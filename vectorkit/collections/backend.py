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
from numpy.typing import NDArray

from vectorkit.collections import compiled
from vectorkit.collections.buffer import Batch
from vectorkit.collections.state import (
    CAPACITY_MIN,
    CollectionState,
    aligned_zeros,
    grown_capacity,
)
from vectorkit.kernels.canonical import stored_norms
from vectorkit.types import Float32Array, Int32Array, Metric

State = Any
"""What a backend keeps on its devices; opaque to everyone else."""

Encoded = tuple[Any, ...]
"""A padded batch of rows, ready for one scatter into a state."""

Placement: TypeAlias = jax.Device | jax.sharding.Sharding


class Backend(ABC):
    """How one kind of collection keeps its rows."""

    is_exact: bool

    @abstractmethod
    def empty(self) -> State:
        """A state without rows, with room for `CAPACITY_MIN`."""

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
        """A new state with room for `capacity` rows; the old one stays."""

    @abstractmethod
    def read(self, state: State, slots: Int32Array) -> Array | Float32Array:
        """The stored rows (count, dim) at these slots."""

    @abstractmethod
    def rows(self, state: State, count: int) -> Float32Array:
        """The first `count` stored rows on the host; they may share the state's memory."""

    def wait(self, state: State) -> None:
        """Return when the state is there and no memory of a caller is read any more."""
        for array in self.arrays(state).values():
            array.block_until_ready()

    def parameters(self, state: State) -> bytes:
        """What a codec has learned, for digests: nothing where there is nothing to learn."""
        return b""

    @abstractmethod
    def content(self, state: State, count: int) -> Mapping[str, NDArray[Any]]:
        """Host arrays that `adopt` makes an equal state of; they may share the state's memory.

        The first `count` rows, and what a codec has learned.
        """

    @abstractmethod
    def adopt(self, content: Mapping[str, NDArray[Any]], count: int) -> State:
        """A new state of what `content` has named, with the room that `count` rows are given."""

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
        written: CollectionState = write(state, *encoded)
        return written

    def move(
        self, state: CollectionState, sources: Int32Array, targets: Int32Array, *, in_place: bool
    ) -> CollectionState:
        """One gather and one scatter."""
        move = compiled.move_in_place if in_place else compiled.move_copy
        moved: CollectionState = move(state, sources, targets)
        return moved

    def grow(self, state: CollectionState, capacity: int) -> CollectionState:
        """The arrays, padded with zeros."""
        grown: CollectionState = compiled.grow(state, capacity=capacity)
        return grown

    def read(self, state: CollectionState, slots: Int32Array) -> Array:
        """One gather, not waited for."""
        found: Array = compiled.read(state, slots)
        return found

    def rows(self, state: CollectionState, count: int) -> Float32Array:
        """The bits that were put in."""
        return np.asarray(state.rows)[:count]

    def content(self, state: CollectionState, count: int) -> Mapping[str, NDArray[Any]]:
        """The rows; norms are made of them."""
        return {"rows": self.rows(state, count)}

    def adopt(self, content: Mapping[str, NDArray[Any]], count: int) -> CollectionState:
        """The rows behind each other in memory that a CPU device takes without another copy."""
        capacity = self.capacity_for(count)
        rows = aligned_zeros((capacity, self.dim))
        rows[:count] = content["rows"]
        norms = np.zeros(capacity, np.float32)
        norms[:count] = stored_norms(rows[:count])
        return CollectionState(
            rows=jax.device_put(rows, self.placement), norms=jax.device_put(norms, self.placement)
        )

    def capacity_for(self, count: int) -> int:
        """How much room a state gets that begins with `count` rows."""
        return max(CAPACITY_MIN, grown_capacity(0, count))

    def arrays(self, state: CollectionState) -> Mapping[str, Array]:
        """Rows and norms."""
        return {"rows": state.rows, "norms": state.norms}
