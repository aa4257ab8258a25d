"""What the machine can do at most: the roof over all other figures."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks import machine
from benchmarks.rows import Limits, Plan, Row


def rows(plan: Plan) -> Iterator[Row | Limits]:
    found, timings, read_bytes, flop_count = machine.limits(plan.form)
    yield found
    for name, timing in timings.items():
        is_read = name.startswith("read")
        yield Row(
            case="read every byte" if is_read else "matrix product, float32",
            who=name.split(": ")[1],
            timing=timing,
            moved_bytes=read_bytes if is_read else 0,
            flops=0 if is_read else flop_count,
            values={"gb_per_s": read_bytes / timing.median_s / 1e9}
            if is_read
            else {"gflop_per_s": flop_count / timing.median_s / 1e9},
        )
    yield Row(
        case="best of both",
        who="machine",
        values={
            "gb_per_s": found.bytes_per_s / 1e9,
            "gflop_per_s": found.flops_per_s / 1e9,
            "flop_a_byte": found.flops_per_s / found.bytes_per_s,
        },
    )
