"""The lock of a collection or a store, and the committed change that it may have to finish."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Final, ParamSpec, Protocol, TypeVar, cast
from weakref import WeakSet

from vectorkit.collections.execution.forks import forked, this_process
from vectorkit.collections.execution.jax_context import plain_jax
from vectorkit.errors import ReentrantCall, WriteInFilter

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

    Python runs signal handlers and finalizers between any two bytecodes, so one of them may call
    while another call of the same thread is half done. The lock does not stop it: it belongs to
    that thread. So `run` refuses a call from inside another call, unless that one has opened the
    guard: while a filter function, a journal or a subscriber runs, the state is whole, and they may
    read. Code of the package that holds the lock calls the functions behind `run` directly.

    A function passed as `where` runs in the middle of a search. A write by that function would
    replace the state that the search has already read, so `refuse_in_filter` refuses it.
    """

    __slots__ = ("__weakref__", "is_open", "lock", "pending", "runs_filter")

    def __init__(self) -> None:
        self.lock = cast("_Lock", threading.RLock())
        self.runs_filter = False
        self.is_open = False
        """Whether the outer call is at a place where an inner one may read."""
        self.pending: Unfinished | None = None
        _guards.add(self)

    @property
    def is_owned(self) -> bool:
        """Whether the calling thread is inside a call."""
        return self.lock._is_owned()

    def run(self, function: Callable[P, R], *arguments: P.args, **options: P.kwargs) -> R:
        """Call a function under the lock. Raises ReentrantCall amid another call of this thread.

        An exception may arrive between the last line of the block and the release of the lock, or
        while another exception leaves the block. Then the lock would stay locked, and no statement
        of Python prevents that. So the outermost call of a thread checks the lock once more.
        """
        lock = self.lock
        if lock._is_owned():
            if self.is_open:
                return self._run_inside(partial(function, *arguments, **options))
            self.refuse_inside()
        try:
            with lock:
                self.is_open = self.runs_filter = False
                if self.pending is not None:
                    with plain_jax():
                        self.pending.finish()
                return function(*arguments, **options)
        except BaseException:
            self.release()
            raise

    def _run_inside(self, function: Callable[[], R]) -> R:
        self.is_open = False
        try:
            return function()
        finally:
            self.is_open = True

    def release(self) -> None:
        """Release the lock if an exception left it locked. Only the outermost call does this."""
        while self.lock._is_owned():
            self.is_open = False
            self.lock.release()

    def refuse_inside(self) -> None:
        """Refuse a call from inside another call of this thread.

        If no other call is running, several exceptions in a row have left the lock locked. Then
        this releases it, and the call goes on as the outermost one.
        """
        if self.is_open:
            self.refuse_in_filter()
        frame: FrameType | None = sys._getframe(2)
        while frame is not None:
            names = frame.f_locals
            is_run = frame.f_code.co_name == "run" and names.get("self") is self
            if is_run or names.get("guard") is self:
                raise ReentrantCall(
                    "another call of the same thread is in the middle of its work",
                    got="a call by a signal handler, a finalizer or another callback",
                    wanted="no call before that one has returned",
                    remedy="let the callback set a flag or fill a queue, and make the call later",
                )
            frame = frame.f_back
        self.release()

    def run_on_device(self, function: Callable[P, R], *arguments: P.args, **options: P.kwargs) -> R:
        """Call a function that uses a device, under the lock and JAX's default settings."""
        with plain_jax():
            return self.run(function, *arguments, **options)

    def run_filter(self, function: Callable[P, R], *arguments: P.args, **options: P.kwargs) -> R:
        """Call a filter function under the lock. It may read meanwhile; it cannot write."""
        call = partial(self._run_filter, partial(function, *arguments, **options))
        return call() if self.lock._is_owned() else self.run(call)

    def _run_filter(self, function: Callable[[], R]) -> R:
        outer, self.runs_filter = self.runs_filter, True
        try:
            return self.run_open(function)
        finally:
            self.runs_filter = outer

    def run_open(self, function: Callable[[], R]) -> R:
        """Call a function of the user, which may read meanwhile. Called inside `run` only."""
        self.is_open = True
        try:
            return function()
        finally:
            self.is_open = False

    def refuse_in_filter(self) -> None:
        """Raise WriteInFilter inside `run_filter`. Called inside `run` only."""
        if self.runs_filter:
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
