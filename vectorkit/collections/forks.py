"""Forks of a process in which JAX runs: JAX has threads that a fork lacks, and would hang there.

Nothing is asked on the way of a call. The fork itself notes what it is, and the locks that it has
inherited are replaced (`Guard`): one may be held for good by a thread that does not exist there.
"""

from __future__ import annotations

import os

from jax._src import xla_bridge

from vectorkit.errors import ForkedProcess


class _Process:
    """This process. JAX may also begin in a fork, where it had not begun before."""

    had_jax = False
    is_fork_with_jax = False


this_process = _Process()


def forked() -> ForkedProcess:
    """The error for a call that would hang."""
    return ForkedProcess(
        "this process is a fork, in which JAX cannot run",
        got=f"a call in process {os.getpid()}, forked from {os.getppid()}",
        wanted="a process that was started afresh",
        remedy="start processes by multiprocessing.get_context('spawn') or 'forkserver', or fork "
        "before JAX is used; collections and snapshots travel as pickles",
    )


def _before_fork() -> None:
    # Not by a function of JAX, which would take a lock. Without this dict: as if JAX had begun.
    this_process.had_jax = bool(getattr(xla_bridge, "_backends", True))


def _in_fork() -> None:
    this_process.is_fork_with_jax |= this_process.had_jax


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_child=_in_fork)
