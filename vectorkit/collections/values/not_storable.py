"""The error for a value that cannot be stored: the value, its path, and what to pass instead."""

from __future__ import annotations

from typing import Final

_TEXT_MAX: Final = 60


class NotStorable(ValueError):
    """A value cannot be stored. `path` is its path in the payload, innermost part first."""

    def __init__(self, value: object, remedy: str) -> None:
        super().__init__(remedy)
        self.value = value
        self.remedy = remedy
        self.path: list[str | int] = []

    @property
    def place(self) -> str:
        """The path as a text, such as "meta.tags[3]"."""
        parts = reversed(self.path)
        text = "".join(f"[{part}]" if isinstance(part, int) else _named(part) for part in parts)
        return cut(text.removeprefix("."))

    @property
    def got(self) -> str:
        """The value and its type, cut to fit an error text."""
        return f"{short(self.value)} ({type(self.value).__name__})"


def short(value: object) -> str:
    """The repr of a value, cut to fit an error text."""
    try:
        text = " ".join(map(str.strip, repr(value).splitlines()))
    except (ValueError, RecursionError):
        text = f"a {type(value).__name__} too large to show"
    return cut(text)


def cut(text: str) -> str:
    """A text, cut to fit an error text."""
    return text if len(text) <= _TEXT_MAX else f"{text[: _TEXT_MAX - 1]}…"


def _named(key: str) -> str:
    is_plain = key != "" and not set(key) & set(".[]'\" \n")
    return f".{key}" if is_plain else f"[{key!r}]"
