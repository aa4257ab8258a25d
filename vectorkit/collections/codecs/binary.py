"""One or two bits a coordinate, after a random rotation: small, fast, and in need of rescoring."""

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
from vectorkit.kernels.canonical import NORM_MAX, canonical_norms
from vectorkit.kernels.rotation import rotate, rotate_back, rotation_signs
from vectorkit.kernels.scanning import TileScores
from vectorkit.types import Float32Array, Float64Array, Metric

TWO_PLANES_DIM_MAX: Final = 255
"""Up to here a coordinate has two bits: the error of one bit falls with the root of the dimension,
and below some 200 coordinates it is too large to rank 100,000 rows."""

QUERY_BITS: Final = 4
"""Planes of a query: a fifth gains next to nothing, and three lose a little."""

QUERY_STEP: Final = 0.3352
"""Best step of 16 even levels for normal numbers, in deviations (Max 1960, table II)."""

LEVEL_STEP: Final = 0.95
"""From this magnitude on, in deviations, a coordinate of two bits is ±3. Below 1, so that a row of
equal magnitudes is ±3 everywhere; 0.9957 would be best, by a thousandth."""

_KEPT: Final = {1: 2.0 / np.pi, 2: 0.8807}
"""The mean squared cosine of a long row and its signs or levels, by bits a coordinate."""

_LEVELS_SQUARED_MIN: Final = 1.25
"""A decoded row with a smaller mean square has levels ±1 and ±3, not ±3 everywhere."""

_SCALE_BITS: Final = 8
_HEIGHT_BITS: Final = 16
_MIN: Final = 2.0**-100
_FLAT: Final = 2.0**-13
"""Coordinates shorter than this share of the height are within what float32 rows can tell."""

_NORM_MAX: Final = DECODED_NORM_MAX - 2.0**53
"""A multiple of the steps that heights of this size have."""

_WORD_BITS: Final = 32
_BLOCK_BYTES: Final = 1 << 18
_MATRIX_DIM_MAX: Final = 1_024


class BinaryCodec(Codec):
    """Row x as its height over the centre's direction, and levels of the other coordinates.

    A reflection takes the direction of the centre, a mean of rows, to the first coordinate: the
    height, which is kept as a number. So what rows have in common costs no bits, however far from
    the origin they lie. The `dim` − 1 others are rotated at random and become scale · levels, the
    nearest such point: levels ±1, or ±1 and ±3 up to `TWO_PLANES_DIM_MAX` dimensions. A row's
    product with a query is scale · levels too small, by a factor that hardly varies from row to
    row after a random rotation; scans divide by it (RaBitQ, Gao and Long, SIGMOD 2024).

    The centre is the parameter: `trained` makes it of rows. Without one the first coordinate is
    the height.

    >>> codec = BinaryCodec(dim=3, seed=7).trained(np.array([[3, 4, 0]], np.float32))
    >>> words, scales, heights = codec.encode(np.array([[6, 8, 1]], np.float32))
    >>> heights.tolist(), words.shape, codec.row_bytes
    ([10.0], (1, 2), 16)
    """

    name: ClassVar[str] = "binary"
    learns: ClassVar[str | None] = "centre"
    tile_scores: ClassVar[TileScores] = staticmethod(binary.tile_scores)

    def __init__(self, dim: int, seed: int = 0, parameters: Parameters = NOTHING) -> None:
        super().__init__(dim, seed, parameters)
        self.planes = 2 if dim <= TWO_PLANES_DIM_MAX else 1
        self.coded_dim = max(1, dim - 1)
        if not self.needs_training:
            _check_centre(self.parameters["centre"], dim)

    @property
    def fields(self) -> tuple[Field, ...]:
        """Planes of bits in words of 32, the lower plane first; scale and height float32."""
        number = np.dtype(np.float32)
        words = self.planes * -(-self.coded_dim // _WORD_BITS)
        return (
            Field("words", (words,), np.dtype(np.uint32)),
            Field("scales", (), number),
            Field("heights", (), number),
        )

    def trained(self, rows: Float32Array) -> BinaryCodec:
        """The codec whose centre is the mean of rows (count, dim)."""
        if len(rows) == 0:
            raise InvalidOption(
                "a centre cannot be learned from nothing",
                got="no rows",
                wanted="at least one row",
                remedy="train with rows like those that will be stored, 100 or more",
            )
        centre = rows.astype(np.float64).mean(axis=0).astype(np.float32)
        return BinaryCodec(self.dim, self.seed, {"centre": centre})

    def encode(self, rows: Float32Array) -> Codes:
        """Words, scales and heights of rows."""
        words, scales, heights = self.empty(len(rows))
        block_rows = max(1, _BLOCK_BYTES // (8 * self.dim))
        for start in range(0, len(rows), block_rows):
            block = slice(start, start + block_rows)
            words[block], scales[block], heights[block] = self._encoded(rows[block])
        return words, scales, heights

    def decode(self, codes: Codes) -> Float32Array:
        """Rows of height and scale · levels, turned back."""
        words, scales, heights = codes
        levels = _unpacked(words, self.planes, self.coded_dim)
        turned = np.empty((len(words), 1 + self.coded_dim))
        turned[:, 0] = heights
        turned[:, 1:] = rotate_back(levels * scales[:, None], self._signs)
        return self._reflected(turned[:, : self.dim]).astype(np.float32)

    def prepare(self, queries: Float32Array, metric: Metric) -> Prepared:
        """Queries as planes of bits, with what turns counted bits into products."""
        targets, _ = query_targets(queries, metric)
        heights, flat = self._parts(targets)
        turned = self._turned_queries(flat).astype(np.float64)
        steps = np.sqrt(np.square(turned).mean(axis=1)) * QUERY_STEP
        safe = np.where(steps > 0, steps, np.inf)[:, None]
        top = (1 << QUERY_BITS) - 1
        levels = np.clip(np.floor(turned / safe) + (top + 1) // 2, 0, top).astype(np.uint8)
        planes = _packed(levels, QUERY_BITS).reshape(len(queries), QUERY_BITS, -1)
        steps = np.minimum(steps / self._shrinkage, NORM_MAX)
        largest = ((1 << self.planes) - 1) * top * self.coded_dim
        return {
            "planes": planes,
            "offsets": (steps * 0.5 * largest).astype(np.float32),
            "steps": steps.astype(np.float32),
            "heights": heights.astype(np.float32),
            "norms": as_norms(canonical_norms(flat)),
            "constants": np.array([self.coded_dim, 1.0 / self._shrinkage], np.float32),
        }

    @cached_property
    def _signs(self) -> Float32Array:
        return rotation_signs(self.coded_dim, self.seed)

    @cached_property
    def _matrix(self) -> Float32Array:
        return rotate(np.eye(self.coded_dim, dtype=np.float32), self._signs)

    def _turned_queries(self, flat: Float32Array) -> Float32Array:
        """Rotated queries. One alone takes a matrix product: it only chooses candidates."""
        if self.dim <= _MATRIX_DIM_MAX and len(flat) == 1:
            turned: Float32Array = flat @ self._matrix
            return turned
        return rotate(flat, self._signs)

    @cached_property
    def _mirror(self) -> tuple[Float64Array, float]:
        """The normal of the reflection (Householder's), and the sign that makes heights positive.

        The sum of the centre's direction and the first axis never cancels, whichever it is.
        """
        normal = np.zeros(self.dim)
        centre = self.parameters.get("centre")
        length = 0.0 if centre is None else float(np.linalg.norm(centre.astype(np.float64)))
        if centre is not None and length > 0:
            normal = centre.astype(np.float64) / length
        sign = 1.0 if normal[0] >= 0 else -1.0
        normal[0] += sign
        return normal * np.sqrt(2.0 / np.square(normal).sum()), -sign

    def _reflected(self, rows: Float64Array) -> Float64Array:
        """Rows seen in the mirror, which takes the centre's direction to the first axis and back.

        Products are summed over one contiguous row each, so that the batch has no say.
        """
        normal, sign = self._mirror
        mirrored: Float64Array = rows * normal
        mirrored = rows - mirrored.sum(axis=1)[:, None] * normal
        return mirrored * sign

    @cached_property
    def _shrinkage(self) -> float:
        """The mean squared cosine of rows and their levels: how much shorter decoded rows are."""
        return float(1.0 + (self.coded_dim - 1) * _KEPT[self.planes]) / self.coded_dim

    def _parts(self, rows: Float32Array) -> tuple[Float64Array, Float32Array]:
        """Heights (count,), and the other coordinates (count, coded_dim), not yet rotated."""
        turned = self._reflected(np.ascontiguousarray(rows, np.float64))
        flat = turned[:, 1:] if self.dim > 1 else np.zeros((len(rows), 1))
        return turned[:, 0], flat.astype(np.float32)

    def _encoded(self, rows: Float32Array) -> tuple[NDArray[np.uint32], Float64Array, Float64Array]:
        heights, flat = self._parts(rows)
        turned = rotate(flat, self._signs).astype(np.float64)
        levels = _levels(turned, self.planes)
        magnitudes = np.abs(2.0 * levels - ((1 << self.planes) - 1))
        squares = np.square(magnitudes).sum(axis=1)
        scales = rounded((np.abs(turned) * magnitudes).sum(axis=1) / squares, _SCALE_BITS)
        heights = _on_grid(heights, np.maximum(np.abs(heights), scales * np.sqrt(squares)))
        room = np.sqrt(np.maximum(_NORM_MAX**2 - np.square(heights), 0.0) / squares)
        scales = np.minimum(scales, rounded_down(room, _SCALE_BITS))
        # Decided by what is stored, so that a decoded row is decided alike.
        scales[scales < _MIN] = 0.0
        scales[scales * np.sqrt(squares) < _FLAT * np.abs(heights)] = 0.0
        levels[scales == 0] = 0
        return _packed(levels, self.planes), scales, heights


def _levels(turned: Float64Array, planes: int) -> NDArray[np.uint8]:
    """Level numbers of rotated rows: 0 and 1 for ±1, or 0 to 3 for −3, −1, 1 and 3.

    A row of levels must keep them when it is coded again. It does where enough of them are ±3;
    else all of them become ±3, of which the mean is the threshold's better side.
    """
    is_positive = turned > 0
    if planes == 1:
        return is_positive.astype(np.uint8)
    reach = np.sqrt(np.square(turned).sum(axis=1) / turned.shape[1]) * LEVEL_STEP
    is_outer = np.abs(turned) > reach[:, None]
    share = is_outer.sum(axis=1) / turned.shape[1]
    is_outer[1.0 + 8.0 * share < _LEVELS_SQUARED_MIN] = True
    numbers: NDArray[np.uint8] = np.where(is_positive, 2 + is_outer, 1 - is_outer).astype(np.uint8)
    return numbers


def _on_grid(heights: Float64Array, sizes: Float64Array) -> Float64Array:
    """Heights in steps of 2⁻¹⁶ of their rows' sizes: far above what float32 rows lose."""
    exponents = np.frexp(sizes)[1] - _HEIGHT_BITS
    nearest = np.ldexp(np.rint(np.ldexp(heights, -exponents)), exponents)
    nearest = np.clip(nearest, -_NORM_MAX, _NORM_MAX)
    return np.where(np.abs(nearest) < _MIN, 0.0, nearest)


def _packed(levels: NDArray[np.uint8], planes: int) -> NDArray[np.uint32]:
    """Numbers (count, dim) as planes of bits in words (count, planes · ⌈dim / 32⌉).

    The plane of the lowest bits comes first, and in a word the first number has the lowest bit.
    """
    count, dim = levels.shape
    octets = np.zeros((count, planes, -(-dim // _WORD_BITS) * 4), np.uint8)
    for plane in range(planes):
        bits = np.packbits((levels >> plane) & 1, axis=1, bitorder="little")
        octets[:, plane, : bits.shape[1]] = bits
    return octets.reshape(count, -1).view("<u4").astype(np.uint32, copy=False)


def _unpacked(words: NDArray[np.uint32], planes: int, dim: int) -> Float32Array:
    """Levels ±1, or ±1 and ±3, of planes of bits."""
    octets = np.ascontiguousarray(words, "<u4").view(np.uint8)
    octets = octets.reshape(len(words), planes, octets.shape[1] // planes)
    bits = np.unpackbits(octets, axis=2, count=dim, bitorder="little")
    numbers = sum(bits[:, plane] << plane for plane in range(planes))
    return np.float32(2) * np.asarray(numbers, np.float32) - np.float32((1 << planes) - 1)


def _check_centre(centre: NDArray[Any], dim: int) -> None:
    is_shaped = centre.shape == (dim,) and centre.dtype == np.float32
    if not is_shaped or not np.linalg.norm(centre.astype(np.float64)) <= NORM_MAX:
        raise InvalidOption(
            "the centre does not fit the rows",
            got=f"shape {centre.shape}, {centre.dtype}",
            wanted=f"shape ({dim},), float32, finite, with a norm below 2**64",
            remedy="pass the mean of rows like those that will be stored",
        )
