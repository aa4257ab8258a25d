"""Other vector stores behind one small interface, each through its public calls.

Ids are texts. A peer without them is given a dict, as its users would. `is_exact` says whether
`search` is meant to find the true neighbours; scores are inner products, rows are unit vectors.
"""

from __future__ import annotations

import tempfile
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Final

import numpy as np

COLLECTION: Final = "rows"
BLOCK: Final = 4_096


class Peer(ABC):
    """One competitor. Packages are imported when it is made, so that a missing one is an error."""

    name: ClassVar[str]
    is_exact: ClassVar[bool] = True
    cores: int

    def __init__(self, cores: int) -> None:
        self.cores = cores

    @abstractmethod
    def load(self, ids: Sequence[str], rows: np.ndarray) -> None:
        """Hold these rows and nothing else."""

    @abstractmethod
    def update_many(self, ids: Sequence[str], rows: np.ndarray) -> None:
        """Replace the vectors of present rows."""

    @abstractmethod
    def search(self, queries: np.ndarray, k: int) -> Any:
        """The ids of the k best rows for each query, best first."""

    def update_one(self, row_id: str, row: np.ndarray) -> None:
        self.update_many([row_id], row[None, :])


class Keyed(Peer):
    """A peer that knows whole numbers only: a dict in front, a list behind."""

    def load(self, ids: Sequence[str], rows: np.ndarray) -> None:
        self.slot_of = {row_id: slot for slot, row_id in enumerate(ids)}
        self.ids = np.array(ids, dtype=object)
        self.load_keys(np.arange(len(ids), dtype=np.int64), rows)

    def update_many(self, ids: Sequence[str], rows: np.ndarray) -> None:
        self.update_keys(np.array([self.slot_of[row_id] for row_id in ids], np.int64), rows)

    def search(self, queries: np.ndarray, k: int) -> Any:
        return self.ids[self.search_keys(queries, k)]

    @abstractmethod
    def load_keys(self, keys: np.ndarray, rows: np.ndarray) -> None: ...

    @abstractmethod
    def update_keys(self, keys: np.ndarray, rows: np.ndarray) -> None: ...

    @abstractmethod
    def search_keys(self, queries: np.ndarray, k: int) -> np.ndarray: ...


class NumpyDict(Keyed):
    """The floor: an array and a dict, nothing checked."""

    name = "numpy+dict"

    def load_keys(self, keys: np.ndarray, rows: np.ndarray) -> None:
        self.rows = rows.copy()

    def update_one(self, row_id: str, row: np.ndarray) -> None:
        self.rows[self.slot_of[row_id]] = row

    def update_keys(self, keys: np.ndarray, rows: np.ndarray) -> None:
        self.rows[keys] = rows

    def get(self, row_id: str) -> np.ndarray:
        return self.rows[self.slot_of[row_id]].copy()

    def search_keys(self, queries: np.ndarray, k: int) -> np.ndarray:
        scores = queries @ self.rows.T
        best = np.argpartition(scores, -k, axis=1)[:, -k:]
        order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1, kind="stable")
        return np.take_along_axis(best, order, axis=1)


class UsearchExact(NumpyDict):
    """usearch's exact search needs no index: it reads the rows of an array."""

    name = "usearch-exact"

    def __init__(self, cores: int) -> None:
        from usearch.index import MetricKind, search

        super().__init__(cores)
        self.metric, self.find = MetricKind.IP, search

    def search_keys(self, queries: np.ndarray, k: int) -> np.ndarray:
        found = self.find(self.rows, queries, k, self.metric, exact=True, threads=self.cores)
        return np.asarray(found.keys, np.int64).reshape(len(queries), -1)


class UsearchIndex(Keyed):
    """A graph; an update takes the key out and adds it again."""

    name = "usearch-index"
    is_exact = False

    def __init__(self, cores: int) -> None:
        from usearch.index import Index

        super().__init__(cores)
        self.make = Index

    def load_keys(self, keys: np.ndarray, rows: np.ndarray) -> None:
        self.index = self.make(ndim=rows.shape[1], metric="ip", dtype="f32")
        self.index.add(keys, rows, threads=self.cores)

    def update_keys(self, keys: np.ndarray, rows: np.ndarray) -> None:
        self.index.remove(keys, threads=self.cores)
        self.index.add(keys, rows, threads=self.cores)

    def search_keys(self, queries: np.ndarray, k: int) -> np.ndarray:
        found = self.index.search(queries, k, threads=self.cores)
        return np.asarray(found.keys, np.int64).reshape(len(queries), -1)


class Faiss(Keyed):
    """`IndexFlatIP` by id; an update takes the id out and adds it again."""

    name = "faiss-flat"

    def __init__(self, cores: int) -> None:
        import faiss

        super().__init__(cores)
        faiss.omp_set_num_threads(cores)
        self.faiss = faiss

    def load_keys(self, keys: np.ndarray, rows: np.ndarray) -> None:
        self.index = self.faiss.IndexIDMap2(self.faiss.IndexFlatIP(rows.shape[1]))
        self.index.add_with_ids(rows, keys)

    def update_keys(self, keys: np.ndarray, rows: np.ndarray) -> None:
        self.index.remove_ids(keys)
        self.index.add_with_ids(rows, keys)

    def search_keys(self, queries: np.ndarray, k: int) -> np.ndarray:
        return self.index.search(queries, k)[1]


class FaissIvf(Faiss):
    """`IndexIVFFlat`, the one index of faiss that updates in place."""

    name = "faiss-ivf"
    is_exact = False

    def load_keys(self, keys: np.ndarray, rows: np.ndarray) -> None:
        lists = max(1, int(len(rows) ** 0.5))
        quantizer = self.faiss.IndexFlatIP(rows.shape[1])
        kind = self.faiss.METRIC_INNER_PRODUCT
        self.index = self.faiss.IndexIVFFlat(quantizer, rows.shape[1], lists, kind)
        self.index.cp.niter = 4
        self.index.train(rows[: 64 * lists])
        self.index.add(rows)
        self.index.set_direct_map_type(self.faiss.DirectMap.Array)
        self.index.nprobe = 8

    def update_keys(self, keys: np.ndarray, rows: np.ndarray) -> None:
        self.index.update_vectors(keys, rows)


class Hnswlib(Keyed):
    """`BFIndex`, the brute-force index: adding a present label overwrites its row."""

    name = "hnswlib-bf"

    def __init__(self, cores: int) -> None:
        import hnswlib

        super().__init__(cores)
        self.make = hnswlib.BFIndex

    def load_keys(self, keys: np.ndarray, rows: np.ndarray) -> None:
        self.index = self.make(space="ip", dim=rows.shape[1])
        self.index.init_index(max_elements=len(rows))
        self.index.set_num_threads(self.cores)
        self.index.add_items(rows, keys)

    def update_keys(self, keys: np.ndarray, rows: np.ndarray) -> None:
        self.index.add_items(rows, keys)

    def search_keys(self, queries: np.ndarray, k: int) -> np.ndarray:
        return self.index.knn_query(queries, k, num_threads=self.cores)[0].astype(np.int64)


class Turbovec(Keyed):
    """4-bit codes, no float rows; an update takes the id out and adds it again."""

    name = "turbovec"
    is_exact = False

    def __init__(self, cores: int) -> None:
        from turbovec import IdMapIndex

        super().__init__(cores)
        self.make = IdMapIndex

    def load_keys(self, keys: np.ndarray, rows: np.ndarray) -> None:
        self.index = self.make(dim=rows.shape[1], bit_width=4)
        self.index.add_with_ids(rows, keys.astype(np.uint64))
        self.index.prepare()

    def update_keys(self, keys: np.ndarray, rows: np.ndarray) -> None:
        for key in keys.tolist():
            self.index.remove(key)
        self.index.add_with_ids(rows, keys.astype(np.uint64))

    def search_keys(self, queries: np.ndarray, k: int) -> np.ndarray:
        return self.index.search(queries, k)[1].astype(np.int64)


class Qdrant(Keyed):
    """The client's own local mode, in memory."""

    name = "qdrant-local"

    def __init__(self, cores: int) -> None:
        from qdrant_client import QdrantClient, models

        super().__init__(cores)
        self.client, self.models = QdrantClient(":memory:"), models

    def load_keys(self, keys: np.ndarray, rows: np.ndarray) -> None:
        warnings.filterwarnings("ignore", message="Local mode is not recommended")
        size = self.models.VectorParams(size=rows.shape[1], distance=self.models.Distance.DOT)
        self.client.create_collection(COLLECTION, vectors_config=size)
        self.client.upload_collection(COLLECTION, vectors=rows, ids=keys.tolist())

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


class Chroma(Peer):
    """An ephemeral client: a graph, and everything else in SQLite."""

    name = "chroma"
    is_exact = False

    def __init__(self, cores: int) -> None:
        import chromadb

        super().__init__(cores)
        self.client = chromadb.EphemeralClient(chromadb.Settings(anonymized_telemetry=False))

    def load(self, ids: Sequence[str], rows: np.ndarray) -> None:
        self.table = self.client.create_collection(
            COLLECTION, configuration={"hnsw": {"space": "ip", "num_threads": self.cores}}
        )
        for start in range(0, len(ids), BLOCK):
            stop = start + BLOCK
            self.table.add(ids=list(ids[start:stop]), embeddings=rows[start:stop])

    def update_many(self, ids: Sequence[str], rows: np.ndarray) -> None:
        for start in range(0, len(ids), BLOCK):
            stop = start + BLOCK
            self.table.update(ids=list(ids[start:stop]), embeddings=rows[start:stop])

    def search(self, queries: np.ndarray, k: int) -> Any:
        return self.table.query(query_embeddings=queries, n_results=k, include=[])["ids"]


class Lance(Peer):
    """A table on disk without an index: its search reads every row."""

    name = "lancedb"

    def __init__(self, cores: int) -> None:
        import lancedb

        super().__init__(cores)
        self.folder = tempfile.TemporaryDirectory()
        self.connection = lancedb.connect(self.folder.name)

    def load(self, ids: Sequence[str], rows: np.ndarray) -> None:
        self.table = self.connection.create_table(COLLECTION, self._table(ids, rows))

    def update_many(self, ids: Sequence[str], rows: np.ndarray) -> None:
        merge = self.table.merge_insert("id").when_matched_update_all()
        merge.execute(self._table(ids, rows))

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

        vectors = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), rows.shape[1])
        return pa.table({"id": pa.array(ids), "vector": vectors})


class Vectorkit(Peer):
    """This package's collection on the CPU."""

    name = "vectorkit"

    def load(self, ids: Sequence[str], rows: np.ndarray) -> None:
        import vectorkit as vk

        self.collection = vk.CpuCollection(dim=rows.shape[1], metric="dot")
        self.collection.upsert(ids, rows)

    def update_one(self, row_id: str, row: np.ndarray) -> None:
        self.collection.update_vector(row_id, row)

    def update_many(self, ids: Sequence[str], rows: np.ndarray) -> None:
        self.collection.update_vectors(ids, rows)

    def get(self, row_id: str) -> np.ndarray:
        return self.collection.get(row_id).vector

    def search(self, queries: np.ndarray, k: int) -> Any:
        if len(queries) == 1:
            return [self.collection.search(queries[0], k).ids]
        return self.collection.search_many(queries, k).ids


OURS: Final = Vectorkit.name
FLOOR: Final = NumpyDict.name
PEERS: Final[dict[str, type[Peer]]] = {
    kind.name: kind
    for kind in (
        *(NumpyDict, Hnswlib, Faiss, FaissIvf, UsearchExact, UsearchIndex),
        *(Turbovec, Qdrant, Chroma, Lance),
    )
}


class Failed(Peer):
    """A peer that could not be made or loaded: every call repeats why."""

    name = "failed"

    def __init__(self, error: Exception) -> None:
        super().__init__(cores=0)
        self.error = error

    def load(self, ids: Sequence[str], rows: np.ndarray) -> None:
        raise self.error

    def update_many(self, ids: Sequence[str], rows: np.ndarray) -> None:
        raise self.error

    def search(self, queries: np.ndarray, k: int) -> Any:
        raise self.error


def loaded(
    wanted: Iterable[str], ids: Sequence[str], rows: np.ndarray, cores: int
) -> dict[str, Peer]:
    """The wanted peers and vectorkit itself, each holding these rows."""
    made: dict[str, Peer] = {}
    for name, kind in {OURS: Vectorkit, **{name: PEERS[name] for name in wanted}}.items():
        try:
            made[name] = kind(cores)
            made[name].load(ids, rows)
        except Exception as error:  # A peer's failure is a row of the table.
            made[name] = Failed(error)
    return made
