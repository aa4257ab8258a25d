"""Commit a store's write: apply it, append it to the journal, and call the subscribers."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from itertools import chain, repeat
from operator import call, length_hint
from typing import Any, Protocol

from vectorkit.collections import WriteResult
from vectorkit.collections.execution.guard import Guard
from vectorkit.collections.execution.jax_context import plain_jax
from vectorkit.collections.storage.redo import Change
from vectorkit.operations import Operation

Subscriber = Callable[[Operation], None]


class Journal(Protocol):
    """A replication node: it admits the writes of a store's clients and records them."""

    def admit(self) -> None:
        """Raise WriteRefused if the store takes no writes from clients now."""
        ...

    @property
    def place(self) -> Any:
        """The position of the next operation in the history, passed to `append`."""
        ...

    def append(self, operation: Operation, encoded: bytes, place: Any) -> None:
        """Record an operation that has been applied, with its encoding. It cannot refuse.

        If an exception interrupts it, it is called again with the same place and does the rest.
        """
        ...


class Committing(Protocol):
    """The attributes of a store that a commit uses."""

    _guard: Guard
    _subscribers: list[Subscriber]
    _applied: object


class Commit:
    """A write of a store. It is committed when the store's guard holds it as `pending`.

    After an exception, another call of `finish` continues where the last one stopped. The change
    may be made twice; the journal recognizes an operation that it has; and C code calls the
    subscribers one by one, so that each is called exactly once.
    """

    __slots__ = (
        "_called",
        "_calls",
        "_change",
        "_encoded",
        "_failures",
        "_journal",
        "_operation",
        "_place",
        "_result",
        "_store",
        "_token",
        "_waiting",
    )

    def __init__(
        self,
        store: Committing,
        change: Change,
        operation: Operation,
        encoded: bytes,
        journal: Journal | None,
        token: object,
    ) -> None:
        self._store = store
        self._change = change
        self._operation = operation
        self._encoded = encoded
        self._journal = journal
        self._place = None if journal is None else journal.place
        self._token = token
        self._called = tuple(store._subscribers)
        self._waiting = iter(self._called)
        self._calls = map(call, chain(self._waiting, repeat(_no_more)), repeat(operation))
        self._result: WriteResult | None = None
        self._failures: list[str] = []

    def finish(self) -> WriteResult:
        """Apply the change, append it to the journal, and call the subscribers."""
        store = self._store
        if self._result is None:
            self._result = self._made()
        if self._token is not None:
            store._applied = self._token
        if self._journal is not None:
            append = partial(self._journal.append, self._operation, self._encoded, self._place)
            store._guard.run_open(append)  # The change is made: a journal may read the store.
            self._journal = None
        if self._called:
            self._notify()
        store._guard.pending = None
        for text in self._failures:
            warnings.warn(text, RuntimeWarning, stacklevel=2)
        return self._result

    def _made(self) -> WriteResult:
        try:
            with plain_jax():
                return self._change.make()
        except Exception:
            if not self._change.has_happened():
                self._store._guard.pending = None
            raise

    def _notify(self) -> None:
        outcome: object = None
        while outcome is not _no_more:
            try:
                outcome = self._store._guard.run_open(partial(next, self._calls))
            except Exception as error:
                last = self._called[len(self._called) - length_hint(self._waiting) - 1]
                self._failures.append(f"subscriber {last!r} raised {error!r}; the write stands")


def _no_more(_: Operation) -> object:
    """Called after the last subscriber."""
    return _no_more
