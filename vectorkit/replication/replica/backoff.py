"""Exponential back-off between attempts."""

from __future__ import annotations

from vectorkit.replication.protocol.options import ReplicationOptions
from vectorkit.units import NS_PER_MS


class Backoff:
    """Doubles from `backoff_ms_min` to `backoff_ms_max`; a success resets it.

    >>> backoff = Backoff(ReplicationOptions(), now_ns=0)
    >>> backoff.tried(now_ns=0)
    >>> backoff.tried(now_ns=500_000_000)
    >>> backoff.due_ns, backoff.attempts
    (1500000000, 2)
    """

    def __init__(self, options: ReplicationOptions, now_ns: int) -> None:
        self._options = options
        self.attempts = 0
        self.due_ns = now_ns

    def tried(self, now_ns: int) -> None:
        """One more attempt begins."""
        wait_ms = self._options.backoff_ms_min << min(self.attempts, 16)
        self.attempts += 1
        self.due_ns = now_ns + min(wait_ms, self._options.backoff_ms_max) * NS_PER_MS

    def succeeded(self) -> None:
        """The next wait is the shortest again."""
        self.attempts = 0

    def wait(self, now_ns: int, *, is_hopeless: bool) -> None:
        """The next attempt comes at once, or after the longest wait."""
        wait_ms = self._options.backoff_ms_max if is_hopeless else 0
        self.due_ns = now_ns + wait_ms * NS_PER_MS
