"""Who is measured beside vectorkit, each in a process of its own.

Ids are texts; a peer without them is given a dict, as its users would. Scores are inner products,
rows are unit vectors.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import NamedTuple

from benchmarks.rows import OURS
from vectorkit.errors import InvalidOption

MENDED_BY = ".venv/bin/python -m pip install -e '.[peers]'"


class Peer(NamedTuple):
    """Where its adapter is, the package that it needs, and whether its search finds all."""

    adapter: str
    package: str = ""
    is_exact: bool = True
    why_no_stream: str = ""
    """Why it cannot follow a runbook; empty where it can."""


FLOOR = "numpy+dict"
HOME = {
    OURS: Peer("benchmarks.peers.own:Vectorkit"),
    FLOOR: Peer("benchmarks.peers.floors:NumpyDict"),
}
"""Always there: nothing has to be installed."""
FLOORS = {
    "vectorkit's clock": Peer("benchmarks.peers.events:Clock"),
    "raw scatter": Peer("benchmarks.peers.floors:Scatter"),
    "read: jnp.sum": Peer("benchmarks.peers.floors:Sum"),
    "read: np.max": Peer("benchmarks.peers.floors:Max"),
    "product: rows @ queries.T": Peer("benchmarks.peers.floors:RowsFirst"),
    "product: queries @ rows.T": Peer("benchmarks.peers.floors:QueriesFirst"),
}
PEERS: dict[str, Peer] = {
    "faiss-flat": Peer("benchmarks.peers.libraries:Faiss", "faiss"),
    "faiss-ivf": Peer("benchmarks.peers.libraries:FaissIvf", "faiss", False),
    "usearch-exact": Peer(
        "benchmarks.peers.libraries:UsearchExact",
        "usearch",
        why_no_stream="its exact search reads an array that the caller keeps: it has no rows to "
        "insert, delete or replace",
    ),
    "usearch-index": Peer("benchmarks.peers.libraries:UsearchIndex", "usearch", False),
    "hnswlib-bf": Peer("benchmarks.peers.libraries:Hnswlib", "hnswlib"),
    "turbovec": Peer("benchmarks.peers.libraries:Turbovec", "turbovec", False),
    "qdrant-local": Peer("benchmarks.peers.stores:Qdrant", "qdrant_client"),
    "chroma": Peer("benchmarks.peers.stores:Chroma", "chromadb", False),
    "lancedb": Peer("benchmarks.peers.stores:Lance", "lancedb"),
    "simpy": Peer("benchmarks.peers.events:Simpy", "simpy"),
    "happysim": Peer("benchmarks.peers.events:Happysim", "happysimulator"),
}
EVENTS = ("simpy", "happysim")
STORES = tuple(name for name in PEERS if name not in EVENTS)


def checked_peers(choice: str) -> tuple[str, ...]:
    """The peers of a choice: "all", "none", or names with commas between.

    Raises InvalidOption for a name that is not known, and for one that is asked for by name and is
    not installed; with "all", a missing one is a row with its error.
    """
    if choice in {"all", "none"}:
        return tuple(PEERS) if choice == "all" else ()
    named = choice.split(",")
    unknown = [name for name in named if name not in PEERS]
    if unknown:
        raise InvalidOption(
            "there is no such peer",
            got=", ".join(unknown),
            wanted=f"all, none, or some of: {', '.join(PEERS)}",
            remedy="put commas between names, and no blanks",
        )
    missing = [name for name in named if is_missing(name)]
    if missing:
        raise InvalidOption(
            "these peers are not installed",
            got=", ".join(missing),
            wanted="their packages",
            remedy=how_to_get(missing[0]),
        )
    return tuple(name for name in PEERS if name in named)


def is_missing(name: str) -> bool:
    package = {**HOME, **FLOORS, **PEERS}[name].package
    return bool(package) and find_spec(package) is None


def how_to_get(name: str) -> str:
    """The one command that mends a missing package."""
    if name == "happysim":
        return (
            "happysim needs Python 3.13 or newer and is no part of the extra: in such an "
            "environment, python -m pip install happysim"
        )
    return MENDED_BY
