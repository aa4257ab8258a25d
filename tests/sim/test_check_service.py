"""Health, syncs and links, on traces made by hand."""

from types import SimpleNamespace

import pytest

from tests.sim.tape import FIRST, SECOND, Tape
from vectorkit import sim
from vectorkit.replication import ReplicationOptions
from vectorkit.sim import ClusterOptions
from vectorkit.sim.checks.service import check_lag, check_links, check_status, check_syncs


def told(found):
    return found.verdict, found.observed_count


def sample(time_ms, *, status="Connected", lag_ms_true=0.0, **more):
    facts = {"node": "node-1", "is_up": True, "lag_ms": 0.0, "lag_operations": 0}
    return SimpleNamespace(
        time_ms=float(time_ms), status=status, lag_ms_true=float(lag_ms_true), **facts | more
    )


def behind(until_ms, **more):
    """Samples of a node that falls further and further behind."""
    return [sample(ms, lag_ms_true=ms, **more) for ms in range(0, until_ms + 1, 500)]


def test_a_node_that_falls_behind_and_is_called_lagging_holds():
    found = check_status(Tape().begin().evidence(samples=behind(9_000, status="Lagging")))
    assert (told(found), found.evidence) == (("held", 0), ("16 samples of nodes that were behind",))


def test_a_node_that_is_called_connected_while_its_true_lag_grows_is_broken_once():
    found = check_status(Tape().begin().evidence(samples=behind(9_000)))
    assert told(found) == ("broken", 1)
    assert found.evidence[0] == (
        "node-1 was Connected from 1,500.0 to 7,000.0 ms and is truly 7,000.0 ms behind"
    )


def test_being_called_connected_for_as_long_as_a_connection_takes_to_end_holds():
    assert told(check_status(Tape().begin().evidence(samples=behind(6_500)))) == ("held", 0)


def test_nodes_that_are_down_or_without_state_are_not_exercised():
    assert check_status(Tape().begin().evidence(samples=behind(9_000, is_up=False))).verdict == (
        "not_exercised"
    )
    lost = Tape().begin().crash(0, "node-1", kind="lost_disk")
    found = check_status(lost.evidence(samples=behind(9_000)))
    assert found.evidence == ("no node was more than 1,000 ms behind",)


STATS = SimpleNamespace(
    lag_ms=0.0, lag_operations=0, operations_pending=0, bytes_sent=30, bytes_received=0
)


def test_lags_of_zero_and_more_hold():
    found = check_lag(Tape().evidence(samples=[sample(0)], stats={"node-0": STATS}))
    assert (told(found), found.evidence) == (("held", 0), ("2 samples",))


def test_a_lag_below_zero_is_broken():
    wrong = SimpleNamespace(**vars(STATS) | {"operations_pending": -2})
    samples = [sample(5, lag_ms=-1.0), sample(6)]
    found = check_lag(Tape().evidence(samples=samples, stats={"node-0": wrong}))
    assert told(found) == ("broken", 2)
    assert found.evidence[:2] == (
        "node-1 at 5.0 ms: lag -1.0 ms, truly 0.0 ms, 0 operations",
        "node-0 at the end: lag 0.0 ms, 0 operations, -2 pending",
    )


def test_without_samples_lag_is_not_exercised():
    assert check_lag(Tape().evidence()).evidence == ("nothing was sampled",)


# Syncs


def full(tape, reason, *, ms=50, node="node-1", master="node-0"):
    text = f"started {reason}".rstrip()
    return tape.add(ms, "sync", master, node, kind="full", text=text)


def synced(options=None):
    tape = Tape() if options is None else Tape(options)
    tape.begin().append(10, "node-0", FIRST, *range(2, 9))
    return tape.apply(20, "node-1", FIRST, 4, by="snapshot")


SMALL = ClusterOptions(replicas=2, replication=ReplicationOptions(log_capacity_operations=3))
CAUSES = {
    "first_sync": (full(Tape().begin(), "first_sync"), "it has offset 4"),
    "too_old": (full(synced(SMALL), "too_old"), "the log reaches back to its offset, 4"),
    "different_history": (
        full(synced().append(30, "node-1", SECOND, 5), "different_history"),
        "its history up to 4 is the master's",
    ),
    "ahead_of_master": (
        full(synced().apply(30, "node-1", FIRST, *range(5, 10)), "ahead_of_master"),
        "its history up to 4 is the master's",
    ),
    "digest_mismatch": (
        full(synced().fault(30, sim.FlipBit(at_ms=30, node="node-1", offset=2)), "digest_mismatch"),
        "nothing was damaged",
    ),
    "poisoned": (
        full(synced().add(30, "quarantine", "node-1", number=5), "poisoned"),
        "it had applied every operation",
    ),
}


@pytest.mark.parametrize("reason", CAUSES)
def test_a_full_sync_with_its_cause_holds_and_without_it_is_broken(reason):
    tape, problem = CAUSES[reason]
    found = check_syncs(tape.evidence())
    assert (told(found), found.evidence) == (("held", 0), ("1 full syncs",))
    found = check_syncs(full(synced(), reason).evidence())
    assert told(found) == ("broken", 1)
    assert found.evidence[0] == (
        f"node-0 began a full sync of node-1 at 50.0 ms for '{reason}': {problem}"
    )


def test_a_replica_that_needs_just_the_oldest_record_still_held_is_not_too_old():
    found = check_syncs(full(synced(SMALL).apply(30, "node-1", FIRST, 5), "too_old").evidence())
    assert told(found) == ("broken", 1)
    assert found.evidence[0].endswith("the log reaches back to its offset, 5")


def test_what_counts_is_what_the_node_had_when_it_asked():
    tape = Tape().begin().append(10, "node-0", FIRST, 2)
    tape.add(11, "send", "node-1", "node-0", "Hello", 7, 40).append(12, "node-1", SECOND, 1)
    tape.add(13, "deliver", "node-0", "node-1", "Hello", 7, 40)
    assert told(check_syncs(full(tape, "first_sync").evidence())) == ("held", 0)


@pytest.mark.parametrize("reason", ["", "because"])
def test_a_full_sync_without_a_reason_of_the_list_is_broken(reason):
    found = check_syncs(full(synced(), reason).evidence())
    assert told(found) == ("broken", 1)
    assert found.evidence[0].endswith("no reason of the list")


def test_partial_syncs_do_not_exercise_the_reasons():
    tape = synced().add(30, "sync", "node-0", "node-1", kind="partial", text="started")
    assert check_syncs(tape.evidence()).evidence == ("no full sync was begun",)


# Links


def carried():
    """node-0 sends two messages, one of them twice: one arrives twice, one is lost."""
    tape = Tape().add(1, "send", "node-0", "node-1", "Records", 2, 10)
    tape.add(1, "send", "node-0", "node-1", "Records", 2, 10, "copy")
    tape.add(2, "send", "node-0", "node-1", "Records", 3, 20)
    tape.add(3, "deliver", "node-1", "node-0", "Records", 2, 10)
    tape.add(3, "deliver", "node-1", "node-0", "Records", 2, 10)
    return tape.add(4, "lost", "node-0", "node-1", "Records", 3, 20, "cut")


def stats(**more):
    return SimpleNamespace(**vars(STATS) | more)


def test_what_was_sent_has_arrived_or_is_lost_and_the_nodes_count_the_same():
    counted = {"node-0": stats(), "node-1": stats(bytes_sent=0, bytes_received=20)}
    found = check_links(carried().evidence(stats=counted))
    assert (told(found), found.evidence) == (("held", 0), ("2 messages",))


def test_a_message_that_arrives_more_often_than_it_was_sent_is_broken():
    found = check_links(
        carried().add(5, "deliver", "node-1", "node-0", "Records", 3, 20).evidence()
    )
    assert told(found) == ("broken", 1)
    assert found.evidence[0] == (
        "Records 3 (20 bytes) from node-0 to node-1 arrived at 5.0 ms more often than it was sent"
    )


def test_a_node_that_counts_other_bytes_than_its_links_is_broken_unless_it_crashed():
    counted = {"node-1": stats(bytes_sent=0, bytes_received=21)}
    found = check_links(carried().evidence(stats=counted))
    assert found.evidence[0] == "node-1 counts 21 bytes received, its links 20"
    assert told(check_links(carried().crash(5, "node-1").evidence(stats=counted))) == ("held", 0)


def test_without_messages_nothing_is_exercised():
    assert check_links(Tape().begin().evidence()).evidence == ("nothing was sent",)
