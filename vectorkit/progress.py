"""Progress bars, in a terminal and in a notebook."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tqdm.auto import tqdm


class Progress:
    """Something that goes from 0 to `total`."""

    # tqdm is generic in its stubs only, so the class itself takes no argument.
    def __init__(self, bar: tqdm) -> None:  # type: ignore[type-arg]
        self._bar = bar

    def step(self) -> None:
        """One more is done."""
        self._bar.update(1)

    def reach(self, value: float) -> None:
        """So much is done."""
        self._bar.update(value - self._bar.n)


@contextmanager
def progress(title: str, *, total: float, unit: str) -> Iterator[Progress]:
    """Show how far something is while the block runs.

    >>> with progress("counting", total=2, unit="n") as bar:
    ...     bar.step()
    """
    interval_s = 0.1 if sys.stderr.isatty() else 5.0  # A log needs fewer lines than a screen.
    with tqdm(total=total, desc=title, unit=unit, mininterval=interval_s) as bar:
        yield Progress(bar)
