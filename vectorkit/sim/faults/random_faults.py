"""Random faults: the seed draws their kinds, times, targets, durations and severities."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from vectorkit.replication.protocol.messages import MESSAGE_NAMES
from vectorkit.sim.faults.draws import Draws, draws_of
from vectorkit.sim.faults.faults import (
    CURRENT_MASTER,
    Block,
    ClockDrift,
    ClockJump,
    ClockOffset,
    Clog,
    Crash,
    Cut,
    Degrade,
    Fault,
    FlipBit,
    FullDisk,
    Partition,
    Pause,
    Promote,
    Replace,
    Restart,
    Retire,
    SlowCpu,
    SlowDisk,
    StalledDisk,
)
from vectorkit.sim.options import ClusterOptions

_DAY_MS: Final = 86_400_000
_LONGEST_MS: Final = 4_000
_SPELLS_MAX: Final = 3
_LOSSES_SHARE: Final = 0.4
"""The part of a spell in which nodes lose their state, and the longest time that they are down."""


def random_faults(
    options: ClusterOptions, *, duration_ms: int, seed: int, intensity: float = 0.5
) -> list[Fault]:
    """Draw faults of all kinds from a seed: times, targets, durations and severities.

    The guarantee stays whole: nothing is forced, and at most n nodes lose their state at a time,
    n being the replicas that the write concern asks for. The time of the faults is one to three
    spells, each with n nodes of its own that may lose theirs in its first part and are up again
    before its end: one that has not returned by then, since it hears too few others, voids the
    guarantee when the next spell begins.

    >>> faults = random_faults(ClusterOptions(), duration_ms=10_000, seed=7)
    >>> all(fault.at_ms < 10_000 for fault in faults)
    True
    """
    draws = draws_of(6, seed, duration_ms, intensity)
    asked = options.protocol.write_concern.replica_count(len(options.node_ids))
    spells = _spells_of(draws, options, asked, duration_ms)
    faults: list[Fault] = []
    for number, make in enumerate(_MAKERS.values()):
        of_kind = draws.at(1, number)
        if not of_kind.has(intensity, 0):
            continue
        count_max = max(1, round(duration_ms * intensity / 5_000))
        for place in range(of_kind.between(1, count_max, 1)):
            here = of_kind.at(2, place)
            at_ms = here.between(0, max(0, round(duration_ms * 0.8) - 1), 0)
            longest_ms = max(1, min(_LONGEST_MS, round(duration_ms * 0.2)))
            for_ms = here.between(1, longest_ms, 1)
            faults += make(Spot(here.at(2), at_ms, for_ms, options, spells, intensity))
    return [fault for fault in faults if fault.at_ms < max(1, duration_ms)]


@dataclass(frozen=True, slots=True)
class Spell:
    """A part of a run, and the nodes that may lose their state in its first part."""

    begin_ms: int
    length_ms: int
    unlucky: tuple[str, ...]
    is_only: bool


def _spells_of(
    draws: Draws, options: ClusterOptions, asked: int, duration_ms: int
) -> tuple[Spell, ...]:
    count = draws.between(1, _SPELLS_MAX, 2)
    length_ms = max(1, round(duration_ms * 0.8) // count)
    return tuple(
        Spell(
            number * length_ms,
            length_ms,
            tuple(draws.some(options.node_ids, asked, 0, *[number] * (number > 0))),
            is_only=count == 1,
        )
        for number in range(count)
    )


# One fault of each kind, by draws


@dataclass(frozen=True, slots=True)
class Spot:
    """Where and when a random fault comes."""

    draws: Draws
    at_ms: int
    for_ms: int
    options: ClusterOptions
    spells: tuple[Spell, ...]
    intensity: float

    @property
    def spell(self) -> Spell:
        """The spell that it is in."""
        return next(each for each in reversed(self.spells) if each.begin_ms <= self.at_ms)

    @property
    def unlucky(self) -> tuple[str, ...]:
        """The nodes that may lose their state."""
        return self.spell.unlucky

    @property
    def of_loss(self) -> Spot:
        """The same in the first part of its spell: over in time for a return before the next."""
        spell = self.spell
        if spell.is_only:
            return self
        after_ms = round((self.at_ms - spell.begin_ms) * _LOSSES_SHARE)
        for_ms = max(1, min(self.for_ms, round(spell.length_ms * _LOSSES_SHARE)))
        return replace(self, at_ms=spell.begin_ms + after_ms, for_ms=for_ms)

    @property
    def node(self) -> str:
        """Any node, or the master."""
        return self.draws.pick((*self.options.node_ids, CURRENT_MASTER), 0)

    @property
    def ends(self) -> tuple[str | None, str | None]:
        """The two ends of a link, or None for any at one or both of them."""
        source, target = self.draws.pick((*self.options.node_ids, None), 0), None
        if source is None or self.draws.has(0.7, 1):
            others = [each for each in self.options.node_ids if each != source]
            target = self.draws.pick((*others, None), 2)
        return source, target

    def strength_at(self, number: int, low: int, high: int) -> int:
        """A whole number that grows with the intensity; each number has a draw of its own."""
        return self.draws.between(low, max(low, round(high * self.intensity)), 5, number)


def _partition(spot: Spot) -> list[Fault]:
    draws, nodes = spot.draws, spot.options.node_ids
    chosen = draws.some(nodes, draws.between(1, max(1, len(nodes) // 2), 1), 2)
    halves = tuple(filter(None, (tuple(chosen[::2]), tuple(chosen[1::2]))))
    at_ms, for_ms = spot.at_ms, spot.for_ms
    forms = (
        Partition(at_ms=at_ms, for_ms=for_ms, isolate=chosen),
        Partition(at_ms=at_ms, for_ms=for_ms, isolate=[CURRENT_MASTER]),
        Partition(at_ms=at_ms, for_ms=for_ms, groups=halves),
        Partition(at_ms=at_ms, for_ms=for_ms, shape="ring"),
        Partition(at_ms=at_ms, for_ms=for_ms, shape="bridge"),
    )
    return [draws.pick(forms, 3)]


def _cut(spot: Spot) -> list[Fault]:
    source, target = spot.ends
    return [Cut(at_ms=spot.at_ms, for_ms=spot.for_ms, source=source, target=target)]


def _clog(spot: Spot) -> list[Fault]:
    source, target = spot.ends
    return [Clog(at_ms=spot.at_ms, for_ms=spot.for_ms, source=source, target=target)]


def _block(spot: Spot) -> list[Fault]:
    source, target = spot.ends
    message = spot.draws.pick(MESSAGE_NAMES, 4)
    at_ms, for_ms = spot.at_ms, spot.for_ms
    return [Block(at_ms=at_ms, for_ms=for_ms, message=message, source=source, target=target)]


def _degrade(spot: Spot) -> list[Fault]:
    source, target = spot.ends
    chances = [spot.strength_at(number, 0, 400) / 1_000 for number in range(3)]
    return [
        Degrade(
            at_ms=spot.at_ms,
            for_ms=spot.for_ms,
            source=source,
            target=target,
            delay_ms=spot.strength_at(3, 0, 200),
            loss=chances[0],
            duplication=chances[1],
            corruption=chances[2],
        )
    ]


def _crash(spot: Spot) -> list[Fault]:
    """A node without a durable log loses its state with its life: only the unlucky may."""
    draws = spot.draws
    stays_down, has_torn = draws.has(0.1, 1), draws.has(0.5, 2)
    loses_disk = bool(spot.unlucky) and draws.has(0.3, 3)
    if loses_disk or not spot.options.protocol.has_durable_log:
        if not spot.unlucky:
            return []
        at, node = spot.of_loss, draws.pick(spot.unlucky, 4)
        for_ms = None if stays_down and spot.spell.is_only else at.for_ms
        return [Crash(at_ms=at.at_ms, for_ms=for_ms, node=node, lose_disk=loses_disk)]
    for_ms = None if stays_down else spot.for_ms
    return [Crash(at_ms=spot.at_ms, for_ms=for_ms, node=spot.node, lose_unsynced=not has_torn)]


def _flip_bit(spot: Spot) -> list[Fault]:
    """One node, or all that may lose their state, each at a place of its own.

    A node is restarted soon, or it would not notice.
    """
    if not spot.unlucky:
        return []
    at, draws = spot.of_loss, spot.draws
    nodes = spot.unlucky if draws.has(0.3, 2) else (draws.pick(spot.unlucky, 0),)
    faults: list[Fault] = []
    for number, node in enumerate(nodes):
        offset = -draws.between(0, 20, 1, *[number] * (number > 0))
        faults.append(FlipBit(at_ms=at.at_ms, node=node, offset=offset))
        faults.append(Crash(at_ms=at.at_ms + 1, for_ms=at.for_ms, node=node))
    return faults


def _replace(spot: Spot) -> list[Fault]:
    """The command may reach one node only, and be given again, before or after the return."""
    if not spot.unlucky:
        return []
    at, draws, nodes = spot.of_loss, spot.draws, spot.options.node_ids
    node = draws.pick(spot.unlucky, 0)
    target = draws.pick(nodes, 2) if draws.has(0.3, 1) else None
    faults: list[Fault] = [
        Replace(at_ms=at.at_ms, node=node, target=target),
        Restart(at_ms=at.at_ms + at.for_ms, node=node),
    ]
    for number in range(draws.between(0, 2, 3)):
        late_ms = draws.between(1, _LONGEST_MS, 4, number)
        to = draws.pick((*nodes, None), 5, number)
        faults.append(Retire(at_ms=at.at_ms + late_ms, node=node, target=to))
    return faults


_MAKERS: Final[dict[str, Callable[[Spot], list[Fault]]]] = {
    "Partition": _partition,
    "Cut": _cut,
    "Clog": _clog,
    "Block": _block,
    "Degrade": _degrade,
    "Crash": _crash,
    "Restart": lambda spot: [Restart(at_ms=spot.at_ms, node=spot.node)],
    "Pause": lambda spot: [Pause(at_ms=spot.at_ms, for_ms=spot.for_ms, node=spot.node)],
    "SlowCpu": lambda spot: [
        SlowCpu(
            at_ms=spot.at_ms,
            for_ms=spot.for_ms,
            node=spot.node,
            step_ms=spot.strength_at(0, 1, 40) / 10,
        )
    ],
    "SlowDisk": lambda spot: [
        SlowDisk(
            at_ms=spot.at_ms,
            for_ms=spot.for_ms,
            node=spot.node,
            factor=spot.strength_at(0, 2, 200),
        )
    ],
    "StalledDisk": lambda spot: [StalledDisk(at_ms=spot.at_ms, for_ms=spot.for_ms, node=spot.node)],
    "FullDisk": lambda spot: [FullDisk(at_ms=spot.at_ms, for_ms=spot.for_ms, node=spot.node)],
    "FlipBit": _flip_bit,
    "ClockOffset": lambda spot: [
        ClockOffset(
            node=spot.draws.pick(spot.options.node_ids, 0),
            offset_ms=spot.draws.between(-3 * _DAY_MS, 3 * _DAY_MS, 1),
        )
    ],
    "ClockDrift": lambda spot: [
        ClockDrift(
            at_ms=spot.at_ms,
            for_ms=spot.for_ms,
            node=spot.node,
            ppm=spot.draws.between(-200_000, 200_000, 1),
        )
    ],
    "ClockJump": lambda spot: [
        ClockJump(at_ms=spot.at_ms, node=spot.node, by_ms=spot.strength_at(0, 1, 10_000))
    ],
    "Promote": lambda spot: [
        Promote(at_ms=spot.at_ms, node=spot.draws.pick(spot.options.node_ids, 0))
    ],
    "Replace": _replace,
    "Retire": lambda spot: [
        Retire(
            at_ms=spot.at_ms,
            node=spot.draws.pick(spot.options.node_ids, 0),
            target=spot.draws.pick((*spot.options.node_ids, None), 1),
        )
    ],
}
"""How a random fault of each kind is drawn; a kind that is added comes last."""
