"""Product quantisation: one byte for several coordinates, by a codebook learned from rows."""

from __future__ import annotations

from functools import cached_property
from typing import ClassVar, Final

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
)
from vectorkit.draws import address, draw_block, fold
from vectorkit.errors import InvalidOption
from vectorkit.kernels import pq
from vectorkit.kernels.canonical import canonical_norms
from vectorkit.kernels.scanning import TileScores
from vectorkit.types import Float32Array, Float64Array, Metric

CENTROIDS: Final = 256
WIDTH: Final = 4
"""Coordinates that share a byte: codes take a sixteenth of the float32 bytes."""

TRAINING_ROWS_MAX: Final = 16_384
ITERATIONS: Final = 10
DECODING_BATCH_MIN: Final = 8
"""From this many queries on, decoding a tile for all of them beats one look-up for each."""

STREAM: Final = 0x7051_0001
_BLOCK_ROWS: Final = 128
"""Few enough that the product of a block runs in one thread and stays in its cache."""

_NORM_ROWS: Final = 4_096
_PRODUCT_ROWS_MIN: Final = 16
_TIE: Final = 2.0**-20
"""Twice the error bound of a float32 product of five terms, relative to the squares in it."""

_TINY: Final = 2.0**-120
"""What such a product loses where its terms are subnormal, flushed to zero or not."""


class PqCodec(Codec):
    """Row x as the numbers of the nearest centroids, one for every few coordinates, and a norm.

    The codebook (subspaces, 256, width) is the parameter: `trained` learns it by k-means from a
    sample, the same bits from the same rows and seed. It ages as rows drift away from what it has
    seen; `relative_error` of present rows against that at training time says how far.

    >>> codec = PqCodec(dim=2).trained(np.array([[0, 1], [5, 5]], np.float32))
    >>> codec.decode(codec.encode(np.array([[4, 6]], np.float32))).tolist()
    [[5.0, 5.0]]
    """

    name: ClassVar[str] = "pq"
    learns: ClassVar[str | None] = "codebook"
    tile_scores: ClassVar[TileScores] = staticmethod(pq.tile_scores)

    def __init__(self, dim: int, seed: int = 0, parameters: Parameters = NOTHING) -> None:
        super().__init__(dim, seed, parameters)
        self.subspaces = -(-dim // WIDTH)
        if not self.needs_training:
            _check_codebook(self.parameters["codebook"], self.subspaces)

    @property
    def fields(self) -> tuple[Field, ...]:
        """Centroid numbers (subspaces,) uint8, norm float32."""
        return (
            Field("numbers", (self.subspaces,), np.dtype(np.uint8)),
            Field("norms", (), np.dtype(np.float32)),
        )

    def trained(self, rows: Float32Array) -> PqCodec:
        """The codec with a codebook for rows (count, dim): k-means, a fixed number of rounds.

        At most `TRAINING_ROWS_MAX` rows are drawn; fewer than 256 rows are all centroids.
        """
        if len(rows) == 0:
            raise InvalidOption(
                "a codebook cannot be learned from nothing",
                got="no rows",
                wanted="at least one row",
                remedy="train with rows like those that will be stored, 10,000 or more",
            )
        prefix = fold(address(self.seed), STREAM)
        order = np.argsort(draw_block(prefix, len(rows)), kind="stable")
        parts = self._parts(rows[np.sort(order[:TRAINING_ROWS_MAX])])
        firsts = np.argsort(draw_block(fold(prefix, 1), len(parts)), kind="stable")[:CENTROIDS]
        book = np.empty((self.subspaces, CENTROIDS, WIDTH), np.float32)
        for index, part in enumerate(parts.transpose(1, 0, 2)):
            book[index] = _centroids(np.ascontiguousarray(part), firsts)
        return PqCodec(self.dim, self.seed, {"codebook": _shortened(book)})

    def encode(self, rows: Float32Array) -> Codes:
        """Numbers of the nearest centroids of rows, ties to the lowest, and norms."""
        book = self._codebook
        numbers, norms = self.empty(len(rows))
        parts = self._parts(rows)
        if len(rows) < _PRODUCT_ROWS_MIN:
            for number, row in zip(numbers, parts, strict=True):
                number[:] = _squared(row[:, None].astype(np.float64), book).argmin(axis=1)
        else:
            for index in range(self.subspaces):
                numbers[:, index] = _nearest(np.ascontiguousarray(parts[:, index]), book[index])
        for start in range(0, len(rows), _NORM_ROWS):
            block = slice(start, start + _NORM_ROWS)
            norms[block] = as_norms(canonical_norms(self.decode((numbers[block],))))
        return numbers, norms

    def decode(self, codes: Codes) -> Float32Array:
        """Rows of centroids."""
        numbers = codes[0]
        found = self._codebook[np.arange(self.subspaces), numbers]
        return np.ascontiguousarray(
            found.reshape(len(numbers), self.subspaces * WIDTH)[:, : self.dim]
        )

    def prepare(self, queries: Float32Array, metric: Metric) -> Prepared:
        """A few queries as tables of products, more of them beside the codebook."""
        targets, norms = query_targets(queries, metric)
        parts = self._parts(targets)
        book = self._codebook
        if len(queries) < DECODING_BATCH_MIN:
            tables = np.matmul(book, parts.transpose(1, 2, 0))
            return {"tables": tables.reshape(-1, len(queries)).T, "norms": norms}
        flat = book.reshape(-1, WIDTH)
        wide = parts.reshape(len(queries), self.subspaces * WIDTH)
        return {"codebook": flat, "targets": wide, "norms": norms}

    @cached_property
    def _codebook(self) -> Float32Array:
        if self.needs_training:
            raise InvalidOption(
                "pq has no codebook yet",
                got="an untrained codec",
                wanted='parameters with a "codebook"',
                remedy="use the codec that `trained(rows)` returns",
            )
        return self.parameters["codebook"]

    def _parts(self, rows: Float32Array) -> Float32Array:
        """Rows (count, dim) as (count, subspaces, width), the last part padded by zeros."""
        extra = self.subspaces * WIDTH - self.dim
        return np.pad(rows, ((0, 0), (0, extra))).reshape(len(rows), self.subspaces, WIDTH)


def _nearest(parts: Float32Array, centroids: Float32Array) -> NDArray[np.int64]:
    """The nearest of `centroids` (256, width) to each of `parts` (count, width), lowest at a tie.

    A float32 product chooses, and is believed where the runner-up is farther away than the product
    can err; else the float64 sum of squared differences decides. So the choice is always that of
    the sum, whatever the batch and the machine's matrix product.
    """
    largest = max(np.abs(parts).max(initial=0.0), np.abs(centroids).max())
    scale = np.ldexp(1.0, -np.frexp(float(largest))[1])
    wide, table = parts.astype(np.float64), centroids.astype(np.float64)
    halves = 0.5 * np.square(table * scale).sum(axis=1)
    sized = wide * scale
    scaled = np.column_stack([sized, np.ones(len(wide))]).astype(np.float32)
    factors = np.vstack([-table.T * scale, halves]).astype(np.float32)
    reach = _TIE * (np.vecdot(sized, sized) + 4.0 * halves.max()) + _TINY
    chosen = np.empty(len(parts), np.int64)
    for start in range(0, len(parts), _BLOCK_ROWS):
        block = slice(start, start + _BLOCK_ROWS)
        distances = scaled[block] @ factors
        everyone = np.arange(len(distances))
        first = distances.argmin(axis=1)
        best = distances[everyone, first]
        distances[everyone, first] = np.inf
        second = distances[everyone, distances.argmin(axis=1)]  # A third of the time of `min`.
        (unclear,) = np.nonzero(~(second - best > reach[block]))
        if unclear.size:
            first[unclear] = _squared(wide[block][unclear, None], table).argmin(axis=1)
        chosen[block] = first
    return chosen


def _squared(parts: Float64Array, centroids: Float32Array | Float64Array) -> Float64Array:
    """Squared distances over the last axis, its coordinates added in order."""
    total: Float64Array = np.square(parts[..., 0] - centroids[..., 0])
    for axis in range(1, parts.shape[-1]):
        total += np.square(parts[..., axis] - centroids[..., axis])
    return total


def _centroids(part: Float32Array, firsts: NDArray[np.int64]) -> Float32Array:
    """k-means from the rows `firsts`; a centroid without rows stays where it is."""
    book = np.repeat(part[firsts[-1:]], CENTROIDS, axis=0)
    book[: len(firsts)] = part[firsts]
    wide: Float64Array = part.astype(np.float64)
    for _ in range(ITERATIONS if len(part) > CENTROIDS else 0):
        nearest = _nearest(part, book)
        counts = np.bincount(nearest, minlength=CENTROIDS)
        sums = np.stack(
            [np.bincount(nearest, weights=column, minlength=CENTROIDS) for column in wide.T], axis=1
        )
        means = sums / np.maximum(counts, 1)[:, None]
        book = np.where(counts[:, None] > 0, means, book).astype(np.float32)
    return book


def _shortened(book: Float32Array) -> Float32Array:
    """The codebook, made smaller where its longest centroids together would be too long a row."""
    longest = float(np.sqrt(np.square(book.astype(np.float64)).sum(axis=2).max(axis=1).sum()))
    if longest <= DECODED_NORM_MAX:
        return book
    return (book * (DECODED_NORM_MAX / longest * (1.0 - 2.0**-20))).astype(np.float32)


def _check_codebook(book: NDArray[np.generic], subspaces: int) -> None:
    wanted = (subspaces, CENTROIDS, WIDTH)
    if book.shape != wanted or book.dtype != np.float32:
        raise InvalidOption(
            "the codebook does not fit the rows",
            got=f"shape {book.shape}, {book.dtype}",
            wanted=f"shape {wanted}, float32",
            remedy="use the codebook of a codec of the same dimension",
        )
