"""Snapshots that a master offers: pinned in constant time, shared by all who need the same one."""

from __future__ import annotations

from collections.abc import Iterable

from vectorkit.replication.effects import Noted
from vectorkit.replication.member import Member
from vectorkit.replication.messages import Hello
from vectorkit.replication.peer import Peer
from vectorkit.replication.transfer import SnapshotSource
from vectorkit.replication.wire import wire_size


class Offers:
    """The snapshot that is pinned at present, if any, and the peers that it was offered to."""

    def __init__(self, member: Member, epoch: int) -> None:
        self._member = member
        self._epoch = epoch
        self._source: SnapshotSource | None = None

    def begin(self, peer: Peer, hello: Hello, reason: str) -> None:
        """Begin a full sync with a snapshot at the head.

        The answer is held back until the own disk has all that is in the snapshot: a master that
        loses its tail must not have given it away as the state of an epoch.
        """
        member = self._member
        source = self._pinned()
        peer.phase = "full"
        peer.source = source
        peer.offered = (hello.position.offset, source.position)
        peer.served.clear()
        peer.sync_reason = reason
        peer.sync_attempts += 1
        shared_offset = member.log.shared_offset(hello.position)
        peer.answer = source.header(peer.generation, self._epoch, reason, shared_offset)
        peer.is_held = member.flushed.offset < source.position.offset
        member.counters.snapshot_size = wire_size(peer.answer) + source.chunks_wire_bytes
        member.counters.partial_sync_refusals[reason] += 1

    def release_held(self, peer: Peer) -> None:
        """Send an answer that was held back, if it need be no more."""
        member = self._member
        if not peer.is_held or peer.source is None or peer.answer is None:
            return
        if member.flushed.offset >= peer.source.position.offset:
            peer.is_held = False
            member.outbox.send(peer.id, peer.answer)
            peer.restart_resending(member.now_ns, member.options)

    def let_go(self, peers: Iterable[Peer]) -> None:
        """Unpin the snapshot where none of the peers needs it."""
        if not any(peer.source is self._source for peer in peers):
            self._source = None

    def _pinned(self) -> SnapshotSource:
        member, head = self._member, self._member.log.head
        if self._source is None or self._source.position != head:
            self._source = SnapshotSource(
                member.store.snapshot(),
                head,
                member.store.digest(),
                member.options.chunk_bytes,
                tuple(member.log.epochs),
            )
            given = self._source.digest
            member.outbox.add(Noted("digest", number=head.offset, text=given, kind="snapshot"))
        return self._source
