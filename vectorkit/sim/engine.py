"""Where clock, network, machines and trace meet: events happen, effects are performed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from vectorkit.draws import address, fold
from vectorkit.replication import (
    Appended,
    Applied,
    Effect,
    MasterNode,
    Node,
    Noted,
    Persist,
    Position,
    RoleChanged,
    Send,
    SetTimer,
    SyncChanged,
)
from vectorkit.replication.messages import Ack, Message
from vectorkit.sim.clock import Event, Scheduler
from vectorkit.sim.machine import Machine
from vectorkit.sim.network import Network
from vectorkit.sim.options import ClusterOptions
from vectorkit.sim.trace import Trace

_CRASH_STREAM: Final = 6
_NEVER: Final = 1 << 62

Handler = Callable[[Any], None]


class Engine:
    """The machines of a cluster and what is between them. It decides nothing: it lets happen.

    `on(kind, handler)` takes events of another kind; `clients` gets messages that are for no node.
    """

    def __init__(self, options: ClusterOptions, *, seed: int, client_ids: tuple[str, ...]) -> None:
        self.options = options
        self.trace = Trace()
        self.scheduler = Scheduler(options.event_count_max)
        self.network = Network(
            (*options.node_ids, *client_ids),
            options.link,
            seed=seed,
            scheduler=self.scheduler,
            trace=self.trace,
        )
        self.machines = {node_id: Machine(node_id, options, 0) for node_id in options.node_ids}
        self.on_message: Callable[[str, str, Message], None] = lambda *_: None
        """What clients do with a message: target, source, message."""
        self.on_change: Callable[[str], object] = lambda _: None
        """Called after anything that may have changed what a master thinks of a node."""
        self.on_appended: Callable[[str, Position], None] = lambda *_: None
        self.master_id: str | None = None
        """The node that serves the highest epoch; None where none does."""
        self._note_master()
        self._seed = address(seed)
        self._timer_ns: dict[str, int] = {}
        self._handlers: dict[str, Handler] = {
            "deliver": self._on_deliver,
            "timer": self._on_timer,
            "disk": self._on_disk,
        }

    # What happens

    @property
    def now_ns(self) -> int:
        """The true time."""
        return self.scheduler.now_ns

    def on(self, kind: str, handler: Handler) -> None:
        """Take events of this kind."""
        self._handlers[kind] = handler

    def handle(self, event: Event) -> None:
        """Let one event happen."""
        self._handlers[event[2]](event[3])

    def start(self) -> None:
        """Start every machine for the first time."""
        for machine in self.machines.values():
            self.trace.add(self.now_ns, "start", machine.id, kind="first", number=1)
            self.perform(machine.id, machine.start(self.now_ns))

    def node(self, node_id: str) -> Node:
        """A node, as it is or was when it crashed."""
        return self.machines[node_id].node

    def _note_master(self) -> None:
        """Find the node that serves the highest epoch: roles, or lives, have changed."""
        serving = [
            (machine.node.role.epoch, machine.id)
            for machine in self.machines.values()
            if machine.is_up and isinstance(machine.node.role, MasterNode)
        ]
        self.master_id = max(serving)[1] if serving else None

    def flush(self) -> None:
        """Send what was written to masters' stores since time last moved."""
        for machine in self.machines.values():
            if machine.is_up and isinstance(machine.node.role, MasterNode):
                local_ns = machine.clock.local_ns(self.now_ns)
                self.perform(machine.id, machine.node.flush(local_ns))

    def observe(self) -> None:
        """Tell every node the time, before its store is written to."""
        for machine in self.machines.values():
            machine.node.observe(machine.clock.local_ns(self.now_ns))

    # Life and death

    def crash(
        self, node_id: str, *, keeps_unsynced: bool = False, loses_disk: bool = False
    ) -> None:
        """End a node's life, as it is."""
        machine = self.machines[node_id]
        if not machine.is_up:
            return
        slot = self.options.node_ids.index(node_id)
        word = fold(self._seed, _CRASH_STREAM, slot, machine.life)
        kept = machine.crash(word, keeps_unsynced=keeps_unsynced, loses_disk=loses_disk)
        self._timer_ns.pop(node_id, None)
        self._note_master()
        kind = "lost_disk" if loses_disk else "torn" if keeps_unsynced else ""
        self.trace.add(self.now_ns, "crash", node_id, kind=kind, number=kept)
        self.on_change(node_id)

    def restart(self, node_id: str) -> None:
        """Let a node start again."""
        machine = self.machines[node_id]
        if machine.is_up:
            return
        boot = machine.drive.image.boot + 1
        self.trace.add(self.now_ns, "start", node_id, kind="restart", number=boot)
        self.perform(node_id, machine.restart(self.now_ns))
        self.on_change(node_id)

    # Effects

    def perform(self, node_id: str, effects: list[Effect]) -> None:
        """Do what a node asks for."""
        now_ns = self.now_ns
        for effect in effects:
            match effect:
                case Send():
                    self._note_ack(node_id, effect)
                    self.network.send(node_id, effect.target, effect.message, effect.size_bytes)
                case SetTimer():
                    self._set_timer(node_id, effect.at_ns)
                case Persist():
                    self.machines[node_id].drive.add(effect)
                    self.begin_write(node_id)
                case Appended():
                    self._note("append", node_id, effect.operation_type, effect.position)
                    self.on_appended(node_id, effect.position)
                case Applied():
                    self._note("apply", node_id, effect.source, effect.position)
                case SyncChanged():
                    text = f"{effect.phase} {effect.reason}".rstrip()
                    self.trace.add(now_ns, "sync", node_id, effect.peer, effect.kind, text=text)
                case RoleChanged():
                    self._note_master()
                    self.trace.add(
                        now_ns,
                        "role",
                        node_id,
                        kind=effect.role,
                        number=effect.epoch,
                        value=int(effect.is_forced),
                        text=effect.detail,
                    )
                case Noted():
                    self.trace.add(
                        now_ns,
                        effect.event,
                        node_id,
                        effect.peer,
                        number=effect.number,
                        value=effect.value,
                        text=effect.text,
                    )

    def begin_write(self, node_id: str) -> None:
        """Let a node's disk begin with what waits, if it can."""
        machine = self.machines[node_id]
        duration_ns = machine.drive.begin()
        if duration_ns is not None:
            self.scheduler.at(self.now_ns + duration_ns, "disk", (node_id, machine.life))

    def _set_timer(self, node_id: str, local_ns: int) -> None:
        machine = self.machines[node_id]
        at_ns = max(machine.clock.true_ns(local_ns), self.now_ns)
        if at_ns < _NEVER:
            self._timer_ns[node_id] = at_ns
            self.scheduler.at(at_ns, "timer", (node_id, machine.life))

    def _note(self, event: str, node_id: str, kind: str, position: Position) -> None:
        self.trace.add(
            self.now_ns,
            event,
            node_id,
            kind=kind,
            number=position.offset,
            value=position.epoch,
            text=position.hash.hex(),
        )

    def _note_ack(self, node_id: str, effect: Send) -> None:
        if isinstance(effect.message, Ack):
            ack = effect.message
            self.trace.add(
                self.now_ns,
                "ack",
                node_id,
                effect.target,
                number=ack.flushed_offset,
                value=ack.position.epoch,
                text=f"{ack.received_offset} {ack.applied_offset} {ack.visible_offset}",
            )

    # Events

    def _on_deliver(self, data: tuple[str, str, Message, int]) -> None:
        source, target, message, size_bytes = data
        machine = self.machines.get(target)
        is_up = machine is None or machine.is_up
        if not self.network.arrive(source, target, message, size_bytes, is_up=is_up):
            return
        if machine is None:
            self.on_message(target, source, message)
            return
        self.perform(target, machine.receive(source, message, self.now_ns))
        self.on_change(source)

    def _on_timer(self, data: tuple[str, int]) -> None:
        node_id, life = data
        machine = self.machines[node_id]
        if machine.life != life or self._timer_ns.get(node_id) != self.now_ns:
            return  # It has died, or another timer has replaced this one.
        del self._timer_ns[node_id]
        self.perform(node_id, machine.tick(self.now_ns))

    def _on_disk(self, data: tuple[str, int]) -> None:
        node_id, life = data
        machine = self.machines[node_id]
        if machine.life != life:
            return
        number, mark, size_bytes = machine.drive.complete()
        self.trace.add(self.now_ns, "flush", node_id, number=mark, value=size_bytes)
        self.perform(node_id, machine.written(number, self.now_ns))
        self.begin_write(node_id)
