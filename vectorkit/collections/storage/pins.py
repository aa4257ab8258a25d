"""Pins mark values that a reader still uses: a pinned value is not changed in place."""

from __future__ import annotations

from collections.abc import Callable
from weakref import ref


class Pin:
    """A reader of a value keeps this object. Garbage collection releases it, without a call."""

    __slots__ = ("__weakref__",)


def _nobody() -> Pin | None:
    return None


class Pinned:
    """The pins of one value. Its replacement has other pins."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last: Callable[[], Pin | None] = _nobody

    def hold(self) -> Pin:
        """Return a pin; all present readers share one."""
        pin = self._last()
        if pin is None:
            pin = Pin()
            self._last = ref(pin)
        return pin

    @property
    def is_held(self) -> bool:
        """Whether a reader still keeps a pin."""
        return self._last() is not None
