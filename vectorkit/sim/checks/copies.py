"""Each node's copy of the history: the same records, each once, in order, and equal content."""

from __future__ import annotations

from collections import defaultdict

from vectorkit.sim.checks.evidence import Evidence
from vectorkit.sim.checks.findings import CheckTally, Finding
from vectorkit.sim.checks.history import NOWHERE, LogPosition
from vectorkit.sim.world.trace_events import (
    DigestTaken,
    DiskFlushed,
    HistoryApplied,
    NodeCrashed,
    NodeStarted,
    RecordAppended,
    RecordQuarantined,
    RoleTaken,
    StateLost,
)
from vectorkit.units import ns_to_ms


def check_masters(evidence: Evidence) -> Finding:
    """An epoch has one master."""
    tally = CheckTally("one_master_per_epoch")
    master_of: dict[int, str] = {}
    for _, event in evidence.events:
        match event:
            case RecordAppended(node=node, epoch=epoch):
                pass
            case RoleTaken(node=node, role="master", epoch=epoch):
                pass
            case _:
                continue
        if epoch not in master_of:
            master_of[epoch] = node
            tally.see()
        elif master_of[epoch] != node:
            tally.violated(
                f"{node} served {evidence.epoch_name(epoch)} at {ns_to_ms(event.time_ns):,} ms, "
                f"which was {master_of[epoch]}'s"
            )
    return tally.finding(of="epochs", idle="no node was master")


def check_offsets(evidence: Evidence) -> Finding:
    """In each epoch's history, offsets are dense and each is given once."""
    tally = CheckTally("offsets_are_dense")
    last: dict[int, int] = {}
    for _, event in evidence.events:
        if not isinstance(event, RecordAppended):
            continue
        tally.see()
        epoch, offset = event.epoch, event.offset
        begin = evidence.history.begins.get(epoch, NOWHERE)[1]
        before = last.get(epoch, begin or None)
        if before is not None and offset != before + 1:
            tally.violated(
                f"{event.node} gave offset {offset} at {ns_to_ms(event.time_ns):,} ms after "
                f"{before} in {evidence.epoch_name(epoch)}"
            )
        last[epoch] = max(offset, before or 0)
    return tally.finding(of="records", idle="nothing was appended")


def check_hashes(evidence: Evidence) -> Finding:
    """Where two nodes hold a record of equal epoch and offset, their histories are equal."""
    tally = CheckTally("equal_positions_have_equal_history")
    known: dict[LogPosition, tuple[str, str]] = {}
    for _, event in evidence.events:
        if not isinstance(event, RecordAppended | HistoryApplied) or not event.history:
            continue
        node, place, history = event.node, (event.epoch, event.offset), event.history
        first = known.setdefault(place, (history, node))
        if first[1] == node:
            if first[0] == history:
                continue
        else:
            tally.see()
        if first[0] != history:
            tally.violated(
                f"{node} has {history} at {evidence.place(place)}, {first[1]} has {first[0]}"
            )
    return tally.finding(of="pairs of copies", idle="no record was on two nodes")


def check_digests(evidence: Evidence) -> Finding:
    """Equal histories have equal content: by digest at the end, and where snapshots were taken."""
    tally = CheckTally("equal_histories_have_equal_digests")
    tips: dict[str, LogPosition] = {}
    known: dict[LogPosition, tuple[str, str]] = {}
    for _, event in evidence.events:
        if isinstance(event, RecordAppended | HistoryApplied):
            tips[event.node] = event.epoch, event.offset
        elif isinstance(event, DigestTaken) and event.offset:
            node, digest = event.node, event.digest
            place = evidence.history.at(tips.get(node, NOWHERE), event.offset)
            first = known.setdefault(place, (digest, node))
            if first == (digest, node):
                continue
            tally.see()
            if first[0] != digest:
                tally.violated(
                    f"{node} has content {digest[:12]}… at {evidence.place(place)} "
                    f"({ns_to_ms(event.time_ns):,} ms), {first[1]} has {first[0][:12]}…"
                )
    return tally.finding(of="pairs of digests", idle="no two digests of one history were taken")


def check_answers(evidence: Evidence) -> Finding:
    """Nodes that show equal histories answer alike: equal ids, in order, with equal scores."""
    tally = CheckTally("equal_histories_answer_alike")
    known: dict[tuple[int, str], tuple[str, str]] = {}
    for each in evidence.answers:
        first = known.setdefault((each.offset, each.history), (each.answers, each.node))
        if first[1] != each.node:
            tally.see()
        if first[0] != each.answers:
            tally.violated(
                f"{each.node} at {each.time_ms:,} ms answers otherwise than {first[1]}, "
                f"both at offset {each.offset}"
            )
    return tally.finding(of="pairs of answers", idle="no two nodes were asked at one history")


def check_convergence(evidence: Evidence) -> Finding:
    """With all faults over, all nodes end with one history and equal content."""
    digests = (event for _, event in evidence.events if isinstance(event, DigestTaken))
    ends = [event for event in digests if event.moment == "end"]
    has_master = bool(evidence.history.masters)
    tally = CheckTally(
        "nodes_converge", unpromised="" if has_master else "no node is master at the end"
    )
    tally.see(len(ends) if len(ends) > 1 else 0)
    reference = next(
        (event for event in ends if event.node in evidence.history.masters),
        max(ends, key=lambda event: event.offset, default=None),
    )
    for event in ends:
        if reference is not None and _content(event) != _content(reference):
            tally.violated(
                f"{event.node} ends at offset {event.offset} with content {event.digest[:12]}…, "
                f"{reference.node} at {reference.offset} with {reference.digest[:12]}…"
            )
    return tally.finding(of="nodes", idle="the run was not finished, or has one node")


def _content(event: DigestTaken) -> tuple[int, int, str]:
    return event.offset, event.history, event.digest


def check_applied(evidence: Evidence) -> Finding:
    """Each node applies offset k + 1 after k; only a full sync or a restart goes elsewhere.

    A full sync never takes a node with its state to a lower (epoch, offset).
    """
    tally = CheckTally("applied_exactly_once")
    at: dict[str, LogPosition | None] = {}
    reached: dict[str, int] = defaultdict(int)
    is_replaying: set[str] = set()
    for _, event in evidence.events:
        match event:
            case NodeCrashed(node=node):
                at[node] = None
                if event.kind == "lost_disk":
                    reached[node] = 0
            case StateLost(node=node):
                at[node] = None
                reached[node] = 0
            case NodeStarted(node=node):
                is_replaying.add(node)
            case RecordAppended(node=node, offset=offset):
                at[node] = event.epoch, offset
                reached[node] = offset
            case DiskFlushed(node=node) if node in at:  # A restart replays what the disk has.
                reached[node] = max(reached[node], event.offset)
            case HistoryApplied(node=node, source=source, offset=offset):
                tally.see(source == "stream")
                if problem := _misapplied(event, at.get(node), reached[node], node in is_replaying):
                    tally.violated(
                        f"{node} applied offset {offset} from {source} at "
                        f"{ns_to_ms(event.time_ns):,} ms {problem}"
                    )
                at[node] = event.epoch, offset
                reached[node] = offset if source == "snapshot" else max(reached[node], offset)
                if source != "replay":
                    is_replaying.discard(node)
            case _:
                pass
    return tally.finding(of="operations from a stream", idle="no replica applied a stream")


def _misapplied(
    event: HistoryApplied, before: LogPosition | None, reached: int, is_replaying: bool
) -> str:
    offset = event.offset
    if event.source == "snapshot":
        is_back = before is not None and (event.epoch, offset) < before
        return f"after offset {before[1]}" if is_back and before is not None else ""
    if event.source == "replay" and not is_replaying:
        return "without a restart"
    if before is None:
        return f"having reached only {reached} before" if offset > reached + 1 and reached else ""
    return "" if offset == before[1] + 1 else f"after offset {before[1]}"


def check_quarantine(evidence: Evidence) -> Finding:
    """What cannot be applied is put aside once, and only a full sync goes on from there."""
    tally = CheckTally("quarantined_once")
    stopped: dict[str, int] = {}
    for _, event in evidence.events:
        at_ms = ns_to_ms(event.time_ns)
        match event:
            case RecordQuarantined(node=node, offset=offset):
                tally.see()
                if node in stopped:
                    tally.violated(
                        f"{node} put offset {offset} aside at {at_ms:,} ms, having stopped at "
                        f"{stopped[node]}"
                    )
                stopped[node] = offset
            case NodeStarted(node=node) | StateLost(node=node):
                stopped.pop(node, None)
            case HistoryApplied(node=node, source=source) if node in stopped:
                if source != "snapshot":
                    tally.violated(
                        f"{node} applied offset {event.offset} from {source} at {at_ms:,} ms, "
                        f"having stopped at {stopped[node]}"
                    )
                del stopped[node]
            case _:
                pass
    for node, offset in stopped.items():
        tally.violated(f"{node} has not gone on from offset {offset}")
    return tally.finding(of="quarantined operations", idle="every operation could be applied")
