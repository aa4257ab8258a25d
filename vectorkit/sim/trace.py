"""What happened, as rows of plain values: every frame, every check and the hash come from it."""

from __future__ import annotations

from typing import NamedTuple

import xxhash


class TraceRow(NamedTuple):
    """One thing that happened at a node; what the fields mean depends on `event`.

    =========  =========================  ===================  =============  ====================
    event      node, peer                 kind                 number         value, text
    =========  =========================  ===================  =============  ====================
    send       source, target             message type         first offset   bytes
                                                               or beat
    lost       source, target             message type         same           bytes, "cut" or "loss"
    deliver    target, source             message type         same           bytes
    write      master                     operation type       offset         epoch, history hash
    apply      replica                    stream or snapshot   offset         epoch, history hash
    sync       node, peer                 full or partial      0              0, phase and reason
    status     master, replica            Connected, …         0              0
    fault      "", ""                     start or end         0              0, the fault
    digest     node                       ""                   offset         hash, store digest
    =========  =========================  ===================  =============  ====================
    """

    time_ns: int
    event: str
    node: str
    peer: str
    kind: str
    number: int
    value: int
    text: str


class Trace:
    """Rows in the order in which they happened."""

    def __init__(self) -> None:
        self.rows: list[TraceRow] = []

    def __len__(self) -> int:
        return len(self.rows)

    def add(
        self,
        time_ns: int,
        event: str,
        node: str = "",
        peer: str = "",
        kind: str = "",
        number: int = 0,
        value: int = 0,
        text: str = "",
    ) -> None:
        """Write a row."""
        self.rows.append(TraceRow(time_ns, event, node, peer, kind, number, value, text))

    def copy(self) -> Trace:
        """The rows so far, as a trace of its own."""
        copied = Trace()
        copied.rows = self.rows.copy()
        return copied

    def hash(self) -> str:
        """32 hexadecimal digits over all rows: equal traces, and hardly any others, agree."""
        hasher = xxhash.xxh3_128()
        for row in self.rows:
            hasher.update(repr(tuple(row)).encode())
        return hasher.hexdigest()
