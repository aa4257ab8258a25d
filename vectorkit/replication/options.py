"""Every knob of the protocol, in one frozen record with harmless defaults."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

from vectorkit.errors import InvalidOption
from vectorkit.units import KIB, MIB, NS_PER_MS

_LONGEST: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicationOptions:
    """How master and replicas treat each other. Times are milliseconds, sizes are bytes.

    Raises InvalidOption for a value below 1 and for values that contradict each other.

    >>> ReplicationOptions(heartbeat_ms=500).disconnected_after_ms
    60000
    """

    heartbeat_ms: int = 1_000
    """How often each side tells the other that it lives."""
    disconnected_after_ms: int = 60_000
    """A replica silent for longer counts as Disconnected."""
    lagging_above_ms: int = 1_000
    """A lag above this, not at it, counts as Lagging."""
    connection_timeout_ms: int = 5_000
    """A connection silent for so long is over: the replica connects anew."""
    backoff_ms_min: int = 500
    backoff_ms_max: int = 30_000
    """The wait between handshakes doubles from the one to the other."""
    resend_after_ms: int = 200
    """The first unconfirmed records, or an unanswered request, are sent again after this, then
    after twice the wait each time, up to eight times."""
    resume_after_ms: int = 50
    """A replica with a gap in its records asks for them after this, since they may be late; then
    after twice the wait each time, up to eight times."""
    batch_bytes: int = 64 * KIB
    """One message carries records up to this size, or a single larger one."""
    window_bytes: int = 1 * MIB
    """Records on their way to a replica that it has not confirmed, at most."""
    reorder_window: int = 8_192
    """How many operations beyond a gap a replica holds; those of a whole window should fit."""
    chunk_bytes: int = 64 * KIB
    """A snapshot travels in pieces of this size."""
    chunk_window: int = 8
    """How many pieces a replica has asked for at a time."""
    sync_attempts_max: int = 5
    """After so many full syncs in vain a replica waits the longest back-off between them."""
    log_capacity_operations: int = 1_000_000
    log_capacity_bytes: int = 256 * MIB
    """The log holds the latest operations within both bounds."""

    def __post_init__(self) -> None:
        """Refuse values that no cluster could run with."""
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise InvalidOption(
                    f"{field.name} is out of its range",
                    got=repr(value),
                    wanted="an integer of 1 or more",
                    remedy="leave it out for the default",
                )
        self._refuse_order("heartbeat_ms", "connection_timeout_ms", times=2)
        self._refuse_order("connection_timeout_ms", "disconnected_after_ms")
        self._refuse_order("backoff_ms_min", "backoff_ms_max")
        self._refuse_order("batch_bytes", "window_bytes")

    def _refuse_order(self, small: str, large: str, *, times: int = 1) -> None:
        if times * getattr(self, small) > getattr(self, large):
            factor = f"{times} × " if times > 1 else ""
            raise InvalidOption(
                "two options contradict each other",
                got=f"{small}={getattr(self, small)}, {large}={getattr(self, large)}",
                wanted=f"{factor}{small} ≤ {large}",
                remedy="change one of them",
            )


def longer(wait_ns: int, first_ms: int) -> int:
    """Twice the wait before asking or sending again, up to eight times the first.

    Without a bound the mean wait is infinite where half of the round trips are lost.

    >>> longer(200_000_000, first_ms=200), longer(1_600_000_000, first_ms=200)
    (400000000, 1600000000)
    """
    return min(2 * wait_ns, _LONGEST * first_ms * NS_PER_MS)
