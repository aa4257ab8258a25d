"""Options of the replication protocol, as one frozen record."""

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
    """Configure the protocol of a cluster. Times are in milliseconds, sizes in bytes.

    Raises:
        InvalidOption: a value is out of its range, or values contradict each other.

    >>> ReplicationOptions(heartbeat_ms=500).disconnected_after_ms
    60000
    """

    heartbeat_ms: int = 1_000
    """Interval between heartbeats, in both directions."""
    disconnected_after_ms: int = 60_000
    """A replica that is silent for longer has the status Disconnected."""
    lagging_above_ms: int = 1_000
    """A replica whose lag is greater than this has the status Lagging."""
    connection_timeout_ms: int = 5_000
    """A connection that is silent for this long ends, and the replica connects again."""
    backoff_ms_min: int = 500
    backoff_ms_max: int = 30_000
    """The wait between handshakes doubles from `backoff_ms_min` to `backoff_ms_max`."""
    resend_after_ms: int = 200
    """The first unconfirmed records, or an unanswered request, are sent again after this, or after
    two round trips if that is longer. The wait doubles each time, up to eight times the first."""
    resume_after_ms: int = 50
    """A replica requests missing records after this time, since they may only be late. The wait
    doubles each time, up to eight times the first. A master that has resent a record waits for this
    time, or two round trips if longer, before it resends that record on request again."""
    batch_bytes: int = 64 * KIB
    """Maximum size of the records in one message; a single record may be larger."""
    window_bytes: int = 1 * MIB
    """Maximum size of the records in flight to one replica, sent but not confirmed."""
    reorder_window: int = 8_192
    """Maximum operations that a replica holds beyond a gap; a whole window should fit."""
    chunk_bytes: int = 64 * KIB
    """Size of the chunks of a snapshot."""
    chunk_window: int = 8
    """Maximum chunks that a replica has requested at a time."""
    sync_attempts_max: int = 5
    """After this many failed full syncs a replica waits `backoff_ms_max` between them."""
    log_capacity_operations: int = 1_000_000
    log_capacity_bytes: int = 256 * MIB
    """The log keeps the latest operations within both bounds and truncates the rest."""
    has_durable_log: bool = True
    """Whether nodes have disks. Without disks a node that restarts has lost its state."""
    checkpoint_operations: int = 10_000
    """Operations between checkpoints: about the most that a restart replays."""
    write_concern: WriteConcern = field(default_factory=WriteConcern)
    ack_delay_ms: int = 0
    """How long a replica delays an acknowledgement to combine several; 0 for no delay."""
    refresh_ms: int = 0
    """Interval after which readers see newly applied rows; 0 for immediately."""
    failover: Failover | None = None
    """When replicas start an election by themselves; None: only an operator promotes."""
    quorum: Literal["safe", "none"] = "safe"
    """With "none" a candidate whose time is over proceeds with the answers it has; this may lose
    acknowledged writes."""
    stand_timeout_ms: int = 2_000
    """Time after which a candidate without a quorum gives up."""
    max_lag_operations: int | None = None
    """Largest accepted lag of a new master, in operations behind the highest known offset."""

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            is_whole = isinstance(value, int) and not isinstance(value, bool)
            if each.type == "int" and not (is_whole and value >= _LOWEST.get(each.name, 1)):
                raise InvalidOption(
                    f"{each.name} is out of its range",
                    got=repr(value),
                    wanted=f"an integer of {_LOWEST.get(each.name, 1)} or more",
                    remedy="omit it to use the default",
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
                remedy='use "safe" to keep acknowledged writes',
            )
        limit = self.max_lag_operations
        if limit is not None and (not isinstance(limit, int) or limit < 0):
            raise InvalidOption(
                "max_lag_operations is out of its range",
                got=repr(limit),
                wanted="None, or an integer of 0 or more",
                remedy="pass None to promote a node with any lag",
            )
        asks_for_disks = self.write_concern.stage == "flushed" and self.write_concern.count != 0
        if asks_for_disks and not self.has_durable_log:
            raise InvalidOption(
                "nothing is flushed without durable logs",
                got='stage="flushed", has_durable_log=False',
                wanted='another stage: "received", "applied" or "visible"',
                remedy="give the nodes disks, or pass another stage",
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
                remedy=f"lower {small} or raise {large}",
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
    """Return twice the wait before the next resend, at most eight times the first wait.

    Without a bound the mean wait is infinite where half of the round trips are lost.

    >>> longer(200, first_ns=200), longer(1_600, first_ns=200)
    (400, 1600)
    """
    return min(2 * wait_ns, _LONGEST * first_ns)
