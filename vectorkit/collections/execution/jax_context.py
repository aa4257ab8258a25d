"""Run collections under JAX's default settings, independently of the caller's settings.

A collection may be called anywhere: while JAX traces a function (`jax.jit`, `jax.vmap`, `jax.grad`,
`jax.lax.scan`, …), under a mesh, and under settings that forbid transfers or promotions, change
dtypes or look for infinities. Its programs are written and tested for JAX's defaults, and its state
must never hold a tracer. So every call that uses a device enters `plain_jax()` before it takes a
lock. Inside, tracing is suspended and the settings that matter have their defaults. Afterwards the
caller's settings are restored.

JAX has public context managers for most of these settings, but not for all, and its public ways to
read them take longer than a small call. So this module, and no other, uses private modules of JAX.
It skips a setting that the installed version of JAX does not have.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from typing import Any, Final, NamedTuple

import jax
from jax._src import config as jax_config
from jax._src import core as jax_core

from vectorkit.collections.execution.forks import forked, this_process

Enter = Callable[[ExitStack], None]

_GUARD: Final = ("allow", None, "log", "log_explicit")
_SETTINGS: Final[dict[str, tuple[Any, ...]]] = {
    "check_vma": (False,),
    "eager_constant_folding": (False,),
    "jax_auto_pcast": (True,),
    "jax_debug_infs": (False,),
    "jax_debug_nans": (False,),
    "jax_default_device": (None,),
    "jax_default_matmul_precision": (None,),
    "jax_disable_jit": (False,),
    "jax_enable_x64": (False,),
    "jax_no_execution": (False,),
    "jax_no_tracing": (False,),
    "jax_numpy_dtype_promotion": ("standard",),
    "jax_numpy_rank_promotion": ("allow", "warn"),
    "jax_transfer_guard_device_to_device": _GUARD,
    "jax_transfer_guard_device_to_host": _GUARD,
    "jax_transfer_guard_host_to_device": _GUARD,
}
"""Settings that change results or dtypes or forbid what collections do, with harmless values.

Any other value is replaced by the first harmless one. Settings that only report, such as
`jax_log_compiles`, keep the caller's value.
"""

_OF_A_THREAD: Final[dict[str, Any]] = {
    "abstract_mesh_context_manager": None,
    "compute_on_context_manager": None,
    "device_context": None,
    "mesh_context_manager": (),
}
"""Settings of a thread by `jax.set_mesh`, `with mesh:` and `compute_on`, with their defaults."""


class _Setting(NamedTuple):
    """`state` is JAX's own object, which holds the value of this thread."""

    state: Any
    harmless: tuple[Any, ...]
    enter: Enter


def _unset(state: Any, stack: ExitStack) -> None:
    stack.callback(state.set_local, state.get_local())
    state.set_local(jax_config.config_ext.unset)


def _set(state: Any, value: Any, stack: ExitStack) -> None:
    stack.enter_context(state(value))


def _suspend_tracing(stack: ExitStack) -> None:
    stack.enter_context(jax.core.eval_context())


def _settings() -> Iterator[_Setting]:
    # Tracing comes first: JAX refuses to change some of the others while it traces.
    yield _Setting(jax_core.trace_state_strong_ref, (jax_core.eval_trace,), _suspend_tracing)
    thread: list[tuple[Any, Any]] = [(jax_core.axis_env_state, jax_core.top_axis_env)]
    thread += [(getattr(jax_config, name, None), value) for name, value in _OF_A_THREAD.items()]
    for state, value in thread:
        if state is not None:
            yield _Setting(state, (value,), partial(_unset, state))
    for name, harmless in _SETTINGS.items():
        if (held := jax_config.config_states.get(name)) is not None:
            yield _Setting(held, harmless, partial(_set, held, harmless[0]))


_ALL: Final = tuple(_settings())

# JAX makes one tuple of all settings that a traced function depends on. Our other settings are
# read one by one. If JAX lacks that tuple, `object` replaces it: no two of its results are equal,
# so that all settings are read at every call.
_traced_settings: Final[Callable[[], object]] = getattr(jax_config, "trace_context", object)
_IN_TUPLE: Final = frozenset(getattr(jax_config, "trace_context_names", tuple)())
_ELSEWHERE: Final = tuple(each.state for each in _ALL if each.state.name not in _IN_TUPLE)

program_settings: Final[Callable[[], object]] = getattr(jax_config, "trace_context", type(None))
"""The settings that belong to the key of a compiled program in JAX, as one hashable value."""

_NOTHING: Final = nullcontext()


class _Memo:
    """The settings that were read last, in any thread, and what has to be entered for them."""

    last: tuple[object, tuple[Enter, ...]] = (None, ())

    def forget(self) -> None:
        """Forget them in a fork, so that its next call reads them and raises ForkedProcess."""
        self.last = (None, ())


_memo: Final = _Memo()


def plain_jax() -> AbstractContextManager[Any]:
    """Return a context in which JAX computes at once and under its default settings.

    The caller's settings are restored afterwards. Takes about a microsecond if the caller's
    settings are harmless. Raises ForkedProcess in a fork, where JAX would hang.

    >>> with jax.enable_x64(True), plain_jax():
    ...     jax.config.jax_enable_x64
    False
    """
    found = [_traced_settings(), *[state.value for state in _ELSEWHERE]]
    known, entries = _memo.last
    if found != known:
        if this_process.is_fork_with_jax:
            raise forked()
        entries = tuple(each.enter for each in _ALL if each.state.value not in each.harmless)
        _memo.last = (found, entries)
    return _entered(entries) if entries else _NOTHING


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_memo.forget)


@contextmanager
def _entered(entries: tuple[Enter, ...]) -> Iterator[None]:
    stack = ExitStack()
    try:
        with stack:
            for enter in entries:
                enter(stack)
            yield
    except BaseException:
        # An exception between the end of the block and the call of its exit would skip the exit.
        stack.close()
        raise
