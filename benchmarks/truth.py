"""Exact answers in float64, and how much of them was found; who ties with the k-th counts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

BLOCK = 64
SLACK = 1e-6
"""Scores this close are ties: a peer orders by float32 scores of its own making."""


def scores_of(rows: np.ndarray, queries: np.ndarray, slots: np.ndarray) -> np.ndarray:
    """Inner products in float64 of each query with its own slots (queries, n)."""
    wide = rows[slots].astype(np.float64)
    return np.einsum("qnd,qd->qn", wide, queries.astype(np.float64))


def best(rows: np.ndarray, queries: np.ndarray, k: int) -> np.ndarray:
    """The k best scores for each query, descending, float64 (queries, min(k, rows)).

    A float32 product picks four times as many, which is far beyond its rounding.
    """
    width = min(4 * k, len(rows))
    found = []
    for start in range(0, len(queries), BLOCK):
        some = queries[start : start + BLOCK]
        slots = np.argpartition(some @ rows.T, -width, axis=1)[:, -width:]
        found.append(-np.sort(-scores_of(rows, some, slots), axis=1)[:, :k])
    return np.concatenate(found)


def hits(
    found: Sequence[Any], slot_of: dict[Any, int], rows: np.ndarray, queries: np.ndarray,
    truth: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """How many of the ids found for each query are as good as its k-th best."""
    counts = np.zeros(len(queries), np.int64)
    for number, ids in enumerate(found):
        there = {slot_of[each] for each in ids[: truth.shape[1]] if each in slot_of}
        if there:
            wide = rows[sorted(there)].astype(np.float64) @ queries[number].astype(np.float64)
            counts[number] = (wide >= truth[number, -1] - SLACK).sum()
    return counts


def recall(
    found: Sequence[Any], ids: Iterable[Any], rows: np.ndarray, queries: np.ndarray,
    truth: np.ndarray,
) -> float:  # fmt: skip
    """The share of the true neighbours that was found, 0 to 1; ties with the last of them count."""
    slot_of = {row_id: slot for slot, row_id in enumerate(ids)}
    return float(hits(found, slot_of, rows, queries, truth).sum() / truth.size)
