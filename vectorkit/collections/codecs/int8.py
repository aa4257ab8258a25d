"""One byte a coordinate and one scale a row: no training, and next to no loss."""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from vectorkit.collections.codecs.base import (
    DECODED_NORM_MAX,
    Codec,
    Codes,
    Field,
    Prepared,
    as_norms,
    query_targets,
    rounded_down,
)
from vectorkit.kernels import int8
from vectorkit.kernels.scanning import TileScores
from vectorkit.types import Float32Array, Float64Array, Metric

LEVELS: Final = 127
"""The largest code: −128 is not used, so that a row and its negative are coded alike."""

INTEGER_BATCH_MIN: Final = 8
"""From this many queries on, they are quantised too: int8 products beat float32 ones."""

_SCALE_BITS: Final = 16
_SCALE_MIN: Final = 2.0**-126
_BLOCK_BYTES: Final = 1 << 19


class Int8Codec(Codec):
    """Row x as int8 codes c and a scale: x ≈ scale · c. Beside them the norm of scale · c.

    A scale has 16 bits, rounded up: then scale · 127 is exact in float32, the largest coordinate
    always gets ±127, and a decoded row gets its own scale again.

    >>> codec = Int8Codec(dim=2)
    >>> codes, scales, norms = codec.encode(np.array([[127, -64]], np.float32))
    >>> codes.tolist(), scales.tolist()
    ([[127, -64]], [1.0])
    """

    name: ClassVar[str] = "int8"
    tile_scores: ClassVar[TileScores] = staticmethod(int8.tile_scores)

    @property
    def fields(self) -> tuple[Field, ...]:
        """Codes (dim,) int8, scale and norm float32."""
        number = np.dtype(np.float32)
        return (
            Field("codes", (self.dim,), np.dtype(np.int8)),
            Field("scales", (), number),
            Field("norms", (), number),
        )

    def encode(self, rows: Float32Array) -> Codes:
        """Codes, scales and norms of rows; a row below 2⁻¹¹⁹ everywhere loses its smallest bits."""
        codes, scales, norms = self.empty(len(rows))
        block_rows = max(1, _BLOCK_BYTES // (4 * self.dim))
        for start in range(0, len(rows), block_rows):
            stop = start + block_rows
            block = rows[start:stop]
            codes[start:stop], scales[start:stop] = _levels(block)
            squares = np.square(codes[start:stop], dtype=np.int32).sum(axis=1, dtype=np.int64)
            lengths = np.sqrt(squares.astype(np.float64))
            scales[start:stop] = _shortened(scales[start:stop], lengths)
            norms[start:stop] = as_norms(lengths * scales[start:stop].astype(np.float64))
        return codes, scales, norms

    def decode(self, codes: Codes) -> Float32Array:
        """Rows scale · c: every product is exact."""
        levels, scales, _ = codes
        return np.multiply(levels, scales[:, None], dtype=np.float32)

    def prepare(self, queries: Float32Array, metric: Metric) -> Prepared:
        """A few queries as they are, more of them as int8."""
        targets, norms = query_targets(queries, metric)
        if len(queries) < INTEGER_BATCH_MIN:
            return {"targets": targets, "norms": norms}
        codes, scales = _levels(targets)
        return {"codes": codes, "scales": scales, "norms": norms}


def _shortened(scales: Float32Array, lengths: Float64Array) -> Float32Array:
    """Scales, made smaller where rounding made a row too long for a collection."""
    largest = rounded_down(DECODED_NORM_MAX / np.maximum(lengths, 1.0), _SCALE_BITS)
    return np.minimum(scales, largest).astype(np.float32)


def _levels(rows: Float32Array) -> tuple[NDArray[np.int8], Float32Array]:
    """Codes and scales of rows."""
    largest = np.maximum(rows.max(axis=1), -rows.min(axis=1)).astype(np.float64)
    mantissas, exponents = np.frexp(largest / LEVELS)
    scales = np.ldexp(np.ceil(np.ldexp(mantissas, _SCALE_BITS)), exponents - _SCALE_BITS)
    narrow = np.maximum(scales, _SCALE_MIN).astype(np.float32)
    quotients = np.divide(rows, narrow[:, None])
    return np.rint(quotients, out=quotients).astype(np.int8), narrow
