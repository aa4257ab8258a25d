"""What suites work out beside their times, on numbers that are made up."""

import numpy as np
import pytest

from benchmarks.peers.events import EVENTS_A_WRITE, Clock
from benchmarks.rows import Plan
from benchmarks.suites import cache, concurrency, filters, growth, replication
from benchmarks.timing import Timing


def test_a_slope_is_that_of_logarithms_with_its_interval():
    exact = {count: Timing((count**0.5 / 1e6,) * 2) for count in (100, 1_000, 10_000)}
    slope, low, high = growth.slope_of(exact)
    assert (slope, low, high) == pytest.approx((0.5, 0.5, 0.5), abs=1e-6)
    noisy = {10: Timing((1.0, 2.0)), 100: Timing((2.0, 1.0)), 1_000: Timing((1.5, 1.5))}
    slope, low, high = growth.slope_of(noisy)
    assert low < 0 < high
    assert low < slope < high


def test_our_clock_makes_ten_events_a_write():
    assert Clock(cores=1).run(50) == 50 * EVENTS_A_WRITE


def test_a_cached_query_is_never_searched_for_twice():
    taken, extra = cache.measured(1_200, 8, repeats=2)
    assert extra == 0
    assert {len(each) for each in taken.values()} == {2}


def test_a_hot_row_tells_the_number_of_its_write():
    for number in (2, 3, 1_000_001):
        row = concurrency.hot_row(number)
        assert row.max() == number
        assert np.flatnonzero(row).tolist() == [number % 2]


def test_readers_count_what_is_torn_stale_or_wrong():
    class Liar:
        def __init__(self, answers):
            self.answers = iter(answers)

        def get(self, row_id):
            answer = next(self.answers, None)
            if answer is None:
                shared.is_over = True
                raise KeyError(row_id)
            return type("Row", (), {"id": answer[0], "vector": answer[1]})

    hot = concurrency.hot_row
    half = (hot(6) + hot(7)) / 2
    answers = [("hot", hot(5)), ("hot", half), ("hot", hot(4)), ("cold", hot(5)), ("hot", hot(6))]
    shared = concurrency.Shared(Liar(answers), returned=5, started=6)
    counts = concurrency.Counter()
    concurrency.read(shared, "get", counts)
    assert (counts["torn"], counts["stale"], counts["wrong"], counts["errors"]) == (1, 1, 1, 1)
    assert counts["get"] == 6


def test_filters_are_right_and_wrong_answers_would_be_counted():
    payloads = filters.payloads_of(500)
    collection = filters.vk.CpuCollection(dim=8)
    vectors = filters.drawn(500, 8)
    collection.insert(range(500), vectors, payloads)
    where = {"year": {"gte": 5_000}, "lang": {"in": ["en", "de"]}}
    queries = filters.drawn(4, 8, seed=3)
    assert filters.wrong(collection, queries, where) == 0

    class Unfiltered:
        def __getattr__(self, name):
            return getattr(collection, name)

        def search_many(self, asked, k, where):
            return collection.search_many(asked, k=k)

    assert filters.wrong(Unfiltered(), queries, where) > 0


def test_lag_and_syncs_are_exact_in_virtual_time():
    rows = list(replication.by_rate(Plan())) + list(replication.by_size(Plan()))
    again = list(replication.by_rate(Plan())) + list(replication.by_size(Plan()))
    assert [each.values for each in rows] == [each.values for each in again]
    assert [each.values["full_sync_count"] for each in rows[1:]] == [1.0, 1.0]
