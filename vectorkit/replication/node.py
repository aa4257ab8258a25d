"""A node of a cluster: one state machine that has one role at a time, and all of its messages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, Literal, cast

from vectorkit.errors import DiskFull, InvalidInput, PromotionRefused, WriteRefused
from vectorkit.operations import EpochStart, Operation
from vectorkit.replication.candidate import CandidateRole, Promotion
from vectorkit.replication.master.master import MasterRole
from vectorkit.replication.master.peer import Peer
from vectorkit.replication.member import Member
from vectorkit.replication.monitoring.health import ReplicaStatus
from vectorkit.replication.monitoring.stats import ReplicaInfo, ReplicationStats
from vectorkit.replication.outbox import Origin
from vectorkit.replication.protocol.durable import Image
from vectorkit.replication.protocol.effects import Appended, Applied, Effect, Noted
from vectorkit.replication.protocol.epochs import FIRST_EPOCH, KnownIndices, owner_of, slot_of
from vectorkit.replication.protocol.log import ReplicationLog
from vectorkit.replication.protocol.messages import (
    Announce,
    AskPromise,
    ClientRead,
    ClientWrite,
    ConfirmEpoch,
    EpochConfirmed,
    Message,
    Prepare,
    Promise,
    Reject,
    Seek,
    StartElection,
    TellPromise,
    index_of_sender,
    known_of,
)
from vectorkit.replication.protocol.options import ReplicationOptions
from vectorkit.replication.protocol.wire import wire_size
from vectorkit.replication.reads import refused, serve
from vectorkit.replication.replica.replica import ReplicaRole
from vectorkit.replication.report import node_stats, replica_info
from vectorkit.replication.role import Reason, Role
from vectorkit.replication.state_loss import ReturningRole
from vectorkit.store import VectorStore
from vectorkit.units import NS_PER_MS


class Node:
    """A pure state machine: messages, timers and writes come in with a time, effects go out.

    `image` is what its disk holds. Without one the node is one that a cluster begins with: the
    first of `node_ids` is the master, the others its replicas. After a restart pass the image, and
    an `incarnation` that no earlier life of this node has had: one that finds its state lost comes
    back under it. Call `start` once, then `receive`, `tick`, `persisted`, and `flush` after writes
    to its `store`, which only a master takes; `observe` tells it the time before.

    >>> options = ReplicationOptions(has_durable_log=False)
    >>> node = Node("node-0", node_ids=["node-0", "node-1"], now_ns=0, options=options)
    >>> _ = node.start(now_ns=0)
    >>> _ = node.store.create_collection("words", dim=2)
    >>> node.stats(now_ns=0).master_offset
    2
    >>> [info.status.value for info in node.replicas(now_ns=0)]
    ['Syncing']
    """

    def __init__(
        self,
        node_id: str,
        *,
        node_ids: Sequence[str],
        now_ns: int,
        options: ReplicationOptions | None = None,
        image: Image | None = None,
        incarnation: int = 0,
    ) -> None:
        self.member = Member(node_id, node_ids, options or ReplicationOptions(), now_ns)
        self.member.attach(self)
        self.member.switch_role = self._switch_role
        self.promotion: Promotion | None = None
        """The last attempt to become master."""
        self._is_up = False
        is_new = image is None
        if image is None:
            image = first_image(self.member.slot)
        self._outbox = self.member.outbox
        first = (self.member.node_ids[0], FIRST_EPOCH) if is_new else (None, 0)
        self.member.role = self._follow(*first)
        self.member.recover(image, incarnation)
        if not is_new and not self.member.is_lost:
            self.member.outbox.add(Applied(self.member.applied, "replay"))
        if is_new and not self.member.slot:
            self.member.outbox.add(Appended(self.log.head, EpochStart.__name__))
            self._switch_role(self._serve(FIRST_EPOCH, is_forced=False))
        self.member.outbox.after_changes(lambda: self._come_up(is_new))

    # What is known of it

    @property
    def id(self) -> str:
        """Its name, for life."""
        return self.member.id

    @property
    def role(self) -> Role:
        """What it is now."""
        return cast("Role", self.member.role)

    @property
    def store(self) -> VectorStore:
        """Its collections; those of a replica are read-only."""
        return self.member.store

    @property
    def log(self) -> ReplicationLog:
        """Its history, as far as it is held in memory."""
        return self.member.log

    @property
    def options(self) -> ReplicationOptions:
        """How it treats others."""
        return self.member.options

    def stats(self, now_ns: int) -> ReplicationStats:
        """The node's own figures, counted at the source."""
        return node_stats(self.member, self.role, now_ns)

    def replicas(self, now_ns: int) -> list[ReplicaInfo]:
        """All replicas, as a master knows them; none on other nodes."""
        return [self.replica(node_id, now_ns) for node_id in self._replica_ids()]

    def replica(self, node_id: str, now_ns: int) -> ReplicaInfo:
        """One of them."""
        return replica_info(self.member, self._peer(node_id), now_ns)

    def status(self, node_id: str, now_ns: int) -> ReplicaStatus:
        """The health of one of them, computed now."""
        return self._peer(node_id).status(now_ns, self.member.options)

    # Transitions

    def start(self, now_ns: int) -> list[Effect]:
        """Begin. A node does nothing before its disk knows that it has started."""
        self.member.now_ns = now_ns
        return self._drain()

    def observe(self, now_ns: int) -> None:
        """Tell the node the time, before its store is written to."""
        self.member.now_ns = now_ns

    def flush(self, now_ns: int) -> list[Effect]:
        """The effects of the writes made to the store since the last transition."""
        self.member.now_ns = now_ns
        if isinstance(self.role, MasterRole):
            self.role.flush()
        return self._drain()

    def tick(self, now_ns: int) -> list[Effect]:
        """The timer has fired."""
        self.member.now_ns = now_ns
        self.member.outbox.timer_fired()
        if self._is_up:
            self.role.tick()
        return self._drain()

    def persisted(self, number: int, now_ns: int) -> list[Effect]:
        """The disk holds all changes of the `Persist` effects up to this number."""
        self.member.now_ns = now_ns
        self.member.outbox.persisted(number)
        return self._drain()

    def receive(
        self, source: str, message: Message, now_ns: int, size_bytes: int | None = None
    ) -> list[Effect]:
        """A message has come. One of an older connection, or of a stranger, is dropped.

        `size_bytes` is what the link has carried; it is counted anew where that is not known.
        """
        member = self.member
        member.now_ns = now_ns
        member.counters.bytes_received += wire_size(message) if size_bytes is None else size_bytes
        if self._is_up:
            self._take(source, message)
        return self._drain()

    def promote(
        self, now_ns: int, *, force: bool = False, max_lag_operations: int | None = None
    ) -> list[Effect]:
        """Stand for mastership, as an operator's command; `promotion` tells what has come of it.

        `force` goes on with what has answered in time: acknowledged writes may be lost. Raises
        PromotionRefused for a master and for a node without state.
        """
        self.check_promotable()
        self.member.now_ns = now_ns
        self._switch_role(
            self._stand("command", is_forced=force, max_lag_operations=max_lag_operations)
        )
        return self._drain()

    def check_promotable(self) -> None:
        """Raise PromotionRefused where a command cannot make this node master now."""
        if isinstance(self.role, MasterRole | CandidateRole | ReturningRole) or self.member.is_lost:
            raise PromotionRefused(
                f"{self.id} cannot be promoted now",
                got=f"a node that is {self.role.name}",
                wanted="a replica with its state",
                remedy="promote another node, or wait",
            )

    def stop(self, why: Literal["paused", "crashed", ""]) -> None:
        """Tell the node why its process does not run: its store takes no writes; "" where it runs.

        A client's message waits outside of a process that stands still, or is lost with it. A
        notebook that holds the store has to be refused.
        """
        self.member.stopped = why

    def disk_full(self, *, is_full: bool) -> None:
        """Tell the node whether its disk has room: a master without takes no writes."""
        self.member.is_disk_full = is_full

    def retire(self, index: int, now_ns: int) -> list[Effect]:
        """Refuse an index from now on: an operator says that its machine is gone for good.

        Name the newest index that a node knows of the slot (`newest_index`), and the same one to
        every node. The effect `Noted("retire")` confirms the command once it is durable. To repeat
        it, to give it late or to some nodes only, does no harm: a newer index stays as it is.
        """
        member = self.member
        member.now_ns = now_ns
        if not 0 <= slot_of(index) < len(member.node_ids) or index < 0:
            raise InvalidInput(
                "there is no such index to retire",
                got=f"index={index!r}",
                wanted=f"an index of one of {len(member.node_ids)} slots",
                remedy="pass newest_index(node_id) of a node that is up",
            )
        self._learn(KnownIndices().with_retired(index))
        member.keep_known(lambda: member.outbox.add(Noted("retire", number=index)))
        return self._drain()

    def newest_index(self, node_id: str) -> int:
        """The newest index of a node that this one knows."""
        return self.member.known.newest[self.member.node_ids.index(node_id)]

    # The journal of the store

    def admit(self) -> None:
        """Raise WriteRefused where clients may not write."""
        if self.member.stopped:
            raise WriteRefused(
                f"{self.id} {_STOPPED[self.member.stopped]}",
                got="a write to a node that does not run",
                wanted="a master that runs",
                remedy=_REMEDIES[self.member.stopped],
            )
        self.role.admit()
        if self.member.is_disk_full:
            raise DiskFull(
                f"{self.id} cannot keep another write",
                got="a full disk",
                wanted="room for its log",
                remedy="make room, or promote another node",
            )

    @property
    def place(self) -> Origin:
        """The offset that the next operation gets, and for whom it is written."""
        assert isinstance(self.role, MasterRole)
        return self.member.log.head.offset + 1, self.role.clients.writer

    def append(self, operation: Operation, encoded: bytes, place: Origin) -> None:
        """Give an operation its place in history; `flush` sends it."""
        assert isinstance(self.role, MasterRole)
        self.role.append(operation, encoded, place)

    # Roles

    def _come_up(self, is_new: bool) -> None:
        self._is_up = True
        if self.member.is_lost:
            self._switch_role(ReturningRole(self.member, self._follow))
        elif is_new and self.member.slot:
            self._switch_role(self._follow(self.member.node_ids[0], FIRST_EPOCH))
        elif not is_new:
            self._switch_role(self._follow())

    def _switch_role(self, role: Role) -> None:
        self.role.end()
        self.member.role = role
        if isinstance(role, CandidateRole):
            self.promotion = role.promotion
        role.start()

    def _follow(self, master_id: str | None = None, epoch: int = 0) -> Role:
        """A replica; one that was the last to serve stands soon if nobody else does."""
        member = self.member
        has_served = self.log.head.offset > 0 and owner_of(self.log.head.epoch) == member.index
        stands_at_ns = None
        if has_served and master_id is None:
            stands_at_ns = member.now_ns + 2 * member.options.backoff_ms_min * NS_PER_MS
        return ReplicaRole(
            member, self._stand, master_id=master_id, epoch=epoch, stands_at_ns=stands_at_ns
        )

    def _stand(
        self, reason: Reason, *, is_forced: bool = False, max_lag_operations: int | None = None
    ) -> Role:
        limit = (
            self.options.max_lag_operations if max_lag_operations is None else max_lag_operations
        )
        return CandidateRole(
            self.member,
            reason,
            win=lambda promotion: self._serve(promotion.epoch, is_forced=promotion.is_forced),
            give_up=self._follow,
            is_forced=is_forced,
            max_lag_operations=limit,
        )

    def _serve(self, epoch: int, *, is_forced: bool) -> Role:
        return MasterRole(
            self.member, epoch, step_down=self._follow, stand=self._stand, is_forced=is_forced
        )

    # Which indices count

    def _take(self, source: str, message: Message) -> None:
        """Drop what comes from an index that was replaced or retired; learn, durably, of newer.

        A node that answers another must not forget its index after a restart: acks and promises
        of an earlier incarnation would count again.
        """
        member, index = self.member, index_of_sender(message)
        if index is not None:
            if member.known.refuses(index):
                return
            reported = known_of(message)
            self._learn(reported)
            if not self._is_up:
                return  # Its own index was refused.
            if not member.has_kept(reported):
                member.keep_known(partial(self._take_later, source, message))
                return
        answer = _ANSWERS.get(type(message))
        if answer is None:
            self.role.receive(source, message)
        else:
            answer(self, source, message)

    def _take_later(self, source: str, message: Message) -> None:
        if self._is_up:
            self._take(source, message)

    def _learn(self, known: KnownIndices) -> None:
        """Take over what is known of indices, and what follows from it for this node itself."""
        member = self.member
        if not member.learn(known):
            return
        if member.known.refuses(member.index):
            self._forget()
            return
        role = self.role
        is_about_to_sync = isinstance(role, ReplicaRole) and role.state != "installing"
        if member.is_lost and is_about_to_sync and member.unheard:
            # A slot that counted as heard because it was retired has come back. An installation
            # whose write has begun was decided before.
            self._switch_role(ReturningRole(member, self._follow))

    def _forget(self) -> None:
        """Drop the state and speak to nobody before that, and another index, is durable."""
        self.role.end()
        self.member.role = ReturningRole(self.member, self._follow)
        self._is_up = False
        self.member.forget()
        self.member.outbox.after_changes(lambda: self._come_up(is_new=False))

    # Messages that every role answers alike

    def _on_ask_promise(self, source: str, message: AskPromise) -> None:
        member = self.member
        reported = TellPromise(
            message.index, member.index, member.promise, member.is_lost, member.known
        )
        member.outbox.send(source, reported)

    def _on_confirm_epoch(self, source: str, message: ConfirmEpoch) -> None:
        self.role.on_master(source, message.epoch)
        if not self.member.is_lost and self.member.promise <= message.epoch:
            confirmed = EpochConfirmed(message.epoch, message.round, self.member.index)
            self.member.outbox.send(source, confirmed)

    def _on_seek(self, source: str, message: Seek) -> None:
        self.role.on_seek(source, message)

    def _on_start_election(self, source: str, message: StartElection) -> None:
        self.role.on_start_election(message)

    def _on_client(self, source: str, message: ClientRead | ClientWrite) -> None:
        member, role = self.member, self.role
        if isinstance(role, MasterRole):
            role.on_client(source, message)
        elif isinstance(role, ReplicaRole) and isinstance(message, ClientRead):
            if not role.hold(source, message):
                member.outbox.send(source, serve(member, role, message))
        elif isinstance(message, ClientRead):
            member.outbox.send(source, serve(member, role, message))
        else:
            member.outbox.send(source, refused(member, role, message.request, "not_master"))

    def _on_prepare(self, source: str, message: Prepare) -> None:
        """Promise durably, refuse all that is lower from this moment on, and only then answer."""
        member = self.member
        member.heard_epoch = max(member.heard_epoch, message.epoch)
        if member.is_lost or message.epoch < member.promise:
            rejected = Reject(message.epoch, member.index, member.promise, member.is_lost)
            member.outbox.send(source, rejected)
        elif message.epoch > member.promise:
            member.make_promise(message.epoch, lambda: self._answer(source, message.epoch))
            self._switch_role(self._follow())
        elif member.durable_promise == message.epoch:
            self._answer(source, message.epoch)

    def _answer(self, source: str, epoch: int) -> None:
        member = self.member
        if member.promise == epoch and not member.is_lost:
            here = member.flushed
            member.note_offset(member.log.head.offset)
            promised = Promise(epoch, member.index, here.epoch, here.offset, member.heard_offset)
            member.outbox.send(source, promised)

    def _on_announce(self, source: str, message: Announce) -> None:
        member = self.member
        member.heard_epoch = max(member.heard_epoch, message.epoch)
        if message.epoch >= member.promise:
            self.role.on_announce(source, message)
        elif not member.is_lost:
            member.outbox.send(source, Seek(member.index, member.promise))

    # Parts

    def _replica_ids(self) -> list[str]:
        return [peer.id for peer in self.role.peers] if isinstance(self.role, MasterRole) else []

    def _peer(self, node_id: str) -> Peer:
        if isinstance(self.role, MasterRole):
            return self.role.peer(node_id)
        raise WriteRefused(
            f"{self.id} knows nothing of replicas",
            got=f"a {self.role.name}",
            wanted="a master",
            remedy=f"ask {self.role.master_id or 'the master'}",
        )

    def _drain(self) -> list[Effect]:
        self._outbox.close()
        return self._outbox.drain(self.role.due_ns() if self._is_up else None)


_STOPPED: Final = {"paused": "is paused", "crashed": "has crashed"}
_REMEDIES: Final = {
    "paused": "advance the time until the pause is over, or promote another node",
    "crashed": "restart it and take its store anew, or write to cluster.store",
}

_ANSWERS: Final[dict[type, Callable[[Node, str, Any], None]]] = {
    Prepare: Node._on_prepare,
    AskPromise: Node._on_ask_promise,
    ConfirmEpoch: Node._on_confirm_epoch,
    Announce: Node._on_announce,
    Seek: Node._on_seek,
    StartElection: Node._on_start_election,
    ClientRead: Node._on_client,
    ClientWrite: Node._on_client,
}
"""What every role answers alike; all other messages are the role's."""


def first_image(slot: int) -> Image:
    """The disk of a node that a cluster begins with."""
    if slot:
        return Image.of_new_node(index=slot, promise=FIRST_EPOCH)
    return Image.of_first_master(index=slot, epoch=FIRST_EPOCH)
