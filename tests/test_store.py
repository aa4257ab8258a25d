"""VectorStore: one commit path, one ordered stream, and no way around either."""

import inspect
import threading
from enum import StrEnum

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vectorkit import operations, types
from vectorkit.collections import Collection, WriteResult
from vectorkit.errors import (
    CollectionExists,
    CollectionNotFound,
    InvalidDimension,
    InvalidOption,
    InvalidVector,
    UnknownMetric,
    VectorExists,
    VectorNotFound,
    WriteInSubscriber,
    WriteRefused,
)
from vectorkit.store import Applier, VectorStore, store_of
from vectorkit.store import write as write_operation

# Each public method that changes something, as a call on a store with rows "a" and "b" in "words".
STORE_MUTATORS = {
    "create_collection": lambda store: store.create_collection("new", dim=2),
    "drop_collection": lambda store: store.drop_collection("words"),
    "rename_collection": lambda store: store.rename_collection("words", "terms"),
    "upsert": lambda store: store.upsert("words", ["a", "c"], [[5, 6], [7, 8]]),
    "insert": lambda store: store.insert("words", ["c"], [[5, 6]], [{"n": 3}]),
    "update_vector": lambda store: store.update_vector("words", "a", [5, 6]),
    "update_vectors": lambda store: store.update_vectors("words", ["b", "a"], [[5, 6], [7, 8]]),
    "update": lambda store: store.update("words", "a", payload=None),
    "delete": lambda store: store.delete("words", ["a"]),
}
COLLECTION_MUTATORS = {
    "upsert": lambda words: words.upsert(["a", "c"], [[5, 6], [7, 8]]),
    "insert": lambda words: words.insert(["c"], [[5, 6]], [{"n": 3}]),
    "update_vector": lambda words: words.update_vector("a", [5, 6]),
    "update_vectors": lambda words: words.update_vectors(["b", "a"], [[5, 6], [7, 8]]),
    "update": lambda words: words.update("a", vector=[5, 6], payload={"n": 9}),
    "delete": lambda words: words.delete(["a"], missing="ignore"),
}
STORE_READERS = {
    "copy",
    "get",
    "search",
    "search_many",
    "snapshot",
    "digest",
    "subscribe",
    "attach",
}
COLLECTION_READERS = {
    "dim", "metric", "version", "ids", "get", "payload", "search", "search_many", "to_frame",
    "snapshot", "digest", "reserve", "memory", "compile_report", "save", "batches", "audit",
    "from_frame", "copy",
}  # fmt: skip

BY_STORE = pytest.mark.parametrize("write", STORE_MUTATORS.values(), ids=STORE_MUTATORS)
BY_COLLECTION = pytest.mark.parametrize(
    "write", COLLECTION_MUTATORS.values(), ids=COLLECTION_MUTATORS
)
BY_EVERY_PATH = pytest.mark.parametrize(
    "write",
    [
        *STORE_MUTATORS.values(),
        *(lambda store, w=write: w(store["words"]) for write in COLLECTION_MUTATORS.values()),
    ],
    ids=[*STORE_MUTATORS, *(f"words.{name}" for name in COLLECTION_MUTATORS)],
)


@pytest.fixture
def store():
    made = VectorStore()
    made.create_collection("words", dim=2, metric="euclidean")
    made.upsert("words", ["a", "b"], [[1, 2], [3, 4]], [{"n": 1}, None])
    return made


def recorded(store):
    """The operations from now on."""
    stream = []
    store.subscribe(stream.append)
    return stream


def rebuilt(store, stream):
    """A store made of a snapshot and of the operations after it."""
    return store_of([*store.snapshot().operations(), *stream])


def public(kind):
    return {name for name, _ in inspect.getmembers(kind) if not name.startswith("_")}


def test_every_public_method_of_a_store_is_a_tested_mutator_or_a_known_reader():
    assert public(VectorStore) == set(STORE_MUTATORS) | STORE_READERS


def test_every_public_method_of_a_collection_is_a_tested_mutator_or_a_known_reader():
    assert public(Collection) == set(COLLECTION_MUTATORS) | COLLECTION_READERS


@BY_EVERY_PATH
def test_every_mutator_yields_exactly_one_operation_that_does_the_same_elsewhere(store, write):
    start = store.snapshot()
    stream = recorded(store)
    before = store.digest()
    write(store)
    assert len(stream) == 1
    assert store.digest() != before
    assert store_of([*start.operations(), *stream]).digest() == store.digest()


@BY_EVERY_PATH
def test_every_operation_survives_its_encoding(store, write):
    start, stream = store.snapshot(), recorded(store)
    write(store)
    travelled = [operations.decode(operations.encode(each)) for each in stream]
    assert store_of([*start.operations(), *travelled]).digest() == store.digest()


def test_reading_yields_no_operation(store):
    stream = recorded(store)
    store.get("words", "a")
    store.search("words", [1, 2], k=1)
    store.search_many("words", [[1, 2]], k=1)
    store.snapshot().digest()
    store.digest()
    assert stream == []


@pytest.mark.parametrize(
    "write",
    [
        lambda store: store.upsert("words", [], np.empty((0, 2))),
        lambda store: store.delete("words", ["absent"], missing="ignore"),
    ],
    ids=["upsert", "delete"],
)
def test_a_write_of_no_rows_yields_no_operation(store, write):
    stream, before = recorded(store), store.digest()
    assert write(store) == WriteResult(version=1)
    assert (stream, store.digest()) == ([], before)


REFUSED = {
    "exists": (CollectionExists, lambda store: store.create_collection("words", dim=2)),
    "dimension": (InvalidDimension, lambda store: store.create_collection("new", dim=0)),
    "metric": (UnknownMetric, lambda store: store.create_collection("new", dim=2, metric="x")),
    "kind": (InvalidOption, lambda store: store.create_collection("new", dim=2, kind="tape")),
    "no name": (InvalidOption, lambda store: store.create_collection("", dim=2)),
    "name of bytes": (InvalidOption, lambda store: store.create_collection(b"new", dim=2)),
    "drop": (CollectionNotFound, lambda store: store.drop_collection("absent")),
    "rename absent": (CollectionNotFound, lambda store: store.rename_collection("absent", "x")),
    "rename to present": (CollectionExists, lambda s: s.rename_collection("words", "words")),
    "rename to nothing": (InvalidOption, lambda store: store.rename_collection("words", "")),
    "rename to a number": (InvalidOption, lambda store: store.rename_collection("words", 7)),
    "rename to a list": (InvalidOption, lambda store: store.rename_collection("words", ["x"])),
    "vector": (InvalidVector, lambda store: store.upsert("words", ["a"], [[1]])),
    "row exists": (VectorExists, lambda store: store.insert("words", ["a"], [[1, 1]])),
    "row absent": (VectorNotFound, lambda store: store.update_vector("words", "x", [1, 1])),
    "rows absent": (VectorNotFound, lambda store: store.delete("words", ["a", "x"])),
    "no such": (CollectionNotFound, lambda store: store.upsert("absent", ["a"], [[1, 1]])),
}


@pytest.mark.parametrize(("error", "write"), REFUSED.values(), ids=REFUSED)
def test_a_refused_write_changes_nothing_and_yields_no_operation(store, error, write):
    stream, before = recorded(store), store.digest()
    with pytest.raises(error):
        write(store)
    assert (stream, store.digest(), list(store)) == ([], before, ["words"])
    assert store["words"].version == 1


class Name(StrEnum):
    NEW = "new"


@pytest.mark.parametrize("name", [np.str_("new"), Name.NEW], ids=["numpy", "enum"])
def test_a_name_that_is_more_than_a_str_is_stored_as_a_str(store, name):
    start, stream = store.snapshot(), recorded(store)
    store.create_collection("other", dim=2)
    store.create_collection(name, dim=2)
    store.rename_collection("other", type(name)("new") + "er")
    travelled = [operations.decode(operations.encode(each)) for each in stream]
    assert {type(each) for each in store} == {str}
    assert store_of([*start.operations(), *travelled]).digest() == store.digest()


def test_collections_are_listed_in_the_order_of_their_creation(store):
    store.create_collection("zebras", dim=2)
    store.create_collection("apples", dim=2)
    store.rename_collection("zebras", "aardvarks")
    assert list(store) == ["words", "aardvarks", "apples"]
    assert len(store) == 3
    assert "aardvarks" in store
    assert "zebras" not in store


def test_equal_stores_have_equal_digests_whatever_the_order_of_collections():
    one, other = VectorStore(), VectorStore()
    for name in ("a", "b"):
        one.create_collection(name, dim=2)
    for name in ("b", "a"):
        other.create_collection(name, dim=2)
    assert one.digest() == other.digest()


def test_the_name_of_a_collection_is_part_of_the_digest():
    one, other = VectorStore(), VectorStore()
    one.create_collection("a", dim=2)
    other.create_collection("b", dim=2)
    assert one.digest() != other.digest()


def test_rename_keeps_rows_slots_and_handles(store):
    words = store["words"]
    store.rename_collection("words", "terms")
    assert (store["terms"], words.name, words.ids()) == (words, "terms", ["a", "b"])
    words.update_vector("a", [9, 9])
    assert store.get("terms", "a").vector.tolist() == [9, 9]


@BY_COLLECTION
def test_a_handle_of_a_collection_that_was_dropped_and_made_again_is_refused(store, write):
    stale = store["words"]
    store.drop_collection("words")
    store.create_collection("words", dim=2, metric="euclidean").insert(["a", "b"], [[1, 2], [3, 4]])
    before = store.digest()
    with pytest.raises(CollectionNotFound):
        write(stale)
    assert store.digest() == before


def test_a_snapshot_rebuilds_the_store_slot_by_slot(store):
    store.upsert("words", [f"{n}" for n in range(9_000)], np.ones((9_000, 2)))
    store.delete("words", ["a", "77"])
    copy = store_of(store.snapshot().operations())
    assert copy["words"].ids() == store["words"].ids()
    assert copy.digest() == store.digest() == store.snapshot().digest()


def test_a_snapshot_stays_what_it_was(store):
    snapshot, before = store.snapshot(), store.digest()
    store.delete("words", ["a"])
    store.drop_collection("words")
    assert snapshot.digest() == before
    assert store_of(snapshot.operations()).digest() == before


def test_a_snapshot_keeps_the_payloads_of_several_rows_that_are_overwritten_at_once(store):
    snapshot, before = store.snapshot(), store.digest()
    change = operations.UpdateVectors("words", ("a", "b"), types.KEEP, ({"n": 2}, {"n": 3}))
    write_operation(store, change)
    assert [store["words"].payload(name) for name in ("a", "b")] == [{"n": 2}, {"n": 3}]
    assert snapshot.digest() == before != store.digest()


def test_an_operation_that_starts_an_epoch_changes_no_collection(store):
    before = store.digest()
    assert rebuilt(store, [operations.EpochStart(3)]).digest() == before


def test_a_subscription_ends_when_its_result_is_called(store):
    stream = []
    cancel = store.subscribe(stream.append)
    store.delete("words", ["a"])
    cancel()
    store.delete("words", ["b"])
    assert len(stream) == 1


@BY_EVERY_PATH
def test_writing_inside_a_subscriber_is_refused_and_changes_nothing(store, write):
    errors = []

    def on_operation(_):
        before = store.digest()
        with pytest.raises(WriteInSubscriber) as caught:
            write(store)
        errors.append((caught.value.code, store.digest() == before))

    stream = recorded(store)
    store.subscribe(on_operation)
    store.upsert("words", ["d"], [[9, 9]])
    assert errors == [("write_in_subscriber", True)]
    assert len(stream) == 1


def test_a_store_takes_writes_again_after_a_subscriber_tried_to_write(store):
    cancel = store.subscribe(lambda _: store.delete("words", ["b"]))
    with pytest.warns(RuntimeWarning, match="WriteInSubscriber"):
        store.delete("words", ["a"])
    cancel()
    assert store.delete("words", ["b"]).deleted == 1


def test_a_subscriber_that_raises_undoes_nothing_and_the_others_are_called(store):
    def fail(_):
        raise OSError("disk full")

    store.subscribe(fail)
    stream = recorded(store)
    with pytest.warns(RuntimeWarning, match="OSError.*disk full.*the write stands"):
        result = store.delete("words", ["a"])
    assert (result.deleted, len(stream), "a" in store["words"]) == (1, 1, False)


class Recording:
    """A journal that keeps what it is given, and refuses when told to."""

    def __init__(self, store, is_open=True):
        self.store = store
        self.is_open = is_open
        self.seen = []

    def admit(self):
        if not self.is_open:
            raise WriteRefused("closed", got="a write", wanted="none", remedy="wait")

    @property
    def place(self):
        return len(self.seen)

    def append(self, operation, encoded, place):
        assert encoded == operations.encode(operation)
        assert place == len(self.seen)
        self.seen.append((operation, self.store.digest()))


@BY_EVERY_PATH
def test_a_journal_records_each_write_once_before_subscribers_see_it(store, write):
    journal = Recording(store)
    store.attach(journal)
    stream, recorded_by_then = recorded(store), []
    store.subscribe(lambda _: recorded_by_then.append(len(journal.seen)))
    write(store)
    assert journal.seen == [(stream[0], store.digest())]
    assert recorded_by_then == [1]


@BY_EVERY_PATH
def test_a_journal_that_refuses_keeps_every_path_closed(store, write):
    journal = Recording(store, is_open=False)
    store.attach(journal)
    stream, before = recorded(store), store.digest()
    with pytest.raises(WriteRefused):
        write(store)
    assert (journal.seen, stream, store.digest()) == ([], [], before)


@pytest.mark.parametrize(("error", "write"), REFUSED.values(), ids=REFUSED)
def test_a_refused_write_is_not_recorded(store, error, write):
    journal = Recording(store)
    store.attach(journal)
    with pytest.raises(error):
        write(store)
    assert journal.seen == []


def test_a_store_takes_one_journal_for_life(store):
    assert type(store.attach(Recording(store))) is Applier
    with pytest.raises(WriteRefused, match="has a journal already"):
        store.attach(Recording(store))


def test_the_holder_of_a_journal_writes_around_it_and_is_not_recorded(store):
    journal = Recording(store, is_open=False)
    applier = store.attach(journal)
    stream = recorded(store)
    applier.apply(operations.Delete("words", ("a",)))
    assert (journal.seen, len(stream), "a" in store["words"]) == ([], 1, False)


def test_threads_that_write_at_once_give_a_stream_that_replays_to_the_same_store(store):
    start, stream = store.snapshot(), recorded(store)

    def work(number):
        for step in range(60):
            store.upsert("words", [f"{number}-{step % 7}", "shared"], [[number, step], [step, 1]])
            store["words"].update_vector("shared", [number, step])
            if step % 5 == 4:
                store.delete("words", [f"{number}-{step % 7}"])
            if step % 20 == 19:
                store.create_collection(f"made-{number}-{step}", dim=2)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    copy = store_of([*start.operations(), *stream])
    assert len(stream) == 6 * (60 + 60 + 12 + 3)
    assert copy.digest() == store.digest()
    assert copy["words"].ids() == store["words"].ids()


@given(st.lists(st.tuples(st.sampled_from(sorted(STORE_MUTATORS)), st.booleans()), max_size=12))
def test_any_sequence_of_writes_replays_to_the_same_store(names):
    made = VectorStore()
    stream = recorded(made)
    for name, is_fresh in names:
        if "words" not in made:
            made.create_collection("words", dim=2)
        if is_fresh:
            made.upsert("words", ["a", "b"], [[1, 2], [3, 4]])
        try:
            STORE_MUTATORS[name](made)
        except (CollectionExists, VectorExists, VectorNotFound):
            continue
    assert store_of(stream).digest() == made.digest()


def test_a_subscription_ends_once_however_often_it_is_ended():
    store, seen = VectorStore(), []
    end = store.subscribe(seen.append)
    end()
    end()
    store.create_collection("words", dim=2)
    assert seen == []


def test_a_subscriber_must_be_callable():
    with pytest.raises(InvalidOption, match="must be callable"):
        VectorStore().subscribe("not a function")
