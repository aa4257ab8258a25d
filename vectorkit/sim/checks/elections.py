"""Checks of elections: promises stay, returning nodes hear replacements, elections have causes."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from vectorkit.sim.checks.evidence import Evidence
from vectorkit.sim.checks.findings import CheckTally, Finding
from vectorkit.sim.world.trace_events import (
    MESSAGE_EVENTS,
    EpochPromised,
    HistoryApplied,
    IndexRetired,
    MessageDelivered,
    MessageLost,
    MessageSent,
    NodeCrashed,
    RoleTaken,
    StateLost,
    TraceEvent,
)
from vectorkit.units import ms_to_ns, ns_to_ms

_Message = MessageSent | MessageLost | MessageDelivered
_SLOT_MASK: Final = 0xFF
_LIFE: Final = (
    *("MasterHeartbeat", "Records", "StartPartial", "StartFull", "Chunk", "Close", "Confirmed"),
    *("Announce", "ConfirmEpoch"),
)
"""Messages that only a master sends: each is a sign of life."""
_HEARTBEATS_MISSED: Final = 2
"""A silence of fewer heartbeat intervals never counts, even if the deadline is shorter."""


def check_durable_promises(evidence: Evidence) -> Finding:
    """A node's durable promise never goes down, unless its disk is lost.

    This holds also if its log is damaged, because the promise is stored apart from the log.
    """
    has_disks = evidence.options.protocol.has_durable_log
    tally = CheckTally(
        "promises_never_go_down", unpromised="" if has_disks else "there are no disks"
    )
    promised: dict[str, int] = {}
    for _, event in evidence.events:
        match event:
            case NodeCrashed(node=node) if event.kind == "lost_disk" or not has_disks:
                promised.pop(node, None)
            case EpochPromised(node=node, epoch=epoch):
                before = promised.get(node, 0)
                tally.see(before > 0)
                if epoch < before:
                    tally.violated(
                        f"{node} promised {evidence.epoch_name(epoch)} at "
                        f"{ns_to_ms(event.time_ns):,} ms, having promised "
                        f"{evidence.epoch_name(before)}"
                    )
                promised[node] = max(before, epoch)
            case _:
                pass
    return tally.finding(of="promises after another", idle="no node promised twice")


def check_replacements(evidence: Evidence) -> Finding:
    """A node without state follows a master only after every slot with state reported its promise.

    It need not hear a slot whose machine is retired and whose replacement has no state yet. With
    two nodes no third one can name the replacement, so there any retired machine will do; the only
    master that such a node can follow is the replacement itself.
    """
    guarantee = evidence.guarantee
    tally = CheckTally("replacements_are_heard", unpromised=guarantee.unpromised)
    returns = _Returns(evidence.options.node_ids)
    for event in evidence.trace:
        if isinstance(event, RoleTaken) and returns.goes_on(event):
            tally.see()
            for other in returns.unheard(event.node):
                tally.violated(
                    f"{event.node} went on without its state at {ns_to_ms(event.time_ns):,} ms, "
                    f"not having heard {other}",
                    is_promised=guarantee.is_in_force(event.time_ns),
                )
        returns.take(event)
    return tally.finding(of="returns", idle="no node returned from lost state")


class _Returns:
    """The nodes without state, and the promises that each has heard under its new index."""

    def __init__(self, node_ids: Sequence[str]) -> None:
        self._node_ids = node_ids
        first = {node: slot for slot, node in enumerate(node_ids)}
        self._index = dict(first)
        self._whole = dict(first)
        """The newest index of each node under which it had its state."""
        self._retired = dict.fromkeys(node_ids, -1)
        self._returning: set[str] = set()
        self._heard: dict[str, dict[str, int]] = defaultdict(dict)
        self._told: dict[tuple[str, str, int], deque[int]] = defaultdict(deque)

    def goes_on(self, event: RoleTaken) -> bool:
        """Whether a node stops asking and begins to follow a master."""
        return event.node in self._returning and event.role == "replica"

    def unheard(self, node: str) -> list[str]:
        """Return the nodes whose promise the node needed and did not hear."""
        heard, is_pair = self._heard[node], len(self._node_ids) == 2
        return [
            other
            for other, index in self._whole.items()
            if other != node
            and heard.get(other, -1) < index
            and self._retired[other] < (0 if is_pair else index)
        ]

    def take(self, event: TraceEvent) -> None:
        match event:
            case MessageSent(source=node, message="TellPromise"):
                self._told[node, event.target, event.number].append(self._index[node])
            case MessageLost(source=node, message="TellPromise"):
                self._told[node, event.target, event.number].popleft()
            case MessageDelivered(source=other, target=node, message="TellPromise"):
                index = self._told[other, node, event.number].popleft()
                if event.number == self._index[node]:
                    self._heard[node][other] = max(index, self._heard[node].get(other, -1))
            case StateLost(node=node):
                self._index[node] = event.index
                self._heard.pop(node, None)
            case RoleTaken(node=node):
                self._returning.discard(node)
                if event.role == "returning":
                    self._returning.add(node)
            case NodeCrashed(node=node):
                self._returning.discard(node)
                self._heard.pop(node, None)
            case HistoryApplied(node=node, source="snapshot"):
                self._whole[node] = self._index[node]
            case IndexRetired() if event.index & _SLOT_MASK < len(self._node_ids):
                node = self._node_ids[event.index & _SLOT_MASK]
                self._retired[node] = max(self._retired[node], event.index)
            case _:
                pass


def check_causes(evidence: Evidence) -> Finding:
    """Each election has a cause: the master's silence, an operator's command, or another node.

    The master is silent if the node has received nothing from it for the deadline and for two
    heartbeats, counted at the earliest from when the node began to follow it. This is promised if
    no clock is faulty and the detector is "deadline", with a deadline of two heartbeats or more.
    """
    protocol = evidence.options.protocol
    failover, least_ns = protocol.failover, _HEARTBEATS_MISSED * ms_to_ns(protocol.heartbeat_ms)
    unpromised = "clocks were made to go wrong" if evidence.has_clock_faults else ""
    deadline_ns = least_ns
    if failover is not None:
        deadline_ns = max(deadline_ns, ms_to_ns(failover.deadline_ms))
        if failover.detector != "deadline":
            deadline_ns, unpromised = least_ns, f"the detector is {failover.detector!r}"
        elif failover.allow_short_deadline:
            unpromised = "a deadline below two heartbeats was asked for"
    tally = CheckTally("failovers_have_a_cause", unpromised=unpromised)
    followers = _Followers()
    for index, event in enumerate(evidence.trace):
        if isinstance(event, RoleTaken) and event.role == "candidate":
            tally.see()
            if problem := followers.problem(event, deadline_ns):
                tally.violated(
                    f"{event.node} started an election at {ns_to_ms(event.time_ns):,} ms "
                    f"({event.cause}): {problem}"
                )
        followers.take(index, event)
    return tally.finding(of="elections", idle="no node started an election")


@dataclass(slots=True)
class _Follower:
    """A node in its present role: its master, the epoch, and the last sign of life."""

    since_ns: int
    is_master: bool = False
    master: str | None = None
    epoch: int = 0
    taken: int | None = None
    """Index in the trace at which the master received a handshake of this role."""
    heard_ns: int | None = None
    promise: int = 0
    was_asked: bool = False
    """Whether a candidate asked it to start an election, or a node reported a higher promise."""


class _Followers:
    """The signs of life that each node has received, and its reasons to start an election."""

    def __init__(self) -> None:
        self._of: dict[str, _Follower] = {}
        self._serves: dict[str, int] = {}
        self._flying: dict[tuple[str, str, str, int], deque[tuple[int, int]]] = defaultdict(deque)

    def problem(self, event: RoleTaken, deadline_ns: int) -> str:
        """Return what is wrong with an election; "" if it has a cause."""
        node = self._of.get(event.node)
        if event.cause == "command" or node is None:
            return ""
        if event.cause in ("requested", "promise"):
            return "" if node.was_asked else "no node had asked for it"
        last_ns = node.since_ns if node.heard_ns is None else node.heard_ns
        silent_ns = event.time_ns - last_ns
        if event.cause == "served_last":
            return "" if node.heard_ns is None else f"{node.master} was heard before"
        if silent_ns >= deadline_ns:
            return ""
        since = "its role began" if node.heard_ns is None else f"{node.master} was heard"
        return f"{ns_to_ms(silent_ns):,} ms after {since}"

    def take(self, index: int, event: TraceEvent) -> None:
        if isinstance(event, MESSAGE_EVENTS):
            self._take_message(index, event)
            return
        match event:
            case EpochPromised(node=node) if node in self._of:
                self._of[node].promise = event.epoch
            case RoleTaken():
                self._begin_role(event)
            case NodeCrashed(node=node):
                self._of.pop(node, None)
                self._serves.pop(node, None)
                if event.kind == "lost_disk":
                    self._replaced(node)
            case StateLost(node=node):
                self._replaced(node)
            case IndexRetired(node=node) if node in self._of:
                follower = self._of[node]
                if follower.epoch & _SLOT_MASK == event.index & _SLOT_MASK:
                    follower.master = None
            case _:
                pass

    def _begin_role(self, event: RoleTaken) -> None:
        node, before = event.node, self._of.get(event.node)
        promise = 0 if before is None else before.promise
        is_master = event.role == "master"
        self._of[node] = _Follower(event.time_ns, is_master, promise=promise)
        self._serves.pop(node, None)
        if is_master:
            self._serves[node] = event.epoch

    def _take_message(self, index: int, event: _Message) -> None:
        source, target, kind = event.source, event.target, event.message
        if kind in _LIFE:
            flying = self._flying[source, target, kind, event.number]
            if isinstance(event, MessageSent):
                flying.append((index, self._serves.get(source, 0)))
                return
            sent, epoch = flying.popleft()
            if isinstance(event, MessageDelivered) and target in self._of:
                self._hear(self._of[target], event, sent, epoch)
        elif kind == "Hello" and source in self._of:
            follower = self._of[source]
            if isinstance(event, MessageSent) and not event.note:
                self._follow(follower, target)
            elif isinstance(event, MessageDelivered) and follower.master == target:
                follower.taken = index if follower.taken is None else follower.taken
        elif isinstance(event, MessageDelivered) and target in self._of:
            follower = self._of[target]
            follower.was_asked |= kind == "StartElection" or (kind == "Seek" and follower.is_master)

    def _follow(self, follower: _Follower, master: str) -> None:
        """A node sends a handshake to the master that it follows, in that master's epoch.

        If the master or the epoch is another than before, the node has no sign of life from it.
        """
        epoch = self._serves.get(master, 0)
        if (master, epoch) != (follower.master, follower.epoch):
            follower.master, follower.epoch = master, epoch
            follower.taken = None

    def _hear(self, node: _Follower, event: MessageDelivered, sent: int, epoch: int) -> None:
        """Count a message as a sign of life if its source sent it as master of the right epoch."""
        kind = event.message
        if kind == "Announce" and epoch > node.epoch:
            node.master = None  # Another master or epoch counts from its handshake on.
        if node.master != event.source or not epoch == node.epoch >= node.promise:
            return
        if kind == "ConfirmEpoch":
            is_heard = epoch == node.promise
        elif kind == "Announce":
            is_heard = True
        else:
            is_heard = node.taken is not None and sent > node.taken
        if is_heard:
            node.heard_ns = event.time_ns

    def _replaced(self, master: str) -> None:
        """Nodes that know this node's new index may drop all that it has sent before."""
        for follower in self._of.values():
            if follower.master == master:
                follower.master = None
