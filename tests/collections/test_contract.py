"""One contract for every kind of collection, metric and form of input.

Exact kinds answer as float64 NumPy does, bit for bit. Coded kinds answer with true scores of the
rows that they show, and with the best rows wherever they look at all of them.
"""

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import vectorkit as vk
from tests.collections.kinds import CODED, DECODED, EXACT, KINDS, LEARNING, assert_answers, stored
from tests.collections.reference import METRICS, everything, reference_delete
from vectorkit.collections import search
from vectorkit.errors import (
    DuplicateId,
    InvalidInput,
    InvalidK,
    InvalidPayload,
    InvalidVector,
    VectorExists,
    VectorNotFound,
)

DIM = 5
by_kind = pytest.mark.parametrize("kind", KINDS)
by_metric = pytest.mark.parametrize("metric", METRICS)

FORMS = {
    "float32": lambda rows: rows.astype(np.float32),
    "float64": lambda rows: rows,
    "float16": lambda rows: rows.astype(np.float16),
    "int64": lambda rows: np.rint(rows * 8).astype(np.int64),
    "lists": lambda rows: rows.tolist(),
    "jax": lambda rows: jnp.asarray(rows, jnp.float32),
    "DataFrame": pd.DataFrame,
}


def drawn(seed, count, dim=DIM):
    """Common rows, some of them twice, one of them zero."""
    rows = np.random.default_rng(seed).normal(size=(count, dim))
    rows[count // 2] = rows[0]
    rows[count // 3] = 0.0
    return rows


def as_stored(given):
    return np.asarray(given, np.float64).astype(np.float32)


def one_of(given):
    """The first of some rows in its own form."""
    return given.iloc[0] if isinstance(given, pd.DataFrame) else given[0]


class Model:
    """A dict of rows beside a collection: the same writes, and reads that must agree."""

    def __init__(self, collection):
        self.collection = collection
        self.rows, self.given, self.order = {}, {}, []

    def upsert(self, ids, given, payloads):
        self.collection.upsert(ids, given, payloads=payloads)
        self.order += [name for name in ids if name not in self.rows]
        self.rows |= dict(zip(ids, as_stored(given), strict=True))
        self.given |= dict(zip(ids, payloads, strict=True))

    def update_vectors(self, ids, given):
        self.collection.update_vectors(ids, given)
        self.rows |= dict(zip(ids, as_stored(given), strict=True))

    def update_vector(self, name, given):
        self.collection.update_vector(name, given)
        self.rows[name] = as_stored(given)

    def delete(self, ids):
        self.collection.delete(ids)
        self.order = reference_delete(self.order, ids)

    def check(self, queries=None):
        collection, order = self.collection, self.order
        rows = np.array([self.rows[name] for name in order], np.float32).reshape(-1, DIM)
        shown, given = stored(collection, rows), [self.given[name] for name in order]
        snapshot = collection.snapshot()
        for reader in (collection, snapshot):
            assert (reader.ids(), len(reader)) == (order, len(order))
            got = [reader.get(name) for name in order[:4] + order[-2:]]
            assert b"".join(row.vector.tobytes() for row in got) == (
                shown[:4].tobytes() + shown[-2:].tobytes()
            )
            assert [row.payload for row in got] == given[:4] + given[-2:]
        assert snapshot.vectors().tobytes() == shown.tobytes()
        assert snapshot.payloads() == given
        assert collection.digest() == snapshot.digest()
        if queries is not None:
            wide = as_stored(queries)
            for k in (10, 100):
                batch = collection.search_many(queries, k)
                assert batch.counts.tolist() == [min(k, len(order))] * len(wide)
                for query, matches in zip(wide, batch, strict=True):
                    assert_answers(matches, collection, query, k, order, shown)
            assert list(collection.search(wide[0], k=100)) == list(batch[0])


@by_kind
@pytest.mark.parametrize(
    ("form", "metric"),
    [("float32", metric) for metric in METRICS]
    + [(form, "cosine") for form in FORMS if form != "float32"],
)
def test_every_write_and_read_agrees_with_a_plain_reading(kind, metric, form):
    make = FORMS[form]
    model = Model(KINDS[kind](dim=DIM, metric=metric))
    names, queries = [f"row {number}" for number in range(50)], make(drawn(9, 9))
    model.upsert(names, make(drawn(0, 50)), [{"n": number} for number in range(50)])
    model.check(queries)
    model.update_vectors(names[3:9], make(drawn(1, 6)))
    model.upsert([*names[40:], "new", "newer"], make(drawn(2, 12)), [None, {"x": [1]}] * 6)
    model.update_vector("row 1", one_of(make(drawn(3, 2))))
    model.check()
    model.delete(["row 0", "row 20", "row 49", "newer"])
    model.check(queries)


@by_kind
@by_metric
def test_empty_one_row_k_of_zero_and_k_beyond_the_count(kind, metric):
    collection, query = KINDS[kind](dim=DIM, metric=metric), np.ones(DIM, np.float32)
    for k in (0, 10):
        assert list(collection.search(query, k)) == []
        assert list(collection.search(query, k, where={})) == []
        assert collection.search_many([query] * 3, k).scores.tolist() == [[-np.inf] * k] * 3
    collection.insert([7], [query * 2])
    assert collection.search(query, 0).ids == ()
    assert collection.search_many([query] * 9, 3).ids.tolist() == [[7, None, None]] * 9
    collection.delete([7])
    assert (collection.search(query).ids, collection.ids()) == ((), [])


@by_kind
@by_metric
def test_equal_rows_come_by_slot_and_follow_their_rows_into_holes(kind, metric):
    collection, query = KINDS[kind](dim=DIM, metric=metric), np.arange(DIM, dtype=np.float32)
    collection.insert(range(40), np.tile(query, (40, 1)))
    assert collection.search(query, 30).ids == tuple(range(30))
    collection.delete([2, 5])
    order = reference_delete(list(range(40)), [2, 5])
    assert collection.search(query, 30).ids == tuple(order[:30])
    assert collection.search_many([query] * 9, 30).ids.tolist() == [order[:30]] * 9


@by_kind
def test_unused_and_deleted_slots_take_no_place_among_the_candidates(kind):
    """The query is nearer to them than to any row: zeros of new room, leftovers of deletes."""
    collection, query = KINDS[kind](dim=DIM, metric="euclidean"), np.zeros(DIM, np.float32)
    rows = np.concatenate([drawn(14, 20) + 50, drawn(15, 180)]).astype(np.float32)
    collection.insert(range(200), rows)
    collection.delete(range(20, 200))
    collection.reserve(1_000)
    shown = stored(collection, rows[:20])
    assert_answers(collection.search(query), collection, query, 10, list(range(20)), shown)


@by_kind
def test_a_zero_row_scores_zero_under_cosine_and_a_zero_query_scores_zero_with_all(kind):
    collection = KINDS[kind](dim=DIM)
    rows = drawn(4, 30).astype(np.float32)
    collection.insert(range(30), rows)
    found = collection.search(rows[3], k=30)
    assert found.scores[found.ids.index(10)] == 0.0
    zeros = collection.search(np.zeros(DIM), k=30)
    assert (zeros.ids, set(zeros.scores.tolist())) == (tuple(range(30)), {0.0})


@by_kind
def test_a_held_snapshot_answers_as_before_through_every_write(kind):
    collection = KINDS[kind](dim=4, metric="dot")
    rows = drawn(5, 40, 4).astype(np.float32)
    collection.insert([str(number) for number in range(40)], rows, payloads=[{"n": 1}] * 40)
    snapshot, before = collection.snapshot(), everything(collection)
    for number in range(48):
        name = str(number % 40)
        match number % 6:
            case 0:
                collection.update_vector(name, rows[number % 40] * -3)
            case 1:
                collection.delete([name], missing="ignore")
            case 2:
                collection.upsert([name], [rows[0] * number], payloads=[{"m": number}])
            case 3:
                names = [f"{number % 4} {row}" for row in range(90)]  # New ones, then known ones.
                collection.upsert(names, np.ones((90, 4)))
            case 4:
                collection.digest()
            case 5:
                collection.update_vectors(collection.ids(), np.ones((len(collection), 4)) * number)
    assert everything(snapshot) == before
    assert everything(collection)[1:] != before[1:]


REFUSED = [
    (InvalidVector, lambda c: c.upsert(["0", "1"], [[1, 2, 3, 4, 5], [np.nan] * 5])),
    (InvalidVector, lambda c: c.update_vectors(["0", "1"], [[1] * 5, [1.8e19] * 5])),
    (InvalidVector, lambda c: c.update_vector("0", [1, 2, 3])),
    (InvalidVector, lambda c: c.insert(["x"], [["a"] * 5])),
    (DuplicateId, lambda c: c.upsert(["x", "x"], [[1] * 5] * 2)),
    (InvalidPayload, lambda c: c.upsert(["0"], [[1] * 5], payloads=[{"a": {1}}])),
    (InvalidInput, lambda c: c.update("0")),
    (InvalidInput, lambda c: c.upsert([1], [[1] * 5])),
    (VectorExists, lambda c: c.insert(["x", "0"], [[1] * 5] * 2)),
    (VectorNotFound, lambda c: c.update_vector("x", [1] * 5)),
    (VectorNotFound, lambda c: c.update_vectors(["0", "x"], [[1] * 5] * 2)),
    (KeyError, lambda c: c.delete(["0", "x"])),
    (InvalidK, lambda c: c.search([1] * 5, k=-1)),
]


@by_kind
def test_a_refused_call_changes_nothing(kind):
    collection = KINDS[kind](dim=DIM, metric="dot")
    for error, call in REFUSED[:5]:
        with pytest.raises(error):
            call(collection)
    assert (collection.version, len(collection)) == (0, 0)
    collection.insert(["0", "1"], drawn(6, 2), payloads=[{"n": 1}, None])
    collection.update_vector("1", np.ones(DIM))
    before = everything(collection)
    for error, call in REFUSED:
        with pytest.raises(error):
            call(collection)
        assert everything(collection) == before


@by_kind
def test_one_part_changes_and_the_other_is_kept(kind):
    collection, payload = KINDS[kind](dim=DIM, metric="euclidean"), {"n": 1, "tags": ["a"]}
    rows = drawn(7, 20).astype(np.float32)
    collection.insert(range(20), rows, payloads=[payload] * 20)
    collection.update_vector(3, rows[0] + 50)
    rows[3] = rows[0] + 50
    shown = stored(collection, rows)
    assert (len(collection), collection.get(3).payload) == (20, payload)
    assert collection.get(3).vector.tobytes() == shown[3].tobytes()
    assert collection.search(shown[3], k=1).ids == (3,)
    assert next(iter(collection.search(shown[3], k=1)))[1] == 0.0
    collection.update(3, payload={"m": 2})
    assert collection.get(3).vector.tobytes() == shown[3].tobytes()
    assert collection.get(3).payload == {"m": 2}
    collection.update(3, payload=None)
    collection.update_vectors([4, 5], rows[:2])
    assert [collection.get(number).payload for number in (3, 4, 5)] == [None, payload, payload]
    digest = collection.digest()
    collection.upsert([6], rows[6:7])
    assert collection.get(6).payload is None
    assert collection.digest() != digest


@by_kind
def test_a_cached_answer_is_the_fresh_one_after_every_kind_of_write(kind):
    """Exact kinds are patched, coded ones are searched again; filtered answers too."""
    collection, cache = KINDS[kind](dim=DIM, metric="dot"), vk.QueryCache()
    rows, query = drawn(16, 50).astype(np.float32), np.ones(DIM, np.float32)
    collection.insert(range(40), rows[:40], payloads=[{"n": n} for n in range(40)])
    writes = [
        lambda: None,
        lambda: collection.update_vector(7, query * 9),
        lambda: collection.update_vectors([7, 8], rows[:2]),
        lambda: collection.update(9, payload={"n": 0}),
        lambda: collection.upsert(range(40, 50), rows[40:] + 1, payloads=[{"n": 30}] * 10),
        lambda: collection.delete(collection.search(query, k=2).ids),
    ]
    for write in writes:
        write()
        for options in ({"k": 3}, {"k": 3, "where": {"n": {"gte": 20}}}, {"k": 80}):
            for _ in range(2):
                found = cache.search(collection, query, **options)
                fresh = collection.search(query, **options)
                assert found.ids == fresh.ids
                assert found.scores.tobytes() == fresh.scores.tobytes()
    stats = cache.stats()
    assert stats.hits + stats.misses == 6 * 3 * 2
    assert (stats.patched > 0) == (kind in EXACT)


WHERES = {
    "selective": ({"n": {"lt": 3}}, lambda number: number < 3),
    "broad": ({"n": {"gte": 20}, "tag": {"in": [0, 2]}}, lambda n: n >= 20 and n % 3 != 1),
    "a function": (lambda columns: columns["n"] % 7 == 5, lambda number: number % 7 == 5),
    "nobody": ({"n": {"gt": 1_000}}, lambda number: False),
    "everybody": ({}, lambda number: True),
}


@by_kind
@by_metric
@pytest.mark.parametrize("path", ["gathered", "scanned"])
def test_the_best_come_from_among_the_matches(kind, metric, path, monkeypatch):
    if path == "scanned":
        monkeypatch.setattr(search, "GATHERED_NUMBERS_MAX", -1)
    collection, count = KINDS[kind](dim=DIM, metric=metric), 70
    rows = drawn(8, count).astype(np.float32)
    payloads = [{"n": number, "tag": number % 3} for number in range(count)]
    collection.insert(range(count), rows, payloads=payloads)
    collection.delete([1, 30])
    order, queries = collection.ids(), drawn(10, 9).astype(np.float32)
    shown = collection.snapshot().vectors()
    for where, passes in WHERES.values():
        wanted = [slot for slot, name in enumerate(order) if passes(name)]
        names = [order[slot] for slot in wanted]
        for k in (3, 80):
            for query, matches in zip(
                queries, collection.search_many(queries, k, where=where), strict=True
            ):
                assert_answers(matches, collection, query, k, names, shown[wanted])
            alone = collection.search(queries[0], k, where=where)
            assert_answers(alone, collection, queries[0], k, names, shown[wanted])


def in_pieces(collection, ids, rows, sizes):
    """The same rows written in batches of these sizes, with reads between."""
    start, reads = 0, [collection.digest, collection.snapshot, lambda: collection.search(rows[0])]
    for number in range(len(ids)):
        stop = start + sizes[number % len(sizes)]
        if start < len(ids):
            collection.upsert(ids[start:stop], rows[start:stop])
            reads[number % 3]()
        start = stop


@by_kind
@pytest.mark.parametrize("sizes", [(1,), (3, 70, 1)], ids=str)
def test_equal_operations_in_other_batches_give_an_equal_digest(kind, sizes):
    """A codec that learns must learn from the same rows: the first batch is one and the same."""
    ids, rows = list(range(140)), np.random.default_rng(11).normal(size=(140, DIM))
    rows[50:60] *= 1e-3
    rows = rows.astype(np.float32)
    first = 40 if kind.startswith(LEARNING) else 0
    whole, pieces = (KINDS[kind](dim=DIM, metric="dot") for _ in range(2))
    for collection in (whole, pieces):
        collection.upsert(ids[:first], rows[:first])
    whole.upsert(ids[first:], rows[first:])
    in_pieces(pieces, ids[first:], rows[first:], sizes)
    assert pieces.digest() == whole.digest()
    for collection, size in ((whole, 40), (pieces, 1)):
        for start in range(0, 40, size):
            collection.update_vectors(ids[start : start + size], -rows[start : start + size])
    assert pieces.digest() == whole.digest()
    assert pieces.ids() == whole.ids()
    assert pieces.snapshot().vectors().tobytes() == whole.snapshot().vectors().tobytes()


@pytest.mark.parametrize("kind", CODED)
def test_operations_planned_on_another_collection_give_an_equal_one(kind):
    """What a replica does: it plans the operations that its master has committed."""
    master, replica = (KINDS[kind](dim=DIM, metric="cosine") for _ in range(2))
    log = []

    def commit(collection, operation):
        log.append(operation)
        return collection._plan(operation).make()

    master._bind(commit, master._guard)
    rows = drawn(12, 120).astype(np.float32)
    master.insert(range(60), rows[:60], payloads=[{"n": number} for number in range(60)])
    master.search(rows[0])
    if kind.startswith(LEARNING):
        master.retrain()
    master.update_vector(3, rows[61])
    master.upsert(range(50, 110), rows[60:])
    master.delete([0, 5, 109])
    master.update(7, payload=None)
    if kind.startswith(LEARNING):
        master.retrain()
        master.update_vectors([8, 9], rows[:2])
    for operation in log:
        replica._plan(operation).make()
    assert replica.digest() == master.digest()
    assert everything(replica) == everything(master)


@pytest.mark.parametrize("kind", DECODED)
def test_decoded_rows_written_back_keep_the_digest(kind):
    collection, rows = KINDS[kind](dim=DIM), drawn(13, 400).astype(np.float32)
    collection.insert(range(400), rows)
    digest, decoded = collection.digest(), collection.snapshot().vectors()
    assert decoded.tobytes() != rows.tobytes()
    collection.update_vectors(range(400), decoded)
    assert collection.digest() == digest
    for number in range(60):
        collection.update_vector(number, collection.get(number).vector)
    assert collection.digest() == digest


@by_kind
def test_the_digest_knows_the_kind_and_its_options_and_not_the_name(kind):
    digests = [KINDS[each](dim=DIM, metric="dot", name=each).digest() for each in KINDS]
    named = KINDS[kind](dim=DIM, metric="dot", name="other")
    by_kind = dict(zip(KINDS, digests, strict=True))
    assert by_kind.pop("cpu in chunks") == by_kind["cpu"]  # How rows lie is no part of a digest.
    assert len(set(by_kind.values())) == len(by_kind)
    assert named.digest() == digests[list(KINDS).index(kind)]
