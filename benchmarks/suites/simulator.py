"""How fast virtual time passes: events a second, their growth with the run, what a run holds.

A master and three replicas, the full protocol, durable logs, the trace on. An event is a delivered
message, a timer or a disk completion. Times of our runs are of the process, not of the wall: the
machine may be shared. "metadata" writes payloads only; "vectors" applies rows of 50 numbers on
every node. Loops without a store or a protocol say what an event costs at least in this language.
"""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterator
from time import process_time

from benchmarks.peers import EVENTS
from benchmarks.peers.events import EVENTS_A_WRITE
from benchmarks.peers.remote import Absent, Failed, Remote
from benchmarks.rows import Plan, Row
from benchmarks.suites.growth import slope_of
from benchmarks.timing import Timing, in_turn
from vectorkit import sim

WRITES_PER_S = 1_000
LOADS = {
    "metadata": sim.Workload(
        writes_per_s=WRITES_PER_S, source="uniform:2000x1", moves_vectors=False
    ),
    "vectors": sim.Workload(writes_per_s=WRITES_PER_S, source="uniform:2000x50"),
}
LENGTHS_MS = (800, 2_500, 8_000, 25_000, 80_000)
OUR_LOOP = "vectorkit's clock"


def rows(plan: Plan) -> Iterator[Row]:
    loops, event_us = loop_costs(plan)
    yield from loops
    for load in LOADS:
        timed(load, 500)  # Compiles.
        yield speed(plan, load, event_us)
    yield from growth(plan)
    yield from memory(plan)


def timed(load: str, duration_ms: int) -> tuple[sim.Run, float]:
    """A run, and the process seconds that it took."""
    gc.collect()
    started = process_time()
    run = sim.simulate(
        sim.ClusterOptions(replicas=3), workload=LOADS[load], duration_ms=duration_ms, seed=7
    )
    return run, process_time() - started


def loop_costs(plan: Plan) -> tuple[list[Row], dict[str, float]]:
    """Bare loops in turn, and their microseconds an event by name."""
    writes = plan.pick(2_000, 20_000)
    made: dict[str, Remote | Absent] = {}
    for name in (OUR_LOOP, *(name for name in EVENTS if name in plan.peers)):
        try:
            made[name] = Remote(name, plan.cores)
        except Failed as error:
            made[name] = Absent(name, str(error))
    timings = in_turn({n: each.timed("run", writes) for n, each in made.items()}, plan.repeats)
    events = writes * EVENTS_A_WRITE
    found = []
    for name, timing in timings.items():
        values = {"by vectorkit's clock": timing.ratio(timings[OUR_LOOP])}
        if not timing.error:
            values["events_count"] = float(made[name].call("run", writes).given)
            values["events_per_s"] = events / timing.median_s
        case = f"bare loop, {EVENTS_A_WRITE} events a write"
        found.append(Row(case=case, who=name, timing=timing, operations=events, values=values))
    for each in made.values():
        each.close()
    return found, {name: each.median_s / events * 1e6 for name, each in timings.items()}


def speed(plan: Plan, load: str, event_us: dict[str, float]) -> Row:
    """Events a second, and the trace's hash: the same run every time."""
    runs = [timed(load, plan.pick(500, 5_000)) for _ in range(plan.repeats)]
    events = runs[0][0].event_count
    timing = Timing(tuple(seconds for _, seconds in runs))
    own_us = timing.median_s / events * 1e6
    return Row(
        case=f"{load}, 3 replicas, full protocol",
        timing=timing,
        operations=events,
        values={
            "events_per_s": 1e6 / own_us,
            "events_count": float(events),
            "traces_count": float(len({run.trace_hash for run, _ in runs})),
            **{f"by {name}": own_us / cost for name, cost in event_us.items()},
        },
    )


def growth(plan: Plan) -> Iterator[Row]:
    """Time per event of runs of growing length: flat, or something is quadratic."""
    costs: dict[int, list[float]] = {}
    for duration_ms in plan.pick(LENGTHS_MS[:2], LENGTHS_MS):
        for _ in range(2):
            run, seconds = timed("vectors", duration_ms)
            costs.setdefault(run.event_count, []).append(seconds / run.event_count)
    slope, low, high = slope_of({count: Timing(tuple(each)) for count, each in costs.items()})
    yield Row(
        case="growth of the time per event",
        values={"slope": slope, "slope_low": low, "slope_high": high},
    )


def memory(plan: Plan) -> Iterator[Row]:
    """What a finished run holds, by event: trace, samples, logs of all nodes."""
    for duration_ms in plan.pick((400,), LENGTHS_MS[1:3]):
        tracemalloc.start()
        run, _ = timed("vectors", duration_ms)
        gc.collect()
        held, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        yield Row(
            case=f"memory of a run of {duration_ms:,} ms",
            values={
                "events_count": float(run.event_count),
                "trace_rows_count": float(len(run.trace)),
                "held_by_event_bytes": held / run.event_count,
                "peak_by_event_bytes": peak / run.event_count,
            },
        )
