"""One process of several that hold a collection together: `… PORT PROCESS_COUNT PROCESS_ID`.

Not a test: tests/collections/test_sharded_processes.py starts it. It prints what it saw as JSON.
"""

import json
import sys

import jax
import numpy as np

from vectorkit.collections import CpuCollection, ShardedCollection

DIM = 5


def work(collection):
    """Writes of every kind, then all that a reader shows, as plain values."""
    rng = np.random.default_rng(7)
    rows = rng.integers(-2, 3, size=(300, DIM)).astype(np.float32) * np.float32(0.7)
    rows[::9] = -0.0
    collection.insert(range(200), rows[:200], payloads=[{"n": n} for n in range(200)])
    before = collection.snapshot()
    collection.update_vector(3, rows[1])
    collection.delete(range(5, 60, 3))
    collection.upsert(range(190, 300), rows[190:])
    collection.update_vectors(range(100, 240), rows[:140])
    queries = rng.normal(size=(9, DIM))
    found = collection.search_many(np.concatenate([queries, rows[:3]]), k=7)
    return {
        "digest": collection.digest(),
        "recomputed": collection.snapshot().digest(),
        "before": before.digest(),
        "vectors": before.vectors().tobytes().hex(),
        "row": collection.get(3).vector.tobytes().hex(),
        "ids": found.ids.tolist(),
        "scores": found.scores.tobytes().hex(),
        "row_count": len(collection),
    }


def as_cpu(collection):
    """The digest names the kind: for a comparison the configurations must be the same."""
    collection.config = collection._storage.config = CpuCollection(dim=DIM, metric="dot").config
    return collection


if __name__ == "__main__":
    port, process_count, process_id = map(int, sys.argv[1:])
    jax.distributed.initialize(f"localhost:{port}", process_count, process_id)
    sharded = as_cpu(ShardedCollection(dim=DIM, metric="dot"))
    seen = work(sharded)
    seen["addressable"] = len(sharded._storage.state[0][0].addressable_shards)
    seen["device_count"] = len(jax.devices())
    print(json.dumps(seen))
