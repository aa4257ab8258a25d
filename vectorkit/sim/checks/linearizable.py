"""Linearizability of each key's history: Wing and Gong's search, with Lowe's memory of states.

Jeannette M. Wing and Chun Gong, "Testing and verifying concurrent objects" (1993); Gavin Lowe,
"Testing for linearizability" (2017).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from vectorkit.sim.checks.evidence import Evidence
from vectorkit.sim.checks.findings import CheckTally, Finding
from vectorkit.sim.checks.history import AppendedRecord, LogPosition
from vectorkit.sim.checks.requests import ObservedRequest
from vectorkit.units import ns_to_ms

STEPS_MAX: Final = 200_000
"""How many steps the search of one key may take."""

_NEVER: Final = 1 << 62
_ANY: Final = "any"
_ABSENT: Final = ("vector_not_found", "collection_not_found")

Answer = Literal["yes", "no", "gave up"]


@dataclass(frozen=True, slots=True)
class Call:
    """A write of a value, or a read that found it. −1 stands for no row, 0 for one never written.

    Without an end its outcome is unknown: it may take effect at any later time, or never.
    """

    begin: int
    end: int | None
    is_write: bool
    value: int


def is_linearizable(calls: Sequence[Call], *, steps_max: int = STEPS_MAX) -> Answer:
    """Whether one copy could have answered these calls one after the other, in order of time.

    The first value is not known: it is 0 or −1, whichever the calls need.

    >>> is_linearizable([Call(0, 1, True, 5), Call(2, 3, False, 5)])
    'yes'
    >>> is_linearizable([Call(0, 1, True, 5), Call(2, 3, False, 0)])
    'no'
    """
    seen = {call.value for call in calls if not call.is_write}
    needed = [call for call in calls if call.end is not None or call.value in seen]
    ends = [(_NEVER + place if call.end is None else call.end) for place, call in enumerate(needed)]
    edges = sorted(
        [(call.begin, place, True) for place, call in enumerate(needed)]
        + [(end, place, False) for place, end in enumerate(ends)]
    )
    return _search(needed, edges, steps_max)


def _search(
    calls: Sequence[Call], edges: Sequence[tuple[int, int, bool]], steps_max: int
) -> Answer:
    """Depth first over a list of begins and ends in which taken calls are unlinked."""
    count = len(edges)
    after = [*range(1, count + 1), 0]  # The last entry is the head of the ring.
    before = [count, *range(count)]
    head = count
    after[head] = 0 if count else head
    end_edge = {place: at for at, (_, place, is_begin) in enumerate(edges) if not is_begin}
    state: int | str = _ANY
    taken = 0
    stack: list[tuple[int, int | str]] = []
    known: set[tuple[int, int | str]] = set()
    at, steps = after[head], 0
    while after[head] != head:
        steps += 1
        if steps > steps_max:
            return "gave up"
        _, place, is_begin = edges[at]
        call = calls[place]
        if is_begin:
            follows = _step(state, call)
            key = (taken | 1 << place, follows if follows is not None else "")
            if follows is not None and key not in known:
                known.add(key)
                stack.append((at, state))
                state, taken = follows, key[0]
                for edge in (at, end_edge[place]):
                    after[before[edge]], before[after[edge]] = after[edge], before[edge]
                at = after[head]
            else:
                at = after[at]
        elif call.end is None:
            return "yes"  # All that is left may never have happened.
        elif not stack:
            return "no"
        else:
            at, state = stack.pop()
            place = edges[at][1]
            taken &= ~(1 << place)
            for edge in (end_edge[place], at):
                after[before[edge]] = before[after[edge]] = edge
            at = after[at]
    return "yes"


def _step(state: int | str, call: Call) -> int | str | None:
    """The state after a call; None where it cannot happen in this one."""
    if call.is_write:
        return call.value
    if state == _ANY:
        return call.value if call.value in (0, -1) else None
    return state if state == call.value else None


def calls_of(
    requests: Sequence[ObservedRequest],
    appended: Mapping[LogPosition, AppendedRecord],
    *,
    are_proven: bool = True,
) -> dict[str, list[Call]]:
    """The calls of each key that was read under `linearizable`, in order of time.

    So were the keys of writes that were refused because there is no such row, and of deletes that
    found none, where `are_proven`: such an answer is a read that found no row. Writes that were
    refused or timed out with nothing written did not happen, unless a master made a record of a
    copy that came late; then, and where they were answered as degraded, timed out or not answered
    at all, their outcome is unknown.

    A record that another master made of a copy is a write of its own, from when it was made on.
    """
    keys = {each.key for each in requests if _is_proof(each) or (are_proven and _is_absence(each))}
    found: dict[str, list[Call]] = defaultdict(list)
    for request in requests:
        if request.key not in keys:
            continue
        calls, begin, end = found[request.key], request.invoked_index, request.completed_index
        if _is_proof(request):
            assert request.value is not None
            calls.append(Call(begin, end, False, request.value))
        if are_proven and _is_absence(request):
            calls.append(Call(begin, end, False, -1))
            if request.is_ok and not request.places:
                continue
        if request.is_write and (request.places or not request.has_not_happened):
            value = request.number if request.kind == "write" else -1
            calls.append(Call(begin, end if request.is_ok else None, True, value))
            copied = (appended[place].index for place in request.copies)
            calls += [Call(index, None, True, value) for index in copied]
    return found


def check_linearizable(evidence: Evidence, *, steps_max: int = STEPS_MAX) -> Finding:
    """Linearizable answers and the writes of their keys are as if one copy had served all.

    This covers reads under the policy "linearizable". If the write concern can prove anything, it
    also covers answers that report the state a write found: no such row.
    """
    tally = CheckTally("linearizable", unpromised=evidence.guarantee.unpromised)
    idle = "no read under linearizable was answered, and no write by what it found"
    can_prove = not evidence.guarantee.unpromised and evidence.options.protocol.has_durable_log
    calls = calls_of(evidence.requests, evidence.history.appended, are_proven=can_prove)
    foreign = evidence.foreign_count if calls else 0
    if foreign:
        idle = f"{foreign:,} records were written by other hands, of which the trace has no keys"
        return tally.finding(of="", idle=idle)
    given_up = []
    for key, of_key in calls.items():
        answer = is_linearizable(of_key, steps_max=steps_max)
        if answer == "gave up":
            given_up.append(key)
            continue
        last_ns = evidence.trace[max(call.end or call.begin for call in of_key)].time_ns
        is_promised = evidence.guarantee.is_in_force(last_ns)
        tally.see(len(of_key), is_promised=is_promised)
        if answer == "no":
            tally.violated(
                f"the {len(of_key):,} calls of {key!r}, up to {ns_to_ms(last_ns):,} ms, have no "
                f"order that one copy could have answered in: {_first_wrong(of_key, evidence)}",
                is_promised=is_promised,
            )
    if given_up:
        limit = f"gave up on {', '.join(map(repr, given_up[:3]))} after {steps_max:,} steps each"
        idle = f"{limit}: {len(given_up)} of {len(calls)} keys"
        finding = tally.finding(of="calls", idle=idle)
        if finding.verdict != "held":
            return finding
        return replace(
            finding, verdict="not_exercised", observed_count=0, evidence=(idle, *finding.evidence)
        )
    copies = sum(len(each.copies) for each in evidence.requests if each.key in calls)
    notes = [f"{copies} records of late copies count as writes of their own"] if copies else []
    return tally.finding(of="calls", idle=idle, notes=notes)


def _is_proof(request: ObservedRequest) -> bool:
    is_read = not request.is_write and request.policy == "linearizable"
    return is_read and request.is_ok and request.value is not None


def _is_absence(request: ObservedRequest) -> bool:
    """Whether the answer to a write reports that its row does not exist.

    Refused for that, or a delete that changed nothing: its answer names no record of its own.
    """
    if request.kind == "delete" and request.is_ok:
        return request.record is None
    return request.outcome == "refused" and request.error in _ABSENT


def _first_wrong(calls: Sequence[Call], evidence: Evidence) -> str:
    """The first read by whose end there is no such order any more."""
    reads = sorted((call for call in calls if not call.is_write), key=lambda call: call.end or 0)
    low, high = 0, len(reads) - 1
    while low < high:
        middle = (low + high) // 2
        if is_linearizable(_until(calls, reads[middle].end or 0)) == "no":
            high = middle
        else:
            low = middle + 1
    read = reads[low]
    at_ms = ns_to_ms(evidence.trace[read.end or 0].time_ns)
    return f"the answer that found {read.value} at {at_ms:,} ms cannot be placed"


def _until(calls: Sequence[Call], index: int) -> list[Call]:
    """What was known of these calls at a place in the trace."""
    return [
        call if call.end is None or call.end <= index else Call(call.begin, None, True, call.value)
        for call in calls
        if call.begin < index and (call.is_write or (call.end or 0) <= index)
    ]
