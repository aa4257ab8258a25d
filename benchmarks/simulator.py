"""How fast virtual time passes: events a second, their growth with the run, what a run holds.

    python -m benchmarks.simulator [--quick] [--only speed,growth,memory]

A master and three replicas, the full protocol, durable logs, the trace on. An event is a delivered
message, a timer or a disk completion. Times are of the process, not of the wall: the machine may
be shared. "metadata" writes payloads only; "vectors" applies rows of 50 numbers on every node.
"""

from __future__ import annotations

import gc
import tracemalloc
from time import process_time

import numpy as np

from benchmarks import common
from vectorkit import sim

WRITES_PER_S = 1_000
LOADS = {
    "metadata": sim.Workload(
        writes_per_s=WRITES_PER_S, source="uniform:2000x1", moves_vectors=False
    ),
    "vectors": sim.Workload(writes_per_s=WRITES_PER_S, source="uniform:2000x50"),
}
BARS = {"metadata": 100_000, "vectors": 50_000}
LENGTHS_MS = (800, 2_500, 8_000, 25_000, 80_000)
QUICK_MS = (800, 2_500)


def timed(load: str, duration_ms: int) -> tuple[sim.Run, float]:
    """A run, and the process seconds that it took."""
    gc.collect()
    started = process_time()
    run = sim.simulate(
        sim.ClusterOptions(replicas=3), workload=LOADS[load], duration_ms=duration_ms, seed=7
    )
    return run, process_time() - started


def main() -> None:
    options = common.parse(common.parser(__doc__))
    report = common.Report("simulator", options)
    parts = (options.only or "speed,growth,memory").split(",")
    for load in LOADS:
        timed(load, 500)  # Compiles.
    with common.exclusive(options.lock):
        if "speed" in parts:
            speed(report)
        if "growth" in parts:
            growth(report)
        if "memory" in parts:
            memory(report)


def speed(report: common.Report) -> None:
    """Events a second, and the trace's hash: the same run every time."""
    rows = []
    for load in LOADS:
        runs = [timed(load, 1_000 if report.options.quick else 5_000) for _ in range(5)]
        rates = [run.event_count / seconds for run, seconds in runs]
        low, high = np.quantile(rates, (0.25, 0.75))
        rows.append(
            {
                "load": load,
                "events": runs[0][0].event_count,
                "events_per_s": float(np.median(rates)),
                "iqr": float(high - low),
                "best": max(rates),
                "traces": len({run.trace_hash for run, _ in runs}),
            }
        )
    report.table("events a second of the process, 3 replicas", rows)
    for row in rows:
        name = f"{row['load']}: events a second"
        report.bar(name, row["events_per_s"], BARS[row["load"]], "higher")


def growth(report: common.Report) -> None:
    """Time per event of runs of growing length: flat, or something is quadratic."""
    rows = []
    for duration_ms in QUICK_MS if report.options.quick else LENGTHS_MS:
        run, seconds = timed("vectors", duration_ms)
        rows.append({"events": run.event_count, "us_per_event": seconds / run.event_count * 1e6})
    report.table("time per event by the length of the run", rows)
    events, cost = (np.log([row[name] for row in rows]) for name in ("events", "us_per_event"))
    slope = float(np.polyfit(events, cost, 1)[0])
    report.bar("log-log slope of the time per event", slope, 0.05, "lower")


def memory(report: common.Report) -> None:
    """What a finished run holds, by event: trace, samples, logs of all nodes."""
    rows = []
    for duration_ms in QUICK_MS if report.options.quick else LENGTHS_MS[1:3]:
        tracemalloc.start()
        run, _ = timed("vectors", duration_ms)
        gc.collect()
        held, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        rows.append(
            {
                "events": run.event_count,
                "trace_rows": len(run.trace),
                "held_bytes_per_event": held / run.event_count,
                "peak_bytes_per_event": peak / run.event_count,
            }
        )
    report.table("memory by event, by tracemalloc", rows)


if __name__ == "__main__":
    main()
