"""Each node's copy of the history: the same records, each once, in order, and equal content."""

from __future__ import annotations

from collections import defaultdict

from vectorkit.sim.checks.facts import Facts
from vectorkit.sim.checks.findings import Finding, Tally
from vectorkit.sim.checks.history import NOWHERE, Place
from vectorkit.units import ns_to_ms


def check_masters(facts: Facts) -> Finding:
    """An epoch has one master."""
    tally = Tally("one_master_per_epoch")
    master_of: dict[int, str] = {}
    for _, row in facts.events:
        if row.event == "append" or (row.event == "role" and row.kind == "master"):
            epoch = row.value if row.event == "append" else row.number
            if epoch not in master_of:
                master_of[epoch] = row.node
                tally.see()
            elif master_of[epoch] != row.node:
                tally.violated(
                    f"{row.node} served {facts.epoch_name(epoch)} at {ns_to_ms(row.time_ns):,} ms, "
                    f"which was {master_of[epoch]}'s"
                )
    return tally.finding(of="epochs", idle="no node was master")


def check_offsets(facts: Facts) -> Finding:
    """In each epoch's history, offsets are dense and each is given once."""
    tally = Tally("offsets_are_dense")
    last: dict[int, int] = {}
    for _, row in facts.events:
        if row.event != "append":
            continue
        tally.see()
        begin = facts.history.begins.get(row.value, NOWHERE)[1]
        before = last.get(row.value, begin or None)
        if before is not None and row.number != before + 1:
            tally.violated(
                f"{row.node} gave offset {row.number} at {ns_to_ms(row.time_ns):,} ms after "
                f"{before} in {facts.epoch_name(row.value)}"
            )
        last[row.value] = max(row.number, before or 0)
    return tally.finding(of="records", idle="nothing was appended")


def check_hashes(facts: Facts) -> Finding:
    """Where two nodes hold a record of equal epoch and offset, their histories are equal."""
    tally = Tally("equal_positions_have_equal_history")
    known: dict[Place, tuple[str, str]] = {}
    for _, row in facts.events:
        if row.event not in ("append", "apply") or not row.text:
            continue
        place = row.value, row.number
        first = known.setdefault(place, (row.text, row.node))
        if first[1] == row.node:
            if first[0] == row.text:
                continue
        else:
            tally.see()
        if first[0] != row.text:
            tally.violated(
                f"{row.node} has {row.text} at {facts.place(place)}, {first[1]} has {first[0]}"
            )
    return tally.finding(of="pairs of copies", idle="no record was on two nodes")


def check_digests(facts: Facts) -> Finding:
    """Equal histories have equal content: by digest at the end, and where snapshots were taken."""
    tally = Tally("equal_histories_have_equal_digests")
    tips: dict[str, Place] = {}
    known: dict[Place, tuple[str, str]] = {}
    for _, row in facts.events:
        if row.event in ("append", "apply"):
            tips[row.node] = row.value, row.number
        elif row.event == "digest" and row.number:
            place = facts.history.at(tips.get(row.node, NOWHERE), row.number)
            first = known.setdefault(place, (row.text, row.node))
            if first == (row.text, row.node):
                continue
            tally.see()
            if first[0] != row.text:
                tally.violated(
                    f"{row.node} has content {row.text[:12]}… at {facts.place(place)} "
                    f"({ns_to_ms(row.time_ns):,} ms), {first[1]} has {first[0][:12]}…"
                )
    return tally.finding(of="pairs of digests", idle="no two digests of one history were taken")


def check_answers(facts: Facts) -> Finding:
    """Nodes that show equal histories answer alike: equal ids, in order, with equal scores."""
    tally = Tally("equal_histories_answer_alike")
    known: dict[tuple[int, str], tuple[str, str]] = {}
    for each in facts.answers:
        first = known.setdefault((each.offset, each.history), (each.answers, each.node))
        if first[1] != each.node:
            tally.see()
        if first[0] != each.answers:
            tally.violated(
                f"{each.node} at {each.time_ms:,} ms answers otherwise than {first[1]}, "
                f"both at offset {each.offset}"
            )
    return tally.finding(of="pairs of answers", idle="no two nodes were asked at one history")


def check_convergence(facts: Facts) -> Finding:
    """With all faults over, all nodes end with one history and equal content."""
    ends = [row for _, row in facts.events if row.event == "digest" and row.kind == "end"]
    has_master = bool(facts.history.masters)
    tally = Tally("nodes_converge", unpromised="" if has_master else "no node is master at the end")
    tally.see(len(ends) if len(ends) > 1 else 0)
    reference = next(
        (row for row in ends if row.node in facts.history.masters),
        max(ends, key=lambda row: row.number, default=None),
    )
    for row in ends:
        if reference is not None and row[5:] != reference[5:]:
            tally.violated(
                f"{row.node} ends at offset {row.number} with content {row.text[:12]}…, "
                f"{reference.node} at {reference.number} with {reference.text[:12]}…"
            )
    return tally.finding(of="nodes", idle="the run was not finished, or has one node")


def check_applied(facts: Facts) -> Finding:
    """Each node applies offset k + 1 after k; only a full sync or a restart goes elsewhere.

    A full sync never takes a node with its state to a lower (epoch, offset).
    """
    tally = Tally("applied_exactly_once")
    at: dict[str, Place | None] = {}
    reached: dict[str, int] = defaultdict(int)
    is_replaying: set[str] = set()
    for _, row in facts.events:
        node = row.node
        if row.event in ("crash", "lost_state"):
            at[node] = None
            if row.event == "lost_state" or row.kind == "lost_disk":
                reached[node] = 0
        elif row.event == "start":
            is_replaying.add(node)
        elif row.event == "append":
            at[node] = row.value, row.number
            reached[node] = row.number
        elif row.event == "flush" and node in at:
            reached[node] = max(reached[node], row.number)  # A restart replays what the disk has.
        elif row.event == "apply":
            tally.see(row.kind == "stream")
            if problem := _misapplied(
                row.kind, row[5:7], at.get(node), reached[node], node in is_replaying
            ):
                tally.violated(
                    f"{node} applied offset {row.number} from {row.kind} at "
                    f"{ns_to_ms(row.time_ns):,} ms {problem}"
                )
            at[node] = row.value, row.number
            reached[node] = row.number if row.kind == "snapshot" else max(reached[node], row.number)
            if row.kind != "replay":
                is_replaying.discard(node)
    return tally.finding(of="operations from a stream", idle="no replica applied a stream")


def _misapplied(
    kind: str, where: tuple[int, int], before: Place | None, reached: int, is_replaying: bool
) -> str:
    offset, epoch = where
    if kind == "snapshot":
        is_back = before is not None and (epoch, offset) < before
        return f"after offset {before[1]}" if is_back and before is not None else ""
    if kind == "replay" and not is_replaying:
        return "without a restart"
    if before is None:
        return f"having reached only {reached} before" if offset > reached + 1 and reached else ""
    return "" if offset == before[1] + 1 else f"after offset {before[1]}"


def check_quarantine(facts: Facts) -> Finding:
    """What cannot be applied is put aside once, and only a full sync goes on from there."""
    tally = Tally("quarantined_once")
    stopped: dict[str, int] = {}
    for _, row in facts.events:
        if row.event == "quarantine":
            tally.see()
            if row.node in stopped:
                tally.violated(
                    f"{row.node} put offset {row.number} aside at {ns_to_ms(row.time_ns):,} ms, "
                    f"having stopped at {stopped[row.node]}"
                )
            stopped[row.node] = row.number
        elif row.event in ("start", "lost_state"):
            stopped.pop(row.node, None)
        elif row.event == "apply" and row.node in stopped:
            if row.kind != "snapshot":
                tally.violated(
                    f"{row.node} applied offset {row.number} from {row.kind} at "
                    f"{ns_to_ms(row.time_ns):,} ms, having stopped at {stopped[row.node]}"
                )
            del stopped[row.node]
    for node, offset in stopped.items():
        tally.violated(f"{node} has not gone on from offset {offset}")
    return tally.finding(of="quarantined operations", idle="every operation could be applied")
