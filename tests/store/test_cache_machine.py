"""After any writes by any path, every cached answer is the fresh one, ties and all."""

from tempfile import TemporaryDirectory

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import vectorkit as vk
from tests.collections.reference import METRICS
from vectorkit.operations import (
    CollectionConfig,
    CreateCollection,
    Delete,
    DropCollection,
    RenameCollection,
    UpdateVectors,
    Upsert,
)
from vectorkit.store import store_of
from vectorkit.types import KEEP

DIM = 2
NAMES = ("left", "right")
IDS = [f"id{number}" for number in range(12)]
MANY = [f"many{number}" for number in range(1_100)]
values = st.sampled_from([0.0, -0.0, 1.0, 1.0, 2.0, -1.0, 1.0000001, 1e-31, 1.2e19])
vectors = st.tuples(values, values).map(lambda pair: np.array(pair, np.float32))
collections = st.sampled_from(NAMES)
ids = st.sampled_from(IDS)
batches = st.dictionaries(ids, vectors, min_size=1, max_size=6)
payloads = st.sampled_from([None, {"n": 1}, {"n": 2, "lang": "en"}])
queries = st.sampled_from([(1.0, 0.0), (1.0, 1.0), (0.0, 0.0), (-1.0, 2.0)])
sizes = st.sampled_from([0, 1, 2, 3, 5, 40])
options = st.sampled_from(
    [
        {},
        {"where": {"n": {"gte": 2}}},
        {"where": {"n": {"ne": 1}}},
        {"where": {"lang": "en", "n": 2}},
    ]
)
"""What a search takes beside query and k."""


class Journal:
    place = None

    def admit(self):
        """Every write is welcome."""

    def append(self, operation, encoded, place):
        """Nothing is kept."""


class CachedAgainstFresh(RuleBasedStateMachine):
    """One cache for a store of two collections, with one more that belongs to no store."""

    @initialize(
        capacity=st.sampled_from([1_000, 1_000, 1_000, 5]),
        metric=st.sampled_from(METRICS),
        first=st.lists(vectors, min_size=8, max_size=8),
    )
    def make(self, capacity, metric, first):
        self.cache = vk.QueryCache(capacity=capacity)
        self.store = vk.VectorStore(cache=self.cache)
        self.applier = self.store.attach(Journal())
        self.loose = vk.CpuCollection(dim=DIM, metric=metric)
        self.held, self.asked, self.count, self.step = [], [], 0, 0
        for name in NAMES:
            self.store.create_collection(name, dim=DIM, metric=metric)
        for each in (*(self.store[name] for name in NAMES), self.loose):
            each.insert(IDS[:8], stack(first), [{"n": number % 3} for number in range(8)])
        self.asked += [
            (name, (1.0, 1.0), k, more)
            for name in (*NAMES, None)
            for k, more in ((1, {}), (3, {}), (9, {}), (2, {"where": {"n": {"gte": 2}}}))
        ]

    def write(self, path, name, operation):
        """Make an operation happen to the rows that are there, by one of the paths."""
        if path == "replicated":
            self.applier.apply(operation)
            return
        target = self.loose if path == "loose" else self.store[name]
        row_ids = operation.ids
        if isinstance(operation, Upsert):
            target.upsert(row_ids, operation.vectors, operation.payloads)
        elif isinstance(operation, Delete):
            target.delete(row_ids)
        elif operation.payloads is KEEP and len(row_ids) > 1:
            target.update_vectors(row_ids, operation.vectors)
        elif operation.payloads is KEEP:
            target.update_vector(row_ids[0], operation.vectors[0])
        else:
            vector = KEEP if operation.vectors is KEEP else operation.vectors[0]
            target.update(row_ids[0], vector=vector, payload=operation.payloads[0])

    paths = st.sampled_from(["client", "replicated", "loose"])

    def present(self, path, name):
        return (self.loose if path == "loose" else self.store[name]).ids()

    @rule(path=paths, name=collections, batch=batches, payload=payloads)
    def upsert(self, path, name, batch, payload):
        given = (payload,) * len(batch)
        self.write(path, name, Upsert(name, tuple(batch), stack(batch.values()), given))

    @rule(path=paths, name=collections, count=st.sampled_from([150, 1_100]), vector=vectors)
    def upsert_many(self, path, name, count, vector):
        self.write(path, name, Upsert(name, tuple(MANY[:count]), stack([vector] * count), None))

    @rule(path=paths, name=collections, data=st.data())
    def update(self, path, name, data):
        known = self.present(path, name)
        if known:
            some = data.draw(
                st.lists(st.sampled_from(known[:15]), min_size=1, max_size=4, unique=True)
            )
            rows = stack([data.draw(vectors) for _ in some])
            self.write(path, name, UpdateVectors(name, tuple(some), rows, KEEP))

    @rule(path=paths, name=collections, payload=payloads, parts=st.booleans(), data=st.data())
    def update_payload(self, path, name, payload, parts, data):
        known = self.present(path, name)
        if known:
            row_id = data.draw(st.sampled_from(known[:15]))
            rows = stack([data.draw(vectors)]) if parts else KEEP
            self.write(path, name, UpdateVectors(name, (row_id,), rows, (payload,)))

    @rule(path=paths, name=collections, data=st.data())
    def delete(self, path, name, data):
        known = self.present(path, name)
        if known:
            likely = st.sampled_from(known[:8] + known[-4:])
            some = data.draw(st.lists(likely, min_size=1, max_size=3, unique=True))
            self.write(path, name, Delete(name, tuple(some)))

    @rule(path=paths, name=collections)
    def delete_most(self, path, name):
        gone = self.present(path, name)[3:]
        if gone:
            self.write(path, name, Delete(name, tuple(gone)))

    @rule(name=collections, metric=st.sampled_from(METRICS), is_replicated=st.booleans())
    def drop_and_create(self, name, metric, is_replicated):
        if is_replicated:
            self.applier.apply(DropCollection(name))
            self.applier.apply(CreateCollection(name, CollectionConfig(DIM, metric, "cpu")))
        else:
            self.store.drop_collection(name)
            self.store.create_collection(name, dim=DIM, metric=metric)

    @rule()
    def exchange_names(self):
        self.store.rename_collection("left", "aside")
        self.applier.apply(RenameCollection("right", "left"))
        self.store.rename_collection("aside", "right")

    @rule(name=collections)
    def hold(self, name):
        self.held = [self.store[name].snapshot(), self.loose.snapshot()]

    @rule()
    def install(self):
        self.applier.install(store_of(self.store.snapshot().operations()))

    @rule(batch=batches)
    def save_and_load(self, batch):
        """The saved version comes back after another answer was given under a later one."""
        with TemporaryDirectory() as folder:
            self.loose.save(f"{folder}/loose.vk")
            self.loose.upsert(batch, stack(batch.values()))
            self.check(None, (1.0, 1.0), 3, {})
            self.loose = vk.load(f"{folder}/loose.vk")

    @rule(name=st.sampled_from((*NAMES, None)), query=queries, k=sizes, more=options)
    def ask(self, name, query, k, more):
        if (name, query, k, more) not in self.asked:
            self.asked.append((name, query, k, more))
        self.check(name, query, k, more)

    @invariant()
    def every_answer_is_the_fresh_one(self):
        """Each is asked for after every third step, so that several writes come between."""
        self.step += 1
        for each in self.asked[self.step % 3 :: 3]:
            self.check(*each)

    def check(self, name, query, k, more):
        if name is None:
            collection, found = self.loose, self.cache.search(self.loose, query, k, **more)
        else:
            collection, found = self.store[name], self.store.search(name, query, k, **more)
        fresh = collection.search(query, k, **more)
        assert found.ids == fresh.ids
        assert found.scores.tobytes() == fresh.scores.tobytes()
        assert found.metric == fresh.metric
        self.count += 1

    def teardown(self):
        if hasattr(self, "cache"):
            for each in self.asked:
                self.check(*each)
            stats = self.cache.stats()
            assert stats.hits + stats.misses + stats.bypassed == self.count
            assert stats.patched <= stats.hits


def stack(rows):
    return np.array(list(rows), np.float32).reshape(-1, DIM)


CachedAgainstFresh.TestCase.settings = settings(
    max_examples=30, stateful_step_count=40, suppress_health_check=[HealthCheck.too_slow]
)
TestCachedAgainstFresh = CachedAgainstFresh.TestCase
