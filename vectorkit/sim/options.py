"""Every knob of a simulated cluster, in frozen records with harmless defaults."""

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
    """How messages travel from one endpoint to another: each takes `delay_ms` and its jitter.

    The jitter's `law` is "uniform" (up to `jitter_ms`), "exponential" (`jitter_ms` is its mean),
    "lognormal" (its median, spread by `sigma`), or one of `sample_ms`, all equally likely. So
    messages overtake each other, unless `is_fifo` makes a faster one wait. `loss` is the chance
    in [0, 1] that a message never arrives, `duplication` that a copy arrives too, after a delay of
    its own, `corruption` that a bit of a chunk is flipped. At `mib_per_s` (0 is without limit)
    messages go out one by one, and all others before chunks of snapshots.

    >>> Link(delay_ms=2, jitter_ms=1, law="exponential", loss=0.01).typical_ms
    3
    """

    delay_ms: float = 2.0
    jitter_ms: float = 0.0
    loss: float = 0.0
    law: Law = "uniform"
    sigma: float = 0.5
    sample_ms: tuple[float, ...] = ()
    is_fifo: bool = False
    duplication: float = 0.0
    corruption: float = 0.0
    mib_per_s: float = 0.0

    def __post_init__(self) -> None:
        """Refuse times before now, chances outside of [0, 1], and laws that contradict."""
        for name in ("delay_ms", "jitter_ms", "sigma", "mib_per_s"):
            check_not_negative(name, getattr(self, name))
        for name in ("loss", "duplication", "corruption"):
            check_probability(name, getattr(self, name))
        object.__setattr__(self, "sample_ms", tuple(self.sample_ms))
        for each in self.sample_ms:
            check_not_negative("sample_ms", each)
        if self.law not in LAWS or (self.sample_ms and self.jitter_ms):
            raise InvalidOption(
                "a link has one law of latency",
                got=f"law={self.law!r}, jitter_ms={self.jitter_ms}, sample_ms={self.sample_ms}",
                wanted=f"{' or '.join(map(repr, LAWS))}, and either jitter_ms or sample_ms",
                remedy="leave one of them out",
            )

    @property
    def typical_ms(self) -> float:
        """The time of a message under no unusual draw."""
        ordered = sorted(self.sample_ms)
        return self.delay_ms + (ordered[len(ordered) // 2] if ordered else self.jitter_ms)

    def _repr_html_(self) -> str:
        return options_table(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """How long a node's disk takes: each write `fsync_ms`, and its bytes at `mib_per_s`.

    0 MiB/s stands for a disk whose bytes take no time. What comes while a write is under way
    waits and is written together.

    >>> Disk(fsync_ms=5)
    Disk(fsync_ms=5, mib_per_s=0.0)
    """

    fsync_ms: float = 0.5
    mib_per_s: float = 0.0

    def __post_init__(self) -> None:
        """Refuse times and speeds below zero."""
        check_not_negative("fsync_ms", self.fsync_ms)
        check_not_negative("mib_per_s", self.mib_per_s)

    def _repr_html_(self) -> str:
        return options_table(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterOptions:
    """A master, "node-0", and its replicas "node-1" …, with one kind of link between them.

    `links` has exceptions: {("node-0", "node-1"): Link(…)} is the way from the one to the other.
    `disk=None` is a cluster without durable logs: a node that restarts has lost its state.
    `write_concern` and `failover` are those of `replication`, for short.

    >>> ClusterOptions(replicas=2).node_ids
    ('node-0', 'node-1', 'node-2')
    """

    replicas: int = 3
    link: Link = field(default_factory=Link)
    links: Mapping[tuple[str, str], Link] = field(default_factory=dict, hash=False)
    disk: Disk | None = field(default_factory=Disk)
    replication: ReplicationOptions = field(default_factory=ReplicationOptions)
    write_concern: WriteConcern | None = None
    failover: Failover | None = None
    sample_every_ms: float = 250.0
    """How often health is sampled."""
    recall_every_ms: float = 0.0
    """How often the answers of replicas are compared with their master's; 0 for never."""
    event_count_max: int = 20_000_000
    """A run of more events stops with LimitReached."""

    def __post_init__(self) -> None:
        """Refuse clusters that cannot be."""
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
                "sampling and limits must be positive",
                got=f"sample_every_ms={self.sample_every_ms}, "
                f"event_count_max={self.event_count_max}",
                wanted="both above 0, and finite",
                remedy="leave them out for the defaults",
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
                    "there is no such link",
                    got=f"links has {ends!r}",
                    wanted="(source, target), two different nodes or clients of the cluster",
                    remedy='pass links={("node-0", "node-1"): Link(…)}',
                )

    @property
    def protocol(self) -> ReplicationOptions:
        """The options that every node of the cluster has."""
        return replace(
            self.replication,
            has_durable_log=self.replication.has_durable_log and self.disk is not None,
            write_concern=self.write_concern or self.replication.write_concern,
            failover=self.failover or self.replication.failover,
        )

    @property
    def node_ids(self) -> tuple[str, ...]:
        """Names for life: the master first, then the replicas."""
        return tuple(f"node-{index}" for index in range(self.replicas + 1))

    def __repr__(self) -> str:
        return short_repr(self)

    def _repr_html_(self) -> str:
        return options_table(self)
