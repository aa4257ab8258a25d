"""Who still reads a value: as long as anybody does, it is not changed in place."""

from __future__ import annotations

from collections.abc import Callable
from weakref import ref


class Pin:
    """Held by whoever reads a value; letting go of it needs no call, so nothing can prevent it."""

    __slots__ = ("__weakref__",)


def _nobody() -> Pin | None:
    return None


class Pinned:
    """The pins of one value. A value that replaces it gets pins of its own."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last: Callable[[], Pin | None] = _nobody

    def hold(self) -> Pin:
        """A pin; all present holders share one."""
        pin = self._last()
        if pin is None:
            pin = Pin()
            self._last = ref(pin)
        return pin

    @property
    def is_held(self) -> bool:
        """Whether anybody holds one."""
        return self._last() is not None
