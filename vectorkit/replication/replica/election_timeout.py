"""Election timeout: when a replica starts an election by itself."""

from __future__ import annotations

from typing import Literal

from vectorkit.replication.member import Member
from vectorkit.replication.protocol.failure_detectors import Detector
from vectorkit.replication.protocol.options import ReplicationOptions
from vectorkit.units import NS_PER_MS


class Suspicion:
    """Decide when a node starts an election: on silence, or without a master after a restart.

    `stands_at_ns` applies to a node that served before it restarted, until a master contacts it.
    After each failed election the node doubles its back-off, up to `stand_timeout_ms`. Otherwise,
    with suspicion faster than an election, candidates would interrupt each other without end.
    """

    def __init__(self, member: Member, stands_at_ns: int | None = None) -> None:
        self._member = member
        options = member.options
        self._wait_ns = _pause_ns(member.failed_elections, options)
        self._stands_at_ns = None if stands_at_ns is None else stands_at_ns + self._wait_ns
        self._detector: Detector | None = None
        failover = options.failover
        if failover is not None:
            self._wait_ns += member.slot * failover.stagger_ms * NS_PER_MS
            self._detector = failover.new_detector(options.heartbeat_ms, member.now_ns)

    def heard(self, now_ns: int, *, is_beat: bool = False) -> None:
        """Reset the timeout after a message of the master; `is_beat`: it was a heartbeat."""
        self._stands_at_ns = None
        self._member.failed_elections = 0
        if self._detector is not None:
            self._detector.heard(now_ns, is_beat=is_beat)

    @property
    def reason(self) -> Literal["silence", "served_last"]:
        """Why the node starts an election: silence, or no master though it served last."""
        return "silence" if self._stands_at_ns is None else "served_last"

    @property
    def due_ns(self) -> int | None:
        """When the node starts an election if silence continues; None for never."""
        if self._detector is None:
            return self._stands_at_ns
        suspected_ns = self._detector.suspects_at_ns() + self._wait_ns
        return suspected_ns if self._stands_at_ns is None else min(suspected_ns, self._stands_at_ns)


def _pause_ns(failed_elections: int, options: ReplicationOptions) -> int:
    """Doubles with each failed election, from `backoff_ms_min` to `stand_timeout_ms`."""
    if not failed_elections:
        return 0
    pause_ms = options.backoff_ms_min << min(failed_elections - 1, 16)
    return min(pause_ms, options.stand_timeout_ms) * NS_PER_MS
