"""The lock of a collection or a store, and the committed change that it may have to finish."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import partial
from typing import Final, ParamSpec, Protocol, TypeVar, cast
from weakref import WeakSet

from vectorkit.collections.forks import forked, this_process
from vectorkit.collections.jax_context import plain_jax
from vectorkit.errors import WriteInFilter

P = ParamSpec("P")
R = TypeVar("R")


class Unfinished(Protocol):
    """A committed change whose work is not finished."""

    def finish(self) -> object:
        """Do the rest. After an exception, another call continues where this one stopped."""
        ...


class _Lock(Protocol):
    def __enter__(self) -> bool: ...
    def __exit__(self, *_: object) -> None: ...
    def release(self) -> None: ...
    def _is_owned(self) -> bool: ...


class _RefusingLock:
    """The lock of a guard in a forked process: every use of it raises ForkedProcess."""

    def _is_owned(self) -> bool:
        raise forked()

    __enter__ = _is_owned

    def __exit__(self, *_: object) -> None:
        raise forked()

    def release(self) -> None:
        raise forked()


class Guard:
    """Runs one call at a time, and first finishes what an interrupted call has committed.

    `pending` is that change. A call from inside another call (by a subscriber, for example) does
    not finish it: the pending change belongs to the outer call, which finishes it itself.

    A function passed as `where` runs in the middle of a search. A write by that function would
    replace the state that the search has already read, so `refuse_in_filter` refuses it.
    """

    __slots__ = ("__weakref__", "_runs_filter", "lock", "pending")

    def __init__(self) -> None:
        self.lock = cast("_Lock", threading.RLock())
        self._runs_filter = False
        self.pending: Unfinished | None = None
        _guards.add(self)

    @property
    def is_owned(self) -> bool:
        """Whether the calling thread is inside a call."""
        return self.lock._is_owned()

    def run(self, function: Callable[P, R], *arguments: P.args, **options: P.kwargs) -> R:
        """Call a function under the lock.

        An exception may arrive between the last line of the block and the release of the lock, or
        while another exception leaves the block. Then the lock would stay locked, and no statement
        of Python prevents that. So the outermost call of a thread checks the lock once more.
        """
        lock = self.lock
        is_inside = lock._is_owned()
        try:
            with lock:
                if not is_inside:
                    self._runs_filter = False
                    if self.pending is not None:
                        with plain_jax():
                            self.pending.finish()
                return function(*arguments, **options)
        except BaseException:
            self.let_go(is_inside)
            raise

    def let_go(self, is_inside: bool) -> None:
        """Release the lock if an exception left it locked. Only the outermost call does this."""
        while not is_inside and self.lock._is_owned():
            self.lock.release()

    def run_on_device(self, function: Callable[P, R], *arguments: P.args, **options: P.kwargs) -> R:
        """Call a function that uses a device, under the lock and JAX's default settings."""
        with plain_jax():
            return self.run(function, *arguments, **options)

    def run_filter(self, function: Callable[P, R], *arguments: P.args, **options: P.kwargs) -> R:
        """Call a filter function under the lock, and refuse writes by the same thread meanwhile."""
        return self.run(self._run_filter, partial(function, *arguments, **options))

    def _run_filter(self, function: Callable[[], R]) -> R:
        outer, self._runs_filter = self._runs_filter, True
        try:
            return function()
        finally:
            self._runs_filter = outer

    def refuse_in_filter(self) -> None:
        """Raise WriteInFilter inside `run_filter`. Called inside `run` only."""
        if self._runs_filter:
            raise WriteInFilter(
                "a filter function cannot write to the collection or store that is being searched",
                got="a write inside the function passed as `where`",
                wanted="no write before the search returns",
                remedy="collect what to write, and write it after the search",
            )


_guards: Final = WeakSet[Guard]()


def _refuse_in_fork() -> None:
    if this_process.is_fork_with_jax:
        for guard in _guards:
            guard.lock = _RefusingLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_refuse_in_fork)
