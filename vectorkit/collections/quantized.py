"""The collection of codes: small, scanned in place of float32 rows, then rescored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final, Literal, cast

import jax
import numpy as np
from jax import Array
from numpy.typing import NDArray

from vectorkit.collections import compiled
from vectorkit.collections.backend import Backend, Candidates, Encoded, Pending
from vectorkit.collections.buffer import Batch
from vectorkit.collections.checks import checked_dim, nearest, short
from vectorkit.collections.codecs import Codec, codec_of
from vectorkit.collections.collection import Collection
from vectorkit.collections.gpu import checked_device
from vectorkit.collections.results import WriteResult
from vectorkit.collections.state import CAPACITY_MIN, grown_capacity, padded
from vectorkit.errors import InvalidOption
from vectorkit.operations import CollectionConfig, SetCodebook
from vectorkit.types import Float32Array, Int32Array, MaskArray, Metric

RowsPlace = Literal["device", "host", "none"]
ROWS_PLACES: Final[tuple[RowsPlace, ...]] = ("device", "host", "none")

RESCORE_MAX: Final = 1_000
"""The most candidates for each match."""

_AGE: Final = "age"
_BLOCK_ROWS: Final = 1 << 14
_SAMPLE_ROWS: Final = 4_096


class QuantizedCollection(Collection):
    """Vectors by id as codes: smaller and faster to scan, approximate, atomic to update.

    A search scans the codes, takes `rescore` × k candidates (k + 6 at least, padded to a power of
    two) and orders them by canonical scores of the stored rows: float32 rows on the device or the
    host (`rows="device"`, `"host"`), else the decoded ones (`"none"`), which `get` then returns
    too. So each score is that of the row that `get` shows; what may be missing is a row whose code
    misled the scan. Codecs:

    - "int8": one byte a coordinate, nothing to learn; next to no loss.
    - "binary": one bit a coordinate after a random rotation; rescore with 4 to 8.
    - "pq": one byte for four coordinates, by a codebook learned from the first rows written, so
      write a large, typical batch first. It ages: see `codec_report` and `retrain`.

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
        self.device = jax.local_devices()[0] if device is None else checked_device(device)
        self._codec = codec_of(codec, checked_dim(dim))
        self._rows: RowsPlace = checked_place(rows)
        self._rescore = checked_rescore(rescore)
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
        snapshot = self.snapshot()
        state, count = snapshot._view.state, len(snapshot)
        error = None
        if state.rows is not None:
            step = max(1, -(-count // _SAMPLE_ROWS))
            slots = padded(np.arange(0, count, step, dtype=np.int32))
            rows = np.asarray(self._backend.read(state, slots))[: -(-count // step)]
            error = None if state.codec.needs_training else state.codec.relative_error(rows)
        codec = state.codec
        written = state.written_since
        return CodecReport(codec.name, codec.row_bytes, state.training_error, error, written)

    def retrain(self) -> WriteResult:
        """Learn the codebook anew from all present rows and encode them by it; one write.

        Rows, payloads and ids stay. Where float32 rows are not kept, it learns from decoded rows
        and encodes these, so that each retraining loses a little more. Raises InvalidOption for a
        codec that learns nothing and for an empty collection.

        >>> c = QuantizedCollection(dim=2, codec="pq")
        >>> _ = c.upsert(["a"], [[1, 0]])
        >>> _ = c.upsert(["b"], [[0, 1]])
        >>> c.retrain().updated, c.codec_report().error
        (2, 0.0)
        """
        with self._lock:
            snapshot = self.snapshot()
            codec: Codec = snapshot._view.state.codec
            if not codec.parameters and not codec.needs_training:
                raise InvalidOption(
                    "this codec learns nothing from rows",
                    got=f"codec={codec.name!r}",
                    wanted="codec='pq'",
                    remedy="leave it: its codes never age",
                )
            trained = codec.trained(self._backend.rows(snapshot._view.state, len(snapshot)))
            book = trained.parameters["codebook"]
            return self._commit_or_do(SetCodebook(self.name, book))


@dataclass(frozen=True, slots=True)
class CodecReport:
    """A codec's bytes a row, its relative squared error when it was trained and now, and its age.

    `written_since` counts rows that were encoded after the training.

    >>> QuantizedCollection(dim=384, codec="int8").codec_report().row_bytes
    392
    """

    codec: str
    row_bytes: int
    training_error: float
    error: float | None
    written_since: int


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
            self.rows_device = jax.local_devices(backend="cpu")[0]
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
        """One scatter into the codes, one into the rows."""
        slots, codes, rows = encoded[1:]
        learned: QuantizedState = encoded[0]
        write = compiled.write_in_place if in_place else compiled.write_copy
        written = write(state.codes, slots, codes, dim=state.codec.dim)
        kept = state.rows
        if kept is not None:
            (kept,) = write((kept,), slots, (rows,), dim=state.codec.dim)
        return replace(learned, codes=written, rows=kept)

    def move(
        self, state: QuantizedState, sources: Int32Array, targets: Int32Array, *, in_place: bool
    ) -> QuantizedState:
        """Codes and rows move as they are: nothing is encoded again."""
        move = compiled.move_in_place if in_place else compiled.move_copy
        codes = move(state.codes, sources, targets, dim=state.codec.dim)
        rows = state.rows
        if rows is not None:
            (rows,) = move((rows,), sources, targets, dim=state.codec.dim)
        return replace(state, codes=codes, rows=rows)

    def grow(self, state: QuantizedState, capacity: int) -> QuantizedState:
        """The arrays, padded with zeros."""
        dim = state.codec.dim
        codes = compiled.grow(state.codes, capacity=capacity, dim=dim)
        rows = state.rows
        if rows is not None:
            (rows,) = compiled.grow((rows,), capacity=capacity, dim=dim)
        return replace(state, codes=codes, rows=rows)

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
    ) -> Pending:
        """One scan of the codes; rows or codes of the best are gathered by the same program."""
        codec, (queries, batch) = state.codec, prepared
        is_apart = state.rows is not None and self.rows_device != self.device
        kept = () if is_apart else state.codes if state.rows is None else (state.rows,)
        slots, found = compiled.scan(
            state.codes,
            kept,
            codec.prepare(queries, self.metric),
            np.int32(count),
            None if mask is None else padded(mask, self.capacity(state)),
            tile_scores=codec.tile_scores,
            metric=self.metric,
            width=min(width, self.capacity(state)),
            dim=codec.dim,
        )
        if is_apart:
            there = jax.device_put(slots.reshape(-1), self.rows_device)
            found = compiled.read((state.rows,), there, dim=codec.dim)

        def wait() -> Candidates:
            proposed = np.asarray(slots)[:batch]
            size = proposed.size
            flat = tuple(np.asarray(each).reshape(slots.size, -1)[:size] for each in found)
            if state.rows is None:
                shapes = [field.shape for field in codec.fields]
                codes = zip(flat, shapes, strict=True)
                flat = (codec.decode(tuple(each.reshape(-1, *shape) for each, shape in codes)),)
            return Candidates(proposed, flat[0].reshape(*proposed.shape, codec.dim), None)

        return wait

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


def _trained(codec: Codec, rows: Float32Array, state: QuantizedState) -> QuantizedState:
    """The state with a codec that has just learned from rows."""
    step = max(1, len(rows) // _SAMPLE_ROWS)
    error = codec.relative_error(rows[::step])
    return replace(state, codec=codec, training_error=error, written_since=0)


def checked_place(rows: object) -> RowsPlace:
    """One of `ROWS_PLACES`."""
    for known in ROWS_PLACES:
        if rows == known:
            return known
    raise InvalidOption(
        "float32 rows cannot be kept there",
        got=f"rows={short(rows)}",
        wanted=" or ".join(map(repr, ROWS_PLACES)),
        remedy=nearest(rows, ROWS_PLACES),
    )


def checked_rescore(rescore: object) -> int:
    """A whole number of candidates a match, from 1 to `RESCORE_MAX`."""
    is_whole = isinstance(rescore, int | np.integer) and not isinstance(rescore, bool)
    if is_whole and 1 <= (number := int(cast("int", rescore))) <= RESCORE_MAX:
        return number
    raise InvalidOption(
        "a search cannot rescore like this",
        got=f"rescore={short(rescore)}",
        wanted=f"an integer from 1 to {RESCORE_MAX}",
        remedy="4 candidates for each match are a good start, 8 for binary codes",
    )
