"""Where rows live and how candidates are found: one backend for each kind of collection.

A backend holds no rows. It is a set of pure functions over values that only it understands, so
that storage, facade and search are the same for every kind. Rows are *blocks*: tuples of arrays
that one program changes together, and that it may donate. A *state* is what readers get: all
blocks, and what a codec has learned.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import jax
import numpy as np
from jax import Array
from numpy.typing import NDArray

from vectorkit.collections.backends import compiled
from vectorkit.collections.backends.buffer import Batch
from vectorkit.collections.backends.state import padded_size
from vectorkit.errors import InvalidOption
from vectorkit.types import Float32Array, Int32Array, MaskArray

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
"""Arrays that are changed together, with the slots of one range as their first axis."""

ReadRows = Callable[[], Float32Array]
"""A read that a device has begun: calling it waits for the rows (count, dim)."""


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

    @abstractmethod
    def capacity(self, blocks: Sequence[Block]) -> int:
        """How many rows the blocks have room for."""

    @abstractmethod
    def encode(self, learned: Learned, batch: Batch) -> tuple[Learned, tuple[Step, ...]]:
        """Return the learned parameters and the steps that write a batch of distinct slots.

        All work of a write that can fail, or that takes time on the host, is done here.
        """

    @abstractmethod
    def move(
        self, blocks: Sequence[Block], sources: Int32Array, targets: Int32Array
    ) -> tuple[Step, ...]:
        """Return the steps that copy the rows at `sources` to `targets`; no slot is in both."""

    @abstractmethod
    def grow(self, blocks: Sequence[Block], capacity: int) -> tuple[Block, ...]:
        """Return blocks for `capacity` rows.

        The old blocks do not change, and may be some of the new ones.
        """

    @abstractmethod
    def read(self, state: State, slots: Int32Array) -> ReadRows:
        """Begin to read the stored rows at these slots, in their order."""

    @abstractmethod
    def rows(self, state: State, count: int, start: int = 0) -> Float32Array:
        """The stored rows from `start` up to `count` on the host.

        They may share the state's memory; then they are read-only.
        """

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
    def sizes(self, state: State) -> Mapping[str, int]:
        """The bytes of a state's arrays by name."""


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


def padded_move(
    sources: Int32Array, targets: Int32Array, capacity: int
) -> tuple[Int32Array, Int32Array]:
    """Sources and targets, padded for one program; it drops a target at the capacity."""
    size = padded_size(len(sources))
    padded_sources, padded_targets = np.zeros(size, np.int32), np.full(size, capacity, np.int32)
    padded_sources[: len(sources)] = sources
    padded_targets[: len(targets)] = targets
    return padded_sources, padded_targets


def step(block: int, name: str, *arguments: Any) -> Step:
    """A step by the programs of one name for arrays on one device."""
    in_place, copying = getattr(compiled, f"{name}_in_place"), getattr(compiled, f"{name}_copy")
    return Step(block, in_place, copying, compiled.DONATING[name], arguments)
