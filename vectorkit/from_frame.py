"""DataFrames as rows of a collection; an error names the column that it is about."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from vectorkit.collections.checks import nearest, short
from vectorkit.collections.payloads import checked_payload
from vectorkit.errors import InvalidInput, InvalidPayload
from vectorkit.types import Payload


def rows_of(
    df: pd.DataFrame, id_column: str | None, vector: str | Sequence[str]
) -> tuple[list[Any], Any, list[Payload | None]]:
    """Ids, vectors (one for each id, not yet checked) and payloads of a frame.

    A row without any payload value has the payload None. Raises InvalidInput for columns that are
    not there or not distinct, InvalidPayload for values that JSON does not have.

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
    _refuse_absent(df, named)
    ids = (df.index if id_column is None else df[id_column]).tolist()
    rows = df[vector].tolist() if isinstance(vector, str) else _numbers(df[vectors])
    return ids, rows, _payloads(df.drop(columns=named))


def _numbers(df: pd.DataFrame) -> Any:
    for name, dtype in df.dtypes.items():
        if not pd.api.types.is_numeric_dtype(dtype):
            raise InvalidInput(
                f"column {name!r} cannot be a part of vectors",
                got=f"dtype {dtype}",
                wanted="numbers",
                remedy=f"leave it out of vector=, or convert it: df[{name!r}].astype('float32')",
            )
    return df.to_numpy("float32", na_value=math.nan)


def _payloads(df: pd.DataFrame) -> list[Payload | None]:
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
            if value is None or (isinstance(value, float) and math.isnan(value)):
                continue
            payload[name] = value if type(value) in {str, int, bool} else _plain(name, value)
    return [payload or None for payload in payloads]


def _plain(column: str, value: Any) -> Any:
    try:
        checked = checked_payload({column: value})
    except InvalidPayload as error:
        raise InvalidPayload(
            f"column {column!r} holds values that have no place in a payload",
            got=f"{short(value)} ({type(value).__name__})",
            wanted="str, finite numbers, bool, lists or dicts; None or NaN where there is none",
            remedy=_remedy(column, value),
            column=column,
        ) from error
    return None if checked is None else checked[column]


def _remedy(column: str, value: Any) -> str:
    if value is pd.NA or value is pd.NaT:
        return f"put None in its place: df[{column!r}].astype(object).where(df[{column!r}].notna())"
    return f"convert it, as by df[{column!r}].astype(str), or drop it before"


def _refuse_absent(df: pd.DataFrame, named: list[str]) -> None:
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
