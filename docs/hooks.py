"""What the site has beside this folder: notebooks as pages, and tables of the kept benchmarks."""

from __future__ import annotations

import json
import re
import sys
from importlib import import_module
from inspect import ismodule
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from nbconvert import MarkdownExporter

sys.path.insert(0, str(Path(__file__).parents[1]))  # mkdocs does not look for packages there.

from benchmarks import budgets, history
from benchmarks.report import filled

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
INDEX = """# Notebooks

One question each, answered by a figure and by assertions that the tests run. Read them in order, or
begin where your question is. Here they are as they were last run; the files are in `notebooks/` of
the checkout.

| | |
|---|---|
"""
ELSEWHERE = re.compile(r"""(?:src=|<link[^>]*href=)["']?(?:https?:)?//[^"'\s>]+""")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """List the notebooks in the navigation, behind their overview."""
    pages = [{path.stem.replace("_", " "): f"notebooks/{path.stem}.md"} for path in NOTEBOOKS]
    for entry in config.nav or ():
        if "Notebooks" in entry:
            entry["Notebooks"] = ["notebooks/index.md", *pages]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for each notebook, with the outputs that it was committed with."""
    index = INDEX
    for path in NOTEBOOKS:
        text, resources = MarkdownExporter().from_filename(str(path))
        for name, content in resources["outputs"].items():
            own = f"{path.stem}_{name}"
            text = text.replace(f"({name})", f"({own})")
            files.append(File.generated(config, f"notebooks/{own}", content=content))
        page = re.sub(r"\((\w+)\.ipynb\)", r"(\1.md)", text)
        files.append(File.generated(config, f"notebooks/{path.stem}.md", content=page))
        thumbnail = f"[![](../figures/notebooks/{path.stem}.png)]({path.stem}.md)"
        index += f"| {thumbnail} | **[{path.stem[3:]}]({path.stem}.md)**<br>{_question(path)} |\n"
    files.append(File.generated(config, "notebooks/index.md", content=index))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Fill the tables of `measurements.md` from the kept runs."""
    if page.file.src_uri != "measurements.md":
        return markdown
    return filled(markdown, history.read().records, budgets.load())


def on_post_page(output: str, page: Page, **_: Any) -> str:
    """Refuse a page that loads something from elsewhere, or a reference that lacks a public name.

    The site needs no network, and shows every name that a module exports.
    """
    if found := ELSEWHERE.search(output):
        raise PluginError(f"a page loads something from elsewhere: {found.group()}")
    if page.file.src_uri.startswith("reference/"):
        module = import_module(str(page.title))
        names = (
            name for name in getattr(module, "__all__", ()) if not ismodule(getattr(module, name))
        )
        missing = [name for name in names if f'id="{page.title}.{name}"' not in output]
        if missing:
            raise PluginError(f"{page.file.src_uri} lacks {', '.join(missing)}")
    return output


def _question(path: Path) -> str:
    """What the first cell of a notebook asks."""
    first = json.loads(path.read_text("utf-8"))["cells"][0]
    asked = "".join(first["source"]).partition("**The question:** ")[2].partition("\n\n")[0]
    return " ".join(asked.split())
