"""A runbook is followed by everybody alike, and judged against what is true at each step."""

import numpy as np

from benchmarks import peers, runbooks
from benchmarks.peers import FLOOR, Peer
from benchmarks.rows import OURS, Plan
from benchmarks.suites.streaming import World, data_of, walked
from benchmarks.timing import drawn

VECTORS, QUERIES, BOUNDS = data_of("drawn", 200, 10)


def walk(pattern, **given):
    book = runbooks.runbook(pattern, 200, steps=20, bounds=BOUNDS)
    return list(walked(Plan(**given), pattern, book, VECTORS, QUERIES))


def test_the_world_is_a_dict_that_follows_the_steps():
    world = World(drawn(8, 4), drawn(1, 4, seed=3))
    assert world.apply({"operation": "insert", "start": 0, "end": 4})[:2] == (
        "insert",
        ["tag-0", "tag-1", "tag-2", "tag-3"],
    )
    step = {"operation": "replace", "tags_start": 1, "tags_end": 3, "ids_start": 6, "ids_end": 8}
    method, ids, new = world.apply(step)
    assert (method, ids) == ("update", ["tag-1", "tag-2"])
    assert np.array_equal(new, world.vectors[6:8])
    assert world.apply({"operation": "delete", "start": 2, "end": 4}) == (
        "delete",
        ["tag-2", "tag-3"],
        None,
    )
    slot_of, held = world.now()
    assert slot_of == {"tag-0": 0, "tag-1": 1}
    assert np.array_equal(held, world.vectors[[0, 6]])
    assert list(world.replaced) == [1]


def test_rows_are_ordered_by_cluster_and_queries_are_not_among_them():
    assert BOUNDS[0] == 0
    assert BOUNDS[-1] == len(VECTORS) == 200
    assert len(BOUNDS) == 17
    assert not {each.tobytes() for each in QUERIES} & {each.tobytes() for each in VECTORS}


def test_we_find_everything_and_compile_nothing_after_the_warm_up():
    rows = {each.case: each for each in walk("hot-key replace") if each.who == OURS}
    values = rows["hot-key replace"].values
    assert values["recall@10"] == values["recall_worst"] == values["findable_share"] == 1.0
    assert values["wrong_count"] == values["compilation_count"] == 0
    assert values["replaced_count"] > 0
    assert set(rows) == {
        "hot-key replace", "hot-key replace: replace", "hot-key replace: search"
    }  # fmt: skip
    assert set(rows["hot-key replace: replace"].values) == {
        "call_us_p50", "call_us_p95", "call_us_p99", "calls_count"
    }  # fmt: skip


def test_a_replaced_row_that_its_own_vector_does_not_find_is_counted(monkeypatch):
    monkeypatch.setattr("benchmarks.suites.streaming.STORES", ("ignores",))
    monkeypatch.setitem(peers.PEERS, "ignores", Peer("tests.benchmarks.targets:Ignores"))
    walks = walk("hot-key replace", peers=("ignores",))
    rows = {each.who: each for each in walks if ":" not in each.case}
    assert rows[FLOOR].values["findable_share"] == 1.0
    assert rows["ignores"].values["findable_share"] < 0.5
    assert rows["ignores"].values["recall@10"] < 1.0


def test_who_cannot_follow_or_crashes_is_a_row_with_its_reason(monkeypatch):
    monkeypatch.setattr(
        "benchmarks.suites.streaming.STORES", ("usearch-exact", "crashes", "forgets")
    )
    for name in ("crashes", "forgets"):
        peer = Peer(f"tests.benchmarks.targets:{name.capitalize()}")
        monkeypatch.setitem(peers.PEERS, name, peer)
    rows = walk("delete heavy", peers=("usearch-exact", "crashes", "forgets"))
    by_who = {each.who: each for each in rows if ":" not in each.case}
    assert "an array that the caller keeps" in by_who["usearch-exact"].error
    assert "ended by SIGSEGV" in by_who["crashes"].error
    assert by_who[FLOOR].values["recall@10"] == by_who[OURS].values["recall@10"] == 1.0
    assert by_who["forgets"].values["wrong_count"] > 0
    assert by_who["forgets"].values["recall@10"] < 1.0
