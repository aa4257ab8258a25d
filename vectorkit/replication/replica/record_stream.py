"""The records of one connection: in order, each once, whatever is lost, doubled or late."""

from __future__ import annotations

from vectorkit.replication.member import Member
from vectorkit.replication.protocol.log import next_hash
from vectorkit.replication.protocol.messages import Records, Resume
from vectorkit.replication.protocol.options import longer
from vectorkit.replication.replica.reorder import ReorderBuffer
from vectorkit.units import NS_PER_MS


class Stream:
    """Holds what came early, takes what is next, and asks for gaps."""

    def __init__(self, member: Member) -> None:
        self._member = member
        self.held = ReorderBuffer(member.options.reorder_window)
        self._sent_offset = 0
        self._gap_since_ns: int | None = None
        self._first_wait_ns = member.options.resume_after_ms * NS_PER_MS
        self._gap_offset = self._gap_wait_ns = 0

    @property
    def gap_ends_ns(self) -> int | None:
        """When a gap has lasted long enough to be asked for."""
        return None if self._gap_since_ns is None else self._gap_since_ns + self._gap_wait_ns

    def restart(self) -> None:
        """Another connection begins where the log ends."""
        self.held.clear()
        self._sent_offset = self._member.received_offset
        self._gap_since_ns = None

    def hold(self, batch: Records) -> None:
        """Keep records until their turn."""
        self.held.hold(batch, self._member.log.head.offset)
        self._sent_offset = max(self._sent_offset, batch.records[-1].offset)

    def take(self) -> bool:
        """Take over all records whose turn has come; False where they are of another history."""
        member = self._member
        while (batch := self.held.next_after(member.log.head.offset)) is not None:
            _, head_offset, running = member.log.head
            fresh = [each for each in batch.records if each.offset > head_offset]
            hashes = [running := next_hash(running, record) for record in fresh]
            if running != batch.hash:
                return False
            member.extend(fresh, hashes)
        self._note_gap()
        return True

    def note_sent(self, offset: int) -> None:
        """The master has sent up to here: what is missing of it may be late, or lost."""
        self._sent_offset = max(self._sent_offset, offset)
        self._note_gap()

    def due(self, generation: int) -> Resume | None:
        """The question for a gap that has lasted long enough; each time after twice the wait."""
        ends_ns = self.gap_ends_ns
        if ends_ns is None or self._member.now_ns < ends_ns:
            return None
        held_offset = self.held.first_offset
        until_offset = self._sent_offset if held_offset is None else held_offset - 1
        self._gap_since_ns = self._member.now_ns
        self._gap_wait_ns = longer(self._gap_wait_ns, self._first_wait_ns)
        return Resume(generation, self._member.received_offset, until_offset)

    def _note_gap(self) -> None:
        head_offset = self._member.log.head.offset
        if head_offset >= self._sent_offset:
            self._gap_since_ns = None
        elif self._gap_since_ns is None or head_offset != self._gap_offset:
            self._gap_since_ns, self._gap_offset = self._member.now_ns, head_offset
            self._gap_wait_ns = self._first_wait_ns
