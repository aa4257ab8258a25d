"""DataFrames as rows of a collection; an error names the column that it is about."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from vectorkit.collections.validation import nearest
from vectorkit.collections.values.not_storable import short
from vectorkit.errors import InvalidInput, InvalidPayload
from vectorkit.types import Payload


def rows_of(
    df: pd.DataFrame, id_column: str | None, vector: str | Sequence[str]
) -> tuple[list[Any], Any, list[Payload | None]]:
    """Ids, vectors (one for each id) and payloads of a frame, none of their values checked.

    Raises InvalidInput for columns that are not there or not distinct, InvalidPayload for columns
    whose names are no texts.

    >>> rows_of(pd.DataFrame({"x": [1.0], "n": [2]}, index=["a"]), None, ["x"])[::2]
    (['a'], [{'n': 2}])
    """
    if not isinstance(df, pd.DataFrame):
        raise InvalidInput(
            "rows can be taken from a DataFrame only",
            got=f"{short(df)} ({type(df).__name__})",
            wanted="a pandas DataFrame",
            remedy="use insert(ids, vectors, payloads) for other data",
        )
    if not df.columns.is_unique:
        twice = df.columns[df.columns.duplicated()][0]
        raise InvalidInput(
            "the columns of the frame are not distinct",
            got=f"{twice!r} more than once",
            wanted="distinct names",
            remedy="rename or drop one of them",
        )
    vectors = [vector] if isinstance(vector, str) else list(vector)
    named = [*vectors] if id_column is None else [id_column, *vectors]
    _check_columns(df, named)
    ids = (df.index if id_column is None else df[id_column]).tolist()
    rows = df[vector].tolist() if isinstance(vector, str) else _numbers(df[vectors])
    return ids, rows, _payloads(df.drop(columns=named))


def _numbers(df: pd.DataFrame) -> Any:
    for name, dtype in df.dtypes.items():
        if dtype.kind not in {"f", "i", "u"}:  # To pandas, bool and complex are numeric, too.
            raise InvalidInput(
                f"column {name!r} cannot be a part of vectors",
                got=f"dtype {dtype}",
                wanted="numbers",
                remedy=f"leave it out of vector=, or convert it: df[{name!r}].astype('float32')",
            )
    return df.to_numpy("float32", na_value=math.nan)


def _payloads(df: pd.DataFrame) -> list[Payload | None]:
    """One dict a row, as the frame holds it: what is missing goes when the rows are written."""
    payloads: list[dict[str, Any]] = [{} for _ in range(len(df))]
    for name in df.columns:
        if not isinstance(name, str):
            raise InvalidPayload(
                "a payload key must be a text",
                got=f"the column {name!r}",
                wanted="column names of type str",
                remedy="rename the columns: df.rename(columns=str)",
            )
        for payload, value in zip(payloads, df[name].tolist(), strict=True):
            payload[name] = value
    return [payload or None for payload in payloads]


def _check_columns(df: pd.DataFrame, named: list[str]) -> None:
    for name in named:
        if name not in df.columns:
            known = list(map(str, df.columns))
            raise InvalidInput(
                "the frame has no such column",
                got=repr(name),
                wanted=" or ".join(map(repr, known)) or "a frame with columns",
                remedy=f"{nearest(name, known)}; id=None takes the index",
                columns=known,
            )
