"""Links that delay, lose, copy, hold and reorder, each by draws addressed to the message itself."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Final

from vectorkit.draws import address, below, fold, threshold
from vectorkit.records import fast_frozen
from vectorkit.replication.protocol import messages
from vectorkit.replication.protocol.messages import MESSAGE_TYPES, Chunk, Message
from vectorkit.sim.options import Link
from vectorkit.sim.world.clock import Scheduler
from vectorkit.sim.world.latency import Latency
from vectorkit.sim.world.trace import Trace
from vectorkit.sim.world.trace_events import MessageLost, MessageSent
from vectorkit.units import MIB, ms_to_ns

FIRST_CLIENT: Final = 128
"""Draws address nodes from 0 on and clients from here on: one more of the ones moves no other."""

# Streams of draws; those of a copy are apart, so that a message fares alike with and without one.
_LOSS_STREAM: Final = 1
_DELAY_STREAM: Final = 2
_COPY_STREAM: Final = 16
_COPY_LOSS_STREAM: Final = 17
_COPY_DELAY_STREAM: Final = 18
_CORRUPTION_STREAM: Final = 19
_BIT_STREAM: Final = 20

_NS_PER_S: Final = 1_000_000_000
_NUMBER_OF: Final[dict[type, Callable[[Any], int]]] = {
    messages.Records: lambda message: message.records[0].offset,
    messages.Ack: attrgetter("received_offset"),
    messages.MasterHeartbeat: attrgetter("beat"),
    messages.ReplicaHeartbeat: attrgetter("beat"),
    Chunk: attrgetter("number"),
    messages.RequestChunks: lambda message: message.numbers[0],
    messages.Resume: attrgetter("offset"),
    messages.AskConfirmed: attrgetter("offset"),
    messages.Confirmed: attrgetter("offset"),
    messages.Seek: attrgetter("promise"),
    messages.Announce: attrgetter("head_offset"),
    messages.Prepare: attrgetter("epoch"),
    messages.Promise: attrgetter("epoch"),
    messages.Reject: attrgetter("epoch"),
    messages.StartElection: attrgetter("epoch"),
    messages.AskPromise: attrgetter("index"),
    messages.TellPromise: attrgetter("asker"),
    messages.ConfirmEpoch: attrgetter("round"),
    messages.EpochConfirmed: attrgetter("round"),
    messages.ClientWrite: attrgetter("request"),
    messages.ClientRead: attrgetter("request"),
    messages.ClientReply: attrgetter("request"),
}
_KINDS: Final[dict[type, tuple[int, str, Callable[[Any], int]]]] = {
    kind: (number, kind.__name__, _NUMBER_OF.get(kind, attrgetter("generation")))
    for number, kind in enumerate(MESSAGE_TYPES)
}


@dataclass(slots=True)
class LinkCounts:
    """What a link has carried: sent + duplicated = delivered + lost + still in flight."""

    sent_count: int = 0
    sent_bytes: int = 0
    duplicated_count: int = 0
    duplicated_bytes: int = 0
    delivered_count: int = 0
    delivered_bytes: int = 0
    lost_count: int = 0
    lost_bytes: int = 0

    @property
    def in_flight_count(self) -> int:
        """Messages that have neither arrived nor been lost."""
        return self.sent_count + self.duplicated_count - self.delivered_count - self.lost_count


@dataclass(slots=True)
class LinkFaults:
    """What faults add to a link while they last; all are counts or sums, so they end alone."""

    cuts: int = 0
    clogs: int = 0
    blocks: dict[str, int] = field(default_factory=dict)
    delay_ns: int = 0
    loss: int = 0
    duplication: int = 0
    corruption: int = 0

    def add(self, more: LinkFaults, sign: int = 1) -> None:
        """Make it worse, or with sign −1 as it was."""
        self.cuts += sign * more.cuts
        self.clogs += sign * more.clogs
        self.delay_ns += sign * more.delay_ns
        self.loss += sign * more.loss
        self.duplication += sign * more.duplication
        self.corruption += sign * more.corruption
        for name, count in more.blocks.items():
            self.blocks[name] = self.blocks.get(name, 0) + sign * count


class LinkState:
    """One direction between two endpoints."""

    __slots__ = (
        "bytes_per_s",
        "chances",
        "counts",
        "held",
        "highest",
        "is_fifo",
        "is_sending",
        "is_simple",
        "is_troubled",
        "last_ns",
        "latency",
        "link_chances",
        "prefixes",
        "queues",
        "repeats",
        "roots",
        "source",
        "target",
        "trouble",
    )

    def __init__(self, source: str, target: str, link: Link, roots: tuple[int, int, int]) -> None:
        self.source = source
        self.target = target
        self.latency = Latency(link)
        self.link_chances = tuple(map(threshold, (link.loss, link.duplication, link.corruption)))
        self.is_fifo = link.is_fifo
        self.bytes_per_s = round(link.mib_per_s * MIB)
        self.roots = roots
        self.prefixes: dict[int, int] = {}
        self.counts = LinkCounts()
        self.trouble = LinkFaults()
        self.highest: dict[int, int] = {}
        self.repeats: dict[tuple[int, int], int] = {}
        self.held: list[Packet] = []
        self.queues: tuple[deque[Transit], deque[Transit]] = (deque(), deque())
        self.is_sending = False
        self.last_ns = 0
        self.refresh()

    def refresh(self) -> None:
        """Look again at what troubles it: most ways need no draw and no queue."""
        trouble = self.trouble
        more = (trouble.loss, trouble.duplication, trouble.corruption)
        self.chances = tuple(map(sum, zip(self.link_chances, more, strict=True)))
        self.is_troubled = bool(trouble.cuts or trouble.clogs)
        is_clear = not (trouble.cuts or trouble.delay_ns or any(trouble.blocks.values()))
        has_queue = self.is_fifo or self.bytes_per_s
        self.is_simple = (
            is_clear and not has_queue and not any(self.chances) and self.latency.is_constant
        )

    def draw(self, stream: int, place: tuple[int, int, int]) -> int:
        """The uint32 of a stream for a message: its kind, its number, its attempt."""
        prefix = self.prefixes.get(stream)
        if prefix is None:
            root, i, j = self.roots
            prefix = self.prefixes[stream] = fold(root, stream, i, j)
        return fold(prefix, *place)

    def attempt_again(self, kind: int, number: int) -> int:
        """How often this very message has been sent before, unless its number is new."""
        again = self.repeats.get((kind, number), 0) + 1
        self.repeats[kind, number] = again
        return again


@fast_frozen
class Packet:
    """A message on its way, with what a trace says of it."""

    way: LinkState
    kind: str
    number: int
    size_bytes: int
    message: Message


Transit = tuple[Packet, int]
"""A packet that waits for its turn, and how long it will travel then."""


class Network:
    """All ways between nodes and clients. A message that meets a cut, at either end, is lost."""

    def __init__(
        self,
        node_ids: Sequence[str],
        link: Link,
        links: Mapping[tuple[str, str], Link] | None = None,
        *,
        client_ids: Sequence[str] = (),
        seed: int,
        scheduler: Scheduler,
        trace: Trace,
    ) -> None:
        self._scheduler = scheduler
        self._trace = trace
        root = address(seed)
        numbers = {node_id: number for number, node_id in enumerate(node_ids)}
        numbers |= {name: FIRST_CLIENT + number for number, name in enumerate(client_ids)}
        self._ways = {
            (source, target): LinkState(
                source,
                target,
                (links or {}).get((source, target), link),
                (root, i, j),
            )
            for source, i in numbers.items()
            for target, j in numbers.items()
            if i != j and min(i, j) < FIRST_CLIENT
        }

    @property
    def counts(self) -> dict[tuple[str, str], LinkCounts]:
        """What each way, (source, target), has carried so far."""
        return {names: way.counts for names, way in self._ways.items()}

    def between(self, source: str | None, target: str | None) -> list[tuple[str, str]]:
        """The ways from an endpoint to another; None stands for any."""
        return [
            ends for ends in self._ways if source in (None, ends[0]) and target in (None, ends[1])
        ]

    def trouble(self, ways: Iterable[tuple[str, str]], more: LinkFaults, sign: int = 1) -> None:
        """Make ways worse, or with sign −1 as they were; a way unclogged lets all go at once."""
        for ends in ways:
            way = self._ways[ends]
            way.trouble.add(more, sign)
            way.refresh()
            if way.held and not way.trouble.clogs:
                held, way.held = way.held, []
                for packet in held:
                    self._scheduler.at(self._scheduler.now_ns, "deliver", packet)

    def is_cut(self, source: str, target: str) -> bool:
        """Whether nothing gets from the one to the other now."""
        return self._ways[source, target].trouble.cuts > 0

    # The life of a message

    def send(self, source: str, target: str, message: Message, size_bytes: int) -> None:
        """Put a message on its way, or lose it."""
        way = self._ways[source, target]
        kind, name, number_of = _KINDS[type(message)]
        number = number_of(message)
        attempt = 0
        if number > way.highest.get(kind, -1):
            way.highest[kind] = number
        else:
            attempt = way.attempt_again(kind, number)
        counts, now_ns = way.counts, self._scheduler.now_ns
        counts.sent_count += 1
        counts.sent_bytes += size_bytes
        if way.is_simple:
            self._trace.add_raw(
                ("MessageSent", now_ns, source, target, name, number, size_bytes, "")
            )
            packet = Packet(way, name, number, size_bytes, message)
            self._scheduler.at(now_ns + way.latency.base_ns, "deliver", packet)
            return
        place = (kind, number, attempt)
        loss, duplication, corruption = way.chances
        note = ""
        if corruption and isinstance(message, Chunk) and message.data:
            is_hit = way.draw(_CORRUPTION_STREAM, place) < corruption
            if is_hit:
                message, note = flipped(message, way.draw(_BIT_STREAM, place)), "corrupt"
        packet = Packet(way, name, number, size_bytes, message)
        self._trace.add(MessageSent(now_ns, source, target, name, number, size_bytes, note))
        self._forward(packet, place, _LOSS_STREAM, _DELAY_STREAM, loss)
        if duplication and way.draw(_COPY_STREAM, place) < duplication:
            counts.duplicated_count += 1
            counts.duplicated_bytes += size_bytes
            self._trace.add(MessageSent(now_ns, source, target, name, number, size_bytes, "copy"))
            self._forward(packet, place, _COPY_LOSS_STREAM, _COPY_DELAY_STREAM, loss)

    def _forward(
        self,
        packet: Packet,
        place: tuple[int, int, int],
        loss_stream: int,
        delay_stream: int,
        loss: int,
    ) -> None:
        way = packet.way
        trouble = way.trouble
        if trouble.cuts:
            self.drop(packet, "cut")
        elif trouble.blocks.get(packet.kind):
            self.drop(packet, "blocked")
        elif loss and way.draw(loss_stream, place) < loss:
            self.drop(packet, "loss")
        else:
            delay_ns = way.latency.base_ns + trouble.delay_ns
            if not way.latency.is_constant:
                word = way.draw(delay_stream, place)
                delay_ns = way.latency.at(word) + trouble.delay_ns
            if way.bytes_per_s:
                is_bulk = isinstance(packet.message, Chunk)
                way.queues[is_bulk].append((packet, delay_ns))
                self._transmit(way)
            else:
                self._travel(packet, delay_ns)

    def _transmit(self, way: LinkState) -> None:
        """Let the next message out, if the line is free: chunks come last."""
        queue = way.queues[0] or way.queues[1]
        if queue and not way.is_sending:
            way.is_sending = True
            transit = queue.popleft()
            time_ns = transit[0].size_bytes * _NS_PER_S // way.bytes_per_s
            self._scheduler.at(self._scheduler.now_ns + time_ns, "sent", transit)

    def on_transmitted(self, transit: Transit) -> None:
        """The last byte of a message has left."""
        packet, delay_ns = transit
        self._travel(packet, delay_ns)
        packet.way.is_sending = False
        self._transmit(packet.way)

    def _travel(self, packet: Packet, delay_ns: int) -> None:
        way, at_ns = packet.way, self._scheduler.now_ns + delay_ns
        if way.is_fifo:
            at_ns = way.last_ns = max(at_ns, way.last_ns)
        self._scheduler.at(at_ns, "deliver", packet)

    def admit_arrival(self, packet: Packet) -> bool:
        """Whether a message comes out at the other end now: a clogged way holds it."""
        trouble = packet.way.trouble
        if trouble.cuts:
            self.drop(packet, "cut")
        elif trouble.clogs:
            packet.way.held.append(packet)
        else:
            return True
        return False

    def deliver(self, packet: Packet) -> None:
        """The receiver takes it."""
        way, number, size_bytes = packet.way, packet.number, packet.size_bytes
        counts, now_ns = way.counts, self._scheduler.now_ns
        counts.delivered_count += 1
        counts.delivered_bytes += size_bytes
        self._trace.add_raw(
            ("MessageDelivered", now_ns, way.source, way.target, packet.kind, number, size_bytes)
        )

    def drop(self, packet: Packet, why: str) -> None:
        """Nobody will ever get it."""
        way, kind, number, size_bytes = packet.way, packet.kind, packet.number, packet.size_bytes
        way.counts.lost_count += 1
        way.counts.lost_bytes += size_bytes
        now_ns = self._scheduler.now_ns
        self._trace.add(MessageLost(now_ns, way.source, way.target, kind, number, size_bytes, why))


def flipped(chunk: Chunk, word: int) -> Chunk:
    """A chunk with one bit of its data, drawn by `word`, the other way round."""
    data = bytearray(chunk.data)
    bit = below(word, 8 * len(data))
    data[bit >> 3] ^= 1 << (bit & 7)
    return Chunk(chunk.generation, chunk.number, chunk.checksum, bytes(data))


def trouble_of(
    *, delay_ms: float = 0.0, loss: float = 0.0, duplication: float = 0.0, corruption: float = 0.0
) -> LinkFaults:
    """Trouble in the units of links."""
    return LinkFaults(
        delay_ns=ms_to_ns(delay_ms),
        loss=threshold(loss),
        duplication=threshold(duplication),
        corruption=threshold(corruption),
    )
