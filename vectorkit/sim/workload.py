"""A workload made concrete: its vectors, and each write as a function of its number."""

from __future__ import annotations

from typing import Final

import numpy as np

from vectorkit import datasets
from vectorkit.draws import address, below, draw_block, fold
from vectorkit.sim.options import Workload
from vectorkit.store import VectorStore
from vectorkit.types import Float32Array, Id, Payload
from vectorkit.units import NS_PER_MS

_KEY_STREAM: Final = 3
_TOWARDS_STREAM: Final = 4
_VECTOR_STREAM: Final = 5
_STEP: Final = np.float32(0.25)
_NS_PER_S: Final = 1_000 * NS_PER_MS


class Writes:
    """The rows at the start, and write i for every i: which row moves where, and when."""

    def __init__(self, workload: Workload, *, seed: int) -> None:
        self.workload = workload
        self._root = address(seed)
        self.ids, self.vectors, self.payloads = _source(workload.source, self._root)

    def load(self, store: VectorStore) -> None:
        """Put the rows of the source into a new collection."""
        name = self.workload.collection
        store.create_collection(name, dim=self.vectors.shape[1], metric=self.workload.metric)
        store.upsert(name, self.ids, self.vectors, payloads=self.payloads)

    def time_ns(self, number: int) -> int | None:
        """When write `number` = 0, 1, … happens; None where the load has no writes."""
        if self.workload.writes_per_s == 0:
            return None
        return round((number + 1) * _NS_PER_S / self.workload.writes_per_s)

    def make(self, store: VectorStore, number: int) -> None:
        """Move the drawn row a quarter of the way from its first vector towards another's."""
        count = len(self.ids)
        key = below(fold(self._root, _KEY_STREAM, number), count)
        towards = below(fold(self._root, _TOWARDS_STREAM, number), count)
        start = self.vectors[key]
        vector = start + (self.vectors[towards] - start) * _STEP
        store.update_vector(self.workload.collection, self.ids[key], vector)


def _source(
    source: str, root: int
) -> tuple[tuple[Id, ...], Float32Array, tuple[Payload, ...] | None]:
    name, _, size = source.partition(":")
    if name == "glove":
        words = datasets.glove(limit=int(size))
        return words.ids, words.vectors, words.payloads
    rows, dim = map(int, size.split("x"))
    drawn = draw_block(fold(root, _VECTOR_STREAM), rows * dim)
    numbers = (drawn >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-23) - np.float32(1)
    return tuple(range(rows)), numbers.reshape(rows, dim), None
