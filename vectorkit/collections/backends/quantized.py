"""Codes on a device, and float32 rows there, on the host, or nowhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, Literal

import jax
import numpy as np
from jax import Array
from numpy.typing import NDArray

from vectorkit.collections.backends import compiled
from vectorkit.collections.backends.base import (
    Backend,
    Block,
    Candidates,
    Pending,
    ReadRows,
    Step,
    padded_move,
    products_at_once,
    refused_codebook,
    step,
)
from vectorkit.collections.backends.buffer import Batch
from vectorkit.collections.backends.state import CAPACITY_MIN, grown_capacity, padded, padded_size
from vectorkit.collections.codecs import Codec, codec_of
from vectorkit.collections.copies import packed, rebuilt
from vectorkit.errors import InvalidInput
from vectorkit.kernels.select import NO_SLOT
from vectorkit.types import Float32Array, Int32Array, MaskArray, Metric

RowsPlace = Literal["device", "host", "none"]

SAMPLE_ROWS: Final = 4_096
"""Rows at most that an error is measured on."""

_AGE: Final = "age"
_BLOCK_ROWS: Final = 1 << 14


@dataclass(frozen=True, slots=True)
class Learning:
    """A codec and how old what it has learned is.

    `training_error` is the codec's relative error on the rows that it has learned from,
    `written_since` how many rows were written later.
    """

    codec: Codec
    training_error: float = 0.0
    written_since: int = 0


@dataclass(frozen=True, slots=True)
class QuantizedState:
    """Codes of all rows, the codec that made them, and the float32 rows where they are kept.

    `codes` and `rows` have the slots as their first axis.
    """

    learned: Learning
    codes: tuple[Array, ...]
    rows: Array | None

    @property
    def codec(self) -> Codec:
        """What has made the codes."""
        return self.learned.codec


class QuantizedBackend(Backend):
    """Codes on one device; float32 rows there, on the host, or nowhere."""

    is_exact = False

    def __init__(
        self, codec: Codec, metric: Metric, rescore: int, place: RowsPlace, device: jax.Device
    ) -> None:
        self.metric = metric
        self.rescore = rescore
        self.device = device
        self.keeps_rows = place != "none"
        self.rows_device = device if self.keeps_rows else None
        if place == "host":
            self.rows_device = host_device()
        self.products_at_once = products_at_once(device)
        self._codec = codec
        self._place = place

    def __reduce__(self) -> tuple[Any, ...]:
        options = (self._codec, self.metric, self.rescore, self._place, self.device)
        return rebuilt, (type(self), *map(packed, options))

    def empty(self) -> tuple[Learning, tuple[Block, ...]]:
        """Zeros. A codec that has to learn learns from the first rows that are written."""
        codec = self._codec
        return Learning(codec), self._blocks(codec.empty(CAPACITY_MIN), self._no_rows(CAPACITY_MIN))

    def state(self, learned: Learning, blocks: Sequence[Block]) -> QuantizedState:
        """Codes from the first block, rows from its end or from the second."""
        arrays = [array for block in blocks for array in block]
        rows = arrays.pop() if self.keeps_rows else None
        return QuantizedState(learned, tuple(arrays), rows)

    def capacity(self, blocks: Sequence[Block]) -> int:
        """The first block has the codes of all slots."""
        return int(blocks[0][0].shape[0])

    def needs_training(self, learned: Learning) -> bool:
        """Whether the next rows written are what the codec learns from."""
        return learned.codec.needs_training

    def encode(self, learned: Learning, batch: Batch) -> tuple[Learning, tuple[Step, ...]]:
        """The codec, trained if it has to be, and one scatter of codes and rows.

        Where they lie on different devices it is one each.
        """
        real = batch.rows[: batch.row_count]
        if learned.codec.needs_training:
            learned = _trained(learned.codec.trained(real), real)
        else:
            learned = replace(learned, written_since=learned.written_since + batch.row_count)
        codec = learned.codec
        codes = codec.empty(len(batch.slots))
        for whole, some in zip(codes, codec.encode(real), strict=True):
            whole[: batch.row_count] = some
        blocks = self._parts(codes, batch.rows)
        return learned, tuple(
            [
                step(place, "write", batch.slots, block, codec.dim)
                for place, block in enumerate(blocks)
            ]
        )

    def move(
        self, blocks: Sequence[Block], sources: Int32Array, targets: Int32Array
    ) -> tuple[Step, ...]:
        """Codes and rows move as they are: nothing is encoded again."""
        slots, dim = padded_move(sources, targets, self.capacity(blocks)), self._codec.dim
        return tuple([step(place, "move", *slots, dim) for place in range(len(blocks))])

    def grow(self, blocks: Sequence[Block], capacity: int) -> tuple[Block, ...]:
        """The arrays, padded with zeros."""
        dim = self._codec.dim
        grow = partial(compiled.grow, capacity=capacity, length=capacity, dim=dim)
        return tuple([grow((block,))[0] for block in blocks])

    @property
    def _lies_apart(self) -> bool:
        """Whether rows are kept on another device than codes: in a block of their own."""
        return self.keeps_rows and self.rows_device != self.device

    def _no_rows(self, capacity: int) -> Float32Array:
        return np.zeros((capacity if self.keeps_rows else 0, self._codec.dim), np.float32)

    def _parts(self, codes: tuple[Any, ...], rows: Any) -> tuple[tuple[Any, ...], ...]:
        """Codes and rows as the blocks have them; rows that are not kept are left out."""
        if self._lies_apart:
            return codes, (rows,)
        return ((*codes, rows) if self.keeps_rows else codes,)

    def _blocks(self, codes: tuple[Any, ...], rows: Any) -> tuple[Block, ...]:
        """The same on their devices."""
        devices = (self.device, self.rows_device)
        parts = self._parts(codes, rows)
        return tuple(
            [
                tuple(jax.device_put(part, device))
                for part, device in zip(parts, devices[: len(parts)], strict=True)
            ]
        )

    def read(self, state: QuantizedState, slots: Int32Array) -> ReadRows:
        """Rows as they were given where they are kept, else decoded."""
        arrays = state.codes if state.rows is None else (state.rows,)
        found, count = compiled.read(arrays, padded(slots), dim=state.codec.dim), len(slots)

        def wait() -> Float32Array:
            there = tuple([np.asarray(each)[:count] for each in found])
            return state.codec.decode(there) if state.rows is None else there[0]

        return wait

    def rows(self, state: QuantizedState, count: int, start: int = 0) -> Float32Array:
        """The bits that were put in, or decoded ones."""
        if state.rows is not None:
            return np.asarray(state.rows)[start:count]
        decoded = np.empty((count - start, state.codec.dim), np.float32)
        codes = tuple(np.asarray(each)[start:count] for each in state.codes)
        for first in range(0, len(decoded), _BLOCK_ROWS):
            block = slice(first, first + _BLOCK_ROWS)
            decoded[block] = state.codec.decode(tuple(each[block] for each in codes))
        return decoded

    def search(
        self,
        state: QuantizedState,
        prepared: tuple[Float32Array, int],
        count: int,
        mask: MaskArray | None,
        width: int,
        k: int,
    ) -> Pending:
        """One scan of the codes; of what it proposes the best few by float32 scores of the rows.

        One program where codes and rows lie together. Rows that are not kept are decoded.
        """
        codec, (queries, batch), capacity = state.codec, prepared, len(state.codes[0])
        width = min(width, capacity)
        kept = min(width, padded_size(super().candidate_count(k)))
        scanned = (
            state.codes,
            codec.prepare(queries, self.metric),
            np.int32(count),
            None if mask is None else padded(mask, capacity),
        )
        how = {"tile_scores": codec.tile_scores, "metric": self.metric, "width": width}
        if state.rows is not None and self.rows_device == self.device:
            best, rows = compiled.scan_and_rescore(*scanned, state.rows, queries, **how, kept=kept)
        else:
            slots = compiled.scan(*scanned, **how, dim=codec.dim)
            if state.rows is None:
                codes = compiled.read(state.codes, slots.reshape(-1), dim=codec.dim)
                return lambda: self._best_decoded(codec, queries, batch, slots, codes, kept)
            there = jax.device_put(slots, self.rows_device)
            best, rows = compiled.rescore(
                state.rows, queries, there, metric=self.metric, width=kept
            )
        return lambda: Candidates(np.asarray(best)[:batch], np.asarray(rows)[:batch], None)

    def _best_decoded(
        self,
        codec: Codec,
        queries: Float32Array,
        batch: int,
        slots: Array,
        codes: tuple[Array, ...],
        kept: int,
    ) -> Candidates:
        """Decode what was proposed, and rescore it as if there were no other rows."""
        proposed = np.asarray(slots).reshape(-1)
        decoded = np.zeros((proposed.size, codec.dim), np.float32)
        real = slice(0, batch * slots.shape[1])
        decoded[real] = codec.decode(tuple(np.asarray(each)[real] for each in codes))
        places = np.where(proposed < NO_SLOT, np.arange(proposed.size, dtype=np.int32), NO_SLOT)
        best, rows = compiled.rescore(
            *jax.device_put((decoded, queries, places.reshape(slots.shape)), host_device()),
            metric=self.metric,
            width=kept,
        )
        chosen = np.asarray(best)[:batch]
        found = np.where(chosen < NO_SLOT, proposed.take(chosen, mode="clip"), NO_SLOT)
        return Candidates(found, np.asarray(rows)[:batch], None)

    def prepare(self, queries: Float32Array) -> tuple[Float32Array, int]:
        """Padded queries and their number: what a codec makes of them depends on the state."""
        return padded(queries), len(queries)

    def candidate_count(self, k: int) -> int:
        """`rescore` candidates for each of the k."""
        return max(self.rescore * k, super().candidate_count(k))

    def with_codebook(
        self, state: QuantizedState, codebook: Float32Array, count: int
    ) -> tuple[Learning, tuple[Block, ...]]:
        """Every row encoded again, and the age of what the codec has learned zero."""
        old = state.codec
        if old.learns is None:
            raise refused_codebook(codebook)
        codec = codec_of(old.name, old.dim, old.seed, {old.learns: codebook})
        codes = codec.empty(len(state.codes[0]))
        rows = self.rows(state, count)
        for start in range(0, count, _BLOCK_ROWS):
            block = slice(start, min(start + _BLOCK_ROWS, count))
            for whole, some in zip(codes, codec.encode(rows[block]), strict=True):
                whole[block] = some
        there = tuple(jax.device_put(codes, self.device))
        return _trained(codec, rows), self._parts(there, state.rows)

    def host_names(self) -> frozenset[str]:
        """The float32 rows, where they were asked to be."""
        return frozenset({"rows"} if self.rows_device != self.device else ())

    def parameters(self, state: QuantizedState) -> Mapping[str, NDArray[Any]]:
        """What the codec has learned."""
        return state.codec.parameters

    def content(self, state: QuantizedState, count: int) -> Mapping[str, NDArray[Any]]:
        """Codes, rows where they are kept, what the codec has learned, and its age."""
        whole = {name: np.asarray(array)[:count] for name, array in _arrays(state).items()}
        age = np.array([state.learned.training_error, state.learned.written_since])
        return {**whole, **state.codec.parameters, _AGE: age}

    def adopt(
        self, content: Mapping[str, NDArray[Any]], count: int
    ) -> tuple[Learning, tuple[Block, ...]]:
        """Codes as they were saved: nothing is encoded again."""
        old, capacity = self._codec, max(CAPACITY_MIN, grown_capacity(0, count))
        names = [field.name for field in old.fields]
        _check_fields(old, content)
        learned = {name: each for name, each in content.items() if name not in {*names, "rows"}}
        error, since = learned.pop(_AGE).tolist()
        codec = codec_of(old.name, old.dim, old.seed, learned)
        codes = tuple([padded(content[name], capacity) for name in names])
        rows = padded(content["rows"], capacity) if self.keeps_rows else None
        return Learning(codec, error, int(since)), self._blocks(codes, rows)

    def sizes(self, state: QuantizedState) -> Mapping[str, int]:
        """Codes by the names of the codec's fields, and rows where they are kept."""
        return {name: array.nbytes for name, array in _arrays(state).items()}


def _arrays(state: QuantizedState) -> dict[str, Array]:
    names = [field.name for field in state.codec.fields]
    arrays = dict(zip(names, state.codes, strict=True))
    return arrays if state.rows is None else {"rows": state.rows, **arrays}


def _check_fields(codec: Codec, content: Mapping[str, NDArray[Any]]) -> None:
    """Raise InvalidInput unless all arrays of the codec's codes are there."""
    missing = [field.name for field in codec.fields if field.name not in content]
    if missing:
        raise InvalidInput(
            "an earlier vectorkit has written these codes in another form",
            got=f"{codec.name} codes without {', '.join(missing)}",
            wanted=f"codes of {', '.join(field.name for field in codec.fields)}",
            remedy="load the file with that vectorkit and write its rows again with this one",
        )


def host_device() -> jax.Device:
    """The CPU as a device: where rows lie that are kept on the host."""
    return jax.local_devices(backend="cpu")[0]


def _trained(codec: Codec, rows: Float32Array) -> Learning:
    """A codec that has just learned from rows."""
    sampled = rows[:: max(1, len(rows) // SAMPLE_ROWS)]
    return Learning(codec, codec.relative_error(sampled))
