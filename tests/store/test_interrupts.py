"""An exception at any bytecode of a store's write: it has happened and everybody hears of it once,
or it has not."""

from functools import partial

import numpy as np
import pytest

import vectorkit as vk
from tests.interrupts import Interrupt, files_of, interrupted_at, points_of
from vectorkit.collections.execution import guard
from vectorkit.collections.storage import storage
from vectorkit.errors import WriteInSubscriber
from vectorkit.operations import Delete, UpdateVectors, encode
from vectorkit.replication.node import Node
from vectorkit.replication.protocol.options import ReplicationOptions
from vectorkit.store import store_of
from vectorkit.types import KEEP

STORE = files_of(vk.store, storage, guard)
NODE = files_of(vk.store, vk.replication)
ROWS = np.array([[1, 0], [0, 2], [3, 1]], np.float32)


class Journal:
    """Knows an operation that it has, as the contract of a journal asks for."""

    def __init__(self):
        self.records = []

    def admit(self):
        pass

    @property
    def place(self):
        return len(self.records)

    def append(self, operation, encoded, place):
        if len(self.records) == place:
            self.records.append(operation)


def made():
    """A store with a journal and two subscribers of C, so that being called is having heard."""
    store = vk.VectorStore()
    words = store.create_collection("words", dim=2, metric="dot")
    words.upsert(["a", "b", "c"], ROWS)
    journal, first, second = Journal(), [], []
    store.attach(journal)
    store.subscribe(first.append)
    store.subscribe(second.append)
    return store, journal, first, second


WRITES = {
    "update_vector": lambda store: store.update_vector("words", "a", [7, 7]),
    "update": lambda store: store.update("words", "a", payload={"n": 1}),
    "upsert": lambda store: store["words"].upsert(["b", "x"], ROWS[:2] + 5),
    "delete": lambda store: store.delete("words", ["a", "y"], missing="ignore"),
    "create": lambda store: store.create_collection("more", dim=3),
    "drop": lambda store: store.drop_collection("words"),
    "rename": lambda store: store.rename_collection("words", "names"),
}


@pytest.mark.parametrize("write", WRITES)
def test_a_write_that_is_interrupted_is_made_recorded_and_shown_or_nothing_of_it(write):
    call = WRITES[write]
    old, new = made(), made()
    call(new[0])
    before, after = old[0].digest(), new[0].digest()
    names = [list(each) for each in (old[0], new[0])]
    seen = set()
    for point in points_of(partial(call, made()[0]), STORE):
        store, journal, first, second = made()
        assert interrupted_at(point, partial(call, store), STORE), point
        has_happened = list(store) == names[1] and store.digest() == after
        assert has_happened or (list(store) == names[0] and store.digest() == before), point
        expected = new[1].records if has_happened else []
        assert [encode(each) for each in journal.records] == list(map(encode, expected))
        assert first == second == journal.records
        store.create_collection("later", dim=1)
        assert len(journal.records) == len(first) == len(expected) + 1
        seen.add(has_happened)
    assert seen == {False, True}


def test_every_subscriber_is_called_once_when_one_of_them_is_interrupted():
    store, journal, first, second = made()
    last = []

    def stopped(operation):
        last.append(operation)
        raise Interrupt

    end = store.subscribe(stopped)
    end_last = store.subscribe(last.append)
    with pytest.raises(Interrupt):
        store.update_vector("words", "a", [7, 7])
    assert (len(journal.records), len(first), len(second), len(last)) == (1, 1, 1, 1)
    assert store["words"].get("a").vector.tolist() == [7, 7]
    assert store.digest() == store.snapshot().digest()
    assert (len(journal.records), len(first), len(last)) == (1, 1, 2)
    end()
    end_last()
    store.update_vector("words", "a", [8, 8])
    assert len(first) == 2


def test_a_subscriber_that_was_interrupted_leaves_no_store_that_refuses_writes():
    store, *_ = made()
    refused = []

    def writes(_):
        try:
            store.delete("words", ["c"])
        except WriteInSubscriber as error:
            refused.append(error)
            raise Interrupt from error

    end = store.subscribe(writes)
    with pytest.raises(Interrupt):
        store.update_vector("words", "a", [7, 7])
    end()
    assert store.delete("words", ["c"]).deleted == 1
    assert len(refused) == 1


def node(is_durable):
    options = ReplicationOptions(has_durable_log=is_durable)
    made = Node("node-0", node_ids=["node-0", "node-1"], now_ns=0, options=options)
    made.start(now_ns=0)
    made.store.create_collection("words", dim=2, metric="dot").upsert(["a", "b", "c"], ROWS)
    made.flush(now_ns=0)
    return made


@pytest.mark.parametrize("is_durable", [False, True])
def test_a_master_s_log_has_each_write_that_happened_once(is_durable):
    def call(master):
        master.store.update_vector("words", "a", [7, 7])

    reference = node(is_durable)
    before, offset = reference.store.digest(), reference.log.head.offset
    call(reference)
    after = reference.store.digest()
    effects = [type(each).__name__ for each in reference.flush(now_ns=0)]
    seen = set()
    for point in points_of(partial(call, node(is_durable)), NODE):
        master = node(is_durable)
        assert interrupted_at(point, partial(call, master), NODE), point
        has_happened = {before: False, after: True}[master.store.digest()]
        assert master.log.head.offset == offset + has_happened, point
        assert len(master.log) == master.log.head.offset
        if not has_happened:
            call(master)
        assert [type(each).__name__ for each in master.flush(now_ns=0)] == effects, point
        assert master.log.head == reference.log.head
        assert master.log.size_bytes == reference.log.size_bytes
        assert master.log.epochs == reference.log.epochs
        seen.add(has_happened)
    assert seen == {False, True}


@pytest.mark.parametrize("has_subscriber", [False, True])
def test_an_operation_of_another_store_is_applied_once_by_its_token(has_subscriber):
    source, *_ = made()
    operations = [
        UpdateVectors("words", ("a",), ROWS[:1] + 5, KEEP),
        Delete("words", ("a", "c")),
    ]

    def replica():
        store, heard = store_of(source.snapshot().operations()), []
        if has_subscriber:
            store.subscribe(heard.append)
        return store, store.attach(Journal()), heard

    expected = replica()
    for operation in operations:
        expected[1].apply(operation, object())

    def apply_all(applier, tokens):
        for operation, token in zip(operations, tokens, strict=True):
            applier.apply(operation, token)

    tokens = [object(), object()]
    for point in points_of(partial(apply_all, replica()[1], tokens), STORE):
        store, applier, heard = replica()
        left = list(zip(operations, tokens, strict=True))

        def go_on(applier=applier, left=left):
            while left:
                applier.apply(*left[0])
                del left[0]

        assert interrupted_at(point, go_on, STORE), point
        go_on()
        assert store.digest() == expected[0].digest(), point
        assert store["words"].version == expected[0]["words"].version
        assert heard == (operations if has_subscriber else [])
