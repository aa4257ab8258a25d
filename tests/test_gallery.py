"""The gallery of plots: every plot is there, drawn by the code that stands above it."""

import base64
import io
import json

from PIL import Image

from docs import draw
from vectorkit import plot
from vectorkit.sim.run import RunPlots

PARTS = list(draw.parts(draw.GALLERY.read_text("utf-8")))


def test_the_gallery_shows_every_plot_by_its_function_or_its_method() -> None:
    code = "\n".join(part.code for part in PARTS)
    methods = {f"plot_{name}" for name in vars(RunPlots) if not name.startswith("_")}
    missing = [
        name
        for name in sorted({*plot.__all__, *methods})
        if f" plot.{name}(" not in code and f"run.plot.{name.removeprefix('plot_')}(" not in code
    ]
    assert missing == []


def test_the_gallery_shows_every_figure_that_there_is_and_no_other() -> None:
    shown = [part.image for part in PARTS if part.image is not None]
    there = [f"figures/plots/{path.name}" for path in (draw.DOCS / "figures/plots").iterdir()]
    assert sorted(shown) == sorted(there)
    assert all("ax = " in part.code for part in PARTS if part.image is not None)


def test_figures_are_small_files_as_wide_as_a_column() -> None:
    for path in (draw.DOCS / "figures/plots").iterdir():
        with Image.open(path) as image:
            assert image.width == 3.3 * draw.DPI
        assert path.stat().st_size < 60_000


def test_a_block_goes_with_the_first_image_that_follows_it() -> None:
    text = """# Plots

```python
first = 1
```

```python
ax = 2
```

Words. ![words](figures/not-in-a-line-of-its-own.png)

![a curve](figures/two.png)

![another](figures/more.png)

```text
no = code
```

```python
last = 3
```
"""
    assert list(draw.parts(text)) == [
        draw.Part("first = 1\n", None),
        draw.Part("ax = 2\n", "figures/two.png"),
        draw.Part("last = 3\n", None),
    ]


def test_a_thumbnail_is_the_last_figure_of_its_notebook_made_small(tmp_path, monkeypatch) -> None:
    def figure(colour):
        file = io.BytesIO()
        Image.new("RGB", (720, 300), colour).save(file, "png")
        return {"outputs": [{"data": {"image/png": base64.b64encode(file.getvalue()).decode()}}]}

    monkeypatch.setattr(draw, "DOCS", tmp_path / "docs")
    (tmp_path / "notebooks").mkdir()
    cells = [figure("red"), figure("blue"), {"outputs": [{"text": "done"}]}, {}]
    notebook = tmp_path / "notebooks" / "00_colours.ipynb"
    notebook.write_text(json.dumps({"cells": cells}), encoding="utf-8")
    draw.draw_thumbnails()
    with Image.open(tmp_path / "docs/figures/notebooks/00_colours.png") as small:
        image = small.convert("RGB")
    assert (image.size, image.getpixel((9, 9))) == ((360, 150), (0, 0, 255))
