"""joblib and Dask send collections to other processes, which answer as this one does."""

import warnings

import joblib
import numpy as np
from dask.distributed import Client

import vectorkit as vk

ROWS = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)


def made():
    collection = vk.CpuCollection(dim=4, name="words")
    collection.upsert(range(20), ROWS, [{"n": number} for number in range(20)])
    return collection


def test_joblib_sends_collections_to_processes_and_back():
    def renewed(reader, slot):  # A closure, which joblib sends by cloudpickle.
        found = reader.search(ROWS[slot], 3).ids
        twin = reader.copy() if isinstance(reader, vk.Collection) else reader
        return found, twin, reader.digest()

    collection = made()
    readers = [collection, collection.snapshot()]
    with joblib.parallel_config(backend="loky", n_jobs=2):
        answers = joblib.Parallel()(joblib.delayed(renewed)(each, 5) for each in readers)
    for reader, (found, twin, digest) in zip(readers, answers, strict=True):
        assert found == reader.search(ROWS[5], 3).ids
        assert digest == twin.digest() == reader.digest() == collection.digest()
    answers[0][1].delete([5])
    assert len(collection) == 20


def test_dask_sends_collections_to_its_workers_and_back():
    def without(store, row_id):
        store["words"].delete([row_id])
        return store

    store = vk.VectorStore(cache=vk.QueryCache())
    store.create_collection("words", dim=4).upsert(range(20), ROWS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Of ports that are taken and of slow starts.
        with Client(n_workers=1, threads_per_worker=1, dashboard_address=None) as client:
            there = client.submit(without, store, 5).result(timeout=120)
    assert (len(store["words"]), len(there["words"])) == (20, 19)
    store["words"].delete([5])
    assert there.digest() == store.digest()
