"""Measured times, on this machine and now: warmed up, repeated, compared within one run.

The only part of the package that reads a wall clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from time import perf_counter
from typing import Any, Final

import numpy as np
import pandas as pd

from vectorkit.collections import BatchMatches, Collection, CpuCollection
from vectorkit.collections.readable import Reader
from vectorkit.datasets import Dataset
from vectorkit.draws import address, draw_block
from vectorkit.errors import InvalidOption
from vectorkit.types import Id

__all__ = [
    "DELETE_INSERT",
    "RECALL_LATENCY",
    "UPDATE",
    "UPDATE_LATENCY",
    "recall_latency",
    "summarise_recall",
    "summarise_updates",
    "update_latency",
]

UPDATE_LATENCY: Final = {
    "method": "str",
    "batch": "int64",
    "repeat": "int64",
    "rows": "int64",
    "us_per_row": "float64",
}
"""Columns and dtypes of `update_latency()`."""
RECALL_LATENCY: Final = {
    "kind": "str",
    "setting": "str",
    "repeat": "int64",
    "recall": "float64",
    "us_per_query": "float64",
}
"""Columns and dtypes of `recall_latency()`."""
UPDATE: Final = "update"
"""The method that updates rows in place."""
DELETE_INSERT: Final = "delete + insert"
"""The method that deletes rows and inserts them again."""

_ROWS_MIN: Final = 200
_CALLS_MIN: Final = 8


def update_latency(
    data: Dataset,
    *,
    metric: str = "cosine",
    make: Callable[..., Collection] = CpuCollection,
    batches: Sequence[int] = (1, 16, 128, 1_024),
    repeats: int = 7,
    calls: int | None = None,
    seed: int = 0,
    progress: Callable[[], None] | None = None,
) -> pd.DataFrame:
    """Time updates against delete + insert of the same rows, in turn, on one collection.

    `make(dim=..., metric=...)` gives the empty collection: the class of its kind, or a `partial` of
    it with the kind's options. A row of the frame is one repeat: microseconds a row for `rows` rows
    written in calls of `batch`, each call public and committed, with one read at the end. Batch 1
    is `update_vector` against `delete` + `insert` of one id. Payloads are written back by the
    insert, as the update keeps them. A repeat times `calls` calls, by default as many as make 200
    rows, and 8 at least; `calls=1` and many repeats give the distribution of single calls. Every
    pair is run once before it is timed. Raises InvalidOption, and what `make` raises.

    >>> from functools import partial
    >>> from vectorkit import QuantizedCollection, datasets
    >>> make = partial(QuantizedCollection, codec="int8")
    >>> frame = update_latency(datasets.glove(limit=500), make=make, batches=(1, 16), repeats=2)
    >>> frame.groupby(["method", "batch"]).size().tolist()
    [2, 2, 2, 2]
    """
    _check_data(data, batches, repeats, calls)
    collection = make(dim=data.dim, metric=metric)
    collection.upsert(data.ids, data.vectors, payloads=data.payloads)
    rows: list[tuple[str, int, int, int, float]] = []
    for batch in batches:
        wanted = max(_ROWS_MIN, _CALLS_MIN * batch) if calls is None else calls * batch
        total = min(len(data), wanted) // batch * batch
        for repeat in range(-1, repeats):
            drawn = draw_block(address(seed + repeat + 1), len(data))
            order = np.argsort(drawn, kind="stable")
            chosen, vectors = order[:total], data.vectors[order[::-1][:total]]
            for method, write in ((UPDATE, _update), (DELETE_INSERT, _delete_insert)):
                prepared = _calls(data, chosen, vectors, batch)
                started = perf_counter()
                write(collection, prepared)
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


def recall_latency(
    kinds: Mapping[str, Sequence[tuple[str, Reader]]],
    queries: Any,
    *,
    exact: Reader,
    k: int = 10,
    batch: int = 1,
    repeats: int = 7,
) -> pd.DataFrame:
    """Time the same searches in each collection, in turn, and count what share they find.

    `kinds` names kinds, and of each its collections, each beside what it is set to. All queries
    (rows of one array) are asked in calls of `batch`; a row of the frame is one repeat:
    microseconds a query, and the share of `exact`'s k best that was found. Every collection is
    asked once before it is timed. Raises InvalidOption, InvalidK, InvalidVector.

    >>> import vectorkit as vk
    >>> rows, queries = vk.datasets.glove(limit=600).split(20)
    >>> exact, int8 = vk.CpuCollection(dim=50), vk.QuantizedCollection(dim=50, codec="int8")
    >>> for c in (exact, int8):
    ...     _ = c.upsert(rows.ids, rows.vectors)
    >>> kinds = {"float32": [("", exact)], "int8": [("×4", int8)]}
    >>> frame = recall_latency(kinds, queries, exact=exact, repeats=2)
    >>> frame.groupby("kind")["recall"].mean().tolist()
    [1.0, 1.0]
    """
    asked = np.atleast_1d(queries)  # One number is refused for its shape, as one vector is.
    _check_counts(batch, repeats, k, len(asked))
    _check_kinds(kinds)
    truth = [set(found) for found in _ids(exact.search_many(asked, k))]
    calls = [asked[start : start + batch] for start in range(0, len(asked), batch)]
    rows: list[tuple[str, str, int, float, float]] = []
    for repeat in range(-1, repeats):
        for kind, settings in kinds.items():
            for setting, collection in settings:
                started = perf_counter()
                answers = [collection.search_many(call, k) for call in calls]
                elapsed_us = (perf_counter() - started) * 1e6 / len(asked)
                found = [ids for answer in answers for ids in _ids(answer)]
                hits = sum(len(best & set(ids)) for best, ids in zip(truth, found, strict=True))
                recall = hits / (sum(map(len, truth)) or 1)
                if repeat >= 0:
                    rows.append((kind, setting, repeat, recall, elapsed_us))
    return pd.DataFrame(rows, columns=list(RECALL_LATENCY)).astype(RECALL_LATENCY)


def summarise_recall(frame: pd.DataFrame) -> pd.DataFrame:
    """One row a kind and setting: recall, median and quartiles in µs, and what nobody beats.

    `is_on_front` says that no other is both as fast and as good, and better in one of the two.
    """
    times = frame.groupby(["kind", "setting"], sort=False)["us_per_query"]
    table = pd.DataFrame(
        {
            "recall": frame.groupby(["kind", "setting"], sort=False)["recall"].median(),
            "us_per_query": times.median(),
            "us_per_query_q25": times.quantile(0.25),
            "us_per_query_q75": times.quantile(0.75),
        }
    ).reset_index()
    points = table[["recall", "us_per_query"]].to_numpy().tolist()
    on_front = [
        not any(
            other_recall >= recall and other_us <= us and (other_recall, other_us) != (recall, us)
            for other_recall, other_us in points
        )
        for recall, us in points
    ]
    table["is_on_front"] = np.array(on_front, np.bool_)
    return table


def _ids(matches: BatchMatches) -> list[list[Id]]:
    """The ids that were found for each query, without the padding."""
    counts = matches.counts.tolist()
    return [ids[:count] for ids, count in zip(matches.ids.tolist(), counts, strict=True)]


def _check_counts(batch: int, repeats: int, k: int, query_count: int) -> None:
    if not (all(map(_is_count, (batch, repeats, k))) and query_count and batch <= query_count):
        raise InvalidOption(
            "these searches cannot be measured",
            got=f"batch={batch!r}, repeats={repeats!r}, k={k!r}, {query_count:,} queries",
            wanted="repeats and k of 1 or more, and a batch of 1 to as many as there are queries",
            remedy="pass more queries, or a smaller batch",
        )


def _check_kinds(kinds: object) -> None:
    """Every kind needs collections, each in a pair behind what it is set to."""
    listed = list(kinds.values()) if isinstance(kinds, Mapping) else []
    if not listed or not all(isinstance(each, Sequence) and each for each in listed):
        got: object = kinds
    else:
        wrong = [pair for each in listed for pair in each if not _is_setting(pair)]
        if not wrong:
            return
        got = wrong[0]
    raise InvalidOption(
        "these are no kinds to compare",
        got=f"kinds with {got!r}",
        wanted="a mapping from names of kinds to lists of pairs (setting, collection)",
        remedy='pass for example {"int8": [("×4", collection)]}',
    )


def _is_setting(pair: object) -> bool:
    return (
        isinstance(pair, tuple)
        and len(pair) == 2
        and isinstance(pair[0], str)
        and isinstance(pair[1], Reader)
    )


def _is_count(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and number >= 1


def _check_data(data: Dataset, batches: object, repeats: int, calls: int | None) -> None:
    sizes = tuple(batches) if isinstance(batches, Iterable) else ()
    counts = [repeats, *sizes, *([] if calls is None else [calls])]
    is_possible = all(map(_is_count, counts)) and (
        1 <= max(sizes, default=0) * (calls or 1) <= len(data)
    )
    if not is_possible or len(set(sizes)) < len(sizes):
        asked = f"batches={batches!r}, repeats={repeats!r}, calls={calls!r}"
        raise InvalidOption(
            "these updates cannot be measured",
            got=f"{asked}, {len(data):,} rows",
            wanted=f"repeats and calls of 1 or more, different batches from 1 to {len(data):,}",
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


def __dir__() -> list[str]:
    """Return the public names, for completion."""
    return sorted(__all__)
