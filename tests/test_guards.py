"""The gates guard themselves: no test is skipped, no limit lowered, no notebook left unexecuted."""

import ast
import importlib
import json
import pkgutil
import re
import subprocess
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import jaxtyping
import pytest
from matplotlib import pyplot as plt

import vectorkit.kernels
from notebooks.refresh import METADATA, number_widgets
from vectorkit.kernels.write import read_rows

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/**/*.md"))]
TEST_COMMAND = (
    "python3 -m venv .venv && .venv/bin/pip install -q -e '.[dev,data]' && "
    ".venv/bin/python -m pytest"
)
TOUR_COMMAND = (
    "python3 -m venv .venv && .venv/bin/pip install -q '.[data]' && "
    ".venv/bin/python -m vectorkit tour"
)

# Words that take a test out of the run, or let it wait for a clock. Their number is zero.
EVASIONS = {
    "skip", "skipif", "skipIf", "skipUnless", "SkipTest", "importorskip", "xfail",
    "collect_ignore", "collect_ignore_glob", "sleep",
}  # fmt: skip
# But for this one: a real browser is a program that this project cannot install for everybody.
BROWSER_TESTS = "tests/browser/test_notebooks.py"
# The same in comments, of doctest, coverage and nbval. Brackets keep a pattern from finding itself.
EVASIVE_COMMENTS = r"\+SKI[P]|pragma: n[o]|PYTEST_VALIDATE_IGNOR[E]|NBVAL_(SKI[P]|RAISE[S])"

# What only one machine knows.
PRIVATE = r"\.\./share[d]|/wor[k]/|\bfar[m]-|https?://[^\s\"')]*(pyp[i]\.|pythonhoste[d]|npmj[s])"

# What blocks in documents may be: python runs here, the others are not for running as they stand.
LANGUAGES = {"python", "bash", "json", "text", "pycon"}
TOOLS = {"venv", "pip", "pytest", "http"}

CODE_CELLS_MIN, CODE_CELLS_MAX = 6, 15
CELL_LINES_MAX = 12
NOTEBOOK_BYTES_MAX = 300_000


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def tracked() -> list[Path]:
    """The files of the repository, those about to be added included."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    paths = (ROOT / name for name in listed.stdout.split("\0") if name)
    return sorted(path for path in paths if path.is_file())


def evasive_names(source: str) -> list[str]:
    names = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.alias(name=name):
                names.append(name)
    return [name for name in names if name in EVASIONS]


def is_marked(path: Path) -> bool:
    """Whether a file of tests is marked as needing a browser."""
    return path.suffix == ".py" and "pytest.mark." + "browser" in path.read_text("utf-8")


def evasive_comments(source: str) -> list[str]:
    return re.findall(EVASIVE_COMMENTS, source)


def notebook_faults(notebook: dict[str, Any]) -> list[str]:
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    sources = ["".join(cell["source"]) for cell in cells]
    outputs = [output for cell in cells for output in cell["outputs"]]
    tags = [tag for cell in cells for tag in cell["metadata"].get("tags", ())]
    text = json.dumps(notebook)
    checks = {
        "kernelspec is not python3": notebook["metadata"].get("kernelspec", {}).get("name")
        != "python3",
        "metadata is not what refresh.py writes": notebook["metadata"] != METADATA,
        "cells were not run once, in order": [cell["execution_count"] for cell in cells]
        != list(range(1, len(cells) + 1)),
        "no cell has an output": not outputs,
        "a cell raised": any(output["output_type"] == "error" for output in outputs),
        "cells carry timestamps": any("execution" in cell["metadata"] for cell in cells),
        "too few or too many code cells": not CODE_CELLS_MIN <= len(cells) <= CODE_CELLS_MAX,
        "a cell is too long": any(s.count("\n") >= CELL_LINES_MAX for s in sources),
        "the first cell sets no SEED": not any("SEED = " in s for s in sources[:1]),
        "the last cell asserts nothing": not any("assert " in s for s in sources[-1:]),
        "an output is not compared in more than one cell": (
            text.upper().replace("-", "_").count("NBVAL_IGNORE_OUTPUT") > 1
        ),
        "a cell is not run or may fail": bool(
            re.search(EVASIVE_COMMENTS, text)
            or {"nbval-skip", "nbval-raises-exception", "raises-exception"} & set(tags)
        ),
        "too large": len(text) > NOTEBOOK_BYTES_MAX,
    }
    return [fault for fault, is_present in checks.items() if is_present]


def python_blocks(text: str) -> str:
    return "\n".join(re.findall(r"^```python\n(.*?)^```", text, re.M | re.S))


def document_faults(text: str, folder: Path) -> list[str]:
    """What a reader could not run, open or follow."""
    fences = re.findall(r"^([ >]*)(```|~~~)(.*)", text, re.M)
    opened = fences[::2]
    found = [f"a fence {margin + mark}" for margin, mark, _ in fences if margin + mark != "```"]
    found += [f"a block of {word!r}" for *_, word in opened if word not in LANGUAGES]
    prose = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", prose):
        path = folder / target
        if "notebooks" in path.parts and folder != ROOT:  # A page of the site.
            path = ROOT / "notebooks" / path.with_suffix(".ipynb").name
        if not path.exists() and target != "notebooks/index.md":
            found.append(f"a link to {target}")
    for module in re.findall(r"python3? -m ([\w.]+)", text):
        if not is_module(module):
            found.append(f"a command of {module}")
    return found


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    own = path.with_suffix(".py").exists() or (path / "__main__.py").exists()
    return own or name.split(".", maxsplit=1)[0] in TOOLS


def chain_faults(notebooks: Mapping[str, dict[str, Any]]) -> list[str]:
    """What a reader who goes from notebook to notebook, forward or back, would miss."""
    names = sorted(notebooks)
    found = []
    for before, name, after in zip(["", *names], names, [*names[1:], ""], strict=False):
        cells = notebooks[name]["cells"]
        first, last = "".join(cells[0]["source"]), "".join(cells[-1]["source"])
        start, asked, _ = first.partition("\n\n**The question:** ")
        shown = [key for cell in cells for out in cell["outputs"] for key in out["data"]]
        wanted = {
            "begins with no title": re.fullmatch(r"# .+", start),
            "asks no question": asked,
            "does not name the one before": not before
            or f"Before this: [{before}]({before}.ipynb)" in first,
            "does not name the one after": not after or f"Next: [{after}]({after}.ipynb)" in last,
            "does not go back to the first": after or f"[{names[0]}]({names[0]}.ipynb)" in last,
            "shows no figure": "image/png" in shown,
        }
        found += [f"{name} {fault}" for fault, is_there in wanted.items() if not is_there]
    return found


def names_of_tests() -> list[str]:
    """The names of all tests, one for each place where it is defined."""
    paths = sorted((ROOT / "tests").rglob("test_*.py"))
    nodes = (node for path in paths for node in ast.walk(ast.parse(path.read_text("utf-8"))))
    names = [node.name for node in nodes if isinstance(node, ast.FunctionDef)]
    return [name for name in names if name.startswith("test_")]


def settings() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]


ACCEPTANCE = {
    "test_a_master_of_two_replicas_under_writes_counts_what_it_sent_and_what_is_pending",
    "test_a_connected_replica_knows_its_lag_its_bytes_its_last_sync_and_what_it_has_to_apply",
    "test_a_cut_replicas_lag_grows_and_its_last_heartbeat_stands_still",
    "test_a_replica_with_heartbeats_is_connected_with_little_lag",
    "test_a_replica_lags_at_1001_ms_and_not_at_1000",
    "test_a_disconnected_replica_is_out_of_the_active_set",
    "test_a_disconnected_replica_stays_listed_with_its_last_known_state",
    "test_a_status_is_written_as_its_word_and_read_back",
    "test_an_insert_raises_bytes_sent_and_pending_which_returns_to_zero",
    "test_nothing_switches_the_statistics_off",
    "test_a_retrained_codebook_travels_too",
    "test_a_deleted_row_stays_deleted_after_another_full_sync",
    "test_partial_sync_sends_only_the_missing_operations",
    "test_a_log_that_has_let_go_leads_to_a_full_sync_as_too_old",
    "test_a_client_hears_of_the_failure_or_of_an_answer_that_is_degraded",
    "test_a_collection_taken_while_master_refuses_writes_once_it_is_a_replica",
    "test_a_node_that_is_down_is_skipped_for_a_time_and_then_asked_again",
    "test_a_client_reads_its_own_writes_on_every_node_that_it_may_be_routed_to",
    "test_a_burst_in_flight_loses_nothing_that_was_acknowledged",
    "test_a_forced_promotion_goes_on_alone_and_is_marked",
    "test_counters_survive_a_restart_as_the_last_heartbeat_wrote_them",
    "test_a_new_replica_has_zero_stats_and_refuses_writes",
    "test_five_cuts_under_load_end_with_equal_nodes",
    "test_ten_clients_of_a_hundred_interleaved_writes_each",
    "test_a_replica_of_an_empty_master_converges_by_one_full_sync_and_is_empty",
    "test_a_cut_at_every_offset_of_every_operation_converges",
}
"""One test of each acceptance scenario: statistics, health, syncs, clients and failover."""


def test_every_acceptance_scenario_of_replication_has_a_test() -> None:
    assert set(names_of_tests()) >= ACCEPTANCE
    assert len(ACCEPTANCE) == 26


def test_every_test_of_the_earlier_system_is_there_once_and_described() -> None:
    history = (ROOT / "tests" / "README.md").read_text("utf-8")
    told = re.findall(r"^\| `(test_\w+)` \|", history, re.M)
    assert len(told) == len(set(told)) == 32
    names = names_of_tests()
    assert {name: names.count(name) for name in told} == dict.fromkeys(told, 1)


def test_nothing_is_skipped_expected_to_fail_or_slept_through() -> None:
    found = {}
    for path in (path for path in tracked() if path.suffix == ".py"):
        source = path.read_text("utf-8")
        is_package = ROOT / "vectorkit" in path.parents
        names = [] if is_package else evasive_names(source)
        found[str(path.relative_to(ROOT))] = names + evasive_comments(source)
    assert {path: words for path, words in found.items() if words} == {BROWSER_TESTS: ["skipif"]}


def test_what_a_plain_run_leaves_out_is_the_browser_and_ci_runs_it() -> None:
    options = settings()["pytest"]["ini_options"]
    assert [option for option in options["addopts"] if option.startswith("-m")] == [
        "-m not browser"
    ]
    assert [marker.partition(":")[0] for marker in options["markers"]] == ["browser"]
    marked = [str(path.relative_to(ROOT)) for path in tracked() if is_marked(path)]
    assert marked == [BROWSER_TESTS]
    assert f"-m browser -rs {Path(BROWSER_TESTS).parent}" in (ROOT / ".ci" / "run").read_text(
        "utf-8"
    )


@pytest.mark.parametrize(
    "source",
    [
        "import pytest\npytest.skip('later')",
        "@pytest.mark.skipif(True, reason='')\ndef test(): pass",
        "from pytest import xfail as later",
        "np = pytest.importorskip('numpy')",
        "import time\ntime.sleep(1)",
        "collect_ignore = ['test_a.py']",
        "x = 1  # pragma: " + "no cover",
        "'''\n>>> 1 / 0  # doctest: +" + "SKIP\n'''",
    ],
)
def test_an_evasion_is_found(source: str) -> None:
    assert len(evasive_names(source) + evasive_comments(source)) == 1


def test_gates_are_not_lowered() -> None:
    tool = settings()
    assert tool["coverage"]["report"]["fail_under"] >= 95
    assert tool["coverage"]["run"]["branch"] is True
    assert "omit" not in tool["coverage"]["run"] | tool["coverage"]["report"]
    assert "exclude_also" not in tool["coverage"]["report"]
    assert len(tool["coverage"]["report"]["exclude_lines"]) == 3
    assert {"--cov=vectorkit", "--nbval", "--doctest-modules"} <= set(
        tool["pytest"]["ini_options"]["addopts"]
    )
    assert tool["pytest"]["ini_options"]["testpaths"] == ["tests", "vectorkit", "notebooks"]
    assert tool["pytest"]["ini_options"]["filterwarnings"][0] == "error"
    assert tool["mypy"]["strict"] is True


def test_ci_runs_the_test_command_of_the_readme() -> None:
    readme = (ROOT / "README.md").read_text("utf-8").splitlines()
    assert TEST_COMMAND in [line.strip() for line in readme]
    assert TOUR_COMMAND in [line.strip() for line in readme]
    assert TEST_COMMAND in (ROOT / ".ci" / "run").read_text("utf-8").splitlines()


def test_no_file_mentions_what_only_one_machine_knows() -> None:
    found = {p: re.search(PRIVATE, p.read_text("utf-8", errors="replace")) for p in tracked()}
    assert {path: match for path, match in found.items() if match} == {}


@pytest.mark.parametrize(
    "text",
    ["see ../" + "shared/design", "cd /" + "work/main", "far" + "m-7", "https://pyp" + "i.org/x"],
)
def test_a_private_mention_is_found(text: str) -> None:
    assert re.search(PRIVATE, text)


def test_shapes_of_kernels_are_checked_in_tests() -> None:
    found = pkgutil.walk_packages(vectorkit.kernels.__path__, "vectorkit.kernels.")
    kernels = [importlib.import_module(module.name) for module in found]
    assert kernels
    loaders = {kernel.__name__: type(kernel.__loader__).__module__ for kernel in kernels}
    assert {name for name, loader in loaders.items() if "jaxtyping" not in loader} == set()


@pytest.mark.parametrize(("shape", "dtype"), [((3,), "float32"), ((3, 1), "int32")])
def test_a_kernel_refuses_a_wrong_shape_or_dtype(shape: tuple[int, ...], dtype: str) -> None:
    with pytest.raises(jaxtyping.TypeCheckError):
        read_rows((jnp.zeros((8, 2)),), jnp.zeros(shape, dtype))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_executed_short_and_asserts_its_lesson(path: Path) -> None:
    assert notebook_faults(json.loads(path.read_text("utf-8"))) == []


def make_notebook() -> dict[str, Any]:
    sources = ["SEED = 7", "1", "2", "3", "4", "assert SEED == 7"]
    cells = [
        {
            "cell_type": "code",
            "execution_count": number,
            "metadata": {},
            "outputs": [{"output_type": "execute_result"}],
            "source": [source],
        }
        for number, source in enumerate(sources, 1)
    ]
    return {"cells": cells, "metadata": json.loads(json.dumps(METADATA))}


def test_a_good_notebook_has_no_faults() -> None:
    assert notebook_faults(make_notebook()) == []


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"execution_count": None}, "cells were not run once, in order"),
        ({"outputs": [{"output_type": "error"}]}, "a cell raised"),
        ({"metadata": {"execution": {}}}, "cells carry timestamps"),
        ({"metadata": {"tags": ["nbval-skip"]}}, "a cell is not run or may fail"),
        ({"source": ["# NBVAL_" + "SKIP\nassert 1"]}, "a cell is not run or may fail"),
        ({"source": ["1"]}, "the last cell asserts nothing"),
        ({"source": ["1\n"] * CELL_LINES_MAX + ["assert 1"]}, "a cell is too long"),
        ({"source": ["assert " + "1" * NOTEBOOK_BYTES_MAX]}, "too large"),
        (
            {"source": ["assert 1"], "metadata": {"tags": ["nbval-ignore-output"] * 2}},
            "an output is not compared in more than one cell",
        ),
    ],
)
def test_a_faulty_last_cell_is_found(changes: dict[str, Any], fault: str) -> None:
    notebook = make_notebook()
    notebook["cells"][-1] |= changes
    assert notebook_faults(notebook) == [fault]


def test_cleared_and_misshapen_notebooks_are_found() -> None:
    notebook = make_notebook()
    for cell in notebook["cells"]:
        cell["outputs"] = []
    notebook["cells"] = notebook["cells"][1:]
    notebook["metadata"]["kernelspec"]["name"] = "julia"
    faults = notebook_faults(notebook)
    assert "kernelspec is not python3" in faults
    assert "no cell has an output" in faults
    assert "too few or too many code cells" in faults
    assert "the first cell sets no SEED" in faults


def test_refreshing_numbers_widgets_and_leaves_digests_alone() -> None:
    digest = "d" * 32
    text = f'{{"model_id": "{"a" * 32}"}} {{"model_id": "{"b" * 32}"}} {digest}'
    assert number_widgets(text) == f'{{"model_id": "{0:032x}"}} {{"model_id": "{1:032x}"}} {digest}'


def test_notebooks_name_each_other_and_each_ask_a_question_that_a_figure_answers() -> None:
    assert chain_faults(cells_of_notebooks()) == []


def cells_of_notebooks() -> dict[str, dict[str, Any]]:
    notebooks = {path.stem: json.loads(path.read_text("utf-8")) for path in NOTEBOOKS}
    for notebook in notebooks.values():
        for cell in notebook["cells"]:
            cell["outputs"] = [out for out in cell.get("outputs", ()) if "data" in out]
    return notebooks


def test_a_notebook_that_is_left_out_of_the_chain_is_found() -> None:
    notebooks = cells_of_notebooks()
    first, second, third, *_, last = sorted(notebooks)
    del notebooks[second]
    notebooks[last]["cells"][-1]["source"] = ["The end."]
    notebooks[third]["cells"][0]["source"] = ["A title"]
    for cell in notebooks[third]["cells"]:
        cell["outputs"] = []
    assert chain_faults(notebooks) == [
        f"{first} does not name the one after",
        f"{third} begins with no title",
        f"{third} asks no question",
        f"{third} does not name the one before",
        f"{third} shows no figure",
        f"{last} does not go back to the first",
    ]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_readme_shows_each_notebook_by_its_figure(path: Path) -> None:
    image = f"docs/figures/notebooks/{path.stem}.png"
    link = rf"\[!\[[^\]]+\]\({re.escape(image)}\)\]\(notebooks/{path.name}\)"
    assert (ROOT / image).exists(), "run python -m docs.draw"
    assert re.search(link, (ROOT / "README.md").read_text("utf-8"))


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_documents_have_no_block_link_or_command_that_leads_nowhere(path: Path) -> None:
    assert document_faults(path.read_text("utf-8"), path.parent) == []


@pytest.mark.parametrize(
    "text",
    [
        "```py\n1\n```",
        "```\n1\n```",
        "- so:\n\n  ```python",
        "> ```python",
        "~~~python\n1\n~~~",
        "see [this](no-such.md#part)",
        "![](figures/none.png)",
        "run `python -m benchmarks.nothing --quick`",
    ],
)
def test_what_a_document_leads_to_nowhere_is_found(text: str) -> None:
    assert len(document_faults(text, ROOT / "docs")) >= 1


@pytest.mark.parametrize(
    "path", [p for p in DOCUMENTS if python_blocks(p.read_text("utf-8"))], ids=name_of
)
def test_python_blocks_of_documents_run(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code = python_blocks(path.read_text("utf-8"))
    try:
        exec(compile(code, path, "exec"), {"__name__": path.stem})
    finally:
        plt.close("all")
