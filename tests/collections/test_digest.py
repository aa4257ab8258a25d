"""The digest: over content and configuration, every bit of it, and over nothing else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.collections.reference import METRICS, filled
from vectorkit.collections import CpuCollection
from vectorkit.collections.storage import digest
from vectorkit.collections.storage.digest import combine, row_hash, total_of
from vectorkit.operations import CollectionConfig

ROW = np.array([1, 2, 3], np.float32)


def digest_of(names, rows, payloads=None, dim=3, metric="dot"):
    collection = CpuCollection(dim=dim, metric=metric)
    collection.insert(names, rows, payloads=payloads)
    return collection.digest()


@given(st.permutations(range(12)))
def test_the_digest_does_not_depend_on_the_order_of_slots(order):
    rows, payloads = np.multiply.outer(np.arange(12), ROW), [{"n": number} for number in range(12)]
    shuffled = [rows[number] for number in order], [payloads[number] for number in order]
    assert digest_of(order, *shuffled) == digest_of(range(12), rows, payloads)


@given(st.integers(0, 2), st.integers(0, 31))
def test_every_bit_of_a_vector_counts(place, bit):
    row = np.zeros(3, np.float32)
    changed = row.copy()
    changed.view(np.uint32)[place] ^= np.uint32(1 << bit)
    assert digest_of(["a"], [changed]) != digest_of(["a"], [row])


def test_negative_zero_is_another_bit_than_zero():
    assert digest_of(["a"], [[0.0, 1, 2]]) != digest_of(["a"], [[-0.0, 1, 2]])


def test_ids_of_two_kinds_and_ids_that_run_into_each_other_differ():
    digests = [digest_of([name], [ROW]) for name in ("1", 1, "a", "A", "", "1 ", -1)]
    assert len(set(digests)) == len(digests)


PAYLOADS = [
    None,
    {},
    {"a": 1},
    {"a": 1.0},
    {"a": "1"},
    {"a": [None]},
    {"a": True},
    {"b": 1},
    {"a": [1]},
]


def test_every_difference_of_payloads_counts():
    digests = [digest_of(["a"], [ROW], [payload]) for payload in PAYLOADS]
    assert len(set(digests)) == len(PAYLOADS)


def test_the_order_of_payload_keys_does_not_count():
    one, other = {"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"d": 3, "c": 2}, "a": 1}
    assert digest_of(["a"], [ROW], [one]) == digest_of(["a"], [ROW], [other])


def test_a_payload_cannot_pass_for_a_part_of_the_id():
    assert row_hash('a{"b":1}', b"", None) != row_hash("a", b"", {"b": 1})


def test_the_configuration_counts_also_of_an_empty_collection():
    digests = {
        CpuCollection(dim=dim, metric=metric).digest() for dim in (3, 4) for metric in METRICS
    }
    assert len(digests) == 6
    configs = [CollectionConfig(3, "dot", kind) for kind in ("cpu", "gpu")]
    assert combine(configs[0], b"", 0, 0) != combine(configs[1], b"", 0, 0)
    assert combine(configs[0], b"", 0, 0) != combine(configs[0], b"learned", 0, 0)


def test_the_name_and_the_version_do_not_count():
    one, other = CpuCollection(dim=3, name="one"), CpuCollection(dim=3, name="other")
    one.insert(["a"], [ROW])
    other.insert(["a"], [ROW * 2])
    other.update_vector("a", ROW)
    assert one.digest() == other.digest()


def test_swapped_vectors_count():
    assert digest_of(["a", "b"], [ROW, -ROW]) != digest_of(["a", "b"], [-ROW, ROW])


def test_as_many_rows_as_there_are_count():
    assert digest_of([], np.empty((0, 3))) != digest_of(["a"], [ROW])


def test_a_digest_is_the_same_on_every_machine_and_in_every_release():
    assert (
        digest_of(["a", "ж"], [ROW, -ROW], [{"n": 1}, None]) == "e14180ccdd75861ce6a4351e72c5c290"
    )


@given(st.lists(st.tuples(*[st.integers(0, 2**64 - 1)] * 2), max_size=40))
def test_the_sum_of_hashes_is_exact(pairs):
    hashes = np.array(pairs, np.uint64).reshape(-1, 2)
    assert total_of(hashes) == sum((high << 64) + low for high, low in pairs)


def test_a_digest_is_32_hexadecimal_digits():
    assert len(bytes.fromhex(CpuCollection(dim=1).digest())) == 16


actions = st.lists(
    st.tuples(
        st.sampled_from(["vector", "payload", "upsert", "delete", "digest", "snapshot", "many"]),
        st.integers(0, 14),
    ),
    max_size=25,
)


@given(actions)
def test_the_running_digest_equals_a_recomputation(steps):
    collection = filled(CpuCollection, count=10)
    for number, (action, name) in enumerate(steps):
        is_there = str(name) in collection
        match action:
            case "vector" if is_there:
                collection.update_vector(str(name), [number] * 4)
            case "payload" if is_there:
                collection.update(str(name), payload={"n": number})
            case "upsert":
                collection.upsert([str(name)], [[number, 0, 0, 1]])
            case "delete":
                collection.delete([str(name), str(name + 1)], missing="ignore")
            case "digest":
                collection.digest()
            case "snapshot":
                collection.snapshot()
            case "many":
                collection.update_vectors(collection.ids(), [[number] * 4] * len(collection))
    assert collection.digest() == collection.snapshot().digest()


@pytest.mark.parametrize("count", [1, 9, 40])
def test_a_digest_asked_twice_hashes_nothing_again(count, monkeypatch):
    collection, hashed, real = filled(CpuCollection, count=count), [], digest.row_hashes

    def spy(ids, rows, payloads):
        hashed.extend(ids)
        return real(ids, rows, payloads)

    monkeypatch.setattr(digest, "row_hashes", spy)
    collection.digest()
    assert len(hashed) == count
    collection.digest()
    collection.update_vector("0", [1, 1, 1, 1])
    collection.digest()
    assert hashed[count:] == ["0"]


def test_a_digest_of_more_rows_than_a_block_equals_the_recomputation(monkeypatch):
    monkeypatch.setattr(digest, "_FOLDED_AT_ONCE", 16)
    collection = filled(CpuCollection, count=50)
    assert collection.digest() == collection.snapshot().digest()
