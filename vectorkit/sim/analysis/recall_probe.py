"""How far the answers of replicas drift from their master's: overlap of the k best, and why."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import xxhash

from vectorkit.collections import BatchMatches, Reader
from vectorkit.draws import address, below, fold
from vectorkit.kernels.canonical import canonical_scores
from vectorkit.replication import Position
from vectorkit.sim.world.engine import Engine
from vectorkit.types import Float32Array, Id
from vectorkit.units import ms_to_ns, ns_to_ms

QUERIES: Final = 8
K: Final = 10
_QUERY_STREAM: Final = 7
_BLOCK_ROWS: Final = 4_096


class RecallSample(NamedTuple):
    """One node at one moment, as shares of the k best of its master; the four add up to 1.

    `recall`: found. `staleness_loss`: not among the best of what the node shows, since it lags.
    `quantization_loss`: among them, but its search missed it. `order_loss`: in its place stands a
    row that is just as good, so only the order of equals differs.
    """

    time_ms: float
    node: str
    recall: float
    staleness_loss: float
    quantization_loss: float
    order_loss: float
    visible_offset: int
    head_offset: int


class AnswerSample(NamedTuple):
    """What one node answers at one moment, and the history that it shows: both as hashes."""

    time_ms: float
    node: str
    offset: int
    history: str
    answers: str
    """Over ids, order and scores of all queries."""


class Best(NamedTuple):
    """The k best rows of a query, and all rows that are as good as the last of them."""

    ids: frozenset[Id]
    ids_and_equals: frozenset[Id]


class RecallProbe:
    """Asks every node the same few queries every so often, and compares with the master.

    Queries are midpoints of drawn pairs of `vectors`. Nothing of it enters the trace: no float of
    a kernel belongs there.
    """

    def __init__(
        self, engine: Engine, collection: str, vectors: Float32Array, *, seed: int
    ) -> None:
        self.samples: list[RecallSample] = []
        self.answers: list[AnswerSample] = []
        self._engine = engine
        self._collection = collection
        self._every_ns = ms_to_ns(engine.options.recall_every_ms)
        self._queries = probe_queries(vectors, seed)
        engine.on("recall", self._on_recall)
        engine.scheduler.at(self._every_ns, "recall", None)

    def _on_recall(self, data: None) -> None:
        self.sample()
        self._engine.scheduler.at(self._engine.now_ns + self._every_ns, "recall", None)

    def sample(self) -> None:
        """Ask now, if there is a master."""
        master_id = self._engine.master_id
        if master_id is None:
            return
        master = self._engine.node(master_id)
        if self._collection not in master.store:
            return
        truth = best_rows(master.store[self._collection], self._queries, K)
        for node_id, machine in self._engine.machines.items():
            if not machine.is_up:
                continue
            member = machine.node.member
            shown = member.readable()
            served = None
            if self._collection in shown:
                served = shown[self._collection].search_many(self._queries, K)
                self._note_answers(node_id, member.shown, served)
            if node_id == master_id:
                continue
            shares = (0.0, 1.0, 0.0, 0.0)
            if served is not None:
                shares = compared(served, shown[self._collection], self._queries, truth)
            self.samples.append(
                RecallSample(
                    ns_to_ms(self._engine.now_ns),
                    node_id,
                    *shares,
                    member.visible_offset,
                    master.log.head.offset,
                )
            )

    def _note_answers(self, node_id: str, here: Position, served: BatchMatches) -> None:
        shown = [(tuple(each.ids), np.asarray(each.scores).tobytes()) for each in served]
        answers = xxhash.xxh3_128_hexdigest(repr(shown).encode())
        now_ms, history = ns_to_ms(self._engine.now_ns), here.hash.hex()
        self.answers.append(AnswerSample(now_ms, node_id, here.offset, history, answers))


def probe_queries(vectors: Float32Array, seed: int) -> Float32Array:
    """Midpoints of drawn pairs of rows: (QUERIES, dim)."""
    prefix, count = fold(address(seed), _QUERY_STREAM), len(vectors)
    pairs = [[below(fold(prefix, query, end), count) for end in (0, 1)] for query in range(QUERIES)]
    first, second = np.array(pairs).T
    middle: Float32Array = (vectors[first] + vectors[second]) * np.float32(0.5)
    return middle


def compared(
    served: BatchMatches, reader: Reader, queries: Float32Array, truth: list[Best]
) -> tuple[float, float, float, float]:
    """Recall, staleness loss, quantization loss and order loss: means over the queries."""
    exact = best_rows(reader, queries, K)
    rows = []
    for answer, own, best in zip(served, exact, truth, strict=True):
        wanted = max(1, len(best.ids))
        found = frozenset(answer.ids)
        good = len(found & best.ids_and_equals)
        possible = max(good, min(wanted, len(own.ids & best.ids_and_equals)))
        kept = len(found & best.ids)
        rows.append((kept, wanted - possible, possible - good, good - kept, wanted))
    sums = np.array(rows, float)
    recall, staleness, quantization, order = (sums[:, :4] / sums[:, 4:]).mean(axis=0).tolist()
    return recall, staleness, quantization, order


def best_rows(reader: Reader, queries: Float32Array, k: int) -> list[Best]:
    """The k truly best rows of each query, by canonical scores of all rows."""
    snapshot = reader.snapshot()
    ids, rows = snapshot.ids(), snapshot.vectors()
    scores = np.concatenate(
        [
            canonical_scores(rows[start : start + _BLOCK_ROWS], query, reader.metric)
            for query in queries
            for start in range(0, max(1, len(rows)), _BLOCK_ROWS)
        ]
    ).reshape(len(queries), len(rows))
    found = []
    for each in scores:
        order = np.argsort(-each, kind="stable")[:k]
        least = each[order[-1]] if len(order) else np.inf
        equals = np.flatnonzero(each >= least)
        found.append(Best(frozenset(ids[i] for i in order), frozenset(ids[i] for i in equals)))
    return found
