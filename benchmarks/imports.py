"""What `import vectorkit` costs: against `import jax`, in fresh processes, in turn.

    python -m benchmarks.imports [--repeats 15]

The time is measured inside the new process, around the import alone.
"""

from __future__ import annotations

import subprocess
import sys

from benchmarks import common

CANDIDATES = ("jax", "vectorkit", "numpy", "pandas")
PROGRAM = "from time import perf_counter as now; t = now(); import {}; print(now() - t)"


def import_s(package: str) -> float:
    command = [sys.executable, "-c", PROGRAM.format(package)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def main() -> None:
    options = common.parse(common.parser(__doc__))
    report = common.Report("imports", options)
    taken: dict[str, list[float]] = {package: [] for package in CANDIDATES}
    with common.exclusive(options.lock):
        for number in range(-1, 3 if options.quick else options.repeats):
            for package in common.turned(list(CANDIDATES), number):
                seconds = import_s(package)
                if number >= 0:  # The first round fills the disk's cache and writes bytecode.
                    taken[package].append(seconds)
    times = {package: common.Timing(tuple(each)) for package, each in taken.items()}
    report.table(
        "import in a fresh process",
        [
            {
                "package": package,
                "ms": timing.median_s * 1e3,
                "iqr_ms": timing.iqr_s * 1e3,
                "best_ms": timing.best_s * 1e3,
                "by jax": timing.ratio(times["jax"]),
                "repeats": len(timing.seconds),
            }
            for package, timing in times.items()
        ],
    )
    report.bar(
        "import vectorkit by import jax", times["vectorkit"].ratio(times["jax"]), 1.2, "lower"
    )


if __name__ == "__main__":
    main()
