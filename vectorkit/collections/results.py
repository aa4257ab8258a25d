"""What calls return: rows, counts of a write, matches of a search."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from vectorkit.display import record_table, rows_table
from vectorkit.errors import InvalidInput
from vectorkit.tabular import Schema, frame_of_columns
from vectorkit.types import Float32Array, Id, Int32Array, Metric, ObjectArray, Payload

if TYPE_CHECKING:
    from vectorkit.tabular import DataFrame

MATCHES: Final[Schema] = {"rank": "int64", "id": "object", "score": "float32"}
"""Columns and dtypes of `Matches.to_frame()`."""
BATCH_MATCHES: Final[Schema] = {"query": "int64", **MATCHES}
"""Columns and dtypes of `BatchMatches.to_frame()`."""


_LETTERS_MAX: Final = 40
"""So much of a payload is shown of a row."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Row:
    """One row as it is stored. `vector` and `payload` are copies.

    The vector has the bits that were put in, unless `is_decoded`: then its collection keeps codes
    only, and it is what these codes stand for.

    >>> import vectorkit as vk
    >>> c = vk.CpuCollection(dim=2)
    >>> _ = c.upsert(["a"], [[1, 0]], payloads=[{"n": 1}])
    >>> c.get("a").payload
    {'n': 1}
    """

    id: Id
    vector: Float32Array
    payload: Payload | None
    is_decoded: bool = False

    def __repr__(self) -> str:
        decoded = ", is_decoded=True" if self.is_decoded else ""
        payload = repr(self.payload)
        if len(payload) > _LETTERS_MAX:
            payload = f"{payload[:_LETTERS_MAX]}…"
        with np.printoptions(threshold=8, edgeitems=3, linewidth=10_000):
            return f"Row(id={self.id!r}, vector={self.vector!r}, payload={payload}{decoded})"

    def _repr_html_(self) -> str:
        return record_table(self)


class RowBatch(NamedTuple):
    """Rows in slot order: ids, vectors (count, dim) and payloads, all of them copies."""

    ids: list[Id]
    vectors: Float32Array
    payloads: list[Payload | None]


class WriteResult(NamedTuple):
    """What one write call did, and the collection's version after it.

    >>> import vectorkit as vk
    >>> vk.CpuCollection(dim=2).upsert(["a"], [[1, 0]])
    WriteResult(inserted=1, updated=0, deleted=0, version=1)
    """

    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    version: int = 0

    def _repr_html_(self) -> str:
        return record_table(self)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Matches:
    """The best rows for one query, best first: `ids` and float32 `scores`, larger is better.

    >>> import vectorkit as vk
    >>> c = vk.CpuCollection(dim=2, metric="euclidean")
    >>> _ = c.upsert(["origin", "east"], [[0, 0], [3, 4]])
    >>> found = c.search([0, 0])
    >>> found.ids, found.distances.tolist()
    (('origin', 'east'), [0.0, 5.0])
    """

    ids: tuple[Id, ...]
    scores: Float32Array
    metric: Metric

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> tuple[Id, float]:
        """The id and score at a place, 0 for the best."""
        return self.ids[index], float(self.scores[index])

    def __iter__(self) -> Iterator[tuple[Id, float]]:
        """Pairs of id and score, best first."""
        return iter(zip(self.ids, self.scores.tolist(), strict=True))

    def __repr__(self) -> str:
        pairs = ", ".join(f"{row_id!r}: {score:.4f}" for row_id, score in list(self)[:3])
        more = ", …" if len(self) > 3 else ""
        return f"Matches({len(self)} by {self.metric}: {{{pairs}{more}}})"

    @property
    def distances(self) -> Float32Array:
        """Euclidean distances, the positive of the scores; other metrics have none."""
        return _distances(self.scores, self.metric)

    def to_frame(self) -> DataFrame:
        """One row a match: rank, id, score."""
        return frame_of_columns(
            {"rank": range(1, len(self) + 1), "id": list(self.ids), "score": self.scores}, MATCHES
        )

    def _repr_html_(self) -> str:
        rows = [
            (rank, row_id, f"{score:.4f}") for rank, (row_id, score) in enumerate(self, start=1)
        ]
        return rows_table(("rank", "id", "score"), rows)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class BatchMatches:
    """The best rows for each query, best first.

    Shapes: `ids` (queries, k) padded with None, `scores` (queries, k) float32 padded with −inf,
    `counts` (queries,) int32: how many of each row are matches.

    >>> import vectorkit as vk
    >>> c = vk.CpuCollection(dim=2)
    >>> _ = c.upsert(["east"], [[1, 0]])
    >>> found = c.search_many([[1, 0], [0, 1]], k=2)
    >>> found.ids.tolist(), found.counts.tolist()
    ([['east', None], ['east', None]], [1, 1])
    """

    ids: ObjectArray
    scores: Float32Array
    counts: Int32Array
    metric: Metric

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> Matches:
        """The matches of one query, without padding."""
        count = int(self.counts[index])
        return Matches(tuple(self.ids[index, :count]), self.scores[index, :count], self.metric)

    def __iter__(self) -> Iterator[Matches]:
        return (self[index] for index in range(len(self)))

    def __repr__(self) -> str:
        return f"BatchMatches({len(self)} queries × k={self.ids.shape[1]} by {self.metric})"

    @property
    def distances(self) -> Float32Array:
        """Euclidean distances (queries, k), inf where padded; other metrics have none."""
        return _distances(self.scores, self.metric)

    def to_frame(self) -> DataFrame:
        """One row a match: query, rank, id, score."""
        is_match = np.arange(self.ids.shape[1]) < self.counts[:, None]
        queries, places = np.nonzero(is_match)
        return frame_of_columns(
            {
                "query": queries,
                "rank": places + 1,
                "id": self.ids[is_match],
                "score": self.scores[is_match],
            },
            BATCH_MATCHES,
        )

    def _repr_html_(self) -> str:
        rows = []
        for number, each in enumerate(self):
            best = next(((row_id, f"{score:.4f}") for row_id, score in each), ("", ""))
            rows.append((number, *best, len(each)))
        return rows_table(("query", "best id", "score", "matches"), rows)


def _distances(scores: Float32Array, metric: Metric) -> Float32Array:
    if metric == "euclidean":
        return -scores + scores.dtype.type(0)
    raise InvalidInput(
        "these matches have no distances",
        got=f"metric={metric!r}",
        wanted="metric='euclidean'",
        remedy="use .scores: larger is better under every metric",
    )
