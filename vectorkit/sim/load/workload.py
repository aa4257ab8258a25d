"""The workload of a cluster: clients and their requests, as data."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from vectorkit.collections.factory import config_of
from vectorkit.collections.validation import check_metric
from vectorkit.display import options_table
from vectorkit.errors import InvalidOption
from vectorkit.records import check_choice, check_not_negative, check_range, check_type, short_repr
from vectorkit.replication.reads import proves_reads
from vectorkit.replication.routing import POLICIES, Policy
from vectorkit.sim.load.distributions import KEY_LAWS, KeyLaw
from vectorkit.sim.options import ClusterOptions

CLIENTS_MAX: Final = 500

_DATA_SETS: Final = "glove|fashion_mnist|patches|minilm"
_SOURCE: Final = re.compile(rf"(?:{_DATA_SETS}):[1-9]\d*|uniform:[1-9]\d*x[1-9]\d*")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRequest:
    """Plan one request of a client, at a fixed time.

    The row and the written values depend on the seed, the client, `is_read` and `index` only.

    Raises:
        InvalidOption: a value is out of its range.

    >>> PlannedRequest(at_ms=250, client="client-1", is_read=True, index=3).client
    'client-1'
    """

    at_ms: float
    """Virtual time of the request."""
    client: str = "client-0"
    is_read: bool = False
    index: int = 0
    """Index among the writes, or among the reads, of this client, from 0."""

    def __post_init__(self) -> None:
        check_not_negative("at_ms", self.at_ms)
        check_type("client", self.client, str)
        check_choice("is_read", self.is_read, (True, False))
        check_range("index", self.index, 0, 1 << 40)

    def _repr_html_(self) -> str:
        return options_table(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Describe independent clients "client-0", "client-1", … of one collection.

    Request i of a client depends on the seed, the client and i only, so adding a client leaves the
    requests of all others unchanged. No client repeats a request.

    Raises:
        InvalidOption: a value is invalid, or two `requests` have the same client, kind and index.

    >>> Workload(writes_per_s=100, source="uniform:2000x16").collection
    'uniform'
    """

    writes_per_s: float = 100.0
    reads_per_s: float = 0.0
    """Rates of each client, per virtual second; in a closed loop only their ratio counts."""
    source: str = "uniform:2000x16"
    """Data set and number of rows: "glove:50000", "minilm:…", "fashion_mnist:…" or "patches:…" for
    real vectors, or "uniform:2000x16" for 2,000 random rows of 16 numbers."""
    metric: str = "cosine"
    kind: str = "cpu"
    codec: str | None = None
    """Metric, kind and, if the kind is quantized, codec of the collection."""
    preload: int | None = None
    """Number of rows in the collection at the start; None for all."""
    keys: KeyLaw = "uniform"
    """Distribution of the rows over requests: equal, skewed to the first rows, or in order."""
    zipf_exponent: float = 1.0
    insert_share: float = 0.0
    delete_share: float = 0.0
    """Fractions of the writes that upsert a whole row and that delete one. The rest update a row;
    the store refuses an update of a missing row."""
    moves_vectors: bool = True
    """Whether an update moves the vector, from its first value a quarter of the way towards that of
    another row; else it changes the payload only."""
    payload_bytes: int = 0
    """Bytes added to the payload of each write; its field "w" holds the request number."""
    clients: int = 1
    loop: Literal["open", "closed"] = "open"
    """Open: requests start at their rates. Closed: each starts `think_ms` after the last ended."""
    arrivals: Literal["fixed", "exponential"] = "fixed"
    """Distribution of the time between requests of an open loop."""
    think_ms: float = 10.0
    read_policy: Policy = "master"
    bound_ms: int = 1_000
    """Maximum staleness of a read under the policy "bounded_staleness"."""
    client_timeout_ms: int = 10_000
    """Time after which a client abandons an unanswered request: its outcome is unknown."""
    avoid_ms: int = 5_000
    """How long a client routes reads around a node that left a request unanswered."""
    requests: Sequence[PlannedRequest] | None = None
    """The complete list of requests, with their times; None to generate them by `loop`. With a list
    the rates, `loop`, `arrivals` and `think_ms` have no effect."""

    def __post_init__(self) -> None:
        for name in ("writes_per_s", "reads_per_s", "zipf_exponent", "think_ms"):
            check_not_negative(name, getattr(self, name))
        for name in ("insert_share", "delete_share"):
            check_not_negative(name, getattr(self, name))
        if self.insert_share + self.delete_share > 1:
            raise InvalidOption(
                "insert_share and delete_share exceed 1 together",
                got=f"insert_share={self.insert_share}, delete_share={self.delete_share}",
                wanted="a sum of at most 1",
                remedy="pass fractions, 0.1 for one write in ten",
            )
        check_metric(self.metric)
        if not isinstance(self.source, str) or not _SOURCE.fullmatch(self.source):
            raise InvalidOption(
                "there is no such source of vectors",
                got=f"source={self.source!r}",
                wanted='"glove:50000", "uniform:2000x16", or minilm, fashion_mnist or patches '
                "with a number of rows",
                remedy="name the data and how many rows of it",
            )
        config_of(self.kind, 8, self.metric, codec=self.codec)
        check_range("clients", self.clients, 1, CLIENTS_MAX)
        check_range("payload_bytes", self.payload_bytes, 0, 1 << 24)
        if self.preload is not None:
            check_range("preload", self.preload, 0, self.row_count)
        for name in ("bound_ms", "client_timeout_ms", "avoid_ms"):
            check_range(name, getattr(self, name), 1, 1 << 40)
        check_choice("keys", self.keys, KEY_LAWS)
        check_choice("loop", self.loop, ("open", "closed"))
        check_choice("arrivals", self.arrivals, ("fixed", "exponential"))
        check_choice("read_policy", self.read_policy, POLICIES)
        check_choice("moves_vectors", self.moves_vectors, (True, False))
        if self.requests is not None:
            object.__setattr__(self, "requests", self._check_requests(self.requests))

    @property
    def collection(self) -> str:
        """Name of the collection that the clients use."""
        return self.source.partition(":")[0]

    @property
    def row_count(self) -> int:
        """Number of rows of the source."""
        return int(self.source.partition(":")[2].partition("x")[0])

    @property
    def client_ids(self) -> tuple[str, ...]:
        """Ids of the clients on the network."""
        return tuple(f"client-{number}" for number in range(self.clients))

    def __repr__(self) -> str:
        return short_repr(self)

    def _repr_html_(self) -> str:
        return options_table(self)

    def _check_requests(self, requests: object) -> tuple[PlannedRequest, ...]:
        if not isinstance(requests, Sequence) or not all(
            type(x) is PlannedRequest for x in requests
        ):
            raise InvalidOption(
                "requests must be a list of PlannedRequest",
                got=f"requests={requests!r}",
                wanted="a list of sim.PlannedRequest(…)",
                remedy="pass requests=[sim.PlannedRequest(at_ms=250)], or None",
            )
        counts = Counter((each.client, each.is_read, each.index) for each in requests)
        for each in requests:
            if each.client not in self.client_ids:
                raise InvalidOption(
                    "a request names an unknown client",
                    got=f"{each}",
                    wanted=f"client-0 to client-{self.clients - 1}",
                    remedy="pass more clients, or name another",
                )
            if counts[each.client, each.is_read, each.index] > 1:
                raise InvalidOption(
                    "two requests have the same index",
                    got=f"{each}, and another with this index",
                    wanted="each index once for the writes of a client, and once for its reads",
                    remedy="give one of them another index",
                )
        return tuple(requests)


def check_read_policy(workload: Workload, options: ClusterOptions) -> None:
    """Raise InvalidOption if the workload reads linearizably and the cluster cannot prove it."""
    protocol = options.protocol
    if workload.read_policy == "linearizable" and not proves_reads(protocol, options.replicas + 1):
        concern = protocol.write_concern
        raise InvalidOption(
            "this cluster cannot prove a read linearizable",
            got=f"read_policy='linearizable', {concern}",
            wanted="a write concern of one replica or more, flushed or later, and durable logs",
            remedy="pass write_concern=sim.majority(), or another read_policy",
        )
