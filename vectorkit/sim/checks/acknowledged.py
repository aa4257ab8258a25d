"""What was acknowledged stays, on one branch, and a node that has promised more is silent."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from vectorkit.sim.checks.evidence import Evidence
from vectorkit.sim.checks.findings import CheckTally, Finding
from vectorkit.sim.checks.history import LogPosition
from vectorkit.sim.world.trace_events import (
    AckSent,
    EpochPromised,
    NodeCrashed,
    OffsetConfirmed,
    RecordAppended,
    RoleTaken,
)
from vectorkit.units import ns_to_ms


@dataclass(frozen=True, slots=True)
class LostWrite:
    """An acknowledged record that the final history does not hold."""

    place: LogPosition
    acknowledged_ns: int
    lost_ns: int
    """When the promise was broken: at the acknowledgement, or when a history without it began."""
    is_degraded: bool
    epoch_that_lacks_it: int
    """The first epoch that went on without it; 0 where none did."""


def acknowledged(evidence: Evidence) -> dict[LogPosition, tuple[int, bool]]:
    """When each record that clients or masters name was acknowledged, and whether as degraded.

    A master that confirms an offset acknowledges all of its history up to there: of those records,
    only the last and those that the final history lacks are listed.
    """
    history = evidence.history
    final, found = history.final, dict[LogPosition, tuple[int, bool]]()
    for _, event in evidence.events:
        if not isinstance(event, OffsetConfirmed):
            continue
        place, offset = (event.epoch, event.offset), event.offset
        shared = offset - 1 if history.contains(final, place) else history.shared(final, place)
        while offset > shared and (each := history.at(place, offset)) not in found:
            found[each] = event.time_ns, False
            offset -= 1
    for request in evidence.requests:
        record = request.record
        if record is not None and request.outcome in ("ok", "degraded"):
            assert request.completed_ns is not None
            known = found.get(record)
            if known is None or known[1]:
                found[record] = request.completed_ns, request.outcome == "degraded"
    return found


def lost_writes(evidence: Evidence) -> list[LostWrite]:
    """All acknowledged records that the final history lacks, in the order of their places."""
    history, lost = evidence.history, []
    final = history.final
    for place, (time_ns, is_degraded) in sorted(acknowledged(evidence).items()):
        if not history.contains(final, place):
            lost_ns, other = lost_at(evidence, place)
            lost.append(LostWrite(place, time_ns, max(time_ns, lost_ns), is_degraded, other))
    return lost


def lost_at(evidence: Evidence, place: LogPosition) -> tuple[int, int]:
    """When the final history went on without a record, and with which epoch; 0 where with none."""
    history = evidence.history
    own = set(history.epochs(place))
    other = next((epoch for epoch in history.epochs(history.final) if epoch not in own), 0)
    end_ns = evidence.trace[-1].time_ns if evidence.trace else 0
    return (history.began_ns(other) if other else end_ns), other


def check_survival(evidence: Evidence) -> Finding:
    """No acknowledged write is lost while the guarantee is in force; all others are counted."""
    guarantee = evidence.guarantee
    tally = CheckTally("acknowledged_writes_survive", unpromised=guarantee.unpromised)
    tally.see(len(acknowledged(evidence)))
    lost = lost_writes(evidence)
    for each in lost:
        is_promised = not each.is_degraded and guarantee.is_in_force(each.lost_ns)
        how = "acknowledged as degraded" if each.is_degraded else "acknowledged"
        what = (
            f"{evidence.place(each.place)}, {how} at {ns_to_ms(each.acknowledged_ns):,} ms, is lost"
        )
        if each.epoch_that_lacks_it:
            what += f": {evidence.epoch_name(each.epoch_that_lacks_it)} began without it"
        tally.violated(what, is_promised=is_promised)
    notes = []
    if lost:
        first_ns = min(each.acknowledged_ns for each in lost)
        last_ns = max(each.acknowledged_ns for each in lost)
        concern = evidence.options.protocol.write_concern
        notes.append(
            f"window {ns_to_ms(last_ns - first_ns):,} ms, from {ns_to_ms(first_ns):,} ms; "
            f"write concern count={concern.count!r}, stage={concern.stage!r}"
        )
    if guarantee.void_reason:
        void_ns = guarantee.void_ns or 0
        notes.append(f"void from {ns_to_ms(void_ns):,} ms: {guarantee.void_reason}")
    return tally.finding(of="acknowledged positions", idle="nothing was acknowledged", notes=notes)


def check_branch(evidence: Evidence) -> Finding:
    """Of any two acknowledged writes, the history of one contains the other."""
    guarantee, history = evidence.guarantee, evidence.history
    tally = CheckTally("acknowledged_writes_share_a_branch", unpromised=guarantee.unpromised)
    heads: dict[int, tuple[LogPosition, int]] = {}
    for place, (time_ns, is_degraded) in acknowledged(evidence).items():
        if not is_degraded and place >= heads.get(place[0], ((0, 0), 0))[0]:
            heads[place[0]] = place, time_ns
    ordered = [heads[epoch] for epoch in sorted(heads)]
    tally.see(max(0, len(ordered) - 1))
    for (lower, lower_ns), (upper, upper_ns) in pairwise(ordered):
        if not history.contains(upper, lower):
            tally.violated(
                f"{evidence.place(lower)} (acknowledged at {ns_to_ms(lower_ns):,} ms) is not in "
                f"the history of {evidence.place(upper)} "
                f"(acknowledged at {ns_to_ms(upper_ns):,} ms)",
                is_promised=guarantee.is_in_force(max(lower_ns, upper_ns)),
            )
    return tally.finding(
        of="changes of the acknowledging epoch", idle="only one epoch has acknowledged anything"
    )


def check_promises(evidence: Evidence) -> Finding:
    """No node appends, confirms or acks for an epoch below a promise that it has made durable."""
    tally = CheckTally("no_ack_below_a_promise")
    promised: dict[str, int] = {}
    served: dict[str, int] = {}
    has_disks = evidence.options.protocol.has_durable_log
    first = min(evidence.history.master_of, default=0)
    for _, event in evidence.events:
        match event:
            case EpochPromised(node=node, epoch=epoch):
                promised[node] = max(promised.get(node, 0), epoch)
                tally.see(epoch > first)
                continue
            case NodeCrashed(node=node) if event.kind == "lost_disk" or not has_disks:
                promised.pop(node, None)  # A damaged log leaves the promise.
                continue
            case RoleTaken(node=node, role="master"):
                served[node] = event.epoch
                continue
            case RecordAppended(node=node, epoch=epoch, offset=offset):
                done = "appended"
            case OffsetConfirmed(node=node, offset=offset):
                done, epoch = "confirmed", served.get(node, event.epoch)
            case AckSent(node=node, flushed_offset=offset) if event.master in served:
                done, epoch = "acked", served[event.master]
            case _:
                continue
        if epoch < promised.get(node, 0):
            tally.violated(
                f"{node} {done} offset {offset} for {evidence.epoch_name(epoch)} at "
                f"{ns_to_ms(event.time_ns):,} ms, having promised "
                f"{evidence.epoch_name(promised[node])}"
            )
    return tally.finding(of="promises of a later epoch", idle="no epoch followed the first")
