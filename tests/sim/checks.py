"""What a run must have done, told from its trace alone."""

from vectorkit.sim.world.trace_events import RecordAppended

MASTER = "node-0"


def rows(run, event, **wanted):
    """The rows of this event whose fields are as wanted."""
    found = (row for row in run.trace.rows if row.event == event)
    return [row for row in found if all(getattr(row, k) == v for k, v in wanted.items())]


def statuses(run, replica):
    """The health of a replica as it changed."""
    return [row.kind for row in rows(run, "status", peer=replica)]


def check_history(run):
    """Every node has made the master's history, dense and in order, each operation once."""
    appended = run.trace.of(RecordAppended)
    written = {event.offset: (event.epoch, event.history) for event in appended}
    assert list(written) == list(range(1, len(written) + 1))
    at = dict.fromkeys(sorted(run.stats), 0)
    del at[MASTER]
    for row in rows(run, "apply"):
        assert written[row.number] == (row.value, row.text)
        is_next = row.number == at[row.node] + 1
        is_snapshot = row.kind == "snapshot" and row.number >= at[row.node]
        assert is_next or is_snapshot, row
        at[row.node] = row.number
    assert set(at.values()) <= {len(written)}
    assert run.is_converged


def check_links(run, links):
    """What the nodes have counted is what the links have carried, to the byte."""
    for (source, target), counts in links.items():
        arrived = rows(run, "deliver", node=target, peer=source)
        lost = rows(run, "lost", node=source, peer=target)
        sent = rows(run, "send", node=source, peer=target)
        assert len(sent) == counts.sent_count
        assert counts.in_flight_count == len(sent) - len(arrived) - len(lost) >= 0
        assert counts.sent_bytes == sum(row.value for row in sent)
        assert counts.delivered_bytes == sum(row.value for row in arrived)
        assert counts.lost_bytes == sum(row.value for row in lost)
    for node, stats in run.stats.items():
        ways = links.items()
        assert stats.bytes_sent == sum(c.sent_bytes for (source, _), c in ways if source == node)
        assert stats.bytes_received == sum(
            c.delivered_bytes for (_, target), c in ways if target == node
        )
