"""What a replica can know of its master: how far its log is, and since when itself is equal."""

from __future__ import annotations

from typing import Final

from vectorkit.replication.member import Member
from vectorkit.replication.protocol.messages import MasterHeartbeat
from vectorkit.units import NS_PER_MS

_FRESH_BEATS: Final = 2
"""The head that a master names, in a heartbeat or a handshake, is news for so many intervals."""
_BEATS_KEPT: Final = 64


class Knowledge:
    """Heads that were named, heartbeats that went both ways, and what follows from them."""

    def __init__(self, member: Member) -> None:
        self._member = member
        self._worth_ns = _FRESH_BEATS * member.options.heartbeat_ms * NS_PER_MS
        self.known_head = 0
        self.last_equal_ns: int | None = None
        self.beat = self.heard_beat = 0
        self._beats_sent_ns: dict[int, int] = {}
        self._heard_beat_ns: int | None = None
        self._named_head_ns: int | None = None
        self._fresh_as_of_ns: int | None = None
        self._fresh_once: tuple[int, int] | None = None

    @property
    def held_ns(self) -> int:
        """How long ago the last heartbeat of the master came."""
        return 0 if self._heard_beat_ns is None else self._member.now_ns - self._heard_beat_ns

    def name_head(self, offset: int) -> None:
        """The master's log reaches at least here."""
        self.known_head = max(self.known_head, offset)
        self._member.note_offset(offset)

    def connected(self) -> None:
        """A handshake has named the head."""
        self._named_head_ns = self._member.now_ns

    def next_beat(self) -> int:
        """The number of the heartbeat that is sent now."""
        self.beat += 1
        self._beats_sent_ns[self.beat] = self._member.now_ns
        if len(self._beats_sent_ns) > _BEATS_KEPT:
            del self._beats_sent_ns[next(iter(self._beats_sent_ns))]
        return self.beat

    def hear(self, message: MasterHeartbeat) -> None:
        """A heartbeat names the head, and which of this node's heartbeats had come by then."""
        self._heard_beat_ns = self._named_head_ns = self._member.now_ns
        self.heard_beat = message.beat
        self.name_head(message.head_offset)
        asked_ns = self._beats_sent_ns.get(message.echo_beat)
        if asked_ns is not None:
            self._fresh_once = message.head_offset, asked_ns
        self.note_freshness()

    def note_freshness(self) -> None:
        """Readers may see more: what the head that was named last says of this node's age."""
        if self._fresh_once is not None and self._member.visible_offset >= self._fresh_once[0]:
            asked_ns = self._fresh_once[1]  # A clock may show any time, also one below 0.
            if self._fresh_as_of_ns is None or asked_ns > self._fresh_as_of_ns:
                self._fresh_as_of_ns = asked_ns
            self._fresh_once = None

    def forget_freshness(self) -> None:
        """Another master is followed: how fresh this node was says nothing of its history."""
        self._beats_sent_ns.clear()
        self._fresh_as_of_ns = self._fresh_once = None

    def note_equality(self, *, is_following: bool) -> None:
        """Remember now as a time of equality, if it is one."""
        if self.is_equal(self._member.now_ns, is_following=is_following):
            self.last_equal_ns = self._member.equal_ns = self._member.now_ns

    def is_equal(self, now_ns: int, *, is_following: bool) -> bool:
        """Whether everything that the master has named, a short time ago at most, is applied."""
        if not is_following or self._named_head_ns is None:
            return False
        if self._member.applied.offset < self.known_head:
            return False
        return now_ns - self._named_head_ns < self._worth_ns

    def lag_ns(self, now_ns: int, *, is_following: bool) -> int:
        """0 while it knows itself equal, else the time since it last did, or came up."""
        if self.is_equal(now_ns, is_following=is_following):
            return 0
        return now_ns - self._member.equal_ns

    def staleness_ns(self, now_ns: int) -> int | None:
        """A bound that holds: readers see all that the master had appended. None: unknown.

        A heartbeat that answers one of this node's names a head no older than when that one was
        sent, by this node's own clock.
        """
        return None if self._fresh_as_of_ns is None else now_ns - self._fresh_as_of_ns
