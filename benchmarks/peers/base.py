"""What a store can be asked to do, one call or a timed stretch of calls."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

Write = tuple[Sequence[str], np.ndarray]


class Store(ABC):
    """One competitor. Packages are imported when it is made, so that a missing one is an error."""

    has_jax: ClassVar[bool] = False

    def __init__(self, cores: int) -> None:
        self.cores = cores
        self.row_count_max = 0

    def expect(self, row_count_max: int) -> None:
        """Be told, before the load, of so many rows at a time: some cannot grow."""
        self.row_count_max = row_count_max

    @abstractmethod
    def load(self, ids: Sequence[str], rows: np.ndarray) -> None:
        """Hold these rows and nothing else."""

    @abstractmethod
    def update(self, ids: Sequence[str], rows: np.ndarray) -> None:
        """Replace the vectors of present rows."""

    @abstractmethod
    def insert(self, ids: Sequence[str], rows: np.ndarray) -> None:
        """Add rows that are not there."""

    @abstractmethod
    def delete(self, ids: Sequence[str]) -> None:
        """Take out rows that are there."""

    @abstractmethod
    def search(self, queries: np.ndarray, k: int) -> Any:
        """The ids of the k best rows for each query, best first."""

    def update_one(self, row_id: str, row: np.ndarray) -> None:
        self.update([row_id], row[None, :])

    def settle(self, row_id: str) -> Any:
        """Let everything that was accepted take effect; most stores hold nothing back."""
        return None

    def update_each(self, ids: Sequence[str], rows: np.ndarray) -> None:
        """One row a call."""
        update = self.update_one
        for row_id, row in zip(ids, rows, strict=True):
            update(row_id, row)
        self.settle(ids[0])

    def update_batches(self, writes: Sequence[Write]) -> None:
        """One batch a call."""
        for ids, rows in writes:
            self.update(ids, rows)
        self.settle(writes[0][0][0])

    def update_and_search(self, ids: Sequence[str], rows: np.ndarray, k: int) -> None:
        """An update and a search in turn: nothing can be held back."""
        for row_id, row in zip(ids, rows, strict=True):
            self.update_one(row_id, row)
            self.search(row[None, :], k)

    def held_bytes(self) -> int:
        """What it says that it holds; 0 where it does not say."""
        return 0


class Keyed(Store):
    """A store that knows whole numbers only: a dict from texts to keys in front, one behind."""

    def load(self, ids: Sequence[str], rows: np.ndarray) -> None:
        self.key_of = {row_id: key for key, row_id in enumerate(ids)}
        self.id_of = dict(enumerate(ids))
        self.next_key = len(ids)
        self.load_keys(np.arange(len(ids), dtype=np.int64), rows)

    def update(self, ids: Sequence[str], rows: np.ndarray) -> None:
        self.update_keys(self.keys(ids), rows)

    def insert(self, ids: Sequence[str], rows: np.ndarray) -> None:
        keys = np.arange(self.next_key, self.next_key + len(ids), dtype=np.int64)
        self.next_key += len(ids)
        self.insert_keys(keys, rows)
        self.key_of.update(zip(ids, keys.tolist(), strict=True))
        self.id_of.update(zip(keys.tolist(), ids, strict=True))

    def delete(self, ids: Sequence[str]) -> None:
        self.delete_keys(self.keys(ids))
        for row_id in ids:
            del self.id_of[self.key_of.pop(row_id)]

    def search(self, queries: np.ndarray, k: int) -> Any:
        found = self.search_keys(queries, k).tolist()
        return [[self.id_of.get(key) for key in each] for each in found]

    def keys(self, ids: Sequence[str]) -> np.ndarray:
        return np.array([self.key_of[row_id] for row_id in ids], np.int64)

    @abstractmethod
    def load_keys(self, keys: np.ndarray, rows: np.ndarray) -> None: ...

    @abstractmethod
    def update_keys(self, keys: np.ndarray, rows: np.ndarray) -> None: ...

    @abstractmethod
    def insert_keys(self, keys: np.ndarray, rows: np.ndarray) -> None: ...

    @abstractmethod
    def delete_keys(self, keys: np.ndarray) -> None: ...

    @abstractmethod
    def search_keys(self, queries: np.ndarray, k: int) -> np.ndarray: ...
