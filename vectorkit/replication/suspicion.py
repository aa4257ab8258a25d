"""When a replica stands by itself: a detector's suspicion, or the memory of having served."""

from __future__ import annotations

from typing import Literal

from vectorkit.replication.detectors import Detector
from vectorkit.replication.options import ReplicationOptions
from vectorkit.units import NS_PER_MS


class Suspicion:
    """When a node stands by itself: silence of its master, or none found after a restart.

    `stands_at_ns` is for a node that has served before it restarted; the first master that shows
    itself ends it.
    """

    def __init__(
        self,
        options: ReplicationOptions,
        slot: int,
        now_ns: int,
        stands_at_ns: int | None = None,
    ) -> None:
        self._stands_at_ns = stands_at_ns
        self._wait_ns = 0
        self._detector: Detector | None = None
        failover = options.failover
        if failover is not None:
            self._wait_ns = slot * failover.stagger_ms * NS_PER_MS
            self._detector = failover.new_detector(options.heartbeat_ms, now_ns)

    def heard(self, now_ns: int) -> None:
        """The master has shown that it lives."""
        self._stands_at_ns = None
        if self._detector is not None:
            self._detector.heard(now_ns)

    @property
    def reason(self) -> Literal["silence", "served_last"]:
        """Why it stands: its master is silent, or none has shown itself to one that has served."""
        return "silence" if self._stands_at_ns is None else "served_last"

    @property
    def due_ns(self) -> int | None:
        """When silence from now on is enough; None for never."""
        if self._detector is None:
            return self._stands_at_ns
        suspected_ns = self._detector.suspects_at_ns() + self._wait_ns
        return suspected_ns if self._stands_at_ns is None else min(suspected_ns, self._stands_at_ns)
