"""What must stand before any test, doctest or notebook starts; pytest loads this file first."""

import gc
import os
import shutil
import tempfile
from functools import partial
from pathlib import Path

import matplotlib as mpl
import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

from notebooks.refresh import ENVIRONMENT

# Subprocesses and notebook kernels inherit these. MPLBACKEND is not among them: it would keep
# kernels from showing figures, so this process alone is told to draw without a screen.
for name, value in ENVIRONMENT.items():
    os.environ.setdefault(name, value)
# Four virtual devices, so that other devices than the first, and meshes, are tested in-process.
# On busy processors they wait for one another, and XLA would abort after 40 seconds of that.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_force_host_platform_device_count=4"
    " --xla_cpu_collective_call_terminate_timeout_seconds=300",
)
mpl.use("Agg")

# Shapes in signatures are checked in tests only, for modules imported from here on.
install_import_hook("vectorkit.kernels", "beartype.beartype")

# Deterministic unless asked: a red test is red again on the next run and on another machine.
settings.register_profile("dev", derandomize=True, deadline=None, max_examples=50)
settings.register_profile("ci", settings.get_profile("dev"), max_examples=100, print_blob=True)
settings.register_profile("thorough", deadline=None, max_examples=1_000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if "CI" in os.environ else "dev"))


WORKERS_MAX = 4
MAPPINGS_MAX = 30_000
"""XLA maps memory for each program, and Linux allows a process 65,530 mappings."""


def pytest_configure(config: pytest.Config) -> None:
    """Let workers, kernels and subprocesses of this run share the programs that they compile.

    The directory begins empty, so a run never depends on what an earlier one has compiled. The
    environment hands it on: a worker finds it set, as it finds one that the caller has chosen.
    """
    # JAX leaves out what compiles within a second, or is small: that is nearly every program here.
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    folder = tempfile.mkdtemp(prefix="vectorkit-programs-")
    config.add_cleanup(partial(shutil.rmtree, folder, ignore_errors=True))
    config.add_cleanup(partial(os.environ.pop, "JAX_COMPILATION_CACHE_DIR", None))
    os.environ["JAX_COMPILATION_CACHE_DIR"] = folder


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """A run of everything takes the processors that there are, a run of named paths stays here."""
    if config.args_source is not pytest.Config.ArgsSource.TESTPATHS:
        return 0
    return min(os.cpu_count() or 1, WORKERS_MAX)


def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Forget compiled programs between files, where there are many: one process can run all."""
    mappings = Path("/proc/self/maps")
    if nextitem is None or nextitem.path == item.path or not mappings.exists():
        return
    if mappings.read_bytes().count(b"\n") > MAPPINGS_MAX:
        import jax

        jax.clear_caches()
        gc.collect()
