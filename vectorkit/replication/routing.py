"""Which node a client asks: one small function for each policy.

| policy | asks | promise, kept by the node that serves |
|---|---|---|
| `master` | the master | what the master has on its own disk |
| `nearest` | the node with the shortest way; of equal ones, each client its own | none |
| `round_robin` | one node after the other | none |
| `sticky` | always the same node | reads never go back while it lives |
| `bounded_staleness` | as `nearest` | at most `bound_ms` behind the master that the node follows |
| `read_your_writes` | as `nearest` | the history holds the client's last write |
| `confirmed` | as `nearest` | shows only what satisfies the write concern |
| `linearizable` | the master | as if all clients took turns at one copy |

A node that did not answer lately is skipped, unless all are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

Policy = Literal[
    "master",
    "nearest",
    "round_robin",
    "sticky",
    "bounded_staleness",
    "read_your_writes",
    "confirmed",
    "linearizable",
]
POLICIES: Final[tuple[Policy, ...]] = get_args(Policy)


@dataclass(frozen=True, slots=True)
class ClientView:
    """What a client knows: nodes with their distance, whom it takes for master, who is silent.

    >>> view = ClientView(("node-0", "node-1"), (4, 1), "node-0", frozenset(), client=0, request=7)
    >>> target("nearest", view), target("master", view)
    ('node-1', 'node-0')
    """

    nodes: Sequence[str]
    distances: Sequence[float]
    master: str
    silent: frozenset[str]
    client: int
    request: int


def target(policy: Policy, view: ClientView) -> str:
    """The node that a read goes to."""
    return _ROUTES[policy](view)


def _master(view: ClientView) -> str:
    return view.master


def _nearest(view: ClientView) -> str:
    places = range(len(view.nodes))
    order = sorted(
        places, key=lambda place: (view.distances[place], (place - view.client) % len(view.nodes))
    )
    return _first_alive([view.nodes[place] for place in order], view)


def _round_robin(view: ClientView) -> str:
    return _first_alive(_from(view.nodes, view.request), view)


def _sticky(view: ClientView) -> str:
    return _first_alive(_from(view.nodes, view.client), view)


def _from(nodes: Sequence[str], start: int) -> list[str]:
    place = start % len(nodes)
    return [*nodes[place:], *nodes[:place]]


def _first_alive(nodes: Sequence[str], view: ClientView) -> str:
    return next((node for node in nodes if node not in view.silent), nodes[0])


_ROUTES: Final[dict[Policy, Callable[[ClientView], str]]] = {
    "master": _master,
    "nearest": _nearest,
    "round_robin": _round_robin,
    "sticky": _sticky,
    "bounded_staleness": _nearest,
    "read_your_writes": _nearest,
    "confirmed": _nearest,
    "linearizable": _master,
}
