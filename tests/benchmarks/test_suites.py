"""What suites work out beside their times, on numbers that are made up."""

import numpy as np
import pytest

from benchmarks.peers import FLOOR
from benchmarks.peers.events import EVENTS_A_WRITE, Clock
from benchmarks.rows import OURS, Plan
from benchmarks.suites import cache, concurrency, filters, growth, replication, search, update
from benchmarks.timing import Timing, drawn, names


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
    taken, extra, wrong = cache.measured(1_200, 8, repeats=2)
    assert (extra, wrong) == (0, 0)
    assert {len(each) for each in taken.values()} == {2}


def test_an_answer_of_the_cache_that_is_not_the_fresh_one_is_wrong(monkeypatch):
    class Forgetful(cache.vk.VectorStore):
        """Leaves out the best where it has a cache."""

        def search(self, name, query, k=10):
            return super().search(name, query, k + bool(self._cache))

    monkeypatch.setattr(cache.vk, "VectorStore", Forgetful)
    *_, wrong = cache.measured(1_200, 8, repeats=1)
    assert wrong == 2 * (3 + len(cache.CHANGED) + 2)


def test_an_answer_of_the_cache_that_misses_a_new_best_row_is_wrong(monkeypatch):
    class Stale(cache.vk.VectorStore):
        """Where it has a cache, answers a query for ever as it did first."""

        def search(self, name, query, k=10):
            kept = self.__dict__.setdefault("kept", {})
            found = super().search(name, query, k)
            return kept.setdefault(query.tobytes(), found) if self._cache else found

    monkeypatch.setattr(cache.vk, "VectorStore", Stale)
    *_, wrong = cache.measured(1_200, 8, repeats=1)
    assert wrong == 2  # Once a query: only the newcomer changes an answer.


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


def timings(**seconds):
    return {name: Timing((each,)) for name, each in seconds.items()}


def test_a_lead_in_search_is_over_whoever_finds_all_and_takes_longer():
    race = search.Race(Plan(), "some", drawn(20, 4), drawn(1, 4), 10)
    taken = timings(**{"read": 1.0, OURS: 2.0, FLOOR: 6.0, "faiss-flat": 1.0, "faiss-ivf": 0.5})
    reads = {search.READS[0]: taken.pop("read")} | taken
    assert race._values(OURS, reads, search.READS[0]) == {
        "share of memory bandwidth": 0.5, f"lead over {FLOOR}": 3.0, "lead over faiss-flat": 0.5
    }  # fmt: skip
    assert race._values("faiss-ivf", reads, search.READS[0]) == {
        "share of memory bandwidth": 2.0, "by vectorkit": 0.25
    }  # fmt: skip
    products = {search.PRODUCTS[0]: Timing((0.5,))} | taken
    assert race._values(FLOOR, products, search.PRODUCTS[0]) == {
        "by the floor": 12.0, "by vectorkit": 3.0
    }  # fmt: skip


def test_updates_are_compared_by_the_row_and_ours_with_the_fastest_peer(monkeypatch):
    monkeypatch.setattr(update.Race, "_recall", lambda *_: 1.0)
    made = dict.fromkeys((update.SCATTER, OURS, FLOOR, "faiss-flat", "chroma"))
    race = update.Race(Plan(), names(20), drawn(20, 4), made)
    taken = timings(
        **{update.SCATTER: 1.0, OURS: 4.0, FLOOR: 2.0, "faiss-flat": 1.0, "chroma": 9.0}
    )
    operations = dict.fromkeys(taken, 8) | {"faiss-flat": 4}
    rows = race._rows("some", taken, operations, dict.fromkeys(taken, ()), update.SCATTER)
    values = {row.who: row.values for row in rows}
    assert values[OURS] == {
        "by raw scatter": 4.0,
        "share of raw scatter": 0.25,
        "share of fastest peer": 0.5,  # 0.25 s a row against 0.5 s.
        "recall@10": 1.0,
    }
    assert values["faiss-flat"]["by vectorkit"] == 0.5
    assert "recall@10" not in values[update.SCATTER]


def test_a_hit_is_as_many_times_faster_as_a_fresh_search_takes_longer(monkeypatch):
    ways = {"fresh": 8.0, "second": 4.0, "hit": 2.0}
    ways |= {f"fresh_{changed}": 6.0 for changed in cache.CHANGED}
    ways |= {f"patched_{changed}": 3.0 for changed in cache.CHANGED}
    taken = {name: [seconds] for name, seconds in ways.items()}
    monkeypatch.setattr(cache, "measured", lambda *_: (taken, 0, 0))
    faster = [row.values["times_faster"] for row in cache.rows(Plan()) if row.values]
    assert faster == [2.0, 4.0, *[2.0] * len(cache.CHANGED)]


def test_a_filtered_search_stands_by_the_unfiltered_and_a_mask_by_pandas(monkeypatch):
    taken = timings(**{"vectorkit": 6.0, "without the filter": 4.0, "pandas": 9.0, "loop": 60.0})
    monkeypatch.setattr(filters, "in_turn", lambda calls, *_: {name: taken[name] for name in calls})
    monkeypatch.setattr(filters, "wrong", lambda *_: 0.0)
    collection = filters.vk.CpuCollection(dim=4)
    filtered, _ = filters.searched(Plan(), collection, drawn(1, 4), {}, 0.5)
    assert filtered.values["by unfiltered"] == 1.5
    ours, pandas, loop = filters.masked(Plan(), filters.payloads_of(20), 0.5)
    assert ours.values == {"lead over pandas": 1.5, "wrong_count": 0.0}
    assert (pandas.values, loop.values) == ({"by vectorkit": 1.5}, {"by vectorkit": 10.0})
