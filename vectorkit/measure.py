"""Measured times, on this machine and now: warmed up, repeated, compared within one run.

The only part of the package that reads a wall clock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any, Final

import numpy as np
import pandas as pd

from vectorkit.collections import Collection, CpuCollection
from vectorkit.datasets import Dataset
from vectorkit.draws import address, draw_block
from vectorkit.errors import InvalidOption

UPDATE_LATENCY: Final = {
    "method": "str",
    "batch": "int64",
    "repeat": "int64",
    "rows": "int64",
    "us_per_row": "float64",
}
UPDATE: Final = "update"
DELETE_INSERT: Final = "delete + insert"

_ROWS_MIN: Final = 200
_CALLS_MIN: Final = 8


def update_latency(
    data: Dataset,
    *,
    metric: str = "cosine",
    make: Callable[..., Collection] = CpuCollection,
    batches: Sequence[int] = (1, 16, 128, 1_024),
    repeats: int = 7,
    seed: int = 0,
    progress: Callable[[], None] | None = None,
) -> pd.DataFrame:
    """Time updates against delete + insert of the same rows, in turn, on one collection.

    `make(dim=..., metric=...)` gives the empty collection: the class of its kind, or a `partial` of
    it with the kind's options. A row of the frame is one repeat: microseconds a row for `rows` rows
    written in calls of `batch`, each call public and committed, with one read at the end. Batch 1
    is `update_vector` against `delete` + `insert` of one id. Payloads are written back by the
    insert, as the update keeps them. Every pair is run once before it is timed. Raises
    InvalidOption, and what `make` raises.

    >>> from functools import partial
    >>> from vectorkit import QuantizedCollection, datasets
    >>> make = partial(QuantizedCollection, codec="int8")
    >>> frame = update_latency(datasets.glove(limit=500), make=make, batches=(1, 16), repeats=2)
    >>> frame.groupby(["method", "batch"]).size().tolist()
    [2, 2, 2, 2]
    """
    _refuse(data, batches, repeats)
    collection = make(dim=data.dim, metric=metric)
    collection.upsert(data.ids, data.vectors, payloads=data.payloads)
    rows: list[tuple[str, int, int, int, float]] = []
    for batch in batches:
        total = min(len(data), max(_ROWS_MIN, _CALLS_MIN * batch)) // batch * batch
        for repeat in range(-1, repeats):
            drawn = draw_block(address(seed + repeat + 1), len(data))
            order = np.argsort(drawn, kind="stable")
            chosen, vectors = order[:total], data.vectors[order[::-1][:total]]
            for method, write in ((UPDATE, _update), (DELETE_INSERT, _delete_insert)):
                calls = _calls(data, chosen, vectors, batch)
                started = perf_counter()
                write(collection, calls)
                collection.get(data.ids[chosen[0]])
                elapsed_us = (perf_counter() - started) * 1e6
                if repeat >= 0:
                    rows.append((method, batch, repeat, total, elapsed_us / total))
            if progress is not None:
                progress()
    frame = pd.DataFrame(rows, columns=list(UPDATE_LATENCY))
    return frame.astype(UPDATE_LATENCY)


def summarise_updates(frame: pd.DataFrame) -> pd.DataFrame:
    """One row a batch size: medians in µs a row, their quartiles, and how many times faster.

    `speedup` is the median over the repeats of delete + insert's time by update's.
    """
    columns: dict[str, pd.Series] = {}
    paired: dict[str, pd.Series] = {}
    for name, method in (("update_us", UPDATE), ("delete_insert_us", DELETE_INSERT)):
        mine = frame[frame["method"] == method].set_index(["batch", "repeat"])["us_per_row"]
        paired[method] = mine
        by_batch = mine.groupby("batch")
        columns[name] = by_batch.median()
        columns[f"{name}_q25"] = by_batch.quantile(0.25)
        columns[f"{name}_q75"] = by_batch.quantile(0.75)
    columns["speedup"] = (paired[DELETE_INSERT] / paired[UPDATE]).groupby("batch").median()
    return pd.DataFrame(columns).reset_index()


def _refuse(data: Dataset, batches: Sequence[int], repeats: int) -> None:
    counts = [repeats, *batches]
    is_whole = all(isinstance(each, int) and not isinstance(each, bool) for each in counts)
    is_possible = is_whole and min(counts) >= 1 and 1 <= max(batches, default=0) <= len(data)
    if not is_possible or len(set(batches)) < len(batches):
        raise InvalidOption(
            "these updates cannot be measured",
            got=f"batches={tuple(batches)}, repeats={repeats!r}, {len(data):,} rows",
            wanted=f"repeats of 1 or more, different batches from 1 to {len(data):,}",
            remedy="measure smaller batches or load more rows",
        )


_Call = tuple[list[str], Any, list[Any]]


def _calls(data: Dataset, chosen: Any, vectors: Any, batch: int) -> list[_Call]:
    calls = []
    for start in range(0, len(chosen), batch):
        some = chosen[start : start + batch]
        ids = [data.ids[index] for index in some]
        payloads = [data.payloads[index] for index in some]
        calls.append((ids, vectors[start : start + batch], payloads))
    return calls


def _update(collection: Collection, calls: list[_Call]) -> None:
    for ids, vectors, _ in calls:
        if len(ids) == 1:
            collection.update_vector(ids[0], vectors[0])
        else:
            collection.update_vectors(ids, vectors)


def _delete_insert(collection: Collection, calls: list[_Call]) -> None:
    for ids, vectors, payloads in calls:
        collection.delete(ids)
        collection.insert(ids, vectors, payloads)
