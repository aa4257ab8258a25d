"""What a master keeps of one replica, connected or not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from vectorkit.replication.monitoring.health import ReplicaStatus, status_of
from vectorkit.replication.monitoring.stats import ReplicaInfo
from vectorkit.replication.protocol.log import Position, ReplicationLog
from vectorkit.replication.protocol.messages import (
    Ack,
    Hello,
    ReplicaHeartbeat,
    StartFull,
    StartPartial,
)
from vectorkit.replication.protocol.options import ReplicationOptions, first_wait_ns, longer
from vectorkit.replication.protocol.snapshot_transfer import SnapshotSource
from vectorkit.units import ns_to_ms

Phase = Literal["idle", "full", "partial", "streaming"]
_BEATS_KEPT: Final = 64


@dataclass(slots=True)
class Peer:
    """The last known state of a replica, and of the connection with it while there is one."""

    id: str
    registered_ns: int
    generation: int = 0
    is_open: bool = False
    phase: Phase = "idle"
    has_caught_up: bool = False
    answer: StartPartial | StartFull | None = None
    source: SnapshotSource | None = None
    kept: SnapshotSource | None = None
    """The snapshot of a full sync whose connection was lost: another may go on with it."""
    offered: tuple[int, Position] | None = None
    is_held: bool = False
    """Whether its answer waits until the master's own disk holds the snapshot's position."""
    latest: Ack | None = None
    """The last ack of this connection."""
    counted: Ack | None = None
    """Its last ack of a record of the master's own epoch: all that counts for a write concern."""
    asked_from: int = 0
    asked_until: int = 0
    """The lowest and the highest offset of which it wants to know that they are confirmed."""
    heard_beat: int = 0
    served: set[int] = field(default_factory=set)
    sync_target_offset: int = 0
    sync_reason: str = ""
    sync_attempts: int = 0
    needs_full: str = ""
    sent_offset: int = 0
    received_offset: int = 0
    flushed_offset: int = 0
    applied_offset: int = 0
    visible_offset: int = 0
    epoch: int = 0
    operations_synced: int = 0
    applied_bytes: int = 0
    behind_since_ns: int | None = None
    last_heard_ns: int = 0
    last_heartbeat_ns: int | None = None
    last_heartbeat_sent_ns: int | None = None
    round_trip_ns: int | None = None
    beats_sent_ns: dict[int, int] = field(default_factory=dict)
    digest: str = ""
    resend_at_ns: int | None = None
    resend_wait_ns: int = 0
    resumed_offset: int = 0
    """The last record that was sent again for a gap; it may be in flight until `resumable_ns`."""
    resumable_ns: int = 0
    resume_wait_ns: int = 0

    def close(self) -> None:
        """The connection is over; what is known of the replica stays, and its snapshot pinned."""
        self.is_open = False
        self.phase = "idle"
        self.kept = self.source or self.kept
        self.source = self.answer = self.latest = None
        self.is_held = False
        self.asked_from = self.asked_until = 0
        self.heard_beat = 0
        self.resend_at_ns = None
        self.resumed_offset = 0

    @property
    def is_streaming(self) -> bool:
        """Whether records may be sent."""
        return self.phase in ("partial", "streaming")

    def is_due(self, now_ns: int) -> bool:
        """Whether something was not answered in time."""
        return self.resend_at_ns is not None and now_ns >= self.resend_at_ns

    def is_old(self, ack: Ack) -> bool:
        """Whether a later ack of this connection has overtaken it."""
        if ack.received_offset < self.received_offset:
            return True
        return self.latest is not None and _positions(ack) < _positions(self.latest)

    def count(self, ack: Ack, epoch: int) -> None:
        """Let an ack count if the record that it names is of this epoch."""
        if ack.position.epoch != epoch:
            return
        if self.counted is None or _positions(ack) >= _positions(self.counted):
            self.counted = ack

    def wants_confirmed(self, offset: int) -> None:
        """It waits for the confirmation of an offset."""
        self.asked_from = min(self.asked_from, offset) if self.asked_until else offset
        self.asked_until = max(self.asked_until, offset)

    def has_installed(self, hello: Hello) -> bool:
        """Whether a handshake shows that the snapshot last offered stands, its ack being lost.

        A replica that stood at the snapshot's offset before may not have installed it.
        """
        if self.offered is None or hello.wants:
            return False
        before_offset, snapshot = self.offered
        is_above = hello.position.offset > snapshot.offset > before_offset
        return is_above or (hello.position == snapshot and before_offset < snapshot.offset)

    def take_snapshot_offset(self) -> None:
        """The replica stands at the snapshot at least; that was no streaming."""
        assert self.offered is not None
        offset = self.offered[1].offset
        self.received_offset = self.flushed_offset = offset
        self.applied_offset = self.visible_offset = offset

    def take_positions(self, ack: Ack) -> int:
        """Remember how far the replica has come; the result is the newly applied count."""
        newly_applied = max(0, ack.applied_offset - self.applied_offset)
        self.latest = ack
        self.received_offset = ack.received_offset
        self.flushed_offset = ack.flushed_offset
        self.applied_offset = ack.applied_offset
        self.visible_offset = ack.visible_offset
        self.epoch = ack.position.epoch
        self.sent_offset = max(self.sent_offset, ack.received_offset)
        return newly_applied

    def note_beat_sent(self, beat: int, now_ns: int) -> None:
        """Remember when a heartbeat went out: the answer may come after later ones have."""
        self.last_heartbeat_sent_ns = self.beats_sent_ns[beat] = now_ns
        if len(self.beats_sent_ns) > _BEATS_KEPT:
            del self.beats_sent_ns[next(iter(self.beats_sent_ns))]

    def note_echo(self, message: ReplicaHeartbeat, now_ns: int) -> None:
        """An answered heartbeat tells how long the way there and back takes.

        One that the replica's clock says it held for longer than it was away tells nothing.
        """
        self.last_heartbeat_ns = now_ns
        self.heard_beat = max(self.heard_beat, message.beat)
        self.digest = message.digest or self.digest
        sent_ns = self.beats_sent_ns.get(message.echo_beat)
        if sent_ns is not None and message.echo_held_ns <= now_ns - sent_ns:
            self.round_trip_ns = now_ns - sent_ns - message.echo_held_ns

    def note_lag(self, log: ReplicationLog) -> None:
        """Remember since when the oldest record that it has not applied has existed."""
        applied_offset = self.applied_offset
        if applied_offset >= log.head.offset:
            self.behind_since_ns = None
        elif applied_offset >= log.base.offset:
            self.behind_since_ns = log.entry(applied_offset + 1).appended_ns
        elif self.behind_since_ns is None:
            self.behind_since_ns = log.entry(log.first_offset).appended_ns

    def lag_ns(self, now_ns: int) -> int:
        """The age of the oldest record that it has not confirmed as applied, else 0."""
        return 0 if self.behind_since_ns is None else now_ns - self.behind_since_ns

    def status(self, now_ns: int, options: ReplicationOptions) -> ReplicaStatus:
        """Its health, computed now."""
        last_ns = self.registered_ns if self.last_heartbeat_ns is None else self.last_heartbeat_ns
        return status_of(
            silent_ns=now_ns - last_ns,
            is_syncing=self.phase in ("full", "partial") or not self.has_caught_up,
            lag_ns=self.lag_ns(now_ns),
            options=options,
        )

    def is_active(self, now_ns: int, options: ReplicationOptions) -> bool:
        """Whether it has been heard and is not Disconnected."""
        return (
            self.generation > 0 and self.status(now_ns, options) is not ReplicaStatus.DISCONNECTED
        )

    def restart_resending(self, now_ns: int, options: ReplicationOptions) -> None:
        """There was progress, or something new was sent: wait the shortest time again."""
        self.resend_wait_ns = first_wait_ns(options.resend_after_ms, self.round_trip_ns)
        has_unconfirmed = self.is_streaming and self.sent_offset > self.received_offset
        is_waiting = has_unconfirmed or self.answer is not None
        self.resend_at_ns = now_ns + self.resend_wait_ns if is_waiting else None

    def resend_later(self, now_ns: int, options: ReplicationOptions) -> None:
        """Something was sent again: wait twice as long until the next time."""
        first_ns = first_wait_ns(options.resend_after_ms, self.round_trip_ns)
        self.resend_wait_ns = longer(self.resend_wait_ns, first_ns)
        self.resend_at_ns = now_ns + self.resend_wait_ns

    def may_resume(self, offset: int, now_ns: int) -> bool:
        """Whether no earlier answer for the records behind `offset` can still be in flight."""
        return offset >= self.resumed_offset or now_ns >= self.resumable_ns

    def note_resumed(
        self, offset: int, until: int, now_ns: int, options: ReplicationOptions
    ) -> None:
        """The records behind `offset` up to `until` were sent again."""
        first_ns = first_wait_ns(options.resume_after_ms, self.round_trip_ns)
        is_repeated = offset < self.resumed_offset
        self.resume_wait_ns = longer(self.resume_wait_ns, first_ns) if is_repeated else first_ns
        self.resumed_offset, self.resumable_ns = until, now_ns + self.resume_wait_ns

    def info(self, now_ns: int, log: ReplicationLog, options: ReplicationOptions) -> ReplicaInfo:
        """All of it as a value."""
        progress, source = 1.0, self.source or self.kept
        if source is not None and source.chunk_count:
            progress = len(self.served) / source.chunk_count
        lag_bytes = log.bytes_until(log.head.offset) - self.applied_bytes
        return ReplicaInfo(
            id=self.id,
            host=self.id,
            port=0,
            address=f"{self.id}:0",
            status=self.status(now_ns, options),
            lag_ms=ns_to_ms(self.lag_ns(now_ns)),
            lag_operations=max(0, log.head.offset - self.applied_offset),
            lag_bytes=max(0, lag_bytes),
            last_heartbeat=_ms(self.last_heartbeat_ns),
            last_heartbeat_sent=_ms(self.last_heartbeat_sent_ns),
            round_trip_ms=_ms(self.round_trip_ns),
            operations_synced=self.operations_synced,
            offset=self.applied_offset,
            sent_offset=self.sent_offset,
            received_offset=self.received_offset,
            flushed_offset=self.flushed_offset,
            applied_offset=self.applied_offset,
            visible_offset=self.visible_offset,
            epoch=self.epoch,
            digest=self.digest,
            sync_reason=self.sync_reason,
            sync_attempts=self.sync_attempts,
            sync_progress=progress,
        )


def _positions(ack: Ack) -> tuple[int, int, int, int]:
    """How far a replica has come: within one connection it only grows."""
    return ack.received_offset, ack.flushed_offset, ack.applied_offset, ack.visible_offset


def _ms(ns: int | None) -> float | None:
    return None if ns is None else ns_to_ms(ns)
