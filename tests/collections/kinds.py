"""Every kind of collection, by name, and how its answers must look beside a plain reading."""

from functools import partial

import jax
import numpy as np

from tests.collections.reference import reference_score, reference_search
from vectorkit.collections import (
    CpuCollection,
    GpuCollection,
    QuantizedCollection,
    ShardedCollection,
)
from vectorkit.collections.backends.exact import ExactBackend

SECOND = jax.local_devices()[1]
LEARNING = ("binary", "pq")
"""Beginnings of the names of kinds whose codecs learn from the first rows written."""

RESCORE = {"int8": 4, "binary": 8, "pq": 8}


class InChunks(CpuCollection):
    """A collection on the CPU whose chunks have 8 rows, so that few rows fill several."""

    def _make_backend(self):
        return ExactBackend(self.dim, self.metric, jax.local_devices(backend="cpu")[0], 8)


EXACT = {
    "cpu": CpuCollection,
    "cpu in chunks": InChunks,
    "gpu": partial(GpuCollection, device=SECOND),
    "sharded": ShardedCollection,
}
CODED = {
    f"{codec}, rows {place}": partial(
        QuantizedCollection, codec=codec, rows=place, rescore=RESCORE[codec], device=device
    )
    for codec in RESCORE
    for place, device in (("device", None), ("host", SECOND), ("none", None))
}
KINDS = EXACT | CODED
"""Name → `factory(dim=, metric=, name="")`."""

DECODED = [kind for kind in CODED if kind.endswith("none")]


def stored(collection, rows):
    """What a collection that holds rows like these shows of them, codes decoded."""
    if collection.config.rows != "none" or not len(rows):
        return rows
    codec = collection.snapshot()._view.state.codec
    return codec.decode(codec.encode(rows))


def candidates_of(collection, k):
    """How many rows a search looks at closely, at least; all of them where it is exact."""
    rescore = collection.config.rescore
    return np.inf if rescore is None else rescore * k


def assert_answers(matches, collection, query, k, ids, rows):
    """`matches` is what `collection` may answer, where the rows (count, dim) belong to `ids`.

    They are in slot order, and those that a search may find. Scores are those of the rows, ordered
    by (score, slot), as many as there are; and the best ones where all rows are looked at.
    """
    metric = collection.metric
    slots = [ids.index(name) for name in matches.ids]
    scores = [float(reference_score(rows[slot], query, metric)) for slot in slots]
    assert len(set(slots)) == len(slots) == min(k, len(ids))
    assert matches.scores.tolist() == scores
    assert sorted(slots, key=lambda slot: (-scores[slots.index(slot)], slot)) == slots
    if candidates_of(collection, k) >= len(ids):
        assert list(zip(slots, scores, strict=True)) == reference_search(rows, query, k, metric)
