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

In Python: import vectorkit as vk; start with notebooks/00_quickstart.ipynb.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit status is 0, or 1 with the remedy on standard error."""
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
    options = parser.parse_args(arguments)
    if options.command is None:
        print(_OVERVIEW, end="")
        return 0
    from vectorkit.cli.tour import tour as run_tour

    try:
        run_tour(
            vectors=options.vectors, seed=options.seed, out=options.out, is_quick=options.quick
        )
    except VectorKitError as error:
        print(f"vectorkit: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"vectorkit: cannot write the report: {error}; pass another --out", file=sys.stderr)
        return 1
    return 0
