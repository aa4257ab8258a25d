"""Rows of a collection, and the programs compiled for it, as DataFrames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from vectorkit.collections.backends import compiled
from vectorkit.tabular import Schema, frame_of_columns, frame_of_rows
from vectorkit.types import Float32Array, Id, Payload

if TYPE_CHECKING:
    from vectorkit.tabular import DataFrame

COLLECTION: Final[Schema] = {"id": "object", "vector": "object"}
"""The columns before those of the payloads."""
COMPILE_REPORT: Final[Schema] = {
    "program": "str",
    "capacity": "int64",
    "batch": "int64",
    "detail": "str",
    "cause": "str",
}
"""Columns and dtypes of `Collection.compile_report()`."""


def rows_frame(
    ids: Sequence[Id], vectors: Float32Array, payloads: Sequence[Payload | None]
) -> DataFrame:
    """Return one row per id: id, vector (an array each), then a column for each payload key.

    A payload key whose name is taken, such as "id", becomes "payload_id".
    """
    columns: dict[str, Any] = {"id": ids, "vector": list(vectors)}
    dtypes: dict[str, str | None] = dict(COLLECTION)
    for key in dict.fromkeys(key for payload in payloads if payload for key in payload):
        name = key
        while name in columns:
            name = f"payload_{name}"
        values = [None if payload is None else payload.get(key) for payload in payloads]
        kinds = set(map(type, values))
        columns[name] = values
        # pandas would turn whole numbers beside missing ones, or beside fractions, into floats.
        dtypes[name] = "object" if int in kinds and len(kinds) > 1 else None
    return frame_of_columns(columns, dtypes)


def compile_report(dim: int) -> DataFrame:
    """Return one row per program compiled for this dimension, in the order of compilation.

    `cause` is "growth" where the program had been compiled for a smaller capacity before, and for
    the copy into a larger array itself; else "first".
    """
    smallest: dict[tuple[str, int, str], int] = {}
    rows = []
    for trace in compiled.traces:
        if trace.dim == dim:
            key = (trace.program, trace.batch, trace.detail)
            known = smallest.setdefault(key, trace.capacity)
            is_growth = trace.program == "grow" or trace.capacity > known
            cause = "growth" if is_growth else "first"
            rows.append((trace.program, trace.capacity, trace.batch, trace.detail, cause))
    return frame_of_rows(rows, COMPILE_REPORT)
