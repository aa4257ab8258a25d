"""A collection against a plain dict: any calls in any order, snapshots kept and checked again."""

from functools import partial

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from tests.collections.kinds import EXACT
from tests.collections.reference import METRICS, reference_delete, reference_search
from vectorkit.collections import CpuCollection, QuantizedCollection, WriteResult
from vectorkit.errors import (
    DuplicateId,
    InvalidId,
    InvalidInput,
    InvalidK,
    InvalidPayload,
    InvalidVector,
    VectorExists,
    VectorNotFound,
)

DIM = 2
NAMES = [f"id{number}" for number in range(30)]
values = st.sampled_from([0.0, -0.0, 1.0, 2.0, -1.0, 1.0000001, 1e6, 1000000.06, 1e-31, 1.2e19])
vectors = st.tuples(values, values).map(lambda pair: np.array(pair, np.float32))
names = st.sampled_from(NAMES)
batches = st.dictionaries(names, vectors, max_size=9)
large = st.integers(0, 9).map(lambda n: {f"many{n}-{i}": np.float32([i % 7, n]) for i in range(66)})
payloads = st.sampled_from([None, {}, {"n": 1}, {"tags": ["a", {"b": None}]}])

REFUSED = [
    (InvalidVector, lambda c: c.upsert(["id0", "id1"], [[1, 2], [np.nan, 0]])),
    (InvalidVector, lambda c: c.update_vector("id0", [1, 2, 3])),
    (InvalidVector, lambda c: c.search([np.inf, 0])),
    (InvalidId, lambda c: c.upsert([1.5], [[1, 2]])),
    (InvalidId, lambda c: c.upsert(["id0", 1], [[1, 2], [3, 4]])),
    (DuplicateId, lambda c: c.update_vectors(["id0", "id0"], [[1, 2], [3, 4]])),
    (InvalidPayload, lambda c: c.upsert(["id0"], [[1, 2]], payloads=[{"a": {1}}])),
    (InvalidK, lambda c: c.search([1, 2], k=-1)),
    (InvalidInput, lambda c: c.update("id0")),
    (VectorNotFound, lambda c: c.update_vector("absent", [1, 2])),
    (VectorNotFound, lambda c: c.delete(["absent"])),
    (VectorNotFound, lambda c: c.get("absent")),
]


class AgainstDict(RuleBasedStateMachine):
    """`rows` maps ids to (vector, payload); `order` holds the ids by slot."""

    snapshots = Bundle("snapshots")
    kind = CpuCollection
    """Any kind that looks at all rows before it answers."""

    @initialize(metric=st.sampled_from(METRICS))
    def make(self, metric):
        self.metric = metric
        self.collection = self.kind(dim=DIM, metric=metric)
        self.rows, self.order, self.version = {}, [], 0

    def expect(self, result, **counts):
        self.version += bool(counts)
        assert result == WriteResult(**counts, version=self.version)

    def put(self, batch, given):
        fresh = [name for name in batch if name not in self.rows]
        for name, payload in zip(batch, given, strict=True):
            self.rows[name] = (batch[name], payload)
        self.order += fresh
        return len(fresh)

    @rule(batch=st.one_of(batches, large), payload=payloads)
    def upsert(self, batch, payload):
        given = [payload if number % 2 else None for number in range(len(batch))]
        result = self.collection.upsert(batch, stack(batch), payloads=given)
        inserted = self.put(batch, given)
        counts = {"inserted": inserted, "updated": len(batch) - inserted} if batch else {}
        self.expect(result, **counts)

    @rule(batch=batches)
    def insert(self, batch):
        present = [name for name in batch if name in self.rows]
        if present:
            self.refuse(VectorExists, lambda c: c.insert(batch, stack(batch)))
            batch = {name: row for name, row in batch.items() if name not in present}
        result = self.collection.insert(batch, stack(batch))
        self.expect(result, **({"inserted": self.put(batch, [None] * len(batch))} if batch else {}))

    @rule(name=names, vector=vectors)
    def update_vector(self, name, vector):
        self.change([name], [vector], lambda c: c.update_vector(name, vector))

    @rule(batch=batches)
    def update_vectors(self, batch):
        self.change(list(batch), batch.values(), lambda c: c.update_vectors(batch, stack(batch)))

    @rule(factor=st.sampled_from([1.0, -1.0, 0.5]))
    def update_all(self, factor):
        batch = {name: row * np.float32(factor) for name, (row, _) in self.rows.items()}
        self.change(list(batch), batch.values(), lambda c: c.update_vectors(batch, stack(batch)))

    @rule(name=names, vector=vectors, payload=payloads, is_both=st.booleans())
    def update(self, name, vector, payload, is_both):
        parts = {"payload": payload} | ({"vector": vector} if is_both else {})
        kept = vector if is_both else self.rows.get(name, (None,))[0]
        self.change([name], [kept], lambda c: c.update(name, **parts))
        if name in self.rows:
            self.rows[name] = (kept, payload)

    def change(self, batch, new, call):
        if not all(name in self.rows for name in batch):
            self.refuse(VectorNotFound, call)
            return
        for name, vector in zip(batch, new, strict=True):
            self.rows[name] = (vector, self.rows[name][1])
        self.expect(call(self.collection), **({"updated": len(batch)} if batch else {}))

    @rule(
        gone=st.lists(names, unique=True, max_size=8), missing=st.sampled_from(["raise", "ignore"])
    )
    def delete(self, gone, missing):
        present = [name for name in gone if name in self.rows]
        if present != gone and missing == "raise":
            self.refuse(VectorNotFound, lambda c: c.delete(gone))
            return
        self.order = reference_delete(self.order, present)
        for name in present:
            del self.rows[name]
        result = self.collection.delete(gone, missing=missing)
        self.expect(result, **({"deleted": len(present)} if present else {}))

    @rule()
    def delete_most(self):
        gone = self.order[2:]
        self.order = self.order[:2]
        self.rows = {name: self.rows[name] for name in self.order}
        self.expect(self.collection.delete(gone), **({"deleted": len(gone)} if gone else {}))

    @rule(case=st.sampled_from(REFUSED))
    def refused(self, case):
        self.refuse(*case)

    def refuse(self, error, call):
        digest = self.collection.digest()
        with pytest.raises(error) as caught:
            call(self.collection)
        assert all((caught.value.got, caught.value.wanted, caught.value.remedy))
        assert self.collection.digest() == digest

    @rule(name=names)
    def get(self, name):
        if name not in self.rows:
            self.refuse(VectorNotFound, lambda c: c.get(name))
            return
        row, (vector, payload) = self.collection.get(name), self.rows[name]
        assert (row.id, row.vector.tobytes(), row.payload) == (name, vector.tobytes(), payload)

    @rule(query=vectors, k=st.sampled_from([0, 1, 3, 10, 200]))
    def search(self, query, k):
        best = reference_search(self.matrix(), query, k, self.metric)
        expected = [(self.order[slot], score) for slot, score in best]
        assert list(self.collection.search(query, k)) == expected

    @rule(queries=st.lists(vectors, max_size=10), k=st.sampled_from([1, 4]))
    def search_many(self, queries, k):
        found = self.collection.search_many(np.array(queries), k)
        for query, matches in zip(queries, found, strict=True):
            best = reference_search(self.matrix(), query, k, self.metric)
            assert list(matches) == [(self.order[slot], score) for slot, score in best]

    @rule(target=snapshots)
    def snapshot(self):
        kept = (dict(self.rows), list(self.order), self.version, self.collection.digest())
        return self.collection.snapshot(), kept

    @rule(taken=snapshots)
    def snapshot_is_as_it_was(self, taken):
        snapshot, (rows, order, version, digest) = taken
        assert (snapshot.ids(), snapshot.version, snapshot.digest()) == (order, version, digest)
        assert snapshot.payloads() == [rows[name][1] for name in order]
        assert snapshot.vectors().tobytes() == b"".join(rows[name][0].tobytes() for name in order)

    @rule()
    def digest_equals_that_of_a_fresh_collection(self):
        fresh = self.kind(dim=DIM, metric=self.metric)
        given = [payload for _, payload in self.rows.values()]
        fresh.insert(self.rows, self.matrix(self.rows), payloads=given)
        assert self.collection.digest() == fresh.digest()

    def matrix(self, order=None):
        order = self.order if order is None else order
        return np.array([self.rows[name][0] for name in order], np.float32).reshape(-1, DIM)

    @invariant()
    def count_and_version_agree(self):
        """Only what does not flush: accepted rows must survive until some call reads them."""
        assert (len(self.collection), self.collection.version) == (len(self.rows), self.version)

    @rule()
    def ids_agree(self):
        assert self.collection.ids() == self.order
        assert [name in self.collection for name in NAMES] == [name in self.rows for name in NAMES]


def stack(batch):
    return np.array(list(batch.values()), np.float32).reshape(-1, DIM)


class GpuAgainstDict(AgainstDict):
    """On another device than JAX's first."""

    kind = staticmethod(EXACT["gpu"])


class ShardedAgainstDict(AgainstDict):
    """On four devices."""

    kind = staticmethod(EXACT["sharded"])


class QuantizedAgainstDict(AgainstDict):
    """So many candidates that a code can mislead no search, as rows are kept."""

    kind = staticmethod(partial(QuantizedCollection, codec="int8", rows="device", rescore=1_000))


AgainstDict.TestCase.settings = settings(max_examples=30, stateful_step_count=40)
TestCollectionAgainstDict = AgainstDict.TestCase

few = settings(max_examples=8, stateful_step_count=40)
GpuAgainstDict.TestCase.settings = few
ShardedAgainstDict.TestCase.settings = few
QuantizedAgainstDict.TestCase.settings = few
TestGpuAgainstDict = GpuAgainstDict.TestCase
TestShardedAgainstDict = ShardedAgainstDict.TestCase
TestQuantizedAgainstDict = QuantizedAgainstDict.TestCase
