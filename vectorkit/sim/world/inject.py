"""What each fault does to a running cluster, and how it is undone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from vectorkit.errors import PromotionRefused
from vectorkit.sim.faults.codec import resolved
from vectorkit.sim.faults.faults import (
    CURRENT_MASTER,
    Block,
    ClockDrift,
    ClockJump,
    ClockOffset,
    Clog,
    Crash,
    Cut,
    Degrade,
    Fault,
    FlipBit,
    FullDisk,
    LinkFault,
    Partition,
    Pause,
    Promote,
    Replace,
    Restart,
    Retire,
    SlowCpu,
    SlowDisk,
    StalledDisk,
)
from vectorkit.sim.world.engine import Engine
from vectorkit.sim.world.machine import Machine
from vectorkit.sim.world.network import LinkFaults, trouble_of
from vectorkit.sim.world.trace_events import FaultChanged
from vectorkit.units import ms_to_ns

Undo = Callable[[], None]


class Injector:
    """Begins and ends the faults of a list. Each that lasts leaves behind how to undo it."""

    def __init__(self, engine: Engine, faults: Sequence[Fault]) -> None:
        self._engine = engine
        self._faults: list[Fault] = []
        self._over_count = 0  # How many of them come no more.
        self._lasting: dict[int, tuple[Fault, Fault, Undo]] = {}
        self._crashes: dict[str, list[int]] = {}  # The faults that keep a node down.
        self._retired: dict[str, int] = {}  # Which index the last replacement of a node retired.
        engine.on("fault", self._on_fault)
        for fault in faults:
            self.add(fault)

    def add(self, fault: Fault) -> None:
        """Put the begin and the end of a fault among the events, its times counted from now."""
        number, scheduler = len(self._faults), self._engine.scheduler
        self._faults.append(fault)
        scheduler.at(scheduler.now_ns + ms_to_ns(fault.at_ms), "fault", (number, True))
        if fault.until_ms is not None:
            scheduler.at(scheduler.now_ns + ms_to_ns(fault.until_ms), "fault", (number, False))

    def begin(self, fault: Fault) -> None:
        """Let a fault begin this moment, until all faults end."""
        self._faults.append(fault)
        self._begin(len(self._faults) - 1, fault)

    def end(self, number: int) -> None:
        """End a fault, if it lasts still."""
        if number in self._lasting:
            _, hit, undo = self._lasting.pop(number)
            undo()
            self._note("end", number, hit)

    def end_all(self) -> None:
        """End every fault that lasts, start every node that is down; none so far begins later."""
        self._over_count = len(self._faults)
        for number in list(self._lasting):
            self.end(number)
        for node_id in self._engine.options.node_ids:
            self._engine.restart(node_id)

    def end_network(self) -> None:
        """Mend every link."""
        for number, (fault, _, _) in list(self._lasting.items()):
            if isinstance(fault, Partition | LinkFault):
                self.end(number)

    def _on_fault(self, data: tuple[int, bool]) -> None:
        number, is_begin = data
        if not is_begin:
            self.end(number)
        elif number >= self._over_count:
            self._begin(number, self._faults[number])

    def _begin(self, number: int, fault: Fault) -> None:
        """Find whom it befalls and let it; without a master nothing befalls the master."""
        master, is_about_master = self._engine.master_id, CURRENT_MASTER in fault.names
        hit = resolved(fault, master)
        if is_about_master and master is None:
            self._note("none", number, hit)
            return
        self._note("start", number, hit)
        node: str | None = getattr(fault, "node", None)
        if node is None:
            undo: Undo | None = self._on_network(fault, master)
        else:
            undo = self._on_node(number, fault, _resolved(node, master), master)
        if undo is not None:
            self._lasting[number] = fault, hit, undo

    def _note(self, phase: str, number: int, fault: Fault) -> None:
        self._engine.trace.add(FaultChanged(self._engine.now_ns, phase, number, fault))
        self._engine.on_fault()

    # Links

    def _on_network(self, fault: Fault, master: str | None) -> Undo:
        network = self._engine.network
        if isinstance(fault, Partition):
            node_ids = self._engine.options.node_ids
            ways = cut_by(fault, node_ids, network.between(None, None), master)
        else:
            assert isinstance(fault, LinkFault)
            ends = (fault.source, fault.target)
            source, target = (_resolved_or_none(end, master) for end in ends)
            ways = network.between(source, target)
        more = _trouble(fault)
        network.trouble(ways, more)
        return partial(network.trouble, ways, more, -1)

    # Nodes

    def _on_node(self, number: int, fault: Fault, node: str, master: str | None) -> Undo | None:
        engine, machine = self._engine, self._engine.machines[node]
        undo: Undo | None = None
        match fault:
            case Crash():
                undo = self._crash(number, fault, node)
            case Restart():
                self._crashes.pop(node, None)
                engine.restart(node)
            case Pause():
                engine.pause(node)
                undo = partial(engine.resume, node)
            case SlowCpu():
                undo = _slow_cpu(machine, ms_to_ns(fault.step_ms))
            case SlowDisk():
                machine.drive.factors.append(fault.factor)
                undo = partial(machine.drive.factors.remove, fault.factor)
            case StalledDisk() | FullDisk():
                undo = self._hold_disk(node, is_full=isinstance(fault, FullDisk))
            case FlipBit():
                machine.drive.flip_bit(fault.offset)
            case ClockDrift():
                undo = self._drift(node, fault.ppm)
            case ClockJump():
                drift_ppm = machine.clock.drift_ppm
                engine.set_clock(node, drift_ppm=drift_ppm, jump_ns=ms_to_ns(fault.by_ms))
            case Promote():
                self._promote(node, force=fault.force)
            case Replace():
                self._replace(node, _resolved_or_none(fault.target, master))
            case Retire():
                self._retire(node, _resolved_or_none(fault.target, master))
        return undo

    def _crash(self, number: int, fault: Crash, node: str) -> Undo:
        self._engine.crash(node, keeps_unsynced=not fault.lose_unsynced, loses_disk=fault.lose_disk)
        self._crashes.setdefault(node, []).append(number)

        def start() -> None:
            crashes = self._crashes.get(node, [])
            if number in crashes:
                crashes.remove(number)
                if not crashes:
                    self._engine.restart(node)

        return start

    def _hold_disk(self, node: str, *, is_full: bool) -> Undo:
        machine = self._engine.machines[node]

        def add(count: int) -> None:
            if is_full:
                machine.drive.fills += count
                machine.node.disk_full(is_full=machine.drive.is_full)
            else:
                machine.drive.stalls += count
            self._engine.begin_write(node)

        add(1)
        return lambda: add(-1)

    def _drift(self, node: str, ppm: int) -> Undo:
        clock = self._engine.machines[node].clock
        self._engine.set_clock(node, drift_ppm=clock.drift_ppm + ppm)
        return lambda: self._engine.set_clock(node, drift_ppm=clock.drift_ppm - ppm)

    # What an operator does

    def _promote(self, node: str, *, force: bool) -> None:
        machine = self._engine.machines[node]
        if not machine.is_up or machine.pauses:
            return  # Nobody is there to hear the command.
        try:
            local_ns = machine.clock.local_ns(self._engine.now_ns)
            self._engine.perform(node, machine.node.promote(local_ns, force=force))
        except PromotionRefused:
            return  # It is master, stands already, or has no state: as its role in the trace says.

    def _replace(self, node: str, target: str | None) -> None:
        """Name the index by what the cluster knows of the machine: no operator sees inside it."""
        engine, machines = self._engine, self._engine.machines
        engine.crash(node, loses_disk=True)
        running = [each for each in machines.values() if each.is_up and not each.pauses]
        asked = machines[engine.master_id] if engine.master_id is not None else None
        asked = asked if asked in running else next(iter(running), None)
        if asked is not None:
            self._retired[node] = asked.node.newest_index(node)
            self._retire(node, target)

    def _retire(self, node: str, target: str | None) -> None:
        """Give the last command to retire a machine of this node, to one node or to all."""
        engine = self._engine
        for machine in engine.machines.values() if node in self._retired else ():
            is_named = machine.id == target if target is not None else machine.id != node
            if is_named and machine.is_up and not machine.pauses:
                local_ns = machine.clock.local_ns(engine.now_ns)
                effects = machine.node.retire(self._retired[node], local_ns)
                engine.perform(machine.id, effects)


def _resolved(name: str, master: str | None) -> str:
    return master if name == CURRENT_MASTER and master is not None else name


def _resolved_or_none(name: str | None, master: str | None) -> str | None:
    return None if name is None else _resolved(name, master)


def _slow_cpu(machine: Machine, step_ns: int) -> Undo:
    machine.step_ns += step_ns

    def undo() -> None:
        machine.step_ns -= step_ns

    return undo


def clock_offsets_ns(faults: Sequence[Fault]) -> dict[str, int]:
    """How far each node's clock is ahead from the start on."""
    ahead_ns: dict[str, int] = {}
    for fault in faults:
        if isinstance(fault, ClockOffset):
            ahead_ns[fault.node] = ahead_ns.get(fault.node, 0) + ms_to_ns(fault.offset_ms)
    return ahead_ns


def cut_by(
    fault: Partition,
    node_ids: Sequence[str],
    ways: Sequence[tuple[str, str]],
    master: str | None = None,
) -> list[tuple[str, str]]:
    """The ways that a partition cuts. In a shape clients hear every node.

    >>> fault = Partition(at_ms=0, for_ms=1, shape="bridge")
    >>> cut_by(fault, ("a", "b", "c"), [("a", "b"), ("a", "c"), ("c", "client-0")])
    [('a', 'c')]
    """
    count = len(node_ids)
    if not fault.shape:
        groups = [fault.isolate] if fault.isolate else fault.groups
        group_of: dict[str, int] = {}
        for number, group in enumerate(groups):
            for name in group:  # A master that is named itself too is where it comes first.
                group_of.setdefault(_resolved(name, master), number)
        return [(a, b) for a, b in ways if group_of.get(a, -1) != group_of.get(b, -1)]
    place = {node_id: number for number, node_id in enumerate(node_ids)}
    nodes = [(a, b) for a, b in ways if a in place and b in place]
    if fault.shape == "ring":
        return [(a, b) for a, b in nodes if (place[a] - place[b]) % count not in (1, count - 1)]
    middle = count // 2
    return [(a, b) for a, b in nodes if (place[a] - middle) * (place[b] - middle) < 0]


def _trouble(fault: Fault) -> LinkFaults:
    match fault:
        case Partition() | Cut():
            return LinkFaults(cuts=1)
        case Clog():
            return LinkFaults(clogs=1)
        case Block():
            return LinkFaults(blocks={fault.message: 1})
        case Degrade():
            return trouble_of(
                delay_ms=fault.delay_ms,
                loss=fault.loss,
                duplication=fault.duplication,
                corruption=fault.corruption,
            )
    raise AssertionError(fault)
