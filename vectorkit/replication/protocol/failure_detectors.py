"""When a silent master counts as dead: suspicion from the times of its signs of life, alone."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass
from typing import Final, Literal

from vectorkit.display import options_table
from vectorkit.errors import InvalidOption
from vectorkit.units import NS_PER_MS

_INTERVALS_KEPT: Final = 64
_DEVIATION_NS_MIN: Final = 10 * NS_PER_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class Failover:
    """Replicas that suspect their master stand for mastership by themselves.

    `detector` is "deadline" (silence above `deadline_ms`) or "phi" (silence less likely than
    10^−`phi` by the intervals between heartbeats seen so far). A node waits `stagger_ms` times its
    slot before it starts an election, so that not all of them do at once.

    A deadline below 2 × `heartbeat_ms` deposes a live master that is late or lost one heartbeat.
    ReplicationOptions refuses such a deadline unless `allow_short_deadline` is True.
    Raises InvalidOption.

    >>> Failover(deadline_ms=3_000).detector
    'deadline'
    """

    detector: Literal["deadline", "phi"] = "deadline"
    deadline_ms: int = 5_000
    phi: float = 8.0
    stagger_ms: int = 150
    allow_short_deadline: bool = False

    def __post_init__(self) -> None:
        """Refuse what could never, or always, suspect."""
        is_known = self.detector in ("deadline", "phi")
        is_known = is_known and isinstance(self.allow_short_deadline, bool)
        if not is_known or self.deadline_ms < 1 or not 0 < self.phi < 300 or self.stagger_ms < 0:
            raise InvalidOption(
                "this detector cannot work",
                got=repr(self),
                wanted='"deadline" or "phi", deadline_ms ≥ 1, 0 < phi < 300, stagger_ms ≥ 0, '
                "allow_short_deadline True or False",
                remedy="leave what you do not need at its default",
            )

    def new_detector(self, heartbeat_ms: int, now_ns: int) -> Detector:
        """A detector for one master, from now on."""
        if self.detector == "deadline":
            return Deadline(self.deadline_ms * NS_PER_MS, now_ns)
        return PhiAccrual(self.phi, heartbeat_ms * NS_PER_MS, now_ns)

    def _repr_html_(self) -> str:
        return options_table(self)


class Detector(ABC):
    """Suspicion of one node."""

    @abstractmethod
    def heard(self, now_ns: int, *, is_beat: bool) -> None:
        """A sign of life has come; `is_beat`: one of those that come at regular intervals."""

    @abstractmethod
    def suspects_at_ns(self) -> int:
        """When silence from now on will make it suspicious."""


class Deadline(Detector):
    """Suspicious after a fixed silence.

    >>> detector = Deadline(deadline_ns=5, now_ns=0)
    >>> detector.heard(now_ns=3, is_beat=False)
    >>> detector.suspects_at_ns()
    8
    """

    def __init__(self, deadline_ns: int, now_ns: int) -> None:
        self._deadline_ns = deadline_ns
        self._last_ns = now_ns

    def heard(self, now_ns: int, *, is_beat: bool) -> None:
        """The silence begins anew."""
        self._last_ns = now_ns

    def suspects_at_ns(self) -> int:
        """The last sign of life plus the deadline."""
        return self._last_ns + self._deadline_ns


class PhiAccrual(Detector):
    """Suspicious when so long a silence has a chance below 10^−phi.

    Intervals are taken as normal, with mean and deviation of the last ones (Hayashibara, Défago,
    Yared and Katayama, SRDS 2004); the tail is the logistic approximation that Akka and Cassandra
    use. Until two intervals are known the heartbeat's own stands for them. Records end a silence
    and teach no interval: a load that stops would look like a master that died.

    >>> detector = PhiAccrual(phi=8.0, heartbeat_ns=1_000_000_000, now_ns=0)
    >>> for beat in range(1, 5):
    ...     detector.heard(now_ns=beat * 1_000_000_000, is_beat=True)
    >>> 5_000_000_000 < detector.suspects_at_ns() < 5_100_000_000
    True
    """

    def __init__(self, phi: float, heartbeat_ns: int, now_ns: int) -> None:
        self._phi = phi
        self._last_ns = self._last_beat_ns = now_ns
        self._intervals = deque([heartbeat_ns, heartbeat_ns], maxlen=_INTERVALS_KEPT)

    def heard(self, now_ns: int, *, is_beat: bool) -> None:
        """The silence begins anew; with a heartbeat one more interval is known."""
        self._last_ns = now_ns
        if is_beat:
            self._intervals.append(now_ns - self._last_beat_ns)
            self._last_beat_ns = now_ns

    def suspects_at_ns(self) -> int:
        """The last sign of life plus the longest silence that is still likely."""
        count = len(self._intervals)
        mean = sum(self._intervals) / count
        spread = math.sqrt(sum((each - mean) ** 2 for each in self._intervals) / count)
        deviations = _deviations(10.0**-self._phi)
        return self._last_ns + round(mean + deviations * max(spread, _DEVIATION_NS_MIN))


def _deviations(chance: float) -> float:
    """How many deviations above the mean have this chance: the inverse of the logistic tail."""
    target = math.log(chance / (1.0 - chance)) if chance < 0.5 else 0.0
    low, high = 0.0, 64.0
    for _ in range(60):
        middle = (low + high) / 2
        if -middle * (1.5976 + 0.070566 * middle * middle) > target:
            low = middle
        else:
            high = middle
    return high
