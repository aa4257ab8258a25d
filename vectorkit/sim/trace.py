"""What happened, as rows of plain values: every frame, every check and the hash come from it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import xxhash


class TraceRow(NamedTuple):
    """One thing that happened at a node; what the fields mean depends on `event`.

    =========  ================  ==================  ==============  ==============================
    event      node, peer        kind                number          value, text
    =========  ================  ==================  ==============  ==============================
    send       source, target    message type        its number      bytes; "copy" for a duplicate,
                                                                     "corrupt" for a flipped bit
    lost       source, target    message type        its number      bytes; why: cut, loss, down,
                                                                     blocked
    deliver    target, source    message type        its number      bytes
    append     master            operation type      offset          epoch, history hash
    flush      node                                  mark            bytes: the disk has it
    apply      node              stream, snapshot,   offset          epoch, history hash
                                 replay
    visible    node                                  offset
    ack        node, master      "", heartbeat       flushed offset  epoch of the record it names,
                                                                     "received applied visible"
    promise    node                                  epoch
    role       node              master, replica, …  epoch           1 if forced, why it stands
    confirm    master                                offset          epoch of the record there
    degrade    master                                offset          replicas that had confirmed
    timeout    master                                offset          replicas that had confirmed
    discard    node                                  operations      offset that is still shared
    quarantine node                                  offset          0, error code
    lost_state node                                  new index       0, why
    retire     node                                  index
    digest     node              snapshot, install,  offset          first 8 bytes of the history
                                 end                                 hash, store digest
    sync       node, peer        full or partial     0               0, phase and reason
    status     master, node      Connected, …
    invoke     client, node      write, delete,      request         0, JSON: key, policy, token;
                                 read                                bound_ms of bounded reads
    complete   client, node      ok, degraded,       request         offset, JSON: epoch, hash,
                                 timeout, refused,                   value, error
                                 not_master, silent
    start      node              first, restart      boot
    crash      node              "", torn, lost_disk records kept
    fault      "", ""            start, end, or none fault's number  0, the fault as JSON; none:
                                                                     there was no master
    =========  ================  ==================  ==============  ==============================

    A write's value is its own request number: it goes into the payload of the row as `"w"`, and a
    read's value is that of the row it found, 0 where it was never written, −1 where there is none.
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
    """Rows in the order in which they happened; they get their names when they are read."""

    def __init__(self) -> None:
        self._rows: list[Any] = []
        self._named_count = 0
        self.append: Callable[[tuple[int, str, str, str, str, int, int, str]], None]
        self.append = self._rows.append
        """Write a row that is complete, with all fields of a `TraceRow`: the short way of `add`."""

    def __len__(self) -> int:
        return len(self._rows)

    def __repr__(self) -> str:
        return f"Trace({len(self):,} rows)"

    @property
    def rows(self) -> list[TraceRow]:
        """All of them so far."""
        if self._named_count < len(self._rows):
            self._rows[self._named_count :] = map(TraceRow._make, self._rows[self._named_count :])
            self._named_count = len(self._rows)
        return self._rows

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
        self._rows.append((time_ns, event, node, peer, kind, number, value, text))

    def copy(self) -> Trace:
        """The rows so far, as a trace of its own."""
        copied = Trace()
        copied._rows.extend(self._rows)
        copied._named_count = self._named_count
        return copied

    def hash(self) -> str:
        """32 hexadecimal digits over all rows: equal traces, and hardly any others, agree."""
        hasher = xxhash.xxh3_128()
        for row in self._rows:
            hasher.update(repr(tuple(row)).encode())
        return hasher.hexdigest()
