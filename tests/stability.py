"""Which tests do not always pass: the suite again and again, in another order each time.

`python -m tests.stability --times 3 tests/sim` runs the paths three times. Files come in any order
and so do the tests of a file; the cells of a notebook keep theirs. Every result goes into a
history, one JSON object a line. What has both passed and failed in it is listed as flaky, each
with the command that repeats the order in which it failed; then what has always failed, and what
took longest. The exit status is 1 where something has failed, 2 where nothing could be told.
"""

import argparse
import json
import shlex
import subprocess
import sys
from collections import defaultdict
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import median

import pytest

HISTORY = Path(".pytest_cache/stability.jsonl")
OPTION = "--stability-history"
SLOWEST = 10


@dataclass(frozen=True)
class Result:
    """What has become of a test in one run: of these paths, in the order of this seed."""

    test: str
    paths: str
    order: int
    has_passed: bool
    duration_s: float


# In the process of the tests, which `-p tests.stability` gives these hooks.


def pytest_addoption(parser):
    parser.addoption(OPTION, help="the file to which every result is added")


def pytest_configure(config):
    path = config.getoption(OPTION)
    if path and not hasattr(config, "workerinput"):  # Workers report to the process that adds.
        order = int(config.getoption("random_order_seed"))
        paths = shlex.join(config.args if config.args_source.name == "ARGS" else [])
        config.pluginmanager.register(Recorder(Path(path), paths, order))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Let the cells of a notebook keep their order: each needs those before it."""
    for item in items:
        if item.path.suffix == ".ipynb":
            item.add_marker(pytest.mark.random_order(disabled=True))


class Recorder:
    """Adds a line to the history for every test that has ended."""

    def __init__(self, path, paths, order):
        self.path, self.paths, self.order = path, paths, order
        self.phases = defaultdict(list)

    def pytest_runtest_logreport(self, report):
        self.phases[report.nodeid].append(report)
        if report.when != "teardown":
            return
        phases = self.phases.pop(report.nodeid)
        has_passed = all(each.passed for each in phases)
        duration_s = round(sum(each.duration for each in phases), 3)
        result = Result(report.nodeid, self.paths, self.order, has_passed, duration_s)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(result)) + "\n")


# The command


def command(paths, order):
    """How to run these paths in the order of a seed."""
    options = [
        "--no-cov",
        "-p",
        "tests.stability",
        "--random-order",
        f"--random-order-seed={order}",
    ]
    return ["-m", "pytest", *options, *paths]


def history(path):
    """All results so far. Raises ValueError for a line that is none."""
    types = {each.name: each.type for each in fields(Result)}
    results = []
    for number, line in enumerate(path.read_text("utf-8").splitlines() if path.exists() else (), 1):
        try:
            facts = json.loads(line)
            is_result = {name: type(value) for name, value in facts.items()} == types
        except (ValueError, AttributeError):
            is_result = False
        if not is_result:
            raise ValueError(
                f"line {number} of {path} is no result: {line[:60]!r}; take the line out, or the "
                "file away"
            )
        results.append(Result(**facts))
    return results


def report(results):
    """What the history says, as lines, and whether anything has failed."""
    of_test = defaultdict(list)
    for each in results:
        of_test[each.test].append(each)
    failed = {
        test: [each for each in runs if not each.has_passed]
        for test, runs in of_test.items()
        if not all(each.has_passed for each in runs)
    }
    flaky = {test: runs for test, runs in failed.items() if len(runs) < len(of_test[test])}
    always = [test for test in failed if test not in flaky]
    orders = sorted({each.order for each in results})
    yield f"{len(of_test):,} tests, in {len(orders):,} orders"
    yield f"{len(flaky):,} have both passed and failed"
    for test, runs in sorted(flaky.items()):
        yield f"  {test}: failed {len(runs):,} of {len(of_test[test]):,} times, again with"
        line = command(shlex.split(runs[0].paths), runs[0].order)
        yield f"    {shlex.join(['python', *line])}"
    yield f"{len(always):,} have always failed"
    yield from (f"  {test}" for test in sorted(always))
    typical_s = {test: median(each.duration_s for each in runs) for test, runs in of_test.items()}
    yield "The slowest, by the median of their runs:"
    for test in sorted(typical_s, key=lambda test: (-typical_s[test], test))[:SLOWEST]:
        yield f"  {typical_s[test]:8.2f} s  {test}"


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m tests.stability", description=__doc__)
    parser.add_argument("paths", nargs="*", help="files and folders (default: everything)")
    parser.add_argument("--times", type=int, default=3, metavar="N", help="default 3")
    parser.add_argument("--history", type=Path, default=HISTORY, help=f"default {HISTORY}")
    options = parser.parse_args(arguments)
    if options.times < 1:
        parser.error(f"--times {options.times}: wanted 1 or more")
    try:
        before = history(options.history)
    except ValueError as error:
        parser.error(str(error))
    options.history.parent.mkdir(parents=True, exist_ok=True)
    first = 1 + max((each.order for each in before), default=0)
    for order in range(first, first + options.times):
        line = [*command(options.paths, order), f"{OPTION}={options.history.absolute()}"]
        status = subprocess.run([sys.executable, *line], check=False).returncode
        if status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            print(f"pytest could not run these tests: it ended with {status}", file=sys.stderr)
            return 2
    results = history(options.history)
    print(*report(results), sep="\n")
    return 0 if all(each.has_passed for each in results) else 1


if __name__ == "__main__":
    sys.exit(main())
