"""What is saved comes back equal, what is damaged is refused, a failed save harms nothing."""

import json
import os
import resource
from pathlib import Path
from tempfile import TemporaryDirectory

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

import vectorkit as vk
from tests.collections.reference import METRICS, everything, filled, hard_rows
from vectorkit.collections import files
from vectorkit.collections.factory import make_collection
from vectorkit.errors import (
    CorruptSnapshot,
    DeviceNotFound,
    InvalidInput,
    InvalidOption,
    SaveFailed,
)
from vectorkit.operations import CollectionConfig

DEVICE = jax.local_devices()[0]
KINDS = {
    "cpu": (vk.CpuCollection, None),
    "gpu": (lambda **options: vk.GpuCollection(device=DEVICE, **options), DEVICE),
}
ROW = np.array([9, 8, 7, 6], np.float32)

texts = st.text(st.characters(codec=None, exclude_categories=()), max_size=4)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63) + 1, 2**63 - 1) | texts
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)  # fmt: skip
payloads = st.none() | st.dictionaries(texts, values, max_size=3)
id_lists = st.lists(texts, unique=True, max_size=9) | st.lists(
    st.integers(-(2**63) + 1, 2**63 - 1), unique=True, max_size=9
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "words.vk"


def small():
    collection = vk.CpuCollection(dim=2, metric="dot", name="words")
    collection.insert(["a", "ж"], [[1, 2], [3, 4]], payloads=[{"n": 1}, None])
    return collection


def saved(collection, path):
    collection.save(path)
    return path.read_bytes()


# Round trips


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_loaded_collection_is_the_saved_one(kind, metric, path):
    make, device = KINDS[kind]
    collection = filled(make, count=40, metric=metric)
    collection.delete(["3", "17"])
    collection.update_vector("5", ROW)
    collection.name = "words"
    collection.save(path)
    loaded = vk.load(path, device=device)
    assert type(loaded) is type(collection)
    assert everything(loaded, ROW) == everything(collection, ROW)
    assert loaded.ids() == collection.ids()
    assert (loaded.config, loaded.name, len(loaded)) == (collection.config, "words", 38)
    queries = hard_rows("common", 1, 8, 4)
    assert loaded.search_many(queries).ids.tolist() == collection.search_many(queries).ids.tolist()


@given(id_lists, st.data())
def test_any_ids_payloads_and_bits_come_back(ids, data):
    rows = hard_rows("every magnitude", len(ids), len(ids), 3)
    extra = data.draw(st.lists(payloads, min_size=len(ids), max_size=len(ids)))
    contents = files.Contents("", CollectionConfig(3, "dot", "cpu"), 7, ids, extra, {"rows": rows})
    with TemporaryDirectory() as folder:
        files.write(f"{folder}/any.vk", contents)
        read = files.read(f"{folder}/any.vk")
    assert (read.ids, read.version, read.config) == (ids, 7, contents.config)
    assert list(map(type, read.ids)) == list(map(type, ids))
    assert repr(read.payloads) == repr(extra)
    assert read.arrays["rows"].tobytes() == rows.tobytes()


def test_lone_surrogates_come_back_and_two_of_them_stay_two(path):
    c = vk.CpuCollection(dim=1)
    names = ["\ud83d", "\ude00", "\ud83d\ude00", "\U0001f600", ""]
    c.insert(names, [[1]] * 5, [{name: name} for name in names])
    c.save(path)
    loaded = vk.load(path)
    assert loaded.ids() == names
    assert loaded.snapshot().payloads() == c.snapshot().payloads()
    assert loaded.digest() == c.digest()


@pytest.mark.parametrize("count", [0, 1, 8, 9, 64, 1000])
def test_a_loaded_collection_takes_every_write_as_the_saved_one_does(count, path):
    collection = filled(vk.CpuCollection, count=count)
    collection.save(path)
    loaded = vk.load(path)
    for each in (collection, loaded):
        each.upsert(["0", "new"], [ROW, ROW * 2], payloads=[None, {"m": 1}])
        each.update_vector("new", ROW * 3)
        each.delete([each.ids()[0]])
        each.upsert([f"x{number}" for number in range(70)], np.outer(np.arange(70), ROW))
    assert everything(loaded) == everything(collection)
    assert loaded.digest() == loaded.snapshot().digest()


@pytest.mark.parametrize(("count", "capacity"), [(0, 8), (8, 8), (9, 16), (100, 128)])
def test_a_loaded_collection_has_a_capacity_that_programs_are_compiled_for(count, capacity, path):
    filled(vk.CpuCollection, count=count).save(path)
    assert vk.load(path).memory().device == {"rows": capacity * 16, "norms": capacity * 4}


def test_writes_after_a_load_leave_snapshots_of_it_as_they_were(path):
    filled(vk.CpuCollection, count=1024).save(path)
    loaded = vk.load(path)
    first, before = loaded.snapshot(), loaded.snapshot().vectors()
    loaded.update_vectors(loaded.ids(), np.zeros((1024, 4)))
    second = loaded.snapshot()
    loaded.update_vector("0", ROW)
    assert first.vectors().tobytes() == before.tobytes()
    assert not second.vectors().any()


def test_a_loaded_collection_filters_by_its_payloads_as_the_saved_one(path):
    filled(vk.CpuCollection).save(path)
    assert vk.load(path).get("7").payload == {"n": 7}


def test_a_snapshot_saves_its_own_moment(path):
    collection = filled(vk.CpuCollection)
    snapshot = collection.snapshot()
    collection.upsert(["1", "new"], [ROW, ROW])
    snapshot.save(path)
    assert everything(vk.load(path)) == everything(snapshot)


def test_only_the_rows_in_use_are_written(path):
    collection = vk.CpuCollection(dim=4)
    collection.reserve(100_000)
    collection.insert(["a"], [ROW])
    assert len(saved(collection, path)) < 2_000


def test_any_safetensors_reader_opens_the_file(path):
    filled(vk.CpuCollection, count=5).save(path)
    tensors = load_file(path)
    assert tensors["rows"].tobytes() == hard_rows("common", 0, 5, 4).tobytes()
    assert sorted(tensors) == ["id_lengths", "ids", "payloads", "rows"]


def test_payloads_that_nobody_has_take_no_bytes(path):
    collection = vk.CpuCollection(dim=1)
    collection.insert([1, 2], [[1], [2]])
    collection.save(path)
    assert sorted(load_file(path)) == ["ids", "rows"]


def test_a_collection_of_a_store_is_saved_and_loads_alone(path):
    store = vk.VectorStore()
    words = store.create_collection("words", dim=2)
    words.upsert(["a"], [[1, 0]])
    words.save(path)
    loaded = vk.load(path)
    loaded.upsert(["b"], [[0, 1]])
    assert (len(loaded), len(words)) == (2, 1)


# Damage


def outcome(data, path):
    """The digest, ids and answers of a damaged file, or None where it is refused as damaged."""
    path.write_bytes(data)
    try:
        return everything(vk.load(path), np.ones(2, np.float32))
    except CorruptSnapshot:
        return None


@pytest.mark.parametrize("bit", range(8))
def test_a_flipped_bit_is_found_or_does_not_matter(bit, path):
    whole = saved(small(), path)
    expected = everything(small(), np.ones(2, np.float32))
    start = 8 + int.from_bytes(whole[:8], "little")
    for place in range(len(whole)):
        data = bytearray(whole)
        data[place] ^= 1 << bit
        found = outcome(data, path)
        assert found is None or (found == expected and place < start), place


def test_a_truncated_file_is_refused_wherever_it_is_cut(path):
    whole = saved(small(), path)
    assert [end for end in range(len(whole)) if outcome(whole[:end], path) is not None] == []
    assert outcome(whole + b"\0", path) is None


@given(st.binary(max_size=200))
def test_any_other_bytes_are_refused(data):
    with TemporaryDirectory() as folder:
        path = Path(folder) / "any.vk"
        assert outcome(data, path) is None
        assert outcome(len(data).to_bytes(8, "little") + data, path) is None


@pytest.mark.parametrize("text", ["[]", "{}", "7", '{"__metadata__": 3}', "[" * 100_000])
def test_a_header_of_another_kind_is_refused(text, path):
    assert outcome(len(text).to_bytes(8, "little") + text.encode(), path) is None


def test_a_safetensors_file_of_somebody_else_is_refused(path):
    save_file({"rows": np.zeros((2, 2), np.float32)}, path)
    with pytest.raises(CorruptSnapshot, match="another kind") as caught:
        vk.load(path)
    assert caught.value.got.startswith(repr(str(path)))


def rewritten(path, change):
    """A file whose manifest somebody has changed, checksum included."""
    small().save(path)
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    facts = json.loads(data[8 : 8 + length])["__metadata__"]
    manifest = json.loads(facts["vectorkit"].partition(" ")[2])
    change(manifest)
    text = json.dumps(manifest)
    checksum = files._checksum(text.encode())
    save_file(load_file(path), path, {"vectorkit": f"{checksum} {text}"})


def test_keys_of_the_manifest_that_are_not_known_are_ignored(path):
    rewritten(path, lambda manifest: manifest.update(mood="good"))
    assert everything(vk.load(path)) == everything(small())


@pytest.mark.parametrize(
    "change",
    [
        lambda manifest: manifest.update(format=2, parts="elsewhere"),
        lambda manifest: manifest["config"].update(curvature=-1),
    ],
)
def test_a_file_of_a_later_format_says_so(change, path):
    rewritten(path, change)
    with pytest.raises(InvalidInput, match="a later vectorkit has written this file"):
        vk.load(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda manifest: manifest.pop("version"),
        lambda manifest: manifest["parts"]["rows"].update(shape=[3, 2]),
        lambda manifest: manifest["parts"].pop("payloads") and manifest.update(count=3),
    ],
)
def test_a_manifest_that_does_not_fit_its_tensors_is_refused(change, path):
    rewritten(path, change)
    with pytest.raises(CorruptSnapshot):
        vk.load(path)


@pytest.mark.parametrize("offsets", [[-(10**6), 0], [0, 3], [8, 0], [10**6, 10**6 + 2], [0], "x"])
def test_places_outside_of_the_file_or_of_another_length_are_refused(offsets, path):
    whole = saved(small(), path)
    start = 8 + int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8:start])
    header["rows"]["data_offsets"] = offsets
    text = json.dumps(header).encode()
    assert outcome(len(text).to_bytes(8, "little") + text + whole[start:], path) is None


def test_ids_that_are_not_distinct_are_refused(path):
    contents = small().snapshot()._contents()
    twice = files.Contents("", contents.config, 1, ["a", "a"], [None, None], contents.arrays)
    files.write(path, twice)
    with pytest.raises(CorruptSnapshot, match="1 distinct of 2 ids"):
        vk.load(path)


def test_what_is_not_there_and_what_is_a_folder_are_the_system_s_errors(path):
    with pytest.raises(FileNotFoundError):
        vk.load(path)
    with pytest.raises(FileNotFoundError):
        small().save(path / "words.vk")
    path.mkdir()
    with pytest.raises(IsADirectoryError):
        vk.load(path)
    with pytest.raises(IsADirectoryError):
        small().save(path)
    assert os.listdir(path.parent) == [path.name]


# Saving


@pytest.mark.parametrize("step", ["save_file", "_sync", "os.replace", "_encoded", "_manifest"])
@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_a_save_that_fails_at_any_step_leaves_the_old_file_and_nothing_beside(
    step, error, path, monkeypatch
):
    old = saved(small(), path)

    def fail(*arguments):
        if step == "save_file":
            arguments[1].write_bytes(b"half")
        raise error("no space left")

    owner = files.os if step == "os.replace" else files
    monkeypatch.setattr(owner, step.removeprefix("os."), fail)
    with pytest.raises(error):
        filled(vk.CpuCollection).save(path)
    assert path.read_bytes() == old
    assert os.listdir(path.parent) == [path.name]


@pytest.fixture
def full_disk():
    """No file of this process grows beyond 1,000 bytes: what a full disk or a quota does."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_leaves_the_old_file_and_nothing_beside_and_says_what_is_missing(path, request):
    old = saved(small(), path)
    large = vk.CpuCollection(dim=128)
    large.insert(range(100), np.ones((100, 128)))
    request.getfixturevalue("full_disk")
    with pytest.raises(SaveFailed) as caught:
        large.save(path)
    assert path.read_bytes() == old
    assert os.listdir(path.parent) == [path.name]
    assert "File too large" in caught.value.got
    assert caught.value.wanted == f"room for 52,000 bytes in {str(path.parent)!r}"
    assert isinstance(caught.value, OSError)


def test_a_save_replaces_the_old_file_and_is_synced_before_and_after(path, monkeypatch):
    small().save(path)
    steps, fsync, replace = [], os.fsync, os.replace

    def record(handle):
        steps.append(Path(f"/proc/self/fd/{handle}").resolve().suffix)
        fsync(handle)

    monkeypatch.setattr(files.os, "fsync", record)
    monkeypatch.setattr(files.os, "replace", lambda a, b: (steps.append("replace"), replace(a, b)))
    filled(vk.CpuCollection).save(path)
    assert steps == [".tmp", "replace", ""]
    assert len(vk.load(path)) == 40
    assert os.listdir(path.parent) == [path.name]


def test_a_save_through_a_link_replaces_what_it_points_to(tmp_path, path):
    link = tmp_path / "link.vk"
    link.symlink_to(path)
    small().save(link)
    assert link.is_symlink()
    assert len(vk.load(path)) == 2


def test_a_saved_file_has_the_permissions_of_any_new_file(tmp_path, path):
    (tmp_path / "other").write_bytes(b"")
    small().save(path)
    assert path.stat().st_mode == (tmp_path / "other").stat().st_mode


def test_equal_collections_give_equal_files(path):
    assert saved(small(), path) == saved(small(), path)


# Kinds


@pytest.mark.parametrize(
    ("kind", "remedy"), [("gpuu", "did you mean 'gpu'"), ("tape", "one of these names")]
)
def test_a_kind_that_is_not_known_names_the_nearest(kind, remedy):
    with pytest.raises(InvalidOption, match=remedy) as caught:
        make_collection("words", CollectionConfig(2, "dot", kind))
    assert caught.value.details["allowed"] == ["cpu", "gpu", "quantized", "sharded"]


def test_a_cpu_collection_takes_no_device(path):
    small().save(path)
    with pytest.raises(InvalidOption, match="leave the device out"):
        vk.load(path, device=DEVICE)


def test_a_gpu_collection_without_an_accelerator_says_so(path):
    vk.GpuCollection(dim=2, device=DEVICE).save(path)
    with pytest.raises(DeviceNotFound):
        vk.load(path)


# Batches


@pytest.mark.parametrize("size", [1, 7, 40, 100])
def test_every_row_comes_exactly_once_whatever_is_written_meanwhile(size):
    collection = filled(vk.CpuCollection)
    expected = everything(collection)[2]
    rows = []
    for number, batch in enumerate(collection.batches(size)):
        assert len(batch.ids) == len(batch.vectors) == len(batch.payloads) <= size
        rows += zip(
            batch.ids, (each.tobytes() for each in batch.vectors), batch.payloads, strict=True
        )
        collection.delete([collection.ids()[0]])
        collection.upsert([f"new {number}"], [ROW])
        collection.update_vector(collection.ids()[0], ROW)
    assert rows == expected


def test_the_moment_is_that_of_the_call_and_the_rows_are_copies():
    collection = filled(vk.CpuCollection)
    digest, batches = collection.digest(), collection.batches()
    collection.delete(collection.ids()[:30])
    collection.delete(collection.ids())
    snapshot = filled(vk.CpuCollection).snapshot()
    for batch in snapshot.batches():
        batch.vectors[:] = 0
        batch.payloads[0]["n"] = "changed"
        batch.ids.clear()
    assert snapshot.digest() == digest
    assert sum(len(batch.ids) for batch in batches) == 40
    assert list(vk.CpuCollection(dim=2).batches()) == []


@pytest.mark.parametrize("size", [0, -1, 1.5, True, None])
def test_a_batch_size_that_is_no_positive_number_is_refused_at_the_call(size):
    with pytest.raises(InvalidOption):
        vk.CpuCollection(dim=2).batches(size)
