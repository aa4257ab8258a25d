"""What every benchmark shares: fair timing, the machine's record, tables, and bars."""

from __future__ import annotations

import argparse
import fcntl
import gc
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from importlib import metadata
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

import numpy as np
import pandas as pd

from vectorkit.draws import address, draw_block

PACKAGES = (
    *("vectorkit", "jax", "numpy", "faiss-cpu", "usearch", "hnswlib", "turbovec"),
    *("qdrant-client", "chromadb", "lancedb"),
)
WARM_UPS = 2
_STARTED = "VECTORKIT_BENCHMARK_CORES"


def parser(doc: str | None) -> argparse.ArgumentParser:
    """The options that all benchmarks take."""
    made = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--quick", action="store_true", help="small sizes: a smoke test, no figures")
    made.add_argument("--repeats", type=int, default=7, help="timed rounds")
    made.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)))
    made.add_argument("--only", help="these parts of the benchmark, with commas between")
    made.add_argument("--json", type=Path, help="append every row and bar to this file of lines")
    made.add_argument("--lock", type=Path, help="hold a lock on this file while timing")
    return made


def parse(made: argparse.ArgumentParser) -> argparse.Namespace:
    """The options, in a process that has been started anew on that many cores.

    Thread pools are sized when their libraries load, so it is the one way to bind all of them.
    Idle OpenMP threads sleep, or else they would slow down whoever is timed next.
    """
    options = made.parse_args()
    if os.environ.get(_STARTED) != str(options.cores):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])
        cores = str(options.cores)
        os.environ |= {_STARTED: cores, "OMP_NUM_THREADS": cores, "OPENBLAS_NUM_THREADS": cores}
        os.environ |= {"OMP_WAIT_POLICY": "passive"}
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    return options


@dataclass(frozen=True)
class Timing:
    """The repeats of one competitor; the first call of all, which compiles, is apart."""

    seconds: tuple[float, ...] = ()
    first_s: float = float("nan")
    error: str = ""

    @cached_property
    def median_s(self) -> float:
        return float(np.median(self.seconds)) if self.seconds else float("nan")

    @cached_property
    def best_s(self) -> float:
        """The quickest repeat: the least disturbed one, on a machine that others use."""
        return min(self.seconds, default=float("nan"))

    @cached_property
    def iqr_s(self) -> float:
        if not self.seconds:
            return float("nan")
        low, high = np.quantile(self.seconds, (0.25, 0.75))
        return float(high - low)

    def ratio(self, other: Timing) -> float:
        """The median, over the rounds, of this time by the other's."""
        pairs = list(zip(self.seconds, other.seconds, strict=False))
        return float(np.median([mine / theirs for mine, theirs in pairs])) if pairs else np.nan


Calls = Mapping[str, Callable[[int], Any]]


def in_turn(
    calls: Calls, repeats: int, *, budget_s: float = 8.0, lock: Path | None = None
) -> dict[str, Timing]:
    """Time every competitor once a round, so that noise hits all of them.

    A call gets the number of its round; what it returns is waited for. Rounds below zero warm up.
    Whoever raises is out, with its error; whoever has used up its budget, its first
    call not counted, which may compile, has fewer repeats.
    """
    import jax

    times: dict[str, list[float]] = {name: [] for name in calls}
    errors: dict[str, str] = {}
    gc.collect()
    gc.freeze()  # What has been loaded slows down no collection of garbage from here on.
    with exclusive(lock):
        for number in range(-WARM_UPS, repeats):
            for name in turned(list(calls), number):
                if name in errors or sum(times[name][1:]) > budget_s:
                    continue
                started = perf_counter()
                try:
                    jax.block_until_ready(calls[name](number))
                except Exception as error:  # A competitor's failure is a result, not ours.
                    errors[name] = f"{type(error).__name__}: {error}"[:80]
                else:
                    times[name].append(perf_counter() - started)
    gc.unfreeze()
    return {
        name: Timing(tuple(each[WARM_UPS:] or each[1:] or each), each[0])
        if name not in errors
        else Timing(error=errors[name])
        for name, each in times.items()
    }


def turned(names: list[str], number: int) -> list[str]:
    """The names from another one on each round: nobody always follows the same neighbour."""
    start = number % len(names)
    return names[start:] + names[:start]


@contextmanager
def exclusive(lock: Path | None) -> Iterator[None]:
    """Hold the lock of a shared machine, if it has one."""
    if lock is None:
        yield
        return
    with lock.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def drawn(count: int, dim: int, seed: int = 7) -> np.ndarray:
    """Unit rows (count, dim) float32 of drawn directions."""
    rows = draw_block(address(seed), count * dim).astype(np.float32).reshape(count, dim)
    rows -= np.float32(2.0**31)
    rows /= np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, None]
    return rows


def shuffled(count: int, taken: int, seed: int) -> np.ndarray:
    """`taken` different slots of `count`, drawn."""
    return np.argsort(draw_block(address(seed), count), kind="stable")[:taken]


def names(count: int) -> list[str]:
    return [f"row-{index}" for index in range(count)]


class Report:
    """Prints tables and bars, and keeps them as JSON lines where asked to."""

    def __init__(self, benchmark: str, options: argparse.Namespace) -> None:
        self.benchmark = benchmark
        self.options = options
        self.environment = environment()
        shown = {key: value for key, value in self.environment.items() if key != "versions"}
        print(" ".join(f"{key}={value}" for key, value in shown.items()))
        print(" ".join(f"{key}={value}" for key, value in self.environment["versions"].items()))

    def table(self, title: str, rows: Sequence[Mapping[str, Any]]) -> None:
        print(f"\n{title}")
        frame = pd.DataFrame(rows)
        print(frame.to_string(index=False, float_format=_short, na_rep=""), flush=True)
        for row in rows:
            self._keep({"table": title, **row})

    def bar(
        self, name: str, measured: float, limit: float, better: Literal["lower", "higher"]
    ) -> None:
        """One line: the ratio, the bar, met or missed; void where somebody has no time."""
        is_met = measured <= limit if better == "lower" else measured >= limit
        sign = "≤" if better == "lower" else "≥"
        verdict = "void" if np.isnan(measured) else "met" if is_met else "MISSED"
        print(f"{verdict:6}  {name}: {_short(measured)} (bar {sign} {limit:g})", flush=True)
        self._keep({"bar": name, "measured": measured, "limit": limit, "met": is_met})

    def _keep(self, record: Mapping[str, Any]) -> None:
        if self.options.json is None:
            return
        line = {"benchmark": self.benchmark, **record, "environment": self.environment}
        with self.options.json.open("a") as file:
            file.write(json.dumps(line, default=float) + "\n")


def environment() -> dict[str, Any]:
    """Where and when: the machine, the versions, the commit."""
    model = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        "unknown",
    )
    git = ["git", "describe", "--always", "--dirty", "--abbrev=8"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": model.replace(" ", "-"),
        "cores": len(os.sched_getaffinity(0)),
        "python": sys.version.split()[0],
        "dtype": "float32",
        "commit": commit or "unknown",
        "versions": {name: version for name in PACKAGES if (version := _version(name))},
    }


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _short(number: float) -> str:
    return f"{number:,.3g}" if abs(number) < 1000 else f"{number:,.0f}"
