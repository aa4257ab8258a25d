"""A peer in a process of its own: timed there, and free to crash there."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import numpy as np

from benchmarks.isolated import Isolated, Lost, memory_bytes
from benchmarks.peers import FLOORS, HOME, PEERS, how_to_get
from benchmarks.rows import OURS
from benchmarks.timing import Call, Lap, lap, told

CALL_LIMIT_S = 300.0
"""How long one call may take before its peer counts as hung."""
MAKE_LIMIT_S = 120.0


class Reply(NamedTuple):
    """What a call took, what it gave, and the error that ended it."""

    lap: Lap
    given: Any = None
    error: str = ""


class Failed(RuntimeError):
    """A peer's own error, or its end."""


class Remote:
    """A competitor by name. Once it has failed, every call raises the same."""

    def __init__(self, name: str, cores: int) -> None:
        self.name = name
        self.error = ""
        adapter = {**HOME, **FLOORS, **PEERS}[name].adapter
        self._process = Isolated(serve, name, adapter, cores, cores=cores)
        self._take(MAKE_LIMIT_S)

    def call(self, method: str, *args: Any) -> Reply:
        """Run a method there and wait. Raises Failed with its error, now and for ever after."""
        if not self.error:
            try:
                self._process.send((method, args))
            except Lost as error:
                self.error = told(error)
        return self._take(CALL_LIMIT_S)

    def lap(self, method: str, *args: Any) -> Lap:
        return self.call(method, *args).lap

    def timed(self, method: str, *args: Any) -> Call:
        """A competitor that does the same on every round."""
        return lambda _: self.lap(method, *args)

    def _take(self, limit_s: float) -> Reply:
        if not self.error:
            try:
                reply: Reply = self._process.receive(limit_s)
            except Lost as error:
                self.error = told(error)
            else:
                self.error = reply.error
                if not self.error:
                    return reply
        raise Failed(self.error)

    def close(self) -> None:
        self._process.close()


@contextmanager
def loaded(
    names: Iterable[str], ids: Sequence[str], rows: np.ndarray, cores: int
) -> Iterator[dict[str, Remote | Absent]]:
    """vectorkit and these competitors, each holding the rows; who cannot is there with its error.

    Their processes end with the block.
    """
    made: dict[str, Remote | Absent] = {}
    try:
        for name in dict.fromkeys([OURS, *names]):
            try:
                made[name] = Remote(name, cores)
                made[name].call("load", ids, rows)
            except Failed as error:
                made[name] = Absent(name, str(error))
        yield made
    finally:
        for each in made.values():
            each.close()


class Absent:
    """A competitor that could not be made or loaded: every call says why."""

    def __init__(self, name: str, error: str) -> None:
        self.name, self.error = name, error

    def call(self, method: str, *args: Any) -> Reply:
        raise Failed(self.error)

    def lap(self, method: str, *args: Any) -> Lap:
        raise Failed(self.error)

    def timed(self, method: str, *args: Any) -> Call:
        return lambda _: self.lap(method)

    def close(self) -> None:
        """There is nothing to end."""


def serve(connection: Connection, name: str, adapter: str, cores: int) -> None:
    """In the peer's process: make it, then do what is asked until nobody asks any more."""
    module, _, attribute = adapter.partition(":")
    try:
        peer = getattr(importlib.import_module(module), attribute)(cores)
    except ImportError as error:
        connection.send(Reply(Lap(0.0), error=f"{told(error)}; {how_to_get(name)}"))
        return
    except Exception as error:
        connection.send(Reply(Lap(0.0), error=told(error)))
        return
    connection.send(Reply(Lap(0.0)))
    with suppress(EOFError, OSError):  # The end of whoever asks is the end of this process.
        while True:
            method, args = connection.recv()
            connection.send(_done(peer, method, args))


def _done(peer: Any, method: str, args: tuple[Any, ...]) -> Reply:
    if method == "resident_bytes":
        return Reply(Lap(0.0), memory_bytes("VmRSS"))
    try:
        taken, given = lap(lambda: getattr(peer, method)(*args), has_jax=peer.has_jax)
    except Exception as error:
        return Reply(Lap(0.0), error=told(error))
    return Reply(taken, given)
