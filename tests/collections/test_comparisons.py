"""Reports on collections: what changed between versions, who is not found, who differs."""

import jax
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import vectorkit as vk
from tests.collections.reference import HARD_ROWS, METRICS, filled, hard_rows, reference_search
from vectorkit import frames
from vectorkit.collections import audit
from vectorkit.errors import (
    InvalidDimension,
    InvalidId,
    InvalidOption,
    InvalidVector,
    VectorNotFound,
)

DEVICE = jax.local_devices()[0]


def types_of(frame):
    return {name: str(dtype) for name, dtype in frame.dtypes.items()}


def line():
    c = vk.CpuCollection(dim=1, metric="euclidean")
    c.insert(["a", "b", "c", "d"], [[0], [1], [3], [7]])
    return c


# diff


def test_a_diff_of_equal_states_has_nothing_to_say():
    c = filled(vk.CpuCollection)
    frame = vk.diff(c.snapshot(), c, hard_rows("common", 1, 5, 4), k=7)
    assert frame["is_same"].all()
    assert frame["overlap"].tolist() == [1.0] * 5
    assert set(frame["entered"]) == set(frame["left"]) == {()}
    assert frame["rank_change_max"].tolist() == frame["score_change_max"].tolist() == [0] * 5
    assert frame["query"].tolist() == [0, 1, 2, 3, 4]
    assert frame["id"].tolist() == [None] * 5


def test_a_diff_names_who_entered_who_left_and_how_far_the_others_moved():
    c = line()
    before = c.snapshot()
    c.update_vectors(["d", "b"], [[0.5], [-0.75]])
    frame = vk.diff(before, c, [[0.0], [100.0]], k=3)
    assert frame.astype(object).to_numpy().tolist() == [
        [0, None, 2 / 3, ("d",), ("c",), 1, 0.25, False],
        [1, None, 2 / 3, ("a",), ("b",), 1, 6.5, False],
    ]


def test_a_diff_by_ids_takes_their_vectors_before_the_change():
    c = line()
    before = c.snapshot()
    c.update_vector("a", [7.5])
    frame = vk.diff(before, c, ["a", "d"], k=1)
    assert frame[["id", "entered", "left"]].to_numpy().tolist() == [
        ["a", ("b",), ("a",)],
        ["d", (), ()],
    ]
    vectors = vk.diff(before, c, [[0.0], [7.0]], k=1)
    assert vectors.drop(columns="id").equals(frame.drop(columns="id"))


@pytest.mark.parametrize("make", [list, tuple, np.array, pd.Index])
def test_whole_numbers_in_one_row_are_ids(make):
    c = vk.CpuCollection(dim=1)
    c.insert([1, 2], [[1], [2]])
    assert vk.diff(c, c, make([2, 1]))["id"].tolist() == [2, 1]


def test_a_diff_between_metrics_compares_ranks_and_no_scores():
    c, dot = line(), vk.CpuCollection(dim=1, metric="dot")
    dot.insert(c.ids(), c.snapshot().vectors())
    row = vk.diff(c, dot, [[1.0]], k=4).iloc[0]
    assert (row["overlap"], row["rank_change_max"], bool(row["is_same"])) == (1.0, 3, False)
    assert np.isnan(row["score_change_max"])


def test_a_diff_with_nothing_in_common_has_no_changes_to_measure():
    c, other = line(), vk.CpuCollection(dim=1, metric="euclidean")
    for reader in (other, other.snapshot()):
        row = vk.diff(c, reader, [[0.0]], k=2).iloc[0]
        assert (row["overlap"], row["left"], row["entered"]) == (0.0, ("a", "b"), ())
        assert pd.isna(row["rank_change_max"])
        assert np.isnan(row["score_change_max"])
    assert vk.diff(other, other, [[0.0]])[["overlap", "is_same"]].to_numpy().tolist() == [[1, True]]
    assert vk.diff(c, c, [[0.0]], k=0)["overlap"].tolist() == [1.0]


def test_a_diff_without_queries_has_the_columns_of_its_schema():
    for frame in (vk.diff(line(), line(), []), vk.diff(line(), line(), [[0.0]])):
        assert types_of(frame) == dict(frames.DIFF)


@pytest.mark.parametrize(
    ("queries", "error"),
    [
        (["x"], VectorNotFound),
        ([0.5], InvalidId),
        ("a", InvalidId),
        ([[1, 2]], InvalidVector),
        ([[np.nan]], InvalidVector),
    ],
)
def test_queries_that_cannot_be_asked_are_refused(queries, error):
    with pytest.raises(error):
        vk.diff(line(), line(), queries)


@pytest.mark.parametrize("report", [lambda a, b: vk.diff(a, b, [[1.0]]), vk.parity_report])
def test_readers_of_two_dimensions_are_not_compared(report):
    with pytest.raises(InvalidDimension, match="dim 1 and dim 4"):
        report(line(), filled(vk.CpuCollection))


# audit


@pytest.mark.parametrize("kind", HARD_ROWS)
@pytest.mark.parametrize("metric", METRICS)
def test_an_audit_finds_every_row_and_ranks_it_as_the_reference(kind, metric):
    rows = hard_rows(kind, 3, 60, 5)
    c = vk.CpuCollection(dim=5, metric=metric)
    c.insert(range(60), rows)
    frame = c.audit()
    assert frame["is_found"].all()
    for slot in range(60):
        order = reference_search(rows, rows[slot], 60, metric)
        place = [each for each, _ in order].index(slot)
        assert frame["rank"][slot] == place + 1
        assert frame["own_score"][slot] == np.float32(order[place][1])
        assert (frame["best_id"][slot], frame["best_score"][slot]) == order[0]


@given(st.integers(0, 2**32), st.sampled_from([1, 7, 300]), st.sampled_from(METRICS))
def test_ranks_by_products_equal_ranks_by_search(seed, count, metric):
    rng = np.random.default_rng(seed)
    rows = rng.integers(-2, 3, size=(count, 2)).astype(np.float32)
    c = vk.CpuCollection(dim=2, metric=metric)
    c.insert(range(count), rows)
    found = c.search_many(rows, count)
    expected = [ids.tolist().index(slot) + 1 for slot, ids in enumerate(found.ids)]
    assert c.audit()["rank"].tolist() == expected


def test_an_audit_says_why_a_row_is_not_the_first_for_its_own_vector():
    c = vk.CpuCollection(dim=2, metric="dot")
    c.insert(["long", "short", "copy"], [[9, 0], [1, 0], [9, 0]])
    assert dict(zip(c.ids(), c.audit()["reason"], strict=True)) == {
        "long": "",
        "short": "dot: a longer row wins",
        "copy": "duplicate",
    }
    c = vk.CpuCollection(dim=2, metric="cosine")
    c.insert(["one", "two", "zero"], [[1, 0], [2, 0], [0, 0]])
    assert c.audit()["reason"].tolist() == ["", "tie", "zero vector"]


def test_a_row_behind_more_than_ten_that_score_as_well_counts_as_found():
    c = vk.CpuCollection(dim=1, metric="euclidean")
    c.insert(range(30), [[1]] * 30)
    frame = c.audit()
    assert frame["is_found"].all()
    assert frame["rank"].tolist() == list(range(1, 31))
    assert frame["reason"].tolist() == ["", *["duplicate"] * 29]
    assert frame["best_id"].tolist() == [0] * 30


class Forgetful(vk.CpuCollection):
    """A collection whose search never sees one row."""

    def snapshot(self):
        whole = super().snapshot()
        rest = vk.CpuCollection(dim=self.dim, metric=self.metric)
        rest.insert(whole.ids()[1:], whole.vectors()[1:])
        whole._search = rest._search
        return whole


@pytest.mark.parametrize("count", [1, 5, 30])
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_a_row_that_the_search_misses_is_not_found(metric, count):
    frame = filled(Forgetful, count=count, metric=metric).audit()
    assert frame["is_found"].tolist() == [False, *[True] * (count - 1)]
    assert frame["reason"].tolist() == ["candidates missed it", *[""] * (count - 1)]
    assert frame["rank"].tolist() == [1] * count


def test_a_missed_row_is_not_excused_by_copies_of_it_when_fewer_come_than_there_are():
    c = Forgetful(dim=1, metric="euclidean")
    c.insert(["missed", "b", "c"], [[1]] * 3)
    assert c.audit()["is_found"].tolist() == [False, True, True]


def test_a_sample_is_drawn_from_the_seed_and_comes_in_slot_order():
    c = filled(vk.CpuCollection, metric="cosine")
    whole, some = c.audit(), c.audit(10, seed=3)
    assert len(some) == 10
    assert some.equals(whole[whole["id"].isin(some["id"])].reset_index(drop=True))
    assert some.equals(c.snapshot().audit(10, seed=3))
    assert some["id"].tolist() != c.audit(10, seed=4)["id"].tolist()
    assert c.audit(100).equals(whole)


def test_audits_of_many_blocks_equal_those_of_one(monkeypatch):
    c = filled(vk.CpuCollection)
    whole = c.audit()
    monkeypatch.setattr(audit, "_BLOCK_QUERIES", 7)
    monkeypatch.setattr(audit, "_BLOCK_ROWS", 9)
    assert c.audit().equals(whole)


def test_an_audit_without_rows_has_the_columns_of_its_schema():
    for frame in (vk.CpuCollection(dim=2).audit(), line().audit(0), line().audit()):
        assert types_of(frame) == dict(frames.AUDIT)
    with pytest.raises(InvalidOption):
        line().audit(-1)


# parity


def pair(count=40, metric="dot"):
    return [
        filled(vk.CpuCollection, count=count, metric=metric),
        filled(lambda **options: vk.GpuCollection(device=DEVICE, **options), count, metric=metric),
    ]


def checks(report):
    return dict(zip(report["check"], report["is_equal"].tolist(), strict=True))


@pytest.mark.parametrize("metric", METRICS)
def test_two_kinds_are_equal_after_the_same_operations(metric):
    a, b = pair(metric=metric)
    for each in (a, b):
        each.update_vector("3", [1, 2, 3, 4])
        each.delete(["5", "7"])
        each.upsert(["new", "1"], [[1, 1, 1, 1], [2, 2, 2, 2]], [{"m": 1}, None])
    report = vk.parity_report(a, b)
    assert report["is_equal"].all()
    assert types_of(report) == dict(frames.PARITY)
    assert dict(zip(report["check"], report["compared"], strict=True)) == {
        "metric": 1, "count": 1, "version": 1, "ids": 39, "slot order": 39, "vectors": 39,
        "payloads": 39, "search ids": 39, "search scores": 39,
        "search and search_many of a": 39, "search and search_many of b": 39,
    }  # fmt: skip


DIFFERENCES = {
    "vectors": lambda c: c.update_vector("3", -c.get("3").vector * np.float32(0)),
    "payloads": lambda c: c.update("3", payload={"n": 3.0}),
    "ids": lambda c: c.delete(["3"]),
}


@pytest.mark.parametrize("check", DIFFERENCES)
def test_every_difference_is_found_and_named(check):
    a, b = pair()
    DIFFERENCES[check](b)
    report = vk.parity_report(a, b).set_index("check")
    assert not report["is_equal"][check]
    assert (report["differing"][check], report["example"][check]) == (1, "3")
    assert not report["is_equal"]["version"]


def test_differences_are_measured():
    a, b = pair()
    vector = a.get("3").vector
    vector[2] += 5
    b.update_vector("3", vector)
    report = vk.parity_report(a, b, [[0, 0, 1, 0]], k=40).set_index("check")
    assert report["largest_difference"]["vectors"] == pytest.approx(5, abs=1e-6)
    assert report["largest_difference"]["search scores"] > 0
    assert report["example"]["search ids"] == report["example"]["search scores"] == 0


def test_a_negative_zero_is_another_bit():
    a, b = vk.CpuCollection(dim=1), vk.CpuCollection(dim=1)
    a.insert(["a"], [[0.0]])
    b.insert(["a"], [[-0.0]])
    report = vk.parity_report(a, b).set_index("check")
    assert [check for check, is_equal in report["is_equal"].items() if not is_equal] == ["vectors"]
    assert report["largest_difference"]["vectors"] == 0


def test_another_order_of_slots_is_a_difference_of_order_only():
    a, b = vk.CpuCollection(dim=1), vk.CpuCollection(dim=1)
    a.insert(["a", "b"], [[1], [-2]])
    b.insert(["b", "a"], [[-2], [1]])
    found = checks(vk.parity_report(a, b))
    assert [check for check, is_equal in found.items() if not is_equal] == ["slot order"]


def test_empty_collections_are_equal_and_differ_from_others():
    empty = vk.CpuCollection(dim=4, metric="dot")
    assert vk.parity_report(empty, vk.CpuCollection(dim=4, metric="dot"))["is_equal"].all()
    found = checks(vk.parity_report(filled(vk.CpuCollection), empty))
    assert [check for check, is_equal in found.items() if not is_equal] == [
        "count", "version", "ids", "search ids", "search scores",
    ]  # fmt: skip


def test_two_metrics_are_a_difference():
    a, b = (filled(vk.CpuCollection, metric=metric) for metric in ("dot", "cosine"))
    found = checks(vk.parity_report(a, b))
    assert not found["metric"]
    assert found["vectors"]


def test_the_queries_are_drawn_from_the_seed_or_given():
    a, b = pair()
    assert vk.parity_report(a, b, sample=5).set_index("check")["compared"]["search ids"] == 5
    given = vk.parity_report(a, b, np.ones((3, 4)), k=2).set_index("check")
    assert given["compared"]["search scores"] == 3
