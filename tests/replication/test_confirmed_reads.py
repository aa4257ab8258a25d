"""Reads under `confirmed` show nothing that the write concern does not hold for, at any node."""

import pytest

from tests.replication.hands import CLIENT, Hands, insert, read, update
from vectorkit.replication import Send, WriteConcern, majority
from vectorkit.replication.protocol.epochs import epoch_of
from vectorkit.replication.protocol.messages import Ack, Announce, AskConfirmed, Confirmed

TWO = {"write_concern": WriteConcern(count=2, timeout_ms=1_000)}


def found(replies):
    return [(each.request, each.outcome, each.payload or each.error) for each in replies]


def filled(**options):
    """Three nodes, all with {"w": 1} and all of them told that this is confirmed."""
    hands = Hands(**(options or TWO))
    hands.send(insert(1))
    for node in hands.nodes:
        assert found(hands.send(read(0, "confirmed"), to=node)) == [(0, "ok", '{"w": 1}')]
    hands.replies.clear()
    return hands


@pytest.mark.parametrize("node", ["node-0", "node-1"])
def test_a_read_waits_until_the_write_concern_holds_for_what_it_found(node):
    hands = filled()
    hands.slow = {"node-2"}
    hands.send(update(2))
    assert hands.send(read(3, "confirmed"), to=node) == []
    assert found(hands.send(read(4, "nearest"), to=node)) == [(4, "ok", '{"w": 2}')]
    hands.replies.clear()
    hands.slow = set()
    hands.settle()
    assert found(hands.replies) == [(2, "ok", ""), (3, "ok", '{"w": 2}')]
    assert hands.replies[-1].position == hands.master.log.head


def test_a_replica_that_lags_shows_confirmed_state_at_once_and_asks_nobody():
    hands = filled()
    hands.cut = {"node-2"}
    hands.send(update(2))
    hands.answered()
    (reply,) = hands.send(read(3, "confirmed"), to="node-2")
    assert (reply.payload, reply.position.offset) == ('{"w": 1}', hands.master.log.head.offset - 1)


@pytest.mark.parametrize("node", ["node-0", "node-1"])
def test_what_is_not_confirmed_in_time_is_not_shown(node):
    hands = filled()
    hands.slow = {"node-2"}
    hands.send(update(2))
    hands.send(read(3, "confirmed"), to=node)
    hands.advance(ms=1_000)
    assert (3, "timeout") in hands.answered()


def test_a_cut_off_master_shows_nothing_of_what_only_it_has():
    hands = filled()
    hands.cut = {"node-0"}
    hands.send(update(2))
    hands.send(read(3, "confirmed"))
    assert hands.replies == []
    hands.advance(ms=1_000)
    assert hands.answered() == [(2, "timeout"), (3, "timeout")]


def test_a_replica_that_follows_no_master_refuses_what_it_cannot_know_to_be_confirmed():
    hands = filled()
    hands.slow = {"node-2"}
    hands.send(update(2))
    hands.cut = {"node-1"}
    hands.advance(ms=6_000)  # The connection is over.
    hands.replies.clear()
    assert found(hands.send(read(3, "confirmed"), to="node-1")) == [(3, "refused", "unconfirmed")]
    assert found(hands.send(read(4, "nearest"), to="node-1")) == [(4, "ok", '{"w": 2}')]


def test_a_node_that_was_master_does_not_show_what_it_never_confirmed():
    hands = filled(write_concern=majority(timeout_ms=1_000))
    hands.cut = {"node-0"}
    hands.send(update(2))
    hands.take("node-1", hands.nodes["node-1"].promote(hands.now_ns))
    hands.settle()
    hands.replies.clear()
    hands.cut = {"node-1", "node-2"}  # All that node-0 hears is that there is another master.
    hands.send(Announce(epoch_of(2, 1), 9, 0), source="node-1")
    hands.settle()
    assert hands.master.role.name == "replica"
    assert found(hands.send(read(3, "confirmed"))) == [(3, "refused", "unconfirmed")]
    assert found(hands.send(read(4, "nearest"))) == [(4, "ok", '{"w": 2}')]
    hands.cut = set()
    hands.advance(ms=40_000, step_ms=500)
    assert found(hands.send(read(5, "confirmed"))) == [(5, "ok", '{"w": 1}')]


def test_what_was_confirmed_once_is_shown_by_a_node_that_follows_another_master():
    hands = filled()
    hands.cut = {"node-0", "node-1"}
    hands.send(Announce(epoch_of(2, 1), 9, 0), to="node-2", source="node-1")
    assert hands.nodes["node-2"].role.epoch == epoch_of(2, 1)
    assert found(hands.send(read(2, "confirmed"), to="node-2")) == [(2, "ok", '{"w": 1}')]


def test_a_read_that_is_held_back_survives_a_lost_connection():
    hands = filled(
        write_concern=WriteConcern(count=2, timeout_ms=60_000), connection_timeout_ms=2_000
    )
    hands.slow = {"node-2"}
    hands.send(update(2))
    hands.send(read(3, "confirmed"), to="node-1")
    hands.cut = {"node-1"}
    hands.advance(ms=10_000)
    hands.cut, hands.slow = set(), set()
    hands.replies.clear()
    hands.advance(ms=30_000, step_ms=100)
    assert (3, "ok", '{"w": 2}') in found(hands.replies)


def test_a_question_that_went_unanswered_is_asked_again_and_one_that_is_under_way_is_not():
    hands = filled()
    hands.slow = {"node-2"}
    hands.send(update(2))
    replica = hands.nodes["node-1"]

    def asked(effects):
        sent = [each.message for each in effects if isinstance(each, Send)]
        return [each.offset for each in sent if isinstance(each, AskConfirmed)]

    head, now_ns = hands.master.log.head.offset, hands.now_ns
    for request, expected in ((3, [head]), (4, [])):  # One question for all that wait for it.
        message = read(request, "confirmed")
        assert asked(replica.receive(CLIENT, message, now_ns)) == expected
    assert asked(replica.tick(now_ns + 199_999_999)) == []
    assert asked(replica.tick(now_ns + 200_000_000)) == [head]


def test_reads_at_a_replica_are_answered_one_by_one_while_ever_more_is_written():
    """A master tells how far it has come, also where a replica waits for more than that."""
    hands = filled(write_concern=WriteConcern(count=1, timeout_ms=1_000))
    master, generations = hands.master, [each.generation for each in hands.master.role.peers]
    hands.cut = {"node-1", "node-2"}
    hands.send(update(2))
    hands.send(update(3))
    head = master.log.head
    for back in (1, 0):
        question = AskConfirmed(generations[0], head.offset - back)
        assert hands.master.receive("node-1", question, hands.now_ns) == []
    told = []
    for entry in master.log.since(head.offset - 2):
        ack = Ack(generations[1], entry.position, *4 * [entry.record.offset])
        effects = master.receive("node-2", ack, hands.now_ns)
        told += [each.message for each in effects if isinstance(each, Send)]
    confirmed = [each for each in told if isinstance(each, Confirmed)]
    assert [each.offset for each in confirmed] == [head.offset - 1, head.offset]


def test_what_is_confirmed_beyond_a_replicas_log_says_nothing_of_what_it_takes_later():
    hands = filled(write_concern=WriteConcern(count=1, timeout_ms=1_000))
    hands.cut = {"node-2"}
    for request in (2, 3, 4):
        hands.send(update(request))
    member, far = hands.nodes["node-2"].member, hands.master.log.head.offset
    member.note_confirmed(far)
    here = member.log.head
    assert here.offset < far
    assert member.is_confirmed(here[:2])
    hands.cut = {"node-0", "node-1"}
    entry = hands.master.log.entry(here.offset + 1)
    member.extend([entry.record], [entry.hash])
    assert not member.is_confirmed(entry.position[:2])


def test_with_a_refreshed_snapshot_the_answer_is_that_of_the_snapshot():
    hands = Hands(refresh_ms=1_000, **TWO)
    hands.send(insert(1))
    hands.advance(ms=1_000)
    hands.send(update(2))
    for node in hands.nodes:
        hands.send(read(3, "confirmed"), to=node)
    shown = [each for each in hands.replies if each.request == 3]
    assert found(shown) == 3 * [(3, "ok", '{"w": 1}')]


def test_without_a_concern_what_the_masters_own_disk_has_is_confirmed():
    hands = Hands()
    hands.slow = {"node-0"}
    hands.send(insert(1))
    assert hands.send(read(2, "confirmed")) == hands.send(read(3, "confirmed"), to="node-1") == []
    hands.slow = set()
    hands.settle()
    assert found(hands.replies) == [
        (1, "ok", ""),
        (2, "ok", '{"w": 1}'),
        (3, "ok", '{"w": 1}'),
    ]
