"""What a master owes those who write: an answer that is true when it is given, and one only."""

import sys

import pytest

from tests.replication.hands import CLIENT, Hands, delete, insert, read, update
from vectorkit.replication import WriteConcern, majority
from vectorkit.replication.protocol.epochs import epoch_of
from vectorkit.replication.protocol.messages import Prepare


def concern(count, timeout_ms=1_000, **more):
    return {"write_concern": WriteConcern(count=count, timeout_ms=timeout_ms, **more)}


def test_without_a_concern_a_write_is_answered_once_the_masters_own_disk_has_it():
    hands = Hands()
    hands.slow = {"node-0"}
    assert hands.send(insert(1)) == []
    hands.slow = set()
    hands.settle()
    (reply,) = hands.replies
    assert (reply.request, reply.outcome, reply.master) == (1, "ok", "node-0")
    assert reply.position == hands.master.log.head


def test_a_write_is_answered_when_as_many_replicas_as_asked_for_have_flushed_it():
    hands = Hands(**concern(2))
    hands.slow = {"node-1"}
    assert hands.send(insert(1)) == []
    hands.slow = set()
    hands.settle()
    assert hands.answered() == [(1, "ok")]


def test_acks_of_replicas_do_not_stand_in_for_the_masters_own_copy():
    hands = Hands(**concern(1))
    hands.slow = {"node-0"}
    assert hands.send(insert(1)) == []
    assert hands.master.role.clients.confirmed_by(hands.master.log.head.offset) == 2
    hands.slow = set()
    hands.settle()
    assert hands.answered() == [(1, "ok")]


def test_all_means_all_that_are_configured_not_all_that_are_connected():
    hands = Hands(**concern("all"))
    hands.cut = {"node-2"}
    assert hands.send(insert(1)) == []
    hands.advance(ms=1_000)
    assert hands.answered() == [(1, "timeout")]


def test_a_timeout_tells_how_many_have_confirmed_and_where_the_write_stands():
    hands = Hands(**concern(2))
    hands.cut = {"node-2"}
    assert hands.send(insert(1)) == []
    hands.advance(ms=950)
    assert hands.replies == []
    hands.advance(ms=50)
    (reply,) = hands.replies
    assert (reply.outcome, reply.confirmed) == ("timeout", 1)
    assert reply.position == hands.master.log.head
    assert hands.master.stats(hands.now_ns).write_concern_timeouts == 1
    hands.cut = set()
    hands.advance(ms=20_000)
    assert hands.replies == [reply]  # It has taken effect, and nobody is told twice.
    assert {node.store.digest() for node in hands.nodes.values()} == {hands.master.store.digest()}


def test_a_concern_that_degrades_says_so_and_counts_it():
    hands = Hands(**concern(2, on_timeout="degrade"))
    hands.cut = {"node-2"}
    hands.send(insert(1))
    hands.advance(ms=1_000)
    (reply,) = hands.replies
    assert (reply.outcome, reply.confirmed) == ("degraded", 1)
    stats = hands.master.stats(hands.now_ns)
    assert (stats.degraded_acks, stats.write_concern_timeouts) == (1, 0)


def test_what_not_even_the_masters_disk_has_is_never_acknowledged_as_degraded():
    hands = Hands(**concern(2, on_timeout="degrade"))
    hands.slow = {"node-0"}
    hands.cut = {"node-2"}
    hands.send(insert(1))
    hands.advance(ms=1_000)
    assert hands.answered() == [(1, "timeout")]
    assert hands.master.stats(hands.now_ns).degraded_acks == 0


def test_a_master_that_has_promised_higher_replies_to_nobody():
    hands = Hands(**concern(1))
    hands.cut = {"node-1", "node-2"}
    hands.send(insert(1))
    hands.send(read(2, "linearizable"))
    hands.cut = {"node-2"}
    hands.slow = {"node-0"}  # The promise is in force before it is durable.
    hands.send(Prepare(epoch_of(2, 1), 1), source="node-1")
    hands.slow = set()
    hands.advance(ms=2_000)
    assert hands.replies == []


def test_a_promise_holds_back_answers_from_the_moment_that_it_is_made():
    hands = Hands(**concern(1))
    hands.cut = {"node-1", "node-2"}
    hands.send(insert(1))
    hands.cut = set()
    hands.master.member.promise += 1
    hands.advance(ms=500)
    assert hands.replies == []


def test_a_copy_of_a_write_is_not_a_second_write():
    hands = Hands()
    hands.send(insert(1))
    hands.send(update(2))
    head = hands.master.log.head
    assert hands.send(insert(1)) == []
    assert hands.master.log.head == head
    assert [each.request for each in hands.send(insert(1), source="client-1")] == [1]


def test_a_copy_that_comes_after_more_writes_than_are_remembered_is_dropped_too(monkeypatch):
    monkeypatch.setattr("vectorkit.replication.master.pending_requests.REMEMBERED", 3)
    hands = Hands()
    for request in range(1, 7):
        hands.send(insert(request))
    head = hands.master.log.head
    for request in range(1, 7):
        assert hands.send(insert(request)) == []
    assert hands.master.log.head == head
    assert [each.request for each in hands.send(insert(7))] == [7]


def test_a_write_that_the_store_refuses_is_answered_with_the_code_of_its_error():
    hands = Hands()
    (reply,) = hands.send(update(1, "nobody"))
    assert (reply.outcome, reply.error) == ("refused", "vector_not_found")
    assert reply.position.offset == 0


def test_a_delete_of_what_is_not_there_is_answered_once_that_is_confirmed():
    hands = Hands(**concern(1))
    hands.send(insert(1))
    hands.cut = {"node-1", "node-2"}
    hands.send(delete(2))
    hands.send(delete(3))
    assert hands.answered() == [(1, "ok")]
    head = hands.master.log.head
    hands.cut = set()
    hands.advance(ms=500)
    assert [(each.request, each.outcome, each.position) for each in hands.replies] == [
        (2, "ok", head),
        (3, "ok", head),
    ]


def test_a_replica_makes_no_write_and_names_its_master():
    hands = Hands()
    (reply,) = hands.send(insert(1), to="node-1")
    assert (reply.outcome, reply.error, reply.master) == ("not_master", "not_master", "node-0")


def calls_of(work):
    """How many Python functions are called."""
    count = 0

    def note(_frame, event, _argument):
        nonlocal count
        count += event == "call"

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("policy", ["master", "linearizable"])
def test_counting_again_costs_the_same_however_many_wait(policy):
    hands = Hands(write_concern=majority(timeout_ms=60_000))
    hands.send(insert(1))
    hands.slow = {"node-0", "node-1", "node-2"}
    hands.send(insert(2))
    costs = []
    for number in range(3, 503):
        hands.take("node-0", hands.master.receive(CLIENT, read(number, policy), 0))
        hands.take("node-0", hands.master.receive(CLIENT, insert(number + 1_000), 0))
        costs.append(calls_of(hands.master.role.clients.settle))
    assert len(set(costs)) == 1
    hands.slow = set()
    hands.settle()
    assert len(hands.answered()) == 2 + 500 + 500
