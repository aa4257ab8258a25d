"""Embeddings are computed once, survive interruptions, and do not depend on who asked first."""

import logging
from pathlib import Path

import numpy as np
import platformdirs
import pytest

from vectorkit.datasets.embedding import BATCH_ROWS, CHUNK_ROWS, cache_folder, embed_once

DIM = 3
TEXTS = tuple("x" * (1 + row * 7 % 11) + str(row) for row in range(2 * CHUNK_ROWS + 500))


class Model:
    """Counts what it embeds; a text's vector depends on its batch, as a real model's bits may."""

    def __init__(self, batches_max: float = float("inf")) -> None:
        self.batches: list[list[str]] = []
        self.batches_max = batches_max

    def open(self):
        return self

    def __call__(self, texts):
        if len(self.batches) >= self.batches_max:
            raise KeyboardInterrupt
        self.batches.append(list(texts))
        longest = max(map(len, texts))
        return np.array([[len(text), longest, int(text.strip("x"))] for text in texts], np.float32)

    @property
    def texts(self) -> list[str]:
        return [text for batch in self.batches for text in batch]


def refuse_to_open():
    raise AssertionError("the model was opened")


def embed(folder: Path, count: int, model: Model, **options):
    return embed_once(TEXTS, count, dim=DIM, folder=folder, open_model=model.open, **options)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """All vectors, as one uninterrupted call computes them."""
    return embed(tmp_path_factory.mktemp("whole"), len(TEXTS), Model())


def test_each_text_has_its_own_vector(whole):
    assert (whole.shape, whole.dtype) == ((len(TEXTS), DIM), np.float32)
    assert whole[:, 2].tolist() == list(range(len(TEXTS)))
    assert whole[:, 0].tolist() == [len(text) for text in TEXTS]


@pytest.mark.parametrize("count", [1, 17, CHUNK_ROWS, CHUNK_ROWS + 1, len(TEXTS)])
def test_fewer_vectors_are_the_first_of_more_bit_for_bit(count, whole, tmp_path):
    assert embed(tmp_path, count, Model()).tobytes() == whole[:count].tobytes()


def test_only_the_chunks_that_are_asked_for_are_computed(tmp_path):
    model = Model()
    embed(tmp_path, CHUNK_ROWS, model)
    assert sorted(model.texts) == sorted(TEXTS[:CHUNK_ROWS])


def test_what_is_kept_is_not_computed_again(whole, tmp_path):
    first, second = Model(), Model()
    embed(tmp_path, 10, first)
    assert embed(tmp_path, len(TEXTS), second).tobytes() == whole.tobytes()
    assert sorted(first.texts + second.texts) == sorted(TEXTS)


def test_the_model_stays_closed_if_everything_is_kept(whole, tmp_path):
    embed(tmp_path, len(TEXTS), Model())
    again = embed_once(TEXTS, 2_100, dim=DIM, folder=tmp_path, open_model=refuse_to_open)
    assert again.tobytes() == whole[:2_100].tobytes()


def test_an_interrupted_computation_goes_on_with_the_next_chunk(whole, tmp_path):
    batches_of_a_chunk = CHUNK_ROWS // BATCH_ROWS
    first, second = Model(batches_max=batches_of_a_chunk + 3), Model()
    with pytest.raises(KeyboardInterrupt):
        embed(tmp_path, len(TEXTS), first)
    assert embed(tmp_path, len(TEXTS), second).tobytes() == whole.tobytes()
    assert sorted(second.texts) == sorted(TEXTS[CHUNK_ROWS:])


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def of_another_shape(path: Path) -> None:
    np.save(path, np.zeros((CHUNK_ROWS, DIM + 1), np.float32))


def of_another_type(path: Path) -> None:
    np.save(path, np.zeros((CHUNK_ROWS, DIM), np.float64))


def no_array(path: Path) -> None:
    path.write_bytes(b"not an array at all")


def an_archive(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, chunk=np.zeros(1))


@pytest.mark.parametrize(
    "damage", [cut_short, emptied, of_another_shape, of_another_type, no_array, an_archive]
)
def test_a_damaged_chunk_is_computed_again(damage, whole, tmp_path):
    embed(tmp_path, len(TEXTS), Model())
    damage(min(tmp_path.iterdir()))
    model = Model()
    assert embed(tmp_path, len(TEXTS), model).tobytes() == whole.tobytes()
    assert sorted(model.texts) == sorted(TEXTS[:CHUNK_ROWS])


def test_a_chunk_that_could_not_be_written_leaves_nothing(tmp_path, monkeypatch):
    def full_disk(file, array):
        file.write(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(np, "save", full_disk)
    with pytest.raises(OSError, match="no space left"):
        embed(tmp_path, 10, Model())
    assert list(tmp_path.iterdir()) == []


def test_batches_are_of_texts_of_about_one_length(tmp_path):
    model = Model()
    embed(tmp_path, CHUNK_ROWS, model)
    assert {len(batch) for batch in model.batches} == {BATCH_ROWS}
    lengths = [len(text) for text in model.texts]
    assert lengths == sorted(lengths)


@pytest.mark.parametrize(("kept", "first"), [(0, 0.0), (10, 1_125.0), (2_250, 2_250.0)])
def test_progress_begins_with_what_is_kept_and_ends_with_what_was_asked_for(kept, first, tmp_path):
    if kept:
        embed(tmp_path, kept, Model())
    seen: list[float] = []
    embed(tmp_path, 2_250, Model(), progress=seen.append)
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (first, 2_250.0)


def test_each_chunk_is_logged_with_its_place(tmp_path, caplog):
    with caplog.at_level(logging.INFO, logger="vectorkit.datasets.embedding"):
        embed(tmp_path, 2_001, Model())
    assert caplog.messages == [
        f"embedded 2000 of 4000 texts, kept in {tmp_path}",
        f"embedded 4000 of 4000 texts, kept in {tmp_path}",
    ]


def test_the_cache_lies_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("VECTORKIT_CACHE", str(tmp_path / "here"))
    assert cache_folder() == tmp_path / "here"


@pytest.mark.parametrize("value", [None, ""])
def test_the_cache_lies_in_the_users_cache_folder_otherwise(value, monkeypatch):
    monkeypatch.delenv("VECTORKIT_CACHE", raising=False)
    if value is not None:
        monkeypatch.setenv("VECTORKIT_CACHE", value)
    assert cache_folder() == platformdirs.user_cache_path("vectorkit", appauthor=False)
