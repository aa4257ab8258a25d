"""Options of a simulated cluster, as frozen records."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from vectorkit.display import options_table
from vectorkit.errors import InvalidOption
from vectorkit.records import check_not_negative, check_probability, check_type, short_repr
from vectorkit.replication import Failover, ReplicationOptions, WriteConcern

Law = Literal["uniform", "exponential", "lognormal"]
LAWS: Final[tuple[Law, ...]] = ("uniform", "exponential", "lognormal")
_CLIENT: Final = re.compile(r"client-(0|[1-9]\d*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """Describe the link from one endpoint to another: latency, faults and bandwidth.

    A message takes `delay_ms` plus a random jitter, so messages can overtake each other.

    Raises:
        InvalidOption: a time is negative, a probability is outside of [0, 1], or `jitter_ms` and
            `sample_ms` are both given.

    >>> Link(delay_ms=2, jitter_ms=1, law="exponential", loss=0.01).typical_ms
    3
    """

    delay_ms: float = 2.0
    """The fixed part of the latency."""
    jitter_ms: float = 0.0
    """Scale of the random part: see `law`."""
    loss: float = 0.0
    """Probability that a message never arrives."""
    law: Law = "uniform"
    """Distribution of the jitter: "uniform" from 0 to `jitter_ms`, "exponential" with the mean
    `jitter_ms`, or "lognormal" with the median `jitter_ms`."""
    sigma: float = 0.5
    """Spread of the "lognormal" law."""
    sample_ms: tuple[float, ...] = ()
    """Measured jitters, each equally likely; they replace `law` and `jitter_ms`."""
    is_fifo: bool = False
    """Whether messages arrive in the order in which they were sent: a faster one waits."""
    duplication: float = 0.0
    """Probability that a second copy arrives, with its own delay."""
    corruption: float = 0.0
    """Probability that one bit of a snapshot chunk is flipped."""
    mib_per_s: float = 0.0
    """Bandwidth; 0 for no limit. The link sends one message at a time, snapshot chunks last."""

    def __post_init__(self) -> None:
        for name in ("delay_ms", "jitter_ms", "sigma", "mib_per_s"):
            check_not_negative(name, getattr(self, name))
        for name in ("loss", "duplication", "corruption"):
            check_probability(name, getattr(self, name))
        object.__setattr__(self, "sample_ms", tuple(self.sample_ms))
        for each in self.sample_ms:
            check_not_negative("sample_ms", each)
        if self.law not in LAWS or (self.sample_ms and self.jitter_ms):
            raise InvalidOption(
                "a link must have exactly one latency distribution",
                got=f"law={self.law!r}, jitter_ms={self.jitter_ms}, sample_ms={self.sample_ms}",
                wanted=f"{' or '.join(map(repr, LAWS))}, and either jitter_ms or sample_ms",
                remedy="leave out jitter_ms or sample_ms",
            )

    @property
    def typical_ms(self) -> float:
        """Typical latency in ms: `delay_ms` plus `jitter_ms`, or plus the median of `sample_ms`."""
        ordered = sorted(self.sample_ms)
        return self.delay_ms + (ordered[len(ordered) // 2] if ordered else self.jitter_ms)

    def _repr_html_(self) -> str:
        return options_table(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """Describe a node's disk. Records that arrive during a write wait and share the next one.

    Raises:
        InvalidOption: a value is negative.

    >>> Disk(fsync_ms=5)
    Disk(fsync_ms=5, mib_per_s=0.0)
    """

    fsync_ms: float = 0.5
    """Fixed time of each write, in ms."""
    mib_per_s: float = 0.0
    """Bandwidth; 0 for no limit."""

    def __post_init__(self) -> None:
        check_not_negative("fsync_ms", self.fsync_ms)
        check_not_negative("mib_per_s", self.mib_per_s)

    def _repr_html_(self) -> str:
        return options_table(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterOptions:
    """Describe a cluster: the master "node-0" and its replicas "node-1", "node-2", ….

    Raises:
        InvalidOption: a value is invalid, a write concern needs more replicas than there are, or a
            link is so slow that no handshake can succeed.

    >>> ClusterOptions(replicas=2).node_ids
    ('node-0', 'node-1', 'node-2')
    """

    replicas: int = 3
    """Number of replicas, from 0 to 99."""
    link: Link = field(default_factory=Link)
    """The link between every two endpoints that `links` does not name."""
    links: Mapping[tuple[str, str], Link] = field(default_factory=dict, hash=False)
    """Links by (source, target), for one direction each: {("node-0", "node-1"): Link(…)}."""
    disk: Disk | None = field(default_factory=Disk)
    """The disk of each node; None for no durable logs: a node that restarts has lost its state."""
    replication: ReplicationOptions = field(default_factory=ReplicationOptions)
    write_concern: WriteConcern | None = None
    """Replaces `replication.write_concern`; None to keep it."""
    failover: Failover | None = None
    """Replaces `replication.failover`; None to keep it."""
    sample_every_ms: float = 250.0
    """Interval between samples of health."""
    recall_every_ms: float = 0.0
    """Interval between comparisons of the replicas' answers with the master's; 0 for none."""
    event_count_max: int = 20_000_000
    """A run with more events stops with LimitReached."""

    def __post_init__(self) -> None:
        check_type("link", self.link, Link)
        check_type("replication", self.replication, ReplicationOptions)
        if self.disk is not None:
            check_type("disk", self.disk, Disk)
        check_not_negative("sample_every_ms", self.sample_every_ms)
        check_not_negative("recall_every_ms", self.recall_every_ms)
        if not isinstance(self.replicas, int) or not 0 <= self.replicas <= 99:
            raise InvalidOption(
                "a cluster cannot have this many replicas",
                got=f"replicas={self.replicas!r}",
                wanted="an integer from 0 to 99",
                remedy="pass a whole number in this range",
            )
        if self.sample_every_ms == 0 or self.event_count_max < 1:
            raise InvalidOption(
                "sample_every_ms and event_count_max must be positive",
                got=f"sample_every_ms={self.sample_every_ms}, "
                f"event_count_max={self.event_count_max}",
                wanted="both above 0, and finite",
                remedy="pass positive values, or omit both for the defaults",
            )
        self._check_write_concern()
        self._check_links()
        round_trip_ms = 2 * max(each.typical_ms for each in (self.link, *self.links.values()))
        patience_ms = min(self.replication.connection_timeout_ms, self.replication.backoff_ms_max)
        if round_trip_ms >= patience_ms:
            raise InvalidOption(
                "no handshake can succeed on a link this slow",
                got=f"a round trip of {round_trip_ms} ms, patience of {patience_ms} ms",
                wanted="2 × (delay_ms + jitter_ms) below connection_timeout_ms and backoff_ms_max",
                remedy="make the link faster, or those options of ReplicationOptions larger",
            )

    def _check_write_concern(self) -> None:
        asked = self.protocol.write_concern.replica_count(self.replicas + 1)
        if asked > self.replicas:
            raise InvalidOption(
                "a write concern asks for more replicas than there are",
                got=f"count={asked}, replicas={self.replicas}",
                wanted=f"at most {self.replicas}",
                remedy='pass count="majority", or more replicas',
            )

    def _check_links(self) -> None:
        check_type("links", self.links, Mapping)
        for ends, link in self.links.items():
            check_type(f"links[{ends!r}]", link, Link)
            known = [name for name in ends if name in self.node_ids or _CLIENT.fullmatch(name)]
            if len(ends) != 2 or len(set(known)) != 2:
                raise InvalidOption(
                    "a link has invalid endpoints",
                    got=f"links has {ends!r}",
                    wanted="(source, target), two different nodes or clients of the cluster",
                    remedy='pass links={("node-0", "node-1"): Link(…)}',
                )

    @property
    def protocol(self) -> ReplicationOptions:
        """The replication options of every node, with `write_concern` and `failover` applied."""
        return replace(
            self.replication,
            has_durable_log=self.replication.has_durable_log and self.disk is not None,
            write_concern=self.write_concern or self.replication.write_concern,
            failover=self.failover or self.replication.failover,
        )

    @property
    def node_ids(self) -> tuple[str, ...]:
        """Node ids, fixed for the whole run: the first master, then its replicas."""
        return tuple(f"node-{index}" for index in range(self.replicas + 1))

    def __repr__(self) -> str:
        return short_repr(self)

    def _repr_html_(self) -> str:
        return options_table(self)
