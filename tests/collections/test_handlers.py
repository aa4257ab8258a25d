"""A signal handler or finalizer that calls a collection amid another call of the same thread."""

import threading
from functools import partial

import pytest

import vectorkit as vk
from tests.collections.test_interrupts import CORE, NEW, WRITES, facts, made
from tests.interrupts import called_at, points_of
from vectorkit.errors import ReentrantCall

OUTER = {
    "update_vector": WRITES["update_vector"],
    "update of both": WRITES["update of both"],
    "upsert of both": WRITES["upsert of both"],
    "delete with moves": WRITES["delete with moves"],
    "growth": WRITES["growth"],
    "search, which flushes": lambda c: c.search([1, 2], k=3, where={"n": 1}).ids,
    "digest": lambda c: c.digest(),
    "snapshot": lambda c: c.snapshot().digest(),
}
INNER_READS = {
    "len": len,
    "get": lambda c: c.get("d").vector.tolist(),
    "search": lambda c: list(c.search([1, 2], k=300)),
    "snapshot": lambda c: facts(c)[0],
    "digest": lambda c: c.digest(),
}
INNER_WRITES = {
    "update_vector": lambda c: c.update_vector("c", NEW[3]),
    "upsert": lambda c: c.upsert(["c", "z"], NEW[2:]),
    "delete": lambda c: c.delete(["c"]),
}
INNER = {**INNER_READS, **INNER_WRITES}
STRIDE = 17


def outcome(make, *calls):
    collection = make()
    for call in calls:
        call(collection)
    return facts(collection)


def check(make, outer, inner, stride):
    """Whether the inner call was refused, at every point; all states are of one order of both."""
    alone = outer(made())
    answers = [inner(each) for each in (made(), changed(outer))] if inner in READS else None
    expected = outcome(make, outer)
    orders = [outcome(make, outer, inner), outcome(make, inner, outer)]
    refused = set()
    for point in points_of(partial(outer, make()), CORE)[::stride]:
        collection, seen = make(), []

        def handle(collection=collection, seen=seen):
            try:
                seen.append(inner(collection))
            except ReentrantCall as error:
                seen.append(error)

        result = called_at(point, partial(outer, collection), handle, CORE)
        is_refused = isinstance(seen[0], ReentrantCall)
        refused.add(is_refused)
        final = facts(collection)
        if is_refused or answers is not None:
            assert final == expected, point
            assert repr(result) == repr(alone), point
            assert is_refused or seen[0] in answers, point
        else:
            assert final in orders, point
        assert sorted(collection.search([1, 2], k=300).ids) == sorted(final[0]), point
        assert not collection._guard.is_owned
    return refused


READS = set(INNER_READS.values())


def changed(call):
    collection = made()
    call(collection)
    return collection


@pytest.mark.parametrize("inner", INNER)
@pytest.mark.parametrize("outer", OUTER)
def test_a_handler_amid_a_call_sees_one_state_and_changes_nothing_else_or_is_refused(outer, inner):
    refused = check(made, OUTER[outer], INNER[inner], 5 if outer == "update_vector" else STRIDE)
    assert refused == ({False} if inner == "len" else {False, True})


def test_no_number_of_interrupts_leaves_a_collection_that_refuses_its_own_thread():
    collection = made()
    for call in (
        lambda: collection.update_vector("a", NEW[0]),
        lambda: collection.search([1, 2]),
        collection.snapshot,
    ):
        collection._guard.lock.__enter__()  # As two exceptions in a row may leave it.
        collection._guard.is_open = True
        collection._guard.runs_filter = False
        collection._guard.is_open = False
        call()
        assert not collection._guard.is_owned
    found = []
    thread = threading.Thread(target=lambda: found.append(collection.get("a").vector.tolist()))
    thread.start()
    thread.join()
    assert found == [NEW[0].tolist()]


def test_a_handler_amid_a_store_s_write_cannot_tear_it():
    def store_of_two():
        store = vk.VectorStore()
        for name in ("one", "two"):
            store.create_collection(name, dim=2, metric="dot").upsert(["a", "b"], NEW[:2])
        seen = []
        store.subscribe(seen.append)
        return store, seen

    def outer(store):
        store.upsert("one", ["a", "x"], NEW[2:])
        return store.snapshot().digest()

    def inner(store):
        return store["two"].update_vector("a", NEW[3])

    expected = store_of_two()[0]
    alone = outer(expected)
    inner(expected)
    both, refused = expected.digest(), set()
    for point in points_of(partial(outer, store_of_two()[0]))[::29]:
        store, seen = store_of_two()
        errors = []

        def handle(store=store, errors=errors):
            try:
                inner(store)
            except vk.errors.VectorKitError as error:
                errors.append(error)

        result = called_at(point, partial(outer, store), handle)
        assert len(seen) == 2 - len(errors), point
        assert store.digest() == store.snapshot().digest() == (alone if errors else both), point
        assert result in (alone, both)
        refused.add(bool(errors))
    assert refused == {False, True}
