"""A sweep as a frame: its settings first, then the seed, then what the run has come to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pandas as pd

from vectorkit.tabular import Schema, frame_of_rows

SWEEP: Final[Schema] = {
    "seed": "uint64",
    "error": "str",
    "is_converged": "boolean",
    "is_broken": "boolean",
    "broken": "str",
    "has_loss": "boolean",
    "writes": "Int64",
    "acknowledged_writes": "Int64",
    "lost_writes": "Int64",
    "loss_window_ms": "float64",
    "degraded_writes": "Int64",
    "refused_writes": "Int64",
    "timed_out_writes": "Int64",
    "unanswered_writes": "Int64",
    "write_latency_ms_p50": "float64",
    "write_latency_ms_p99": "float64",
    "write_gap_ms_max": "float64",
    "answered_reads": "Int64",
    "stale_reads": "Int64",
    "staleness_ms_max": "float64",
    "unavailable_ms": "float64",
    "masterless_ms": "float64",
    "failovers": "Int64",
    "full_syncs": "Int64",
    "event_count": "Int64",
    "trace_hash": "str",
    "scenario": "str",
}
"""The columns behind those of the settings; missing in a row with an error, but for the scenario.

docs/simulation.md says what each of them means.
"""


def sweep(
    settings: Mapping[str, tuple[Sequence[Any], Sequence[int]]], rows: Sequence[Mapping[str, Any]]
) -> pd.DataFrame:
    """One row a run, in the order of the grid.

    A setting is its labels and the number of each row's: a categorical, in the order of the grid.

    >>> sweep({"replicas": ([2, 4], [1])}, [{"seed": 7, "scenario": "{}"}])["replicas"].tolist()
    [4]
    """
    columns = {
        name: pd.Categorical.from_codes(list(codes), categories=pd.Index(list(labels)))
        for name, (labels, codes) in settings.items()
    }
    results = frame_of_rows([[row.get(name) for name in SWEEP] for row in rows], SWEEP)
    return pd.concat([pd.DataFrame(columns), results], axis="columns")
