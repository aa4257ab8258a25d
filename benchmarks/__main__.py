"""The one command: `python -m benchmarks list|run|check|compare|report`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks import budgets, history, machine, runner, tables
from benchmarks.budgets import Verdict
from benchmarks.history import Record
from benchmarks.peers import PEERS, checked_peers
from benchmarks.rows import Form, Plan, key
from benchmarks.suites import SUITES
from vectorkit.errors import InvalidOption, VectorKitError

REPEATS = {"quick": 5, "full": 11}


def main(arguments: Sequence[str] | None = None) -> int:
    """0 where all went well, 1 past a budget, 2 for what cannot be asked."""
    options = parser().parse_args(arguments)
    try:
        return int(options.do(options))
    except (VectorKitError, OSError) as error:  # What a path cannot be used for.
        print(error, file=sys.stderr)
        return 2


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = made.add_subparsers(required=True, metavar="COMMAND")
    for name, do, about in (
        ("list", list_all, "what there is to run"),
        ("run", run, "measure, print and keep"),
        ("check", check, "judge the newest results, or new ones, by budgets.toml"),
        ("compare", compare, "two kept runs, row by row"),
        ("report", report, "one HTML page of everything kept"),
    ):
        command = commands.add_parser(name, help=about, description=about)
        command.set_defaults(do=do)
        command.add_argument("--history", type=Path, default=history.FOLDER)
        if name in {"run", "check"}:
            _add_measuring(command)
        if name == "compare":
            command.add_argument("dates", nargs="*", help="two dates of runs; else the last two")
        if name == "report":
            command.add_argument("--out", type=Path, default=Path("benchmarks-report.html"))
    return made


def _add_measuring(command: argparse.ArgumentParser) -> None:
    command.add_argument("suites", nargs="*", metavar="SUITE", help="all, unless named")
    form = command.add_mutually_exclusive_group()
    form.add_argument("--quick", action="store_true", help="small sizes, two minutes, no peers")
    form.add_argument("--full", action="store_true", help="the sizes of the bars, all peers")
    command.add_argument("--peers", help="all, none, or names with commas between")
    command.add_argument("--cores", type=int, help="this many; else all, and one")
    command.add_argument("--repeats", type=int, help="timed rounds; 5 (quick) or 11 (full)")
    command.add_argument("--discard", action="store_true", help="keep nothing in the history")
    command.add_argument("--budgets", type=Path, default=budgets.PATH)


def list_all(options: argparse.Namespace) -> int:
    for name, suite in SUITES.items():
        print(f"{name:12} {suite.what}{' [peers]' * suite.has_peers}")
    print(f"\npeers: {', '.join(PEERS)}")
    kept = history.runs(read(options.history))
    print(f"runs kept: {', '.join(kept) or 'none'}")
    return 0


def run(options: argparse.Namespace) -> int:
    measured(options)
    return 0


def measured(options: argparse.Namespace) -> list[Record]:
    """Run what is asked for; every line is printed, and kept as soon as it is there."""
    form: Form = "full" if options.full else "quick"
    names = checked_suites(options.suites, form)
    peers = checked_peers(options.peers or ("all" if options.full else "none"))
    cores = checked_cores(options.cores, form)
    repeats = REPEATS[form] if options.repeats is None else options.repeats
    if repeats < 1:
        raise InvalidOption(
            "nothing can be timed",
            got=f"--repeats {repeats}",
            wanted="1 or more",
            remedy="leave it out for the default",
        )
    plan = Plan(form=form, cores=max(cores), repeats=repeats, peers=peers)
    records: list[Record] = []
    for record in runner.run(names, plan, cores=cores):
        if not options.discard:
            history.append([record], options.history)
        records.append(record)
        print(tables.told(record), flush=True)
    return records


def checked_suites(named: Sequence[str], form: Form) -> list[str]:
    """The suites that are named, or all of a form. Raises InvalidOption for an unknown one."""
    unknown = [name for name in named if name not in SUITES]
    if unknown:
        raise InvalidOption(
            "there is no such suite",
            got=", ".join(unknown),
            wanted=", ".join(SUITES),
            remedy="`python -m benchmarks list` says what each answers",
        )
    of_form = [name for name, suite in SUITES.items() if suite.is_quick or form == "full"]
    return [name for name in SUITES if name in (named or of_form)]


def checked_cores(asked: int | None, form: Form) -> list[int]:
    """One core and all of them, all of them for a quick run, or so many."""
    there = machine.core_count()
    if asked is None:
        return sorted({1, there}) if form == "full" else [there]
    if not 1 <= asked <= there:
        raise InvalidOption(
            "these cores are not there",
            got=f"--cores {asked}",
            wanted=f"1 to {there}",
            remedy="leave it out for all of them",
        )
    return [asked]


def check(options: argparse.Namespace) -> int:
    """Judge the kept results, or with --quick or --full new ones; ratios get a second chance.

    Noise is seldom there twice, a fault always is. An exact count is judged at once, and so is a
    suite that broke off: rows that it had left to yield may have no budget.
    """
    limits = budgets.load(options.budgets)
    if not (options.quick or options.full):
        refuse_measuring(options)
        kept = history.newest(read(options.history))
        named = checked_suites(options.suites, "full")
        mine = [each for each in kept if each["suite"] in named]
        found = budgets.judged(mine, limits, "full") + budgets.judged(mine, limits, "quick")
        return concluded(found, mine)
    form: Form = "full" if options.full else "quick"
    records = measured(options)
    found = budgets.judged(records, limits, form)
    doubtful = [each for each in found if not each.is_kept and each.may_be_noise]
    is_final = broken_off(records) or any(not (v.is_kept or v.may_be_noise) for v in found)
    if doubtful and not is_final:
        options.suites = sorted({each.budget.suite for each in doubtful})
        print(f"past a budget, measured once more: {', '.join(options.suites)}", flush=True)
        records = list({key(each): each for each in [*records, *measured(options)]}.values())
        found = budgets.judged(records, limits, form)
    return concluded(found, records)


def refuse_measuring(options: argparse.Namespace) -> None:
    """Options that say how to measure have no meaning where nothing is measured."""
    given = {name: getattr(options, name) for name in ("peers", "cores", "repeats", "discard")}
    idle = [
        f"--{name}" for name, value in given.items() if value is not None and value is not False
    ]
    if idle:
        raise InvalidOption(
            "nothing is measured, so these have no meaning",
            got=", ".join(idle),
            wanted="them beside --quick or --full",
            remedy="add --quick, or leave them out to judge what is kept",
        )


def broken_off(records: Iterable[Record]) -> list[Record]:
    """The rows of suites that did not come to their end."""
    return [each for each in records if each["case"] == runner.WHOLE]


def concluded(verdicts: Sequence[Verdict], records: Iterable[Record]) -> int:
    """Say who is past a budget, and which suite broke off."""
    broken = broken_off(records)
    past = [each for each in verdicts if not each.is_kept]
    for each in past:
        print(f"PAST ITS BUDGET  {each}")
    for each in broken:
        print(f"BROKE OFF  {tables.told(each)}")
    print(f"{len(verdicts) - len(past)} of {len(verdicts)} budgets kept")
    if not verdicts:
        print("nothing to judge: `python -m benchmarks check --quick` measures first")
    return int(bool(past or broken) or not verdicts)


def compare(options: argparse.Namespace) -> int:
    records = read(options.history)
    dates = options.dates or history.runs(records)[-2:]
    known = history.runs(records)
    if len(dates) != 2 or not set(dates) <= set(known):
        raise InvalidOption(
            "two kept runs are needed to compare",
            got=", ".join(dates) or "none",
            wanted=f"two of: {', '.join(known) or 'none is kept'}",
            remedy="`python -m benchmarks run` keeps another one",
        )
    for text in tables.compared(records, *dates):
        print(text)
    return 0


def report(options: argparse.Namespace) -> int:
    from benchmarks import report as pages

    records = read(options.history)
    if not records:
        raise InvalidOption(
            "there is nothing to report",
            got="an empty history",
            wanted="at least one kept run",
            remedy="`python -m benchmarks run --quick` makes one in two minutes",
        )
    limits = budgets.load()
    pages.write_page(records, limits, options.out)
    print(f"wrote {options.out}")
    return 0


def read(folder: Path) -> list[Record]:
    """What is kept; lines that cannot be read are named on the way."""
    kept, faults = history.read(folder)
    for fault in faults:
        print(f"history: {fault}", file=sys.stderr)
    return kept


if __name__ == "__main__":
    sys.exit(main())
