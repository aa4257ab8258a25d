"""Collections compared: with themselves before a change, and with one another.

Every function takes snapshots first, so a report is about one state of each reader.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from vectorkit.collections import Matches, Reader, Snapshot
from vectorkit.collections.audit import drawn_slots
from vectorkit.collections.validation import check_ids, check_k, check_rows
from vectorkit.errors import InvalidDimension
from vectorkit.operations import canonical_payload
from vectorkit.tabular import Schema, frame_of_rows
from vectorkit.types import Float32Array, Id

if TYPE_CHECKING:
    from vectorkit.tabular import DataFrame

DIFF: Final[Schema] = {
    "query": "int64",
    "id": "object",
    "overlap": "float64",
    "entered": "object",
    "left": "object",
    "rank_change_max": "Int64",
    "score_change_max": "float64",
    "is_same": "bool",
}
"""Columns and dtypes of `vectorkit.diff()`."""
PARITY: Final[Schema] = {
    "check": "str",
    "is_equal": "bool",
    "compared": "int64",
    "differing": "int64",
    "largest_difference": "float64",
    "example": "object",
}
"""Columns and dtypes of `vectorkit.parity_report()`."""
_PARITY_STREAM: Final = 2


def diff(before: Reader, after: Reader, queries: Any, k: int = 10) -> DataFrame:
    """One row a query: how its k neighbours changed from one reader to the other.

    `queries` are vectors (count, dim), or ids, whose vectors in `before` are searched for.
    `overlap` is the share of common ids, `entered` and `left` are the others, best first, the
    largest changes are over the common ids, as positive numbers (missing where there is none; no
    score change between two metrics), and `is_same` says that ids, order and scores are equal.
    Raises InvalidDimension, VectorNotFound, InvalidVector, InvalidK.

    >>> import vectorkit as vk
    >>> c = vk.CpuCollection(dim=1, metric="euclidean")
    >>> _ = c.upsert(["a", "b", "c"], [[0], [1], [5]])
    >>> before = c.snapshot()
    >>> _ = c.update_vector("c", [0.5])
    >>> vk.diff(before, c, ["a"], k=2)[["id", "overlap", "entered", "left"]].to_numpy().tolist()
    [['a', 0.5, ('c',), ('b',)]]
    """
    old, new = _pair(before, after)
    ids, vectors = _queries(queries, old)
    pairs = zip(ids, old.search_many(vectors, k), new.search_many(vectors, k), strict=True)
    rows = [(number, row_id, *_change(a, b)) for number, (row_id, a, b) in enumerate(pairs)]
    return frame_of_rows(rows, DIFF)


def parity_report(
    a: Reader, b: Reader, queries: Any = None, k: int = 10, *, sample: int = 100, seed: int = 0
) -> DataFrame:
    """One row a check: whether two readers, of any kinds, hold and answer the same, bit for bit.

    Rows that both have are compared by id; searches are for `queries` (count, dim), by default for
    `sample` drawn vectors of `a`. `compared` and `differing` count, `largest_difference` is of
    numbers, `example` is the first thing that differs. Raises InvalidDimension, InvalidVector,
    InvalidK.

    >>> import vectorkit as vk
    >>> c, other = vk.CpuCollection(dim=2), vk.CpuCollection(dim=2)
    >>> for each in (c, other):
    ...     _ = each.upsert(["a", "b"], [[1, 0], [0, 1]])
    >>> bool(vk.parity_report(c, other)["is_equal"].all())
    True
    """
    one, two = _pair(a, b)
    vectors = one.vectors()
    if queries is None:
        asked = vectors[drawn_slots(len(one), sample, seed, _PARITY_STREAM)]
    else:
        asked = check_rows(queries, None, one.dim)
    checks = [*_content_checks(one, two), *_search_checks(one, two, asked, check_k(k))]
    return frame_of_rows(checks, PARITY)


class _Check(NamedTuple):
    """A row of the parity report."""

    check: str
    is_equal: bool
    compared: int
    differing: int
    largest_difference: float
    example: Any


def _content_checks(one: Snapshot, two: Snapshot) -> Iterator[_Check]:
    ids, others = one.ids(), two.ids()
    slot_in_two = {row_id: slot for slot, row_id in enumerate(others)}
    common = [row_id for row_id in ids if row_id in slot_in_two]
    yield _check("metric", [(one.metric, one.metric, two.metric)])
    yield _check("count", [("count", len(one), len(two))])
    yield _check("version", [("version", one.version, two.version)])
    known = set(ids)
    everyone = [*ids, *(row_id for row_id in others if row_id not in known)]
    yield _check("ids", [(each, each in known, each in slot_in_two) for each in everyone])
    yield _check("slot order", [(a, a, b) for a, b in zip(ids, others, strict=False)])
    here = np.array([slot for slot, row_id in enumerate(ids) if row_id in slot_in_two], np.int64)
    there = np.array([slot_in_two[row_id] for row_id in common], np.int64)
    yield _bitwise("vectors", common, one.vectors()[here], two.vectors()[there])
    mine = list(map(canonical_payload, one.payloads()))
    theirs = list(map(canonical_payload, two.payloads()))
    yield _check(
        "payloads",
        [(ids[a], mine[a], theirs[b]) for a, b in zip(here.tolist(), there.tolist(), strict=True)],
    )


def _search_checks(one: Snapshot, two: Snapshot, asked: Float32Array, k: int) -> Iterator[_Check]:
    mine, theirs = one.search_many(asked, k), two.search_many(asked, k)
    numbers = list(range(len(asked)))
    rows = zip(numbers, mine.ids.tolist(), theirs.ids.tolist(), strict=True)
    yield _check("search ids", list(rows))
    yield _bitwise("search scores", numbers, mine.scores, theirs.scores)
    for name, reader, many in (("a", one, mine), ("b", two, theirs)):
        alone = [reader.search(query, k) for query in asked]
        pairs = zip(numbers, map(list, alone), map(list, many), strict=True)
        yield _check(f"search and search_many of {name}", list(pairs))


def _check(name: str, triples: Sequence[tuple[Any, Any, Any]]) -> _Check:
    """Pairs of things that should be equal, each with what to call it."""
    wrong = [what for what, mine, theirs in triples if mine != theirs]
    example = wrong[0] if wrong else None
    return _Check(name, not wrong, len(triples), len(wrong), np.nan, example)


def _bitwise(name: str, names: Sequence[Any], mine: Float32Array, theirs: Float32Array) -> _Check:
    """Rows of floats, equal in every bit or not; infinities that are equal differ by nothing."""
    is_wrong = (mine.view(np.uint32) != theirs.view(np.uint32)).any(axis=1)
    wrong = np.flatnonzero(is_wrong)
    with np.errstate(invalid="ignore"):
        gaps = np.abs(mine.astype(np.float64) - theirs.astype(np.float64))
    gaps[mine == theirs] = 0.0
    example = names[int(wrong[0])] if wrong.size else None
    largest = float(gaps.max()) if gaps.size else 0.0
    return _Check(name, not wrong.size, len(names), wrong.size, largest, example)


def _pair(a: Reader, b: Reader) -> tuple[Snapshot, Snapshot]:
    if a.dim != b.dim:
        raise InvalidDimension(
            "readers of two dimensions cannot be compared",
            got=f"dim {a.dim} and dim {b.dim}",
            wanted="equal dimensions",
            remedy="compare collections of the same vectors",
        )
    return a.snapshot(), b.snapshot()


def _queries(queries: Any, reader: Snapshot) -> tuple[list[Id | None], Float32Array]:
    """The ids of queries, where they are given by ids, and their vectors."""
    if _are_ids(queries):
        ids = list(check_ids(queries))
        found = [reader.get(row_id).vector for row_id in ids]
        return [*ids], check_rows(found, len(ids), reader.dim)
    rows = check_rows(queries, None, reader.dim)
    return [None] * len(rows), rows


def _are_ids(queries: Any) -> bool:
    if isinstance(queries, Sequence):
        return len(queries) > 0 and np.ndim(queries[0]) == 0
    return np.ndim(queries) == 1


def _change(before: Matches, after: Matches) -> tuple[Any, ...]:
    old = {row_id: place for place, row_id in enumerate(before.ids)}
    new = {row_id: place for place, row_id in enumerate(after.ids)}
    common = [row_id for row_id in old if row_id in new]
    longest = max(len(old), len(new))
    ranks = [abs(new[each] - old[each]) for each in common]
    scores = [abs(after[new[each]][1] - before[old[each]][1]) for each in common]
    is_comparable = bool(common) and before.metric == after.metric
    return (
        len(common) / longest if longest else 1.0,
        tuple(row_id for row_id in new if row_id not in old),
        tuple(row_id for row_id in old if row_id not in new),
        max(ranks) if ranks else None,
        max(scores) if is_comparable else np.nan,
        before.metric == after.metric and list(before) == list(after),
    )
