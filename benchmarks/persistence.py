"""What saving and loading cost: against the raw disk, npz and pickle.

    python -m benchmarks.persistence [--quick]

Medians of milliseconds, all of one run, the variants in turn: compare the ratios. Saves end with
the file on the disk (fsync). The floor of a load is what no loader can leave out: reading the
bytes, copying them to the device, and the dictionary from ids to slots.
"""

import argparse
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import jax
import numpy as np
import pandas as pd

import vectorkit as vk
from vectorkit.draws import address, draw_block


def drawn(count: int, dim: int) -> np.ndarray:
    numbers = draw_block(address(7), count * dim).astype(np.float64) / 2.0**31 - 1.0
    return numbers.astype(np.float32).reshape(count, dim)


def synced(path: Path, write: Callable[..., None]) -> None:
    with path.open("wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())


def raw_load(path: Path, names: list[str], shape: tuple[int, int]) -> None:
    rows = np.frombuffer(path.read_bytes(), np.float32).reshape(shape)
    jax.numpy.array(rows).block_until_ready()
    dict(zip(names, range(len(names)), strict=True))


def npz_load(path: Path) -> None:
    with np.load(path) as parts:
        names = parts["ids"].tolist()
        jax.numpy.array(parts["rows"]).block_until_ready()
    dict(zip(names, range(len(names)), strict=True))


def pickle_load(path: Path) -> None:
    names, rows, _ = pickle.loads(path.read_bytes())
    jax.numpy.array(rows).block_until_ready()
    dict(zip(names, range(len(names)), strict=True))


def medians(variants: dict[str, Callable[[], None]], repeats: int) -> dict[str, float]:
    """Milliseconds of each, run in turn, once before the clock starts."""
    times: dict[str, list[float]] = {name: [] for name in variants}
    for repeat in range(repeats + 1):
        for name, run in variants.items():
            started = perf_counter()
            run()
            if repeat:
                times[name].append((perf_counter() - started) * 1e3)
    return {name: float(np.median(each)) for name, each in times.items()}


def table(title: str, times: dict[str, float]) -> pd.DataFrame:
    floor = next(iter(times.values()))
    rows = [(title, name, ms, ms / floor) for name, ms in times.items()]
    return pd.DataFrame(rows, columns=["what", "variant", "ms_p50", "to_floor"])


def measure(count: int, dim: int, has_payloads: bool, folder: Path, repeats: int) -> pd.DataFrame:
    rows, names = drawn(count, dim), [f"row-{index}" for index in range(count)]
    payloads = [{"rank": index} for index in range(count)] if has_payloads else None
    collection = vk.CpuCollection(dim=dim, name="bench")
    collection.insert(names, rows, payloads)
    saves = {
        "raw write": lambda: synced(folder / "raw", lambda file: file.write(rows.data)),
        "save": lambda: collection.save(folder / "vk"),
        "npz": lambda: synced(folder / "npz", lambda file: np.savez(file, rows=rows, ids=names)),
        "pickle": lambda: synced(
            folder / "pickle", lambda file: pickle.dump((names, rows, payloads), file, protocol=5)
        ),
    }
    loads = {
        "raw read": lambda: raw_load(folder / "raw", names, rows.shape),
        "load": lambda: vk.load(folder / "vk"),
        "npz": lambda: npz_load(folder / "npz"),
        "pickle": lambda: pickle_load(folder / "pickle"),
    }
    saved = table("save", medians(saves, repeats))
    together = pd.concat([saved, table("load", medians(loads, repeats))])
    together.insert(0, "payloads", has_payloads)
    together.insert(0, "rows", f"{count:,} × {dim}")
    return together


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one small size, few repeats")
    parser.add_argument("--folder", help="where to write; by default a temporary folder")
    arguments = parser.parse_args()
    count, repeats = (10_000, 3) if arguments.quick else (100_000, 9)
    with TemporaryDirectory(dir=arguments.folder) as folder:
        tables = [
            measure(count, 128, has_payloads, Path(folder), repeats)
            for has_payloads in (False, True)
        ]
    print(pd.concat(tables).round(2).to_string(index=False))


if __name__ == "__main__":
    main()
