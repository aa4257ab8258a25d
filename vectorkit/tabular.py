"""DataFrames made of columns or rows, with the columns and dtypes of a schema.

A schema stands beside the data that it describes. A frame without rows has the same columns and
dtypes as one with rows. pandas is loaded when the first frame is made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["DataFrame", "Schema", "frame_of_columns", "frame_of_rows"]

Schema = Mapping[str, str]
"""The dtype of each column, in order; units and plurals are in the names."""


def frame_of_columns(columns: Mapping[str, Any], schema: Mapping[str, str | None]) -> DataFrame:
    """Return the columns that a schema names; an absent one is empty, dtype None is inferred.

    >>> frame_of_columns({"rank": [1, 2]}, {"rank": "int64"})["rank"].tolist()
    [1, 2]
    """
    import pandas as pd

    return pd.DataFrame(
        {name: pd.Series(columns.get(name, ()), dtype=dtype) for name, dtype in schema.items()}
    )


def frame_of_rows(rows: Sequence[Sequence[Any]], schema: Schema) -> DataFrame:
    """Return rows of values, each in the order of the schema, as a frame.

    >>> frame_of_rows([("a", 1), ("b", 2)], {"id": "str", "rank": "int64"}).shape
    (2, 2)
    """
    columns = dict(zip(schema, zip(*rows, strict=True), strict=True)) if rows else {}
    return frame_of_columns(columns, schema)
