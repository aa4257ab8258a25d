"""Where rows live and how candidates are found: one backend for each kind of collection.

A backend holds no rows. It is a set of pure functions over values that only it understands, so
that storage, facade and search are the same for every kind. Rows are *blocks*: tuples of arrays
that are changed together by one program, of which some donates them. A *state* is what readers
get: all blocks, and what a codec has learned.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from vectorkit.collections import compiled
from vectorkit.collections.buffer import Batch
from vectorkit.collections.copies import packed, rebuilt
from vectorkit.collections.state import (
    CAPACITY_MIN,
    CollectionState,
    aligned_zeros,
    grown_capacity,
    padded,
)
from vectorkit.errors import InvalidOption
from vectorkit.kernels.canonical import (
    ScaledQueries,
    best_possible_outside,
    scaled_queries,
    stored_norms,
)
from vectorkit.kernels.select import NO_SLOT
from vectorkit.types import Float32Array, Int32Array, MaskArray, Metric

MARGIN: Final = 6
"""Candidates beyond k at the first attempt: 16 of them for the usual k = 10."""

PRODUCTS_AT_ONCE: Final = 1 << 33
"""Products of two numbers in one call of a CPU device: 64 queries over 262,144 × 384 take two cores
0.15 to 0.2 s. Half as many cost throughput: rows are read, or decoded, for too few queries."""

SELECTION_PRODUCTS: Final = 128
"""Comparing a score with the best ones costs as much as so many products of a longer vector."""

ACCELERATION: Final = 32
"""How many times as many any other device multiplies in the same time; most do far more."""

State = Any
"""Blocks and learned parameters, in the form that readers get; only the backend reads it."""

Learned = Any
"""A codec's learned parameters, immutable; None for a kind without a codec."""

Block = tuple[Array, ...]
"""Arrays with the slots as their first axis, changed together."""


class Step(NamedTuple):
    """One program for one of the blocks.

    Called with its arrays and the arguments, it returns them changed. Called again on these with
    the same arguments it changes nothing more. `in_place` donates the arrays that it is given;
    `warm` is the program to warm up for it.
    """

    block: int
    in_place: Callable[..., Block]
    copying: Callable[..., Block]
    warm: Callable[..., Block]
    arguments: tuple[Any, ...]


class Candidates(NamedTuple):
    """The rows that a backend proposes for each query.

    `slots` (batch, width), `NO_SLOT` where there are no more, `rows` (batch, width, dim), and
    `outside` (batch,): no other row can have a canonical score above it. None: there is no other
    row, or the backend does not promise anything.
    """

    slots: Int32Array
    rows: Float32Array
    outside: Float32Array | None


Pending = Callable[[], Candidates]
"""A search that a device has begun: calling it waits for the candidates."""

Placement: TypeAlias = jax.Device | jax.sharding.Sharding


class Backend(ABC):
    """How one kind of collection keeps its rows."""

    is_exact: bool

    keeps_rows: bool = True
    """Whether rows are read as the bits that were put in, not decoded."""

    products_at_once: int = PRODUCTS_AT_ONCE
    """How much one call of the device does of a search: about a fifth of a second's work."""

    def candidate_count(self, k: int) -> int:
        """How many candidates to propose for the k best."""
        return k + MARGIN

    @abstractmethod
    def empty(self) -> tuple[Learned, tuple[Block, ...]]:
        """Nothing learned, and blocks without rows, with room for `CAPACITY_MIN`."""

    @abstractmethod
    def state(self, learned: Learned, blocks: Sequence[Block]) -> State:
        """What readers get."""

    def capacity(self, blocks: Sequence[Block]) -> int:
        """How many rows the blocks have room for."""
        return int(blocks[0][0].shape[0])

    @abstractmethod
    def encode(self, learned: Learned, batch: Batch) -> tuple[Learned, tuple[Step, ...]]:
        """Return the learned parameters and the steps that write a batch of distinct slots.

        All work of a write that can fail, or that takes time on the host, is done here.
        """

    @abstractmethod
    def move(self, sources: Int32Array, targets: Int32Array) -> tuple[Step, ...]:
        """Return the steps that copy the rows at `sources` to `targets`; no slot is in both."""

    @abstractmethod
    def grow(self, blocks: Sequence[Block], capacity: int) -> tuple[Block, ...]:
        """Return new blocks for `capacity` rows; the old blocks do not change."""

    @abstractmethod
    def read(self, state: State, slots: Int32Array) -> Array | Float32Array:
        """The stored rows (count, dim) at these slots."""

    @abstractmethod
    def rows(self, state: State, count: int) -> Float32Array:
        """The first `count` stored rows on the host; they may share the state's memory."""

    @abstractmethod
    def prepare(self, queries: Float32Array) -> Any:
        """Queries (batch, dim) as `search` wants them: what needs no state is done here."""

    @abstractmethod
    def search(
        self, state: State, prepared: Any, count: int, mask: MaskArray | None, width: int, k: int
    ) -> Pending:
        """Begin to find `width` candidates among the first `count` rows, not waited for.

        `mask` (count,) takes rows out before anything is ranked. A backend that makes no promise
        may hand back fewer of them, the likeliest to be among the `k` best.
        """

    def needs_training(self, learned: Learned) -> bool:
        """Whether the next rows written are what a codec learns from."""
        return False

    def parameters(self, state: State) -> Mapping[str, NDArray[Any]]:
        """What a codec has learned: nothing where there is nothing to learn."""
        return {}

    def with_codebook(
        self, state: State, codebook: Float32Array, count: int
    ) -> tuple[Learned, tuple[Block, ...]]:
        """New blocks whose rows are encoded by what a codec has learned. Raises InvalidOption.

        Arrays of float32 rows are those of the state: who holds them holds the new blocks, too.
        """
        raise refused_codebook(codebook)

    def host_names(self) -> frozenset[str]:
        """Which of the arrays lie on the host although the others are on a device."""
        return frozenset()

    @abstractmethod
    def content(self, state: State, count: int) -> Mapping[str, NDArray[Any]]:
        """Host arrays that `adopt` makes an equal state of; they may share the state's memory.

        The first `count` rows, and what a codec has learned.
        """

    @abstractmethod
    def adopt(
        self, content: Mapping[str, NDArray[Any]], count: int
    ) -> tuple[Learned, tuple[Block, ...]]:
        """New blocks of what `content` has named, with the room that `count` rows are given."""

    @abstractmethod
    def arrays(self, state: State) -> Mapping[str, Array]:
        """The arrays of a state by name, for files and for counting bytes."""


def products_at_once(placement: Placement) -> int:
    """How much of a search takes about a fifth of a second there."""
    devices = {placement} if isinstance(placement, jax.Device) else placement.device_set
    is_cpu = any(device.platform == "cpu" for device in devices)
    return PRODUCTS_AT_ONCE if is_cpu else PRODUCTS_AT_ONCE * ACCELERATION


def refused_codebook(codebook: Float32Array) -> InvalidOption:
    """The error of a collection that is given a codebook or a centre and has no use for it."""
    return InvalidOption(
        "this collection has no codec that learns",
        got=f"a codebook or centre of shape {codebook.shape}",
        wanted="a quantized collection with codec='pq' or codec='binary'",
        remedy="retrain such a collection only",
    )


class ExactBackend(Backend):
    """Float32 rows and their norms on one device, or sharded over several."""

    is_exact = True

    def __init__(self, dim: int, metric: Metric, placement: Placement) -> None:
        self.dim = dim
        self.metric = metric
        self.placement = placement
        self.products_at_once = products_at_once(placement)

    def __reduce__(self) -> tuple[Any, ...]:
        return rebuilt, (type(self), *map(packed, (self.dim, self.metric, self.placement)))

    def empty(self) -> tuple[Learned, tuple[Block, ...]]:
        """Zeros, committed to the placement: every program follows them there."""
        rows = jnp.zeros((CAPACITY_MIN, self.dim), jnp.float32, device=self.placement)
        norms = jnp.zeros((CAPACITY_MIN,), jnp.float32, device=self.placement)
        return None, ((rows, norms),)

    def state(self, learned: Learned, blocks: Sequence[Block]) -> CollectionState:
        """The rows and norms of the one block."""
        return CollectionState(*blocks[0])

    def encode(self, learned: Learned, batch: Batch) -> tuple[Learned, tuple[Step, ...]]:
        """One scatter of rows and norms."""
        norms = np.zeros(len(batch.slots), np.float32)
        norms[: batch.row_count] = stored_norms(batch.rows[: batch.row_count])
        return None, (self._step("write", batch.slots, (batch.rows, norms)),)

    def move(self, sources: Int32Array, targets: Int32Array) -> tuple[Step, ...]:
        """One gather and one scatter."""
        return (self._step("move", sources, targets),)

    def grow(self, blocks: Sequence[Block], capacity: int) -> tuple[Block, ...]:
        """The arrays, padded with zeros."""
        return (compiled.grow(blocks[0], capacity=capacity, dim=self.dim),)

    def _step(self, name: str, *arguments: Any) -> Step:
        return step(0, name, *arguments, self.dim)

    def read(self, state: CollectionState, slots: Int32Array) -> Array:
        """One gather, not waited for."""
        (found,) = compiled.read((state.rows,), slots, dim=self.dim)
        rows: Array = found
        return rows

    def rows(self, state: CollectionState, count: int) -> Float32Array:
        """The bits that were put in."""
        return np.asarray(state.rows)[:count]

    def prepare(self, queries: Float32Array) -> ScaledQueries:
        """Queries of length one, or scaled by powers of two."""
        return scaled_queries(queries, self.metric)

    def search(
        self,
        state: CollectionState,
        prepared: ScaledQueries,
        count: int,
        mask: MaskArray | None,
        width: int,
        k: int,
    ) -> Pending:
        """Upper bounds of all scores, and the rows of the largest."""
        batch, capacity = len(prepared.targets), len(state.rows)
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
        state: CollectionState,
        prepared: ScaledQueries,
        count: int,
        mask: MaskArray | None,
        width: int,
    ) -> tuple[Array, Array, Array]:
        """Bounds, slots and rows of the candidates of padded queries."""
        found: tuple[Array, Array, Array] = compiled.search(
            (state.rows, state.norms),
            prepared.targets,
            prepared.scales,
            np.int32(count),
            mask,
            metric=self.metric,
            width=width,
        )
        return found

    def content(self, state: CollectionState, count: int) -> Mapping[str, NDArray[Any]]:
        """The rows; norms are made of them."""
        return {"rows": self.rows(state, count)}

    def adopt(
        self, content: Mapping[str, NDArray[Any]], count: int
    ) -> tuple[Learned, tuple[Block, ...]]:
        """The rows behind each other in memory that a CPU device takes without another copy."""
        capacity = self.capacity_for(count)
        rows = aligned_zeros((capacity, self.dim))
        rows[:count] = content["rows"]
        norms = np.zeros(capacity, np.float32)
        norms[:count] = stored_norms(rows[:count])
        return None, (tuple(jax.device_put((rows, norms), self.placement)),)

    def capacity_for(self, count: int) -> int:
        """How much room a state gets that begins with `count` rows."""
        return max(CAPACITY_MIN, grown_capacity(0, count))

    def arrays(self, state: CollectionState) -> Mapping[str, Array]:
        """Rows and norms."""
        return {"rows": state.rows, "norms": state.norms}


def step(block: int, name: str, *arguments: Any) -> Step:
    """A step by the programs of one name for arrays on one device."""
    in_place, copying = getattr(compiled, f"{name}_in_place"), getattr(compiled, f"{name}_copy")
    return Step(block, in_place, copying, compiled.DONATING[name], arguments)
