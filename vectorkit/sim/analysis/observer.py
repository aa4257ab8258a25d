"""What can be seen of a run from outside: health as masters believe it, and the truth beside it."""

from __future__ import annotations

from typing import NamedTuple

from vectorkit.replication import MasterRole, Position, ReplicaStatus
from vectorkit.sim.world.engine import Engine
from vectorkit.sim.world.trace_events import HealthChanged
from vectorkit.units import ms_to_ns, ns_to_ms


class HealthSample(NamedTuple):
    """One node at one moment: what is believed of it, and what the simulator knows."""

    time_ms: float
    node: str
    role: str
    status: str
    is_up: bool
    is_cut: bool
    lag_ms: float
    lag_ms_true: float
    lag_operations: int
    head_offset: int
    applied_offset: int
    confirmed_offset: int
    last_heartbeat_ms: float | None


class LogSample(NamedTuple):
    """From which offset to which the log of a node reaches, from one moment on."""

    time_ms: float
    node: str
    first_offset: int
    head_offset: int


class Observer:
    """Samples every node that is not the master, and records each change of status.

    The master is the node that serves the highest epoch; its history is the truth. Where there is
    none, nobody hears the others: they are Disconnected.
    """

    def __init__(self, engine: Engine) -> None:
        self.samples: list[HealthSample] = []
        self.log_samples: list[LogSample] = []
        self._engine = engine
        self._status_of: dict[str, ReplicaStatus] = {}
        self._window_of: dict[str, tuple[int, int]] = {}
        self._written_ns: list[int] = [0]  # When each record of the true history was appended.
        self._epoch = 0
        self._appended_ns: dict[tuple[int, int], int] = {}  # By epoch and offset, of any history.
        engine.on_change = self.note_status
        engine.on_fault = self.sample_all
        engine.on_appended = self._on_appended
        engine.on("sample", self._on_sample)

    def start(self) -> None:
        """Take the first sample, and go on."""
        self._engine.scheduler.at(0, "sample", None)

    def sample_all(self) -> None:
        """Sample every node now."""
        self._leave_a_lost_history()
        for node_id, machine in self._engine.machines.items():
            if not self.note_status(node_id):
                self._sample(node_id)
            log = machine.node.log
            window = (log.first_offset, log.head.offset)
            if self._window_of.get(node_id) != window:
                self._window_of[node_id] = window
                time_ms = ns_to_ms(self._engine.now_ns)
                self.log_samples.append(LogSample(time_ms, node_id, *window))

    def note_status(self, node_id: str) -> bool:
        """Record a change of health, and whether there was one.

        One that an event brings is seen at once, one that passing time brings at the next sample.
        """
        engine = self._engine
        master_id = engine.master_id
        if node_id == master_id or node_id not in engine.machines:
            return False
        status = self._status(node_id, master_id)
        if status is self._status_of.get(node_id):
            return False
        self._status_of[node_id] = status
        engine.trace.add(HealthChanged(engine.now_ns, master_id or "", node_id, status.value))
        self._sample(node_id)
        return True

    def lag_ns(self, node_id: str) -> int:
        """The age of the oldest record of the true history that a node lacks."""
        applied_offset = self._engine.node(node_id).member.applied_offset
        if applied_offset >= len(self._written_ns):
            return 0
        return self._engine.now_ns - self._written_ns[applied_offset]

    def _status(self, node_id: str, master_id: str | None) -> ReplicaStatus:
        if master_id is None:
            return ReplicaStatus.DISCONNECTED
        machine = self._engine.machines[master_id]
        local_ns = machine.clock.local_ns(self._engine.scheduler.now_ns)
        return machine.node.status(node_id, local_ns)

    def _on_sample(self, data: None) -> None:
        self.sample_all()
        engine = self._engine
        next_ns = engine.now_ns + ms_to_ns(engine.options.sample_every_ms)
        engine.scheduler.at(next_ns, "sample", None)

    def _on_appended(self, node_id: str, position: Position) -> None:
        self._appended_ns[position.epoch, position.offset] = self._engine.now_ns
        if position.epoch >= self._epoch:
            self._epoch = position.epoch
            del self._written_ns[position.offset - 1 :]
            self._written_ns.append(self._engine.now_ns)

    def _leave_a_lost_history(self) -> None:
        """Take the master's history for the true one if no node has the newest epoch any more.

        A node may win an election, write alone, and lose its disk. The master before it then goes
        on, without having heard of that epoch: no node lags behind records that no node has.
        """
        engine = self._engine
        master = None if engine.master_id is None else engine.node(engine.master_id)
        if master is None or master.role.epoch >= self._epoch:
            return
        if any(each.node.log.head.epoch >= self._epoch for each in engine.machines.values()):
            return
        self._epoch, log = master.role.epoch, master.log
        offsets = range(1, log.head.offset + 1)
        self._written_ns = [self._appended_ns.get((log.epoch_of(at), at), 0) for at in offsets]

    def _sample(self, node_id: str) -> None:
        engine = self._engine
        master_id, now_ns = engine.master_id, engine.now_ns
        if node_id == master_id:
            return
        machine = engine.machines[node_id]
        lag_ms, confirmed_offset, heartbeat_ms = 0.0, 0, None
        if master_id is not None:
            master = engine.machines[master_id]
            info = master.node.replica(node_id, master.clock.local_ns(now_ns))
            lag_ms, confirmed_offset = info.lag_ms, info.applied_offset
            heartbeat_ms = info.last_heartbeat
        head_offset, applied_offset = len(self._written_ns), machine.node.member.applied_offset
        self.samples.append(
            HealthSample(
                time_ms=ns_to_ms(now_ns),
                node=node_id,
                role=machine.node.role.name,
                status=self._status_of.get(node_id, ReplicaStatus.SYNCING).value,
                is_up=machine.is_up,
                is_cut=master_id is not None and engine.network.is_cut(master_id, node_id),
                lag_ms=lag_ms,
                lag_ms_true=ns_to_ms(self.lag_ns(node_id)),
                lag_operations=max(0, head_offset - confirmed_offset),
                head_offset=head_offset,
                applied_offset=applied_offset,
                confirmed_offset=confirmed_offset,
                last_heartbeat_ms=heartbeat_ms,
            )
        )

    def is_settled(self) -> bool:
        """Whether all nodes are up and equal, and their master knows it."""
        engine = self._engine
        master_id = engine.master_id
        if master_id is None or not all(each.is_up for each in engine.machines.values()):
            return False
        master = engine.machines[master_id]
        head, now_ns = master.node.log.head, master.clock.local_ns(engine.now_ns)
        if not isinstance(master.node.role, MasterRole) or master.node.member.flushed != head:
            return False
        return all(
            machine.node.member.applied == head
            and master.node.replica(node_id, now_ns).applied_offset == head.offset
            and master.node.status(node_id, now_ns) is ReplicaStatus.CONNECTED
            for node_id, machine in engine.machines.items()
            if node_id != master_id
        )
