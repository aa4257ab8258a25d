"""What the frames of any run must say: each function gives what is untrue in those of one."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pandas as pd

from vectorkit.sim.analysis.write_history import write_histories
from vectorkit.sim.world.trace_events import (
    ConcernDegraded,
    ConcernTimedOut,
    FaultChanged,
    MessageDelivered,
    MessageLost,
    MessageSent,
    NodeCrashed,
    RecordAppended,
    RecordQuarantined,
    RequestCompleted,
    RequestInvoked,
    SyncReported,
)

TOLD = ("ok", "degraded", "timeout")
WRITES = ("write", "delete")
FATES = {"confirmed", "kept", "lost"}


def untruths(run):
    """All that is untrue in the frames of a run, in words."""
    rules = (operations, lives, reads, requests, messages, roles, syncs, nodes, faults, health)
    return [f"{rule.__name__}: {what}" for rule in rules for what in rule(run)]


def _later(frame, first, then):
    """Rows in which a stage comes before the one that it follows."""
    wrong = frame[frame[then] < frame[first]]
    for _, row in wrong.iterrows():
        yield f"{then} {row[then]} before {first} {row[first]}: {row.to_dict()}"


def operations(run):
    """Each record has one owner, its stages are in order, and fates and outcomes add up."""
    frame, written = run.operations, run.trace.of(RecordAppended)
    owners = {}
    for event in written:
        owners.setdefault((event.epoch, event.offset), (event.client, event.request))
    if len(frame) != len(owners) or frame.duplicated(["epoch", "offset"]).any():
        yield f"{len(frame)} rows of {len(owners)} records"
    asked = {event.request: event for event in run.trace.of(RequestInvoked)}
    for row in frame.itertuples():
        client, request = owners[row.epoch, row.offset]
        told = (None, None) if pd.isna(row.request) else (row.client, row.request)
        if told != ((client, request) if client else (None, None)):
            yield f"{row} is of {client} {request}"
        elif client and (row.key, asked[request].client) != (str(asked[request].key), client):
            yield f"{row} has another key or client than {asked[request]}"
    for first, then in (
        ("invoked_ms", "written_ms"),
        ("written_ms", "flushed_ms"),
        ("written_ms", "applied_ms_first"),
        ("applied_ms_first", "applied_ms_last"),
        ("applied_ms_first", "visible_ms_first"),
        ("visible_ms_first", "visible_ms_last"),
        ("written_ms", "confirmed_ms"),
        ("written_ms", "answered_ms"),
        ("invoked_ms", "answered_ms"),
    ):
        yield from _later(frame, first, then)
    yield from _later(frame[frame["outcome"] == "ok"], "confirmed_ms", "answered_ms")
    if not frame["copy_count"].between(1, len(run.options.node_ids)).all():
        yield f"copies {sorted(set(frame['copy_count']))}"
    kept = frame[frame["fate"] == "kept"]
    if sorted(kept["offset"]) != list(range(1, len(kept) + 1)):
        yield f"kept offsets are not dense: {len(kept)}"
    if set(frame["fate"]) - {"kept", "lost"}:
        yield f"fates {set(frame['fate'])}"
    named = frame[frame["outcome"].isin(TOLD)]
    if named["request"].duplicated().any():
        yield "a request is answered twice"
    if (named["answered_ms"].isna() | named["request"].isna()).any():
        yield "an answer without a time or a request"
    if frame[~frame["outcome"].isin(TOLD)]["answered_ms"].notna().any():
        yield "an answer that names no record has a time"


def lives(run):
    """On each node a record is flushed, applied and shown in this order."""
    has_disks = run.options.protocol.has_durable_log
    for life in write_histories(run.evidence).values():
        for node, (applied_ns, source) in life.applied_ns.items():
            flushed_ns = life.flushed_ns.get(node)
            if applied_ns < life.written_ns:
                yield f"{node} applied {life.place} before it was written"
            if has_disks and source == "stream" and (flushed_ns is None or flushed_ns > applied_ns):
                yield f"{node} flushed {life.place} at {flushed_ns}, applied at {applied_ns}"
            if life.visible_ns.get(node, applied_ns) < applied_ns:
                yield f"{node} showed {life.place} before it was applied"
            if life.acked_ns.get(node, applied_ns) < applied_ns and source == "append":
                yield f"{node} acked {life.place}, its own"
        for node, flushed_ns in life.flushed_ns.items():
            if flushed_ns < life.written_ns:
                yield f"{node} flushed {life.place} before it was written"
        for node, acked_ns in life.acked_ns.items():
            if acked_ns < life.flushed_ns.get(node, acked_ns):
                yield f"{node} acked {life.place} before it was flushed"


def reads(run):
    """Each read is a row, answered after it was asked for, with a value only where it went well."""
    frame = run.reads
    asked = [event.request for event in run.trace.of(RequestInvoked) if event.kind == "read"]
    if frame["request"].tolist() != asked:
        yield f"{len(frame)} rows of {len(asked)} reads"
    yield from _later(frame, "invoked_ms", "answered_ms")
    good = frame["outcome"] == "ok"
    for column in ("value", "epoch", "offset", "staleness_ms", "staleness_operations"):
        if not (frame[column].notna() == good).all():
            yield f"{column} where the read failed, or none where it went well"
    if frame[~good]["fate"].notna().any() or set(frame["fate"].dropna()) - FATES:
        yield f"fates {set(frame['fate'])}, also of reads that failed"
    clean = frame[frame["policy"].isin(["confirmed", "linearizable"]) & frame["fate"].notna()]
    guarantee = run.evidence.guarantee
    is_in_force = not guarantee.unpromised and guarantee.void_ns is None
    if is_in_force and set(clean["fate"]) - {"confirmed"}:
        yield f"reads of what is not confirmed: {clean.to_dict('records')}"
    if (frame[["staleness_ms", "staleness_operations"]].fillna(0) < 0).any(axis=None):
        yield "a read that is fresher than the master"
    taken = frame["answered_ms"] - frame["invoked_ms"]
    if not np.allclose(taken.dropna(), frame["latency_ms"].dropna()):
        yield "a latency that is not the time between question and answer"


def requests(run):
    """What the outcome of a run counts is what the frames and the trace hold."""
    frame = run.operations
    ends = run.trace.of(RequestCompleted)
    kinds = {event.request: event.kind for event in run.trace.of(RequestInvoked)}
    told = Counter(event.outcome for event in ends if kinds[event.request] in WRITES)
    named = Counter(frame["outcome"].dropna())
    for outcome in ("degraded", "ok", "timeout"):
        if named[outcome] > told[outcome]:
            yield f"{named[outcome]} records answered as {outcome}, of {told[outcome]} answers"
    degraded = run.trace.of(ConcernDegraded)
    if named["degraded"] > len(degraded):
        yield f"{named['degraded']} degraded records, {len(degraded)} degraded answers of masters"


def messages(run):
    """Each message is sent once, and has one fate; bytes are those of statistics."""
    frame = run.messages
    yield from _later(frame, "sent_ms", "arrived_ms")
    yield from _later(frame, "sent_ms", "lost_ms")
    counts = [len(run.trace.of(kind)) for kind in (MessageSent, MessageDelivered, MessageLost)]
    found = [len(frame), frame["arrived_ms"].notna().sum(), frame["lost_ms"].notna().sum()]
    if counts != found:
        yield f"{found} rows of {counts} messages sent, delivered, lost"
    ended = frame[["arrived_ms", "lost_ms"]].notna().sum(axis=1)
    is_flying = frame["fate"] == "in_flight"
    if (ended > 1).any() or not ((ended == 0) == is_flying).all():
        yield "a message with two ends, or with none and not in flight"
    crashed = {event.node for event in run.trace.of(NodeCrashed)}
    for node, stats in run.stats.items():
        sent = frame[(frame["source"] == node) & ~frame["is_copy"]]["bytes"].sum()
        arrived = frame[(frame["target"] == node) & frame["arrived_ms"].notna()]["bytes"].sum()
        if node not in crashed and (stats.bytes_sent, stats.bytes_received) != (sent, arrived):
            yield f"{node} counts {stats.bytes_sent}, {stats.bytes_received}: {sent}, {arrived}"


def roles(run):
    """The stretches of a node follow each other without gaps, up to the end of the run."""
    frame = run.roles
    for node in run.options.node_ids:
        own = frame[frame["node"] == node]
        spans = list(zip(own["started_ms"], own["ended_ms"], strict=True))
        if spans[0][0] != 0 or spans[-1][1] != run.duration_ms:
            yield f"{node} is nothing at the begin or the end: {spans[0]}, {spans[-1]}"
        if any(one[1] != other[0] for one, other in pairwise(spans)):
            yield f"{node} has a gap: {spans}"
        if any(begin > end for begin, end in spans):
            yield f"{node} ends before it begins: {spans}"
        if (own["role"] == "master").sum() and own[own["role"] == "master"]["epoch"].isna().any():
            yield f"{node} serves no epoch"
        is_master = own["role"].iloc[-1] == "master"
        if is_master != (run.stats[node].role == "master"):
            yield f"{node} ends as {own['role'].iloc[-1]}, and is {run.stats[node].role}"


def syncs(run):
    """Each sync of a master is a row; it ends after it begins, or is open."""
    frame = run.syncs
    begun = [
        event
        for event in run.trace.of(SyncReported)
        if event.phase == "started" and event.node != event.peer
    ]
    if len(frame) != len(begun):
        yield f"{len(frame)} rows of {len(begun)} syncs"
    yield from _later(frame, "started_ms", "ended_ms")
    if not (frame["ended_ms"].isna() == (frame["outcome"] == "open")).all():
        yield "a sync that is open has an end, or one that is over has none"


def nodes(run):
    """Offsets, digests and counts of nodes are those of their samples and of the trace."""
    frame = run.nodes.set_index("node")
    crashed = {event.node for event in run.trace.of(NodeCrashed)}
    applied = dict.fromkeys(frame.index, 0)
    for life in write_histories(run.evidence).values():
        if life.is_kept:
            for node in life.applied_ns:
                applied[node] += 1
    if run.is_converged and frame[["offset", "digest"]].nunique().tolist() != [1, 1]:
        yield "nodes that are converged differ"
    for node, stats in run.stats.items():
        if run.is_converged and frame["offset"][node] != applied[node]:
            yield f"{node} ends at {frame['offset'][node]}, and has applied {applied[node]}"
        if node in crashed:
            continue
        for kind, counted in (
            (ConcernDegraded, stats.degraded_acks),
            (ConcernTimedOut, stats.write_concern_timeouts),
            (RecordQuarantined, stats.quarantined_operations),
        ):
            seen = sum(event.node == node for event in run.trace.of(kind))
            if seen != counted:
                yield f"{node} counts {counted} {kind.__name__}, the trace {seen}"


def faults(run):
    """Each fault that hit the cluster is a row, and ends after it begins."""
    frame = run.fault_windows
    hit = [event.number for event in run.trace.of(FaultChanged) if event.phase == "start"]
    if frame["number"].tolist() != hit:
        yield f"{frame['number'].tolist()} of {hit}"
    yield from _later(frame, "started_ms", "ended_ms")


def health(run):
    """Samples are in order of time, no lag is negative, no offset beyond the head is applied."""
    frame = run.health
    for node, own in frame.groupby("node"):
        if not own["time_ms"].is_monotonic_increasing:
            yield f"samples of {node} are out of order"
    if (frame[["lag_ms", "lag_ms_true", "lag_operations"]] < 0).any(axis=None):
        yield "a negative lag"
    shares = run.recall[["recall", "staleness_loss", "quantization_loss", "order_loss"]]
    if len(shares) and not np.allclose(shares.sum(axis=1), 1):
        yield "shares of recall that do not add up to 1"
