"""Style as a test: layers, sizes, and the places where each outside name may appear."""

import ast
import graphlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1] / "vectorkit"

# Left never imports right; modules of one layer stand on one line and form no cycle.
LAYERS = (
    "errors types units draws atomic records display tabular accessors progress",
    "operations",
    "kernels",
    "collections",
    "datasets",
    "store",
    "replication",
    "sim",
    "frames",
    "measure",
    "plot",
    "notebook",
    "testing",
    "cli",
)
RANKS = {name: rank for rank, names in enumerate(LAYERS) for name in names.split()}
ROOT_RANK = len(LAYERS)  # The package root re-exports everything, so it stands right of all.

MODULE_LINES_MAX = 500
FUNCTION_LINES_MAX = 70
COLUMNS_MAX = 100


def layers_from(first: str) -> set[str]:
    return {name for name, rank in RANKS.items() if rank >= RANKS[first]}


DETERMINISTIC = {"draws", "operations", "kernels", "collections", "store", "replication", "sim"}
RANDOM = set(RANKS) - DETERMINISTIC
CLOCKS = {"measure", "cli"}

# Names from outside, each with the layers or modules that may use it.
CONFINED = {
    "jax.jit": {"collections.backends.compiled"},
    "pandas": layers_from("measure")
    | {"tabular", "collections.from_frame", "sim.sweeps.frames", "sim.sweeps.intervals"},
    "matplotlib": {"accessors", "plot", "notebook", "cli"},
    "ipywidgets": {"notebook"},
    "tqdm": {"progress"},
    "random": RANDOM,
    "numpy.random": RANDOM,
    "secrets": RANDOM,
    "uuid": RANDOM
    | {"collections.values.conversion"},  # Types only: it converts values that callers pass.
    "time": CLOCKS,
    "datetime": CLOCKS | {"collections.values.conversion", "collections.values.time_texts"},
    "importlib.import_module": set(),  # It would hide an import from this test.
}
NOT_AT_IMPORT = "matplotlib"  # It is slow to load: import it inside functions.


class Use(NamedTuple):
    """A mention of something imported: `from a import b` and `a.b` both mention "a.b"."""

    name: str
    line: int
    where: str  # "module", "function" or "types" (under TYPE_CHECKING)
    is_import: bool


class Module:
    def __init__(self, path: str, source: str) -> None:
        self.path = path
        self.source = source
        self.tree = ast.parse(source)
        self.parts = Path(path).with_suffix("").parts
        self.parts = self.parts[:-1] if self.parts[-1] == "__init__" else self.parts
        self.is_root = path in {"__init__.py", "__main__.py"}
        self.layer = self.parts[0] if self.parts else ""
        self.name = ".".join(("vectorkit", *self.parts))
        self.rank = ROOT_RANK if self.is_root else RANKS.get(self.layer, -1)
        self.imports = list(imports(self.tree))
        self.uses = [*self.imports, *attributes(self.tree)]


def imports(node: ast.AST, where: str = "module") -> Iterator[Use]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Use(alias.name, child.lineno, where, True) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            names = (f"{child.module}.{alias.name}" for alias in child.names)
            yield from (Use(name, child.lineno, where, True) for name in names)
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from imports(child, "function")
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            yield from imports(ast.Module(child.body), "types")
            yield from imports(ast.Module(child.orelse), where)
        else:
            yield from imports(child, where)


def attributes(tree: ast.Module) -> Iterator[Use]:
    """Dotted names, with the import behind their first word put in its place."""
    bound = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            prefix = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            bound |= {a.asname: prefix + a.name for a in node.names if a.asname}
            bound |= {a.name: prefix + a.name for a in node.names if not a.asname}
    types_only = {use.name for use in imports(tree) if use.where == "types"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            first, _, rest = ast.unparse(node).partition(".")
            if first in bound and bound[first] not in types_only:
                yield Use(f"{bound[first]}.{rest}", node.lineno, "function", False)


def target_rank(name: str) -> int:
    return RANKS.get([*name.split("."), ""][1], ROOT_RANK)


def own_imports(module: Module) -> list[Use]:
    return [use for use in module.imports if use.name.split(".")[0] == "vectorkit"]


def starts_with(name: str, prefix: str) -> bool:
    return f"{name}.".startswith(f"{prefix}.")


def size_findings(module: Module) -> Iterator[str]:
    lines = module.source.splitlines()
    if len(lines) > MODULE_LINES_MAX:
        yield f"{module.path}: {len(lines)} lines, {MODULE_LINES_MAX} at most"
    for number, line in enumerate(lines, 1):
        if len(line) > COLUMNS_MAX:
            yield f"{module.path}:{number}: {len(line)} columns, {COLUMNS_MAX} at most"
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            if length > FUNCTION_LINES_MAX:
                place = f"{module.path}:{node.lineno}"
                yield f"{place}: {node.name} has {length} lines, {FUNCTION_LINES_MAX} at most"


def layer_findings(module: Module) -> Iterator[str]:
    if module.rank < 0:
        yield f"{module.path}: {module.layer} is not listed in LAYERS"
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            yield f"{module.path}:{node.lineno}: relative import"
    for use in own_imports(module):
        if target_rank(use.name) > module.rank:
            yield f"{module.path}:{use.line}: reaches right to {use.name}"


def name_findings(module: Module) -> Iterator[str]:
    here = {module.layer, ".".join(module.parts)}
    for name, allowed in CONFINED.items():
        for use in (use for use in module.uses if starts_with(use.name, name)):
            place = f"{module.path}:{use.line}"
            if here & allowed:
                if name == NOT_AT_IMPORT and use.is_import and use.where == "module":
                    yield f"{place}: import {name} inside functions"
            else:
                yield f"{place}: {name} is confined to {', '.join(sorted(allowed)) or 'nothing'}"


def cycle_findings(modules: list[Module]) -> Iterator[str]:
    known = {module.name for module in modules}
    graph: dict[str, set[str]] = {}
    for module in (module for module in modules if not module.is_root):
        leftward = [use.name for use in own_imports(module) if target_rank(use.name) <= module.rank]
        graph[module.name] = {n if n in known else n.rpartition(".")[0] for n in leftward}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        yield f"import cycle: {' -> '.join(reversed(error.args[1]))}"


def class_findings(modules: list[Module]) -> Iterator[str]:
    """One class name, one meaning: a reader, or a search, must not find two classes."""
    first: dict[str, str] = {}
    for module in modules:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef):
                place = f"{module.path}:{node.lineno}"
                if (other := first.setdefault(node.name, place)) != place:
                    yield f"{place}: class {node.name} is defined in {other} too"


def findings(sources: Mapping[str, str]) -> list[str]:
    """Everything untidy in a package, given as its paths and their texts."""
    modules = [Module(path, source) for path, source in sources.items()]
    found: list[str] = []
    for module in modules:
        found += size_findings(module)
        found += layer_findings(module)
        found += name_findings(module)
    return [*found, *cycle_findings(modules), *class_findings(modules)]


def test_the_package_is_tidy() -> None:
    sources = {str(p.relative_to(ROOT)): p.read_text("utf-8") for p in sorted(ROOT.rglob("*.py"))}
    found = findings(sources)
    assert not found, "\n".join(["", *found])


FRAMES = {"frames.py": ""}
LONG_FUNCTION = "def f():\n" + "    pass\n" * FUNCTION_LINES_MAX
PLANTED = {
    "right": ({"kernels/a.py": "from vectorkit.sim import x"}, "reaches right to vectorkit.sim.x"),
    "right, plain": ({"store.py": "import vectorkit.sim.world.clock as c"}, "reaches right"),
    "right, from root": ({"store.py": "from vectorkit import frames"}, "reaches right"),
    "right, local": ({"store.py": "def f():\n  import vectorkit.frames"}, "reaches right"),
    "right, types": (
        {"store.py": "if TYPE_CHECKING:\n  from vectorkit.frames import F"},
        "store.py:2: reaches right to vectorkit.frames.F",
    ),
    "right, in a method": (
        {"sim/run.py": "class Run:\n  def f(self):\n    from vectorkit.frames import a"},
        "sim/run.py:3: reaches right",
    ),
    "root": ({"cli.py": "import vectorkit as vk"}, "reaches right to vectorkit"),
    "unlisted module": ({"helpers.py": ""}, "helpers is not listed"),
    "unlisted package": ({"misc/__init__.py": ""}, "misc is not listed"),
    "relative": ({"sim/a.py": "from .b import c"}, "relative import"),
    "cycle": (
        {"sim/a.py": "import vectorkit.sim.b", "sim/b.py": "from vectorkit.sim.a import x"},
        "import cycle: vectorkit.sim.",
    ),
    "cycle, local": (
        {"sim/a.py": "import vectorkit.sim.b", "sim/b.py": "def f():\n  import vectorkit.sim.a"},
        "import cycle",
    ),
    "cycle, own package": (
        {"sim/__init__.py": "from vectorkit.sim.a import X", "sim/a.py": "import vectorkit.sim"},
        "import cycle",
    ),
    "cycle in a layer": (
        {"errors.py": "import vectorkit.types", "types.py": "from vectorkit import errors"},
        "import cycle",
    ),
    "long module": ({"store.py": "\n" * (MODULE_LINES_MAX + 1)}, "501 lines"),
    "long function": ({"store.py": LONG_FUNCTION}, "f has 71 lines"),
    "long method": ({"store.py": "class A:\n  async " + LONG_FUNCTION}, "f has 71 lines"),
    "class name twice": (
        {"sim/a.py": "class A: ...", "store.py": "def f():\n  class A: ..."},
        "store.py:2: class A is defined in sim/a.py:1 too",
    ),
    "wide line": ({"store.py": "#" * (COLUMNS_MAX + 1)}, "store.py:1: 101 columns"),
    "jit": ({"kernels/a.py": "import jax\ny = jax.jit(f)"}, "kernels/a.py:2: jax.jit"),
    "jit, imported": ({"collections/cpu.py": "from jax import jit"}, "jax.jit"),
    "jit, renamed": ({"kernels/a.py": "import jax as j\n@j.jit\ndef f(): pass"}, "jax.jit"),
    "pandas": ({"store.py": "import pandas as pd"}, "store.py:1: pandas"),
    "pandas, local": ({"store.py": "def f():\n  from pandas import NA"}, "store.py:2: pandas"),
    "pandas, types": ({"store.py": "if TYPE_CHECKING:\n  import pandas"}, "store.py:2: pandas"),
    "matplotlib": ({"frames.py": "def f():\n  import matplotlib.pyplot"}, "matplotlib is confined"),
    "matplotlib at import": ({"plot/a.py": "import matplotlib as m"}, "inside functions"),
    "ipywidgets": ({"plot/a.py": "import ipywidgets"}, "ipywidgets"),
    "tqdm": ({"cli.py": "def f():\n  from tqdm.auto import tqdm"}, "tqdm"),
    "random": ({"sim/a.py": "import random"}, "sim/a.py:1: random"),
    "np.random": ({"draws.py": "import numpy as np\nnp.random.rand()"}, "draws.py:2: numpy.random"),
    "numpy.random": ({"store.py": "from numpy.random import default_rng"}, "numpy.random"),
    "time": ({"replication/a.py": "from time import time"}, "time is confined"),
    "clock outside": ({"notebook/a.py": "import time"}, "time is confined"),
    "datetime": ({"operations.py": "from datetime import datetime"}, "datetime"),
    "import_module": ({"sim/a.py": "import importlib\nimportlib.import_module('x')"}, "nothing"),
}


@pytest.mark.parametrize(("sources", "expected"), PLANTED.values(), ids=PLANTED)
def test_a_planted_fault_is_found(sources: dict[str, str], expected: str) -> None:
    assert any(expected in finding for finding in findings(FRAMES | sources))


def test_tidy_sources_have_no_findings() -> None:
    sources = FRAMES | {
        "__init__.py": "from vectorkit.sim.run import Run",
        "units.py": "from vectorkit.errors import InvalidInput",
        "errors.py": "",
        "tabular.py": "def f():\n  import pandas as pd",
        "collections/backends/compiled.py": "import jax\nsearch = jax.jit(print)",
        "sim/run.py": (
            "if TYPE_CHECKING:\n  from vectorkit.tabular import DataFrame\n"
            "def health() -> DataFrame:\n  from vectorkit import tabular\n"
        ),
        "plot/lag.py": "from vectorkit import frames\ndef f():\n  import matplotlib.pyplot as p",
        "measure.py": "import time\ntime.perf_counter()",
    }
    assert findings(sources) == []


@pytest.mark.parametrize("document", ["README.md", "docs/architecture.md"])
def test_documents_list_the_layers_in_their_order(document: str) -> None:
    text = (ROOT.parent / document).read_text("utf-8")
    block = text[text.index("```text\nerrors ") :].split("```")[1].removeprefix("text\n")
    names = " ".join(line.strip().partition("  ")[0] for line in block.splitlines())
    assert names.replace("→", " ").split() == list(RANKS)


# Words that readers had to guess; what they stood for has plain names, see docs/glossary.md.
RIDDLES = re.compile(r"\b(told|whoever|so-manieth|in vain|let go|a row a)\b", re.IGNORECASE)


@pytest.mark.parametrize(
    "where", ["vectorkit/**/*.py", "notebooks/*.*", "docs/**/*.md", "README.md"]
)
def test_no_text_or_name_has_a_word_that_a_reader_has_to_guess(where: str) -> None:
    found = {
        f"{path.name}:{number}": match[0]
        for path in sorted(ROOT.parent.glob(where))
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if (match := RIDDLES.search(line))
    }
    assert found == {}
