"""What an exact search costs: against the memory, the matrix product, and the peers.

    python -m benchmarks.search [--only large,medium,glove] [--batches 1,8,…] [--cores 1]

One query has to read every row once, so it is held against the memory bandwidth of the same run;
many queries against the plain jitted matrix product, without any top k, in its better orientation.
A latency counts only beside its recall@10 against the truth in float64, which is 1 for an exact
search. Peers search the same rows; their ids are translated to the same texts.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import common
from benchmarks.peers import OURS, Peer, loaded
from vectorkit.datasets import glove

BATCHES = (1, 8, 32, 128, 512, 1_024)
AHEAD_OF = ("faiss-flat", "usearch-exact", "numpy+dict")
BANDWIDTH = "read every byte"
K = 10


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--batches", default=",".join(map(str, BATCHES)))
    parser.add_argument("--peers", default=",".join(AHEAD_OF), help="names, or `none`")
    options = common.parse(parser)
    report = common.Report("search", options)
    batches = [int(each) for each in options.batches.split(",")]
    chosen = [] if options.peers == "none" else options.peers.split(",")
    for part in (options.only or "large,medium,glove").split(","):
        rows, queries = DATA[part](options.quick)
        race = Race(report, part, rows, chosen)
        for batch in batches:
            race.run(queries[:batch])


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def random_rows(count: int, dim: int, is_quick: bool) -> tuple[np.ndarray, np.ndarray]:
    drawn = common.drawn(10_000 if is_quick else count, dim)
    return drawn, common.drawn(max(BATCHES), dim, seed=8)


def words(is_quick: bool) -> tuple[np.ndarray, np.ndarray]:
    """Words as rows, and the less frequent words behind them as queries."""
    count = 10_000 if is_quick else 50_000
    vectors = unit(glove(count + max(BATCHES)).vectors)
    return vectors[:count], vectors[count:]


DATA: dict[str, Callable[[bool], tuple[np.ndarray, np.ndarray]]] = {
    "large": partial(random_rows, 262_144, 384),
    "medium": partial(random_rows, 100_000, 128),
    "glove": words,
}


class Race:
    """All competitors with the same rows, and the floors that no search can beat."""

    def __init__(
        self, report: common.Report, part: str, rows: np.ndarray, peers: list[str]
    ) -> None:
        self.report, self.rows = report, rows
        self.title = f"{part}, {len(rows):,} × {rows.shape[1]}, {report.options.cores} cores"
        self.ids = np.array(common.names(len(rows)), dtype=object)
        self.competitors = loaded(peers, self.ids.tolist(), rows, report.options.cores)
        self.on_device = jnp.array(rows)

    def run(self, queries: np.ndarray) -> None:
        """One table: floors and competitors on these queries, with recall."""
        batch, options = len(queries), self.report.options
        what = f"{batch:,} queries, {self.title}"
        found: dict[str, Any] = {}

        def search(name: str, peer: Peer, _: int) -> None:
            found[name] = peer.search(queries, K)

        floors = self._floors(queries)
        calls = floors | {
            name: partial(search, name, peer) for name, peer in self.competitors.items()
        }
        times = common.in_turn(calls, options.repeats, budget_s=12.0, lock=options.lock)
        truth = true_ids(self.rows, self.ids, queries)
        plain = min(floors, key=lambda name: times[name].median_s)
        self.report.table(
            what,
            [
                {
                    "who": name,
                    "ms": timing.median_s * 1e3,
                    "iqr_ms": timing.iqr_s * 1e3,
                    "best_ms": timing.best_s * 1e3,
                    "first_ms": timing.first_s * 1e3,
                    "GB/s": self.rows.nbytes / timing.median_s / 1e9,
                    "GFLOP/s": 2 * self.rows.size * batch / timing.median_s / 1e9,
                    "by the floor": timing.ratio(times[plain]),
                    "is_exact": None if name in floors else self.competitors[name].is_exact,
                    f"recall@{K}": recall(found.get(name), truth),
                    "repeats": len(timing.seconds),
                    "error": timing.error,
                }
                for name, timing in times.items()
            ],
        )
        self._bars(times, plain, what, recall(found[OURS], truth))

    def _floors(self, queries: np.ndarray) -> dict[str, Callable[[int], Any]]:
        device, batch = self.on_device, jnp.array(queries)
        if len(queries) == 1:
            halves = np.array_split(self.rows, 2)
            pool = ThreadPoolExecutor(2)
            total = jax.jit(jnp.sum)
            return {
                f"{BANDWIDTH}: jnp.sum": lambda _: total(device),
                f"{BANDWIDTH}: np.max": lambda _: list(pool.map(np.max, halves)),
            }
        rows_first = jax.jit(lambda rows, asked: rows @ asked.T)
        queries_first = jax.jit(lambda rows, asked: asked @ rows.T)
        return {
            "product: rows @ queries.T": lambda _: rows_first(device, batch),
            "product: queries @ rows.T": lambda _: queries_first(device, batch),
        }

    def _bars(self, times: dict[str, common.Timing], plain: str, what: str, reached: float) -> None:
        ours = times[OURS]
        self.report.bar(f"{what}: recall@{K}", reached, 1.0, "higher")
        if plain.startswith(BANDWIDTH):
            share = times[plain].ratio(ours)
            self.report.bar(f"{what}: share of the memory bandwidth", share, 0.8, "higher")
        else:
            self.report.bar(
                f"{what}: time by the product's", ours.ratio(times[plain]), 1.25, "lower"
            )
        for name, peer in self.competitors.items():
            if name != OURS and peer.is_exact:
                ratio = times[name].ratio(ours)
                self.report.bar(f"{what}: {name}'s time by ours", ratio, 1.0, "higher")


def true_ids(rows: np.ndarray, ids: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """The ids of the K best rows for each query in float64, ties by lowest slot.

    A float32 product picks 4 K rows, which is far beyond its rounding for K of them.
    """
    picked = []
    for start in range(0, len(queries), 64):
        scores = queries[start : start + 64] @ rows.T
        picked.append(np.sort(np.argpartition(scores, -4 * K, axis=1)[:, -4 * K :], axis=1))
    slots = np.concatenate(picked)
    wide = np.einsum("qnd,qd->qn", rows[slots].astype(np.float64), queries.astype(np.float64))
    order = np.argsort(-wide, axis=1, kind="stable")[:, :K]
    return ids[np.take_along_axis(slots, order, axis=1)]


def recall(found: Any, truth: np.ndarray) -> float:
    """How many of the true neighbours were found, 0 to 1."""
    if found is None:
        return float("nan")
    pairs = zip(found, truth, strict=True)
    return sum(len(set(mine) & set(theirs)) for mine, theirs in pairs) / truth.size


if __name__ == "__main__":
    main()
