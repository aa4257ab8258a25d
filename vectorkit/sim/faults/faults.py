"""Faults are data: frozen records of what breaks, when, for how long, and how badly.

What they do to a cluster is in `inject`. Faults may overlap: they add up, and end independently.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, Literal

from vectorkit.display import options_table
from vectorkit.errors import InvalidOption
from vectorkit.records import check_not_negative, check_probability, to_plain
from vectorkit.replication.protocol.messages import MESSAGE_NAMES

CURRENT_MASTER: Final = "CURRENT_MASTER"
"""Stands for the node that serves the highest epoch when a fault begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that breaks at `at_ms`.

    >>> isinstance(Pause(at_ms=1_000, for_ms=500, node="node-1"), Fault)
    True
    """

    at_ms: float

    def __post_init__(self) -> None:
        """Refuse what cannot happen."""
        for each in fields(self):
            value = getattr(self, each.name)
            if each.name == "node" and (not isinstance(value, str) or not value):
                raise _refused(self, f"node={value!r}", "a node id", 'pass node="node-1"')
            if each.name.endswith("_ms") and (value is not None or each.name == "at_ms"):
                check_not_negative(each.name, value)
        if getattr(self, "for_ms", None) == 0:
            raise _refused(self, "for_ms=0", "for_ms above 0", "let it last")
        self._check()

    def _check(self) -> None:
        """Refuse what contradicts itself."""

    @property
    def until_ms(self) -> float | None:
        """When it ends; None where it is over at once, or lasts until the faults end."""
        for_ms: float | None = getattr(self, "for_ms", None)
        return None if for_ms is None else self.at_ms + for_ms

    @property
    def names(self) -> tuple[str, ...]:
        """All endpoints that it names, as it names them."""
        named = (getattr(self, name, None) for name in ("node", "source", "target"))
        return tuple(name for name in named if name is not None)

    def to_dict(self) -> dict[str, Any]:
        """The fault as plain values: its kind, and all that differs from the defaults."""
        return {"kind": type(self).__name__, **to_plain(self)}

    def _repr_html_(self) -> str:
        return options_table(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class LastingFault(Fault):
    """Something that lasts for `for_ms`; None: until all faults end."""

    for_ms: float | None = None


# The network


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition(LastingFault):
    """Parts of the cluster hear nothing of each other.

    Pass `isolate` for nodes (or clients) cut off from all others as one group, `groups` for
    several such groups (whoever is in none is in one more), or a `shape` over all nodes: in a
    "ring" each hears its two neighbours only, a "bridge" is two halves joined by the node between.

    >>> Partition(at_ms=2_000, for_ms=3_000, isolate=["node-2"]).until_ms
    5000
    """

    isolate: Sequence[str] = ()
    groups: Sequence[Sequence[str]] = ()
    shape: Literal["", "ring", "bridge"] = ""

    def _check(self) -> None:
        given = [name for name in ("isolate", "groups", "shape") if getattr(self, name)]
        lists = [self.isolate, *self.groups]
        are_lists = all(isinstance(each, Sequence) and not isinstance(each, str) for each in lists)
        if len(given) != 1 or not are_lists or self.shape not in ("", "ring", "bridge"):
            raise _refused(
                self,
                f"isolate={self.isolate!r}, groups={self.groups!r}, shape={self.shape!r}",
                'a list of node ids, a list of such lists, or "ring" or "bridge"',
                'pass isolate=["node-2"]',
            )
        object.__setattr__(self, "isolate", tuple(self.isolate))
        object.__setattr__(self, "groups", tuple(map(tuple, self.groups)))
        names = self.names
        if not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
            raise _refused(
                self, ", ".join(map(repr, names)), "node ids, each once", "name each once"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """All endpoints that it names, as it names them."""
        return (*self.isolate, *(name for group in self.groups for name in group))


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkFault(LastingFault):
    """Something that befalls the ways from `source` to `target`; None stands for all."""

    source: str | None = None
    target: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut(LinkFault):
    """Nothing gets from the source to the target; the way back stays.

    >>> Cut(at_ms=0, for_ms=500, source="node-0", target="node-1").names
    ('node-0', 'node-1')
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Clog(LinkFault):
    """The ways hold everything that would arrive, then release it all at once, in order.

    >>> Clog(at_ms=0, for_ms=500, target="node-1").until_ms
    500
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Block(LinkFault):
    """Messages of one type are lost, by its name in `replication.messages`.

    >>> Block(at_ms=0, for_ms=500, message="Records").message
    'Records'
    """

    message: str

    def _check(self) -> None:
        if self.message not in MESSAGE_NAMES:
            wanted = ", ".join(MESSAGE_NAMES)
            raise _refused(self, f"message={self.message!r}", wanted, "name one of them")


@dataclass(frozen=True, slots=True, kw_only=True)
class Degrade(LinkFault):
    """The ways become worse: what is given here is added to what the links have.

    >>> Degrade(at_ms=0, for_ms=500, loss=0.2).loss
    0.2
    """

    delay_ms: float = 0.0
    loss: float = 0.0
    duplication: float = 0.0
    corruption: float = 0.0

    def _check(self) -> None:
        for name in ("loss", "duplication", "corruption"):
            check_probability(name, getattr(self, name))


# Nodes


@dataclass(frozen=True, slots=True, kw_only=True)
class Crash(LastingFault):
    """A node loses its memory, and starts again after `for_ms`; None: when all faults end.

    `lose_unsynced`: records that its disk had not confirmed are lost; else some of them may have
    got there, the last of them torn. `lose_disk`: its disk is lost, too.

    >>> Crash(at_ms=6_000, for_ms=1_500, node=CURRENT_MASTER).node
    'CURRENT_MASTER'
    """

    node: str
    lose_unsynced: bool = True
    lose_disk: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart(Fault):
    """A node that is down starts now, whatever was to start it later.

    >>> Restart(at_ms=6_000, node="node-1").until_ms is None
    True
    """

    node: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause(LastingFault):
    """A node stands still, its state is kept; messages, timers and its disk's answers wait.

    >>> Pause(at_ms=100, for_ms=50, node="node-1").until_ms
    150
    """

    node: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowCpu(LastingFault):
    """Whatever a node does takes it `step_ms` more, and what comes meanwhile waits.

    >>> SlowCpu(at_ms=100, for_ms=50, node="node-1", step_ms=0.5).step_ms
    0.5
    """

    node: str
    step_ms: float


# Disks


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowDisk(LastingFault):
    """Each write to a node's disk takes `factor` times as long.

    >>> SlowDisk(at_ms=100, for_ms=50, node="node-1", factor=100).factor
    100
    """

    node: str
    factor: float

    def _check(self) -> None:
        check_not_negative("factor", self.factor)


@dataclass(frozen=True, slots=True, kw_only=True)
class StalledDisk(LastingFault):
    """A node's disk begins no write.

    >>> StalledDisk(at_ms=100, for_ms=50, node="node-1").until_ms
    150
    """

    node: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FullDisk(LastingFault):
    """A node's disk has no room: it begins no write, and a master refuses writes with DiskFull.

    >>> FullDisk(at_ms=100, for_ms=50, node="node-0").until_ms
    150
    """

    node: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FlipBit(Fault):
    """A bit on a node's disk turns: in the record at `offset`, or for 0 in its checkpoint.

    −1 is the last record on the disk, −2 the one before. The node notices when it starts again.

    >>> FlipBit(at_ms=100, node="node-1").offset
    -1
    """

    node: str
    offset: int = -1


# Clocks


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockOffset(Fault):
    """A node's clock is ahead by `offset_ms`, or behind where that is negative, from the start on.

    >>> ClockOffset(node="node-1", offset_ms=-259_200_000).at_ms
    0.0
    """

    at_ms: float = 0.0
    node: str
    offset_ms: float

    def __post_init__(self) -> None:
        """Refuse a change of a clock that has been looked at."""
        check_not_negative("offset_ms", abs(self.offset_ms))
        if self.at_ms:
            raise _refused(
                self, f"at_ms={self.at_ms}", "0", "use ClockJump or ClockDrift for later changes"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockDrift(LastingFault):
    """A node's clock gains `ppm` microseconds a second, or loses them where it is negative.

    >>> ClockDrift(at_ms=0, for_ms=60_000, node="node-1", ppm=200).ppm
    200
    """

    node: str
    ppm: int

    def _check(self) -> None:
        if not isinstance(self.ppm, int) or not -900_000 <= self.ppm <= 1_000_000:
            raise _refused(
                self, f"ppm={self.ppm!r}", "a whole number from −900,000 to 1,000,000", "drift less"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockJump(Fault):
    """A node's monotonic clock leaps forward by `by_ms`; it never goes back.

    >>> ClockJump(at_ms=100, node="node-1", by_ms=60_000).by_ms
    60000
    """

    node: str
    by_ms: float


# What an operator does


@dataclass(frozen=True, slots=True, kw_only=True)
class Promote(Fault):
    """An operator makes a node master, by the one path; `force` goes on with few answers.

    >>> Promote(at_ms=6_000, node="node-1").force
    False
    """

    node: str
    force: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Replace(Fault):
    """An operator gives a node up for good, and puts an empty machine in its place.

    Its index is retired: the nodes that run refuse it from now on. `target` names the one node
    that hears the command; None: all of them. The new machine starts when something restarts it,
    without state.

    >>> Replace(at_ms=6_000, node="node-1").node
    'node-1'
    """

    node: str
    target: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Retire(Fault):
    """The command of the last `Replace` of a node again, late or repeated.

    `target` names the one node that hears it; None: all that run. It names the machine that was
    replaced, so it does no harm to the new one. Without a replacement before it does nothing.

    >>> Retire(at_ms=9_000, node="node-1", target="node-2").names
    ('node-1', 'node-2')
    """

    node: str
    target: str | None = None


def _refused(fault: Fault, got: str, wanted: str, remedy: str) -> InvalidOption:
    problem = f"a {type(fault).__name__} cannot be like this"
    return InvalidOption(problem, got=got, wanted=wanted, remedy=remedy)
