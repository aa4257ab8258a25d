"""Detect forks of a process in which JAX runs. JAX needs threads that a fork lacks: it would hang.

Calls need no check of the process. A hook notes the fork when it happens, and replaces the locks
that the fork has inherited (`Guard`): a thread that does not exist there may hold one of them.
"""

from __future__ import annotations

import os

from jax._src import xla_bridge

from vectorkit.errors import ForkedProcess


class _Process:
    """This process. JAX may also start in a fork, if it had not started before the fork."""

    had_jax = False
    is_fork_with_jax = False


this_process = _Process()


def forked() -> ForkedProcess:
    """The error for a call that would hang."""
    return ForkedProcess(
        "this process is a fork, in which JAX cannot run",
        got=f"a call in process {os.getpid()}, forked from {os.getppid()}",
        wanted="a new process, not a fork",
        remedy="start processes by multiprocessing.get_context('spawn') or 'forkserver', or fork "
        "before JAX is used; collections and snapshots can be pickled",
    )


def _before_fork() -> None:
    # A function of JAX would take a lock, so this reads the dict itself. If JAX has no such dict,
    # assume that JAX has started.
    this_process.had_jax = bool(getattr(xla_bridge, "_backends", True))


def _in_fork() -> None:
    this_process.is_fork_with_jax |= this_process.had_jax


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_child=_in_fork)
