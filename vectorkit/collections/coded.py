"""Codes on a device, and float32 rows there, on the host, or nowhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import jax
import numpy as np
from jax import Array
from numpy.typing import NDArray

from vectorkit.collections import compiled
from vectorkit.collections.backend import Backend, Candidates, Encoded, Pending
from vectorkit.collections.buffer import Batch
from vectorkit.collections.codecs import Codec, codec_of
from vectorkit.collections.state import CAPACITY_MIN, grown_capacity, padded, padded_size
from vectorkit.kernels.select import NO_SLOT
from vectorkit.types import Float32Array, Int32Array, MaskArray, Metric

RowsPlace = Literal["device", "host", "none"]

SAMPLE_ROWS: Final = 4_096
"""Rows at most that an error is measured on."""

_AGE: Final = "age"
_BLOCK_ROWS: Final = 1 << 14


@dataclass(frozen=True, slots=True)
class QuantizedState:
    """Codes of all rows, the codec that made them, and the float32 rows where they are kept.

    `codes` and `rows` have the slots as their first axis. `training_error` is the codec's relative
    error on the rows that it has learned from, `written_since` how many rows were written later.
    """

    codec: Codec
    codes: tuple[Array, ...]
    rows: Array | None
    training_error: float
    written_since: int


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
        self._codec = codec

    def empty(self) -> QuantizedState:
        """Zeros. A codec that has to learn learns from the first rows that are written."""
        codec = self._codec
        codes = jax.device_put(codec.empty(CAPACITY_MIN), self.device)
        rows = None
        if self.rows_device is not None:
            rows = jax.device_put(np.zeros((CAPACITY_MIN, codec.dim), np.float32), self.rows_device)
        return QuantizedState(codec, codes, rows, 0.0, 0)

    def capacity(self, state: QuantizedState) -> int:
        """The length of the arrays."""
        return int(state.codes[0].shape[0])

    def needs_training(self, state: QuantizedState) -> bool:
        """Whether the next rows written are what the codec learns from."""
        return state.codec.needs_training

    def encode(self, state: QuantizedState, batch: Batch) -> Encoded:
        """The codec, trained if it has to be, slots, codes and rows."""
        codec, real = state.codec, batch.rows[: batch.row_count]
        since = state.written_since + batch.row_count
        if codec.needs_training:
            state, since = _trained(codec.trained(real), real, state), 0
        codes = state.codec.empty(len(batch.slots))
        for whole, some in zip(codes, state.codec.encode(real), strict=True):
            whole[: batch.row_count] = some
        return replace(state, written_since=since), batch.slots, codes, batch.rows

    def write(self, state: QuantizedState, encoded: Encoded, *, in_place: bool) -> QuantizedState:
        """One scatter into codes and rows, so that both change or neither."""
        slots, codes, rows = encoded[1:]
        learned: QuantizedState = encoded[0]
        write = compiled.write_in_place if in_place else compiled.write_copy
        return self._changed(
            state,
            lambda arrays, first: write(
                arrays, slots, (*codes, rows)[first : first + len(arrays)], dim=state.codec.dim
            ),
            learned,
        )

    def move(
        self, state: QuantizedState, sources: Int32Array, targets: Int32Array, *, in_place: bool
    ) -> QuantizedState:
        """Codes and rows move as they are: nothing is encoded again."""
        move = compiled.move_in_place if in_place else compiled.move_copy
        return self._changed(
            state, lambda arrays, _: move(arrays, sources, targets, dim=state.codec.dim), state
        )

    def grow(self, state: QuantizedState, capacity: int) -> QuantizedState:
        """The arrays, padded with zeros."""
        dim = state.codec.dim
        return self._changed(
            state, lambda arrays, _: compiled.grow(arrays, capacity=capacity, dim=dim), state
        )

    def _changed(
        self,
        state: QuantizedState,
        program: Callable[[tuple[Array, ...], int], tuple[Array, ...]],
        learned: QuantizedState,
    ) -> QuantizedState:
        """All arrays changed by one call of a program; by one a device where rows lie apart.

        The program is told which of the arrays, codes before rows, its first one is.
        """
        count = len(state.codes)
        if state.rows is None:
            return replace(learned, codes=program(state.codes, 0), rows=None)
        if self.rows_device != self.device:
            (rows,) = program((state.rows,), count)
            return replace(learned, codes=program(state.codes, 0), rows=rows)
        *codes, rows = program((*state.codes, state.rows), 0)
        return replace(learned, codes=tuple(codes), rows=rows)

    def read(self, state: QuantizedState, slots: Int32Array) -> Array | Float32Array:
        """Rows as they were given where they are kept, else decoded."""
        dim = state.codec.dim
        if state.rows is not None:
            (rows,) = compiled.read((state.rows,), slots, dim=dim)
            found: Array = rows
            return found
        codes = compiled.read(state.codes, slots, dim=dim)
        return state.codec.decode(tuple(map(np.asarray, codes)))

    def rows(self, state: QuantizedState, count: int) -> Float32Array:
        """All rows: the bits that were put in, or decoded ones."""
        if state.rows is not None:
            return np.asarray(state.rows)[:count]
        decoded = np.empty((count, state.codec.dim), np.float32)
        codes = tuple(np.asarray(each)[:count] for each in state.codes)
        for start in range(0, count, _BLOCK_ROWS):
            block = slice(start, start + _BLOCK_ROWS)
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
        codec, (queries, batch), capacity = state.codec, prepared, self.capacity(state)
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
    ) -> QuantizedState:
        """A new state: every row encoded again, and the age of the codebook zero."""
        old = state.codec
        codec = codec_of(old.name, old.dim, old.seed, {"codebook": codebook})
        codes = codec.empty(self.capacity(state))
        rows = self.rows(state, count)
        for start in range(0, count, _BLOCK_ROWS):
            block = slice(start, min(start + _BLOCK_ROWS, count))
            for whole, some in zip(codes, codec.encode(rows[block]), strict=True):
                whole[block] = some
        learned = _trained(codec, rows, state)
        return replace(learned, codes=jax.device_put(codes, self.device))

    def host_names(self) -> frozenset[str]:
        """The float32 rows, where they were asked to be."""
        return frozenset({"rows"} if self.rows_device != self.device else ())

    def parameters(self, state: QuantizedState) -> Mapping[str, NDArray[Any]]:
        """What the codec has learned."""
        return state.codec.parameters

    def content(self, state: QuantizedState, count: int) -> Mapping[str, NDArray[Any]]:
        """Codes, rows where they are kept, the codebook, and its age."""
        whole = {name: np.asarray(array)[:count] for name, array in self.arrays(state).items()}
        age = np.array([state.training_error, state.written_since])
        return {**whole, **state.codec.parameters, _AGE: age}

    def adopt(self, content: Mapping[str, NDArray[Any]], count: int) -> QuantizedState:
        """Codes as they were saved: nothing is encoded again."""
        blank, capacity = self.empty(), max(CAPACITY_MIN, grown_capacity(0, count))
        names = [field.name for field in blank.codec.fields]
        learned = {name: each for name, each in content.items() if name not in {*names, "rows"}}
        error, since = learned.pop(_AGE).tolist()
        codec = codec_of(blank.codec.name, blank.codec.dim, blank.codec.seed, learned)
        codes = jax.device_put(
            tuple(padded(content[name], capacity) for name in names), self.device
        )
        rows = blank.rows
        if rows is not None:
            rows = jax.device_put(padded(content["rows"], capacity), self.rows_device)
        return QuantizedState(codec, codes, rows, error, int(since))

    def arrays(self, state: QuantizedState) -> Mapping[str, Array]:
        """Codes by the names of the codec's fields, and rows where they are kept."""
        names = [field.name for field in state.codec.fields]
        arrays = dict(zip(names, state.codes, strict=True))
        return arrays if state.rows is None else {"rows": state.rows, **arrays}


def host_device() -> jax.Device:
    """The CPU as a device: where rows lie that are kept on the host."""
    return jax.local_devices(backend="cpu")[0]


def _trained(codec: Codec, rows: Float32Array, state: QuantizedState) -> QuantizedState:
    """The state with a codec that has just learned from rows."""
    step = max(1, len(rows) // SAMPLE_ROWS)
    error = codec.relative_error(rows[::step])
    return replace(state, codec=codec, training_error=error, written_since=0)
