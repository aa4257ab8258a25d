"""Links that delay, lose and reorder, each by draws addressed to the message itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from vectorkit.draws import address, below, fold, threshold
from vectorkit.replication.messages import (
    MESSAGE_TYPES,
    Ack,
    Announce,
    AskPromise,
    Chunk,
    ClientRead,
    ClientReply,
    ClientWrite,
    ConfirmEpoch,
    EpochConfirmed,
    MasterHeartbeat,
    Message,
    Prepare,
    Promise,
    Records,
    Reject,
    ReplicaHeartbeat,
    RequestChunks,
    Resume,
    Seek,
    Stand,
    TellPromise,
)
from vectorkit.sim.clock import Scheduler
from vectorkit.sim.options import Link
from vectorkit.sim.trace import Trace
from vectorkit.units import ms_to_ns

_LOSS_STREAM: Final = 1
_DELAY_STREAM: Final = 2
_NUMBER_OF: Final[dict[type, Callable[[Any], int]]] = {
    Records: lambda message: message.records[0].offset,
    Ack: lambda message: message.received_offset,
    MasterHeartbeat: lambda message: message.beat,
    ReplicaHeartbeat: lambda message: message.beat,
    Chunk: lambda message: message.number,
    RequestChunks: lambda message: message.numbers[0],
    Resume: lambda message: message.offset,
    Seek: lambda message: message.promise,
    Announce: lambda message: message.head_offset,
    Prepare: lambda message: message.epoch,
    Promise: lambda message: message.epoch,
    Reject: lambda message: message.epoch,
    Stand: lambda message: message.epoch,
    AskPromise: lambda message: message.index,
    TellPromise: lambda message: message.index,
    ConfirmEpoch: lambda message: message.round,
    EpochConfirmed: lambda message: message.round,
    ClientWrite: lambda message: message.request,
    ClientRead: lambda message: message.request,
    ClientReply: lambda message: message.request,
}
_KIND_NUMBER: Final = {kind: number for number, kind in enumerate(MESSAGE_TYPES)}


@dataclass(slots=True)
class LinkCounts:
    """What a link has carried: sent = delivered + lost + still in flight."""

    sent_count: int = 0
    sent_bytes: int = 0
    delivered_count: int = 0
    delivered_bytes: int = 0
    lost_count: int = 0
    lost_bytes: int = 0

    @property
    def in_flight_count(self) -> int:
        """Messages that have neither arrived nor been lost."""
        return self.sent_count - self.delivered_count - self.lost_count


@dataclass(slots=True)
class _Way:
    """One direction between two nodes."""

    loss_prefix: int
    delay_prefix: int
    cuts: int = 0
    counts: LinkCounts = field(default_factory=LinkCounts)
    highest: dict[int, int] = field(default_factory=dict)
    repeats: dict[tuple[int, int], int] = field(default_factory=dict)

    def attempt(self, kind: int, number: int) -> int:
        """How often this very message has been sent before."""
        if number > self.highest.get(kind, -1):
            self.highest[kind] = number
            return 0
        again = self.repeats.get((kind, number), 0) + 1
        self.repeats[kind, number] = again
        return again


class Network:
    """All ways between the nodes. A message that meets a cut, at its start or its end, is lost."""

    def __init__(
        self,
        node_ids: tuple[str, ...],
        link: Link,
        *,
        seed: int,
        scheduler: Scheduler,
        trace: Trace,
    ) -> None:
        self._scheduler = scheduler
        self._trace = trace
        self._loss_threshold = threshold(link.loss)
        self._delay_ns = ms_to_ns(link.delay_ms)
        self._jitter_ns = ms_to_ns(link.jitter_ms)
        root = address(seed)
        self._ways = {
            (source, target): _Way(
                loss_prefix=fold(root, _LOSS_STREAM, i, j),
                delay_prefix=fold(root, _DELAY_STREAM, i, j),
            )
            for i, source in enumerate(node_ids)
            for j, target in enumerate(node_ids)
            if i != j
        }

    @property
    def counts(self) -> dict[tuple[str, str], LinkCounts]:
        """What each way, (source, target), has carried so far."""
        return {names: way.counts for names, way in self._ways.items()}

    def isolate(self, nodes: tuple[str, ...], *, is_cut: bool) -> None:
        """Cut or heal every way between these nodes and the others. Cuts add up."""
        inside = set(nodes)
        for (source, target), way in self._ways.items():
            if (source in inside) != (target in inside):
                way.cuts += 1 if is_cut else -1

    def send(self, source: str, target: str, message: Message, size_bytes: int) -> None:
        """Put a message on its way, or lose it."""
        way = self._ways[source, target]
        way.counts.sent_count += 1
        way.counts.sent_bytes += size_bytes
        kind, number = _KIND_NUMBER[type(message)], message_number(message)
        attempt = way.attempt(kind, number)
        self._note("send", source, target, message, size_bytes)
        if way.cuts:
            self._lose(way, source, target, message, size_bytes, "cut")
        elif fold(way.loss_prefix, kind, number, attempt) < self._loss_threshold:
            self._lose(way, source, target, message, size_bytes, "loss")
        else:
            delay_ns = self._delay_ns
            if self._jitter_ns:
                delay_ns += below(fold(way.delay_prefix, kind, number, attempt), self._jitter_ns)
            data = (source, target, message, size_bytes)
            self._scheduler.at(self._scheduler.now_ns + delay_ns, "deliver", data)

    def is_cut(self, source: str, target: str) -> bool:
        """Whether nothing gets from the one to the other now."""
        return self._ways[source, target].cuts > 0

    def arrive(
        self, source: str, target: str, message: Message, size_bytes: int, *, is_up: bool
    ) -> bool:
        """A message has crossed its link: whether it comes through."""
        way = self._ways[source, target]
        if way.cuts or not is_up:
            self._lose(way, source, target, message, size_bytes, "cut" if way.cuts else "down")
            return False
        way.counts.delivered_count += 1
        way.counts.delivered_bytes += size_bytes
        self._note("deliver", target, source, message, size_bytes)
        return True

    def _lose(
        self, way: _Way, source: str, target: str, message: Message, size_bytes: int, why: str
    ) -> None:
        way.counts.lost_count += 1
        way.counts.lost_bytes += size_bytes
        self._note("lost", source, target, message, size_bytes, why)

    def _note(
        self, event: str, node: str, peer: str, message: Any, size_bytes: int, why: str = ""
    ) -> None:
        kind, number = type(message).__name__, message_number(message)
        now_ns = self._scheduler.now_ns
        self._trace.add(now_ns, event, node, peer, kind, number, size_bytes, why)


def message_number(message: Message) -> int:
    """What tells a message from others of its kind: its first offset, beat, chunk or generation."""
    return _NUMBER_OF.get(type(message), _generation)(message)


def _generation(message: Any) -> int:
    number: int = message.generation
    return number
