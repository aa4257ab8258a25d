"""An interactive simulated cluster; `simulate` runs one from start to end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from vectorkit.display import counted, facts_table
from vectorkit.errors import (
    ClusterInterrupted,
    InvalidInput,
    InvalidOption,
    PromotionRefused,
    WriteConcernTimeout,
    WriteRefused,
)
from vectorkit.records import check_not_negative, check_seed, check_type
from vectorkit.replication import (
    MasterRole,
    Node,
    NodeStatus,
    Promotion,
    ReplicaInfo,
    ReplicationStats,
    node_status,
)
from vectorkit.sim.analysis.observer import Observer
from vectorkit.sim.analysis.recall_probe import RecallProbe
from vectorkit.sim.analysis.stuck import stuck_nodes
from vectorkit.sim.faults.codec import check_faults
from vectorkit.sim.faults.faults import ClockOffset, Fault, Partition
from vectorkit.sim.load.clients import ClientPool
from vectorkit.sim.load.requests import Requests
from vectorkit.sim.load.workload import Workload, check_read_policy
from vectorkit.sim.options import ClusterOptions
from vectorkit.sim.run import Run
from vectorkit.sim.world.engine import Engine
from vectorkit.sim.world.garbage import uncollected
from vectorkit.sim.world.inject import Injector, clock_offsets_ns
from vectorkit.sim.world.network import LinkCounts
from vectorkit.sim.world.trace_events import DigestTaken
from vectorkit.store import VectorStore
from vectorkit.units import ms_to_ns, ns_to_ms

SETTLE_MS_MAX: Final = 120_000
"""Longest virtual time, in ms, that `finish` waits for the nodes to converge."""

_SETTLE_STEP_MS: Final = 100


class Cluster:
    """Simulate a master and its replicas in one process, on a virtual clock.

    The same seed, options and calls give the same run. Write to `store` (the master's store),
    `advance` the time, inject faults, inspect nodes, then call `finish` to get the run. `simulate`
    makes these calls for a whole scenario.

    An exception in the middle of an event, such as KeyboardInterrupt, leaves the cluster in an
    incomplete state. Every later call raises ClusterInterrupted.

    Args:
        options: nodes, links, disks and protocol; None for `ClusterOptions()`.
        seed: determines every random draw.
        workload: clients that send requests as time advances; None for no clients.
        faults: faults to inject, with times in virtual ms from the start.

    Raises:
        InvalidOption: an argument is invalid, or the arguments do not fit together.

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
        faults: Sequence[Fault] = (),
    ) -> None:
        self.options = ClusterOptions() if options is None else options
        check_type("options", self.options, ClusterOptions)
        check_seed(seed)
        if workload is not None:
            check_type("workload", workload, Workload)
        self.seed = seed
        self._client_ids = () if workload is None else workload.client_ids
        self.faults = check_faults(faults, self.options.node_ids, self._client_ids)
        self._world = Engine(
            self.options,
            seed=seed,
            client_ids=self._client_ids,
            offsets_ns=clock_offsets_ns(self.faults),
        )
        self._clients: ClientPool | None = None
        self._probe: RecallProbe | None = None
        if workload is not None:
            check_read_policy(workload, self.options)
            requests = Requests(workload, seed=seed)
            self._clients = ClientPool(self._engine, requests)
            if self.options.recall_every_ms:
                self._probe = RecallProbe(
                    self._engine, workload.collection, requests.vectors, seed=seed
                )
        self._observer = Observer(self._engine)
        self._is_writing = True
        self._start()

    # Commands

    @property
    def store(self) -> VectorStore:
        """The master's store; the cluster replicates writes to it as time advances.

        The store applies or refuses a write immediately; a refused write changes nothing. It
        refuses writes while the master is paused, and after its node has crashed, also through a
        collection obtained earlier. A deposed master accepts writes, as it accepts those of
        clients, until a message informs it of the newer epoch; `confirm` waits for these too.

        Raises:
            WriteRefused: no node is master.

        >>> from vectorkit import sim
        >>> cluster = Cluster(ClusterOptions(replicas=1), seed=7)
        >>> store = cluster.store
        >>> cluster.inject(sim.Pause(at_ms=0, for_ms=50, node="node-0"))
        >>> cluster.advance(ms=1)
        >>> try:
        ...     store.create_collection("words", dim=2)
        ... except WriteRefused as error:
        ...     print(error.problem, len(store))
        node-0 is paused 0
        >>> cluster.advance(ms=50)
        >>> store.create_collection("words", dim=2).name
        'words'
        """
        self._engine.observe()
        return self._engine.node(self._master_id()).store

    @property
    def stores(self) -> dict[str, VectorStore]:
        """The store of every node by node id; stores of replicas are read-only."""
        self._engine.observe()
        return {node_id: each.node.store for node_id, each in self._engine.machines.items()}

    @property
    def master(self) -> str | None:
        """Id of the node that serves the highest epoch; None if no node is master."""
        return self._engine.master_id

    @property
    def now_ms(self) -> float:
        """Virtual time since the start, in ms."""
        return ns_to_ms(self._engine.now_ns)

    def advance(self, *, ms: float) -> None:
        """Advance the virtual time by `ms` milliseconds and execute every event in that time.

        Raises:
            LimitReached: the run has more than `event_count_max` events.
        """
        check_not_negative("ms", ms)
        until_ns = self._engine.now_ns + ms_to_ns(ms)
        self._flush()
        uncollected(partial(self._engine.run, until_ns))
        self._engine.observe()

    def cut(self, *node_ids: str) -> None:
        """Partition these nodes and clients, as one group, from all others until `heal`."""
        self._check_known(node_ids, has_clients=True)
        fault = Partition(at_ms=self.now_ms, isolate=node_ids)
        self._flush()
        self._engine.do(self._injector.begin, fault)

    def heal(self) -> None:
        """End every network fault."""
        self._flush()
        self._engine.do(self._injector.end_network)

    def inject(self, fault: Fault) -> None:
        """Start `fault` `at_ms` milliseconds from now; `finish` ends it if it still lasts.

        Raises:
            InvalidOption: the fault names an unknown node or client, or is a ClockOffset.
        """
        check_faults([fault], self.options.node_ids, self._client_ids)
        if isinstance(fault, ClockOffset):
            raise InvalidOption(
                "a clock offset cannot begin in a running cluster",
                got=repr(fault),
                wanted="ClockJump or ClockDrift",
                remedy="pass the offset in the `faults` of the new cluster",
            )
        self._engine.do(self._injector.add, fault)

    def crash(self, node_id: str, *, lose_unsynced: bool = True, lose_disk: bool = False) -> None:
        """Crash a node. It loses its memory, and with `lose_disk` also its disk.

        With `lose_unsynced=False` some records that the disk had not yet confirmed may survive.
        """
        self._check_known([node_id])
        engine, is_torn = self._engine, not lose_unsynced
        self._flush()
        engine.do(engine.crash, node_id, keeps_unsynced=is_torn, loses_disk=lose_disk)

    def restart(self, node_id: str) -> None:
        """Start a crashed node from the state on its disk."""
        self._check_known([node_id])
        engine = self._engine
        if not engine.machines[node_id].is_up:
            engine.machines[node_id].next_incarnation()  # Raises before any state changes.
        engine.do(engine.restart, node_id)

    def promote(
        self, node_id: str, *, force: bool = False, max_lag_operations: int | None = None
    ) -> Promotion:
        """Promote a node through a normal election; time advances until the result is known.

        Args:
            node_id: the candidate.
            force: proceed without a quorum; this may lose acknowledged writes.
            max_lag_operations: largest accepted lag, in operations; None for no limit.

        Returns:
            The won promotion.

        Raises:
            PromotionRefused: the node is down or paused, too few intact nodes answered (`missing`
                names the rest), the lag is too large, or another node has a more up-to-date log
                and received a request to start an election.
        """
        self._check_known([node_id])
        self._flush()
        machine = self._engine.machines[node_id]
        if not machine.is_up:
            raise PromotionRefused(
                "a node that is down cannot be promoted",
                got=node_id,
                wanted="a node that is up",
                remedy="restart it, or promote another",
            )
        if machine.pauses:
            raise PromotionRefused(
                "a node that is paused cannot be promoted",
                got=node_id,
                wanted="a node that is not paused",
                remedy="advance the time until the pause is over, or promote another",
            )
        machine.node.check_promotable()
        self._engine.do(self._promote, node_id, force, max_lag_operations)
        promotion = machine.node.promotion
        life = machine.life
        while promotion is not None and promotion.state == "asking":
            if machine.life != life or machine.pauses:
                break
            self.advance(ms=1)
        if promotion is None or promotion.state != "won":
            raise _refused(node_id, promotion)
        return promotion

    def _promote(self, node_id: str, force: bool, max_lag_operations: int | None) -> None:
        engine, machine = self._engine, self._engine.machines[node_id]
        local_ns = machine.clock.local_ns(engine.now_ns)
        effects = machine.node.promote(local_ns, force=force, max_lag_operations=max_lag_operations)
        engine.perform(node_id, effects)

    def confirm(self) -> int:
        """Advance the time until every write so far meets the write concern.

        This covers the log of the master and your writes to the store of a deposed master that
        does not know of the newer epoch yet. The latter can never be confirmed.

        Returns:
            The offset of the master's log when the call began.

        Raises:
            WriteConcernTimeout: the concern's time is over; `details` has `required`, `confirmed`
                (numbers of replicas) and `offset`.
            WriteRefused: no node is master, or a node lost mastership meanwhile.
        """
        self._flush()
        head_offset = self._engine.node(self._master_id()).log.head.offset
        written = self._written(head_offset)
        concern = self.options.protocol.write_concern
        ends_ms = self.now_ms + concern.timeout_ms
        while True:
            missing = [each for each in written if each[1].clients.confirmed_offset < each[2]]
            if not missing:
                return head_offset
            node, role, offset = missing[-1]
            if node.role is not role:
                raise WriteRefused(
                    f"{node.id} is no longer master",
                    got=f"writes up to offset {offset} that were not confirmed",
                    wanted="a master that stays master until they are",
                    remedy="the writes may be lost: read before you repeat them",
                )
            if self.now_ms >= ends_ms:
                confirmed, required = role.clients.confirmed_by(offset), node.member.replica_count
                raise WriteConcernTimeout(
                    "the write concern was not met in time",
                    got=f"{confirmed} of {required} replicas at offset {offset} of {node.id}",
                    wanted=f"{required} replicas, {concern.stage}, within {concern.timeout_ms} ms",
                    remedy="it may still take effect: read before you write it again",
                    required=required,
                    confirmed=confirmed,
                    offset=offset,
                )
            self.advance(ms=1)

    def _written(self, head_offset: int) -> list[tuple[Node, MasterRole, int]]:
        """Return every node that acts as master, deposed or not, with its last written offset."""
        found = []
        for machine in self._engine.machines.values():
            role = machine.node.role
            if machine.is_up and isinstance(role, MasterRole):
                is_master = machine.id == self.master
                offset = head_offset if is_master else role.clients.local_offset
                found.append((machine.node, role, offset))
        return found

    def stats(self, node_id: str) -> ReplicationStats:
        """Return the statistics that a node reports about itself now."""
        self._check_known([node_id])
        machine = self._engine.machines[node_id]
        return machine.node.stats(machine.clock.local_ns(self._engine.now_ns))

    def status(self, node_id: str) -> NodeStatus:
        """Return role, figures and replicas of a node now; its `to_dict` gives plain values."""
        self._check_known([node_id])
        machine = self._engine.machines[node_id]
        return node_status(machine.node, machine.clock.local_ns(self._engine.now_ns))

    def replicas(self) -> list[ReplicaInfo]:
        """Return the master's present view of its replicas."""
        machine = self._engine.machines[self._master_id()]
        return machine.node.replicas(machine.clock.local_ns(self._engine.now_ns))

    def links(self) -> dict[tuple[str, str], LinkCounts]:
        """Return the simulator's message counts of each link, by (source, target)."""
        return {names: replace(counts) for names, counts in self._engine.network.counts.items()}

    def finish(self) -> Run:
        """End requests and faults, wait until the cluster converges, and return the run.

        Every node that is down starts again. The cluster then runs until no request is pending and
        all nodes have converged. If that takes more than 120,000 virtual ms, `run.is_converged` and
        `run.stuck` report which nodes have not converged, and why.
        """
        self._engine.do(self._end_load_and_faults)
        settled_ms = 0
        while not self._is_settled() and settled_ms < SETTLE_MS_MAX:
            self.advance(ms=_SETTLE_STEP_MS)
            settled_ms += _SETTLE_STEP_MS
        is_settled = self._observer.is_settled()
        engine = self._engine
        engine.do(self._take_digests)
        return Run(
            options=self.options,
            seed=self.seed,
            faults=self.faults,
            trace=engine.trace.copy(),
            samples=tuple(self._observer.samples),
            log_samples=tuple(self._observer.log_samples),
            recall_samples=() if self._probe is None else tuple(self._probe.samples),
            answer_samples=() if self._probe is None else tuple(self._probe.answers),
            stats={node_id: self.stats(node_id) for node_id in engine.machines},
            replicas=tuple(self.replicas()) if engine.master_id else (),
            duration_ms=self.now_ms,
            event_count=engine.scheduler.event_count,
            stuck=() if is_settled else stuck_nodes(engine),
        )

    def __reduce__(self) -> tuple[Any, ...]:
        raise InvalidInput(
            "a cluster cannot be copied or pickled",
            got=repr(self),
            wanted="its run, its scenario, or one of its stores",
            remedy="pass finish() or stores[node_id], or rebuild it from options, seed and faults",
        )

    def _facts(self) -> dict[str, object]:
        return {
            "nodes": len(self.options.node_ids),
            "master": self._world.master_id or "—",
            "virtual time": f"{ns_to_ms(self._world.now_ns):,.0f} ms",
            "seed": self.seed,
            **({"state": "interrupted"} if self._world.is_interrupted else {}),
        }

    def __repr__(self) -> str:
        replicas = counted(self.options.replicas, "replica")
        line = "Cluster({}, seed {seed}, at {virtual time}{})"
        state = ", interrupted" if self._world.is_interrupted else ""
        return line.format(replicas, state, **self._facts())

    def _repr_html_(self) -> str:
        return facts_table(self._facts())

    # Events

    def _start(self) -> None:
        engine = self._engine
        if self._clients is not None:
            self._clients.start(self.store)
        self._injector = Injector(engine, self.faults)
        engine.start()
        self._observer.start()

    @property
    def _engine(self) -> Engine:
        """The engine, unless an exception interrupted an event or a command."""
        if self._world.is_interrupted:
            raise ClusterInterrupted(
                "this cluster was interrupted in the middle of an event",
                got=repr(self),
                wanted="a cluster whose events have all ended",
                remedy="make a new cluster with the same options, seed, workload and faults, and "
                "repeat the calls: it replays the same run",
            )
        return self._world

    def _flush(self) -> None:
        self._engine.do(self._engine.flush)

    def _end_load_and_faults(self) -> None:
        self._is_writing = False
        if self._clients is not None:
            self._clients.stop()
        self._engine.flush()
        self._injector.end_all()

    def _take_digests(self) -> None:
        engine = self._engine
        for node_id, machine in engine.machines.items():
            here, digest = machine.node.member.applied, machine.node.store.digest()
            history = int.from_bytes(here.hash[:8], "little")
            event = DigestTaken(engine.now_ns, node_id, "end", here.offset, history, digest)
            engine.trace.add(event)
        self._observer.sample_all()

    def _is_settled(self) -> bool:
        is_answered = self._clients is None or not self._clients.are_waiting
        return is_answered and self._observer.is_settled()

    def _master_id(self) -> str:
        master_id = self._engine.master_id
        if master_id is None:
            raise self._no_master()
        return master_id

    def _no_master(self) -> WriteRefused:
        return WriteRefused(
            "the cluster has no master now",
            got="no node that serves as master",
            wanted="a master",
            remedy="advance the time, restart a node, or promote one",
        )

    def _check_known(self, node_ids: Sequence[str], *, has_clients: bool = False) -> None:
        known = self.options.node_ids + (self._client_ids if has_clients else ())
        unknown = [node_id for node_id in node_ids if node_id not in known]
        if unknown or not node_ids:
            raise InvalidOption(
                "the cluster has no such node",
                got=", ".join(map(repr, unknown)) or "no node",
                wanted=" or ".join(known),
                remedy="name nodes of this cluster",
            )


def _refused(node_id: str, promotion: Promotion | None) -> PromotionRefused:
    missing = [] if promotion is None else promotion.missing
    return PromotionRefused(
        f"{node_id} was not promoted",
        got="no attempt" if promotion is None else promotion.reason,
        wanted="answers from enough intact nodes, none with a more up-to-date log",
        remedy=f"bring back {', '.join(missing)}" if missing else "look at cluster.master",
        missing=missing,
        residual_lag=0 if promotion is None else promotion.residual_lag,
    )
