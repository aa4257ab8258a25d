"""Snapshots that a master offers: pinned in constant time, shared by all who need the same one."""

from __future__ import annotations

from collections.abc import Iterable

from vectorkit.replication.master.peer import Peer
from vectorkit.replication.member import Member
from vectorkit.replication.protocol.effects import Noted
from vectorkit.replication.protocol.messages import Hello
from vectorkit.replication.protocol.snapshot_transfer import SnapshotSource
from vectorkit.replication.protocol.wire import wire_size
from vectorkit.units import NS_PER_MS


class Offers:
    """The snapshot that is pinned at present, if any, and the peers that it was offered to."""

    def __init__(self, member: Member, epoch: int) -> None:
        self._member = member
        self._epoch = epoch
        self._source: SnapshotSource | None = None

    def begin(self, peer: Peer, hello: Hello, reason: str) -> None:
        """Begin a full sync with a snapshot at the head, or go on with the one that it was lost in.

        The answer is held back until the own disk has all that is in the snapshot: a master that
        loses its tail must not have given it away as the state of an epoch.
        """
        member = self._member
        source, peer.kept = peer.kept, None
        if source is None:
            source = self._pinned()
            peer.served.clear()
        peer.phase = "full"
        peer.source = source
        peer.offered = (hello.position.offset, source.position)
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

    def release(self, peers: Iterable[Peer]) -> None:
        """Unpin the snapshot where none of the peers needs it."""
        if not any(self._source in (peer.source, peer.kept) for peer in peers):
            self._source = None

    def expire(self, peers: Iterable[Peer]) -> None:
        """Unpin what is kept for replicas that have been silent for too long to come back soon.

        Too long is when a replica counts as Disconnected, and when even the longest back-off
        between two handshakes is over.
        """
        options, everybody = self._member.options, list(peers)
        longest_ms = options.connection_timeout_ms + options.backoff_ms_max
        silence_ns = max(options.disconnected_after_ms, longest_ms) * NS_PER_MS
        for peer in everybody:
            if peer.kept is not None and self._member.now_ns - peer.last_heard_ns > silence_ns:
                peer.kept = None
                self.release(everybody)

    def resumable(self, kept: SnapshotSource | None, hello: Hello) -> SnapshotSource | None:
        """The snapshot of which a replica has chunks, if a sync with it still leads anywhere.

        The log must hold all that follows it, and it must not lie below what the replica has.
        """
        if kept is None or hello.resumes != kept.position.offset:
            return None
        there, here = kept.position, hello.position
        is_below = (there.epoch, there.offset) < (here.epoch, here.offset)
        return None if is_below or there.offset < self._member.log.base.offset else kept

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
