"""The kernels of rows that are dealt out over shards: no program moves rows between devices.

Arrays (capacity, …) are `shard_count` blocks of equal length, one a shard, and slots are dealt out
like cards: slot s is the row s // shard_count of block s % shard_count. So the shards fill evenly,
and growing makes every block longer where it lies.

Rows are gathered as integers. The compiler lets every shard put in what it has, zeros elsewhere,
and adds: in float32 that turns −0.0 into 0.0 and loses subnormals, in integers it keeps every bit.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec

from vectorkit.kernels.candidates import upper_bounds
from vectorkit.kernels.shapes import Array, Bool, Float, Int
from vectorkit.kernels.write import write_rows
from vectorkit.types import Metric

Rows = Float[Array, "capacity dim"]
Norms = Float[Array, " capacity"]


def places_of(slots: Int[Array, "*batch"], capacity: int, shard_count: int) -> Int[Array, "*batch"]:
    """Where in the arrays these slots lie; a slot at or beyond the capacity stays out of them."""
    places = slots % shard_count * (capacity // shard_count) + slots // shard_count
    return jnp.where(slots < capacity, places, capacity)


def write_sharded(
    rows: Rows,
    norms: Norms,
    slots: Int[Array, " batch"],
    new_rows: Float[Array, "batch dim"],
    new_norms: Float[Array, " batch"],
    shard_count: int,
) -> tuple[Rows, Norms]:
    """Put `new_rows` into `slots`; the slots below the capacity must be distinct."""
    places = places_of(slots, len(rows), shard_count)
    written, written_norms = write_rows((rows, norms), places, (new_rows, new_norms))
    return written, written_norms


def move_sharded(
    rows: Rows,
    norms: Norms,
    sources: Int[Array, " batch"],
    targets: Int[Array, " batch"],
    shard_count: int,
) -> tuple[Rows, Norms]:
    """Copy the rows at `sources` into `targets`; no slot may be in both."""
    taken = places_of(sources, len(rows), shard_count)
    moved, moved_norms = _gather(rows, taken), _gather(norms, taken)
    return write_sharded(rows, norms, targets, moved, moved_norms, shard_count)


def grow_sharded(
    rows: Rows, norms: Norms, capacity: int, shard_count: int
) -> tuple[Float[Array, "larger dim"], Float[Array, " larger"]]:
    """The same rows with room for `capacity` of them, a multiple of the number of shards."""
    extra = (capacity - len(rows)) // shard_count
    blocks = rows.reshape(shard_count, -1, rows.shape[1])
    norm_blocks = norms.reshape(shard_count, -1)
    return (
        jnp.pad(blocks, ((0, 0), (0, extra), (0, 0))).reshape(capacity, -1),
        jnp.pad(norm_blocks, ((0, 0), (0, extra))).reshape(capacity),
    )


def read_sharded(
    rows: Rows, slots: Int[Array, " batch"], shard_count: int
) -> Float[Array, "batch dim"]:
    """The rows at `slots`, in their order, bit for bit."""
    return _gather(rows, places_of(slots, len(rows), shard_count))


def pick_sharded(
    rows: Rows,
    norms: Norms,
    targets: Float[Array, "batch dim"],
    scales: Float[Array, " batch"],
    count: Int[Array, ""],
    mask: Bool[Array, " capacity"] | None,
    metric: Metric,
    width: int,
    placement: NamedSharding,
) -> tuple[
    Float[Array, "batch width"],
    Int[Array, "batch width"],
    Float[Array, "batch width dim"],
]:
    """What `pick_candidates` returns, from the best of every shard, merged by (bound, slot).

    Each shard picks by itself: `jax.shard_map` says so, since the compiler partitions no top-k and
    would send all scores to every device. A bound is always finite.
    """
    mesh, (axis,) = placement.mesh, placement.spec
    shard_count, capacity = mesh.shape[axis], len(rows)
    block = capacity // shard_count
    places = jnp.arange(capacity, dtype=jnp.int32)
    all_slots = places % block * shard_count + places // block
    is_wanted = all_slots < count if mask is None else (all_slots < count) & mask[all_slots]

    def pick(
        rows: Array, norms: Array, slots: Array, wanted: Array, targets: Array, scales: Array
    ) -> tuple[Array, Array]:
        bounds = upper_bounds(rows, norms, targets, scales, metric).T
        bounds, best = jax.lax.top_k(jnp.where(wanted, bounds, -jnp.inf), min(width, block))
        return bounds, slots[best]

    split, whole = PartitionSpec(axis), PartitionSpec()
    picked = jax.shard_map(
        pick,
        mesh=mesh,
        in_specs=(split, split, split, split, whole, whole),
        out_specs=PartitionSpec(None, axis),
    )(rows, norms, all_slots, is_wanted, targets, scales)
    bounds, slots = jax.lax.with_sharding_constraint(picked, NamedSharding(mesh, whole))
    negated, slots = jax.lax.sort((-bounds, slots), dimension=1, num_keys=2)
    bounds, slots = -negated[:, :width], slots[:, :width]
    return bounds, slots, _gather(rows, places_of(slots, capacity, shard_count))


def _gather(values: Float[Array, "capacity ..."], places: Int[Array, "*batch"]) -> Array:
    bits = jax.lax.bitcast_convert_type(values, jnp.int32)
    return jax.lax.bitcast_convert_type(bits[places], jnp.float32)
