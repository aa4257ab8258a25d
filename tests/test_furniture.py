"""Files beside the code that name a version, a Python or a command agree with `pyproject.toml`."""

import re
import tomllib
from pathlib import Path

import vectorkit

ROOT = Path(__file__).parents[1]


def text(name):
    return (ROOT / name).read_text("utf-8")


def project():
    return tomllib.loads(text("pyproject.toml"))["project"]


def test_every_file_names_the_same_version():
    version = project()["version"]
    assert vectorkit.__version__ == version
    assert re.findall(r"^version: (.+)$", text("CITATION.cff"), re.M) == [version]
    first = re.search(r"^## (\S+) \((\S+)\)$", text("CHANGELOG.md"), re.M)
    assert first is not None
    assert first[1] == version
    assert f"date-released: {first[2]}" in text("CITATION.cff")
    assert f"Today that is {version.rpartition('.')[0]}." in text("SECURITY.md")


def test_the_workflow_runs_the_script_of_ci_on_pythons_that_the_project_allows():
    workflow = text(".github/workflows/ci.yml")
    assert "- run: bash .ci/run" in workflow.replace("      - run", "- run")
    pythons = re.findall(r'python: "3\.(\d+)"', workflow)
    (lowest,) = re.findall(r"^>=3\.(\d+)$", project()["requires-python"])
    assert min(map(int, pythons)) == int(lowest)


def test_the_hooks_before_a_commit_are_the_linters_of_ci():
    hooks = re.findall(r"entry: (.+?), language", text(".pre-commit-config.yaml"))
    linters = re.findall(r"^\.venv/bin/((?:ruff|mypy|codespell).*)$", text(".ci/run"), re.M)
    assert sorted(hooks) == sorted(linters)
