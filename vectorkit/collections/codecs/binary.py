"""One bit a coordinate, after a random rotation: small, fast, and in need of rescoring."""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from vectorkit.collections.codecs.base import (
    DECODED_NORM_MAX,
    NOTHING,
    Codec,
    Codes,
    Field,
    Parameters,
    Prepared,
    as_norms,
    query_targets,
    rounded,
    rounded_down,
)
from vectorkit.errors import InvalidOption
from vectorkit.kernels import binary
from vectorkit.kernels.canonical import NORM_MAX
from vectorkit.kernels.rotation import rotate, rotate_back, rotation_signs
from vectorkit.kernels.scanning import TileScores
from vectorkit.types import Float32Array, Float64Array, Metric

QUERY_BITS: Final = 4
"""Planes of a query: a fifth gains next to nothing, and three lose a little."""

QUERY_STEP: Final = 0.3352
"""Best step of 16 even levels for normal numbers, in deviations (Max 1960, table II)."""

_SCALE_BITS: Final = 8
_SCALE_MIN: Final = 2.0**-100
_WORD_BITS: Final = 32
_BLOCK_BYTES: Final = 1 << 18
_MATRIX_DIM_MAX: Final = 1_024


class BinaryCodec(Codec):
    """Row x as signs s and a scale: after rotation, x − centre ≈ scale · s, the nearest such point.

    `scale` is the mean magnitude of the rotated coordinates. A row's product with a query is
    scale · s too small, by a factor that hardly varies from row to row after a random rotation;
    scans divide by it. The centre is zero unless the parameters hold one: a mean of the rows helps
    where they share a large common part.

    >>> codec = BinaryCodec(dim=2, seed=7)
    >>> words, scales, norms = codec.encode(np.array([[3, 4]], np.float32))
    >>> words.shape, codec.row_bytes
    ((1, 1), 12)
    """

    name: ClassVar[str] = "binary"
    tile_scores: ClassVar[TileScores] = staticmethod(binary.tile_scores)

    def __init__(self, dim: int, seed: int = 0, parameters: Parameters = NOTHING) -> None:
        super().__init__(dim, seed, parameters)
        if "centre" in self.parameters:
            _check_centre(self.parameters["centre"], dim)

    @property
    def fields(self) -> tuple[Field, ...]:
        """Signs in words of 32 bits, scale and norm float32."""
        number = np.dtype(np.float32)
        words = -(-self.dim // _WORD_BITS)
        return (
            Field("words", (words,), np.dtype(np.uint32)),
            Field("scales", (), number),
            Field("norms", (), number),
        )

    def encode(self, rows: Float32Array) -> Codes:
        """Sign words, scales and norms of rows; what lies within rounding of the centre is it."""
        words, scales, norms = self.empty(len(rows))
        block_rows = max(1, _BLOCK_BYTES // (4 * self.dim))
        for start in range(0, len(rows), block_rows):
            block = slice(start, start + block_rows)
            words[block], wide = self._signs_and_scales(rows[block])
            scales[block] = wide
            norms[block] = as_norms(self._estimated_norms(words[block], wide))
        return words, scales, norms

    def decode(self, codes: Codes) -> Float32Array:
        """Rows centre + scale · s, turned back."""
        words, scales, _ = codes
        turned = np.where(_unpacked(words, self.dim), scales[:, None], -scales[:, None])
        rows = rotate_back(turned, self._signs)
        if self._centre is None:
            return rows
        return (rows.astype(np.float64) + self._centre).astype(np.float32)

    def prepare(self, queries: Float32Array, metric: Metric) -> Prepared:
        """Queries as planes of bits, with what turns counted bits into products."""
        targets, norms = query_targets(queries, metric)
        shifts = np.zeros(len(queries))
        if self._centre is not None:
            shifts = targets.astype(np.float64) @ self._centre
        turned = self._turned_queries(targets)
        steps = np.sqrt(np.square(turned).mean(axis=1)) * QUERY_STEP
        safe = np.where(steps > 0, steps, np.inf)[:, None]
        top = (1 << QUERY_BITS) - 1
        levels = np.clip(np.floor(turned / safe) + (top + 1) // 2, 0, top).astype(np.uint8)
        bits = (levels[:, None] >> np.arange(QUERY_BITS, dtype=np.uint8)[:, None]) & np.uint8(1)
        planes = _packed(bits.reshape(-1, self.dim)).reshape(len(queries), QUERY_BITS, -1)
        steps = np.minimum(steps / self._shrinkage, NORM_MAX)
        return {
            "planes": planes,
            "offsets": (steps * 0.5 * top * self.dim).astype(np.float32),
            "steps": steps.astype(np.float32),
            "shifts": shifts.astype(np.float32),
            "norms": norms,
        }

    @cached_property
    def _signs(self) -> Float32Array:
        return rotation_signs(self.dim, self.seed)

    @cached_property
    def _matrix(self) -> Float32Array:
        return rotate(np.eye(self.dim, dtype=np.float32), self._signs)

    def _turned_queries(self, queries: Float32Array) -> Float64Array:
        """Rotated queries. One alone takes a matrix product: it only chooses candidates."""
        if self.dim <= _MATRIX_DIM_MAX and len(queries) == 1:
            return (queries @ self._matrix).astype(np.float64)
        return rotate(queries, self._signs).astype(np.float64)

    @cached_property
    def _centre(self) -> Float64Array | None:
        centre = self.parameters.get("centre")
        return None if centre is None else centre.astype(np.float64)

    @cached_property
    def _shrinkage(self) -> float:
        """The mean of ‖x‖₁² / (dim ‖x‖²) over all directions: how much shorter decoded rows are."""
        return (1.0 + (self.dim - 1) * 2.0 / np.pi) / self.dim

    @cached_property
    def _scale_min(self) -> float:
        """Below this a decoded row would not be told from the centre, or lose its signs."""
        if self._centre is None:
            return _SCALE_MIN
        return max(_SCALE_MIN, float(np.linalg.norm(self._centre)) * 2.0**-12)

    @cached_property
    def _scale_max(self) -> float:
        """The largest scale whose decoded row has a norm that a collection takes."""
        room = DECODED_NORM_MAX
        if self._centre is not None:
            room -= float(np.linalg.norm(self._centre))
        return float(rounded_down(np.array(room / np.sqrt(self.dim)), _SCALE_BITS))

    def _signs_and_scales(self, rows: Float32Array) -> tuple[NDArray[np.uint32], Float64Array]:
        turned = rotate(self._without_centre(rows), self._signs)
        scales = np.abs(turned).astype(np.float64).sum(axis=1) / self.dim
        scales = np.minimum(rounded(scales, _SCALE_BITS), self._scale_max)
        scales[scales < self._scale_min] = 0.0
        return _packed((turned > 0) & (scales > 0)[:, None]), scales

    def _without_centre(self, rows: Float32Array) -> Float32Array:
        if self._centre is None:
            return rows
        return (rows.astype(np.float64) - self._centre).astype(np.float32)

    def _estimated_norms(self, words: NDArray[np.uint32], scales: Float64Array) -> Float64Array:
        """Norms of rows, from the same estimates of products that a scan makes."""
        residuals: Float64Array = scales * np.sqrt(self.dim / self._shrinkage)
        if self._centre is None:
            return residuals
        turned = rotate(self.parameters["centre"][None], self._signs).astype(np.float64)
        products = np.where(_unpacked(words, self.dim), turned, -turned).sum(axis=1)
        products *= scales / self._shrinkage
        squares = np.square(residuals) + 2.0 * products + np.square(self._centre).sum()
        norms: Float64Array = np.sqrt(np.maximum(squares, 0.0))
        return norms


def _packed(bits: NDArray[np.bool_] | NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Bits (count, dim) in words (count, ⌈dim / 32⌉), the first in the lowest bit."""
    count, dim = bits.shape
    words = np.zeros((count, -(-dim // _WORD_BITS)), "<u4")
    octets = np.packbits(bits, axis=1, bitorder="little")
    words.view(np.uint8).reshape(count, words.shape[1] * 4)[:, : octets.shape[1]] = octets
    return words.astype(np.uint32, copy=False)


def _unpacked(words: NDArray[np.uint32], dim: int) -> NDArray[np.bool_]:
    octets = np.ascontiguousarray(words, "<u4").view(np.uint8)
    return np.unpackbits(octets, axis=1, count=dim, bitorder="little").astype(bool)


def _check_centre(centre: NDArray[Any], dim: int) -> None:
    is_shaped = centre.shape == (dim,) and centre.dtype == np.float32
    if not is_shaped or not np.linalg.norm(centre.astype(np.float64)) <= DECODED_NORM_MAX / 2:
        raise InvalidOption(
            "the centre does not fit the rows",
            got=f"shape {centre.shape}, {centre.dtype}",
            wanted=f"shape ({dim},), float32, finite, with a norm below 2**63",
            remedy="pass the mean of rows like those that will be stored",
        )
