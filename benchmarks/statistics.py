"""What counting one replicated operation costs, in CPU and measured alone: at most 10 µs.

    python -m benchmarks.statistics [--repeats 7]

One operation, one replica, one message each: the master's count of what it sends and of the ack
that comes back, and the replica's of what it receives, applies and confirms. Nothing else is timed.
"""

from __future__ import annotations

from time import process_time_ns

from benchmarks import common
from vectorkit.operations import DropCollection
from vectorkit.replication import ReplicationLog
from vectorkit.replication.messages import Ack, Message, Records
from vectorkit.replication.peer import Peer
from vectorkit.replication.stats import Counters
from vectorkit.replication.wire import wire_size

BAR_US = 10.0


def microseconds_per_operation(operations: int, repeats: int) -> float:
    """The best of so many rounds: what other processes take from a round is not the cost."""
    return min(_round_ns(operations) for _ in range(repeats)) / operations / 1_000


def _round_ns(operations: int) -> int:
    log = ReplicationLog(capacity_operations=operations, capacity_bytes=1 << 30)
    entries = [log.append(DropCollection("words"), epoch=1, now_ns=0) for _ in range(operations)]
    exchanges: list[tuple[Records, Ack]] = []
    for entry in entries:
        offset = entry.record.offset
        ack = Ack(1, entry.position, offset, offset, offset, offset)
        exchanges.append((Records(1, (entry.record,), entry.hash), ack))
    master, replica, peer = Counters(), Counters(), Peer("node-1", registered_ns=0)
    started_ns = process_time_ns()
    for records, ack in exchanges:
        _count_sent(master, records)
        _count_received(replica, records)
        replica.total_replicated += 1
        _count_sent(replica, ack)
        _count_received(master, ack)
        newly_applied = peer.take_positions(ack)
        peer.operations_synced += newly_applied
        master.total_replicated += newly_applied
        peer.note_lag(log)
        peer.applied_bytes = log.bytes_until(ack.applied_offset)
    taken_ns = process_time_ns() - started_ns
    counted = (master.total_replicated, replica.total_replicated, peer.operations_synced)
    assert counted == (operations,) * 3
    return taken_ns


def _count_sent(counters: Counters, message: Message) -> None:
    counters.bytes_sent += wire_size(message)


def _count_received(counters: Counters, message: Message) -> None:
    counters.bytes_received += wire_size(message)


def main() -> None:
    options = common.parse(common.parser(__doc__))
    report = common.Report("statistics", options)
    operations = 1_000 if options.quick else 100_000
    with common.exclusive(options.lock):
        cost_us = microseconds_per_operation(operations, options.repeats)
    report.table(
        "statistics of one operation",
        [{"operations": operations, "us": cost_us, "repeats": options.repeats}],
    )
    report.bar("CPU of the statistics of an operation, µs", cost_us, BAR_US, "lower")


if __name__ == "__main__":
    main()
