"""A workload made concrete: its vectors, and every request as a function of client and index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from vectorkit import datasets
from vectorkit.draws import address, below, draw_block, fold, threshold
from vectorkit.operations import Delete, Operation, UpdateVectors, Upsert
from vectorkit.sim.load.distributions import exponential_ns, key_distribution
from vectorkit.sim.load.workload import PlannedRequest, Workload
from vectorkit.store import VectorStore
from vectorkit.types import KEEP, Float32Array, Id, Payload
from vectorkit.units import NS_PER_MS, ms_to_ns, ns_to_ms

_VECTOR_STREAM: Final = 5
_KEY_STREAM: Final = 32
_TOWARDS_STREAM: Final = 33
_MIX_STREAM: Final = 34
_ARRIVAL_STREAM: Final = 35
_TURN_STREAM: Final = 36
_STEP: Final = np.float32(0.25)
_NS_PER_S: Final = 1_000 * NS_PER_MS
_NUMBERS: Final = 1_000
_READS: Final = 500

_DATA_SETS: Final = {
    "glove": datasets.glove,
    "minilm": datasets.minilm,
    "patches": datasets.patches,
    "fashion_mnist": lambda limit: datasets.fashion_mnist(limit=limit),
}


class Write(NamedTuple):
    """A write before it is sent: "write" or "delete", the row, and the operation."""

    kind: str
    key: Id
    operation: Operation


def request_number(client: int, index: int, *, is_read: bool) -> int:
    """A number that no other request of any client has, growing with the index.

    >>> request_number(3, 0, is_read=False), request_number(3, 4, is_read=True)
    (1003, 5503)
    """
    return (index + 1) * _NUMBERS + is_read * _READS + client


def request_of(number: int, time_ns: int) -> PlannedRequest:
    """The request of a number, made at a time.

    >>> request_of(request_number(3, 4, is_read=True), 2_500_000)
    PlannedRequest(at_ms=2.5, client='client-3', is_read=True, index=4)
    """
    turn, rest = divmod(number, _NUMBERS)
    is_read, client = divmod(rest, _READS)
    return PlannedRequest(
        at_ms=ns_to_ms(time_ns), client=f"client-{client}", is_read=bool(is_read), index=turn - 1
    )


class Requests:
    """The rows at the start, and what client c asks as its i-th write or read, and when."""

    def __init__(self, workload: Workload, *, seed: int) -> None:
        self.workload = workload
        self._root = address(seed)
        self._collection = workload.collection
        self.ids, self.vectors, self.payloads = _source(workload.source, self._root)
        count = len(self.ids)
        self._place = key_distribution(workload.keys, count, exponent=workload.zipf_exponent)
        self._filler = "x" * workload.payload_bytes
        self._insert_below = threshold(workload.insert_share)
        self._delete_below = threshold(workload.insert_share + workload.delete_share)
        rate = workload.writes_per_s + workload.reads_per_s
        self._read_below = threshold(workload.reads_per_s / rate if rate else 0.0)
        self._prefixes: dict[tuple[int, int, bool], int] = {}
        self._listed = None if workload.requests is None else _listed(workload.requests)

    def load(self, store: VectorStore) -> None:
        """Put the rows that are there at the start into a new collection."""
        load, name = self.workload, self._collection
        dim = self.vectors.shape[1]
        store.create_collection(name, dim=dim, metric=load.metric, kind=load.kind, codec=load.codec)
        count = len(self.ids) if load.preload is None else load.preload
        payloads = None if self.payloads is None else self.payloads[:count]
        store.upsert(name, self.ids[:count], self.vectors[:count], payloads=payloads)

    def time_ns(self, client: int, turn: int, previous_ns: int, *, is_read: bool) -> int | None:
        """When a client that keeps time writes or reads next, after the one before; None: never."""
        load = self.workload
        if self._listed is not None:
            own = self._listed.get((client, is_read), [])
            return ms_to_ns(own[turn].at_ms) if turn < len(own) else None
        rate = load.reads_per_s if is_read else load.writes_per_s
        if rate == 0:
            return None
        if load.arrivals == "fixed":
            return round((turn + 1) * _NS_PER_S / rate)
        word = self._draw(_ARRIVAL_STREAM, client, turn, is_read=is_read)
        return previous_ns + exponential_ns(word, round(_NS_PER_S / rate))

    def index(self, client: int, turn: int, *, is_read: bool) -> int:
        """Index of the write or read that this client issues on its `turn`-th turn."""
        return turn if self._listed is None else self._listed[client, is_read][turn].index

    def is_read(self, client: int, turn: int) -> bool:
        """Whether a client of a closed loop reads on its `turn`-th turn."""
        return self._draw(_TURN_STREAM, client, turn, is_read=False) < self._read_below

    def read(self, client: int, index: int) -> Id:
        """The row that this read asks for."""
        word = self._draw(_KEY_STREAM, client, index, is_read=True)
        return self.ids[self._place(index, word)]

    def write(self, client: int, index: int) -> Write:
        """This write: an update, or by its draw an upsert or a delete."""
        load = self.workload
        place = self._place(index, self._draw(_KEY_STREAM, client, index, is_read=False))
        key = self.ids[place]
        mix = 0
        if self._delete_below:
            mix = self._draw(_MIX_STREAM, client, index, is_read=False)
            if self._insert_below <= mix < self._delete_below:
                return Write("delete", key, Delete(self._collection, (key,)))
        payload: dict[str, object] = {} if self.payloads is None else dict(self.payloads[place])
        payload["w"] = request_number(client, index, is_read=False)
        if self._filler:
            payload["filler"] = self._filler
        if mix < self._insert_below:
            row = self._moved(place, client, index)
            return Write("write", key, Upsert(self._collection, (key,), row, (payload,)))
        vectors = self._moved(place, client, index) if load.moves_vectors else KEEP
        return Write("write", key, UpdateVectors(self._collection, (key,), vectors, (payload,)))

    def _moved(self, place: int, client: int, index: int) -> Float32Array:
        """The row's first vector, moved a quarter of the way to a drawn one, shape (1, dim)."""
        word = self._draw(_TOWARDS_STREAM, client, index, is_read=False)
        towards = below(word, len(self.ids))
        start = self.vectors[place : place + 1]
        moved: Float32Array = start + (self.vectors[towards] - start) * _STEP
        return moved

    def _draw(self, stream: int, client: int, index: int, *, is_read: bool) -> int:
        where = stream, client, is_read
        if where not in self._prefixes:
            self._prefixes[where] = fold(self._root, stream, client, int(is_read))
        return fold(self._prefixes[where], index)


def _listed(requests: Sequence[PlannedRequest]) -> dict[tuple[int, bool], list[PlannedRequest]]:
    """The writes and the reads of each client, as they come."""
    listed: dict[tuple[int, bool], list[PlannedRequest]] = {}
    for each in sorted(requests, key=lambda each: (each.at_ms, each.index)):
        listed.setdefault((int(each.client.partition("-")[2]), each.is_read), []).append(each)
    return listed


def _source(
    source: str, root: int
) -> tuple[tuple[Id, ...], Float32Array, tuple[Payload, ...] | None]:
    name, _, size = source.partition(":")
    if name != "uniform":
        real = _DATA_SETS[name](limit=int(size))
        return real.ids, real.vectors, real.payloads
    rows, dim = map(int, size.split("x"))
    drawn = draw_block(fold(root, _VECTOR_STREAM), rows * dim)
    numbers = (drawn >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-23) - np.float32(1)
    return tuple(range(rows)), numbers.reshape(rows, dim), None
