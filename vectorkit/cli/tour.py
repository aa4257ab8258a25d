"""The tour: one example through every layer, on real vectors, written as a report."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import Final

import pandas as pd

from vectorkit import datasets, frames, measure, sim
from vectorkit.cli.report import TourResults, make_folders, write_report
from vectorkit.collections import CpuCollection
from vectorkit.datasets import Dataset
from vectorkit.errors import InvalidOption
from vectorkit.progress import progress

CUT_NODE: Final = "node-3"
CUT_AT_MS: Final = 15_000.0
CUT_FOR_MS: Final = 75_000.0
DURATION_MS: Final = 125_000.0
_LOOK_MS: Final = CUT_AT_MS + CUT_FOR_MS - 5_000.0
_STEP_MS: Final = 1_000.0

_WORDS: Final = ("king", "paris", "coffee", "science", "monday")
_NEIGHBOURS: Final = 5
_VECTORS: Final = 50_000
_VECTORS_QUICK: Final = 2_000
_VECTORS_MIN: Final = 1_500


def tour(*, vectors: int | None, seed: int, out: Path, is_quick: bool) -> None:
    """Run the tour and write its report into the folder `out`.

    Raises DatasetNotInstalled without the data extra, InvalidOption for too few or too many
    vectors and for what is no seed, each before anything is written.
    """
    started = perf_counter()
    count = vectors
    if count is None:
        count = _VECTORS_QUICK if is_quick else _VECTORS
    if count < _VECTORS_MIN:
        raise InvalidOption(
            "the tour needs more vectors than this",
            got=f"--vectors {vectors}",
            wanted=f"{_VECTORS_MIN:,} or more, so that its words are among them",
            remedy="leave --vectors out",
        )
    scenario = scenario_of(count, seed=seed, is_quick=is_quick)
    words = datasets.glove(limit=count)
    make_folders(out)
    print(f"{len(words):,} GloVe vectors of dimension {words.dim}")

    neighbours, search_ms = _search(words)
    for word, nearest in neighbours.itertuples(index=False):
        print(f"  {word}: {nearest}")
    updates = _measure(words, seed=seed, is_quick=is_quick)
    print(_speedups(updates))
    run, during = _replicate(scenario)
    print(_verdict(run))

    found = TourResults(
        words,
        neighbours,
        search_ms,
        updates,
        scenario,
        run,
        during,
        perf_counter() - started,
    )
    report = write_report(found, out)
    print(f"{found.elapsed_s:.0f} s. Open {report}")


def scenario_of(count: int, *, seed: int, is_quick: bool = False) -> sim.Scenario:
    """The tour's simulation as data: `sim.simulate` gives the same run, with the same hash.

    >>> scenario_of(50_000, seed=7).workload.source
    'glove:50000'
    """
    return sim.Scenario(
        options=sim.ClusterOptions(replicas=3, link=sim.Link(delay_ms=10, jitter_ms=4, loss=0.001)),
        workload=sim.Workload(writes_per_s=10 if is_quick else 100, source=f"glove:{count}"),
        faults=[sim.Partition(at_ms=CUT_AT_MS, for_ms=CUT_FOR_MS, isolate=[CUT_NODE])],
        duration_ms=DURATION_MS,
        seed=seed,
    )


def _search(words: Dataset) -> tuple[pd.DataFrame, float]:
    collection = CpuCollection(dim=words.dim, metric="cosine", name="words")
    collection.upsert(words.ids, words.vectors, payloads=words.payloads)
    asked = [word for word in _WORDS if word in collection]
    queries = [collection.get(word).vector for word in asked]
    collection.search_many(queries, k=_NEIGHBOURS + 1)  # Compiles.
    started = perf_counter()
    found = collection.search_many(queries, k=_NEIGHBOURS + 1)
    search_ms = (perf_counter() - started) * 1e3
    rows = [
        {"word": word, "neighbours": ", ".join(f"{name} {score:.2f}" for name, score in each)}
        for word, each in zip(asked, (list(each)[1:] for each in found), strict=True)
    ]
    return pd.DataFrame(rows), search_ms


def _measure(words: Dataset, *, seed: int, is_quick: bool) -> pd.DataFrame:
    batches = (1, 16, 128, 1_024)
    repeats = 3 if is_quick else 9
    total = len(batches) * (repeats + 1)
    with progress("measuring updates", total=total, unit="repeat") as bar:
        return measure.update_latency(
            words, batches=batches, repeats=repeats, seed=seed, progress=bar.step
        )


def _replicate(scenario: sim.Scenario) -> tuple[sim.Run, pd.DataFrame]:
    cluster = sim.Cluster(
        scenario.options, seed=scenario.seed, workload=scenario.workload, faults=scenario.faults
    )
    during = pd.DataFrame()
    with progress("simulating", total=scenario.duration_ms / 1_000, unit="virtual s") as bar:
        while cluster.now_ms < scenario.duration_ms:
            cluster.advance(ms=_STEP_MS)
            bar.reach(cluster.now_ms / 1_000)
            if cluster.now_ms == _LOOK_MS:
                during = frames.replicas(cluster.replicas())
    return cluster.finish(), during


def _speedups(updates: pd.DataFrame) -> str:
    summary = measure.summarise_updates(updates)
    parts = [f"{row.speedup:.1f}× at {row.batch:,}" for row in summary.itertuples()]
    return f"update against delete + insert, rows per call: {', '.join(parts)}"


def _verdict(run: sim.Run) -> str:
    verdict = "all digests equal" if run.is_converged else "digests differ"
    return f"{len(run.stats)} nodes, {verdict}; trace hash {run.trace_hash}"
