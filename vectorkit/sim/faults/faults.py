"""Faults as data: frozen records of the kind, start, duration and severity.

`inject` applies them to a cluster. Overlapping faults add up and end independently.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, Literal, TypeVar, dataclass_transform

from vectorkit.display import options_table
from vectorkit.errors import InvalidOption
from vectorkit.records import check_not_negative, check_probability, to_plain
from vectorkit.replication.protocol.messages import MESSAGE_NAMES

CURRENT_MASTER: Final = "CURRENT_MASTER"
"""Placeholder for the node that serves the highest epoch when the fault begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Base class of all faults; each begins at `at_ms`, in virtual ms.

    Raises:
        InvalidOption: a value is out of its range, or values contradict each other.

    >>> isinstance(Pause(at_ms=1_000, for_ms=500, node="node-1"), Fault)
    True
    """

    at_ms: float

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if each.name == "node" and (not isinstance(value, str) or not value):
                raise _refused(self, f"node={value!r}", "a node id", 'pass node="node-1"')
            if each.name.endswith("_ms") and (value is not None or each.name == "at_ms"):
                check_not_negative(each.name, value)
        if getattr(self, "for_ms", None) == 0:
            raise _refused(self, "for_ms=0", "for_ms above 0", "pass a positive for_ms")
        self._check()

    def _check(self) -> None:
        """Raise InvalidOption if the values contradict each other."""

    @property
    def until_ms(self) -> float | None:
        """Its end in virtual ms; None if it is instantaneous or lasts until all faults end."""
        for_ms: float | None = getattr(self, "for_ms", None)
        return None if for_ms is None else self.at_ms + for_ms

    @property
    def names(self) -> tuple[str, ...]:
        """All endpoints that it names, placeholders included."""
        named = (getattr(self, name, None) for name in ("node", "source", "target"))
        return tuple(name for name in named if name is not None)

    def to_dict(self) -> dict[str, Any]:
        """Return its kind and all values that differ from the defaults."""
        return {"kind": type(self).__name__, **to_plain(self)}

    def _repr_html_(self) -> str:
        return options_table(self)


FAULTS: Final[dict[str, type[Fault]]] = {}
"""Every kind of fault, by name, in the order of definition."""

T = TypeVar("T", bound=Fault)


@dataclass_transform(frozen_default=True, kw_only_default=True)
def _kind(kind: type[T]) -> type[T]:
    """Make a frozen record of a class, and a kind of fault that files and reports know."""
    made = dataclass(frozen=True, slots=True, kw_only=True)(kind)
    FAULTS[made.__name__] = made
    return made


@dataclass(frozen=True, slots=True, kw_only=True)
class LastingFault(Fault):
    """A fault that lasts for `for_ms` milliseconds; None: until all faults end."""

    for_ms: float | None = None


# The network


@_kind
class Partition(LastingFault):
    """Partition the network: no message passes between the parts.

    Args:
        isolate: nodes or clients that form one group, apart from all others.
        groups: several such groups; all endpoints that they do not name form one more.
        shape: a partition of all nodes: in a "ring" each node reaches its two neighbours only; a
            "bridge" is two halves that only the middle node connects.

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
        """All endpoints that it names, placeholders included."""
        return (*self.isolate, *(name for group in self.groups for name in group))


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkFault(LastingFault):
    """A fault of the links from `source` to `target`; None stands for all endpoints."""

    source: str | None = None
    target: str | None = None


@_kind
class Cut(LinkFault):
    """Drop every message from source to target; the reverse direction still works.

    >>> Cut(at_ms=0, for_ms=500, source="node-0", target="node-1").names
    ('node-0', 'node-1')
    """


@_kind
class Clog(LinkFault):
    """Hold every message until the fault ends, then deliver all at once, in order.

    >>> Clog(at_ms=0, for_ms=500, target="node-1").until_ms
    500
    """


@_kind
class Block(LinkFault):
    """Drop messages of one type, given by its class name in `replication.protocol.messages`.

    >>> Block(at_ms=0, for_ms=500, message="Records").message
    'Records'
    """

    message: str

    def _check(self) -> None:
        if self.message not in MESSAGE_NAMES:
            wanted = ", ".join(MESSAGE_NAMES)
            raise _refused(self, f"message={self.message!r}", wanted, "name one of them")


@_kind
class Degrade(LinkFault):
    """Degrade links: add the values below to those of the links.

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


@_kind
class Crash(LastingFault):
    """Crash a node: it loses its memory and restarts after `for_ms`; None: when all faults end.

    Args:
        lose_unsynced: lose all records that the disk had not confirmed; else some of them may
            survive, the last one torn.
        lose_disk: lose the disk, too.

    >>> Crash(at_ms=6_000, for_ms=1_500, node=CURRENT_MASTER).node
    'CURRENT_MASTER'
    """

    node: str
    lose_unsynced: bool = True
    lose_disk: bool = False


@_kind
class Restart(Fault):
    """Start a node that is down, also one with a later planned restart.

    >>> Restart(at_ms=6_000, node="node-1").until_ms is None
    True
    """

    node: str


@_kind
class Pause(LastingFault):
    """Pause a node. It keeps its state; messages, timers and disk completions wait.

    >>> Pause(at_ms=100, for_ms=50, node="node-1").until_ms
    150
    """

    node: str


@_kind
class SlowCpu(LastingFault):
    """Slow a node down: each step takes `step_ms` longer, and events meanwhile wait.

    >>> SlowCpu(at_ms=100, for_ms=50, node="node-1", step_ms=0.5).step_ms
    0.5
    """

    node: str
    step_ms: float


# Disks


@_kind
class SlowDisk(LastingFault):
    """Slow a disk down: each write takes `factor` times as long.

    >>> SlowDisk(at_ms=100, for_ms=50, node="node-1", factor=100).factor
    100
    """

    node: str
    factor: float

    def _check(self) -> None:
        check_not_negative("factor", self.factor)


@_kind
class StalledDisk(LastingFault):
    """Stall a disk: it begins no write.

    >>> StalledDisk(at_ms=100, for_ms=50, node="node-1").until_ms
    150
    """

    node: str


@_kind
class FullDisk(LastingFault):
    """Fill a disk: it begins no write, and a master refuses writes with DiskFull.

    >>> FullDisk(at_ms=100, for_ms=50, node="node-0").until_ms
    150
    """

    node: str


@_kind
class FlipBit(Fault):
    """Flip a bit on a node's disk, in the record at `offset`, or in the checkpoint for offset 0.

    −1 is the last record on the disk, −2 the one before. The node detects it at its next start.

    >>> FlipBit(at_ms=100, node="node-1").offset
    -1
    """

    node: str
    offset: int = -1


# Clocks


@_kind
class ClockOffset(Fault):
    """Set a node's clock ahead by `offset_ms` from the start, or behind if it is negative.

    >>> ClockOffset(node="node-1", offset_ms=-259_200_000).at_ms
    0.0
    """

    at_ms: float = 0.0
    node: str
    offset_ms: float

    def __post_init__(self) -> None:
        check_not_negative("offset_ms", abs(self.offset_ms))
        if self.at_ms:
            raise _refused(
                self, f"at_ms={self.at_ms}", "0", "use ClockJump or ClockDrift for later changes"
            )


@_kind
class ClockDrift(LastingFault):
    """Let a clock gain `ppm` microseconds per second, or lose them if it is negative.

    >>> ClockDrift(at_ms=0, for_ms=60_000, node="node-1", ppm=200).ppm
    200
    """

    node: str
    ppm: int

    def _check(self) -> None:
        if not isinstance(self.ppm, int) or not -900_000 <= self.ppm <= 1_000_000:
            raise _refused(
                self,
                f"ppm={self.ppm!r}",
                "a whole number from −900,000 to 1,000,000",
                "pass a smaller ppm",
            )


@_kind
class ClockJump(Fault):
    """Move a node's monotonic clock forward by `by_ms`, once.

    >>> ClockJump(at_ms=100, node="node-1", by_ms=60_000).by_ms
    60000
    """

    node: str
    by_ms: float


# What an operator does


@_kind
class Promote(Fault):
    """Promote a node through a normal election, as an operator does.

    `force=True` proceeds without a quorum and may lose acknowledged writes.

    >>> Promote(at_ms=6_000, node="node-1").force
    False
    """

    node: str
    force: bool = False


@_kind
class Replace(Fault):
    """Replace a node's machine by an empty one, as an operator does.

    The command retires the index of the old machine: running nodes refuse it from now on. `target`
    is the only node that receives the command; None: all of them. The new machine has no state and
    starts at the next restart of the node.

    >>> Replace(at_ms=6_000, node="node-1").node
    'node-1'
    """

    node: str
    target: str | None = None


@_kind
class Retire(Fault):
    """Send the retire command of a node's last `Replace` again, late or repeated.

    `target` is the only node that receives it; None: all that run. The command names the replaced
    machine, so it does not affect the new one. Without an earlier Replace it does nothing.

    >>> Retire(at_ms=9_000, node="node-1", target="node-2").names
    ('node-1', 'node-2')
    """

    node: str
    target: str | None = None


def _refused(fault: Fault, got: str, wanted: str, remedy: str) -> InvalidOption:
    problem = f"a {type(fault).__name__} has invalid values"
    return InvalidOption(problem, got=got, wanted=wanted, remedy=remedy)
