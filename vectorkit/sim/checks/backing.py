"""What a master confirms stands on as many disks as were asked for, and no later than that."""

from __future__ import annotations

from collections import defaultdict, deque
from typing import Final

from vectorkit.sim.checks.facts import Facts
from vectorkit.sim.checks.findings import Finding, Tally
from vectorkit.sim.checks.history import Place
from vectorkit.sim.trace import TraceRow
from vectorkit.units import ms_to_ns, ns_to_ms

_ACKS: Final = ("Ack", "ReplicaHeartbeat")
_STAGES: Final = ("flushed", "applied", "visible")


def check_backing(facts: Facts) -> Finding:
    """What a master confirms, or answers with "ok", n replicas have held, and its own disk holds.

    Held means: in the history that the replica has applied, hence flushed; at the stage "visible"
    in what its readers see. A node that has held it may have lost it since: that is for the
    guarantee to tell.
    """
    protocol = facts.options.protocol
    concern = protocol.write_concern
    count = concern.replica_count(len(facts.options.node_ids))
    tally = Tally("acknowledgements_are_backed")
    idle = "nothing was acknowledged"
    if count and concern.stage not in _STAGES:
        return tally.finding(of="", idle=f"the write concern is met at the stage {concern.stage!r}")
    answered = {
        each.served_index: each.place
        for each in facts.requests
        if each.is_write and each.outcome == "ok" and each.served_index is not None
    }
    by_shown = concern.stage == "visible" and protocol.refresh_ms > 0
    held = _Held(facts, by_shown=by_shown)
    confirmed: dict[str, int] = {}
    events = [*facts.events, *((index, facts.rows[index]) for index in answered)]
    for index, row in sorted(events, key=lambda event: event[0]):
        if index in answered:
            place = answered[index]
            tally.see()
            if confirmed.get(row.node, 0) < place[1]:
                tally.violated(
                    f"{row.node} answered a write at {facts.place(place)} at "
                    f"{ns_to_ms(row.time_ns):,} ms, having confirmed {confirmed.get(row.node, 0)}"
                )
        elif row.event == "confirm":
            tally.see()
            confirmed[row.node] = row.number
            place = row.value, row.number
            replicas = held.replicas(place, row.node)
            if replicas < count or not held.is_on_own_disk(row):
                own = "" if held.is_on_own_disk(row) else " and not its own disk"
                tally.violated(
                    f"{row.node} confirmed {facts.place(place)} at {ns_to_ms(row.time_ns):,} ms, "
                    f"which {replicas} of {count} replicas had held{own}"
                )
        else:
            if row.event == "role":
                confirmed.pop(row.node, None)
            held.take(row)
    return tally.finding(of="acknowledgements", idle=idle)


class _Held:
    """Which records each node has ever held, as far as the trace has come."""

    def __init__(self, facts: Facts, *, by_shown: bool) -> None:
        self._history = facts.history
        self._has_disks = facts.options.protocol.has_durable_log
        self._by_shown = by_shown
        self._tips: dict[str, Place] = {}
        self._reached: dict[str, dict[int, int]] = defaultdict(dict)
        self._marks: dict[str, int] = defaultdict(int)

    def take(self, row: TraceRow) -> None:
        match row.event:
            case "append":
                self._tips[row.node] = row.value, row.number
            case "apply":
                self._tips[row.node] = row.value, row.number
                if row.kind == "snapshot":
                    self._marks[row.node] = row.number
                if not self._by_shown or row.kind != "stream":
                    self._hold(row.node, (row.value, row.number))
            case "visible" if self._by_shown and row.node in self._tips:
                self._hold(row.node, self._history.at(self._tips[row.node], row.number))
            case "flush":
                self._marks[row.node] = row.number
            case _:
                pass

    def replicas(self, place: Place, master: str) -> int:
        """How many nodes but the master have held a record."""
        contains = self._history.contains
        return sum(
            any(contains(tip, place) for tip in reached.items())
            for node, reached in self._reached.items()
            if node != master
        )

    def is_on_own_disk(self, row: TraceRow) -> bool:
        return not self._has_disks or self._marks[row.node] >= row.number

    def _hold(self, node: str, tip: Place) -> None:
        reached = self._reached[node]
        reached[tip[0]] = max(reached.get(tip[0], 0), tip[1])


class ArrivedAcks:
    """Which ack a message carried that arrives; of acks alike, the first that was sent."""

    def __init__(self) -> None:
        self._said: dict[tuple[str, str], TraceRow] = {}
        self._flying: dict[tuple[str, str, str, int], deque[TraceRow]] = defaultdict(deque)

    def take(self, row: TraceRow) -> TraceRow | None:
        """The row of the ack that arrives with this row, if one does."""
        if row.event == "ack":
            self._said[row.node, row.peer] = row
        elif row.kind in _ACKS:
            if row.event == "send":
                self._flying[row.node, row.peer, row.kind, row.number].append(
                    self._said[row.node, row.peer]
                )
            elif row.event == "lost":
                self._flying[row.node, row.peer, row.kind, row.number].popleft()
            elif row.event == "deliver":
                return self._flying[row.peer, row.node, row.kind, row.number].popleft()
        return None


def check_promptness(facts: Facts) -> Finding:
    """A master confirms as soon as n replicas have acked, whatever the others do.

    Later by `connection_timeout_ms` is a violation. Acks count that came by the connection that
    the replica still has, and that name a record of the master's own epoch. Those of a node that
    was retired, or has lost its state since, need not be counted.
    """
    tally = Tally("confirmations_are_prompt")
    node_ids = facts.options.node_ids
    watches: dict[str, _Watch] = {}
    arrived = ArrivedAcks()
    for row in facts.rows:
        ack = arrived.take(row)
        node = row.node
        if row.event == "lost_state" or row.kind == "lost_disk":
            for watch in watches.values():
                watch.forget(node)
        elif row.event == "retire" and node in watches:
            watches[node].forget(node_ids[row.number & 0xFF])
        if row.event == "role":
            watches.pop(node, None)
            if row.kind == "master":
                watches[node] = _Watch(facts, row.number)
        elif row.event == "crash":
            watches.pop(node, None)
        elif node in watches:
            watch = watches[node]
            tally.see(ack is not None)
            if late_ns := watch.take(row, ack):
                tally.violated(
                    f"{node} had not confirmed offset {watch.expected} at "
                    f"{ns_to_ms(row.time_ns):,} ms, {ns_to_ms(late_ns):,} ms after the acks "
                    "for it had come"
                )
    return tally.finding(of="acks", idle="no master heard an ack")


class _Watch:
    """A master: what it could confirm, and what it has."""

    def __init__(self, facts: Facts, epoch: int) -> None:
        protocol = facts.options.protocol
        self._count = protocol.write_concern.replica_count(len(facts.options.node_ids))
        self._stage = protocol.write_concern.stage
        self._has_disks = protocol.has_durable_log
        self._patience_ns = ms_to_ns(protocol.connection_timeout_ms)
        self._epoch = epoch
        self._mark = self._confirmed = self.expected = 0
        self._reached: dict[str, int] = {}
        self._since_ns: int | None = None

    def forget(self, node: str) -> None:
        """What a node has acked need not be counted any more."""
        self._reached.pop(node, None)
        self._since_ns = None

    def take(self, row: TraceRow, ack: TraceRow | None) -> int:
        """For how long something could have been confirmed when that is told; else 0."""
        late_ns = 0
        if self._since_ns is not None and row.time_ns - self._since_ns > self._patience_ns:
            late_ns, self._since_ns = row.time_ns - self._since_ns, None
            self._confirmed = self.expected  # Told once.
        if ack is not None:
            if ack.value == self._epoch:
                reached = _reached(ack, self._stage)
                self._reached[row.peer] = max(self._reached.get(row.peer, 0), reached)
        elif row.event == "deliver" and row.kind == "Hello":
            self._reached.pop(row.peer, None)
        elif row.event == "flush":
            self._mark = row.number
        elif row.event == "confirm":
            self._confirmed = max(self._confirmed, row.number)
        elif row.event == "append" and not self._has_disks:
            self._mark = row.number
        else:
            return late_ns
        offsets = sorted(self._reached.values(), reverse=True)
        backed = offsets[self._count - 1] if 0 < self._count <= len(offsets) else 0
        self.expected = min(self._mark, backed) if self._count else self._mark
        if self.expected <= self._confirmed:
            self._since_ns = None
        elif self._since_ns is None:
            self._since_ns = row.time_ns
        return late_ns


def _reached(ack: TraceRow, stage: str) -> int:
    received, applied, visible = map(int, ack.text.split())
    return {"received": received, "flushed": ack.number, "applied": applied, "visible": visible}[
        stage
    ]


def check_queues(facts: Facts) -> Finding:
    """What is on its way to a replica and not confirmed by it stays within the window.

    Counted in bytes of the wire, records that are sent for the first time only, against twice
    `window_bytes` and the two largest messages: a record on the wire has a head of its own.
    """
    window_bytes = facts.options.protocol.window_bytes
    tally = Tally("queues_are_bounded")
    queues: dict[tuple[str, str], _Queue] = defaultdict(_Queue)
    arrived = ArrivedAcks()
    for row in facts.rows:
        ack = arrived.take(row)
        if ack is not None:
            queues[row.node, row.peer].confirm(int(ack.text.split()[0]))
        elif row.event == "deliver" and row.kind == "Hello":
            queues[row.node, row.peer] = _Queue()
        elif row.event == "send" and row.kind == "Records" and not row.text:
            queue = queues[row.node, row.peer]
            queue.send(row.number, row.value)
            tally.see()
            if queue.size_bytes > 2 * window_bytes + 2 * queue.largest_bytes:
                tally.violated(
                    f"{row.node} had {queue.size_bytes:,} bytes on their way to {row.peer} at "
                    f"{ns_to_ms(row.time_ns):,} ms, with a window of {window_bytes:,}"
                )
    return tally.finding(of="messages with records", idle="no records were sent")


class _Queue:
    """Messages with records that a replica has not confirmed."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[int, int]] = deque()
        self._highest = 0
        self.size_bytes = self.largest_bytes = 0

    def send(self, offset: int, size_bytes: int) -> None:
        if offset > self._highest:
            self._highest = offset
            self._waiting.append((offset, size_bytes))
            self.size_bytes += size_bytes
            self.largest_bytes = max(self.largest_bytes, size_bytes)

    def confirm(self, offset: int) -> None:
        while self._waiting and self._waiting[0][0] <= offset:
            self.size_bytes -= self._waiting.popleft()[1]
