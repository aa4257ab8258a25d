"""What an update costs, against the floor and the peers: single, alternating with reads, batches.

The floor of a single update is what Python alone can do, `rows[slot_of[id]] = vector` in NumPy:
no validation, no device. The floor of a batch is JAX's own donated scatter with the slots known.
Everybody gets the same rows for the same drawn text ids, round by round in turn. Every timed
stretch of ours ends with a read, so what the write buffer holds back is in the figure. Recall is
that of a search after all updates, so that no write is fast by not being done.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks import truth
from benchmarks.peers import FLOOR, PEERS, STORES
from benchmarks.peers.base import Write
from benchmarks.peers.remote import Absent, Failed, Remote, loaded
from benchmarks.rows import OURS, Plan, Row
from benchmarks.timing import WARM_UPS, Call, Timing, drawn, in_turn, names, shuffled

SCATTER = "raw scatter"
BATCH_CALLS = 8
STRETCH_S = 0.3
K = 10
QUERIES = 64

Competitor = Remote | Absent


def rows(plan: Plan) -> Iterator[Row]:
    for count, dim in plan.pick([(10_000, 64)], [(10_000, 128), (100_000, 128)]):
        ids, vectors = names(count), drawn(count, dim)
        stores = [n for n in STORES if n in plan.peers and not PEERS[n].why_no_stream]
        with loaded([FLOOR, SCATTER, *stores], ids, vectors, plan.cores) as made:
            race = Race(plan, ids, vectors, made)
            yield from race.single()
            yield from race.alternating()
            for size in plan.pick([1_024], [1_024, 8_192]):
                yield from race.batches(size)


class Race:
    """The competitors, who all hold the same rows, and the writes that they are given."""

    def __init__(
        self, plan: Plan, ids: list[str], vectors: np.ndarray, made: Mapping[str, Competitor]
    ) -> None:
        self.plan, self.ids, self.vectors = plan, ids, vectors
        self.size = f"{len(ids):,} × {vectors.shape[1]}"
        self.scatter = made[SCATTER]
        self.stores = {name: each for name, each in made.items() if name != SCATTER}
        self.slot_of = {row_id: slot for slot, row_id in enumerate(ids)}
        self.queries = drawn(QUERIES, vectors.shape[1], seed=8)
        self.best = truth.best(vectors, self.queries, K)

    def single(self) -> Iterator[Row]:
        """One row a call, thousands of calls."""
        most = 4_096
        rounds = self._writes(most)
        taken = {
            name: self._affordable(peer, "update_one", (self.ids[0], self.vectors[1]), most)
            for name, peer in self.stores.items()
        }

        def call(name: str, peer: Competitor) -> Call:
            def one_by_one(number: int) -> Any:
                ids, vectors = rounds[number]
                return peer.lap("update_each", ids[: taken[name]], vectors[: taken[name]])

            return one_by_one

        timings = self._timed({name: call(name, peer) for name, peer in self.stores.items()})
        touched = {name: [ids[:many] for ids, _ in rounds] for name, many in taken.items()}
        yield from self._rows(f"update_vector, {self.size}", timings, taken, touched, FLOOR)

    def alternating(self) -> Iterator[Row]:
        """An update and a read in turn: nothing can be held back."""
        both = {name: self.stores[name] for name in (OURS, FLOOR)}
        for read, pairs in (("get", 256), ("search", 16)):
            rounds = self._writes(pairs)

            def call(peer: Competitor, rounds: list[Write] = rounds, read: str = read) -> Call:
                more = () if read == "get" else (K,)
                return lambda number: peer.lap(f"update_and_{read}", *rounds[number], *more)

            timings = self._timed({name: call(peer) for name, peer in both.items()})
            case = f"update and {read} in turn, {self.size}"
            touched = {name: [ids for ids, _ in rounds] for name in both}
            yield from self._rows(case, timings, dict.fromkeys(both, pairs), touched, FLOOR)

    def batches(self, size: int) -> Iterator[Row]:
        """Whole batches with text ids; the raw scatter is told the slots."""
        made = [self._writes(size, seed) for seed in range(BATCH_CALLS)]
        rounds = [[writes[number] for writes in made] for number in range(len(made[0]))]
        taken = {
            name: self._affordable(peer, "update", made[0][0], BATCH_CALLS)
            for name, peer in self.stores.items()
        }

        def call(name: str, peer: Competitor) -> Call:
            return lambda number: peer.lap("update_batches", rounds[number][: taken[name]])

        def scattered(number: int) -> Any:
            self.scatter.call("prepare", rounds[number])
            return self.scatter.lap("update_batches", rounds[number])

        calls = {SCATTER: scattered} | {name: call(name, p) for name, p in self.stores.items()}
        timings = self._timed(calls)
        operations = {name: size * calls for name, calls in taken.items()}
        operations[SCATTER] = size * BATCH_CALLS
        case = f"update_vectors, batches of {size:,}, {self.size}"
        touched = {
            name: [ids for writes in rounds for ids, _ in writes[:calls]]
            for name, calls in taken.items()
        }
        yield from self._rows(case, timings, operations, touched, SCATTER)

    def _writes(self, taken: int, seed: int = 0) -> list[Write]:
        """For each round different drawn ids, and rows of other ids for them."""
        rounds = []
        for number in range(max(self.plan.repeats, WARM_UPS)):
            slots = shuffled(len(self.ids), taken, 1_000 * seed + number)
            rounds.append(([self.ids[slot] for slot in slots], self.vectors[slots[::-1]]))
        return rounds

    def _timed(self, calls: Mapping[str, Call]) -> dict[str, Timing]:
        return in_turn(calls, self.plan.repeats, budget_s=4.0)

    def _affordable(self, peer: Competitor, method: str, args: Any, most: int) -> int:
        """How many of these calls make a stretch of `STRETCH_S`; one where the call raises."""
        try:
            peer.lap(method, *args)
            return int(np.clip(STRETCH_S / peer.lap(method, *args).seconds, 1, most))
        except Failed:  # It will raise again where errors become rows.
            return 1

    def _rows(
        self,
        case: str,
        timings: dict[str, Timing],
        operations: Mapping[str, int],
        touched: Mapping[str, Sequence[Sequence[str]]],
        floor: str,
    ) -> Iterator[Row]:
        """A row a competitor: its ratio to the floor, ours to it, what a search finds now."""

        def ratio(mine: str, theirs: str) -> float:
            """The time of a row by another's, the median over the rounds."""
            rows = operations[theirs] / operations[mine]
            return timings[mine].ratio(timings[theirs]) * rows

        for name, timing in timings.items():
            values = {f"by {floor}": ratio(name, floor)}
            if floor == SCATTER:
                values["share of raw scatter"] = ratio(floor, name)
            if name not in {OURS, floor}:
                values["by vectorkit"] = ratio(name, OURS)
            if name == OURS:
                peers = [ratio(each, OURS) for each in timings if each in PEERS]
                if np.isfinite(peers).any():
                    values["share of fastest peer"] = float(np.nanmin(peers))
            if name != SCATTER and not timing.error:
                values[f"recall@{K}"] = self._recall(self.stores[name], touched[name])
            yield Row(
                case=case,
                who=name,
                timing=timing,
                operations=operations[name],
                values=values,
                moved_bytes=self.vectors.itemsize * self.vectors.shape[1] * 2,
            )

    def _recall(self, peer: Competitor, touched: Sequence[Sequence[str]]) -> float:
        """Recall after the updates, once every row that they touched has its first vector again.

        How many rounds a slow peer was given differs, so this is what makes all contents equal.
        """
        slots = sorted({self.slot_of[row_id] for ids in touched for row_id in [*ids, self.ids[0]]})
        peer.call("update", [self.ids[slot] for slot in slots], self.vectors[slots])
        found = peer.call("search", self.queries, K).given
        return truth.recall(found, self.ids, self.vectors, self.queries, self.best)
