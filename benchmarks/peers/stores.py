"""Whole stores that run in this process: qdrant's local mode, chroma, lancedb."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np

from benchmarks.peers.base import Keyed, Store

COLLECTION: Final = "rows"
BLOCK: Final = 4_096


class Qdrant(Keyed):
    """The client's own local mode, in memory."""

    def __init__(self, cores: int) -> None:
        from qdrant_client import QdrantClient, models

        super().__init__(cores)
        self.client, self.models = QdrantClient(":memory:"), models

    def load_keys(self, keys: np.ndarray, rows: np.ndarray) -> None:
        warnings.filterwarnings("ignore", message="Local mode is not recommended")
        if self.client.collection_exists(COLLECTION):
            self.client.delete_collection(COLLECTION)
        size = self.models.VectorParams(size=rows.shape[1], distance=self.models.Distance.DOT)
        self.client.create_collection(COLLECTION, vectors_config=size)
        self.insert_keys(keys, rows)

    def insert_keys(self, keys: np.ndarray, rows: np.ndarray) -> None:
        self.client.upload_collection(COLLECTION, vectors=rows, ids=keys.tolist())

    def delete_keys(self, keys: np.ndarray) -> None:
        self.client.delete(COLLECTION, points_selector=keys.tolist())

    def update_keys(self, keys: np.ndarray, rows: np.ndarray) -> None:
        points = [
            self.models.PointVectors(id=key, vector=row)
            for key, row in zip(keys.tolist(), rows.tolist(), strict=True)
        ]
        self.client.update_vectors(COLLECTION, points=points)

    def search_keys(self, queries: np.ndarray, k: int) -> np.ndarray:
        requests = [self.models.QueryRequest(query=row, limit=k) for row in queries.tolist()]
        found = self.client.query_batch_points(COLLECTION, requests=requests)
        return np.array([[point.id for point in each.points] for each in found])


class Chroma(Store):
    """An ephemeral client: a graph, and everything else in SQLite."""

    def __init__(self, cores: int) -> None:
        import chromadb

        super().__init__(cores)
        self.client = chromadb.EphemeralClient(chromadb.Settings(anonymized_telemetry=False))

    def load(self, ids: Sequence[str], rows: np.ndarray) -> None:
        if COLLECTION in [each.name for each in self.client.list_collections()]:
            self.client.delete_collection(COLLECTION)
        self.table = self.client.create_collection(
            COLLECTION, configuration={"hnsw": {"space": "ip", "num_threads": self.cores}}
        )
        self.insert(ids, rows)

    def insert(self, ids: Sequence[str], rows: np.ndarray) -> None:
        for some in blocks(len(ids)):
            self.table.add(ids=list(ids[some]), embeddings=rows[some])

    def update(self, ids: Sequence[str], rows: np.ndarray) -> None:
        for some in blocks(len(ids)):
            self.table.update(ids=list(ids[some]), embeddings=rows[some])

    def delete(self, ids: Sequence[str]) -> None:
        for some in blocks(len(ids)):
            self.table.delete(ids=list(ids[some]))

    def search(self, queries: np.ndarray, k: int) -> Any:
        return self.table.query(query_embeddings=queries, n_results=k, include=[])["ids"]


class Lance(Store):
    """A table on disk without an index: its search reads every row."""

    def __init__(self, cores: int) -> None:
        import lancedb

        super().__init__(cores)
        self.folder = tempfile.TemporaryDirectory()
        self.connection = lancedb.connect(self.folder.name)

    def load(self, ids: Sequence[str], rows: np.ndarray) -> None:
        table = self._table(ids, rows)
        self.table = self.connection.create_table(COLLECTION, table, mode="overwrite")

    def insert(self, ids: Sequence[str], rows: np.ndarray) -> None:
        self.table.add(self._table(ids, rows))

    def update(self, ids: Sequence[str], rows: np.ndarray) -> None:
        merge = self.table.merge_insert("id").when_matched_update_all()
        merge.execute(self._table(ids, rows))

    def delete(self, ids: Sequence[str]) -> None:
        quoted = ", ".join(f"'{row_id}'" for row_id in ids)
        self.table.delete(f"id IN ({quoted})")

    def search(self, queries: np.ndarray, k: int) -> Any:
        return [
            self.table.search(query)
            .distance_type("dot")
            .limit(k)
            .select(["id", "_distance"])
            .to_arrow()["id"]
            .to_pylist()
            for query in queries
        ]

    def _table(self, ids: Sequence[str], rows: np.ndarray) -> Any:
        import pyarrow as pa

        flat = pa.array(np.ascontiguousarray(rows).ravel())
        vectors = pa.FixedSizeListArray.from_arrays(flat, rows.shape[1])
        return pa.table({"id": pa.array(list(ids)), "vector": vectors})


def blocks(count: int) -> Iterator[slice]:
    """Slices of as many rows as chroma takes at once."""
    return (slice(start, start + BLOCK) for start in range(0, count, BLOCK))
