"""`memory()` says what the process really holds, and churn does not add to it."""

import gc
import tracemalloc

import jax
import numpy as np
import pytest

from tests.collections.reference import filled
from vectorkit import frames
from vectorkit.collections import CpuCollection, GpuCollection
from vectorkit.errors import InvalidOption


def held_by(make):
    """What `make` leaves behind: its result, the host's bytes and the devices' bytes.

    Python's allocator hands out steps of 16 bytes up to 512: that is what the process holds.
    """
    gc.collect()
    before = sum(array.nbytes for array in jax.live_arrays())
    tracemalloc.start()
    made = make()
    gc.collect()
    sizes = [trace.size for trace in tracemalloc.take_snapshot().traces]
    tracemalloc.stop()
    host = sum(size if size > 512 else -(-size // 16) * 16 for size in sizes)
    return made, host, sum(array.nbytes for array in jax.live_arrays()) - before


def texts(count):
    return [f"row number {number}" for number in range(count)]


def numbers(count):
    return [10**6 + number for number in range(count)]


PAYLOADS = {
    "none": lambda number: None,
    "flat": lambda number: {"rank": number, "score": number / 3, "lang": f"l{number % 7}"},
    "nested": lambda number: {"tags": [f"t{number}", number], "deep": {"x": {"y": f"{number}"}}},
}


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("ids", [texts, numbers])
def test_memory_is_within_five_percent_of_what_is_held(ids, payload):
    count, dim = 4_000, 8
    rows = np.random.default_rng(0).normal(size=(count, dim))
    CpuCollection(dim=dim).insert(ids(count), rows)  # Compiles, which is not the collection's.

    def make():
        collection = CpuCollection(dim=dim)
        collection.insert(ids(count), rows, payloads=list(map(PAYLOADS[payload], range(count))))
        collection.digest()
        for name in ids(100):
            collection.update_vector(name, rows[0])
        return collection

    make()
    collection, host, device = held_by(make)
    memory = collection.memory()
    assert memory.host_bytes == pytest.approx(host, rel=0.05)
    assert memory.device_bytes == device == memory.device["rows"] + memory.device["norms"]
    assert memory.total_bytes == memory.host_bytes + memory.device_bytes


def test_ten_times_the_rows_in_updates_and_deletes_leave_memory_as_it_was():
    collection, rng = filled(CpuCollection, count=500), np.random.default_rng(1)
    collection.digest()
    before = collection.memory()
    for _ in range(10):
        for name in collection.ids():
            collection.update_vector(name, rng.normal(size=4))
        gone = [str(number) for number in rng.choice(500, 100, replace=False)]
        payloads = [collection.get(name).payload for name in gone]
        collection.delete(gone)
        collection.insert(gone, rng.normal(size=(100, 4)), payloads=payloads)
    after = collection.memory()
    assert after.device == before.device
    assert after.host["digest"] == before.host["digest"]
    assert after.host["change_log"] <= 1_024 * 400
    assert len(collection) == 500


def test_reserve_makes_the_room_at_once_and_nothing_grows_up_to_there():
    collection = filled(CpuCollection, count=40)
    assert collection._storage.growths == [(0, 8, 64)]
    digest = collection.digest()
    collection.reserve(1_000)
    collection.reserve(10)
    assert (collection._storage.capacity, collection.digest()) == (1_024, digest)
    collection.insert(range_texts(1_000 - 40), np.ones((960, 4)))
    assert collection._storage.growths == [(0, 8, 64), (1, 64, 1_024)]


def range_texts(count):
    return [f"more {number}" for number in range(count)]


@pytest.mark.parametrize("count", [-1, 2**31, 1.5, True, "many", None])
def test_reserve_refuses_what_is_no_number_of_rows(count):
    with pytest.raises(InvalidOption, match="how many rows"):
        CpuCollection(dim=2).reserve(count)


def test_memory_comes_as_a_frame_and_as_one_line():
    collection = GpuCollection(dim=2, device=jax.local_devices()[0])
    collection.insert(["a"], [[1, 2]])
    memory = collection.memory()
    frame = memory.to_frame()
    assert frame.dtypes.astype(str).to_dict() == dict(frames.MEMORY)
    assert frame["bytes"].sum() == memory.total_bytes
    assert frame.loc[frame["part"] == "rows", "bytes_per_row"].tolist() == [64.0]
    assert repr(memory).startswith(f"Memory({memory.total_bytes:,} bytes for 1 rows: rows 64,")


def test_a_compile_report_tells_growth_from_first_compilations():
    collection = CpuCollection(dim=1_009)
    assert collection.compile_report().empty
    collection.insert(range(8), np.ones((8, 1_009)))
    collection.snapshot().get(0)
    collection.insert(range(8, 20), np.ones((12, 1_009)))
    collection.snapshot().get(0)
    report = collection.compile_report()
    assert report.dtypes.astype(str).to_dict() == dict(frames.COMPILE_REPORT)
    facts = report[["program", "capacity", "batch", "cause"]]
    assert list(facts.itertuples(index=False, name=None)) == [
        ("write", 8, 8, "first"),
        ("read", 8, 1, "first"),
        ("grow", 8, 32, "growth"),
        ("write", 32, 16, "first"),
        ("read", 32, 1, "growth"),
    ]
