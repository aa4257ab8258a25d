"""Draw the figures of the documents: `.venv/bin/python -m docs.draw [--measured]`.

In `docs/plots.md` each block of code leaves `ax`, and the figure is saved as the image that the
text shows next: so the code that a reader sees is the code that draws it. Two runs give the same
files. Figures of measured times differ from run to run: they are redrawn with `--measured` only.
Of each notebook the last figure becomes its thumbnail.
"""

from __future__ import annotations

import base64
import io
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
from PIL import Image

DOCS = Path(__file__).parent
GALLERY = DOCS / "plots.md"
THUMBNAIL_PX = (360, 240)
DPI = 200
PART = re.compile(r"^```python\n(?P<code>.*?)^```|^!\[[^\]]*\]\((?P<image>[^)]+)\)", re.M | re.S)


class Part(NamedTuple):
    """A block of code, and the image that shows what it has drawn; None where there is none."""

    code: str
    image: str | None


def parts(text: str) -> Iterator[Part]:
    """The blocks of a document in order, each with the first image between it and the next."""
    code = None
    for found in PART.finditer(text):
        if found["code"] is not None:
            if code is not None:
                yield Part(code, None)
            code = found["code"]
        elif code is not None:
            yield Part(code, found["image"])
            code = None
    if code is not None:
        yield Part(code, None)


def draw(*, is_measured: bool) -> None:
    """Run the blocks one after the other and save what they draw."""
    names: dict[str, Any] = {"__name__": "plots"}
    for part in parts(GALLERY.read_text("utf-8")):
        if "measure." in part.code and not is_measured:
            continue
        exec(part.code, names)
        if part.image is not None:
            path = DOCS / part.image
            path.parent.mkdir(parents=True, exist_ok=True)
            names["ax"].figure.savefig(path, dpi=DPI, metadata={"Software": None})
            with Image.open(path) as image:
                shrink(image, path)
            print(path.relative_to(DOCS))


def draw_thumbnails() -> None:
    """Save the last figure of each notebook, small."""
    folder = DOCS / "figures" / "notebooks"
    folder.mkdir(parents=True, exist_ok=True)
    for notebook in sorted((DOCS.parent / "notebooks").glob("*.ipynb")):
        cells = json.loads(notebook.read_text("utf-8"))["cells"]
        shown = [output.get("data", {}) for cell in cells for output in cell.get("outputs", ())]
        figures = [data["image/png"] for data in shown if "image/png" in data]
        image = Image.open(io.BytesIO(base64.b64decode("".join(figures[-1])))).convert("RGB")
        image.thumbnail(THUMBNAIL_PX, Image.Resampling.LANCZOS)
        shrink(image, folder / f"{notebook.stem}.png")


def shrink(image: Image.Image, path: Path) -> None:
    """Save in 128 colours: half of the bytes, and nobody sees it."""
    image.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    mpl.use("Agg")
    draw(is_measured="--measured" in sys.argv[1:])
    draw_thumbnails()
