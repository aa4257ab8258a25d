"""Embeddings computed once: kept on disk in chunks, so that an interrupted run goes on.

A folder holds the vectors of one sequence of texts under one model; the caller, who names the
folder, makes sure of that. Chunks are always whole, and batches are cut within a chunk: a vector's
bits depend on the texts and the model, never on the calls that computed it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Final

import numpy as np

from vectorkit.types import Float32Array

CHUNK_ROWS: Final = 2_000
BATCH_ROWS: Final = 16

Embed = Callable[[Sequence[str]], Float32Array]
"""A model: n texts to vectors of shape (n, dim)."""

_log: Final = logging.getLogger(__name__)


def cache_folder() -> Path:
    """Where computed data is kept: `$VECTORKIT_CACHE`, or the user's cache folder.

    It may be deleted at any time; what is needed again is computed again.
    """
    from platformdirs import user_cache_path

    chosen = os.environ.get("VECTORKIT_CACHE")
    return Path(chosen) if chosen else user_cache_path("vectorkit", appauthor=False)


def embed_once(
    texts: Sequence[str],
    count: int,
    *,
    dim: int,
    folder: Path,
    open_model: Callable[[], Embed],
    progress: Callable[[float], None] | None = None,
) -> Float32Array:
    """The vectors of the first `count` texts, each computed at most once for a folder.

    The model is opened only if a chunk is missing. `progress(done)` is called after each batch
    with the share of the work that is done, as a number of texts up to `count`.
    """
    starts = range(0, count, CHUNK_ROWS)
    sizes = {start: len(texts[start : start + CHUNK_ROWS]) for start in starts}
    found = {start: _read(folder, start, (sizes[start], dim)) for start in starts}
    chunks = {start: chunk for start, chunk in found.items() if chunk is not None}
    missing = [start for start in starts if start not in chunks]
    done = sum(sizes[start] for start in chunks)

    def advance(rows: int) -> None:
        nonlocal done
        done += rows
        if progress is not None:
            progress(count * done / sum(sizes.values()))

    advance(0)
    if missing:
        embed = open_model()
        for start in missing:
            chunks[start] = _embed_chunk(texts[start : start + CHUNK_ROWS], dim, embed, advance)
            _write(folder, start, chunks[start])
            _log.info("embedded %d of %d texts, kept in %s", done, sum(sizes.values()), folder)
    return np.concatenate([chunks[start] for start in starts])[:count]


def _embed_chunk(
    texts: Sequence[str], dim: int, embed: Embed, advance: Callable[[int], None]
) -> Float32Array:
    vectors = np.empty((len(texts), dim), np.float32)
    by_length = sorted(range(len(texts)), key=lambda row: len(texts[row]))  # Little padding.
    for start in range(0, len(texts), BATCH_ROWS):
        rows = by_length[start : start + BATCH_ROWS]
        vectors[rows] = embed([texts[row] for row in rows])
        advance(len(rows))
    return vectors


def _path(folder: Path, start: int) -> Path:
    return folder / f"rows-{start:06}.npy"


def _read(folder: Path, start: int, shape: tuple[int, int]) -> Float32Array | None:
    try:
        chunk = np.load(_path(folder, start), allow_pickle=False)
    except (OSError, EOFError, ValueError):  # Not there, or cut short.
        return None
    fits = isinstance(chunk, np.ndarray) and (chunk.shape, chunk.dtype) == (shape, np.float32)
    return chunk if fits else None


def _write(folder: Path, start: int, chunk: Float32Array) -> None:
    """All of a chunk or nothing, even if another process writes the same."""
    folder.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=folder, suffix=".part", delete=False) as file:
        part = Path(file.name)
        try:
            np.save(file, chunk)
            file.close()
            part.replace(_path(folder, start))
        finally:
            part.unlink(missing_ok=True)
