"""Images as vectors: photographs of clothes, and the patches of one photograph."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from os import PathLike
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vectorkit.datasets.record import Dataset
from vectorkit.datasets.sources import check_count, packaged
from vectorkit.draws import address, draw_block
from vectorkit.errors import DatasetNotInstalled, InvalidOption

FASHION_MNIST_FOLDER: Final = Path("/usr/share/datasets/fashion-mnist")
FASHION_MNIST_ROWS: Final = 70_000
GARMENTS: Final = (
    "T-shirt/top", "trouser", "pullover", "dress", "coat",
    "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip
PATCHES_ROWS: Final = 265_860
PATCH_PIXELS: Final = 8
"""A patch is a square of 8 × 8 pixels of three colours."""

_PARTS: Final = {"train": ("train", 60_000), "test": ("t10k", 10_000)}
_UBYTE: Final = 8  # The idx format's code for elements of one unsigned byte.


def fashion_mnist(path: str | PathLike[str] | None = None, limit: int = 10_000) -> Dataset:
    """Fashion-MNIST: 28 × 28 grey images of clothes, row by row, pixels from 0 to 255.

    Ids go from "train-0" to "train-59999", then from "test-0" to "test-9999"; payloads hold the
    `label`, 0 to 9, and the `garment` that it stands for. Xiao, Rasul and Vollgraf (2017).

    The four files come with Debian's package `dataset-fashion-mnist`; elsewhere, `path` is the
    folder that holds them. Raises DatasetNotInstalled where they are not.

    >>> fashion_mnist("no-such-folder")
    Traceback (most recent call last):
    vectorkit.errors.DatasetNotInstalled: ... sudo apt-get install dataset-fashion-mnist, or ...
    """
    check_count("limit", limit, 1, FASHION_MNIST_ROWS, "give this many images")
    folder = FASHION_MNIST_FOLDER if path is None else Path(path)
    ids: list[str] = []
    images: list[NDArray[np.uint8]] = []
    labels: list[int] = []
    for part, (prefix, rows) in _PARTS.items():
        count = min(rows, limit - len(ids))
        if count:
            images.append(_read_idx(folder / f"{prefix}-images-idx3-ubyte.gz", count, (28, 28)))
            labels += _read_idx(folder / f"{prefix}-labels-idx1-ubyte.gz", count, ()).tolist()
            ids += [f"{part}-{index}" for index in range(count)]
    return Dataset(
        name="fashion_mnist",
        ids=tuple(ids),
        vectors=np.concatenate(images).reshape(limit, -1).astype(np.float32),
        payloads=tuple({"label": label, "garment": GARMENTS[label]} for label in labels),
    )


def _read_idx(path: Path, count: int, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The first `count` elements of a file in the idx format, each of the shape that is wanted."""
    if not path.is_file():
        raise DatasetNotInstalled(
            "Fashion-MNIST is missing",
            got=f"no file {path}",
            wanted="its four idx files",
            remedy="install it with sudo apt-get install dataset-fashion-mnist, or give the path "
            "of a folder that holds them",
            package="dataset-fashion-mnist",
        )
    element_bytes = math.prod(shape)
    try:
        with gzip.open(path) as file:
            header = file.read(4 * (2 + len(shape)))
            elements = file.read(count * element_bytes)
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(path, got=str(error), count=count, shape=shape) from error
    magic = struct.pack(">I", _UBYTE << 8 | 1 + len(shape))
    fits = (header[:4], header[8:]) == (magic, struct.pack(f">{len(shape)}I", *shape))
    if not fits or len(elements) < count * element_bytes:
        got = f"the header {header.hex()!r} and {len(elements) // element_bytes:,} elements"
        raise _unreadable(path, got=got, count=count, shape=shape)
    return np.frombuffer(elements, np.uint8).reshape(count, *shape)


def _unreadable(path: Path, *, got: str, count: int, shape: tuple[int, ...]) -> InvalidOption:
    return InvalidOption(
        f"cannot read {path}",
        got=got,
        wanted=f"an idx file of {count:,} or more elements of bytes, each of shape {shape}",
        remedy="give the path of a folder with the four files of Fashion-MNIST as published",
    )


def patches(limit: int = 10_000) -> Dataset:
    """Patches of a photograph, 8 × 8 pixels in three colours from 0 to 255: dimension 192.

    The photograph is scikit-learn's `china.jpg`, 427 × 640 pixels. Ids and payloads tell where a
    patch's upper left corner lies: "12-345" is row 12, column 345. The first few are a sample of
    all 265,860. Raises DatasetNotInstalled without the `images` extra.

    >>> patches(limit=300_000)
    Traceback (most recent call last):
    vectorkit.errors.InvalidOption: ... got limit=300000, wanted an integer from 1 to 265,860; ...
    """
    check_count("limit", limit, 1, PATCHES_ROWS, "give this many patches")
    from PIL import Image

    photograph = packaged(
        "sklearn", "datasets/images/china.jpg", extra="images", wanted="scikit-learn's china.jpg"
    )
    with Image.open(photograph) as image:
        pixels = np.asarray(image.convert("RGB"))
    windows = np.lib.stride_tricks.sliding_window_view(pixels, (PATCH_PIXELS, PATCH_PIXELS, 3))
    windows = windows[:, :, 0]
    order = np.argsort(draw_block(address(0), windows.shape[0] * windows.shape[1]), kind="stable")
    rows, columns = np.divmod(order[:limit], windows.shape[1])
    corners = list(zip(rows.tolist(), columns.tolist(), strict=True))
    return Dataset(
        name="patches",
        ids=tuple(f"{row}-{column}" for row, column in corners),
        vectors=windows[rows, columns].reshape(len(corners), -1).astype(np.float32),
        payloads=tuple({"row": row, "column": column} for row, column in corners),
    )
