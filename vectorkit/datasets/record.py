"""What every loader returns: vectors with their ids and payloads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vectorkit.datasets.sources import check_count
from vectorkit.display import facts_table
from vectorkit.draws import address, draw_block
from vectorkit.types import Float32Array, Payload


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Dataset:
    """Vectors with their ids and payloads: `vectors` has shape (len(ids), dim), float32.

    >>> Dataset("axes", ("x", "y"), np.eye(2, dtype=np.float32), ({}, {}))
    Dataset('axes', 2 × 2)
    """

    name: str
    ids: tuple[str, ...]
    vectors: Float32Array
    payloads: tuple[Payload, ...]

    @property
    def dim(self) -> int:
        """The length of every vector."""
        return int(self.vectors.shape[1])

    def __len__(self) -> int:
        return len(self.ids)

    def _facts(self) -> dict[str, object]:
        first = ", ".join(self.ids[:3]) + (", …" if len(self) > 3 else "")
        return {"name": self.name, "rows": f"{len(self):,}", "dim": self.dim, "ids": first}

    def __repr__(self) -> str:
        return "Dataset({name!r}, {rows} × {dim})".format(**self._facts())

    def _repr_html_(self) -> str:
        return facts_table(self._facts())

    def split(self, queries: int, *, seed: int = 0) -> tuple[Dataset, Float32Array]:
        """Hold out some rows as queries, of shape (queries, dim): no query is left in the rest.

        The rest keeps its order. Equal seeds draw equal queries, and more queries begin with
        the fewer. At least one row stays.

        >>> axes = Dataset("axes", ("x", "y", "z"), np.eye(3, dtype=np.float32), ({}, {}, {}))
        >>> rest, held = axes.split(queries=1)
        >>> rest, held.shape
        (Dataset('axes', 2 × 3), (1, 3))
        """
        check_count("queries", queries, 1, len(self) - 1, f"hold out queries from {self!r}")
        order = np.argsort(draw_block(address(seed), len(self)), kind="stable")
        rest = np.sort(order[queries:])
        kept = Dataset(
            name=self.name,
            ids=tuple(self.ids[row] for row in rest),
            vectors=self.vectors[rest],
            payloads=tuple(self.payloads[row] for row in rest),
        )
        return kept, self.vectors[order[:queries]]
