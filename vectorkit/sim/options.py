"""Every knob of a simulated cluster, in frozen records with harmless defaults."""

from __future__ import annotations

from dataclasses import dataclass, field

from vectorkit.errors import InvalidOption
from vectorkit.replication import ReplicationOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """How messages travel from a node to another: each takes `delay_ms` + up to `jitter_ms` more.

    The jitter is uniform, so messages overtake each other where it exceeds the time between them.
    `loss` is the chance in [0, 1] that a message never arrives.

    >>> Link(delay_ms=2, loss=0.01)
    Link(delay_ms=2, jitter_ms=0.0, loss=0.01)
    """

    delay_ms: float = 2.0
    jitter_ms: float = 0.0
    loss: float = 0.0

    def __post_init__(self) -> None:
        """Refuse times before now and chances outside of [0, 1]."""
        _refuse_negative("delay_ms", self.delay_ms)
        _refuse_negative("jitter_ms", self.jitter_ms)
        if not 0 <= self.loss <= 1:
            raise InvalidOption(
                "a chance is out of its range",
                got=f"loss={self.loss}",
                wanted="0 to 1",
                remedy="pass a fraction, 0.01 for one in a hundred",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterOptions:
    """A master, "node-0", and its replicas "node-1" …, with one kind of link between them.

    >>> ClusterOptions(replicas=2).node_ids
    ('node-0', 'node-1', 'node-2')
    """

    replicas: int = 3
    link: Link = field(default_factory=Link)
    replication: ReplicationOptions = field(default_factory=ReplicationOptions)
    sample_every_ms: float = 250.0
    """How often health is sampled."""
    event_count_max: int = 20_000_000
    """A run of more events stops with LimitReached."""

    def __post_init__(self) -> None:
        """Refuse clusters that cannot be."""
        if not isinstance(self.replicas, int) or not 0 <= self.replicas <= 99:
            raise InvalidOption(
                "a cluster cannot have this many replicas",
                got=f"replicas={self.replicas!r}",
                wanted="an integer from 0 to 99",
                remedy="simulate fewer nodes",
            )
        if not 0 < self.sample_every_ms < float("inf") or self.event_count_max < 1:
            raise InvalidOption(
                "sampling and limits must be positive",
                got=f"sample_every_ms={self.sample_every_ms}, "
                f"event_count_max={self.event_count_max}",
                wanted="both above 0, and finite",
                remedy="leave them out for the defaults",
            )

    @property
    def node_ids(self) -> tuple[str, ...]:
        """Names for life: the master first, then the replicas."""
        return tuple(f"node-{index}" for index in range(self.replicas + 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A live load: rows of `source` are there at the start, then `writes_per_s` updates a second.

    `source` names vectors: "glove:50000" for so many real words, "uniform:2000x16" for so many
    rows of so many drawn numbers. Each write moves one row, drawn uniformly, towards another.

    >>> Workload(writes_per_s=100, source="uniform:2000x16").collection
    'uniform'
    """

    writes_per_s: float = 100.0
    source: str = "uniform:2000x16"
    metric: str = "cosine"

    def __post_init__(self) -> None:
        """Refuse loads that cannot be."""
        _refuse_negative("writes_per_s", self.writes_per_s)

    @property
    def collection(self) -> str:
        """The name of the collection that it writes to."""
        return self.source.partition(":")[0]


def _refuse_negative(name: str, value: float) -> None:
    if not 0 <= value < float("inf"):
        raise InvalidOption(
            "an option is out of its range",
            got=f"{name}={value}",
            wanted=f"{name} of 0 or more, and finite",
            remedy="leave it out for the default",
        )
