"""Every knob of the protocol, in one frozen record with harmless defaults."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Final, Literal

from vectorkit.display import options_table
from vectorkit.errors import InvalidOption
from vectorkit.records import short_repr
from vectorkit.replication.protocol.failure_detectors import Failover
from vectorkit.replication.protocol.write_concern import WriteConcern
from vectorkit.units import KIB, MIB, NS_PER_MS

_LONGEST: Final = 8
_LOWEST: Final = {"refresh_ms": 0, "ack_delay_ms": 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicationOptions:
    """How master and replicas treat each other. Times are milliseconds, sizes are bytes.

    Raises InvalidOption for a time or size below 1 and for values that contradict each other.

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
    """The first unconfirmed records, or an unanswered request, are sent again after this, or after
    two round trips if that is longer; then after twice the wait each time, up to eight times."""
    resume_after_ms: int = 50
    """A replica with a gap in its records asks for them after this, since they may be late; then
    after twice the wait each time, up to eight times. A master that has answered for a record waits
    for this, or for two round trips if that is longer, before it answers for it again."""
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
    has_durable_log: bool = True
    """Whether nodes have disks. Without them a node that restarts has lost its state."""
    checkpoint_operations: int = 10_000
    """How many operations a restart replays at most, about: then a checkpoint is written."""
    write_concern: WriteConcern = field(default_factory=WriteConcern)
    ack_delay_ms: int = 0
    """How long a replica waits for more to confirm before it confirms; 0 confirms at once."""
    refresh_ms: int = 0
    """How often the rows that readers see are renewed; 0 shows what is applied at once."""
    failover: Failover | None = None
    """Whether replicas stand for mastership by themselves; None leaves it to an operator."""
    quorum: Literal["safe", "none"] = "safe"
    """ "none" lets a candidate go on with the answers it has got when it would give up: with it,
    acknowledged writes may be lost."""
    stand_timeout_ms: int = 2_000
    """A candidate without enough answers gives up after this."""
    max_lag_operations: int | None = None
    """A node further behind the highest offset that anybody has heard of is not promoted."""

    def __post_init__(self) -> None:
        """Refuse values that no cluster could run with."""
        for each in fields(self):
            value = getattr(self, each.name)
            is_whole = isinstance(value, int) and not isinstance(value, bool)
            if each.type == "int" and not (is_whole and value >= _LOWEST.get(each.name, 1)):
                raise InvalidOption(
                    f"{each.name} is out of its range",
                    got=repr(value),
                    wanted=f"an integer of {_LOWEST.get(each.name, 1)} or more",
                    remedy="leave it out for the default",
                )
        self._check_choices()
        self._check_order("heartbeat_ms", "connection_timeout_ms", times=2)
        self._check_order("connection_timeout_ms", "disconnected_after_ms")
        self._check_order("backoff_ms_min", "backoff_ms_max")
        self._check_order("batch_bytes", "window_bytes")
        self._check_deadline()

    def _check_choices(self) -> None:
        if self.quorum not in ("safe", "none"):
            raise InvalidOption(
                "there is no such quorum",
                got=f"quorum={self.quorum!r}",
                wanted='"safe" or "none"',
                remedy='use "safe": acknowledged writes stay',
            )
        limit = self.max_lag_operations
        if limit is not None and (not isinstance(limit, int) or limit < 0):
            raise InvalidOption(
                "max_lag_operations is out of its range",
                got=repr(limit),
                wanted="None, or an integer of 0 or more",
                remedy="leave it out to promote whatever the lag",
            )
        asks_for_disks = self.write_concern.stage == "flushed" and self.write_concern.count != 0
        if asks_for_disks and not self.has_durable_log:
            raise InvalidOption(
                "nothing is flushed without durable logs",
                got='stage="flushed", has_durable_log=False',
                wanted='another stage: "received", "applied" or "visible"',
                remedy="give the nodes disks, or ask for less",
            )

    def _check_deadline(self) -> None:
        failover = self.failover
        if failover is None or failover.detector != "deadline" or failover.allow_short_deadline:
            return
        if failover.deadline_ms < 2 * self.heartbeat_ms:
            raise InvalidOption(
                "this deadline is so short that live masters are deposed",
                got=f"deadline_ms={failover.deadline_ms}, heartbeat_ms={self.heartbeat_ms}",
                wanted="deadline_ms of 2 × heartbeat_ms or more",
                remedy="raise deadline_ms or lower heartbeat_ms; "
                "Failover(allow_short_deadline=True) allows it",
            )

    def _check_order(self, small: str, large: str, *, times: int = 1) -> None:
        if times * getattr(self, small) > getattr(self, large):
            factor = f"{times} × " if times > 1 else ""
            raise InvalidOption(
                "two options contradict each other",
                got=f"{small}={getattr(self, small)}, {large}={getattr(self, large)}",
                wanted=f"{factor}{small} ≤ {large}",
                remedy="change one of them",
            )

    def __repr__(self) -> str:
        return short_repr(self)

    def _repr_html_(self) -> str:
        return options_table(self)


def first_wait_ns(least_ms: int, round_trip_ns: int | None) -> int:
    """Return how long to wait for an answer before asking or sending again for the first time.

    On a slow link the round trip holds the time that messages wait behind others. A shorter wait
    would put copies on the link faster than it drains, without end: a congestion collapse
    (RFC 896; the remedy follows RFC 6298).

    >>> first_wait_ns(200, None), first_wait_ns(200, 300_000_000)
    (200000000, 600000000)
    """
    return max(least_ms * NS_PER_MS, 2 * (round_trip_ns or 0))


def longer(wait_ns: int, first_ns: int) -> int:
    """Twice the wait before asking or sending again, up to eight times the first.

    Without a bound the mean wait is infinite where half of the round trips are lost.

    >>> longer(200, first_ns=200), longer(1_600, first_ns=200)
    (400, 1600)
    """
    return min(2 * wait_ns, _LONGEST * first_ns)
