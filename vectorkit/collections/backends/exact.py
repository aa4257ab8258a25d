"""Float32 rows and their norms on one device, in chunks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import jax
import numpy as np
from jax import Array
from numpy.typing import NDArray

from vectorkit.collections.backends import compiled
from vectorkit.collections.backends.base import (
    Backend,
    Block,
    Candidates,
    Learned,
    Pending,
    Placement,
    ReadRows,
    Step,
    padded_move,
    products_at_once,
    step,
)
from vectorkit.collections.backends.buffer import Batch, padded_batch
from vectorkit.collections.backends.state import (
    CAPACITY_MIN,
    CHUNK_ROWS_MIN,
    aligned_zeros,
    by_chunk,
    chunk_length,
    grown_capacity,
    padded,
)
from vectorkit.collections.copies import packed, rebuilt
from vectorkit.kernels.canonical import (
    ScaledQueries,
    best_possible_outside,
    scaled_queries,
    stored_norms,
)
from vectorkit.kernels.select import NO_SLOT
from vectorkit.types import Float32Array, Int32Array, MaskArray, Metric

Chunks: TypeAlias = tuple[Block, ...]
"""Blocks (rows, norms) of equal length: slot s is the row s % length of block s // length."""


class ExactBackend(Backend):
    """Float32 rows and their norms in chunks on one device, or sharded over several.

    A snapshot holds the chunks of its state, and a later write copies only those that it changes.
    `chunk_rows_min` is the least number of rows of a chunk where there are several.
    """

    is_exact = True

    def __init__(
        self,
        dim: int,
        metric: Metric,
        placement: Placement,
        chunk_rows_min: int = CHUNK_ROWS_MIN,
    ) -> None:
        self.dim = dim
        self.metric = metric
        self.placement = placement
        self.products_at_once = products_at_once(placement)
        self._chunk_rows_min = chunk_rows_min

    def __reduce__(self) -> tuple[Any, ...]:
        options = (self.dim, self.metric, self.placement, self._chunk_rows_min)
        return rebuilt, (type(self), *map(packed, options))

    def empty(self) -> tuple[Learned, Chunks]:
        """Zeros, committed to the placement: every program follows them there."""
        return None, (self._zeros(CAPACITY_MIN),)

    def state(self, learned: Learned, blocks: Sequence[Block]) -> Chunks:
        """The chunks themselves."""
        return tuple(blocks)

    def capacity(self, blocks: Sequence[Block]) -> int:
        """The chunks are of equal length."""
        return len(blocks) * int(blocks[0][0].shape[0])

    def encode(self, learned: Learned, batch: Batch) -> tuple[Learned, tuple[Step, ...]]:
        """One scatter of rows and norms for each chunk."""
        norms, steps = stored_norms(batch.rows[: batch.row_count]), []
        for number, part, which in batch.in_chunks(self._chunk_length(batch.capacity)):
            own = np.zeros(len(part.slots), np.float32)
            own[: part.row_count] = norms[which]
            steps.append(self._step(number, "write", part.slots, (part.rows, own)))
        return None, tuple(steps)

    def move(
        self, blocks: Sequence[Block], sources: Int32Array, targets: Int32Array
    ) -> tuple[Step, ...]:
        """One gather and one scatter; between chunks the rows move over the host."""
        capacity = self.capacity(blocks)
        if len(blocks) == 1:
            return (self._step(0, "move", *padded_move(sources, targets, capacity)),)
        rows = self.read(tuple(blocks), sources)()
        return self.encode(None, padded_batch(targets, rows, capacity))[1]

    def grow(self, blocks: Sequence[Block], capacity: int) -> Chunks:
        """More chunks of the same length, or longer chunks; zeros behind the rows."""
        old, new = len(blocks[0][0]), self._chunk_length(capacity)
        if old == new:
            missing = range(len(blocks), capacity // new)
            return (*blocks, *[self._zeros(new) for _ in missing])
        grown: Chunks = compiled.grow(tuple(blocks), capacity=capacity, length=new, dim=self.dim)
        return grown

    def read(self, state: Chunks, slots: Int32Array) -> ReadRows:
        """One gather for each chunk that has some of the slots."""
        length, count = len(state[0][0]), len(slots)
        if len(state) == 1:
            found = self._gather(state[0], slots)
            return lambda: np.asarray(found)[:count]
        begun = [
            (which, len(slots[which]), self._gather(state[number], slots[which] - number * length))
            for number, which in by_chunk(slots, length)
        ]

        def wait() -> Float32Array:
            rows = np.empty((count, self.dim), np.float32)
            for which, size, found in begun:
                rows[which] = np.asarray(found)[:size]
            return rows

        return wait

    def _gather(self, block: Block, slots: Int32Array) -> Array:
        (found,) = compiled.read(block[:1], padded(slots), dim=self.dim)
        rows: Array = found
        return rows

    def rows(self, state: Chunks, count: int, start: int = 0) -> Float32Array:
        """The bits that were put in, copied only where they lie in several chunks."""
        length, parts = len(state[0][0]), []
        for number in range(start // length, max(start, count - 1) // length + 1):
            first = number * length
            parts.append(np.asarray(state[number][0])[max(0, start - first) : count - first])
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def prepare(self, queries: Float32Array) -> ScaledQueries:
        """Queries of length one, or scaled by powers of two."""
        return scaled_queries(queries, self.metric)

    def search(
        self,
        state: Chunks,
        prepared: ScaledQueries,
        count: int,
        mask: MaskArray | None,
        width: int,
        k: int,
    ) -> Pending:
        """Upper bounds of all scores, and the rows of the largest."""
        batch, capacity = len(prepared.targets), self.capacity(state)
        queries = ScaledQueries(*[padded(each) for each in prepared])
        whole_mask = None if mask is None else padded(mask, capacity)
        width = min(width, capacity)
        bounds, slots, rows = self._find(state, queries, count, whole_mask, width)

        def wait() -> Candidates:
            ranks = np.asarray(bounds)[:batch]
            is_found = ranks > -np.inf
            places = np.where(is_found, np.asarray(slots)[:batch], NO_SLOT)
            outside = None
            if width < count and is_found[:, -1].all():
                outside = best_possible_outside(ranks[:, -1], prepared, self.metric)
            return Candidates(places, np.asarray(rows)[:batch], outside)

        return wait

    def _find(
        self,
        state: Chunks,
        prepared: ScaledQueries,
        count: int,
        mask: MaskArray | None,
        width: int,
    ) -> tuple[Array, Array, Array]:
        """Bounds, slots and rows of the candidates of padded queries."""
        found: tuple[Array, Array, Array] = compiled.search(
            state,
            prepared.targets,
            prepared.scales,
            np.int32(count),
            mask,
            metric=self.metric,
            width=width,
        )
        return found

    def content(self, state: Chunks, count: int) -> Mapping[str, NDArray[Any]]:
        """The rows; norms are made of them."""
        return {"rows": self.rows(state, count)}

    def adopt(self, content: Mapping[str, NDArray[Any]], count: int) -> tuple[Learned, Chunks]:
        """The rows in memory that a CPU device takes without another copy."""
        capacity, rows = max(CAPACITY_MIN, grown_capacity(0, count)), content["rows"]
        length = self._chunk_length(capacity)
        return None, tuple(
            [
                self._chunk(rows[start : start + length], length)
                for start in range(0, capacity, length)
            ]
        )

    def sizes(self, state: Chunks) -> Mapping[str, int]:
        """Rows and norms."""
        return {
            name: sum(block[place].nbytes for block in state)
            for place, name in enumerate(("rows", "norms"))
        }

    def _chunk(self, rows: Float32Array, length: int) -> Block:
        longer, norms = aligned_zeros((length, self.dim)), np.zeros(length, np.float32)
        longer[: len(rows)] = rows
        norms[: len(rows)] = stored_norms(longer[: len(rows)])
        return tuple(jax.device_put((longer, norms), self.placement))

    def _zeros(self, length: int) -> Block:
        # From the host: `jnp.zeros` would compile a program of its own for each shape.
        return self._chunk(np.zeros((0, self.dim), np.float32), length)

    def _chunk_length(self, capacity: int) -> int:
        return chunk_length(capacity, self._chunk_rows_min)

    def _step(self, block: int, name: str, *arguments: Any) -> Step:
        return step(block, name, *arguments, self.dim)
