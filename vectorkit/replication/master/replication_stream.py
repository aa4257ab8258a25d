"""Records on their way from a master to its replicas: a window each, sent again until confirmed."""

from __future__ import annotations

from itertools import takewhile

from vectorkit.replication.master.peer import Peer
from vectorkit.replication.member import Member
from vectorkit.replication.protocol.log import Entry, within
from vectorkit.replication.protocol.messages import Records


class Sender:
    """Stream the log to peers. Methods return False if the log lacks records that a peer needs."""

    def __init__(self, member: Member) -> None:
        self._member = member

    def send_window(self, peer: Peer) -> bool:
        """Send what the window lets through."""
        log, options = self._member.log, self._member.options
        if not peer.is_streaming or peer.sent_offset >= log.head.offset:
            return True
        if peer.received_offset < log.base.offset:
            return False
        was_idle = peer.sent_offset == peer.received_offset
        room_bytes = options.window_bytes
        if not was_idle:
            room_bytes -= log.bytes_until(peer.sent_offset) - log.bytes_until(peer.received_offset)
        entries = within(log.since(peer.sent_offset), room_bytes, is_first_free=was_idle)
        if entries:
            peer.sent_offset = entries[-1].record.offset
            self._send(peer, entries)
            if was_idle:
                peer.restart_resending(self._member.now_ns, options)
        return True

    def send_again(self, peer: Peer, offset: int, until_offset: int) -> bool:
        """Send the records of a gap, unless an earlier answer can still bring them."""
        log, options, now_ns = self._member.log, self._member.options, self._member.now_ns
        if not peer.is_streaming or not peer.may_resume(offset, now_ns):
            return True
        offset = max(offset, peer.received_offset)  # The question may be older than that.
        if offset < log.base.offset:
            return False
        last_offset = min(until_offset, peer.sent_offset)
        wanted = takewhile(lambda each: each.record.offset <= last_offset, log.since(offset))
        entries = within(wanted, options.window_bytes, is_first_free=True)
        if entries:
            peer.note_resumed(offset, entries[-1].record.offset, now_ns, options)
            self._send(peer, entries)
        return True

    def probe(self, peer: Peer) -> bool:
        """Send the answer or the first unconfirmed batch again, each time after twice the wait."""
        member = self._member
        log, options = member.log, member.options
        if peer.answer is not None:
            member.outbox.send(peer.id, peer.answer)
        elif peer.received_offset < log.base.offset:
            return False
        else:
            unconfirmed = log.since(peer.received_offset)
            first = within(unconfirmed, options.batch_bytes, is_first_free=True)
            self._send(peer, first)
        peer.resend_later(member.now_ns, options)
        return True

    def _send(self, peer: Peer, entries: list[Entry]) -> None:
        """One message for each batch."""
        while entries:
            batch = entries
            if len(entries) > 1:
                batch = within(entries, self._member.options.batch_bytes, is_first_free=True)
            records = tuple([entry.record for entry in batch])
            message = Records(peer.generation, records, batch[-1].hash)
            self._member.outbox.send(peer.id, message)
            entries = entries[len(batch) :]
