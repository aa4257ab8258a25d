"""Work in a process of its own: bound to its cores, and free to crash.

Thread pools are sized when their libraries load, so a fresh process is the one way to bind all of
them. Idle OpenMP threads sleep, or else they would slow down whoever is timed next.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")
DROPPED = ("OPENBLAS_", "XLA_FLAGS", "JAX_COMPILATION_CACHE")
"""What some environments set, and what would make figures of one machine two: slow kernels of
OpenBLAS, virtual devices, programs that were compiled before."""


class Lost(RuntimeError):
    """The process ended, or gave no answer, before it had done what was asked."""


class Isolated:
    """A process that runs `target(connection, *args)` on so many cores."""

    def __init__(self, target: Callable[..., None], *args: Any, cores: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._here, there = context.Pipe()
        self._process = context.Process(target=_begin, args=(target, cores, there, args))
        with environment(cores):
            self._process.start()
        there.close()  # Its end is the only one left, so that its death is the end of the file.

    def send(self, message: Any) -> None:
        """Hand it a message. Raises Lost where it has ended."""
        try:
            self._here.send(message)
        except OSError as error:
            raise self._lost() from error

    def receive(self, limit_s: float) -> Any:
        """Its next message. Raises Lost where it has ended or says nothing for `limit_s`."""
        if not self._here.poll(limit_s):
            self.close()
            raise Lost(f"no answer after {limit_s:g} s")
        try:
            return self._here.recv()
        except (EOFError, OSError) as error:
            raise self._lost() from error

    def _lost(self) -> Lost:
        self._process.join(5)
        code = self._process.exitcode
        how = f"by {signal.Signals(-code).name}" if code and code < 0 else f"with code {code}"
        return Lost(f"its process ended {how}")

    def close(self) -> None:
        """End the process, whatever it is doing."""
        self._here.close()
        self._process.join(0.5)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _begin(
    target: Callable[..., None], cores: int, connection: Connection, args: tuple[Any, ...]
) -> None:
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    target(connection, *args)


def memory_bytes(field: str) -> int:
    """VmRSS or VmHWM of this process, which Linux counts in kB of 1,024."""
    lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    return next(int(line.split()[1]) * 1_024 for line in lines if line.startswith(field + ":"))


@contextmanager
def environment(cores: int) -> Iterator[None]:
    """The variables that a new process on so many cores shall inherit."""
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith(DROPPED)]:
        del os.environ[name]
    os.environ |= dict.fromkeys(THREADS, str(cores)) | {"OMP_WAIT_POLICY": "passive"}
    try:
        yield
    finally:
        os.environ.clear()
        os.environ |= before
