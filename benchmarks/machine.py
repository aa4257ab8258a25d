"""The machine of a run: what it is, and what it can do at most."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.rows import Form, Limits
from benchmarks.timing import Timing, drawn, in_turn, local

ROOT = Path(__file__).parents[1]
PACKAGES = (
    *("vectorkit", "jax", "jaxlib", "numpy", "pandas"),
    *("faiss-cpu", "usearch", "hnswlib", "turbovec", "qdrant-client", "chromadb", "lancedb"),
    *("simpy", "happysim"),
)


def described(form: Form, cores: int) -> dict[str, Any]:
    """Where, when and of what: no name of a host, no path."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "form": form,
        "cpu": cpu_model(),
        "cores": cores,
        "python": platform.python_version(),
        "dtype": "float32",
        "commit": commit(),
        "versions": {name: version for name in PACKAGES if (version := _version(name))},
    }


def cpu_model() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    named = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()


def commit() -> str:
    """The commit that is checked out, "-dirty" behind it where files differ from it."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=8", "--exclude", "*"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def core_count() -> int:
    return len(os.sched_getaffinity(0))


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def limits(form: Form) -> tuple[Limits, Mapping[str, Timing], int, int]:
    """Bytes a second of reading memory, FLOP a second of a product, and their timings.

    The bandwidth is the better of `jnp.sum` and of `np.max` over two threads' halves, the product
    the better of its two orientations. Also gives the bytes and the operations of one repeat.
    """
    import jax
    import jax.numpy as jnp

    count, dim, batch = (65_536, 128, 64) if form == "quick" else (262_144, 384, 1_024)
    rows, queries = drawn(count, dim), drawn(batch, dim, seed=8)
    on_device, asked = jnp.array(rows), jnp.array(queries)
    halves = np.array_split(rows, 2)
    total = jax.jit(jnp.sum)
    rows_first = jax.jit(lambda rows, asked: rows @ asked.T)
    queries_first = jax.jit(lambda rows, asked: asked @ rows.T)
    with ThreadPoolExecutor(2) as pool:
        timings = in_turn(
            {
                "read: jnp.sum": local(lambda _: total(on_device)),
                "read: np.max": local(lambda _: list(pool.map(np.max, halves))),
                "product: rows @ queries.T": local(lambda _: rows_first(on_device, asked)),
                "product: queries @ rows.T": local(lambda _: queries_first(on_device, asked)),
            },
            repeats=5,
            budget_s=3.0,
        )
    flop_count = 2 * rows.size * batch
    reads = [each.median_s for name, each in timings.items() if name.startswith("read")]
    products = [each.median_s for name, each in timings.items() if name.startswith("product")]
    found = Limits(rows.nbytes / min(reads), flop_count / min(products))
    return found, timings, rows.nbytes, flop_count
