"""This package's collections behind the interface of the peers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.peers.base import Store


class Vectorkit(Store):
    """A `CpuCollection`."""

    has_jax = True

    def load(self, ids: Sequence[str], rows: np.ndarray) -> None:
        import vectorkit as vk

        self.collection = vk.CpuCollection(dim=rows.shape[1], metric="dot")
        self.collection.upsert(ids, rows)

    def update_one(self, row_id: str, row: np.ndarray) -> None:
        self.collection.update_vector(row_id, row)

    def update(self, ids: Sequence[str], rows: np.ndarray) -> None:
        self.collection.update_vectors(ids, rows)

    def insert(self, ids: Sequence[str], rows: np.ndarray) -> None:
        self.collection.insert(ids, rows)

    def delete(self, ids: Sequence[str]) -> None:
        self.collection.delete(ids)

    def settle(self, row_id: str) -> None:
        """Read a row, so that what was accepted has reached the device."""
        self.collection.get(row_id)

    def search(self, queries: np.ndarray, k: int) -> Any:
        if len(queries) == 1:
            return [self.collection.search(queries[0], k).ids]
        return self.collection.search_many(queries, k).ids

    def update_and_get(self, ids: Sequence[str], rows: np.ndarray) -> None:
        for row_id, row in zip(ids, rows, strict=True):
            self.collection.update_vector(row_id, row)
            self.collection.get(row_id)

    def held_bytes(self) -> int:
        return self.collection.memory().total_bytes
