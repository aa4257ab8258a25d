"""The collection whose rows lie on all devices of a mesh."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

import jax
import numpy as np
from jax import Array
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from numpy.typing import NDArray

from vectorkit.collections.backends import compiled
from vectorkit.collections.backends.base import Backend, Block, Learned, ReadRows, Step, padded_move
from vectorkit.collections.backends.exact import Chunks, ExactBackend
from vectorkit.collections.backends.state import CAPACITY_MIN, grown_capacity, padded, padded_size
from vectorkit.collections.collection import Collection
from vectorkit.collections.copies import packed, rebuilt
from vectorkit.collections.validation import nearest
from vectorkit.collections.values.not_storable import short
from vectorkit.errors import InvalidOption
from vectorkit.kernels.canonical import ScaledQueries, stored_norms
from vectorkit.types import Float32Array, Int32Array, MaskArray, Metric

_READ_ROWS: Final = 1 << 14


class ShardedCollection(Collection):
    """Vectors by id in float32, dealt out over the devices of a mesh along one of its axes.

    The contract and the answers are those of `CpuCollection`, bit for bit. `mesh` is a
    `jax.sharding.Mesh`, by default all devices in one row; `axis` names the axis that the rows are
    spread over, and may be left out where the mesh has one only. In a program of several processes
    all of them make the same calls in the same order. Raises InvalidOption, InvalidDimension,
    UnknownMetric.

    >>> c = ShardedCollection(dim=2, metric="dot")
    >>> _ = c.upsert(["east", "north"], [[1, 0], [0, 1]])
    >>> c.search([3, 4], k=1)
    Matches(1 by dot: {'north': 4.0000})
    """

    kind: ClassVar[str] = "sharded"

    def __init__(
        self,
        *,
        dim: int,
        metric: str = "cosine",
        mesh: Mesh | None = None,
        axis: str | None = None,
        name: str = "",
    ) -> None:
        self.mesh = check_mesh(mesh)
        self.axis = check_axis(axis, self.mesh)
        super().__init__(dim=dim, metric=metric, name=name)

    def _make_backend(self) -> Backend:
        return ShardedBackend(self.dim, self.metric, self.mesh, self.axis)


class ShardedBackend(ExactBackend):
    """Float32 rows and norms, in equal shards of one array each; capacities are multiples of them.

    There is one chunk: a copy of it runs on all devices at the same time.
    """

    def __init__(self, dim: int, metric: Metric, mesh: Mesh, axis: Any) -> None:
        placement = NamedSharding(mesh, PartitionSpec(axis))
        super().__init__(dim, metric, placement)
        self._placement = placement
        self._shard_count: int = mesh.shape[axis]
        self._programs = compiled.sharded_programs(placement)

    def __reduce__(self) -> tuple[Any, ...]:
        mesh, (axis,) = self._placement.mesh, self._placement.spec
        return rebuilt, (type(self), *map(packed, (self.dim, self.metric, mesh, axis)))

    def _zeros(self, length: int) -> Block:
        return super()._zeros(self._rounded(length))

    def _chunk_length(self, capacity: int) -> int:
        return capacity

    def move(
        self, blocks: Sequence[Block], sources: Int32Array, targets: Int32Array
    ) -> tuple[Step, ...]:
        """Only moved rows travel."""
        return (self._step(0, "move", *padded_move(sources, targets, self.capacity(blocks))),)

    def grow(self, blocks: Sequence[Block], capacity: int) -> Chunks:
        """Longer shards, padded with zeros; no row changes its device."""
        grown: Block = self._programs.grow(blocks[0], capacity=self._rounded(capacity))
        return (grown,)

    def _step(self, block: int, name: str, *arguments: Any) -> Step:
        """Every device takes the rows of its own slots; only moved rows travel.

        The arguments are on all devices first: given NumPy arrays, a program for several devices
        distributes them in Python, and an exception there would lose the rows that it was given.
        """
        programs = self._programs
        in_place = getattr(programs, f"{name}_in_place")
        there = jax.tree.map(self._on_all_devices, arguments)
        return Step(block, in_place, getattr(programs, f"{name}_copy"), in_place, there)

    def _on_all_devices(self, array: NDArray[Any]) -> Array:
        everywhere = NamedSharding(self._placement.mesh, PartitionSpec())
        return jax.make_array_from_callback(array.shape, everywhere, array.__getitem__)

    def read(self, state: Chunks, slots: Int32Array) -> ReadRows:
        """One gather, to every device."""
        found: Array = self._programs.read(state[0], padded(slots))
        return lambda: np.asarray(found)[: len(slots)]

    def rows(self, state: Chunks, count: int, start: int = 0) -> Float32Array:
        """The bits that were put in, read piece by piece: no device ever holds them all."""
        rows = np.empty((count - start, self.dim), np.float32)
        size = min(_READ_ROWS, padded_size(len(rows)))
        for first in range(0, len(rows), size):
            piece = rows[first : first + size]
            slots = np.arange(start + first, start + first + size, dtype=np.int32)
            piece[:] = self.read(state, np.minimum(slots, count - 1))()[: len(piece)]
        return rows

    def adopt(self, content: Mapping[str, NDArray[Any]], count: int) -> tuple[Learned, Chunks]:
        """Rows and norms, dealt out on the host."""
        capacity = self._rounded(max(CAPACITY_MIN, grown_capacity(0, count)))
        slots = np.arange(count)
        places = slots % self._shard_count * (capacity // self._shard_count)
        places += slots // self._shard_count
        rows, norms = np.zeros((capacity, self.dim), np.float32), np.zeros(capacity, np.float32)
        rows[places], norms[places] = content["rows"], stored_norms(content["rows"])
        return None, (tuple(jax.device_put((rows, norms), self.placement)),)

    def _find(
        self,
        state: Chunks,
        prepared: ScaledQueries,
        count: int,
        mask: MaskArray | None,
        width: int,
    ) -> tuple[Array, Array, Array]:
        """The best of every shard, merged; only candidates travel."""
        found: tuple[Array, Array, Array] = self._programs.search(
            state[0],
            prepared.targets,
            prepared.scales,
            np.int32(count),
            mask,
            metric=self.metric,
            width=width,
        )
        return found

    def _rounded(self, capacity: int) -> int:
        return -(-capacity // self._shard_count) * self._shard_count


def check_mesh(mesh: object) -> Mesh:
    """This mesh, or one of all devices. How its arrays are sharded is left to the compiler."""
    if mesh is None:
        return Mesh(np.array(jax.devices()), ("rows",))
    if isinstance(mesh, Mesh) and mesh.size:
        return Mesh(mesh.devices, mesh.axis_names)
    raise InvalidOption(
        "rows cannot be spread over this",
        got=f"mesh={short(mesh)} ({type(mesh).__name__})",
        wanted="a jax.sharding.Mesh with devices, or None for all devices",
        remedy="pass jax.make_mesh((len(jax.devices()),), ('rows',))",
    )


def check_axis(axis: object, mesh: Mesh) -> Any:
    """The name of an axis of the mesh: this one, or its only one."""
    names = mesh.axis_names
    if axis is None and len(names) == 1:
        return names[0]
    if axis is not None and any(axis == name for name in names):
        return axis
    raise InvalidOption(
        "the mesh has several axes" if axis is None else "the mesh has no such axis",
        got=f"axis={short(axis)}",
        wanted=" or ".join(map(repr, names)),
        remedy="name the axis that rows are spread over"
        if axis is None
        else nearest(axis, map(str, names)),
        allowed=list(map(str, names)),
    )
