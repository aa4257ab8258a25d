"""Images are read from their published files, pixel by pixel."""

import gzip
import struct
import sys

import numpy as np
import pytest
from PIL import Image

from vectorkit import datasets, errors
from vectorkit.datasets import images

IMAGES, LABELS = "{}-images-idx3-ubyte.gz", "{}-labels-idx1-ubyte.gz"


def write_idx(path, array):
    """A file in the idx format: zeros, type and rank, then sizes, then bytes."""
    header = struct.pack(f">I{array.ndim}I", 0x0800 | array.ndim, *array.shape)
    path.write_bytes(gzip.compress(header + array.tobytes(), compresslevel=1))


def pixels(count, first):
    """Image i starts with first + i and goes up by one a pixel, modulo 256."""
    steps = np.arange(28 * 28, dtype=np.uint32) + first
    return (steps + np.arange(count, dtype=np.uint32)[:, None]).astype(np.uint8)


@pytest.fixture
def folder(tmp_path):
    """The first five rows of each part, as the four published files have them."""
    for prefix, first in (("train", 0), ("t10k", 100)):
        write_idx(tmp_path / IMAGES.format(prefix), pixels(5, first).reshape(5, 28, 28))
        write_idx(tmp_path / LABELS.format(prefix), np.array([9, 0, 0, 3, 1], np.uint8))
    return tmp_path


@pytest.fixture
def photograph(tmp_path, monkeypatch):
    """A photograph of 10 × 12 pixels in the place of scikit-learn's."""
    colours = np.arange(10 * 12 * 3, dtype=np.uint32).reshape(10, 12, 3).astype(np.uint8)
    path = tmp_path / "sklearn" / "datasets" / "images" / "china.jpg"
    path.parent.mkdir(parents=True)
    (tmp_path / "sklearn" / "__init__.py").touch()  # Or else an installed scikit-learn goes first.
    Image.fromarray(colours).save(path, format="PNG")  # Lossless; readers look at the content.
    monkeypatch.delitem(sys.modules, "sklearn", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    return colours


def test_fashion_rows_are_images_with_their_garments(folder):
    data = datasets.fashion_mnist(folder, limit=3)
    assert repr(data) == "Dataset('fashion_mnist', 3 × 784)"
    assert data.ids == ("train-0", "train-1", "train-2")
    assert data.payloads == (
        {"label": 9, "garment": "ankle boot"},
        {"label": 0, "garment": "T-shirt/top"},
        {"label": 0, "garment": "T-shirt/top"},
    )
    assert data.vectors.tobytes() == pixels(3, first=0).astype(np.float32).tobytes()


def test_fashion_test_images_follow_the_training_images(folder, monkeypatch):
    monkeypatch.setattr(images, "_PARTS", {"train": ("train", 5), "test": ("t10k", 5)})
    data = datasets.fashion_mnist(str(folder), limit=7)
    assert data.ids[4:] == ("train-4", "test-0", "test-1")
    expected = np.concatenate([pixels(5, first=0), pixels(2, first=100)])
    assert data.vectors.tobytes() == expected.astype(np.float32).tobytes()
    assert [payload["label"] for payload in data.payloads] == [9, 0, 0, 3, 1, 9, 0]


def test_the_parts_of_fashion_mnist_are_as_large_as_published():
    sizes = {part: rows for part, (_, rows) in images._PARTS.items()}
    assert sizes == {"train": 60_000, "test": 10_000}
    assert sum(sizes.values()) == images.FASHION_MNIST_ROWS


def test_fashion_images_are_looked_for_where_debian_puts_them(folder, monkeypatch):
    monkeypatch.setattr(images, "FASHION_MNIST_FOLDER", folder)
    assert len(datasets.fashion_mnist(limit=2)) == 2


@pytest.mark.parametrize("name", [IMAGES.format("train"), LABELS.format("train")])
def test_a_missing_fashion_file_is_named_with_the_command_that_mends_it(name, folder):
    (folder / name).unlink()
    with pytest.raises(errors.DatasetNotInstalled) as caught:
        datasets.fashion_mnist(folder, limit=3)
    assert caught.value.got == f"no file {folder / name}"
    assert "sudo apt-get install dataset-fashion-mnist" in caught.value.remedy
    assert caught.value.details == {"package": "dataset-fashion-mnist"}


IDX_IMAGES = struct.pack(">4I", 0x0803, 5, 28, 28) + bytes(5 * 784)
MALFORMED = {
    "not compressed": IDX_IMAGES,
    "cut short": gzip.compress(IDX_IMAGES)[:-12],
    "garbled": gzip.compress(IDX_IMAGES)[:12] + b"\xff" * 20,
    "empty": gzip.compress(b""),
    "header only": gzip.compress(IDX_IMAGES[:16]),
    "too few": gzip.compress(IDX_IMAGES[:-1]),
    "labels": gzip.compress(struct.pack(">2I", 0x0801, 5) + bytes(5)),
    "of floats": gzip.compress(struct.pack(">4I", 0x0D03, 5, 28, 28) + bytes(5 * 784)),
    "of another size": gzip.compress(struct.pack(">4I", 0x0803, 5, 32, 28) + bytes(5 * 896)),
}


@pytest.mark.parametrize("content", MALFORMED.values(), ids=MALFORMED)
def test_a_file_that_is_not_what_it_should_be_is_refused(content, folder):
    path = folder / IMAGES.format("train")
    path.write_bytes(content)
    with pytest.raises(errors.InvalidOption) as caught:
        datasets.fashion_mnist(folder, limit=5)
    assert caught.value.problem == f"cannot read {path}"


def test_patches_are_windows_of_the_photograph(photograph):
    data = datasets.patches(limit=15)
    assert repr(data) == "Dataset('patches', 15 × 192)"
    corners = [(payload["row"], payload["column"]) for payload in data.payloads]
    assert sorted(corners) == [(row, column) for row in range(3) for column in range(5)]
    assert data.ids == tuple(f"{row}-{column}" for row, column in corners)
    windows = [photograph[row : row + 8, column : column + 8] for row, column in corners]
    assert data.vectors.tobytes() == np.array(windows, np.float32).tobytes()


def test_fewer_patches_are_the_first_of_more_and_a_sample(photograph):
    few, more = datasets.patches(limit=7), datasets.patches(limit=15)
    assert few.ids == more.ids[:7]
    assert few.ids != tuple(sorted(few.ids))
    assert few.vectors.tobytes() == more.vectors[:7].tobytes()


def test_patches_without_scikit_learn_name_the_command_that_mends_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(errors.DatasetNotInstalled, match="images extra") as caught:
        datasets.patches(limit=10)
    assert caught.value.details == {"package": "sklearn"}
    assert caught.value.remedy.endswith("python -m pip install '.[images]'")


@pytest.mark.parametrize("limit", [0, -1, 10**6, True, "10", 2.5, None], ids=repr)
@pytest.mark.parametrize(
    ("load", "most"), [(datasets.fashion_mnist, "70,000"), (datasets.patches, "265,860")]
)
def test_a_limit_that_cannot_be_is_refused(load, most, limit):
    with pytest.raises(errors.InvalidOption) as caught:
        load(limit=limit)
    assert caught.value.got == f"limit={limit!r}"
    assert caught.value.wanted == f"an integer from 1 to {most}"
