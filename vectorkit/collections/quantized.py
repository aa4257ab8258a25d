"""The collection of codes: small, scanned in place of float32 rows, then rescored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, cast

import jax
import numpy as np

from vectorkit.collections.backends.base import Backend, ReadRows
from vectorkit.collections.backends.quantized import (
    SAMPLE_ROWS,
    QuantizedBackend,
    QuantizedState,
    RowsPlace,
)
from vectorkit.collections.codecs import Codec, codec_of
from vectorkit.collections.collection import Collection
from vectorkit.collections.execution.jax_context import plain_jax
from vectorkit.collections.gpu import check_device
from vectorkit.collections.results import WriteResult
from vectorkit.collections.storage.tables import StateView
from vectorkit.collections.validation import check_dim, nearest
from vectorkit.collections.values.conversion import known_name, whole_number
from vectorkit.collections.values.not_storable import short
from vectorkit.display import record_table
from vectorkit.errors import InvalidOption
from vectorkit.operations import CollectionConfig, SetCodebook
from vectorkit.types import Metric

ROWS_PLACES: Final[tuple[RowsPlace, ...]] = ("device", "host", "none")

RESCORE_MAX: Final = 1_000
"""The most candidates for each match."""


class QuantizedCollection(Collection):
    """Vectors by id as codes: smaller and faster to scan, approximate, atomic to update.

    A search scans the codes, takes the `rescore` × k best estimates (k + 6 at least, padded to a
    power of two), of them the k + 6 (padded too) of best float32 score, and orders these by
    canonical scores. All scores are of the stored rows: float32 rows on the device or the host
    (`rows="device"`, `"host"`), else the decoded ones (`"none"`), which `get` then returns too. So
    each score is that of the row that `get` shows; what may be missing is a row whose code misled
    the scan, or one of more than k + 6 rows that float32 cannot tell apart. Codecs:

    - "int8": one byte a coordinate, nothing to learn; next to no loss.
    - "binary": one bit a coordinate after a random rotation, two up to 255 dimensions; rescore
      with 4 to 8. It learns a centre, the mean of the rows of the first write.
    - "pq": one byte for four coordinates, by a codebook learned from the first rows written.

    What is learned from a large, typical first write serves best. It ages as rows drift: see
    `codec_report` and `retrain`.

    `device` is any `jax.Device`, by default JAX's first. Raises InvalidDimension, UnknownMetric,
    InvalidOption.

    >>> c = QuantizedCollection(dim=4, metric="dot", codec="int8")
    >>> _ = c.upsert(["a", "b"], [[1, 0, 0, 0], [0, 3, 0, 4]])
    >>> c.search([0, 1, 0, 1], k=1)
    Matches(1 by dot: {'b': 7.0000})
    """

    kind: ClassVar[str] = "quantized"

    def __init__(
        self,
        *,
        dim: int,
        metric: str = "cosine",
        codec: str = "int8",
        rescore: int = 4,
        rows: str = "device",
        device: jax.Device | None = None,
        name: str = "",
    ) -> None:
        self.device = jax.local_devices()[0] if device is None else check_device(device)
        self._codec = codec_of(codec, check_dim(dim))
        self._rows: RowsPlace = check_place(rows)
        self._rescore = check_rescore(rescore)
        super().__init__(dim=dim, metric=metric, name=name)

    def _make_config(self, dim: int, metric: Metric) -> CollectionConfig:
        return CollectionConfig(dim, metric, self.kind, self._codec.name, self._rescore, self._rows)

    def _make_backend(self) -> Backend:
        return QuantizedBackend(self._codec, self.metric, self._rescore, self._rows, self.device)

    def codec_report(self) -> CodecReport:
        """What the codec costs and loses, and how old its training is.

        The present error is measured on an even sample of at most 4,096 rows, and needs float32
        rows: it is None where they are not kept.

        >>> c = QuantizedCollection(dim=2, codec="pq")
        >>> _ = c.upsert(["a", "b"], [[1, 0], [0, 1]])
        >>> report = c.codec_report()
        >>> report.row_bytes, report.training_error, report.written_since
        (5, 0.0, 0)
        """

        def sample(view: StateView) -> ReadRows | None:
            if not self._backend.keeps_rows or view.state.codec.needs_training:
                return None
            step = max(1, -(-view.count // SAMPLE_ROWS))
            slots = np.arange(0, view.count, step, dtype=np.int32)
            return self._backend.read(view.state, slots)

        with plain_jax():
            view, read = self._read(sample)
            rows = None if read is None else read()
        state: QuantizedState = view.state
        codec, learned = state.codec, state.learned
        error = None if rows is None else codec.relative_error(rows)
        return CodecReport(
            codec.name,
            codec.learns,
            codec.row_bytes,
            learned.training_error,
            error,
            learned.written_since,
        )

    def retrain(self) -> WriteResult:
        """Learn the codebook or the centre again from all rows, and encode them, in one write.

        Rows, payloads and ids stay. Where float32 rows are not kept, it learns from decoded rows
        and encodes these, so that each retraining loses a little more. Raises InvalidOption for a
        codec that learns nothing and for an empty collection.

        >>> c = QuantizedCollection(dim=2, codec="pq")
        >>> _ = c.upsert(["a"], [[1, 0]])
        >>> _ = c.upsert(["b"], [[0, 1]])
        >>> c.retrain().updated, c.codec_report().error
        (2, 0.0)
        """
        return self._guard.run(self._retrain)

    def _retrain(self) -> WriteResult:
        view = self._storage.view()
        codec: Codec = view.state.codec
        if codec.learns is None:
            raise InvalidOption(
                "this codec learns nothing from rows",
                got=f"codec={codec.name!r}",
                wanted="codec='pq' or codec='binary'",
                remedy="leave it: its codes never age",
            )
        with plain_jax():
            rows = self._backend.rows(view.state, view.count)
        learned = codec.trained(rows).parameters[codec.learns]
        return self._commit_now(SetCodebook(self.name, learned))


@dataclass(frozen=True, slots=True)
class CodecReport:
    """What a codec learns, its bytes a row, and its relative squared error at training and now.

    `learns` is "codebook", "centre" or None; `written_since` counts rows that were encoded after
    the training.

    >>> QuantizedCollection(dim=384, codec="int8").codec_report().row_bytes
    392
    """

    codec: str
    learns: str | None
    row_bytes: int
    training_error: float
    error: float | None
    written_since: int

    def _repr_html_(self) -> str:
        return record_table(self)


def check_place(rows: object) -> RowsPlace:
    """One of `ROWS_PLACES`."""
    if (known := known_name(rows, ROWS_PLACES)) is not None:
        return cast("RowsPlace", known)
    raise InvalidOption(
        "float32 rows cannot be kept there",
        got=f"rows={short(rows)}",
        wanted=" or ".join(map(repr, ROWS_PLACES)),
        remedy=nearest(rows, ROWS_PLACES),
    )


def check_rescore(rescore: object) -> int:
    """A whole number of candidates a match, from 1 to `RESCORE_MAX`."""
    if (number := whole_number(rescore)) is not None and 1 <= number <= RESCORE_MAX:
        return number
    raise InvalidOption(
        "a search cannot rescore like this",
        got=f"rescore={short(rescore)}",
        wanted=f"an integer from 1 to {RESCORE_MAX}",
        remedy="4 candidates for each match are a good start, 8 for binary codes",
    )
