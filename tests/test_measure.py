"""Measurements have the shape that was asked for; their summary is arithmetic that is checked."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.collections.kinds import KINDS
from vectorkit import CpuCollection, QuantizedCollection, Snapshot, measure
from vectorkit.datasets import Dataset
from vectorkit.errors import InvalidOption, InvalidVector, UnknownMetric

MICROSECONDS = {
    ("update", 1): [2.0, 1.0, 4.0],
    ("delete + insert", 1): [30.0, 20.0, 40.0],
    ("update", 16): [1.0, 1.0, 2.0],
    ("delete + insert", 16): [3.0, 9.0, 4.0],
}


@pytest.fixture(scope="module")
def data():
    vectors = np.arange(240, dtype=np.float32).reshape(60, 4) + 1
    ids = tuple(f"row-{number}" for number in range(60))
    return Dataset("numbers", ids, vectors, tuple({"n": number} for number in range(60)))


@pytest.fixture(scope="module")
def frame(data):
    return measure.update_latency(data, batches=(1, 7, 60), repeats=3)


def test_a_measurement_has_a_row_for_each_batch_repeat_and_method(frame):
    keys = frame[["batch", "repeat", "method"]].to_numpy().tolist()
    assert keys == [
        [batch, repeat, method]
        for batch in (1, 7, 60)
        for repeat in range(3)
        for method in ("update", "delete + insert")
    ]


def test_a_measurement_has_the_columns_and_dtypes_of_its_schema(frame):
    assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == measure.UPDATE_LATENCY
    assert list(frame.columns) == list(measure.UPDATE_LATENCY)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_be_measured(data, kind):
    made = []

    def make(**options):
        made.append(KINDS[kind](**options))
        return made[0]

    frame = measure.update_latency(data, metric="dot", make=make, batches=(1, 7), repeats=2)
    assert len(frame) == 2 * 2 * 2
    (collection,) = made
    assert (len(collection), collection.dim, collection.metric) == (60, 4, "dot")
    assert collection.version > 60  # It has been written to.


def test_times_are_positive(frame):
    assert (frame["us_per_row"] > 0).all()


def test_every_call_writes_a_whole_batch(frame):
    assert frame.groupby("batch")["rows"].unique().map(list).to_dict() == {
        1: [60],
        7: [56],
        60: [60],
    }


def test_small_batches_write_at_least_200_rows_and_large_ones_themselves():
    count = 500
    big = Dataset(
        "ones",
        tuple(map(str, range(count))),
        np.ones((count, 2), np.float32),
        tuple({} for _ in range(count)),
    )
    frame = measure.update_latency(big, batches=(1, 16, 300), repeats=1)
    assert frame["rows"].tolist() == [200, 200, 192, 192, 300, 300]


def test_progress_is_told_of_every_repeat_and_every_warm_up(data):
    steps = []
    measure.update_latency(data, batches=(1, 2), repeats=2, progress=lambda: steps.append(1))
    assert len(steps) == 2 * (2 + 1)


def test_the_data_stay_as_they_were(data):
    before = data.vectors.copy()
    measure.update_latency(data, batches=(5,), repeats=1, metric="euclidean", seed=3)
    assert data.vectors.tobytes() == before.tobytes()


@pytest.mark.parametrize(
    "arguments",
    [
        {"repeats": 0},
        {"repeats": 2.5},
        {"repeats": True},
        {"batches": ()},
        {"batches": 16},
        {"batches": (0,)},
        {"batches": (1, -1)},
        {"batches": (1, 61)},
        {"batches": (1.5,)},
        {"batches": (True,)},
        {"batches": ("1",)},
        {"batches": (1, 1)},
        {"calls": 0},
        {"calls": 1.0},
        {"calls": 9, "batches": (1, 7)},
    ],
    ids=str,
)
def test_what_cannot_be_measured_is_refused(data, arguments):
    with pytest.raises(InvalidOption) as caught:
        measure.update_latency(data, **{"batches": (1,), "repeats": 1} | arguments)
    assert caught.value.got.endswith("60 rows")
    assert caught.value.wanted == ("repeats and calls of 1 or more, different batches from 1 to 60")


def test_no_rows_are_refused(data):
    empty = replace(data, ids=(), payloads=(), vectors=np.empty((0, 4), np.float32))
    with pytest.raises(InvalidOption):
        measure.update_latency(empty, batches=(1,))


def test_an_unknown_metric_is_refused(data):
    with pytest.raises(UnknownMetric):
        measure.update_latency(data, batches=(1,), metric="manhattan")


def test_a_summary_has_medians_quartiles_and_the_median_of_paired_speed_ups():
    rows = [
        (method, batch, repeat, 200, time_us)
        for (method, batch), times_us in MICROSECONDS.items()
        for repeat, time_us in enumerate(times_us)
    ]
    frame = pd.DataFrame(rows, columns=list(measure.UPDATE_LATENCY))
    shuffled = frame.sample(frac=1, random_state=1)
    expected = [
        {
            "batch": 1,
            "update_us": 2.0,
            "update_us_q25": 1.5,
            "update_us_q75": 3.0,
            "delete_insert_us": 30.0,
            "delete_insert_us_q25": 25.0,
            "delete_insert_us_q75": 35.0,
            "speedup": 15.0,  # Of 15, 20 and 10, not 30 / 2.
        },
        {
            "batch": 16,
            "update_us": 1.0,
            "update_us_q25": 1.0,
            "update_us_q75": 1.5,
            "delete_insert_us": 4.0,
            "delete_insert_us_q25": 3.5,
            "delete_insert_us_q75": 6.5,
            "speedup": 3.0,  # Of 3, 9 and 2, where the ratio of the medians is 4.
        },
    ]
    assert measure.summarise_updates(frame).to_dict("records") == expected
    assert measure.summarise_updates(shuffled).to_dict("records") == expected


def test_a_repeat_may_be_a_single_call(data):
    frame = measure.update_latency(data, batches=(1, 7), repeats=4, calls=1)
    assert frame.groupby("batch")["rows"].unique().map(list).to_dict() == {1: [1], 7: [7]}
    assert len(frame) == 2 * 2 * 4


def filled(data, **options):
    made = QuantizedCollection(dim=4, **options) if options else CpuCollection(dim=4)
    made.upsert(data.ids, data.vectors)
    return made


@pytest.fixture(scope="module")
def searches(data):
    exact = filled(data)
    kinds = {"float32": [("", exact)], "int8": [("×4", filled(data, codec="int8"))]}
    frame = measure.recall_latency(kinds, data.vectors[:9], exact=exact, k=3, batch=4, repeats=2)
    return frame.set_index(["kind", "setting", "repeat"])


def test_searches_have_a_row_for_each_setting_and_repeat(searches):
    assert searches.index.tolist() == [
        ("float32", "", 0),
        ("int8", "×4", 0),
        ("float32", "", 1),
        ("int8", "×4", 1),
    ]
    assert dict(searches.reset_index().dtypes.astype(str)) == measure.RECALL_LATENCY
    assert (searches["us_per_query"] > 0).all()


def test_recall_is_the_share_of_the_exact_answers_that_was_found(data):
    class Wrong(Snapshot):
        """Answers with the second and the third best, and one that is none of them."""

        def __init__(self, exact):
            self.exact = exact

        def search_many(self, queries, k=10, *, where=None):
            found = self.exact.search_many(queries, k + 1)
            worst = found.ids[:, 1:].copy()
            return replace(found, ids=worst, scores=found.scores[:, 1:], counts=found.counts - 1)

    exact = filled(data)
    kinds = {"wrong": [("", Wrong(exact))]}
    frame = measure.recall_latency(kinds, data.vectors[:5], exact=exact, k=3, repeats=1)
    assert frame["recall"].tolist() == [pytest.approx(2 / 3)]


def of(collection):
    """The kinds of one."""
    return {"float32": [("", collection)]}


@pytest.mark.parametrize(
    "arguments", [{"batch": 0}, {"batch": 10}, {"repeats": 0}, {"batch": 1.0}, {"k": 0}]
)
def test_searches_that_cannot_be_measured_are_refused(data, arguments):
    exact = filled(data)
    with pytest.raises(InvalidOption) as caught:
        measure.recall_latency(of(exact), data.vectors[:9], exact=exact, **arguments)
    assert caught.value.got.endswith("9 queries")


@pytest.mark.parametrize("queries", [3, np.ones(4), np.ones((2, 3))], ids=["0-d", "1-d", "dim"])
def test_queries_of_another_shape_are_refused(data, queries):
    exact = filled(data)
    with pytest.raises(InvalidVector, match="wrong shape"):
        measure.recall_latency(of(exact), queries, exact=exact)


def test_no_queries_are_refused(data):
    exact = filled(data)
    with pytest.raises(InvalidOption, match="cannot be measured"):
        measure.recall_latency(of(exact), np.empty((0, 4), np.float32), exact=exact)


@pytest.mark.parametrize(
    "made",
    [
        lambda exact: {},
        lambda exact: [exact],
        lambda exact: {"float32": exact},
        lambda exact: {"float32": []},
        lambda exact: {"float32": [exact]},
        lambda exact: {"float32": [("", 3)]},
        lambda exact: {"float32": [(4, exact)]},
    ],
    ids=["none", "a list", "no list", "empty", "no pair", "no collection", "no text"],
)
def test_kinds_that_are_no_pairs_of_settings_and_collections_are_refused(data, made):
    exact = filled(data)
    with pytest.raises(InvalidOption, match="no kinds to compare"):
        measure.recall_latency(made(exact), data.vectors[:9], exact=exact)


def test_the_front_is_what_no_other_setting_beats_in_time_and_recall():
    settings = {
        ("a", "best"): (1.0, [9.0]),
        ("a", "twin"): (1.0, [9.0]),
        ("a", "slower"): (1.0, [10.0]),
        ("b", "quick"): (0.8, [1.0, 2.0, 9.0]),
        ("b", "worse"): (0.7, [2.0]),
        ("b", "quickest"): (0.1, [1.0]),
    }
    rows = [
        (*names, repeat, recall, time_us)
        for names, (recall, times_us) in settings.items()
        for repeat, time_us in enumerate(times_us)
    ]
    frame = pd.DataFrame(rows, columns=list(measure.RECALL_LATENCY))
    table = measure.summarise_recall(frame).set_index("setting")
    assert table.index.tolist() == [setting for _, setting in settings]
    assert table.index[table["is_on_front"]].tolist() == ["best", "twin", "quick", "quickest"]
    quick = table.loc["quick", ["us_per_query_q25", "us_per_query", "us_per_query_q75"]]
    assert quick.tolist() == [1.5, 2.0, 5.5]
