"""The command line: `python -m vectorkit`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final

from vectorkit.errors import VectorKitError

_OVERVIEW: Final = """\
vectorkit: a laboratory for vector stores that change and replicate.

  python -m vectorkit tour           real word vectors through every layer: search, atomic
                                     updates, replicas under a partition; leaves a report
  python -m vectorkit tour --quick   the same in a few seconds, with fewer vectors
  python -m vectorkit tour --help    its options
  python -m vectorkit hunt           random scenarios for ten minutes: what breaks a promise is
                                     made smaller and kept as a file that a test can replay
  python -m vectorkit hunt --help    its options

In Python: import vectorkit as vk; start with notebooks/00_quickstart.ipynb.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit status is 0, or 1 with the remedy on standard error.

    A hunt that has found something gives 1, too.
    """
    parser = argparse.ArgumentParser(
        prog="python -m vectorkit", description="A laboratory for changing, replicated vectors."
    )
    parser.add_argument("--version", action="version", version=f"vectorkit {version('vectorkit')}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    tour = commands.add_parser("tour", help="from real vectors to a report, through every layer")
    tour.add_argument(
        "--vectors", type=int, metavar="N", help="how many words (default 50,000; --quick 2,000)"
    )
    tour.add_argument("--seed", type=int, default=7, help="of the simulation (default 7)")
    tour.add_argument(
        "--out", type=Path, default=Path("vectorkit-tour"), help="folder (default vectorkit-tour)"
    )
    tour.add_argument("--quick", action="store_true", help="a few seconds, on 2,000 vectors")
    hunt = commands.add_parser("hunt", help="random scenarios, until one breaks a promise")
    hunt.add_argument(
        "--minutes", type=float, default=10, metavar="M", help="how long (default 10)"
    )
    hunt.add_argument(
        "--first-seed", type=int, default=0, metavar="N", help="where to begin (default 0)"
    )
    hunt.add_argument("--jobs", type=int, default=1, metavar="N", help="processes (default 1)")
    hunt.add_argument(
        "--out", type=Path, default=Path("vectorkit-hunt"), help="folder (default vectorkit-hunt)"
    )
    hunt.add_argument("--json", action="store_true", help="the report as JSON")
    options = parser.parse_args(arguments)
    if options.command is None:
        print(_OVERVIEW, end="")
        return 0
    try:
        return _run(options)
    except VectorKitError as error:
        print(f"vectorkit: {error}", file=sys.stderr)
    except OSError as error:
        print(f"vectorkit: cannot write the report: {error}; pass another --out", file=sys.stderr)
    return 1


def _run(options: argparse.Namespace) -> int:
    if options.command == "hunt":
        from vectorkit.cli.hunt import hunt

        return hunt(
            minutes=options.minutes,
            first_seed=options.first_seed,
            jobs=options.jobs,
            out=options.out,
            is_json=options.json,
        )
    from vectorkit.cli.tour import tour

    tour(vectors=options.vectors, seed=options.seed, out=options.out, is_quick=options.quick)
    return 0
