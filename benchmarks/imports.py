"""What `import vectorkit` costs: against `import jax`, in fresh processes, in turn.

    python -m benchmarks.imports [--repeats 15]

The time is measured inside the new process, around the import alone. Every package is read from
bytecode, as after any first import: what is written once, in the first round, is no figure.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

from benchmarks import common

CANDIDATES = ("jax", "vectorkit", "numpy", "pandas")
PROGRAM = "from time import perf_counter as now; t = now(); import {}; print(now() - t)"


def import_s(package: str, bytecode: str) -> float:
    """Seconds of one import, with the bytecode of all packages in the folder `bytecode`."""
    command = [sys.executable, "-c", PROGRAM.format(package)]
    environment = os.environ | {"PYTHONPYCACHEPREFIX": bytecode}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout)


def main() -> None:
    options = common.parse(common.parser(__doc__))
    report = common.Report("imports", options)
    taken: dict[str, list[float]] = {package: [] for package in CANDIDATES}
    with tempfile.TemporaryDirectory() as bytecode, common.exclusive(options.lock):
        for number in range(-1, 3 if options.quick else options.repeats):
            for package in common.turned(list(CANDIDATES), number):
                seconds = import_s(package, bytecode)
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
