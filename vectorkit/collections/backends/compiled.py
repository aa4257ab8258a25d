"""The one table of jitted programs: kernels made into functions of a state's arrays.

A program whose name ends in `_in_place` donates the arrays that it is given: nobody else may hold
it. `trace_counts` and `traces` record what was traced, hence compiled.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Any, Final, NamedTuple

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from vectorkit.collections.execution.jax_context import plain_jax, program_settings
from vectorkit.kernels import candidates, rescoring, scanning, sharded, write
from vectorkit.kernels.chunks import Chunks, LongerChunks, capacity_of, regrouped
from vectorkit.kernels.scanning import TileScores
from vectorkit.kernels.shapes import Array, Bool, Float, Int
from vectorkit.kernels.write import Arrays, Rows
from vectorkit.types import Metric

trace_counts: Final[Counter[str]] = Counter()


class TracedProgram(NamedTuple):
    """One program, compiled for one set of shapes."""

    program: str
    dim: int
    capacity: int
    batch: int
    detail: str


traces: Final[list[TracedProgram]] = []
"""Every trace since the process began, in order."""


def record(program: str, dim: int, capacity: int, batch: int, detail: str = "") -> None:
    """Note that a program for arrays of `capacity` vectors of length `dim` is traced."""
    trace_counts[program] += 1
    traces.append(TracedProgram(program, dim, capacity, batch, detail))


class Program:
    """A jitted function whose next call works after an interrupt has broken its compilation off.

    JAX marks in a table what it is about to trace or lower. An exception at that moment can leave
    the mark, and then JAX refuses this program for the rest of the process, with RecursionError.
    Nothing has run and nothing is donated by then, so all tables are emptied and the call is made
    again. Programs that donate are not wrapped, since Python code after them could lose what they
    return: `warm_up` compiles them first.
    """

    def __init__(self, jitted: Callable[..., Any]) -> None:
        self.jitted = jitted

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Run it, compiled first where no call had these shapes."""
        try:
            found = self.jitted(*arguments, **options)
        except RecursionError as error:
            if not str(error).startswith("Recursively calling <weakref"):
                raise
            _empty_tables()
            found = self.jitted(*arguments, **options)
        if any(isinstance(each, jax.core.Tracer) for each in jax.tree.leaves(found)):
            # JAX caught an exception in code of its own that traces, and traces still.
            with plain_jax():
                return self.jitted(*arguments, **options)
        return found


def _empty_tables() -> None:
    """Let JAX forget all programs, also of its own inner functions: `clear_cache` is too little."""
    _warm.clear()  # First: an exception between the two must not leave keys of forgotten programs.
    jax.clear_caches()


def _program(function: Callable[..., Any], **options: Any) -> Program:
    return Program(jax.jit(function, **options))


def _write(arrays: Arrays, slots: Int[Array, " batch"], rows: Rows, dim: int) -> Arrays:
    record("write", dim, len(arrays[0]), len(slots))
    return write.write_rows(arrays, slots, rows)


def _move(
    arrays: Arrays, sources: Int[Array, " batch"], targets: Int[Array, " batch"], dim: int
) -> Arrays:
    record("move", dim, len(arrays[0]), len(sources))
    return write.move_rows(arrays, sources, targets)


def _grow(blocks: Chunks, capacity: int, length: int, dim: int) -> LongerChunks:
    record("grow", dim, capacity_of(blocks), capacity, f"to {capacity}")
    return regrouped(blocks, length, capacity // length)


def _read(arrays: Arrays, slots: Int[Array, " batch"], dim: int) -> Rows:
    record("read", dim, len(arrays[0]), len(slots))
    return write.read_rows(arrays, slots)


def _search(
    blocks: Chunks,
    targets: Float[Array, "batch dim"],
    scales: Float[Array, " batch"],
    count: Int[Array, ""],
    mask: Bool[Array, " capacity"] | None,
    metric: Metric,
    width: int,
) -> tuple[Array, Array, Array]:
    (batch, dim), detail = targets.shape, f"{metric}, {width} candidates"
    record("search", dim, capacity_of(blocks), batch, detail)
    return candidates.pick_candidates(blocks, targets, scales, count, mask, metric, width)


def _scan(
    codes: Arrays,
    prepared: dict[str, Array],
    count: Int[Array, ""],
    mask: Bool[Array, " capacity"] | None,
    tile_scores: TileScores,
    metric: Metric,
    width: int,
    dim: int,
) -> Array:
    record("scan", dim, len(codes[0]), len(prepared["norms"]), f"{metric}, {width} candidates")
    return scanning.scan_codes(codes, prepared, count, mask, tile_scores, metric, width, dim)


def _rescore(
    rows: Float[Array, "capacity dim"],
    queries: Float[Array, "batch dim"],
    slots: Int[Array, "batch width"],
    metric: Metric,
    width: int,
) -> tuple[Array, Array]:
    record("rescore", rows.shape[1], len(rows), len(queries), f"{metric}, {width} candidates")
    return rescoring.best_rows(rows, queries, slots, metric, width)


def _scan_and_rescore(
    codes: Arrays,
    prepared: dict[str, Array],
    count: Int[Array, ""],
    mask: Bool[Array, " capacity"] | None,
    rows: Float[Array, "capacity dim"],
    queries: Float[Array, "batch dim"],
    tile_scores: TileScores,
    metric: Metric,
    width: int,
    kept: int,
) -> tuple[Array, Array]:
    slots = _scan(codes, prepared, count, mask, tile_scores, metric, width, rows.shape[1])
    return rescoring.best_rows(rows, queries, slots, metric, kept)


write_copy: Final = _program(_write, static_argnames="dim")
write_in_place: Final = jax.jit(_write, donate_argnums=0, static_argnames="dim")
move_copy: Final = _program(_move, static_argnames="dim")
move_in_place: Final = jax.jit(_move, donate_argnums=0, static_argnames="dim")
grow: Final = _program(_grow, static_argnames=("capacity", "length", "dim"))
read: Final = _program(_read, static_argnames="dim")
search: Final = _program(_search, static_argnames=("metric", "width"))
scan: Final = _program(_scan, static_argnames=("tile_scores", "metric", "width", "dim"))
rescore: Final = _program(_rescore, static_argnames=("metric", "width"))
scan_and_rescore: Final = _program(
    _scan_and_rescore, static_argnames=("tile_scores", "metric", "width", "kept")
)

DONATING: Final = {"write": write_in_place, "move": move_in_place}
"""The programs that donate the arrays of a block."""

_warm: Final[dict[Any, set[tuple[Any, ...]]]] = {}
"""For each program that donates, the shapes and settings for which it is one call of C."""

_begun: Final[set[Any]] = set()
"""Programs whose warm-up has begun and not ended."""


def warm_up(program: Any, arrays: Arrays, arguments: tuple[Any, ...]) -> None:
    """Run a program that donates on zeros like `arrays`, once for their shapes and settings.

    The first call for such arrays traces and compiles, and goes on in Python after it has donated
    them: an exception there would lose them. Every later call is one of C from end to end, unless
    an exception broke the first one off: then JAX stays in Python for good, and only empty tables
    help. The arguments are NumPy arrays of fixed types, the first as long as the others, and
    perhaps a static one.
    """
    like = tuple([(each.shape, each.dtype, each.sharding) for each in arrays])
    key = (like, len(arguments[0]), arguments[2:], program_settings())
    if key in _warm.get(program, ()) and program._cache_size():
        return
    if program in _begun:
        _empty_tables()
    elif not program._cache_size():  # The user has emptied them.
        _warm.pop(program, None)
    warm = _warm.setdefault(program, set())
    zeros = [np.zeros(shape, dtype) for shape, dtype, _ in like]
    blank = tuple(jax.device_put(zeros, [sharding for *_, sharding in like]))
    _begun.add(program)
    try:
        jax.block_until_ready(Program(program)(blank, *arguments))
    except BaseException:
        _begun.add(program)  # Another thread may have ended its own warm-up meanwhile.
        raise
    warm.add(key)  # If another thread has emptied the tables, nobody finds this set any more.
    _begun.discard(program)


class ShardedPrograms(NamedTuple):
    """The same programs for rows over the devices of one mesh."""

    write_copy: Callable[..., Any]
    write_in_place: Callable[..., Any]
    move_copy: Callable[..., Any]
    move_in_place: Callable[..., Any]
    grow: Callable[..., Any]
    read: Callable[..., Any]
    search: Callable[..., Any]


@cache
def sharded_programs(placement: NamedSharding) -> ShardedPrograms:
    """Programs whose states never leave `placement` and whose answers every process can read."""
    mesh, (axis,) = placement.mesh, placement.spec
    count = mesh.shape[axis]
    everywhere = NamedSharding(mesh, PartitionSpec())

    def write(block: Arrays, slots: Array, new: Rows) -> Arrays:
        (rows, norms), (new_rows, new_norms) = block, new
        record("write", rows.shape[1], len(rows), len(slots))
        return sharded.write_sharded(rows, norms, slots, new_rows, new_norms, count)

    def move(block: Arrays, sources: Array, targets: Array) -> Arrays:
        rows, norms = block
        record("move", rows.shape[1], len(rows), len(sources))
        return sharded.move_sharded(rows, norms, sources, targets, count)

    def grow(block: Arrays, capacity: int) -> Arrays:
        rows, norms = block
        record("grow", rows.shape[1], len(rows), capacity, f"to {capacity}")
        return sharded.grow_sharded(rows, norms, capacity, count)

    def read(block: Arrays, slots: Array) -> Array:
        rows, _ = block
        record("read", rows.shape[1], len(rows), len(slots))
        return sharded.read_sharded(rows, slots, count)

    def search(
        block: Arrays,
        targets: Array,
        scales: Array,
        row_count: Array,
        mask: Array | None,
        metric: Metric,
        width: int,
    ) -> tuple[Array, Array, Array]:
        (rows, norms), detail = block, f"{metric}, {width} candidates"
        record("search", rows.shape[1], len(rows), len(targets), detail)
        return sharded.pick_sharded(
            rows, norms, targets, scales, row_count, mask, metric, width, placement
        )

    return ShardedPrograms(
        write_copy=_program(write, out_shardings=placement),
        write_in_place=jax.jit(write, out_shardings=placement, donate_argnums=0),
        move_copy=_program(move, out_shardings=placement),
        move_in_place=jax.jit(move, out_shardings=placement, donate_argnums=0),
        grow=_program(grow, out_shardings=placement, static_argnames="capacity"),
        read=_program(read, out_shardings=everywhere),
        search=_program(search, out_shardings=everywhere, static_argnames=("metric", "width")),
    )
