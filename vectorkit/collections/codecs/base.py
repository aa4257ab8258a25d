"""What every codec can do: rows into small codes, codes back into rows, queries into a scan.

Two promises make codes fit for replication. A row's codes depend on the row alone, never on the
batch that it comes in: all arithmetic on rows is elementwise or a sum over one contiguous row. And
decoding loses nothing more: `encode(decode(codes))` gives the same bits, so a replica that is sent
decoded rows holds what its master holds.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vectorkit.kernels.canonical import NORM_MAX, canonical_norms, scaled_queries
from vectorkit.kernels.scanning import TileScores
from vectorkit.types import Float32Array, Float64Array, Metric

Codes = tuple[NDArray[Any], ...]
"""The arrays of some rows, each with the row axis first."""

Parameters = Mapping[str, NDArray[Any]]
Prepared = dict[str, NDArray[Any]]
"""Queries for a scan: they are the first axis of every array not in `kernels.scanning.SHARED`."""

NOTHING: Final[Parameters] = MappingProxyType({})

DECODED_NORM_MAX: Final = 2.0**64 * (1.0 - 2.0**-8)
"""Decoded rows are no longer than this, so that a collection takes them: their squares are finite
in float32, however they are summed."""


class Field(NamedTuple):
    """One array of a codec: what a row takes in it."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]


class Codec(abc.ABC):
    """A way to keep rows small. Immutable: `trained` gives another codec.

    `parameters` is what must be saved, hashed and sent beside the codes; everything else follows
    from the name, `dim` and `seed`.
    """

    name: ClassVar[str]
    learns: ClassVar[str | None] = None
    """The parameter that `trained` learns from rows; None where there is nothing to learn."""

    tile_scores: ClassVar[TileScores]

    def __init__(self, dim: int, seed: int = 0, parameters: Parameters = NOTHING) -> None:
        self.dim = dim
        self.seed = seed
        self.parameters: Parameters = MappingProxyType(dict(parameters))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.dim, self.seed, dict(self.parameters))

    @property
    @abc.abstractmethod
    def fields(self) -> tuple[Field, ...]:
        """The arrays that `encode` gives, in order."""

    @abc.abstractmethod
    def encode(self, rows: Float32Array) -> Codes:
        """Codes of rows (count, dim): a pure function of each row alone."""

    @abc.abstractmethod
    def decode(self, codes: Codes) -> Float32Array:
        """Rows (count, dim) whose codes are `codes`, bit for bit."""

    @abc.abstractmethod
    def prepare(self, queries: Float32Array, metric: Metric) -> Prepared:
        """Queries (batch, dim) as `tile_scores` wants them; its keys depend on the batch size."""

    @property
    def needs_training(self) -> bool:
        """Whether a parameter is still to be learned, by `trained`."""
        return self.learns is not None and self.learns not in self.parameters

    def trained(self, rows: Float32Array) -> Codec:
        """The codec with parameters learned from rows; itself, where there is nothing to learn."""
        return self

    @property
    def row_bytes(self) -> int:
        """What the codes of one row take."""
        return sum(int(np.prod(field.shape)) * field.dtype.itemsize for field in self.fields)

    def empty(self, capacity: int) -> Codes:
        """Codes with room for `capacity` rows, all zero."""
        return tuple(np.zeros((capacity, *field.shape), field.dtype) for field in self.fields)

    def relative_error(self, rows: Float32Array) -> float:
        """Σ‖x − decoded x‖² / Σ‖x‖² over rows: 0 is lossless, and it grows as a codebook ages."""
        largest = float(np.abs(rows).max(initial=0.0))
        if largest == 0.0:
            return 0.0
        wide = rows.astype(np.float64) / largest
        decoded = self.decode(self.encode(rows)).astype(np.float64) / largest
        return float(np.square(wide - decoded).sum() / np.square(wide).sum())


def query_targets(queries: Float32Array, metric: Metric) -> tuple[Float32Array, Float32Array]:
    """What rows are multiplied with, and the float32 norms of the queries: (batch, dim), (batch,).

    Cosine multiplies with unit queries.
    """
    if metric == "cosine":
        scaled = scaled_queries(queries, metric)
        return scaled.targets, as_norms(scaled.lengths)
    return queries, as_norms(canonical_norms(queries))


def as_norms(norms: Float64Array) -> Float32Array:
    """Norms as a scan wants them: float32, and none whose square is infinite."""
    return np.minimum(norms, NORM_MAX).astype(np.float32)


def rounded(values: Float64Array, bits: int) -> Float64Array:
    """Values with a mantissa of `bits` bits, the nearest; ties go to the even one."""
    mantissas, exponents = np.frexp(values)
    nearest: Float64Array = np.ldexp(np.rint(np.ldexp(mantissas, bits)), exponents - bits)
    return nearest


def rounded_down(values: Float64Array, bits: int) -> Float64Array:
    """Values with a mantissa of `bits` bits, none larger than before; values are not negative."""
    mantissas, exponents = np.frexp(values)
    lower: Float64Array = np.ldexp(np.floor(np.ldexp(mantissas, bits)), exponents - bits)
    return lower
