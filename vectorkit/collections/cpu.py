"""The collection on the CPU."""

from __future__ import annotations

from typing import ClassVar

import jax

from vectorkit.collections.backends.base import Backend
from vectorkit.collections.backends.exact import ExactBackend
from vectorkit.collections.collection import Collection


class CpuCollection(Collection):
    """Vectors by id in float32 on the CPU: exact search, atomic updates.

    `dim` is the length of every vector, `metric` one of "cosine", "dot", "euclidean". Raises
    InvalidDimension and UnknownMetric.

    >>> c = CpuCollection(dim=2, metric="cosine")
    >>> _ = c.upsert(["east", "north"], [[1, 0], [0, 1]])
    >>> _ = c.update_vector("east", [3, 4])
    >>> c.search([3, 4], k=2)
    Matches(2 by cosine: {'east': 1.0000, 'north': 0.8000})
    """

    kind: ClassVar[str] = "cpu"

    def _make_backend(self) -> Backend:
        return ExactBackend(self.dim, self.metric, jax.local_devices(backend="cpu")[0])
