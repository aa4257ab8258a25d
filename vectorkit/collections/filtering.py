"""Writes that a filter function makes to what is being searched are refused.

A function as `where` runs in the middle of a search, under the lock of its collection, which the
same thread may enter again: a write would replace the state that the search has already taken.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from vectorkit.errors import WriteInFilter


class _Running(threading.local):
    """The locks of the collections and stores that filter functions of this thread run for."""

    locks: tuple[object, ...] = ()


running = _Running()


@contextmanager
def filter_function(lock: object) -> Iterator[None]:
    """Until this ends, `refuse_write(lock)` refuses in this thread.

    A store and its collections share one lock, so it stands for all of them.
    """
    outer = running.locks
    running.locks = (*outer, lock)
    try:
        yield
    finally:
        running.locks = outer


def refuse_write(lock: object) -> None:
    """Raise WriteInFilter where a filter function of this thread runs under `lock`."""
    if lock in running.locks:
        raise WriteInFilter(
            "a filter function cannot write to the collection or store that is being searched",
            got="a write inside the function passed as `where`",
            wanted="no write before the search returns",
            remedy="collect what to write, and write it after the search",
        )
