"""Copies and pickles: the same rows, version and digest, and nothing in common afterwards."""

import copy
import pickle
from functools import partial

import cloudpickle
import jax
import numpy as np
import pytest

import vectorkit as vk
from vectorkit.collections import files
from vectorkit.collections.copies import DeviceAddress, MeshAddress, from_bytes
from vectorkit.errors import DeviceNotFound

DEVICES = jax.devices()
KINDS = {
    "cpu": partial(vk.CpuCollection, metric="dot"),
    "gpu": partial(vk.GpuCollection, device=DEVICES[1], metric="euclidean"),
    "sharded": partial(vk.ShardedCollection, mesh=jax.make_mesh((2,), ("x",))),
    "int8": partial(vk.QuantizedCollection, rows="host", device=DEVICES[2], rescore=7),
    "binary": partial(vk.QuantizedCollection, codec="binary"),
    "pq": partial(vk.QuantizedCollection, codec="pq", rows="none"),
}


def pickled(value, protocol=pickle.HIGHEST_PROTOCOL):
    return pickle.loads(pickle.dumps(value, protocol))


COPIES = {
    "copy method": lambda value: value.copy(),
    "copy.copy": copy.copy,
    "copy.deepcopy": copy.deepcopy,
    "pickle": pickled,
    "pickle protocol 2": partial(pickled, protocol=2),
    "cloudpickle": lambda value: pickle.loads(cloudpickle.dumps(value)),
}
by_kind = pytest.mark.parametrize("kind", KINDS)
by_way = pytest.mark.parametrize("way", COPIES.values(), ids=COPIES)

ROWS = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
NAMES = [f"row {slot}" for slot in range(8)]


def made(kind):
    """Eight rows, as many as there is room for, so that arrays could be taken over as they are."""
    collection = KINDS[kind](dim=4, name="words")
    collection.upsert(NAMES, ROWS[:8], [{"n": slot, "deep": [slot]} for slot in range(8)])
    collection.update_vector("row 0", ROWS[8])
    return collection


def facts(reader):
    snapshot = reader.snapshot()
    return (
        type(reader), reader.name, reader.config, reader.version, reader.digest(), len(reader),
        snapshot.digest(), snapshot.ids(), snapshot.payloads(), snapshot.vectors().tobytes(),
        list(reader.search(ROWS[0], 3)), list(reader.search(ROWS[1], 3, where={"n": {"gte": 4}})),
    )  # fmt: skip


def change(collection):
    collection.update_vector("row 1", -ROWS[1])
    collection.update("row 2", payload={"n": 77})
    collection.delete(["row 3"])
    collection.search(ROWS[0])
    collection.upsert(["new"], ROWS[:1])
    collection.search(ROWS[0])


@by_kind
@by_way
def test_a_copy_is_equal_and_independent_both_ways(kind, way):
    collection = made(kind)
    before = facts(collection)
    twin = way(collection)
    assert facts(twin) == before
    assert [getattr(twin, name, None) for name in ("device", "mesh", "axis")] == [
        getattr(collection, name, None) for name in ("device", "mesh", "axis")
    ]
    change(twin)
    assert facts(collection) == before
    after = facts(twin)
    change(collection)
    assert facts(collection) == after
    collection.upsert(["last"], ROWS[:1])
    assert facts(twin) == after
    assert len(way(twin)) == len(twin)


def memory_of(collection):
    """The addresses of all arrays of rows and codes."""
    arrays = [array for block in collection._storage._blocks for array in block]
    shards = [shard.data for array in arrays for shard in array.addressable_shards]
    return {shard.unsafe_buffer_pointer() for shard in shards}


@by_kind
@pytest.mark.parametrize("way", [COPIES["copy method"], copy.copy, copy.deepcopy])
def test_a_copy_has_no_memory_in_common_with_the_original(kind, way):
    """Otherwise a write in place would depend on JAX to notice the second owner of its memory."""
    collection = made(kind)
    twin = way(collection)
    assert memory_of(twin).isdisjoint(memory_of(collection))


def test_copies_within_a_process_are_not_written_as_bytes(monkeypatch):
    store = vk.VectorStore()
    store.create_collection("words", dim=4).upsert(NAMES, ROWS[:8])
    written = []
    monkeypatch.setattr(files, "to_bytes", written.append)
    for way in (copy.copy, copy.deepcopy):
        assert way(store).digest() == store.digest()
        assert way(store["words"]).digest() == store["words"].digest()
    assert written == []


@by_kind
def test_a_snapshot_is_its_own_copy_and_travels(kind):
    collection = made(kind)
    before = collection.snapshot()
    expected = facts(before)
    change(collection)
    assert copy.copy(before) is copy.deepcopy(before) is before
    there = pickled(before)
    assert facts(there) == expected
    assert there.get("row 3").vector.tobytes() == before.get("row 3").vector.tobytes()
    assert facts(pickled(there)) == expected


def test_empty_collections_and_ids_that_are_numbers_are_copied():
    for way in COPIES.values():
        assert facts_of_empty(way(vk.QuantizedCollection(dim=4, codec="pq"))) == (0, 0)
        numbers = vk.CpuCollection(dim=4)
        numbers.upsert([3, -(2**62)], ROWS[:2])
        assert way(numbers).ids() == [3, -(2**62)]


def facts_of_empty(collection):
    collection.upsert([], np.empty((0, 4)))
    return len(collection), collection.version


class Labelled(vk.CpuCollection):
    """A user's own class, with another signature and an attribute."""

    def __init__(self, label):
        super().__init__(dim=4)
        self.label = label


def test_a_subclass_keeps_its_class_and_attributes():
    collection = Labelled(["mine"])
    collection.upsert(["a"], ROWS[:1])
    for name, way in COPIES.items():
        twin = way(collection)
        assert (type(twin), twin.label, twin.digest()) == (Labelled, ["mine"], collection.digest())
        assert (twin.label is collection.label) is (name in ("copy method", "copy.copy"))


def test_a_buffered_write_is_in_the_copy():
    collection = made("cpu")
    collection.search(ROWS[0])
    collection.update_vector("row 5", -ROWS[5])
    assert collection.copy().get("row 5").vector.tolist() == (-ROWS[5]).tolist()


@by_way
def test_a_store_is_copied_whole_without_those_who_listen_to_it(way):
    seen = []
    store = vk.VectorStore(cache=vk.QueryCache(capacity=7, max_age_s=60))
    words = store.create_collection("words", dim=4)
    words.upsert(NAMES, ROWS[:8])
    store.create_collection("codes", dim=4, kind="quantized", codec="pq").upsert(["a"], ROWS[:1])
    store.search("words", ROWS[0])
    store.subscribe(seen.append)
    before = store.digest()
    twin = way(store)
    assert (twin.digest(), list(twin)) == (before, ["words", "codes"])
    assert repr(twin._cache) == "QueryCache(0 of 7, 0 hits, 0 misses)".replace(
        "hits", "hits (0 patched)"
    )
    assert twin._cache.max_age_s == 60
    heard = []
    twin.subscribe(lambda operation: heard.append(operation.collection))
    twin["words"].update_vector("row 1", -ROWS[1])
    twin.search("words", ROWS[1])
    assert (store.digest(), seen, heard) == (before, [], ["words"])
    after = twin.digest()
    store["words"].delete(["row 7"])
    assert twin.digest() == after
    assert len(seen) == 1


@by_way
def test_a_collection_taken_from_a_store_is_copied_without_it(way):
    store = vk.VectorStore()
    words = store.create_collection("words", dim=4)
    words.upsert(NAMES, ROWS[:8])
    twin = way(words)
    twin.delete(["row 0"])
    assert (twin.name, len(twin), len(store["words"])) == ("words", 7, 8)


def test_a_snapshot_of_a_store_travels():
    store = vk.VectorStore()
    store.create_collection("words", dim=4).upsert(NAMES, ROWS[:8])
    before = store.snapshot()
    store["words"].delete(["row 0"])
    for way in (pickled, copy.copy, copy.deepcopy):
        assert way(before).digest() == before.digest()
        assert vk.store.store_of(way(before).operations()).digest() == before.digest()


def test_results_travel():
    collection = made("cpu")
    for result in (collection.search(ROWS[0], 3), collection.search_many(ROWS[:2], 3)):
        assert repr(pickled(result)) == repr(copy.deepcopy(result)) == repr(result)
        assert pickled(result).scores.tobytes() == result.scores.tobytes()
    row = pickled(collection.get("row 1"))
    assert (row.id, row.vector.tobytes(), row.payload) == (
        "row 1",
        ROWS[1].tobytes(),
        {"n": 1, "deep": [1]},
    )
    assert pickled(collection.delete(["row 1"])) == (0, 0, 1, 3)
    assert pickled(collection.memory()).total_bytes == collection.memory().total_bytes


def test_a_platform_that_this_process_lacks_is_named():
    with pytest.raises(DeviceNotFound) as refused:
        DeviceAddress("tpu", 0).find()
    assert refused.value.wanted == "a device of the platform 'tpu'"
    assert refused.value.remedy == "save it to a file there, and here vk.load(path, device=...)"


def test_where_there_are_fewer_devices_the_first_is_taken_but_not_for_a_mesh():
    assert DeviceAddress("cpu", 99).find() == DEVICES[0]
    mesh = MeshAddress((DeviceAddress("cpu", 0), DeviceAddress("cpu", 99)), (2,), ("x",))
    with pytest.raises(DeviceNotFound, match="too few devices"):
        mesh.find()


def test_damaged_bytes_are_refused():
    kind, options, data = made("cpu").__reduce__()[1]
    damaged = bytearray(data)
    damaged[-1] ^= 1
    with pytest.raises(vk.errors.CorruptSnapshot):
        from_bytes(kind, options, bytes(damaged))
