"""What snapshots, saving and loading cost: against the raw disk, npz and pickle.

Saves end with the file on the disk (fsync). The floor of a load is what no loader can leave out:
reading the bytes, copying them to the device, and the dictionary from ids to slots.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import jax
import numpy as np

import vectorkit as vk
from benchmarks.rows import Plan, Row
from benchmarks.timing import drawn, in_turn, local, names


def rows(plan: Plan) -> Iterator[Row]:
    count, dim = plan.pick((10_000, 128), (100_000, 128))
    vectors, ids = drawn(count, dim), names(count)
    for payloads in (None, [{"rank": index} for index in range(count)]):
        collection = vk.CpuCollection(dim=dim, name="bench")
        collection.insert(ids, vectors, payloads)
        title = f"{count:,} × {dim}{', payloads' if payloads else ''}"
        with TemporaryDirectory() as folder:
            yield from saved(plan, title, collection, (ids, vectors, payloads), Path(folder))
    yield from pinned(plan, title, collection, ids, vectors)


def saved(
    plan: Plan, title: str, collection: vk.Collection, content: Any, folder: Path
) -> Iterator[Row]:
    """Four formats, written in turn and read in turn."""
    ids, vectors, payloads = content
    saves = {
        "raw write": lambda _: synced(folder / "raw", lambda file: file.write(vectors.data)),
        "vectorkit": lambda _: collection.save(folder / "vk"),
        "npz": lambda _: synced(folder / "npz", lambda file: np.savez(file, rows=vectors, ids=ids)),
        "pickle": lambda _: synced(
            folder / "pickle", lambda file: pickle.dump((ids, vectors, payloads), file, protocol=5)
        ),
    }
    yield from compared(plan, f"save, {title}", saves, "raw write", folder, vectors.nbytes)
    loads = {
        "raw read": lambda _: raw_load(folder / "raw", ids, vectors.shape),
        "vectorkit": lambda _: vk.load(folder / "vk"),
        "npz": lambda _: npz_load(folder / "npz"),
        "pickle": lambda _: pickle_load(folder / "pickle"),
    }
    yield from compared(plan, f"load, {title}", loads, "raw read", folder, vectors.nbytes)


def compared(
    plan: Plan,
    case: str,
    ways: Mapping[str, Callable[[int], Any]],
    floor: str,
    folder: Path,
    raw_bytes: int,
) -> Iterator[Row]:
    timings = in_turn({name: local(way) for name, way in ways.items()}, plan.repeats)
    files = {"vectorkit": "vk", "raw write": "raw", "raw read": "raw"}
    for name, timing in timings.items():
        size = (folder / files.get(name, name)).stat().st_size
        values = {
            f"by {floor}": timing.ratio(timings[floor]),
            f"share of {floor}": timings[floor].ratio(timing),
            "file_bytes": float(size),
            "file_by_raw": size / raw_bytes,
        }
        yield Row(case=case, who=name, timing=timing, values=values)


def pinned(
    plan: Plan, title: str, collection: vk.Collection, ids: list[str], vectors: np.ndarray
) -> Iterator[Row]:
    """A snapshot, the write after it, which copies once, and a write that need not."""

    def write(_: int) -> None:
        collection.update_vector(ids[0], vectors[1])
        collection.get(ids[0])

    held: list[vk.Snapshot] = []

    def copying(number: int) -> None:
        held[:] = held or [collection.snapshot()]  # Whoever comes first in a round.
        write(number)
        held.clear()

    timings = in_turn(
        {
            "snapshot": local(lambda _: held.append(collection.snapshot())),
            "write after a snapshot": local(copying),
        },
        plan.repeats,
    )
    timings |= in_turn({"write": local(write)}, plan.repeats)
    for name, timing in timings.items():
        copied = 2.0 * vectors.nbytes if name == "write after a snapshot" else 0.0
        yield Row(case=f"{name}, {title}", timing=timing, moved_bytes=copied)


def synced(path: Path, write: Callable[..., Any]) -> None:
    with path.open("wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())


def raw_load(path: Path, ids: list[str], shape: tuple[int, ...]) -> None:
    vectors = np.frombuffer(path.read_bytes(), np.float32).reshape(shape)
    jax.numpy.array(vectors).block_until_ready()
    dict(zip(ids, range(len(ids)), strict=True))


def npz_load(path: Path) -> None:
    with np.load(path) as parts:
        ids = parts["ids"].tolist()
        jax.numpy.array(parts["rows"]).block_until_ready()
    dict(zip(ids, range(len(ids)), strict=True))


def pickle_load(path: Path) -> None:
    ids, vectors, _ = pickle.loads(path.read_bytes())
    jax.numpy.array(vectors).block_until_ready()
    dict(zip(ids, range(len(ids)), strict=True))
