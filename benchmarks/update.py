"""What an update costs: against the floor, the peers, and our own delete + insert.

    python -m benchmarks.update [--only single,batch,own] [--peers all|none|NAME,…] [--plot FILE]

The floor of a single update is what Python alone can do, `rows[slot_of[id]] = vector` in NumPy:
no validation, no device. The floor of a batch is JAX's own donated scatter with the slots known.
Every competitor gets the same rows for the same drawn text ids, round by round in turn. Each
timed stretch of ours ends with a read, so what the write buffer holds back is in the figure. Delete
+ insert is timed for every kind of collection, on the devices that JAX has here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import jax
import numpy as np

from benchmarks import common
from benchmarks.peers import FLOOR, OURS, PEERS, Peer, loaded
from vectorkit import (
    Collection,
    CpuCollection,
    GpuCollection,
    QuantizedCollection,
    ShardedCollection,
    measure,
)
from vectorkit.datasets import Dataset

SINGLE_UPDATES = 4_096
PAIRS = {"get": 256, "search": 16}
BATCHES = (1_024, 8_192)
BATCH_CALLS = 8
OWN_BATCHES = (1, 16, 128, 1_024, 8_192)
STRETCH_S = 0.3
KINDS: dict[str, Callable[..., Collection]] = {
    "cpu": CpuCollection,
    "gpu": partial(GpuCollection, device=jax.local_devices()[0]),
    "sharded": ShardedCollection,
    **{
        f"{codec}, rows {rows}": partial(QuantizedCollection, codec=codec, rows=rows)
        for rows in ("device", "none")
        for codec in ("int8", "binary", "pq")
    },
}
"""All of them on the devices that there are: a "gpu" may be the CPU, a mesh may have one device."""
SCATTER = "raw scatter"
STORES = [name for name in PEERS if name != "usearch-exact"]  # That one only searches.


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--peers", default="all", help="all, none, or names with commas between")
    parser.add_argument("--plot", type=Path, help="draw updates against delete + insert here")
    options = common.parse(parser)
    report = common.Report("update", options)
    parts = (options.only or "single,batch,own").split(",")
    if {"single", "batch"} & set(parts):
        race = Race(report, wanted(options.peers))
        if "single" in parts:
            race.single()
            race.alternating()
        if "batch" in parts:
            for size in BATCHES:
                race.batch(size)
    if "own" in parts:
        own(report)


def wanted(choice: str) -> Iterable[str]:
    """The floor, and the stores that were asked for."""
    chosen = {"all": STORES, "none": []}.get(choice, choice.split(","))
    return dict.fromkeys([FLOOR, *chosen])


Writes = tuple[list[str], np.ndarray]


class Race:
    """All competitors, each with the same rows, and the writes that they are given."""

    def __init__(self, report: common.Report, peers: Iterable[str]) -> None:
        self.report = report
        count, dim = (10_000, 64) if report.options.quick else (100_000, 128)
        self.size = f"{count:,} × {dim}"
        self.ids, self.rows = common.names(count), common.drawn(count, dim)
        self.competitors = loaded(peers, self.ids, self.rows, report.options.cores)

    def single(self) -> None:
        """One row a call, thousands of calls."""
        rounds = self._writes(SINGLE_UPDATES)

        def one_by_one(peer: Peer, taken: int, number: int) -> None:
            ids, rows = rounds[number]
            update = peer.update_one
            for row_id, row in zip(ids[:taken], rows[:taken], strict=True):
                update(row_id, row)
            settle(peer, ids[0])

        calls, rows_each = {}, {}
        for name, peer in self.competitors.items():
            rows_each[name] = affordable(peer.update_one, self.ids[0], self.rows[1], SINGLE_UPDATES)
            calls[name] = partial(one_by_one, peer, rows_each[name])
        times = self._timed(calls)
        self.report.table(f"update_vector, {self.size}", table(times, rows_each, FLOOR))
        ratio = times[OURS].ratio(times[FLOOR])
        self.report.bar("update_vector: time by numpy + dict's", ratio, 3.0, "lower")
        self._ahead("update_vector", times, rows_each)

    def alternating(self) -> None:
        """An update and a read in turn, and the read alone: nothing can be held back."""

        def get(peer: Peer, row_id: str, _: np.ndarray) -> None:
            peer.get(row_id)

        def search(peer: Peer, _: str, row: np.ndarray) -> None:
            peer.search(row[None, :], 10)

        for read in (get, search):
            name = read.__name__
            rounds = self._writes(PAIRS[name])

            def pairs(
                peer: Peer, has_updates: bool, number: int, rounds: Any = rounds, read: Any = read
            ) -> None:
                for row_id, row in zip(*rounds[number], strict=True):
                    if has_updates:
                        peer.update_one(row_id, row)
                    read(peer, row_id, row)

            calls = {
                f"{who}, {what}": partial(pairs, self.competitors[who], what != name)
                for who in (OURS, FLOOR)
                for what in (f"update–{name}", name)
            }
            rows_each = dict.fromkeys(calls, PAIRS[name])
            title = f"update–{name} alternating, {self.size}"
            found = table(self._timed(calls), rows_each, f"{FLOOR}, update–{name}")
            self.report.table(title, found)

    def batch(self, size: int) -> None:
        """Whole batches with text ids; the raw scatter is told the slots."""
        rounds = [self._writes(size, seed) for seed in range(BATCH_CALLS)]
        slot_of = {row_id: slot for slot, row_id in enumerate(self.ids)}
        slots = [
            [np.array([slot_of[row_id] for row_id in ids], np.int32) for ids, _ in writes]
            for writes in rounds
        ]
        scatter = Scatter(self.rows)

        def batches(peer: Peer, taken: int, number: int) -> None:
            for writes in rounds[:taken]:
                peer.update_many(*writes[number])
            settle(peer, self.ids[0])

        def scattered(number: int) -> jax.Array:
            for each, writes in zip(slots, rounds, strict=True):
                scatter.write(each[number], writes[number][1])
            return scatter.rows

        calls: dict[str, Callable[[int], Any]] = {SCATTER: scattered}
        rows_each = {SCATTER: size * BATCH_CALLS}
        for name, peer in self.competitors.items():
            taken = affordable(peer.update_many, *rounds[0][0], BATCH_CALLS)
            rows_each[name] = size * taken
            calls[name] = partial(batches, peer, taken)
        times = self._timed(calls)
        title = f"update_vectors, batches of {size:,}, {self.size}"
        self.report.table(title, table(times, rows_each, SCATTER))
        share = times[SCATTER].ratio(times[OURS])
        self.report.bar(f"batches of {size:,}: share of the raw scatter", share, 0.3, "higher")
        self._ahead(f"batches of {size:,}", times, rows_each)

    def _writes(self, taken: int, seed: int = 0) -> list[Writes]:
        """For each round different drawn ids, and rows of other ids for them."""
        rounds = []
        for number in range(max(self.report.options.repeats, common.WARM_UPS)):
            slots = common.shuffled(len(self.ids), taken, 1_000 * seed + number)
            rounds.append(([self.ids[slot] for slot in slots], self.rows[slots[::-1]]))
        return rounds

    def _timed(self, calls: common.Calls) -> dict[str, common.Timing]:
        options = self.report.options
        return common.in_turn(calls, options.repeats, budget_s=4.0, lock=options.lock)

    def _ahead(self, what: str, times: dict[str, common.Timing], rows: dict[str, int]) -> None:
        ours = times[OURS].median_s / rows[OURS]
        for name in self.competitors:
            if name not in (OURS, FLOOR):
                ratio = times[name].median_s / rows[name] / ours
                self.report.bar(f"{what}: {name}'s time by ours", ratio, 1.0, "higher")


class Scatter:
    """JAX's own scatter into donated memory, and nothing else."""

    def __init__(self, rows: np.ndarray) -> None:
        self.rows = jax.numpy.array(rows)
        self._write = jax.jit(
            lambda old, slots, new: old.at[slots].set(new, mode="drop"), donate_argnums=0
        )

    def write(self, slots: np.ndarray, rows: np.ndarray) -> None:
        self.rows = self._write(self.rows, slots, rows)


def settle(peer: Peer, row_id: str) -> None:
    """Read a row of ours, so that what was accepted has reached the device."""
    if peer.name == OURS:
        peer.get(row_id)


def affordable(update: Callable[..., Any], ids: Any, rows: Any, most: int) -> int:
    """How many of these calls make a stretch of `STRETCH_S`; one where the call raises."""
    try:
        update(ids, rows)
        started = perf_counter()
        update(ids, rows)
    except Exception:  # It will raise again where errors become rows.
        return 1
    return int(np.clip(STRETCH_S / (perf_counter() - started), 1, most))


def table(
    times: dict[str, common.Timing], rows_each: dict[str, int], floor: str
) -> list[dict[str, Any]]:
    """A line a competitor, quickest first: µs a row, and its ratio to the floor."""
    lines = []
    for name, timing in times.items():
        scale = 1e6 / rows_each[name]
        lines.append(
            {
                "who": name,
                "us_per_row": timing.median_s * scale,
                "iqr_us": timing.iqr_s * scale,
                "best_us": timing.best_s * scale,
                f"by {floor}": timing.median_s
                * scale
                / (times[floor].median_s * 1e6)
                * rows_each[floor],
                "rows_timed": rows_each[name],
                "repeats": len(timing.seconds),
                "error": timing.error,
            }
        )
    return sorted(lines, key=lambda line: np.nan_to_num(line["us_per_row"], nan=np.inf))


def own(report: common.Report) -> None:
    """Updates against delete + insert of the same rows, by `vectorkit.measure`, for every kind."""
    options = report.options
    if options.quick:
        cases = [(10_000, 64, kind) for kind in KINDS]
    else:
        cases = [(10_000, 128, "cpu"), (100_000, 50, "cpu")]
        cases += [(100_000, 128, kind) for kind in KINDS]
    for count, dim, kind in cases:
        ids, payloads = common.names(count), tuple({"index": index} for index in range(count))
        data = Dataset("drawn", tuple(ids), common.drawn(count, dim), payloads)
        with common.exclusive(options.lock):
            frame = measure.update_latency(
                data, make=KINDS[kind], batches=OWN_BATCHES, repeats=options.repeats
            )
        lines = measure.summarise_updates(frame)
        title = f"update against delete + insert, {count:,} × {dim}, {kind}"
        report.table(title, lines.to_dict("records"))
        for line in lines.itertuples():
            name = f"{title}, batch {line.batch:,}"
            report.bar(name, line.speedup, 2.0, "higher")
        if options.plot and kind == "cpu":
            from vectorkit.plot import plot_update_latency

            plot_update_latency(frame).figure.savefig(options.plot, dpi=160, bbox_inches="tight")


if __name__ == "__main__":
    main()
