"""Code of the caller that runs inside a call: what it may write, and what stands afterwards."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vectorkit as vk
from tests.collections.kinds import KINDS
from tests.collections.reference import everything, filled
from vectorkit import measure
from vectorkit.collections import CpuCollection, QuantizedCollection
from vectorkit.collections.search import QUERIES_MAX
from vectorkit.errors import (
    InvalidFilter,
    VectorKitError,
    VectorNotFound,
    WriteInFilter,
    WriteInSubscriber,
)

QUERY = np.array([1, 1, 2, -1], np.float32)
WRITES = {
    "upsert": lambda c: c.upsert(["1", "new"], [QUERY, QUERY], [{"n": 7}, None]),
    "insert": lambda c: c.insert(["new"], [QUERY]),
    "update_vector": lambda c: c.update_vector("1", QUERY),
    "update_vectors": lambda c: c.update_vectors(["1", "2"], [QUERY, QUERY]),
    "update, vector": lambda c: c.update("1", vector=QUERY),
    "update, payload": lambda c: c.update("1", payload={"n": 7}),
    "delete": lambda c: c.delete(["1"]),
    "delete, moving rows": lambda c: c.delete([str(number) for number in range(20)]),
    "reserve": lambda c: c.reserve(100_000),
    "growth": lambda c: c.upsert(range(10_000, 50_000), np.ones((40_000, 4), np.float32)),
}


def is_healthy(collection):
    """Whether the digest that is kept is that of the rows read again, and every row is found."""
    return (
        collection.digest() == collection.snapshot().digest()
        and len(collection.ids()) == len(collection)
        and all(name in collection for name in collection.ids())
    )


def that_writes(write, collection, refused=None):
    def where(columns):
        mask = columns["n"] >= 0
        try:
            write(collection)
        except VectorKitError as error:
            if refused is None:
                raise
            refused.append(error)
        return mask

    return where


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("write", [name for name in WRITES if name != "growth"])
def test_a_filter_function_that_writes_to_its_collection_is_refused(kind, write):
    collection = filled(KINDS[kind])
    before = everything(collection)
    with pytest.raises(WriteInFilter, match="write it after the search"):
        collection.search(QUERY, 3, where=that_writes(WRITES[write], collection))
    assert everything(collection) == before
    WRITES[write](collection)
    assert is_healthy(collection)


@pytest.mark.parametrize("write", WRITES)
def test_a_function_that_goes_on_after_the_refusal_gets_the_answer_of_the_one_state(write):
    collection = filled(CpuCollection)
    before, refused = everything(collection), []
    found = collection.search(QUERY, 3, where=that_writes(WRITES[write], collection, refused))
    assert list(found) == list(collection.search(QUERY, 3))
    assert [type(error) for error in refused] == [WriteInFilter]
    assert everything(collection) == before


def test_retraining_inside_a_filter_function_is_refused():
    collection = filled(lambda **options: QuantizedCollection(codec="pq", **options))
    before = everything(collection)
    with pytest.raises(WriteInFilter):
        collection.search(QUERY, where=that_writes(lambda c: c.retrain(), collection))
    assert everything(collection) == before
    assert collection.retrain().updated == 40


STORE_WRITES = {
    **{
        f"its collection, {name}": lambda store, write=write: write(store["words"])
        for name, write in WRITES.items()
        if name not in ("reserve", "growth")
    },
    "another collection": lambda store: store.upsert("other", ["a"], [[1.0]]),
    "another collection, short way": lambda store: store["other"].update_vector("x", [2.0]),
    "create": lambda store: store.create_collection("new", dim=2),
    "drop": lambda store: store.drop_collection("words"),
    "rename": lambda store: store.rename_collection("words", "nouns"),
}


def a_store(cache=None):
    store = vk.VectorStore(cache=cache)
    rows = filled(CpuCollection).snapshot()
    store.create_collection("words", dim=4, metric="dot")
    store.upsert("words", rows.ids(), rows.vectors(), rows.payloads())
    store.create_collection("other", dim=1)
    store.upsert("other", ["x"], [[1.0]])
    return store


@pytest.mark.parametrize("write", STORE_WRITES)
@pytest.mark.parametrize("cache", [None, vk.QueryCache()], ids=["plain", "cached"])
def test_a_filter_function_that_writes_to_its_store_is_refused(write, cache):
    store, operations = a_store(cache), []
    digest = store.digest()
    store.subscribe(operations.append)
    with pytest.raises(WriteInFilter):
        store.search("words", QUERY, where=that_writes(STORE_WRITES[write], store))
    assert (store.digest(), operations) == (digest, [])
    STORE_WRITES[write](store)
    assert store.digest() == store.snapshot().digest()
    assert len(operations) == 1


def test_it_is_refused_in_every_pass_of_a_search_also_over_a_held_state():
    collection = filled(CpuCollection)
    asked = np.ones((QUERIES_MAX + 1, 4), np.float32)
    version = collection.version
    with pytest.raises(WriteInFilter):
        collection.search_many(asked, 1, where=that_writes(WRITES["delete"], collection))
    assert collection.version == version
    assert is_healthy(collection)


def test_a_filter_function_may_read_its_collection_and_write_elsewhere():
    collection, other = filled(CpuCollection), filled(CpuCollection)
    seen = []

    def where(columns):
        seen.append(collection.search(QUERY, 2).ids)
        seen.append(collection.get("1").payload["n"])
        seen.append(collection.snapshot().digest() == collection.digest())
        seen.append(other.delete(["1"], missing="ignore").deleted)
        return columns["n"] >= 0

    assert list(collection.search(QUERY, 3, where=where)) == list(collection.search(QUERY, 3))
    assert seen == [collection.search(QUERY, 2).ids, 1, True, 1]
    assert is_healthy(collection)
    assert is_healthy(other)


def test_a_filter_function_of_a_snapshot_may_write_to_the_collection():
    collection = filled(CpuCollection)
    snapshot = collection.snapshot()
    before = everything(snapshot)
    found = snapshot.search(QUERY, 3, where=that_writes(WRITES["delete"], collection))
    assert (list(found), everything(snapshot)) == (list(snapshot.search(QUERY, 3)), before)
    assert (len(collection), is_healthy(collection)) == (39, True)


def test_a_nested_search_that_ends_leaves_the_outer_one_guarded():
    collection, other = filled(CpuCollection), filled(CpuCollection)

    def where(columns):
        other.search(QUERY, where=lambda inner: inner["n"] > 3)
        collection.delete(["1"])
        return columns["n"] >= 0

    with pytest.raises(WriteInFilter):
        collection.search(QUERY, where=where)
    assert collection.delete(["1"]).deleted == 1


def test_other_threads_write_after_the_function_and_are_not_refused():
    collection = filled(CpuCollection)
    digest, is_inside = collection.digest(), threading.Event()

    def where(columns):
        is_inside.set()
        assert len(collection) == 40
        return columns["n"] >= 0

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(lambda: (is_inside.wait(), collection.delete(["1"]))[1])
        found = collection.search(QUERY, 40, where=where)
        assert writing.result().deleted == 1
    assert len(found) == 40
    assert collection.digest() != digest
    assert is_healthy(collection)


def test_columns_that_a_function_has_kept_are_closed_when_it_returns():
    collection = filled(CpuCollection)
    kept = []

    def where(columns):
        kept.append(columns)
        kept.append(columns["n"])
        return columns["n"] >= 0

    collection.search(QUERY, where=where)
    collection.delete([str(number) for number in range(30)])
    columns, array = kept
    for read in (lambda: columns["other"], lambda: list(columns), lambda: len(columns)):
        with pytest.raises(InvalidFilter, match="keep the arrays themselves"):
            read()
    assert array.tolist() == list(range(40))


class Acting:
    """Arguments that run a function of the test while they are read."""

    def __init__(self, act, inner):
        self.act, self.inner = act, inner

    def __iter__(self):
        self.act()
        yield from self.inner

    def __len__(self):
        self.act()
        return len(self.inner)

    def __array__(self, dtype=None, copy=None):
        self.act()
        return np.array(self.inner, dtype)


class ActingPayload(dict):
    def __init__(self, act, inner):
        super().__init__(inner)
        self.act = act

    def items(self):
        self.act()
        return super().items()


ARGUMENTS = {
    "ids": lambda act: ((name for name in Acting(act, ["1", "new"])), np.ones((2, 4)), [{}, None]),
    "vectors": lambda act: (["1", "new"], Acting(act, [[1.0] * 4] * 2), [{}, None]),
    "rows": lambda act: (["1", "new"], [Acting(act, [1.0] * 4)] * 2, [{}, None]),
    "payloads": lambda act: (["1", "new"], np.ones((2, 4)), Acting(act, [{}, None])),
    "a payload": lambda act: (["1", "new"], np.ones((2, 4)), [ActingPayload(act, {"a": 1}), None]),
}
CALLS = {
    "upsert": lambda c, ids, rows, payloads: c.upsert(ids, rows, payloads),
    "insert": lambda c, ids, rows, payloads: c.insert(("x" + name for name in ids), rows, payloads),
    "update_vectors": lambda c, ids, rows, _: c.update_vectors(
        ({"new": "2"}.get(name, name) for name in ids), rows
    ),
    "update": lambda c, ids, rows, payloads: c.update(
        next(iter(ids)), vector=np.asarray(rows)[0], payload=next(iter(payloads))
    ),
    "delete": lambda c, ids, rows, _: c.delete(ids, missing="ignore"),
    "search_many": lambda c, ids, rows, _: c.search_many(rows),
}


@settings(max_examples=60)
@given(
    st.sampled_from(sorted(ARGUMENTS)),
    st.sampled_from(sorted(CALLS)),
    st.lists(st.sampled_from([name for name in WRITES if name != "growth"]), max_size=3),
    st.booleans(),
)
def test_arguments_that_write_while_they_are_read_write_before_the_call(
    argument, call, writes, in_store
):
    """The outcome is as if their writes had come first: one order, and nothing half."""
    acted, plain = (a_store()["words"] if in_store else filled(CpuCollection) for _ in range(2))
    planned = iter(writes)

    def act():
        for name in planned:
            attempt(lambda name=name: WRITES[name](acted))

    def attempt(do):
        try:
            return do()
        except VectorKitError as error:
            return type(error)

    got = attempt(lambda: CALLS[call](acted, *ARGUMENTS[argument](act)))
    left = list(planned)
    for name in writes[: len(writes) - len(left)]:
        attempt(lambda name=name: WRITES[name](plain))
    wanted = attempt(lambda: CALLS[call](plain, *ARGUMENTS[argument](lambda: None)))
    assert repr(got) == repr(wanted)
    assert everything(acted) == everything(plain)
    assert is_healthy(acted)


def test_payloads_that_spoil_the_vectors_are_found_out_before_a_large_array_is_written():
    collection = CpuCollection(dim=1)
    rows = np.ones(((1 << 16) + 1, 1), np.float32)

    def payloads():
        for number in range(len(rows)):
            rows[number] = np.nan
            yield None

    with pytest.raises(vk.errors.InvalidVector):
        collection.insert(range(len(rows)), rows, payloads())
    assert (len(collection), collection.version) == (0, 0)


def test_a_subscriber_that_writes_is_refused_by_every_way_and_the_write_stands():
    for write in STORE_WRITES.values():
        store, refused = a_store(), []

        def subscriber(operation, store=store, write=write, refused=refused):
            try:
                write(store)
            except WriteInSubscriber as error:
                refused.append(error)

        store.subscribe(subscriber)
        store.upsert("other", ["y"], [[1.0]])
        assert (len(refused), "y" in store["other"]) == (1, True)
        assert store.digest() == store.snapshot().digest()


def test_the_timer_of_a_cache_may_write_to_what_is_searched():
    written = []

    def timer():
        if written:
            written.pop()()
        return 0.0

    store = a_store(vk.QueryCache(max_age_s=5, timer=timer))
    for name in ("delete", "update_vector", "upsert"):
        for _ in range(2):
            written.append(lambda name=name: WRITES[name](store["words"]))
            try:
                store.search("words", QUERY, 3)
            except VectorNotFound:
                written.clear()
            assert list(store.search("words", QUERY, 3)) == list(store["words"].search(QUERY, 3))
    assert is_healthy(store["words"])


def test_progress_and_factories_of_measure_may_write_to_their_collection():
    made = []

    def make(**options):
        made.append(CpuCollection(**options))
        made[0].insert(["mine"], [np.ones(50)])
        return made[0]

    frame = measure.update_latency(
        vk.datasets.glove(limit=20),
        make=make,
        batches=(1,),
        repeats=2,
        calls=2,
        progress=lambda: made[0].upsert(["mine"], [np.full(50, 2.0)], [{"n": 1}]),
    )
    assert len(frame) == 4
    assert made[0].payload("mine") == {"n": 1}
    assert is_healthy(made[0])


def test_a_query_that_writes_is_answered_from_the_state_after_its_write():
    collection = filled(CpuCollection)
    query = Acting(lambda: collection.delete(["1"], missing="ignore"), QUERY.tolist())
    assert "1" not in collection.search(query, 40).ids
    before = collection.snapshot()
    asked = Acting(lambda: collection.delete(["2"], missing="ignore"), [QUERY])
    report = vk.diff(before, collection, asked, k=3)
    assert report["is_same"].all()
    assert is_healthy(collection)


def test_a_timer_of_a_cache_may_read_through_the_cache():
    asked, is_asking = [], []

    def timer():
        if len(asked) == 1 and not is_asking:
            is_asking.append(True)
            asked.append(cache.stats())
            asked.append(store.search("words", QUERY, 3).ids)
        return 0.0

    cache = vk.QueryCache(max_age_s=5, timer=timer)
    store = a_store(cache)
    wanted = store["words"].search(QUERY, 3).ids
    asked.append(store.search("words", QUERY, 3).ids)
    assert store.search("words", QUERY, 3).ids == wanted
    assert (asked[0], asked[2]) == (wanted, wanted)
    assert cache.stats().size == 1
