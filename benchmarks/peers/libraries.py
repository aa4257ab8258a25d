"""Index libraries: faiss, hnswlib, turbovec, usearch. They know whole numbers only."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.peers.base import Keyed
from benchmarks.peers.floors import NumpyDict


class UsearchExact(NumpyDict):
    """usearch's exact search needs no index: it reads the rows of an array."""

    def __init__(self, cores: int) -> None:
        from usearch.index import MetricKind, search

        super().__init__(cores)
        self.metric, self.find = MetricKind.IP, search

    def search(self, queries: np.ndarray, k: int) -> Any:
        rows = self.rows[: len(self.ids)]
        found = self.find(rows, queries, k, self.metric, exact=True, threads=self.cores)
        keys = np.asarray(found.keys, np.int64).reshape(len(queries), -1).tolist()
        return [[self.ids[key] for key in each] for each in keys]


class UsearchIndex(Keyed):
    """A graph; an update takes the key out and adds it again."""

    def __init__(self, cores: int) -> None:
        from usearch.index import Index

        super().__init__(cores)
        self.make = Index

    def load_keys(self, keys: np.ndarray, rows: np.ndarray) -> None:
        self.index = self.make(ndim=rows.shape[1], metric="ip", dtype="f32")
        self.insert_keys(keys, rows)

    def insert_keys(self, keys: np.ndarray, rows: np.ndarray) -> None:
        self.index.add(keys, rows, threads=self.cores)

    def delete_keys(self, keys: np.ndarray) -> None:
        self.index.remove(keys, threads=self.cores)

    def update_keys(self, keys: np.ndarray, rows: np.ndarray) -> None:
        self.delete_keys(keys)
        self.insert_keys(keys, rows)

    def search_keys(self, queries: np.ndarray, k: int) -> np.ndarray:
        found = self.index.search(queries, k, threads=self.cores)
        return np.asarray(found.keys, np.int64).reshape(len(queries), -1)

    def held_bytes(self) -> int:
        return int(self.index.memory_usage)


class Faiss(Keyed):
    """`IndexFlatIP` by id; an update takes the id out and adds it again."""

    def __init__(self, cores: int) -> None:
        import faiss

        super().__init__(cores)
        faiss.omp_set_num_threads(cores)
        self.faiss = faiss

    def load_keys(self, keys: np.ndarray, rows: np.ndarray) -> None:
        self.index = self.faiss.IndexIDMap2(self.faiss.IndexFlatIP(rows.shape[1]))
        self.insert_keys(keys, rows)

    def insert_keys(self, keys: np.ndarray, rows: np.ndarray) -> None:
        self.index.add_with_ids(rows, keys)

    def delete_keys(self, keys: np.ndarray) -> None:
        self.index.remove_ids(keys)

    def update_keys(self, keys: np.ndarray, rows: np.ndarray) -> None:
        self.delete_keys(keys)
        self.insert_keys(keys, rows)

    def search_keys(self, queries: np.ndarray, k: int) -> np.ndarray:
        return self.index.search(queries, k)[1]


class FaissIvf(Faiss):
    """`IndexIVFFlat`, the one index of faiss that updates; its keys lie in a hash table."""

    def load_keys(self, keys: np.ndarray, rows: np.ndarray) -> None:
        lists = max(1, int(len(rows) ** 0.5))
        self.quantizer = self.faiss.IndexFlatIP(rows.shape[1])
        kind = self.faiss.METRIC_INNER_PRODUCT
        self.index = self.faiss.IndexIVFFlat(self.quantizer, rows.shape[1], lists, kind)
        self.index.cp.niter = 4
        self.index.cp.min_points_per_centroid = 1
        self.index.train(rows[: 64 * lists])
        self.index.set_direct_map_type(self.faiss.DirectMap.Hashtable)
        self.index.add_with_ids(rows, keys)
        self.index.nprobe = 8

    def delete_keys(self, keys: np.ndarray) -> None:
        self.index.remove_ids(self.faiss.IDSelectorArray(keys))

    def update_keys(self, keys: np.ndarray, rows: np.ndarray) -> None:
        self.index.update_vectors(keys, rows)


class Hnswlib(Keyed):
    """`BFIndex`, the brute-force index: adding a present label overwrites its row."""

    def __init__(self, cores: int) -> None:
        import hnswlib

        super().__init__(cores)
        self.make = hnswlib.BFIndex

    def load_keys(self, keys: np.ndarray, rows: np.ndarray) -> None:
        self.index = self.make(space="ip", dim=rows.shape[1])
        self.index.init_index(max_elements=max(len(rows), self.row_count_max))
        self.index.set_num_threads(self.cores)
        self.insert_keys(keys, rows)

    def insert_keys(self, keys: np.ndarray, rows: np.ndarray) -> None:
        self.index.add_items(rows, keys)

    def delete_keys(self, keys: np.ndarray) -> None:
        for key in keys.tolist():
            self.index.delete_vector(key)

    def update_keys(self, keys: np.ndarray, rows: np.ndarray) -> None:
        self.index.add_items(rows, keys)

    def search_keys(self, queries: np.ndarray, k: int) -> np.ndarray:
        return self.index.knn_query(queries, k, num_threads=self.cores)[0].astype(np.int64)


class Turbovec(Keyed):
    """4-bit codes, no float rows; an update takes the id out and adds it again."""

    def __init__(self, cores: int) -> None:
        from turbovec import IdMapIndex

        super().__init__(cores)
        self.make = IdMapIndex

    def load_keys(self, keys: np.ndarray, rows: np.ndarray) -> None:
        self.index = self.make(dim=rows.shape[1], bit_width=4)
        self.insert_keys(keys, rows)
        self.index.prepare()

    def insert_keys(self, keys: np.ndarray, rows: np.ndarray) -> None:
        self.index.add_with_ids(rows, keys.astype(np.uint64))

    def delete_keys(self, keys: np.ndarray) -> None:
        for key in keys.tolist():
            self.index.remove(key)

    def update_keys(self, keys: np.ndarray, rows: np.ndarray) -> None:
        self.delete_keys(keys)
        self.insert_keys(keys, rows)

    def search_keys(self, queries: np.ndarray, k: int) -> np.ndarray:
        return self.index.search(queries, k)[1].astype(np.int64)
