"""Reads against the history that they name: how old it was, and whether they tell what it says."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from dataclasses import dataclass

from vectorkit.sim.checks.evidence import Evidence
from vectorkit.sim.checks.findings import CheckTally, Finding
from vectorkit.sim.checks.history import NOWHERE, LogPosition
from vectorkit.sim.checks.requests import ObservedRequest
from vectorkit.sim.world.trace_events import EpochPromised, RecordAppended, RoleTaken
from vectorkit.units import ms_to_ns, ns_to_ms


@dataclass(frozen=True, slots=True)
class Staleness:
    """How far what a read saw was behind the master of the highest epoch when it was served."""

    age_ns: int
    """The age of the oldest record that it lacked; 0 where it lacked none."""
    operation_count: int
    is_of_highest_epoch: bool
    """Whether the node had promised that epoch: it followed no other master."""


def staleness_of_reads(evidence: Evidence) -> dict[int, Staleness]:
    """The staleness of each read that was answered, by its request's number."""
    history = evidence.history
    served = {
        (each.completed_index if each.served_index is None else each.served_index): each
        for each in evidence.requests
        if not each.is_write and each.is_ok
    }
    found: dict[int, Staleness] = {}
    head: LogPosition = NOWHERE
    promised: dict[str, int] = {}
    for index, event in evidence.events:
        match event:
            case RecordAppended(epoch=epoch) if epoch >= head[0]:
                head = epoch, event.offset
            case EpochPromised(node=node, epoch=epoch) | RoleTaken(node=node, epoch=epoch):
                promised[node] = max(promised.get(node, 0), epoch)
            case _:
                pass
        if index in served:
            request = served[index]
            shared = history.shared(head, request.place)
            lacked = history.appended.get(history.at(head, shared + 1))
            age_ns = 0 if lacked is None or shared == head[1] else event.time_ns - lacked.time_ns
            is_highest = promised.get(request.node, 0) >= head[0]
            found[request.number] = Staleness(age_ns, head[1] - shared, is_highest)
    return found


def check_staleness(evidence: Evidence) -> Finding:
    """A read under `bounded_staleness` lacks no record older than its bound when it is served.

    Promised of the master that the node follows: hence only while that is the one of the highest
    epoch, and while clocks are right, since the bound is measured by the node's own.
    """
    unpromised = "clocks were made to go wrong" if evidence.has_clock_faults else ""
    tally = CheckTally("bounded_staleness", unpromised=unpromised)
    bounded = [
        each
        for each in evidence.requests
        if each.policy == "bounded_staleness" and each.is_ok and each.bound_ms is not None
    ]
    staleness = staleness_of_reads(evidence) if bounded else {}
    for request in bounded:
        stale = staleness[request.number]
        is_promised = stale.is_of_highest_epoch
        tally.see(is_promised=is_promised)
        assert request.bound_ms is not None
        if stale.age_ns > ms_to_ns(request.bound_ms):
            tally.violated(
                f"read {request.number} at {request.node} was {ns_to_ms(stale.age_ns):,} ms and "
                f"{stale.operation_count:,} operations old, with a bound of "
                f"{request.bound_ms:,} ms",
                is_promised=is_promised,
            )
    return tally.finding(of="bounded reads", idle="no read under bounded_staleness was answered")


def check_values(evidence: Evidence) -> list[Finding]:
    """A read tells the last write of its key in the history that it names, deletes included.

    Rows that were there before the first request count as never written, or as never there.
    """
    foreign = evidence.foreign_count
    matching = CheckTally("reads_match_their_history")
    deleted = CheckTally("deletes_stay_deleted")
    if foreign:
        idle = f"{foreign:,} records were written by other hands, of which the trace has no keys"
        return [matching.finding(of="", idle=idle), deleted.finding(of="", idle=idle)]
    written = writes_by_key(evidence)
    for request in evidence.requests:
        if request.is_write or not request.is_ok or request.value is None:
            continue
        last = last_write(evidence, written.get(request.key, []), request.place)
        matching.see()
        what = (
            f"read {request.number} of {request.key!r} at {request.node} "
            f"({ns_to_ms(request.completed_ns or 0):,} ms, {evidence.place(request.place)}) "
            f"found {request.value}"
        )
        if last is None:
            if request.value > 0:
                matching.violated(f"{what}, where nothing had been written")
        elif last[1].kind == "delete":
            deleted.see()
            if request.value != -1:
                matching.violated(f"{what}, deleted at {evidence.place(last[0])}")
                deleted.violated(f"{what}, deleted at {evidence.place(last[0])}")
        elif request.value != last[1].number:
            matching.violated(
                f"{what}, where {last[1].number} was written at {evidence.place(last[0])}"
            )
    return [
        matching.finding(of="reads", idle="no read was answered"),
        deleted.finding(of="reads of deleted rows", idle="no deleted row was read"),
    ]


def writes_by_key(evidence: Evidence) -> dict[str, list[tuple[LogPosition, ObservedRequest]]]:
    """Each record of a client's request under its key, in the order of offsets."""
    written: dict[str, list[tuple[LogPosition, ObservedRequest]]] = defaultdict(list)
    for request in evidence.requests:
        written[request.key] += [(place, request) for place in request.places]
    for of_key in written.values():
        of_key.sort(key=lambda each: each[0][1])
    return written


def last_write(
    evidence: Evidence, written: list[tuple[LogPosition, ObservedRequest]], tip: LogPosition
) -> tuple[LogPosition, ObservedRequest] | None:
    """The last of these records in the history that ends with `tip`."""
    index = bisect_right(written, tip[1], key=lambda each: each[0][1])
    while index:
        index -= 1
        if evidence.history.contains(tip, written[index][0]):
            return written[index]
    return None


def check_writes(evidence: Evidence) -> Finding:
    """A master makes each write of a client once, however often its message comes.

    If the network delivers a late copy to the next master, that makes another write, even if the
    answer to the first copy was that nothing was written. The check counts these; the protocol
    does not promise to prevent them.
    """
    tally = CheckTally("writes_are_made_once")
    for request in evidence.requests:
        epochs = Counter(place[0] for place in request.places)
        tally.see(len(epochs))
        places = ", ".join(evidence.place(place) for place in request.places)
        for epoch, count in epochs.items():
            if count > 1:
                what = f"write {request.number} was made {count} times in "
                tally.violated(f"{what}{evidence.epoch_name(epoch)}: {places}", count=count - 1)
        if len(epochs) > 1:
            what = f"write {request.number} was made by {len(epochs)} masters: {places}"
            tally.violated(what, is_promised=False)
        elif epochs and request.has_not_happened:
            what = f"write {request.number}, answered as {request.outcome}, was made all the same: "
            tally.violated(f"{what}{places}", is_promised=False)
    return tally.finding(of="writes", idle="no client has written")
