"""Lists of faults as DataFrames, and back."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import numpy as np

from vectorkit.collections.values.conversion import is_missing
from vectorkit.sim.faults.codec import fault_from_dict
from vectorkit.sim.faults.faults import Fault
from vectorkit.tabular import Schema, frame_of_rows

if TYPE_CHECKING:
    from vectorkit.tabular import DataFrame

FAULTS: Final[Schema] = {
    "kind": "str",
    "at_ms": "float64",
    "for_ms": "float64",
    "until_ms": "float64",
    "node": "str",
    "details": "str",
}
"""Columns and dtypes of `faults_frame()`."""


def faults_frame(faults: Iterable[Fault]) -> DataFrame:
    """Return one row per fault; `details` has, as JSON, the options of its kind only.

    >>> from vectorkit import sim
    >>> faults = [sim.Pause(at_ms=5, for_ms=10, node="node-1")]
    >>> faults_from_frame(faults_frame(faults)) == faults
    True
    """
    rows = []
    for fault in faults:
        facts = fault.to_dict()
        kind, node = facts.pop("kind"), facts.pop("node", None)
        at_ms, for_ms = fault.at_ms, facts.pop("for_ms", np.nan)
        until_ms = np.nan if fault.until_ms is None else fault.until_ms
        facts.pop("at_ms", None)
        rows.append((kind, at_ms, for_ms, until_ms, node, json.dumps(facts)))
    return frame_of_rows(rows, FAULTS)


def faults_from_frame(frame: DataFrame) -> list[Fault]:
    """Return the faults of a frame made by `faults_frame`, or by hand with the same columns."""
    faults = []
    for row in frame.to_dict("records"):
        facts = {name: row[name] for name in ("kind", "at_ms", "for_ms", "node")}
        known = {name: value for name, value in facts.items() if not is_missing(value)}
        faults.append(fault_from_dict({**known, **json.loads(row["details"])}))
    return faults
