"""An interrupt while JAX compiles a program: it neither fails for ever nor loses rows later.

JAX 0.10 to 0.12 notes in a table what it is about to trace, then calls a function of
`jax/_src/util.py`. An exception that arrives in that function leaves the note, and from then on JAX
refuses the same program with RecursionError. Here one arrives at each such call in turn.
"""

import itertools
from functools import partial

import jax
import jax._src.pjit
import jax._src.util
import numpy as np
import pytest
from jax._src import core

from tests import interrupts
from vectorkit.collections import CpuCollection, QuantizedCollection, ShardedCollection
from vectorkit.collections.backends import compiled
from vectorkit.collections.storage import storage

FILES = interrupts.files_of(jax._src.util)
DIMS = itertools.count(900)
"""Every call gets a dimension of its own, so that its programs are not compiled yet."""

KINDS = {
    "cpu": lambda dim: CpuCollection(dim=dim),
    "sharded": lambda dim: ShardedCollection(dim=dim),
    "binary": lambda dim: QuantizedCollection(dim=dim, codec="binary", rows="host"),
}


def used(made):
    """Every program of a collection: write, grow, copy, move, read, and a search of each path."""
    query = np.eye(1, made.dim)[0]
    made.upsert(range(3), np.eye(3, made.dim), [{"n": row} for row in range(3)])
    held = made.snapshot()
    made.delete([1])
    made.upsert(range(3, 100), np.ones((97, made.dim)))
    found = made.search(query, 1).ids, made.search(query, 1, where={"n": 2}).ids
    return found, held.ids(), made.ids()[:3], [made.get(row).vector[:3].tolist() for row in (0, 2)]


def notes(call):
    """The bytecodes of `call` at which JAX has just made a note."""
    points, number, last = [], 0, 0

    def see(code, _):
        nonlocal number, last
        number += 1
        if code.co_qualname == "_weakref_lru_cache.<locals>.<lambda>":
            if last != number - 1:
                points.append(number)
            last = number

    interrupts._run(call, see, FILES)
    return points


@pytest.mark.parametrize("kind", KINDS)
def test_a_program_whose_compilation_was_interrupted_is_compiled_by_the_next_call(kind):
    expected = used(KINDS[kind](next(DIMS)))
    points = notes(lambda: used(KINDS[kind](next(DIMS))))
    assert len(points) > 40
    for point in points[5 :: len(points) // 2]:
        dim = next(DIMS)
        assert interrupts.interrupted_at(point, lambda: used(KINDS[kind](dim)), FILES)  # noqa: B023
        assert used(KINDS[kind](dim)) == expected


def test_programs_that_donate_are_compiled_before_they_take_rows_after_caches_were_cleared():
    dim = next(DIMS)
    made = CpuCollection(dim=dim)
    made.upsert(range(3), np.eye(3, dim))
    for point in range(5, 200, 40):
        made.update_vector(1, np.full(dim, point))
        jax.clear_caches()
        assert interrupts.interrupted_at(point, made.digest, FILES)
        assert made.get(1).vector.tolist() == [point] * dim
        assert made.get(2).vector.tolist() == np.eye(3, dim)[2].tolist()


JAX, PJIT = interrupts.files_of(jax), interrupts.files_of(jax._src.pjit)


def bytecodes(call, files):
    """How many bytecodes of these files a call runs."""
    count = itertools.count()
    interrupts._run(call, lambda *_: next(count), files)
    return next(count)


def moved(dim):
    """A program that donates, warmed up for rows of this dimension, and a call of it."""
    rows = np.ones((8, dim), np.float32), np.ones(8, np.float32)
    arrays = jax.device_put(rows, jax.devices()[0])
    slots = np.arange(4, dtype=np.int32)
    arguments = slots, slots + 4, dim
    warm_up = partial(compiled.warm_up, compiled.move_in_place, arrays, arguments)
    return warm_up, lambda: compiled.move_in_place(arrays, *arguments)


def test_a_program_whose_warm_up_was_interrupted_is_one_call_of_c_after_the_next():
    warm_up, _ = moved(next(DIMS))
    total = bytecodes(warm_up, JAX)
    for point in range(total // 10, total, total // 6):
        warm_up, move = moved(next(DIMS))
        try:
            interrupts.interrupted_at(point, warm_up, JAX)
        except Exception:
            continue
        warm_up()
        assert bytecodes(move, PJIT) == 0, point
        assert bytecodes(warm_up, PJIT) == 0


def test_rows_survive_an_interrupt_of_the_first_write_after_an_interrupted_compilation():
    dim = next(DIMS)

    def made():
        collection = CpuCollection(dim=dim)
        collection.upsert(range(5), np.eye(5, dim))
        return collection

    def delete(collection):
        collection.delete([0, 1])
        return collection

    expected = delete(CpuCollection.copy(made())).digest()
    jax.clear_caches()
    assert interrupts.interrupted_at(20_000, partial(delete, made()), JAX)
    delete(made())
    for point in range(1, 1_500, 50):
        struck = made()
        if not interrupts.interrupted_at(point, partial(delete, struck), PJIT):
            break
        if len(struck) == 3:
            assert struck.digest() == expected


@pytest.mark.parametrize("has_snapshot", [False, True], ids=["in place", "copied"])
def test_rows_stay_rows_where_jax_traces_still_after_an_exception_that_it_caught(
    has_snapshot, monkeypatch
):
    traces = []
    jax.jit(lambda x: traces.append(core.trace_ctx.trace) or x)(1.0)
    dim = next(DIMS)
    made = CpuCollection(dim=dim)
    made.upsert(range(3), np.eye(3, dim))
    held = made.snapshot() if has_snapshot else None
    made.update_vector(1, np.full(dim, 7))
    real = storage.warm_up

    def leaving(*arguments):
        real(*arguments)
        core.trace_ctx.set_trace(traces[0])

    try:
        monkeypatch.setattr(storage, "warm_up", leaving)
        if has_snapshot:
            core.trace_ctx.set_trace(traces[0])
        made.digest()
    finally:
        core.trace_ctx.set_trace(core.eval_trace)
    assert made.get(1).vector.tolist() == [7] * dim
    assert made.search(np.full(dim, 7), 1).ids == (1,)
    assert held is None or held.get(1).vector[1] == 1
