"""Readers in threads see whole states, and every write that has returned."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.collections.kinds import KINDS
from tests.collections.reference import METRICS, everything, filled, reference_score
from vectorkit.collections import CpuCollection, search
from vectorkit.collections.backends import compiled, exact
from vectorkit.collections.storage.storage import Storage

A = np.array([1, 2, 3, 4], np.float32)
B = np.array([-40, 30, -20, 10], np.float32)
QUERY = np.array([1, 1, 2, -1], np.float32)


def read_while_writing(write, read, readers=3):
    """What `read` gives in several threads while `write` runs again and again in one more."""
    done = threading.Event()

    def keep_writing():
        rounds = 0
        while not done.is_set():
            write(rounds)
            rounds += 1
        return rounds

    with ThreadPoolExecutor(readers + 1) as pool:
        writer = pool.submit(keep_writing)
        try:
            seen = [future.result() for future in [pool.submit(read) for _ in range(readers)]]
        finally:
            done.set()
        assert writer.result() > 0
    return seen


@pytest.mark.parametrize("metric", METRICS)
def test_every_score_read_while_a_row_flips_is_the_one_before_or_after(metric):
    collection = CpuCollection(dim=4, metric=metric)
    collection.insert(["x"], [A])
    allowed = {float(reference_score(row, QUERY, metric)) for row in (A, B)}

    def read():
        batches = [collection.search_many([QUERY] * 8, k=1).scores for _ in range(300)]
        assert all(len(set(scores[:, 0].tolist())) == 1 for scores in batches)
        return {score for scores in batches for score in scores[:, 0].tolist()}

    seen = read_while_writing(
        lambda number: collection.update_vector("x", (A, B)[number % 2]), read
    )
    assert set.union(*seen) <= allowed


def test_every_row_got_while_it_flips_is_whole():
    collection = filled(CpuCollection, count=10)
    collection.upsert(["5"], [A], payloads=[{"is": "A"}])
    whole = {(A.tobytes(), "A"), (B.tobytes(), "B")}

    def read():
        rows = [collection.get("5") for _ in range(500)]
        return {(row.vector.tobytes(), row.payload["is"]) for row in rows}

    def write(number):
        row, name = ((A, "A"), (B, "B"))[number % 2]
        collection.update("5", vector=row, payload={"is": name})

    assert set.union(*read_while_writing(write, read)) <= whole


def test_a_batch_of_100_rows_is_seen_whole_or_not_at_all():
    collection = CpuCollection(dim=4, metric="dot")
    names = [str(number) for number in range(100)]
    collection.insert(names, [A] * 100)
    scores = {float(reference_score(row, QUERY, "dot")) for row in (A, B)}

    def read():
        answers = [collection.search(QUERY, k=100).scores.tolist() for _ in range(150)]
        assert all(len(answer) == 100 and len(set(answer)) == 1 for answer in answers)
        return {answer[0] for answer in answers}

    seen = read_while_writing(
        lambda number: collection.update_vectors(names, [(A, B)[number % 2]] * 100), read
    )
    assert set.union(*seen) <= scores


def test_deletes_and_inserts_under_readers_never_mislabel_a_row():
    """Every row scores its own number, so that a slot translated wrongly shows."""
    collection = CpuCollection(dim=1, metric="dot")
    rows = np.arange(64, dtype=np.float32)[:, None]
    collection.insert(range(64), rows)

    def read():
        pairs = set()
        for _ in range(300):
            pairs.update(collection.search([1.0], k=20))
            pairs.update(collection.snapshot().search([-1.0], k=3))
        return pairs

    def write(number):
        gone = [(number * 7 + step) % 64 for step in range(9)]
        collection.delete(gone)
        collection.insert(gone[::-1], rows[gone[::-1]])

    pairs = set.union(*read_while_writing(write, read))
    assert [pair for pair in pairs if pair[0] != abs(pair[1])] == []


def churn(collection):
    collection.delete(["0", "3", "7"])
    collection.update("1", vector=B, payload={"new": True})
    collection.upsert(["2", "n1", "n2", "n3", "n4"], [A * number for number in range(5)])
    collection.delete(["39", "n1"])


def test_slots_of_a_dispatched_search_are_translated_with_their_own_tables():
    collection = filled(CpuCollection)
    expected = collection.search(QUERY, k=40).ids
    payloads = collection.snapshot().payloads()

    def dispatch(view):
        scale, count = np.ones(1, np.float32), np.int32(view.count)
        return compiled.search(
            view.state, QUERY[None, :], scale, count, None, metric="dot", width=40
        )

    view, (_, slots, rows) = collection._read(dispatch)
    churn(collection)
    collection.search(QUERY)
    found = [view.ids[slot] for slot in np.asarray(slots)[0]]
    assert tuple(found) == expected
    assert view.payloads == payloads
    assert rows.shape == (1, 40, 4)


@pytest.mark.parametrize("metric", METRICS)
def test_a_search_answers_from_the_state_it_ran_on_when_writes_come_between(metric, monkeypatch):
    collection = filled(CpuCollection, metric=metric)
    expected, real = list(collection.search(QUERY, k=40)), search.canonical_scores

    def score_after_churn(*arrays):
        monkeypatch.setattr(search, "canonical_scores", real)
        churn(collection)
        return real(*arrays)

    monkeypatch.setattr(search, "canonical_scores", score_after_churn)
    assert list(collection.search(QUERY, k=40)) == expected
    assert list(collection.search(QUERY, k=40)) != expected


def test_a_batch_whose_proof_comes_too_late_is_answered_whole_from_the_later_state(
    monkeypatch,
):
    collection = CpuCollection(dim=4, metric="dot")
    collection.insert(range(300), [A] * 300)
    collection.upsert(range(10), [B * (100 + number) for number in range(10)])
    real = exact.best_possible_outside

    def prove_after_deletes(*arrays):
        monkeypatch.setattr(exact, "best_possible_outside", real)
        collection.delete([number for number in range(300) if number not in (7, 9, 11)])
        return real(*arrays)

    monkeypatch.setattr(exact, "best_possible_outside", prove_after_deletes)
    late = collection.search_many([A, B], k=5)
    after = collection.search_many([A, B], k=5)
    assert late.ids.tolist() == after.ids.tolist()
    assert late.scores.tolist() == after.scores.tolist()
    assert late.counts.tolist() == [3, 3]
    assert late.ids[0, 3:].tolist() == [None, None]
    assert late.scores[0, 3:].tolist() == [-np.inf, -np.inf]


def test_a_write_is_seen_by_the_next_read_of_the_same_thread():
    collection = filled(CpuCollection)
    for number in range(1, 50):
        row = A * number
        collection.update_vector("3", row)
        assert collection.get("3").vector.tolist() == row.tolist()
        collection.update_vector("4", row)
        assert ("4", float(reference_score(row, A, "dot"))) in list(collection.search(A, k=40))
        collection.update_vector("5", row)
        assert collection.snapshot().get("5").vector.tolist() == row.tolist()
        collection.update_vector("6", row)
        assert collection.digest() == collection.snapshot().digest()


def test_a_write_is_seen_by_the_next_read_of_every_other_thread():
    collection = CpuCollection(dim=4, metric="dot")
    collection.insert(["x"], [A])
    asks = [
        lambda: collection.get("x").vector[0],
        lambda: collection.search([1, 0, 0, 0], k=1).scores[0],
        lambda: collection.snapshot().vectors()[0, 0],
    ]
    with ThreadPoolExecutor(3) as pool:
        for number in range(100):
            collection.update_vector("x", [number, 0, 0, 0])
            seen = [pool.submit(ask).result() for ask in asks]
            assert seen == [number] * 3


def test_a_thread_sees_its_own_writes_while_others_read_and_write():
    collection = filled(CpuCollection)

    def write(thread):
        for number in range(400):
            collection.update_vector(str(thread), A * number)
            assert collection.get(str(thread)).vector.tolist() == (A * number).tolist()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    assert collection.version == 1 + 4 * 400


CALLS = {
    "update_vector": lambda c: c.update_vector("1", B),
    "update_vectors": lambda c: c.update_vectors(["1"], [B]),
    "update": lambda c: c.update("1", payload=None),
    "insert": lambda c: c.insert(["new"], [B]),
    "upsert": lambda c: c.upsert(["1", "new"], [B, B]),
    "delete": lambda c: c.delete(["1"]),
    "get": lambda c: c.get("1"),
    "ids": lambda c: c.ids(),
    "search": lambda c: c.search(QUERY),
    "snapshot": lambda c: c.snapshot(),
    "digest": lambda c: c.digest(),
}


@pytest.mark.parametrize("call", CALLS)
def test_every_call_holds_the_lock_while_it_touches_the_storage(call, monkeypatch):
    collection, held = filled(CpuCollection), []

    def spy_on(name):
        method = getattr(Storage, name)

        def spy(self, *arguments, **counts):
            held.append(collection._guard.is_owned)
            return method(self, *arguments, **counts)

        monkeypatch.setattr(Storage, name, spy)

    for name in ("put", "_plan_one", "peek", "view", "hold", "find", "flush", "digest", "_commit"):
        spy_on(name)
    CALLS[call](collection)
    assert held
    assert all(held)


def test_writes_of_several_threads_all_count():
    collection = filled(CpuCollection)

    def write(thread):
        for number in range(200):
            collection.update_vector(str(thread), A * number)
            collection.upsert([f"{thread}-{number % 5}"], [B])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    assert (collection.version, len(collection)) == (1 + 4 * 400, 40 + 4 * 5)
    assert [collection.get(str(thread)).vector.tolist() for thread in range(4)] == [
        (A * 199).tolist()
    ] * 4
    assert collection.digest() == collection.snapshot().digest()


def test_snapshots_and_digests_taken_during_writes_belong_to_one_version():
    collection = filled(CpuCollection)
    digests, lock = {1: collection.digest()}, threading.Lock()

    def write(number):
        with lock:
            name = str(number % 40)
            match number % 3:
                case 0:
                    collection.update_vector(name, A * (number % 17))
                case 1:
                    collection.delete([name], missing="ignore")
                case 2:
                    collection.upsert([name], [B], payloads=[{"n": number % 5}])
            digests[collection.version] = collection.digest()

    def read():
        seen = []
        for _ in range(60):
            snapshot = collection.snapshot()
            seen.append((snapshot.version, snapshot.digest(), everything(snapshot)[1]))
            collection.digest()
        return seen

    taken = [each for seen in read_while_writing(write, read) for each in seen]
    assert {(version, first, again) for version, first, again in taken} == {
        (version, digests[version], digests[version]) for version, _, _ in taken
    }


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "cpu"])
def test_every_kind_shows_a_flipping_row_whole(kind):
    collection = KINDS[kind](dim=4, metric="dot")
    collection.insert(["x", "y"], [A, B])
    allowed = {float(reference_score(collection.get(name).vector, QUERY, "dot")) for name in "xy"}
    whole = {collection.get(name).vector.tobytes() for name in "xy"}
    collection.delete(["y"])

    def read():
        seen, rows = set(), set()
        for _ in range(20):
            batch = collection.search_many([QUERY] * 8, k=1).scores[:, 0].tolist()
            assert len(set(batch)) == 1
            seen |= {batch[0], float(collection.search(QUERY).scores[0])}
            rows.add(collection.get("x").vector.tobytes())
        return seen, rows

    seen = read_while_writing(
        lambda number: collection.update_vector("x", (A, B)[number % 2]), read, readers=2
    )
    assert set.union(*[scores for scores, _ in seen]) <= allowed
    assert set.union(*[rows for _, rows in seen]) <= whole
