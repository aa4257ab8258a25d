"""Runs suites, each in a process of its own, and hands on what they yield."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any

from benchmarks import machine
from benchmarks.history import Record
from benchmarks.isolated import Isolated, Lost
from benchmarks.rows import OURS, Limits, Plan, Row, line
from benchmarks.suites import SUITES
from benchmarks.timing import told

SUITE_LIMIT_S = 1_800.0
"""How long a suite may say nothing before it counts as hung."""
WHOLE = "the whole suite"
"""The case of the row that says why a suite did not come to its end."""


def run(names: Sequence[str], plan: Plan, *, cores: Sequence[int]) -> Iterator[Record]:
    """The lines of these suites as they come; a suite that crashes is a line with its error.

    Suites whose figures depend on the number of cores are run once for each of `cores`, the others
    with the most of them.
    """
    described = machine.described(plan.form, max(cores))
    for name in names:
        for count in sorted(cores) if SUITES[name].is_by_cores else [max(cores)]:
            yield from _records(name, replace(plan, cores=count), described | {"cores": count})


def _records(name: str, plan: Plan, described: dict[str, Any]) -> Iterator[Record]:
    suite = SUITES[name]
    process = Isolated(_work, suite.module, plan, suite.has_roof, cores=plan.cores)
    limits = Limits(float("nan"), float("nan"))
    try:
        while (message := process.receive(SUITE_LIMIT_S)) is not None:
            if isinstance(message, Limits):
                limits = message
            else:
                yield line(name, message, limits, described)
    except Lost as error:
        yield line(name, failed(told(error)), limits, described)
    finally:
        process.close()


def failed(error: str) -> Row:
    """The row of a suite that did not come to its end."""
    return Row(case=WHOLE, who=OURS, error=error)


def _work(connection: Connection, module: str, plan: Plan, has_roof: bool) -> None:
    """In the suite's process: the machine's limits if asked for, the rows, None at the end."""
    try:
        rows: Callable[[Plan], Iterator[Row | Limits]] = importlib.import_module(module).rows
        if has_roof:
            connection.send(machine.limits(plan.form)[0])
        for each in rows(plan):
            connection.send(each)
    except Exception as error:  # What went wrong is a result that is kept, like any other.
        connection.send(failed(told(error)))
    connection.send(None)
