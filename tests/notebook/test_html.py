"""What notebooks show of objects: the facts of its repr, escaped, short, free of charge."""

import re
from html import unescape

import numpy as np
import pytest

import vectorkit as vk
from vectorkit import sim
from vectorkit.collections import BatchMatches, Matches, Row, WriteResult
from vectorkit.collections.backends import compiled
from vectorkit.datasets import Dataset

SCRIPT = "<script>alert('x')</script>"


def cells(html):
    """The texts of all cells, row by row."""
    rows = re.findall(r"<tr>(.*?)</tr>", html)
    return [list(map(unescape, re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row))) for row in rows]


def matches(count, row_id="id-{}"):
    scores = np.linspace(1, 0, count, dtype=np.float32)
    return Matches(tuple(row_id.format(number) for number in range(count)), scores, "dot")


def batch(count):
    ids = np.array([[f"id-{number}"] for number in range(count)], dtype=object).reshape(count, 1)
    return BatchMatches(ids, np.ones((count, 1), np.float32), np.ones(count, np.int32), "dot")


@pytest.fixture(scope="module")
def run():
    load = sim.Workload(writes_per_s=10, source="uniform:20x4")
    return sim.simulate(sim.ClusterOptions(replicas=1), workload=load, duration_ms=2_000, seed=7)


@pytest.fixture
def collection():
    c = vk.CpuCollection(dim=2, name="words")
    c.insert(["a", "b"], [[1, 0], [0, 1]])
    c.get("a")
    return c


@pytest.fixture
def device_calls(monkeypatch):
    """The names of the device programs that were called, in order."""
    called = []
    for name in ("write_copy", "write_in_place", "move_copy", "move_in_place", "read", "search"):
        program = getattr(compiled, name)

        def spy(*arrays, _name=name, _program=program, **options):
            called.append(_name)
            return _program(*arrays, **options)

        monkeypatch.setattr(compiled, name, spy)
    return called


# Tables


def test_matches_are_a_table_of_rank_id_and_score():
    found = Matches(("king", 7), np.array([0.5, 0.25], np.float32), "dot")
    assert cells(found._repr_html_()) == [
        ["rank", "id", "score"],
        ["1", "king", "0.5000"],
        ["2", "7", "0.2500"],
    ]


def test_a_batch_is_a_table_of_each_query_s_best_match():
    found = BatchMatches(
        ids=np.array([["b", "a"], [None, None]], dtype=object),
        scores=np.array([[0.5, 0.25], [-np.inf, -np.inf]], np.float32),
        counts=np.array([2, 0], np.int32),
        metric="dot",
    )
    assert cells(found._repr_html_()) == [
        ["query", "best id", "score", "matches"],
        ["0", "b", "0.5000", "2"],
        ["1", "", "", "0"],
    ]


@pytest.mark.parametrize("make", [matches, batch])
def test_long_tables_end_with_how_many_rows_are_left_out(make):
    assert len(cells(make(20)._repr_html_())) == 1 + 20
    assert cells(make(21)._repr_html_())[-1] == ["… 1 more"]
    long = cells(make(1_234)._repr_html_())
    assert len(long) == 1 + 20 + 1
    assert long[-1] == ["… 1,214 more"]


def test_empty_tables_have_a_head_only():
    assert cells(matches(0)._repr_html_()) == [["rank", "id", "score"]]
    assert cells(batch(0)._repr_html_()) == [["query", "best id", "score", "matches"]]


# Facts


def test_a_collection_and_its_snapshot_state_the_facts_of_their_reprs(collection):
    for reader in (collection, collection.snapshot()):
        facts = dict(cells(reader._repr_html_()))
        assert facts == {
            "kind": type(reader).__name__,
            "name": "words",
            "rows": "2",
            "dim": "2",
            "metric": "cosine",
            "version": "1",
        }
        assert repr(reader) == (
            "{kind}('{name}', {rows} × {dim}, {metric}, version {version})".format(**facts)
        )


def test_a_collection_without_a_name_says_so():
    assert dict(cells(vk.CpuCollection(dim=2)._repr_html_()))["name"] == "—"


def test_a_run_states_the_facts_of_its_repr(run):
    facts = dict(cells(run._repr_html_()))
    assert repr(run) == (
        "Run({nodes} nodes, {virtual time}, {events} events, seed {seed}, converged)".format(
            **facts
        )
    )
    assert facts["converged"] == "yes"
    assert facts["trace hash"] == run.trace_hash[:12] + "…"


def test_a_query_cache_states_the_facts_of_its_repr(collection):
    cache = vk.QueryCache()
    for _ in range(2):
        cache.search(collection, [1, 0])
    collection.update_vector("b", [0, 2])
    cache.search(collection, [1, 0])
    facts = dict(cells(cache._repr_html_()))
    assert facts == {"answers": "1 of 1,000"} | dict.fromkeys(("evicted", "expired"), "0") | {
        "hits": "2",
        "misses": "1",
        "patched": "1",
        "bypassed": "0",
    }
    assert repr(cache) == (
        "QueryCache({answers}, {hits} hits ({patched} patched), {misses} misses)".format(**facts)
    )


def test_a_run_that_did_not_converge_says_so():
    options = sim.ClusterOptions(replicas=1, link=sim.Link(loss=1.0))
    lost = sim.simulate(options, duration_ms=100)
    assert dict(cells(lost._repr_html_()))["converged"] == "no"
    assert repr(lost).endswith("not converged)")


# Safety


def test_ids_and_names_are_escaped():
    named = vk.CpuCollection(dim=2, name=SCRIPT)
    named.insert([SCRIPT], [[1, 0]])
    shown = [
        matches(2, row_id=SCRIPT + "{}"),
        named,
        named.snapshot(),
        named.search([1, 0]),
        named.search_many([[1, 0]]),
    ]
    for each in shown:
        html = each._repr_html_()
        assert "<script" not in html.lower()
        assert SCRIPT in unescape(html)
        assert "'" not in re.sub(r"<[^>]*>", "", html)


def test_html_has_no_identifiers_addresses_styles_or_scripts(run, collection):
    shown = [matches(3), batch(3), collection, collection.snapshot(), run, vk.QueryCache()]
    for each in shown:
        html = each._repr_html_()
        assert re.findall(r"\bid=|0x[0-9a-f]|<style|<script|class=|href|src=", html) == []
        assert html == each._repr_html_()


# One line, free of charge


def everything_that_has_a_repr(run, collection):
    store, cluster = vk.VectorStore(), sim.Cluster(sim.ClusterOptions(replicas=1), seed=7)
    store.create_collection("words", dim=2).insert(["a"], [[1, 0]])
    long = np.arange(1_000, dtype=np.float32)
    return {
        "Row": Row("two\nlines", long, {"text": "two\nlines"}),
        "WriteResult": WriteResult(1, 2, 3, 4),
        "Matches": matches(100, row_id="two\nlines {}"),
        "BatchMatches": batch(100),
        "CpuCollection": collection,
        "Snapshot": collection.snapshot(),
        "VectorStore": store,
        "QueryCache": vk.QueryCache(),
        "CacheStats": vk.QueryCache().stats(),
        "Cluster": cluster,
        "Run": run,
        "Dataset": Dataset("words", ("a",), np.ones((1, 2), np.float32), ({},)),
    }


def test_every_repr_is_one_short_line_that_names_its_type(run, collection):
    for name, each in everything_that_has_a_repr(run, collection).items():
        assert repr(each).startswith(f"{name}("), name
        assert "\n" not in repr(each), name
        assert len(repr(each)) < 160, name
        assert " at 0x" not in repr(each), name


def test_reprs_say_what_matters(run, collection):
    shown = everything_that_has_a_repr(run, collection)
    assert repr(shown["VectorStore"]) == "VectorStore({'words': 1})"
    assert repr(shown["Cluster"]) == "Cluster(1 replica, seed 7, at 0 ms)"
    assert repr(shown["Dataset"]) == "Dataset('words', 1 × 2)"
    assert repr(shown["Row"]) == (
        "Row(id='two\\nlines', vector=array([  0.,   1.,   2., ..., 997., 998., 999.], "
        "shape=(1000,), dtype=float32), payload={'text': 'two\\nlines'})"
    )


def test_a_short_row_is_shown_whole():
    assert repr(Row("a", np.array([1, 2], np.float32), None)) == (
        "Row(id='a', vector=array([1., 2.], dtype=float32), payload=None)"
    )


def test_showing_a_collection_leaves_its_accepted_writes_on_the_host(collection, device_calls):
    collection.update_vector("a", [0.5, 0.5])
    store = vk.VectorStore()
    words = store.create_collection("words", dim=2)
    words.insert(["a"], [[1, 0]])
    words.update_vector("a", [0, 1])
    for each in (collection, words, store):
        repr(each)
    collection._repr_html_(), words._repr_html_()
    assert device_calls == []
    assert collection.get("a").vector.tolist() == [0.5, 0.5]
    assert device_calls == []
    collection.snapshot()
    assert device_calls == ["write_in_place"]


def test_showing_results_and_runs_asks_no_device(run, collection, device_calls):
    shown = everything_that_has_a_repr(run, collection)
    device_calls.clear()
    for each in shown.values():
        repr(each)
    for name in ("Matches", "BatchMatches", "CpuCollection", "Snapshot", "Run"):
        shown[name]._repr_html_()
    assert device_calls == []
