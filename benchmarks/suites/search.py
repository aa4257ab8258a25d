"""What an exact search costs: against the memory, the matrix product, and the peers.

One query has to read every row once, so it is held against the memory bandwidth of the same run;
many queries against the plain jitted matrix product, without any choice of the best, in its better
orientation. A latency counts only beside its recall@k against the truth in float64. Everybody
searches the same rows, turn by turn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from benchmarks import truth
from benchmarks.peers import FLOOR, FLOORS, PEERS, STORES
from benchmarks.peers.remote import Absent, Remote, loaded
from benchmarks.rows import OURS, Plan, Row
from benchmarks.timing import Call, Lap, Timing, drawn, in_turn, names, unit
from vectorkit.datasets import glove

READS = tuple(name for name in FLOORS if name.startswith("read"))
PRODUCTS = tuple(name for name in FLOORS if name.startswith("product"))
BATCHES = (1, 8, 32, 128, 512, 1_024)
SLOW = {"qdrant-local", "lancedb", "chroma"}
"""They take no part where a batch of theirs would take minutes."""
SLOW_NUMBERS_MAX = 1 << 28

Competitors = Mapping[str, Remote | Absent]


def rows(plan: Plan) -> Iterator[Row]:
    for title, vectors, queries, batches, ks in cases(plan):
        ids = names(len(vectors))
        asked = [
            name
            for name in STORES
            if name in plan.peers and (name not in SLOW or vectors.size <= 1 << 24)
        ]
        with loaded([FLOOR, *READS, *PRODUCTS, *asked], ids, vectors, plan.cores) as made:
            for batch in batches:
                for k in ks if batch in (1, 32) else ks[:1]:
                    race = Race(plan, title, vectors, queries[:batch], k)
                    yield from race.run(ids, made)


def cases(
    plan: Plan,
) -> Iterator[tuple[str, np.ndarray, np.ndarray, tuple[int, ...], tuple[int, ...]]]:
    """Title, rows, queries, batches and k: the first k is asked of every batch."""
    if plan.form == "quick":
        yield _drawn("drawn", 16_384, 128, (1, 32), (10,))
        return
    yield _drawn("drawn", 262_144, 384, BATCHES, (10, 1, 100))
    yield _drawn("drawn", 100_000, 128, BATCHES, (10,))
    yield _drawn("drawn", 10_000, 128, (1, 32), (10,))
    vectors = unit(glove(50_000 + max(BATCHES)).vectors)
    yield "GloVe, 50,000 × 50", vectors[:50_000], vectors[50_000:], (1, 32, 1_024), (10,)


def _drawn(
    name: str, count: int, dim: int, batches: tuple[int, ...], ks: tuple[int, ...]
) -> tuple[str, np.ndarray, np.ndarray, tuple[int, ...], tuple[int, ...]]:
    queries = drawn(max(batches), dim, seed=8)
    return f"{name}, {count:,} × {dim}", drawn(count, dim), queries, batches, ks


class Race:
    """Everybody on the same queries."""

    def __init__(
        self, plan: Plan, title: str, vectors: np.ndarray, queries: np.ndarray, k: int
    ) -> None:
        self.plan, self.vectors, self.queries, self.k = plan, vectors, queries, k
        many = "1 query" if len(queries) == 1 else f"{len(queries):,} queries"
        self.case = f"{many}, k = {k}, {title}"

    def run(self, ids: list[str], made: Competitors) -> Iterator[Row]:
        floors = READS if len(self.queries) == 1 else PRODUCTS
        found: dict[str, Any] = {}
        calls = {name: self._call(name, made[name], found) for name in floors}
        for name, each in made.items():
            if name not in FLOORS and not self._is_too_slow(name):
                calls[name] = self._call(name, each, found)
        timings = in_turn(calls, self.plan.repeats, budget_s=12.0)
        best = truth.best(self.vectors, self.queries, self.k)
        floor = min(floors, key=lambda name: timings[name].median_s)
        for name, timing in timings.items():
            values = self._values(name, timings, floor)
            if name in found and not timing.error:
                reached = truth.recall(found[name], ids, self.vectors, self.queries, best)
                values[f"recall@{self.k}"] = reached
            yield Row(
                case=self.case,
                who=name,
                timing=timing,
                values=values,
                moved_bytes=self.vectors.nbytes,
                flops=2.0 * self.vectors.size * len(self.queries),
            )

    def _is_too_slow(self, name: str) -> bool:
        return name in SLOW and self.vectors.size * len(self.queries) > SLOW_NUMBERS_MAX

    def _call(self, name: str, peer: Remote | Absent, found: dict[str, Any]) -> Call:
        def search(_: int) -> Lap:
            reply = peer.call("search", self.queries, self.k)
            if reply.given is not None:
                found[name] = reply.given
            return reply.lap

        return search

    def _values(self, name: str, timings: dict[str, Timing], floor: str) -> dict[str, float]:
        mine = timings[name]
        values = {"by the floor": mine.ratio(timings[floor])}
        if floor in READS:
            values = {"share of memory bandwidth": timings[floor].ratio(mine)}
        if name not in FLOORS and name != OURS:
            values["by vectorkit"] = mine.ratio(timings[OURS])
        if name == OURS:
            for rival, timing in timings.items():
                is_exact = rival == FLOOR or (rival in PEERS and PEERS[rival].is_exact)
                if is_exact and not timing.error:
                    values[f"lead over {rival}"] = timing.ratio(mine)
        return values
