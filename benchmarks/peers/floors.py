"""What no store can beat: the work without the store around it."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import numpy as np

from benchmarks.peers.base import Store, Write


class NumpyDict(Store):
    """An array and a dict: nothing checked, no device; deletes move the last rows."""

    def load(self, ids: Sequence[str], rows: np.ndarray) -> None:
        self.slot_of = {row_id: slot for slot, row_id in enumerate(ids)}
        self.ids = list(ids)
        self.rows = np.empty((2 * len(rows), rows.shape[1]), np.float32)
        self.rows[: len(rows)] = rows

    def update_one(self, row_id: str, row: np.ndarray) -> None:
        self.rows[self.slot_of[row_id]] = row

    def update(self, ids: Sequence[str], rows: np.ndarray) -> None:
        self.rows[[self.slot_of[row_id] for row_id in ids]] = rows

    def insert(self, ids: Sequence[str], rows: np.ndarray) -> None:
        start = len(self.ids)
        if start + len(ids) > len(self.rows):
            spare = np.empty((start + len(ids), self.rows.shape[1]), np.float32)
            self.rows = np.concatenate([self.rows[:start], spare])
        self.rows[start : start + len(ids)] = rows
        self.slot_of.update((row_id, start + each) for each, row_id in enumerate(ids))
        self.ids += ids

    def delete(self, ids: Sequence[str]) -> None:
        for row_id in ids:
            slot, last = self.slot_of.pop(row_id), self.ids.pop()
            if last != row_id:
                self.rows[slot] = self.rows[len(self.ids)]
                self.ids[slot], self.slot_of[last] = last, slot

    def search(self, queries: np.ndarray, k: int) -> Any:
        scores = queries @ self.rows[: len(self.ids)].T
        width = min(k, scores.shape[1])
        best = np.argpartition(scores, -width, axis=1)[:, -width:]
        order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1, kind="stable")
        slots = np.take_along_axis(best, order, axis=1).tolist()
        return [[self.ids[slot] for slot in each] for each in slots]

    def get(self, row_id: str) -> np.ndarray:
        return self.rows[self.slot_of[row_id]].copy()

    def update_and_get(self, ids: Sequence[str], rows: np.ndarray) -> None:
        for row_id, row in zip(ids, rows, strict=True):
            self.update_one(row_id, row)
            self.get(row_id)

    def held_bytes(self) -> int:
        return self.rows.nbytes


class Floor:
    """Part of the work of a store, with the rows on JAX's device."""

    has_jax: ClassVar[bool] = True

    def __init__(self, cores: int) -> None:
        self.cores = cores

    def load(self, ids: Sequence[str], rows: np.ndarray) -> None:
        import jax

        self.slot_of = {row_id: slot for slot, row_id in enumerate(ids)}
        self.rows = jax.numpy.array(rows)
        self.run = self.program()

    def program(self) -> Any:
        """The jitted function that is timed."""


class Scatter(Floor):
    """JAX's own scatter into donated memory, with the slots known before the clock starts."""

    def program(self) -> Any:
        import jax

        return jax.jit(
            lambda old, slots, new: old.at[slots].set(new, mode="drop"), donate_argnums=0
        )

    def prepare(self, writes: Sequence[Write]) -> None:
        """Look the slots of the next `update_batches` up."""
        self.slots = [
            np.array([self.slot_of[row_id] for row_id in ids], np.int32) for ids, _ in writes
        ]

    def update_batches(self, writes: Sequence[Write]) -> None:
        for slots, (_, rows) in zip(self.slots, writes, strict=True):
            self.rows = self.run(self.rows, slots, rows)
        self.rows.block_until_ready()


class Sum(Floor):
    """Read every byte in one jitted sum."""

    def program(self) -> Any:
        import jax

        return jax.jit(jax.numpy.sum)

    def search(self, queries: np.ndarray, k: int) -> None:
        self.run(self.rows).block_until_ready()


class Max(Floor):
    """Read every byte by NumPy in two threads."""

    has_jax = False

    def load(self, ids: Sequence[str], rows: np.ndarray) -> None:
        self.halves = np.array_split(rows, 2)
        self.pool = ThreadPoolExecutor(2)

    def search(self, queries: np.ndarray, k: int) -> None:
        list(self.pool.map(np.max, self.halves))


class RowsFirst(Floor):
    """The plain product without any choice of the best."""

    def program(self) -> Any:
        import jax

        return jax.jit(lambda rows, queries: rows @ queries.T)

    def search(self, queries: np.ndarray, k: int) -> None:
        self.run(self.rows, queries).block_until_ready()


class QueriesFirst(RowsFirst):
    """The same in its other orientation."""

    def program(self) -> Any:
        import jax

        return jax.jit(lambda rows, queries: queries @ rows.T)
