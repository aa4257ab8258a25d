"""The words that every layer shares: ids, metrics, payloads, and the KEEP marker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

Id = str | int
"""The name of a row: str or int, one kind in a collection."""

Metric = Literal["cosine", "dot", "euclidean"]
METRICS: Final[tuple[Metric, ...]] = ("cosine", "dot", "euclidean")

Payload = Mapping[str, Any]
"""What a row carries beside its vector: a JSON object; docs/values.md says what becomes one."""

Where = Mapping[str, Any] | Callable[[Mapping[str, NDArray[Any]]], Any]
"""Which rows a search may answer with: conditions by payload key, or a function of the columns."""

Float32Array = NDArray[np.float32]
Float64Array = NDArray[np.float64]
Int32Array = NDArray[np.int32]
MaskArray = NDArray[np.bool_]
ObjectArray = NDArray[np.object_]


class Keep(Enum):
    """The type of `KEEP`, the marker for "leave this part of the row as it is"."""

    KEEP = "KEEP"

    def __repr__(self) -> str:
        return "KEEP"


KEEP: Final = Keep.KEEP
"""Passed to `update` in place of a vector or a payload that must not change."""
