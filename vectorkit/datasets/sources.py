"""Where data sets come from: files of installed packages, or an error with the remedy."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from vectorkit.errors import DatasetNotInstalled, InvalidOption


def check_count(option: str, count: int, least: int, most: int, purpose: str) -> None:
    """Refuse a number of rows that is no integer, or out of range, with InvalidOption."""
    is_whole = isinstance(count, int | np.integer) and not isinstance(count, bool | np.timedelta64)
    if not is_whole or not least <= count <= most:
        raise InvalidOption(
            f"cannot {purpose}",
            got=f"{option}={count!r}",
            wanted=f"an integer from {least} to {most:,}",
            remedy=f"choose {option} within this range",
        )


def packaged(package: str, inner: str = "", *, extra: str, wanted: str) -> Path:
    """The path of a package, or of a file or folder in it, found without importing it.

    Raises DatasetNotInstalled, naming the extra that brings it, where there is no such path.
    """
    spec = find_spec(package)
    folders = (spec.submodule_search_locations if spec else None) or ()
    for path in (Path(folder, inner) for folder in folders):
        if path.exists():
            return path
    raise DatasetNotInstalled(
        f"the {extra} extra is missing",
        got=f"a package {package!r} without {inner}" if folders else f"no package {package!r}",
        wanted=wanted,
        remedy=f"install it from the source folder: python -m pip install '.[{extra}]'",
        package=package,
    )
