"""Clients: endpoints of the network that ask, wait, and never repeat themselves."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from vectorkit.replication.protocol.log import Position
from vectorkit.replication.protocol.messages import ClientRead, ClientReply, ClientWrite, Message
from vectorkit.replication.protocol.wire import wire_size
from vectorkit.replication.reads import MASTER_POLICIES
from vectorkit.replication.routing import ClientView, target
from vectorkit.sim.load.requests import Requests, request_number
from vectorkit.sim.world.engine import Engine
from vectorkit.sim.world.trace_events import RequestCompleted, RequestInvoked
from vectorkit.store import VectorStore
from vectorkit.types import Id
from vectorkit.units import NS_PER_MS, ms_to_ns

ABSENT: Final = -1
"""The value of a read that found no row."""

_DONE: Final = ("ok", "degraded")
_LAST_ANSWERS_NS: Final = 1_000 * NS_PER_MS
"""How long after the end of a run an answer is waited for."""


@dataclass(slots=True)
class _Waiting:
    """A request that was sent and has no answer yet."""

    kind: str
    node: str
    asks_master: bool
    deadline_ns: int


class Client:
    """What one client knows: whom it takes for master, who was silent, what it has seen last.

    It keeps at most one event for its patience, whatever number of requests wait.
    """

    def __init__(
        self, number: int, node_ids: tuple[str, ...], distances: tuple[float, ...]
    ) -> None:
        self.id = f"client-{number}"
        self.number = number
        self.master = node_ids[0]
        self.token = Position()
        """The newest history that an answer to it has named."""
        self.written = Position()
        """The newest position of its own answered writes.

        A later master may have discarded it. So the token of a read names this position, also where
        the client has read newer history that does not hold its write.
        """
        self.waiting: dict[int, _Waiting] = {}
        self.turn = 0
        self.counts = {False: 0, True: 0}
        """Writes and reads that it has made."""
        self.is_patience_set = False
        self._node_ids = node_ids
        self._distances = distances
        self._silent_until_ns: dict[str, int] = {}

    def view(self, now_ns: int, index: int) -> ClientView:
        """What it knows now, for routing."""
        silent = self._silent_until_ns
        for node_id in [each for each, until_ns in silent.items() if now_ns >= until_ns]:
            del silent[node_id]
        return ClientView(
            self._node_ids, self._distances, self.master, frozenset(silent), self.number, index
        )

    def heard(self, node_id: str, reply: ClientReply, *, asks_master: bool, is_read: bool) -> None:
        """Learn from an answer: that the node lives, who is master, how far history has come."""
        self._silent_until_ns.pop(node_id, None)
        if reply.outcome == "not_master" and asks_master:
            self._turn_from(node_id, reply.master)
        elif reply.outcome in _DONE:
            self.token = _newer(self.token, reply.position)
            if not is_read:
                self.written = _newer(self.written, reply.position)

    def missed(self, node_id: str, until_ns: int, *, asks_master: bool) -> None:
        """A node has not answered: pass it over for a while, and look for another master."""
        self._silent_until_ns[node_id] = until_ns
        if asks_master:
            self._turn_from(node_id, "")

    def _turn_from(self, node_id: str, hint: str) -> None:
        """Take another for master, unless it does already: the one that was named, or the next."""
        if hint in self._node_ids:
            self.master = hint
        elif node_id == self.master:
            place = self._node_ids.index(node_id) + 1
            self.master = self._node_ids[place % len(self._node_ids)]


def _newer(one: Position, other: Position) -> Position:
    return max(one, other, key=lambda position: (position.epoch, position.offset))


class ClientPool:
    """All clients of a run. The trace has a RequestInvoked and a RequestCompleted of each request.

    A request is sent once. Without an answer in time it ends as "silent": its outcome is unknown.
    """

    def __init__(self, engine: Engine, requests: Requests) -> None:
        self._engine = engine
        self._requests = requests
        self._load = load = requests.workload
        self._patience_ns = load.client_timeout_ms * NS_PER_MS
        self._avoid_ns = load.avoid_ms * NS_PER_MS
        self._think_ns = ms_to_ns(load.think_ms)
        self._reads_master = load.read_policy in MASTER_POLICIES
        self._bound_ms = load.bound_ms if load.read_policy == "bounded_staleness" else None
        self._carries_token = load.read_policy == "read_your_writes"
        self._keeps_time = load.loop == "open" or load.requests is not None
        node_ids = engine.options.node_ids
        options = engine.options
        self._clients = [
            Client(
                number,
                node_ids,
                tuple(
                    options.links.get((client_id, node_id), options.link).delay_ms
                    for node_id in node_ids
                ),
            )
            for number, client_id in enumerate(load.client_ids)
        ]
        self._by_id = {client.id: client for client in self._clients}
        self._is_over = False
        engine.on_message = self._on_message
        engine.on("request", self._on_request)
        engine.on("patience", self._on_patience)

    def start(self, store: VectorStore) -> None:
        """Put the first rows into the master's store, and let every client begin."""
        self._requests.load(store)
        for client in self._clients:
            if self._keeps_time:
                self._schedule(client, 0, is_read=False)
                self._schedule(client, 0, is_read=True)
            elif self._load.writes_per_s + self._load.reads_per_s:
                self._think(client)

    def stop(self) -> None:
        """No more requests; those on their way are answered within a second, or given up."""
        self._is_over = True
        last_ns = self._engine.now_ns + _LAST_ANSWERS_NS
        for client in self._clients:
            for waiting in client.waiting.values():
                waiting.deadline_ns = min(waiting.deadline_ns, last_ns)
            self._engine.scheduler.at(last_ns, "patience", client)

    @property
    def are_waiting(self) -> bool:
        """Whether a request has neither been answered nor given up."""
        return any(client.waiting for client in self._clients)

    # Requests

    def _schedule(self, client: Client, turn: int, *, is_read: bool) -> None:
        now_ns = self._engine.now_ns
        time_ns = self._requests.time_ns(client.number, turn, now_ns, is_read=is_read)
        if time_ns is not None:
            self._engine.scheduler.at(time_ns, "request", (client, is_read))

    def _think(self, client: Client) -> None:
        """The next request of a closed loop."""
        is_read = self._requests.is_read(client.number, client.turn)
        client.turn += 1
        self._engine.scheduler.at(
            self._engine.now_ns + self._think_ns, "request", (client, is_read)
        )

    def _on_request(self, data: tuple[Client, bool]) -> None:
        if self._is_over:
            return
        client, is_read = data
        turn = client.counts[is_read]
        client.counts[is_read] = turn + 1
        index = self._requests.index(client.number, turn, is_read=is_read)
        if is_read:
            self._read(client, index)
        else:
            self._write(client, index)
        if self._keeps_time:
            self._schedule(client, turn + 1, is_read=is_read)

    def _write(self, client: Client, index: int) -> None:
        kind, key, operation = self._requests.write(client.number, index)
        number = request_number(client.number, index, is_read=False)
        self._send(client, client.master, ClientWrite(number, operation), kind, key, "")

    def _read(self, client: Client, index: int) -> None:
        load, policy = self._load, self._load.read_policy
        node_id = target(policy, client.view(self._engine.now_ns, index))
        key = self._requests.read(client.number, index)
        epoch = offset = 0
        if self._carries_token:
            epoch, offset = client.written.epoch, client.written.offset
        number = request_number(client.number, index, is_read=True)
        message = ClientRead(number, policy, load.collection, key, load.bound_ms, epoch, offset)
        self._send(client, node_id, message, "read", key, policy)

    def _send(
        self,
        client: Client,
        node_id: str,
        message: ClientWrite | ClientRead,
        kind: str,
        key: Id,
        policy: str,
    ) -> None:
        engine = self._engine
        now_ns, number = engine.now_ns, message.request
        token = client.token.epoch, client.token.offset
        engine.trace.add(
            RequestInvoked(
                now_ns, client.id, node_id, kind, number, key, policy, token, self._bound_ms
            )
        )
        asks_master = kind != "read" or self._reads_master
        deadline_ns = now_ns + self._patience_ns
        client.waiting[number] = _Waiting(kind, node_id, asks_master, deadline_ns)
        if not client.is_patience_set:
            client.is_patience_set = True
            engine.scheduler.at(deadline_ns, "patience", client)
        engine.network.send(client.id, node_id, message, wire_size(message))

    # Ends

    def _on_message(self, client_id: str, node_id: str, message: Message) -> None:
        client = self._by_id[client_id]
        if not isinstance(message, ClientReply):
            return
        waiting = client.waiting.pop(message.request, None)
        if waiting is None:
            return  # Given up, or a copy.
        is_read = waiting.kind == "read"
        client.heard(node_id, message, asks_master=waiting.asks_master, is_read=is_read)
        value = 0
        if waiting.kind == "write":
            value = message.request
        elif waiting.kind == "delete":
            value = ABSENT
        elif message.outcome in _DONE:
            value = value_of(message.payload)
        self._complete(client, node_id, message, value)

    def _on_patience(self, client: Client) -> None:
        """Give up what has waited for too long; wait on for the oldest of the others."""
        engine, waiting = self._engine, client.waiting
        client.is_patience_set = False
        while waiting:
            number, oldest = next(iter(waiting.items()))
            if oldest.deadline_ns > engine.now_ns:
                client.is_patience_set = True
                engine.scheduler.at(oldest.deadline_ns, "patience", client)
                return
            del waiting[number]
            until_ns = engine.now_ns + self._avoid_ns
            client.missed(oldest.node, until_ns, asks_master=oldest.asks_master)
            silence = ClientReply(number, "silent", Position(), "", "", 0, "")
            self._complete(client, oldest.node, silence, 0)

    def _complete(self, client: Client, node_id: str, reply: ClientReply, value: int) -> None:
        engine, here = self._engine, reply.position
        engine.trace.add(
            RequestCompleted(
                engine.now_ns,
                client.id,
                node_id,
                reply.outcome,
                reply.request,
                here.offset,
                here.epoch,
                here.hash.hex(),
                value,
                reply.error,
            )
        )
        if not self._keeps_time and not self._is_over:
            self._think(client)


def value_of(payload: str) -> int:
    """The number of the write that a row came from: 0 where none wrote it, −1 where it is absent.

    >>> value_of('{"w": 1003}'), value_of("null"), value_of("")
    (1003, 0, -1)
    """
    if not payload:
        return ABSENT
    found = json.loads(payload)
    number: int = found.get("w", 0) if found else 0
    return number
