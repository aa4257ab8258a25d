"""Where clock, network, machines and trace meet: events happen, effects are performed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, ParamSpec, TypeVar

from vectorkit.draws import address, fold
from vectorkit.replication import (
    Appended,
    Applied,
    Effect,
    MasterRole,
    Node,
    Noted,
    Persist,
    Position,
    RoleChanged,
    Send,
    SetTimer,
    SyncChanged,
)
from vectorkit.replication.protocol.messages import Ack, ClientReply, Message, ReplicaHeartbeat
from vectorkit.sim.options import ClusterOptions
from vectorkit.sim.world.clock import Scheduler
from vectorkit.sim.world.machine import Machine
from vectorkit.sim.world.network import Network, Packet
from vectorkit.sim.world.noted import event_of
from vectorkit.sim.world.trace import Trace
from vectorkit.sim.world.trace_events import (
    FlushTaken,
    NodeCrashed,
    NodeStarted,
    RoleTaken,
    SyncReported,
)

_CRASH_STREAM: Final = 6
_NEVER: Final = 1 << 62
_NO_TIMER: Final = (-1, 0)

P = ParamSpec("P")
R = TypeVar("R")

Handler = Callable[[Any], None]


class Engine:
    """The machines of a cluster and what is between them. It decides nothing: it lets happen.

    `on(kind, handler)` takes events of another kind; `clients` gets messages that are for no node.
    """

    def __init__(
        self,
        options: ClusterOptions,
        *,
        seed: int,
        client_ids: tuple[str, ...],
        offsets_ns: Mapping[str, int] | None = None,
    ) -> None:
        self.options = options
        self.trace = Trace()
        self.scheduler = Scheduler(options.event_count_max)
        self.network = Network(
            options.node_ids,
            options.link,
            options.links,
            client_ids=client_ids,
            seed=seed,
            scheduler=self.scheduler,
            trace=self.trace,
        )
        ahead_ns = offsets_ns or {}
        self.machines = {
            node_id: Machine(node_id, options, 0, offset_ns=ahead_ns.get(node_id, 0))
            for node_id in options.node_ids
        }
        self.on_message: Callable[[str, str, Message], None] = lambda *_: None
        """What clients do with a message: target, source, message."""
        self.on_change: Callable[[str], object] = lambda _: None
        """Called after anything that may have changed what a master thinks of a node."""
        self.on_fault: Callable[[], None] = lambda: None
        """Called after a fault has begun or ended, with the trace's event for it."""
        self.on_appended: Callable[[str, Position], None] = lambda *_: None
        self.is_interrupted = False
        """Whether an exception has stopped an event or a step: what is there now is half done."""
        self.master_id: str | None = None
        """The node that serves the highest epoch; None where none does."""
        self._note_master()
        self._seed = address(seed)
        self._timers: dict[str, tuple[int, int]] = {}  # When: the true time, and the node's own.
        self._handlers: dict[str, Handler] = {
            "deliver": self._on_deliver,
            "sent": self.network.on_transmitted,
            "timer": self._on_timer,
            "disk": self._on_disk,
            "wake": self._on_wake,
        }

        self._doers: dict[type, Callable[[str, Any], None]] = {
            Send: self._send,
            SetTimer: self._timer,
            Persist: self._persist,
            Appended: self._appended,
            Applied: self._applied,
            SyncChanged: self._sync_changed,
            RoleChanged: self._role_changed,
            Noted: self._noted,
        }

    # What happens

    @property
    def now_ns(self) -> int:
        """The true time."""
        return self.scheduler.now_ns

    def on(self, kind: str, handler: Handler) -> None:
        """Take events of this kind."""
        self._handlers[kind] = handler

    def run(self, until_ns: int) -> None:
        """Let everything happen up to a time.

        An exception between two events leaves the engine whole: it can run on.
        """
        scheduler, pop, handlers = self.scheduler, self.scheduler.pop, self._handlers
        try:
            while (event := pop(until_ns)) is not None:
                handlers[event[2]](event[3])
                scheduler.is_in_event = False
        except BaseException:
            if scheduler.is_in_event:
                self.is_interrupted = True
            raise

    def do(self, step: Callable[P, R], *arguments: P.args, **options: P.kwargs) -> R:
        """Take a step between events. An exception out of it leaves the engine interrupted."""
        try:
            return step(*arguments, **options)
        except BaseException:
            self.is_interrupted = True
            raise

    def start(self) -> None:
        """Start every machine for the first time."""
        for machine in self.machines.values():
            self.trace.add(NodeStarted(self.now_ns, machine.id, "first", boot=1))
            self.perform(machine.id, machine.start(self.now_ns))

    def node(self, node_id: str) -> Node:
        """A node, as it is or was when it crashed."""
        return self.machines[node_id].node

    def _note_master(self) -> None:
        """Find the node that serves the highest epoch: roles, or lives, have changed."""
        serving = [
            (machine.node.role.epoch, machine.id)
            for machine in self.machines.values()
            if machine.is_up and isinstance(machine.node.role, MasterRole)
        ]
        self.master_id = max(serving)[1] if serving else None

    def flush(self) -> None:
        """Send what was written to masters' stores since time last moved."""
        for machine in self.machines.values():
            is_running = machine.is_up and not machine.pauses
            if is_running and isinstance(machine.node.role, MasterRole):
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
        """End a node's life, as it is; one that is down already can still lose its disk."""
        machine = self.machines[node_id]
        if not machine.is_up and not loses_disk:
            return
        slot = self.options.node_ids.index(node_id)
        word = fold(self._seed, _CRASH_STREAM, slot, machine.life)
        kept = machine.crash(word, keeps_unsynced=keeps_unsynced, loses_disk=loses_disk)
        while machine.inbox:
            kind, data = machine.inbox.popleft()
            if kind == "deliver":
                self.network.drop(data, "down")
        self._timers.pop(node_id, None)
        self._note_master()
        kind = "lost_disk" if loses_disk else "torn" if keeps_unsynced else ""
        self.trace.add(NodeCrashed(self.now_ns, node_id, kind, kept))
        self.on_change(node_id)

    def restart(self, node_id: str) -> None:
        """Let a node start again."""
        machine = self.machines[node_id]
        if machine.is_up:
            return
        boot = machine.drive.image.boot + 1
        self.trace.add(NodeStarted(self.now_ns, node_id, "restart", boot))
        self.perform(node_id, machine.restart(self.now_ns))
        self.on_change(node_id)

    def pause(self, node_id: str) -> None:
        """Let a node stand still; pauses add up."""
        machine = self.machines[node_id]
        machine.pauses += 1
        machine.is_busy = machine.is_up
        if machine.is_up:
            machine.node.stop("paused")

    def resume(self, node_id: str) -> None:
        """End one pause; after the last the node takes what has waited."""
        machine = self.machines[node_id]
        machine.pauses -= 1
        if machine.is_up and not machine.pauses:
            machine.node.stop("")
        self._on_wake((node_id, machine.life))

    def set_clock(self, node_id: str, *, drift_ppm: int, jump_ns: int = 0) -> None:
        """Change a node's clock; its timer follows."""
        self.machines[node_id].clock.set(self.now_ns, drift_ppm=drift_ppm, jump_ns=jump_ns)
        if node_id in self._timers:
            self._set_timer(node_id, self._timers[node_id][1])

    # Effects

    def perform(self, node_id: str, effects: list[Effect]) -> None:
        """Do what a node asks for."""
        doers = self._doers
        for effect in effects:
            doers[type(effect)](node_id, effect)

    def _send(self, node_id: str, effect: Send) -> None:
        message = effect.message
        if type(message) is Ack:
            self._note_ack(node_id, effect.target, message, is_heartbeat=False)
        elif type(message) is ReplicaHeartbeat:
            self._note_ack(node_id, effect.target, message.ack, is_heartbeat=True)
        elif type(message) is ClientReply:
            self._note_answer(node_id, effect.target, message)
        self.network.send(node_id, effect.target, message, effect.size_bytes)

    def _persist(self, node_id: str, effect: Persist) -> None:
        self.machines[node_id].drive.add(effect)
        self.begin_write(node_id)

    def _appended(self, node_id: str, effect: Appended) -> None:
        epoch, offset, history = effect.position
        self.trace.add_raw(
            (
                "RecordAppended",
                self.scheduler.now_ns,
                node_id,
                effect.operation_type,
                offset,
                epoch,
                history.hex(),
                effect.client,
                effect.request,
            )
        )
        self.on_appended(node_id, effect.position)

    def _applied(self, node_id: str, effect: Applied) -> None:
        epoch, offset, history = effect.position
        now_ns = self.scheduler.now_ns
        self.trace.add_raw(
            ("HistoryApplied", now_ns, node_id, effect.source, offset, epoch, history.hex())
        )

    def _sync_changed(self, node_id: str, effect: SyncChanged) -> None:
        kind, phase, reason = effect.kind, effect.phase, effect.reason
        self.trace.add(SyncReported(self.now_ns, node_id, effect.peer, kind, phase, reason))

    def _role_changed(self, node_id: str, effect: RoleChanged) -> None:
        self._note_master()
        role, epoch, is_forced = effect.role, effect.epoch, effect.is_forced
        self.trace.add(RoleTaken(self.now_ns, node_id, role, epoch, is_forced, effect.detail))

    def _noted(self, node_id: str, effect: Noted) -> None:
        self.trace.add(event_of(effect, self.now_ns, node_id))

    def begin_write(self, node_id: str) -> None:
        """Let a node's disk begin with what waits, if it can."""
        machine = self.machines[node_id]
        duration_ns = machine.drive.begin()
        if duration_ns is not None:
            done_ns = self.scheduler.now_ns + duration_ns
            self.scheduler.at(done_ns, "disk", (node_id, machine.life))

    def _timer(self, node_id: str, effect: SetTimer) -> None:
        self._set_timer(node_id, effect.at_ns)

    def _set_timer(self, node_id: str, local_ns: int) -> None:
        at_ns = max(self.machines[node_id].clock.true_ns(local_ns), self.now_ns)
        if at_ns < _NEVER:
            self._timers[node_id] = at_ns, local_ns
            self.scheduler.at(at_ns, "timer", (node_id, at_ns))

    def _note_answer(self, node_id: str, client: str, reply: ClientReply) -> None:
        epoch, offset, _ = reply.position
        now_ns, outcome, request = self.scheduler.now_ns, reply.outcome, reply.request
        self.trace.add_raw(("AnswerSent", now_ns, node_id, client, outcome, request, offset, epoch))

    def _note_ack(self, node_id: str, master: str, ack: Ack, *, is_heartbeat: bool) -> None:
        self.trace.add_raw(
            (
                "AckSent",
                self.scheduler.now_ns,
                node_id,
                master,
                is_heartbeat,
                ack.position.epoch,
                ack.received_offset,
                ack.flushed_offset,
                ack.applied_offset,
                ack.visible_offset,
            )
        )

    # Events

    def _on_deliver(self, packet: Packet) -> None:
        way = packet.way
        if way.is_troubled and not self.network.admit_arrival(packet):
            return
        machine = self.machines.get(way.target)
        if machine is None:
            self.network.deliver(packet)
            self.on_message(way.target, way.source, packet.message)
        elif machine.is_busy:
            machine.inbox.append(("deliver", packet))
        else:
            self._take(machine, "deliver", packet)

    def _on_timer(self, data: tuple[str, int]) -> None:
        node_id, at_ns = data
        machine = self.machines[node_id]
        if self._timers.get(node_id, _NO_TIMER)[0] != at_ns:
            return  # The node has died, or another timer has replaced this one.
        if machine.is_busy:
            machine.inbox.append(("timer", at_ns))
        else:
            self._take(machine, "timer", at_ns)

    def _on_disk(self, data: tuple[str, int]) -> None:
        node_id, life = data
        machine = self.machines[node_id]
        if machine.life != life:
            return
        number, mark, size_bytes = machine.drive.complete()
        now_ns = self.scheduler.now_ns
        self.trace.add_raw(("DiskFlushed", now_ns, node_id, mark, size_bytes, machine.is_busy))
        if machine.is_busy:
            machine.inbox.append(("flush", (number, mark)))
        else:
            self._take(machine, "disk", number)
        if machine.drive.waiting:
            self.begin_write(node_id)

    def _take(self, machine: Machine, kind: str, data: Any) -> None:
        """Let a node do what an event asks for, then be busy for as long as that takes it."""
        now_ns, node_id = self.scheduler.now_ns, machine.id
        if kind == "deliver":
            packet: Packet = data
            source = packet.way.source
            if not machine.is_up:
                self.network.drop(packet, "down")
                return
            self.network.deliver(packet)
            self.perform(
                node_id, machine.receive(source, packet.message, now_ns, packet.size_bytes)
            )
            self.on_change(source)
        elif kind == "disk":
            self.perform(node_id, machine.written(data, now_ns))
        elif kind == "flush":
            number, mark = data
            self.trace.add(FlushTaken(now_ns, node_id, mark))
            self.perform(node_id, machine.written(number, now_ns))
        elif self._timers.get(node_id, _NO_TIMER)[0] == data:
            del self._timers[node_id]
            self.perform(node_id, machine.tick(now_ns))
        if machine.step_ns:
            machine.is_busy = True
            machine.free_ns = now_ns + machine.step_ns
            self.scheduler.at(machine.free_ns, "wake", (node_id, machine.life))

    def _on_wake(self, data: tuple[str, int]) -> None:
        """A node may go on with what has waited, unless it is paused or was busy for longer."""
        node_id, life = data
        machine = self.machines[node_id]
        if machine.life != life or machine.pauses or self.now_ns < machine.free_ns:
            return
        while machine.inbox and self.now_ns >= machine.free_ns:
            self._take(machine, *machine.inbox.popleft())
        machine.is_busy = bool(machine.inbox) or self.now_ns < machine.free_ns
