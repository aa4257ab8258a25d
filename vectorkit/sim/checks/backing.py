"""What a master confirms stands on as many disks as were asked for, and no later than that."""

from __future__ import annotations

from collections import defaultdict, deque
from typing import Final

from vectorkit.sim.checks.evidence import Evidence
from vectorkit.sim.checks.findings import CheckTally, Finding
from vectorkit.sim.checks.history import LogPosition
from vectorkit.sim.checks.patience import WORDS
from vectorkit.sim.world.trace_events import (
    MESSAGE_EVENTS,
    NODE_EVENTS,
    AckSent,
    AnswerSent,
    DiskFlushed,
    FlushTaken,
    HealthChanged,
    HistoryApplied,
    HistoryShown,
    IndexRetired,
    MessageDelivered,
    MessageLost,
    MessageSent,
    NodeCrashed,
    OffsetConfirmed,
    RecordAppended,
    RoleTaken,
    StateLost,
    SyncReported,
    TraceEvent,
)
from vectorkit.units import ms_to_ns, ns_to_ms

_ACKS: Final = ("Ack", "ReplicaHeartbeat")
_STAGES: Final = ("flushed", "applied", "visible")


def check_backing(evidence: Evidence) -> Finding:
    """What a master confirms, or answers with "ok", n replicas have held, and its own disk holds.

    Held means: in the history that the replica has applied, hence flushed; at the stage "visible"
    in what its readers see. A node that has held it may have lost it since: that is for the
    guarantee to tell.
    """
    protocol = evidence.options.protocol
    concern = protocol.write_concern
    count = concern.replica_count(len(evidence.options.node_ids))
    tally = CheckTally("acknowledgements_are_backed")
    idle = "nothing was acknowledged"
    if count and concern.stage not in _STAGES:
        return tally.finding(of="", idle=f"the write concern is met at the stage {concern.stage!r}")
    answered = {
        each.served_index: each.place
        for each in evidence.requests
        if each.is_write and each.outcome == "ok" and each.served_index is not None
    }
    by_shown = concern.stage == "visible" and protocol.refresh_ms > 0
    held = _HeldRecords(evidence, by_shown=by_shown)
    confirmed: dict[str, int] = {}
    for index, event in evidence.events:
        at_ms = ns_to_ms(event.time_ns)
        if isinstance(event, AnswerSent) and index in answered:
            node, place = event.node, answered[index]
            tally.see()
            if confirmed.get(node, 0) < place[1]:
                tally.violated(
                    f"{node} answered a write at {evidence.place(place)} at {at_ms:,} ms, having "
                    f"confirmed {confirmed.get(node, 0)}"
                )
        elif isinstance(event, OffsetConfirmed):
            node, place = event.node, (event.epoch, event.offset)
            tally.see()
            confirmed[node] = event.offset
            replicas = held.replicas(place, node)
            if replicas < count or not held.is_on_own_disk(event):
                own = "" if held.is_on_own_disk(event) else " and not its own disk"
                tally.violated(
                    f"{node} confirmed {evidence.place(place)} at {at_ms:,} ms, which {replicas} "
                    f"of {count} replicas had held{own}"
                )
        else:
            if isinstance(event, RoleTaken):
                confirmed.pop(event.node, None)
            held.take(event)
    return tally.finding(of="acknowledgements", idle=idle)


class _HeldRecords:
    """Which records each node has ever held, as far as the trace has come."""

    def __init__(self, evidence: Evidence, *, by_shown: bool) -> None:
        self._history = evidence.history
        self._has_disks = evidence.options.protocol.has_durable_log
        self._by_shown = by_shown
        self._tips: dict[str, LogPosition] = {}
        self._reached: dict[str, dict[int, int]] = defaultdict(dict)
        self._marks: dict[str, int] = defaultdict(int)

    def take(self, event: TraceEvent) -> None:
        match event:
            case RecordAppended(node=node):
                self._tips[node] = event.epoch, event.offset
            case HistoryApplied(node=node, source=source):
                self._tips[node] = event.epoch, event.offset
                if source == "snapshot":
                    self._marks[node] = event.offset
                if not self._by_shown or source != "stream":
                    self._hold(node, self._tips[node])
            case HistoryShown(node=node) if self._by_shown and node in self._tips:
                self._hold(node, self._history.at(self._tips[node], event.offset))
            case DiskFlushed():
                self._marks[event.node] = event.offset
            case _:
                pass

    def replicas(self, place: LogPosition, master: str) -> int:
        """How many nodes but the master have held a record."""
        contains = self._history.contains
        return sum(
            any(contains(tip, place) for tip in reached.items())
            for node, reached in self._reached.items()
            if node != master
        )

    def is_on_own_disk(self, event: OffsetConfirmed) -> bool:
        return not self._has_disks or self._marks[event.node] >= event.offset

    def _hold(self, node: str, tip: LogPosition) -> None:
        reached = self._reached[node]
        reached[tip[0]] = max(reached.get(tip[0], 0), tip[1])


class ArrivedAcks:
    """Which ack a message carried that arrives; of acks alike, the first that was sent.

    One that is lost in the moment in which it is sent is the last of them.
    """

    def __init__(self) -> None:
        self._said: dict[tuple[str, str], AckSent] = {}
        self._flying: dict[tuple[str, str, str, int], deque[AckSent]] = defaultdict(deque)

    def take(self, event: TraceEvent) -> AckSent | None:
        """The ack that arrives with this event, if one does."""
        if isinstance(event, AckSent):
            self._said[event.node, event.master] = event
        elif isinstance(event, MESSAGE_EVENTS) and event.message in _ACKS:
            ends = event.source, event.target
            flying = self._flying[(*ends, event.message, event.number)]
            if isinstance(event, MessageSent):
                flying.append(self._said[ends])
            elif isinstance(event, MessageDelivered):
                return flying.popleft()
            elif event.reason != "down" and flying[-1].time_ns == event.time_ns:
                flying.pop()
            else:
                flying.popleft()
        return None


def check_promptness(evidence: Evidence) -> Finding:
    """A master confirms as soon as n replicas have acked, whatever the others do.

    Later by `connection_timeout_ms` is a violation, counted from when the master could know: what
    waits in the inbox of a busy node is not known yet. Acks count that came by the connection that
    the replica still has, and that name a record of the master's own epoch. Those of a node that
    was retired, or has lost its state since, need not be counted; nor those of a node that takes a
    full sync, or acks of a record before the master's log: it cannot compare the history; nor those
    of a connection by which nothing came for `connection_timeout_ms`, since the master gives it up.
    """
    tally = CheckTally("confirmations_are_prompt")
    node_ids = evidence.options.node_ids
    watches: dict[str, _Watch] = {}
    arrived = ArrivedAcks()
    for event in evidence.trace:
        ack = arrived.take(event)
        node = _watched_node(event)
        match event:
            case StateLost() | NodeCrashed(kind="lost_disk"):
                for watch in watches.values():
                    watch.forget(node)
            case IndexRetired(index=index) if node in watches:
                watches[node].forget(node_ids[index & 0xFF])
            case _:
                pass
        if isinstance(event, RoleTaken):
            watches.pop(node, None)
            if event.role == "master":
                watches[node] = _Watch(evidence, event.epoch)
        elif isinstance(event, NodeCrashed):
            watches.pop(node, None)
        elif node in watches:
            watch = watches[node]
            tally.see(ack is not None)
            if late_ns := watch.take(event, ack):
                tally.violated(
                    f"{node} had not confirmed offset {watch.expected} at "
                    f"{ns_to_ms(event.time_ns):,} ms, {ns_to_ms(late_ns):,} ms after the acks "
                    "for it had come"
                )
    return tally.finding(of="acks", idle="no master heard an ack")


def _watched_node(event: TraceEvent) -> str:
    """The node at which something happens; the sender's where it puts a message on its way."""
    match event:
        case MessageDelivered(target=node):
            return node
        case MessageSent(source=node) | MessageLost(source=node) | HealthChanged(master=node):
            return node
    return event.node if isinstance(event, NODE_EVENTS) else ""


class _Watch:
    """A master: what it could confirm, and what it has."""

    def __init__(self, evidence: Evidence, epoch: int) -> None:
        protocol = evidence.options.protocol
        self._count = protocol.write_concern.replica_count(len(evidence.options.node_ids))
        self._stage = protocol.write_concern.stage
        self._has_disks = protocol.has_durable_log
        self._patience_ns = ms_to_ns(protocol.connection_timeout_ms)
        self._epoch = epoch
        self._mark = self._confirmed = self.expected = self._head = 0
        self._log_operations = protocol.log_capacity_operations
        self._shows_later = self._stage == "visible" and protocol.refresh_ms > 0
        self._shown = 0
        self._reached: dict[str, int] = {}
        self._uncounted: set[str] = set()
        """Nodes in a full sync, and those whose connection the master has closed."""
        self._alive_ns: dict[str, int] = {}
        """When something last came by the connection of each node."""
        self._since_ns: int | None = None

    def forget(self, node: str) -> None:
        """What a node has acked need not be counted any more."""
        self._reached.pop(node, None)
        self._since_ns = None

    def take(self, event: TraceEvent, ack: AckSent | None) -> int:
        """Return for how long a confirmation has been overdue, in ns; 0 if none is."""
        late_ns = 0
        if self._since_ns is not None and event.time_ns - self._since_ns > self._patience_ns:
            late_ns, self._since_ns = event.time_ns - self._since_ns, None
            self._confirmed = self.expected  # Report each delay once.
        self._give_up_silent(event)
        match event:
            case MessageDelivered() if ack is not None:
                is_in_log = ack.flushed_offset + self._log_operations >= self._head
                if is_in_log and ack.epoch == self._epoch and ack.node not in self._uncounted:
                    reached = _reached(ack, self._stage)
                    self._reached[ack.node] = max(self._reached.get(ack.node, 0), reached)
            case MessageDelivered(message="Hello") | MessageSent(message="Close") | SyncReported():
                self._note_connection(event)
            case DiskFlushed(is_waiting=False) | FlushTaken():
                self._mark = event.offset
            case OffsetConfirmed():
                self._confirmed = max(self._confirmed, event.offset)
            case RecordAppended():
                self._head = event.offset
                self._mark = self._mark if self._has_disks else event.offset
            case HistoryShown():
                self._shown = event.offset
            case _:
                return late_ns
        offsets = sorted(self._reached.values(), reverse=True)
        backed = offsets[self._count - 1] if 0 < self._count <= len(offsets) else 0
        own = min(self._mark, self._shown) if self._shows_later else self._mark
        self.expected = min(own, backed) if self._count else own
        if self.expected <= self._confirmed:
            self._since_ns = None
        elif self._since_ns is None:
            self._since_ns = event.time_ns
        return late_ns

    def _give_up_silent(self, event: TraceEvent) -> None:
        for node, alive_ns in self._alive_ns.items():
            if event.time_ns - alive_ns >= self._patience_ns and node not in self._uncounted:
                self._uncounted.add(node)
                self.forget(node)
        match event:
            case MessageDelivered(source=node) if event.message in WORDS:
                if node in self._alive_ns and node not in self._uncounted:
                    self._alive_ns[node] = event.time_ns
            case _:
                pass

    def _note_connection(self, event: TraceEvent) -> None:
        """A connection begins or ends, or its full sync does: whose acks count from now on."""
        match event:
            case MessageDelivered(source=node):
                self._reached.pop(node, None)
            case MessageSent(target=node):
                self._uncounted.add(node)
            case SyncReported(kind="full", phase="started", peer=node):
                self._alive_ns.pop(node, None)
                self._uncounted.add(node)
                self._reached.pop(node, None)
            case SyncReported(phase="started" | "finished", peer=node):
                self._alive_ns[node] = event.time_ns
                self._uncounted.discard(node)
            case _:
                pass


def _reached(ack: AckSent, stage: str) -> int:
    offset: int = getattr(ack, f"{stage}_offset")
    return offset


def check_queues(evidence: Evidence) -> Finding:
    """What is on its way to a replica and not confirmed by it stays within the window.

    Counted in bytes of the wire, records that are sent for the first time only, against twice
    `window_bytes` and the two largest messages: a record on the wire has a head of its own.
    """
    window_bytes = evidence.options.protocol.window_bytes
    tally = CheckTally("queues_are_bounded")
    queues: dict[tuple[str, str], _Queue] = defaultdict(_Queue)
    arrived = ArrivedAcks()
    for event in evidence.trace:
        ack = arrived.take(event)
        if ack is not None:
            queues[ack.master, ack.node].confirm(ack.received_offset)
        elif isinstance(event, MessageDelivered) and event.message == "Hello":
            queues[event.target, event.source] = _Queue()
        elif isinstance(event, MessageSent) and event.message == "Records" and not event.note:
            queue = queues[event.source, event.target]
            queue.send(event.number, event.size_bytes)
            tally.see()
            if queue.size_bytes > 2 * window_bytes + 2 * queue.largest_bytes:
                tally.violated(
                    f"{event.source} had {queue.size_bytes:,} bytes on their way to "
                    f"{event.target} at {ns_to_ms(event.time_ns):,} ms, with a window of "
                    f"{window_bytes:,}"
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
