"""What calls return: matches that read like a sequence, distances, and texts."""

import numpy as np
import pytest

from vectorkit.collections import (
    BatchMatches,
    CpuCollection,
    Matches,
    QuantizedCollection,
    WriteResult,
)
from vectorkit.errors import InvalidInput


def make_batch(metric="euclidean"):
    return BatchMatches(
        ids=np.array([["a", "b"], ["c", None]], dtype=object),
        scores=np.array([[-0.5, -1.0], [0.0, -np.inf]], np.float32),
        counts=np.array([2, 1], np.int32),
        metric=metric,
    )


def test_matches_are_pairs_of_id_and_score():
    assert list(make_batch()[0]) == [("a", -0.5), ("b", -1.0)]


def test_a_batch_gives_each_query_its_matches_without_padding():
    assert [(matches.ids, len(matches)) for matches in make_batch()] == [
        (("a", "b"), 2),
        (("c",), 1),
    ]


def test_a_batch_counts_its_queries_and_ends_where_they_end():
    assert len(make_batch()) == 2
    with pytest.raises(IndexError):
        make_batch()[2]


def test_distances_are_the_positive_of_euclidean_scores():
    batch = make_batch()
    assert batch.distances.tolist() == [[0.5, 1.0], [0.0, np.inf]]
    assert batch[1].distances.tolist() == [0.0]
    assert not np.signbit(batch.distances).any()
    assert batch.distances.dtype == np.float32


@pytest.mark.parametrize("metric", ["dot", "cosine"])
def test_other_metrics_have_no_distances(metric):
    for matches in (make_batch(metric), make_batch(metric)[0]):
        with pytest.raises(InvalidInput) as caught:
            _ = matches.distances
        assert caught.value.got == f"metric={metric!r}"
        assert caught.value.wanted == "metric='euclidean'"


def test_matches_show_the_first_three():
    four = Matches(("a", "b", "c", "d"), np.array([4, 3, 2, 1], np.float32), "dot")
    assert repr(four) == "Matches(4 by dot: {'a': 4.0000, 'b': 3.0000, 'c': 2.0000, …})"
    assert repr(make_batch()) == "BatchMatches(2 queries × k=2 by euclidean)"


def test_a_write_says_what_it_did():
    assert repr(WriteResult(1, 2, 3, 4)) == (
        "WriteResult(inserted=1, updated=2, deleted=3, version=4)"
    )


def test_a_collection_and_a_snapshot_describe_themselves():
    collection = CpuCollection(dim=3, metric="dot", name="words")
    collection.insert(range(1000), np.ones((1000, 3)))
    assert repr(collection) == "CpuCollection('words', 1,000 × 3, dot, version 1)"
    assert repr(collection.snapshot()) == "Snapshot('words', 1,000 × 3, dot, version 1)"
    assert repr(CpuCollection(dim=1)) == "CpuCollection(0 × 1, cosine, version 0)"


@pytest.mark.parametrize("place", ["device", "host", "none"])
def test_a_row_says_whether_it_is_decoded_from_codes(place):
    collection = QuantizedCollection(dim=2, metric="dot", rows=place)
    collection.upsert(["a"], [[127, -64]])
    shown = "Row(id='a', vector=array([127., -64.], dtype=float32), payload=None"
    for reader in (collection, collection.snapshot()):
        row = reader.get("a")
        assert row.is_decoded == (place == "none")
        assert repr(row) == shown + (", is_decoded=True)" if place == "none" else ")")
