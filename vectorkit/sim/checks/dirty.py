"""What became of the records that reads have shown: confirmed by then, kept later, or lost."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Final, Literal

from vectorkit.sim.checks.acknowledged import lost_at
from vectorkit.sim.checks.evidence import Evidence
from vectorkit.sim.checks.findings import CheckTally, Finding
from vectorkit.sim.checks.history import LogPosition
from vectorkit.sim.checks.reads import last_write, writes_by_key
from vectorkit.sim.checks.requests import ObservedRequest
from vectorkit.sim.world.trace_events import OffsetConfirmed
from vectorkit.units import ns_to_ms

Fate = Literal["confirmed", "kept", "lost"]

CLEAN_POLICIES: Final = ("linearizable", "confirmed")
"""Read policies that show nothing for which the write concern does not hold."""


@dataclass(frozen=True, slots=True)
class Shown:
    """The record that a read has shown: the last write of its key, deletes included."""

    request: ObservedRequest
    place: LogPosition
    fate: Fate
    """"lost" where the final history lacks it; else "confirmed" where the write concern held when
    the read was answered, and "kept" where it did not hold yet."""


def shown_by_reads(evidence: Evidence) -> dict[int, Shown]:
    """The record that each answered read has shown, by the read's number.

    Reads of rows that no client has written are left out.
    """
    history, found = evidence.history, dict[int, Shown]()
    final, written = history.final, writes_by_key(evidence)
    served: dict[int, tuple[ObservedRequest, LogPosition]] = {}
    for request in evidence.requests:
        if request.is_write or not request.is_ok:
            continue
        last = last_write(evidence, written.get(request.key, []), request.place)
        if last is not None:
            index = request.served_index or request.completed_index or 0
            served[index] = request, last[0]
    confirmed: dict[int, int] = defaultdict(int)
    for index, event in evidence.events:
        if isinstance(event, OffsetConfirmed):
            confirmed[event.epoch] = max(confirmed[event.epoch], event.offset)
        elif index in served:
            request, place = served[index]
            fate: Fate = "lost"
            if history.contains(final, place):
                is_confirmed = any(history.contains(tip, place) for tip in confirmed.items())
                fate = "confirmed" if is_confirmed else "kept"
            found[request.number] = Shown(request, place, fate)
    return found


def check_dirty_reads(evidence: Evidence) -> Finding:
    """No read shows a record that is lost later.

    Promised within the guarantee of reads under `linearizable` and `confirmed`; of all others it
    is counted.
    """
    guarantee = evidence.guarantee
    tally = CheckTally("reads_show_nothing_lost", unpromised=guarantee.unpromised)
    for shown in shown_by_reads(evidence).values():
        read, policy = shown.request, shown.request.policy
        is_clean = policy in CLEAN_POLICIES
        if shown.fate != "lost":
            tally.see(is_promised=is_clean and guarantee.is_in_force(read.completed_ns or 0))
            continue
        lost_ns, epoch = lost_at(evidence, shown.place)
        is_promised = is_clean and guarantee.is_in_force(lost_ns)
        tally.see(is_promised=is_promised)
        why = f": {evidence.epoch_name(epoch)} began without it" if epoch else ""
        tally.violated(
            f"read {read.number} of {read.key!r} at {read.node} ({policy}) showed "
            f"{evidence.place(shown.place)} at {ns_to_ms(read.completed_ns or 0):,} ms, which is "
            f"lost{why}",
            is_promised=is_promised,
        )
    return tally.finding(of="reads of what clients wrote", idle="no read found a client's write")
