"""Write concern: how many replicas must have come how far before a write is answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from vectorkit.display import options_table
from vectorkit.errors import InvalidOption

Stage = Literal["received", "flushed", "applied", "visible"]
STAGES: Final[tuple[Stage, ...]] = ("received", "flushed", "applied", "visible")
OnTimeout = Literal["fail", "degrade"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteConcern:
    """A write is confirmed when `count` replicas, and the master itself, have reached `stage`.

    `count` is a number of replicas, "majority" (half of the nodes, rounded down: with the master
    that is more than half) or "all" that are configured, connected or not. With 0, writes are
    answered once the master has them on its own disk. After `timeout_ms` a write that is not
    confirmed fails, which says nothing of whether it will take effect, or is answered as degraded,
    and counted. Raises InvalidOption.

    >>> WriteConcern(count="majority", stage="flushed").replica_count(nodes=5)
    2
    """

    count: int | Literal["majority", "all"] = 0
    stage: Stage = "flushed"
    timeout_ms: int = 5_000
    on_timeout: OnTimeout = "fail"

    def __post_init__(self) -> None:
        """Refuse what no cluster could fulfil."""
        is_number = isinstance(self.count, int) and not isinstance(self.count, bool)
        if not (is_number and int(self.count) >= 0) and self.count not in ("majority", "all"):
            raise InvalidOption(
                "a write concern counts replicas",
                got=f"count={self.count!r}",
                wanted='0 or more, "majority" or "all"',
                remedy='pass count="majority"',
            )
        if self.stage not in STAGES:
            raise InvalidOption(
                "there is no such stage",
                got=f"stage={self.stage!r}",
                wanted=" or ".join(map(repr, STAGES)),
                remedy='pass stage="flushed", which survives a crash',
            )
        if self.on_timeout not in ("fail", "degrade") or self.timeout_ms < 1:
            raise InvalidOption(
                "a write concern must say what happens when it is not met",
                got=f"timeout_ms={self.timeout_ms!r}, on_timeout={self.on_timeout!r}",
                wanted='1 ms or more, and "fail" or "degrade"',
                remedy="leave both out for the defaults",
            )

    def replica_count(self, nodes: int) -> int:
        """How many replicas of a cluster of so many nodes, the master included."""
        if self.count == "majority":
            return nodes // 2
        if self.count == "all":
            return nodes - 1
        return int(self.count)

    def _repr_html_(self) -> str:
        return options_table(self)


def majority(
    *, stage: Stage = "flushed", timeout_ms: int = 5_000, on_timeout: OnTimeout = "fail"
) -> WriteConcern:
    """The concern of more than half of the nodes.

    >>> majority(stage="applied").count
    'majority'
    """
    return WriteConcern(count="majority", stage=stage, timeout_ms=timeout_ms, on_timeout=on_timeout)
