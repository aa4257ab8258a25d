"""An exception at any bytecode: every call has happened or has not, and everything goes on."""

import sys
from functools import partial

import numpy as np
import pytest

from tests.collections.kinds import KINDS
from tests.interrupts import (
    PACKAGE,
    AlarmRang,
    Interrupt,
    files_of,
    interrupted_at,
    points_of,
)
from vectorkit.collections import codecs, load, quantized, readable, sharded
from vectorkit.collections import collection as facade
from vectorkit.collections import files as file_format
from vectorkit.collections.backends import base, buffer, compiled, exact
from vectorkit.collections.backends import quantized as quantized_backend
from vectorkit.collections.execution import guard
from vectorkit.collections.filters import columns
from vectorkit.collections.storage import change_log, digest, pins, redo, storage, tables

CORE = files_of(
    *(base, buffer, change_log, facade, columns, compiled, digest, exact),
    *(guard, pins, readable, redo, storage, tables),
)
"""Where anything is changed; elsewhere arguments are checked and answers made."""
OWN = files_of(base, codecs, exact, quantized, quantized_backend, sharded, storage)
"""Where kinds differ."""
FILES = files_of(file_format)

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


def check(make, call, files=PACKAGE, error=Interrupt, is_held=False, stride=1):
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
THOROUGH = [
    "update_vector",
    "update_vectors",
    "update of both",
    "upsert of both",
    "delete with moves",
]


@pytest.mark.parametrize("write", THOROUGH)
def test_a_write_that_is_interrupted_at_any_bytecode_has_happened_or_not(write):
    assert check(made, WRITES[write]) == {2, 3}


@pytest.mark.parametrize("write", [write for write in WRITES if write not in THOROUGH])
def test_every_other_write_interrupted_while_it_changes_anything_has_happened_or_not(write):
    assert check(made, WRITES[write], CORE, stride=2) == {2, 3}


@pytest.mark.parametrize("write", ["upsert of both", "delete with moves", "growth"])
def test_an_interrupted_write_leaves_a_snapshot_as_it_was(write):
    assert check(made, WRITES[write], CORE, is_held=True, stride=3) == {2, 3}


@pytest.mark.parametrize("write", ["update_vectors", "upsert of both", "delete with moves"])
def test_an_alarm_that_raises_an_ordinary_error_is_no_other_case(write):
    assert check(made, WRITES[write], CORE, error=AlarmRang, stride=3) == {2, 3}


READS = {
    "search": lambda c: c.search([1, 2], k=2),
    "search with a filter": lambda c: c.search([1, 2], where={"n": 1}),
    "digest": lambda c: c.digest(),
    "snapshot": lambda c: c.snapshot(),
    "get": lambda c: (c.get("b"), c.get("a")),
    "memory": lambda c: c.memory(),
    "reserve": lambda c: c.reserve(20),
}


@pytest.mark.parametrize("read", READS)
def test_a_read_that_is_interrupted_changes_nothing(read):
    assert check(made, READS[read], CORE, stride=2) == {2}


def in_pieces(count):
    """A write of many rows, whose memory the caller uses again as soon as the call has ended."""

    def call(collection):
        rows = MANY[:count].copy()
        try:
            collection.update_vectors(MANY_NAMES[:count], rows)
        finally:
            rows[:] = 0

    return call


@pytest.mark.parametrize("count", [40, 70], ids=["in place", "aside"])
@pytest.mark.parametrize("is_held", [False, True])
def test_a_batch_of_several_pieces_is_whole_and_never_read_again(count, is_held, monkeypatch):
    monkeypatch.setattr(storage, "PIECE_ROWS", 16)
    monkeypatch.setattr(facade, "PIECE_ROWS", 16)
    monkeypatch.setattr(storage, "BUFFERED_BATCH_MAX", 4)

    def make():
        collection = made()
        collection.insert(MANY_NAMES[:90], -MANY[:90])
        return collection

    assert check(make, in_pieces(count), CORE, is_held=is_held, stride=5) == {3, 4}


def few_writes(collection):
    collection.upsert(["x", "b"], NEW[:2], [{"n": 1}, None])
    collection.delete(["a"])


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "cpu"])
def test_every_kind_is_whole_wherever_its_own_code_is_interrupted(kind):
    """Two writes and the flush between them; after an interrupt one of them may have happened."""
    make = partial(made, kind)
    reference = make()
    states = {2: facts(reference)}
    reference.upsert(["x", "b"], NEW[:2], [{"n": 1}, None])
    states[3] = facts(reference)
    reference.delete(["a"])
    states[4] = facts(reference)
    few_writes(make())
    seen = set()
    for point in points_of(partial(few_writes, make()), OWN)[::3]:
        collection = make()
        assert interrupted_at(point, partial(few_writes, collection), OWN), point
        seen.add(collection.version)
        assert facts(collection) == states[collection.version], point
    assert seen == {2, 3, 4}


@pytest.mark.parametrize("place", ["device", "host", "none"])
def test_a_first_write_and_a_retraining_that_are_interrupted_have_happened_or_not(place):
    kind = f"pq, rows {place}"

    def train(collection):
        collection.upsert(NAMES, ROWS)

    assert check(partial(KINDS[kind], dim=2, metric="dot"), train, OWN, stride=7) == {0, 1}
    assert check(partial(made, kind), lambda c: c.retrain(), OWN, stride=7) == {2, 3}


@pytest.mark.parametrize("kind", KINDS)
def test_the_swap_of_donated_arrays_runs_no_python(kind, monkeypatch):
    """Else an exception could arrive in JAX's own code, between the donation and the store."""
    called, profiled = [], []

    def note(frame, event, _):
        if event == "call":
            called.append(frame.f_code.co_qualname)

    def swap(program, calls):
        for arguments in calls:
            sys.setprofile(note)
            try:
                changed = program(*arguments)
            finally:
                sys.setprofile(None)
            profiled.append(program)
            yield changed

    collection = made(kind)
    monkeypatch.setattr(storage, "starmap", swap)
    few_writes(collection)
    collection.update_vectors(["b", "c"], NEW[:2])
    collection.search([1, 2])
    assert profiled
    assert called == []


def test_a_device_that_refuses_a_write_in_place_leaves_no_write_behind(monkeypatch):
    collection = made()
    before = facts(collection)

    def refuse(*_):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(compiled, "move_in_place", refuse)
        with pytest.raises(MemoryError):
            collection.delete(["a"])
        assert (collection.version, facts(collection)) == (2, before)
    collection.delete(["a"])
    assert (collection.version, len(collection)) == (3, 4)


def test_a_growth_that_is_interrupted_and_finished_later_is_noted_once():
    grow = WRITES["growth"]
    for point in points_of(partial(grow, made()), files_of(storage))[::3]:
        collection = made()
        interrupted_at(point, partial(grow, collection), files_of(storage))
        grown = [(growth.before, growth.after) for growth in collection._storage.growths]
        assert collection.digest() == collection.snapshot().digest()
        noted = [(growth.before, growth.after) for growth in collection._storage.growths]
        assert noted == [(8, 32)] * (collection.version == 3)
        assert grown in ([], noted)


def test_a_device_that_refuses_the_second_block_of_a_write_leaves_the_rest_to_the_next_call(
    monkeypatch,
):
    """The first block has moved: the write has happened, and is finished once the device works."""
    collection = made("int8, rows host")
    expected = made("int8, rows host")
    expected.delete(["a"])
    move, calls = compiled.move_in_place, []

    def refuse_later(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise MemoryError
        return move(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(compiled, "move_in_place", refuse_later)
        with pytest.raises(MemoryError):
            collection.delete(["a"])
    assert collection.version == 3
    assert facts(collection) == facts(expected)


# An open file that an exception takes from its `with` is closed by Python, which warns of it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupted_save_leaves_the_old_file_or_the_new_one(tmp_path):
    path = tmp_path / "rows.vk"
    before, after = made(), made()
    after.upsert(["x"], NEW[:1])
    digests = {each.digest() for each in (before, after)}
    seen = set()
    for point in points_of(partial(after.save, path), FILES)[::2]:
        before.save(path)
        interrupted_at(point, partial(after.save, path), FILES)
        seen.add(load(path).digest())
        assert [each.name for each in tmp_path.iterdir() if each.suffix != ".tmp"] == ["rows.vk"]
    assert seen == digests
    after.save(path)
    assert [each.name for each in tmp_path.iterdir()] == ["rows.vk"]
