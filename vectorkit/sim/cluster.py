"""Where clock, network, nodes, faults and workload meet: the one engine of all simulations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from vectorkit.errors import InvalidOption
from vectorkit.replication import (
    Applied,
    Effect,
    MasterNode,
    ReplicaInfo,
    ReplicaNode,
    ReplicaStatus,
    ReplicationStats,
    Send,
    SetTimer,
    SyncChanged,
)
from vectorkit.replication.messages import Message
from vectorkit.sim.clock import Event, Scheduler
from vectorkit.sim.faults import Partition, checked_faults
from vectorkit.sim.network import LinkCounts, Network
from vectorkit.sim.options import (
    ClusterOptions,
    Workload,
    refuse_negative,
    refuse_seed,
    refuse_type,
)
from vectorkit.sim.run import HealthSample, Run
from vectorkit.sim.trace import Trace
from vectorkit.sim.workload import Writes
from vectorkit.store import VectorStore
from vectorkit.units import ms_to_ns, ns_to_ms

SETTLE_MS_MAX: Final = 120_000
"""How long a run may go on without faults and writes until all nodes are equal."""

_SETTLE_STEP_MS: Final = 100


class Cluster:
    """A master and its replicas in one process, on a virtual clock, deterministic from a seed.

    Write to `store` (the master's), `advance` the time, `cut` and `heal` links, look at `stats`
    and `replicas`, and `finish` to get the run. Everything that `simulate` does is this, stepped
    to the end.

    >>> cluster = Cluster(ClusterOptions(replicas=1), seed=7)
    >>> words = cluster.store.create_collection("words", dim=2)
    >>> _ = words.upsert(["king"], [[1, 0]])
    >>> cluster.advance(ms=100)
    >>> cluster.stores["node-1"].search("words", [1, 0], k=1).ids
    ('king',)
    """

    def __init__(
        self,
        options: ClusterOptions | None = None,
        *,
        seed: int = 0,
        workload: Workload | None = None,
        faults: Sequence[Partition] = (),
    ) -> None:
        self.options = ClusterOptions() if options is None else options
        refuse_type("options", self.options, ClusterOptions)
        refuse_seed(seed)
        if workload is not None:
            refuse_type("workload", workload, Workload)
        self.seed = seed
        self.faults = checked_faults(faults)
        for fault in self.faults:
            self._refuse_unknown(fault.isolate)
        writes = None if workload is None else Writes(workload, seed=seed)
        ids = self.options.node_ids
        self._trace = Trace()
        self._scheduler = Scheduler(self.options.event_count_max)
        self._network = Network(
            ids, self.options.link, seed=seed, scheduler=self._scheduler, trace=self._trace
        )
        protocol = self.options.replication
        self._master = MasterNode(ids[0], replica_ids=ids[1:], now_ns=0, options=protocol)
        self._replicas = {
            node_id: ReplicaNode(node_id, master_id=ids[0], now_ns=0, options=protocol)
            for node_id in ids[1:]
        }
        self._timer_ns: dict[str, int] = {}
        self._cuts: list[tuple[int | None, tuple[str, ...]]] = []  # With the fault that made it.
        self._written_ns: list[int] = []
        self._status_of: dict[str, str] = {}
        self._samples: list[HealthSample] = []
        self._writes = writes
        self._is_writing = True
        self._handlers: dict[str, Callable[[Any], None]] = {
            "deliver": self._on_deliver,
            "timer": self._on_timer,
            "write": self._on_write,
            "fault": self._on_fault,
            "sample": self._on_sample,
        }
        self._start()

    # What a notebook does with it

    @property
    def store(self) -> VectorStore:
        """The master's store: writes to it are replicated as time advances."""
        self._master.observe(self._scheduler.now_ns)
        return self._master.store

    @property
    def stores(self) -> dict[str, VectorStore]:
        """Every node's store; those of replicas are read-only."""
        replicas = {node_id: node.store for node_id, node in self._replicas.items()}
        return {self._master.id: self.store, **replicas}

    @property
    def now_ms(self) -> float:
        """The virtual time."""
        return ns_to_ms(self._scheduler.now_ns)

    def advance(self, *, ms: float) -> None:
        """Let so much virtual time pass. Raises LimitReached beyond `event_count_max` events."""
        refuse_negative("ms", ms)
        until_ns = self._scheduler.now_ns + ms_to_ns(ms)
        self._flush()
        while (event := self._scheduler.pop(until_ns)) is not None:
            self._handle(event)
        self._master.observe(self._scheduler.now_ns)

    def cut(self, *node_ids: str) -> None:
        """Cut these nodes, as a group, off from all others, until `heal`."""
        self._refuse_unknown(node_ids)
        self._flush()
        self._cut(node_ids)

    def heal(self) -> None:
        """Mend every cut."""
        self._flush()
        for owner, nodes in list(self._cuts):
            self._heal(nodes, owner)

    def stats(self, node_id: str) -> ReplicationStats:
        """What a node says of itself now."""
        self._refuse_unknown([node_id])
        now_ns = self._scheduler.now_ns
        if node_id == self._master.id:
            return self._master.stats(now_ns)
        return self._replicas[node_id].stats(now_ns)

    def replicas(self) -> list[ReplicaInfo]:
        """What the master knows of its replicas now."""
        return self._master.replicas(self._scheduler.now_ns)

    def links(self) -> dict[tuple[str, str], LinkCounts]:
        """What each link, (source, target), has carried so far: the simulator's own count."""
        return {names: replace(counts) for names, counts in self._network.counts.items()}

    def finish(self) -> Run:
        """End writes and faults, wait until all nodes are equal, and give the run.

        A run that is not equal after `SETTLE_MS_MAX` says so in `run.is_converged`.
        """
        self._is_writing = False
        self.heal()
        settled_ms = 0
        while not self._is_settled() and settled_ms < SETTLE_MS_MAX:
            self.advance(ms=_SETTLE_STEP_MS)
            settled_ms += _SETTLE_STEP_MS
        now_ns = self._scheduler.now_ns
        nodes: dict[str, MasterNode | ReplicaNode] = {self._master.id: self._master}
        nodes.update(self._replicas)
        for node_id, node in nodes.items():
            offset, digest = node.log.head.offset, node.store.digest()
            history = int.from_bytes(node.log.head.hash[:8], "little")
            self._trace.add(now_ns, "digest", node_id, number=offset, value=history, text=digest)
        self._sample_all()
        return Run(
            options=self.options,
            seed=self.seed,
            faults=self.faults,
            trace=self._trace.copy(),
            samples=tuple(self._samples),
            stats={node_id: self.stats(node_id) for node_id in nodes},
            replicas=tuple(self.replicas()),
            duration_ms=self.now_ms,
            event_count=self._scheduler.event_count,
        )

    def __repr__(self) -> str:
        count = f"{len(self._replicas)} replica" + "s" * (len(self._replicas) != 1)
        return f"Cluster({count}, seed {self.seed}, at {self.now_ms:,.0f} ms)"

    # Events

    def _start(self) -> None:
        if self._writes is not None:
            self._writes.load(self._master.store)
            self._schedule_write(0)
        for index, fault in enumerate(self.faults):
            self._scheduler.at(ms_to_ns(fault.at_ms), "fault", (index, True))
            self._scheduler.at(ms_to_ns(fault.until_ms), "fault", (index, False))
        self._perform(self._master.id, self._master.tick(0))
        for node_id, node in self._replicas.items():
            self._perform(node_id, node.tick(0))
        self._scheduler.at(0, "sample", None)

    def _handle(self, event: Event) -> None:
        _, _, kind, data = event
        self._handlers[kind](data)

    def _on_deliver(self, data: tuple[str, str, Message, int]) -> None:
        source, target, message, size_bytes = data
        if not self._network.arrive(source, target, message, size_bytes):
            return
        now_ns = self._scheduler.now_ns
        if target == self._master.id:
            self._perform(target, self._master.receive(source, message, now_ns))
            self._note_status(source)
        else:
            self._perform(target, self._replicas[target].receive(source, message, now_ns))

    def _on_timer(self, node_id: str) -> None:
        now_ns = self._scheduler.now_ns
        if self._timer_ns.get(node_id) != now_ns:
            return  # Another timer has replaced this one.
        del self._timer_ns[node_id]
        node = self._master if node_id == self._master.id else self._replicas[node_id]
        self._perform(node_id, node.tick(now_ns))

    def _on_write(self, number: int) -> None:
        if self._writes is None or not self._is_writing:
            return
        self._schedule_write(number + 1)
        now_ns = self._scheduler.now_ns
        self._master.observe(now_ns)
        self._writes.make(self._master.store, number)
        self._perform(self._master.id, self._master.flush(now_ns))

    def _schedule_write(self, number: int) -> None:
        assert self._writes is not None
        time_ns = self._writes.time_ns(number)
        if time_ns is not None:
            self._scheduler.at(time_ns, "write", number)

    def _on_fault(self, data: tuple[int, bool]) -> None:
        index, is_start = data
        nodes = self.faults[index].isolate
        if is_start:
            if self._is_writing:
                self._cut(nodes, owner=index)
        elif (index, nodes) in self._cuts:
            self._heal(nodes, owner=index)

    def _on_sample(self, data: None) -> None:
        self._sample_all()
        next_ns = self._scheduler.now_ns + ms_to_ns(self.options.sample_every_ms)
        self._scheduler.at(next_ns, "sample", None)

    # Effects

    def _flush(self) -> None:
        """Send what was written to the master's store since time last moved."""
        self._perform(self._master.id, self._master.flush(self._scheduler.now_ns))

    def _perform(self, node_id: str, effects: list[Effect]) -> None:
        now_ns = self._scheduler.now_ns
        for effect in effects:
            match effect:
                case Send():
                    self._network.send(node_id, effect.target, effect.message, effect.size_bytes)
                case SetTimer():
                    at_ns = max(effect.at_ns, now_ns)
                    self._timer_ns[node_id] = at_ns
                    self._scheduler.at(at_ns, "timer", node_id)
                case Applied():
                    self._note_applied(node_id, effect)
                case SyncChanged():
                    text = f"{effect.phase} {effect.reason}".rstrip()
                    self._trace.add(now_ns, "sync", node_id, effect.peer, effect.kind, text=text)
                    self._note_status(effect.peer)

    def _note_applied(self, node_id: str, effect: Applied) -> None:
        now_ns, position = self._scheduler.now_ns, effect.position
        if node_id == self._master.id:
            event, kind = "write", effect.operation_type
            self._written_ns.append(now_ns)
        else:
            event, kind = "apply", "snapshot" if effect.is_by_snapshot else "stream"
        self._trace.add(
            now_ns,
            event,
            node_id,
            kind=kind,
            number=position.offset,
            value=position.epoch,
            text=position.hash.hex(),
        )

    # Faults and health

    def _cut(self, nodes: tuple[str, ...], owner: int | None = None) -> None:
        self._cuts.append((owner, nodes))
        self._network.isolate(nodes, is_cut=True)
        self._note_fault("start", nodes)

    def _heal(self, nodes: tuple[str, ...], owner: int | None) -> None:
        self._cuts.remove((owner, nodes))
        self._network.isolate(nodes, is_cut=False)
        self._note_fault("end", nodes)

    def _note_fault(self, kind: str, nodes: tuple[str, ...]) -> None:
        self._trace.add(self._scheduler.now_ns, "fault", kind=kind, text=",".join(nodes))
        self._sample_all()

    def _refuse_unknown(self, node_ids: Sequence[str]) -> None:
        known = self.options.node_ids
        unknown = [node_id for node_id in node_ids if node_id not in known]
        if unknown or not node_ids:
            raise InvalidOption(
                "the cluster has no such node",
                got=", ".join(map(repr, unknown)) or "no node",
                wanted=" or ".join(known),
                remedy="name nodes of this cluster",
            )

    def _note_status(self, replica_id: str) -> bool:
        """Record a change of health, and whether there was one.

        One that an event brings is seen at once, one that passing time brings at the next sample.
        """
        now_ns = self._scheduler.now_ns
        status = self._master.status(replica_id, now_ns).value
        has_changed = status != self._status_of.get(replica_id)
        if has_changed:
            self._status_of[replica_id] = status
            self._trace.add(now_ns, "status", self._master.id, replica_id, kind=status)
            self._sample(replica_id, status)
        return has_changed

    def _sample_all(self) -> None:
        for replica_id in self._replicas:
            if not self._note_status(replica_id):
                self._sample(replica_id, self._status_of[replica_id])

    def _sample(self, replica_id: str, status: str) -> None:
        now_ns, head_offset = self._scheduler.now_ns, self._master.log.head.offset
        applied_offset = self._replicas[replica_id].log.head.offset
        is_behind = applied_offset < head_offset
        info = self._master.replica(replica_id, now_ns)
        self._samples.append(
            HealthSample(
                time_ms=ns_to_ms(now_ns),
                node=replica_id,
                status=status,
                is_cut=any(
                    (replica_id in nodes) != (self._master.id in nodes) for _, nodes in self._cuts
                ),
                lag_ms=info.lag_ms,
                lag_ms_true=ns_to_ms(now_ns - self._written_ns[applied_offset]) if is_behind else 0,
                lag_operations=info.lag_operations,
                head_offset=head_offset,
                applied_offset=applied_offset,
                confirmed_offset=info.applied_offset,
                last_heartbeat_ms=info.last_heartbeat,
            )
        )

    def _is_settled(self) -> bool:
        now_ns, head = self._scheduler.now_ns, self._master.log.head
        return all(
            node.log.head == head
            and self._master.replica(node_id, now_ns).applied_offset == head.offset
            and self._master.status(node_id, now_ns) is ReplicaStatus.CONNECTED
            for node_id, node in self._replicas.items()
        )
