"""What a run has come to, in plain values: a row of a sweep."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

from vectorkit.sim.checks import Evidence
from vectorkit.sim.checks.acknowledged import lost_writes
from vectorkit.sim.checks.reads import staleness_of_reads
from vectorkit.sim.checks.requests import REFUSED, ObservedRequest
from vectorkit.sim.run import Run
from vectorkit.sim.world.trace_events import NodeCrashed, RoleTaken, SyncReported
from vectorkit.units import NS_PER_MS, ms_to_ns, ns_to_ms

_ACKNOWLEDGED: Final = ("ok", "degraded")
_NOT_TAKEN: Final = ("disk_full", "write_refused", "read_only_replica")
"""Refusals that say nothing of the write: its node takes none now."""


def outcome_of(run: Run, duration_ms: float) -> dict[str, Any]:
    """The figures of a run, None where there is nothing to tell; times up to `duration_ms`.

    >>> from vectorkit import sim
    >>> load = sim.Workload(writes_per_s=10, source="uniform:20x4")
    >>> run = sim.simulate(sim.ClusterOptions(replicas=1), workload=load, duration_ms=500, seed=7)
    >>> outcome_of(run, 500)["acknowledged_writes"]
    5
    """
    evidence, end_ns = run.evidence, ms_to_ns(duration_ms)
    broken = run.check().broken
    roles = (event for _, event in evidence.events if isinstance(event, RoleTaken))
    epochs = {event.epoch for event in roles if event.role == "master"}
    syncs = (event for _, event in evidence.events if isinstance(event, SyncReported))
    begun = (event for event in syncs if event.node != event.peer and event.phase == "started")
    return {
        "is_converged": run.is_converged,
        "is_broken": bool(broken),
        "broken": ", ".join(finding.name for finding in broken),
        **_writes(evidence, end_ns),
        **_reads(evidence),
        "masterless_ms": ns_to_ms(masterless_ns(evidence, end_ns)),
        "failovers": max(0, len(epochs) - 1),
        "full_syncs": sum(event.kind == "full" for event in begun),
        "event_count": run.event_count,
        "trace_hash": run.trace_hash,
    }


def _writes(evidence: Evidence, end_ns: int) -> dict[str, Any]:
    """How the writes of clients have ended, and which of those acknowledged are lost."""
    writes = [each for each in evidence.requests if each.is_write]
    acknowledged = [each for each in writes if each.outcome in _ACKNOWLEDGED]
    places = {each.place for each in lost_writes(evidence)}
    lost_ns = [_done_ns(each) for each in acknowledged if each.record in places]
    latencies_ns = sorted(_done_ns(each) - each.invoked_ns for each in acknowledged)
    answers_ns = sorted(_done_ns(each) for each in acknowledged if _done_ns(each) <= end_ns)
    edges_ns = [0, *answers_ns, end_ns]
    gaps_ns = (after - before for before, after in pairwise(edges_ns))
    return {
        "has_loss": bool(lost_ns),
        "writes": len(writes),
        "acknowledged_writes": len(acknowledged),
        "lost_writes": len(lost_ns),
        "loss_window_ms": ns_to_ms(max(lost_ns) - min(lost_ns)) if lost_ns else None,
        "degraded_writes": sum(each.outcome == "degraded" for each in writes),
        "refused_writes": sum(each.outcome in REFUSED for each in writes),
        "timed_out_writes": sum(each.outcome == "timeout" for each in writes),
        "unanswered_writes": sum(each.outcome in ("silent", "") for each in writes),
        "write_latency_ms_p50": _rank_ms(latencies_ns, 50),
        "write_latency_ms_p99": _rank_ms(latencies_ns, 99),
        "write_gap_ms_max": ns_to_ms(max(gaps_ns)) if writes else None,
        "unavailable_ms": ns_to_ms(unavailable_ns(evidence, end_ns)) if writes else None,
    }


def _reads(evidence: Evidence) -> dict[str, Any]:
    """How many reads were answered, and how stale they were."""
    staleness = staleness_of_reads(evidence).values()
    oldest_ns = max((each.age_ns for each in staleness), default=None)
    return {
        "answered_reads": len(staleness),
        "stale_reads": sum(each.operation_count > 0 for each in staleness),
        "staleness_ms_max": None if oldest_ns is None else ns_to_ms(oldest_ns),
    }


def unavailable_ns(evidence: Evidence, end_ns: int) -> int:
    """How long no write was answered although clients had asked for some, up to a time.

    A stretch begins when a write is asked for and none waits, and at an answer after which others
    still wait. It ends with the next answer that tells what became of a write: acknowledged, or
    refused for its content. A time-out, silence, a node that is not master and a full disk are no
    such answers: the stretch goes on until the last write is given up. Stretches up to a heartbeat
    are the ordinary time of a write and do not count; longer ones count in full.
    """
    ordinary_ns = evidence.options.protocol.heartbeat_ms * NS_PER_MS
    moments: list[tuple[int, int, bool, bool]] = []
    for each in evidence.requests:
        if each.is_write:
            moments.append((each.invoked_index, each.invoked_ns, True, False))
            if each.completed_index is not None and each.completed_ns is not None:
                moments.append((each.completed_index, each.completed_ns, False, _is_served(each)))
    waiting = total_ns = last_ns = 0
    since_ns: int | None = None
    for _, time_ns, is_asked, is_served in sorted(moments):
        if time_ns > end_ns:
            break
        waiting += 1 if is_asked else -1
        if is_served and since_ns is not None:
            total_ns += time_ns - since_ns if time_ns - since_ns > ordinary_ns else 0
            since_ns = time_ns if waiting else None
        elif is_asked and since_ns is None:
            since_ns = time_ns
        last_ns = time_ns
    if since_ns is not None:
        length_ns = (end_ns if waiting else last_ns) - since_ns
        total_ns += length_ns if length_ns > ordinary_ns else 0
    return total_ns


def _is_served(request: ObservedRequest) -> bool:
    is_refused = request.outcome == "refused" and request.error not in _NOT_TAKEN
    return is_refused or request.outcome in _ACKNOWLEDGED


def masterless_ns(evidence: Evidence, end_ns: int) -> int:
    """How long no node held itself master."""
    masters: set[str] = set()
    since_ns = total_ns = 0
    for _, event in evidence.events:
        if not isinstance(event, RoleTaken | NodeCrashed) or event.time_ns > end_ns:
            continue
        if not masters:
            total_ns += event.time_ns - since_ns
        since_ns = event.time_ns
        masters.discard(event.node)
        if isinstance(event, RoleTaken) and event.role == "master":
            masters.add(event.node)
    return total_ns if masters else total_ns + end_ns - since_ns


def _done_ns(request: ObservedRequest) -> int:
    """When a request that was answered was answered."""
    assert request.completed_ns is not None
    return request.completed_ns


def _rank_ms(ordered_ns: Sequence[int], percent: int) -> float | None:
    """The smallest time that so many percent do not exceed: one that was measured."""
    rank = -(-percent * len(ordered_ns) // 100)
    return ns_to_ms(ordered_ns[rank - 1]) if ordered_ns else None
