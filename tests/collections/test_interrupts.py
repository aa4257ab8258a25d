"""An exception at any bytecode: every call has happened or has not, and everything goes on."""

from functools import partial

import numpy as np
import pytest

from tests.collections.kinds import KINDS
from tests.interrupts import PACKAGE, Interrupt, interrupted_at, points_of

NAMES = ["a", "b", "c", "d", "e"]
ROWS = np.array([[1, 0], [0, 2], [3, 1], [-1, 4], [2, 2]], np.float32)
NEW = np.array([[9, 8], [-7, 6], [5, -4], [3, 2]], np.float32)
MANY = np.multiply.outer(np.arange(1, 201, dtype=np.float32), [1, -2]).astype(np.float32)
MANY_NAMES = [f"n{number}" for number in range(200)]


def made(kind="cpu", count=5):
    """Rows on the device, one of them newer in the buffer, and a column that a filter has read."""
    collection = KINDS[kind](dim=2, metric="dot")
    payloads = [{"n": number % 2} for number in range(count)]
    collection.upsert(NAMES[:count], ROWS[:count], payloads)
    collection.search([1, 1], where={"n": 1})
    collection.update_vector("b", [5, 5])
    return collection


def facts(collection):
    """All that a collection holds; the running digest fits it."""
    snapshot, digest = collection.snapshot(), collection.digest()
    assert snapshot.digest() == digest
    return snapshot.ids(), snapshot.vectors().tobytes(), snapshot.payloads(), digest


def look_around(collection):
    """Ids, filters and searches say the same as the rows."""
    ids, _, payloads, _ = facts(collection)
    assert len(collection) == len(ids) == len(set(ids))
    assert all(name in collection for name in ids)
    assert sorted(collection.search([1, 2], k=300).ids) == sorted(ids)
    wanted = [name for name, each in zip(ids, payloads, strict=True) if (each or {}).get("n") == 1]
    assert sorted(collection.search([1, 2], k=300, where={"n": 1}).ids) == sorted(wanted)


def check(make, call, files=(PACKAGE,), error=Interrupt, is_held=False, stride=1):
    """Interrupt a call at its bytecodes, each time in another collection, and look around.

    `is_held`: a snapshot from before the call is there meanwhile. The versions that were seen.
    """
    old, new = make(), make()
    old_version = old.version
    call(new)
    states = {old_version: facts(old), new.version: facts(new)}
    seen = set()
    for turn, point in enumerate(points_of(partial(call, make()), files)[::stride]):
        collection = make()
        snapshot = collection.snapshot() if is_held else None
        if not interrupted_at(point, partial(call, collection), files, error):
            continue
        version = collection.version
        seen.add(version)
        assert facts(collection) == states[version], point
        assert not collection._guard.is_owned
        if snapshot is not None:
            assert (snapshot.ids(), snapshot.vectors().tobytes()) == states[old_version][:2]
        if turn % 4 == 0:
            look_around(collection)
            call(collection) if version == old_version else None
            collection.upsert(["later"], [[4, 4]])
            look_around(collection)
            assert len(collection) == len(states[new.version][0]) + 1
    return seen


WRITES = {
    "update_vector": lambda c: c.update_vector("a", NEW[0]),
    "update_vectors": lambda c: c.update_vectors(["a", "d"], NEW[:2]),
    "update of the payload": lambda c: c.update("a", payload={"n": 1}),
    "update of both": lambda c: c.update("a", vector=NEW[0], payload={"n": 1}),
    "upsert of new rows": lambda c: c.upsert(["x", "y"], NEW[:2], [{"n": 1}, None]),
    "upsert of old rows": lambda c: c.upsert(["b", "e"], NEW[:2]),
    "upsert of both": lambda c: c.upsert(["x", "b", "y"], NEW[:3], [{"n": 1}, {"n": 0}, None]),
    "insert": lambda c: c.insert(["x"], NEW[:1]),
    "delete with moves": lambda c: c.delete(["a", "b"]),
    "delete at the end": lambda c: c.delete(["e", "x"], missing="ignore"),
    "growth": lambda c: c.insert(MANY_NAMES[:20], MANY[:20]),
}


@pytest.mark.parametrize("write", WRITES)
def test_a_write_that_is_interrupted_anywhere_has_happened_or_not(write):
    assert check(made, WRITES[write]) == {2, 3}
