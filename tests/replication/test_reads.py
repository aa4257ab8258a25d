"""What each policy asks of the node that serves a read, checked by that node alone."""

import pytest

from tests.replication.hands import Hands, delete, insert, read, update
from vectorkit.replication import ReplicationOptions, WriteConcern, majority
from vectorkit.replication.protocol.epochs import FIRST_EPOCH, KnownIndices, epoch_of
from vectorkit.replication.protocol.messages import Announce, ConfirmEpoch, EpochConfirmed, Prepare
from vectorkit.replication.reads import payload_of, proves_reads
from vectorkit.store import VectorStore

ONE = {"write_concern": WriteConcern(count=1)}


def found(replies):
    return [(each.request, each.outcome, each.payload or each.error) for each in replies]


def test_a_read_tells_the_payload_that_there_is_none_or_that_there_is_no_row():
    store = VectorStore()
    store.create_collection("words", dim=2)
    store.upsert("words", ["a", "b"], [[1, 0], [0, 1]], payloads=[{"w": 3, "a": "é"}, None])
    assert payload_of(store, "words", "a") == '{"a": "\\u00e9", "w": 3}'
    assert payload_of(store.snapshot(), "words", "b") == "null"
    assert (payload_of(store, "words", "c"), payload_of(store, "names", "a")) == ("", "")


@pytest.mark.parametrize("policy", ["nearest", "round_robin", "sticky"])
def test_policies_without_a_promise_are_served_by_any_node_with_its_own_position(policy):
    hands = Hands()
    hands.send(insert(1))
    hands.cut = {"node-2"}
    hands.send(update(2))
    (there,) = hands.send(read(3, policy), to="node-1")
    (behind,) = hands.send(read(4, policy), to="node-2")
    assert found([there, behind]) == [(3, "ok", '{"w": 2}'), (4, "ok", '{"w": 1}')]
    assert there.position.offset == behind.position.offset + 1 == hands.master.log.head.offset


@pytest.mark.parametrize("policy", ["master", "linearizable"])
def test_reads_of_the_master_are_refused_by_a_replica_which_names_it(policy):
    (reply,) = Hands(**ONE).send(read(1, policy), to="node-2")
    assert (reply.outcome, reply.error, reply.master) == ("not_master", "not_master", "node-0")


def test_a_master_shows_nothing_that_its_own_disk_does_not_have():
    hands = Hands()
    hands.slow = {"node-0"}
    hands.send(insert(1))
    assert hands.send(read(2)) == hands.send(read(3, "nearest")) == []
    hands.slow = set()
    hands.settle()
    assert found(hands.replies)[1:] == [(2, "ok", '{"w": 1}'), (3, "ok", '{"w": 1}')]


def test_a_master_that_has_just_been_deposed_does_not_show_what_its_disk_does_not_have():
    hands = Hands(**ONE)
    hands.send(insert(1))
    hands.answered()
    hands.slow = {"node-0"}
    hands.cut = {"node-1", "node-2"}
    hands.send(update(2))
    hands.send(Prepare(epoch_of(2, 1), 1), source="node-1")
    assert found(hands.send(read(3, "nearest"))) == [(3, "refused", "unflushed")]


def test_a_read_that_the_disk_never_lets_go_times_out():
    hands = Hands(write_concern=WriteConcern(timeout_ms=500))
    hands.slow = {"node-0"}
    hands.send(insert(1))
    hands.send(read(2))
    hands.advance(ms=500)
    assert hands.answered() == [(1, "timeout"), (2, "timeout")]


# Read your writes


def test_a_node_serves_only_if_it_shows_the_record_that_the_client_has_seen():
    hands = Hands()
    (written,) = hands.send(insert(1))
    hands.cut = {"node-2"}
    (written,) = hands.send(update(2))
    token = {"epoch": written.position.epoch, "offset": written.position.offset}
    for node, expected in (
        ("node-0", (3, "ok", '{"w": 2}')),
        ("node-1", (3, "ok", '{"w": 2}')),
        ("node-2", (3, "refused", "write_not_in_history")),
    ):
        assert found(hands.send(read(3, "read_your_writes", **token), to=node)) == [expected]
    hands.cut = set()
    hands.advance(ms=2_000)
    last = hands.send(read(4, "read_your_writes", **token), to="node-2")
    assert found(last) == [(4, "ok", '{"w": 2}')]


def test_the_same_offset_of_another_epoch_is_not_the_record():
    hands = Hands()
    (written,) = hands.send(insert(1))
    other = {"epoch": epoch_of(2, 1), "offset": written.position.offset}
    for node in hands.nodes:
        replies = hands.send(read(2, "read_your_writes", **other), to=node)
        assert found(replies) == [(2, "refused", "write_not_in_history")]


def test_a_client_that_has_seen_nothing_is_served_by_any_node():
    hands = Hands()
    hands.send(insert(1))
    assert found(hands.send(read(2, "read_your_writes"), to="node-1")) == [(2, "ok", '{"w": 1}')]


# Bounded staleness


def test_a_bound_is_kept_by_the_node_that_serves_and_one_that_knows_nothing_refuses():
    hands = Hands(nodes=2)
    hands.send(insert(1))
    bounded = read(2, "bounded_staleness", bound_ms=1_500)
    assert found(hands.send(bounded, to="node-1")) == [(2, "refused", "too_stale")]
    hands.advance(ms=3_000)  # A heartbeat has gone there and its echo has come back.
    assert found(hands.send(bounded, to="node-1")) == [(2, "ok", '{"w": 1}')]
    hands.cut = {"node-1"}
    hands.send(update(3))
    hands.advance(ms=400)
    assert found(hands.send(bounded, to="node-1")) == [(2, "ok", '{"w": 1}')]
    hands.advance(ms=1_200)
    assert found(hands.send(bounded, to="node-1")) == [(2, "refused", "too_stale")]
    assert found(hands.send(bounded)) == [(2, "ok", '{"w": 3}')]


def test_a_bound_is_counted_from_what_readers_see_not_from_what_is_applied():
    hands = Hands(nodes=2, refresh_ms=5_000)
    hands.send(insert(1))
    hands.advance(ms=6_000)
    hands.send(update(2))
    hands.advance(ms=3_500)
    bounded = read(3, "bounded_staleness", bound_ms=3_000)
    assert found(hands.send(bounded, to="node-1")) == [(3, "refused", "too_stale")]
    assert found(hands.send(read(4, "nearest"), to="node-1")) == [(4, "ok", '{"w": 1}')]


def test_a_master_whose_disk_is_late_refuses_what_has_become_too_stale_while_it_waited():
    hands = Hands()
    hands.send(insert(1))
    hands.slow = {"node-0"}
    for request in (2, 4):
        hands.send(update(request))
        hands.send(read(request + 1, "bounded_staleness", bound_ms=1_000))
        hands.advance(ms=1_000)
    hands.send(update(6))
    hands.advance(ms=1)  # What the first read lacks is older than its bound now, by a little.
    hands.slow = set()
    hands.settle()
    reads = [each for each in found(hands.replies) if each[0] in (3, 5)]
    assert reads == [(3, "refused", "too_stale"), (5, "ok", '{"w": 4}')]


def test_a_master_that_shows_readers_too_little_refuses_a_bounded_read():
    hands = Hands(refresh_ms=5_000)
    hands.send(insert(1))
    hands.advance(ms=6_000)
    hands.send(update(2))
    hands.advance(ms=1_000)
    bounded = read(3, "bounded_staleness", bound_ms=1_000)
    assert found(hands.send(bounded)) == [(3, "ok", '{"w": 1}')]
    hands.advance(ms=1)
    assert found(hands.send(bounded)) == [(3, "refused", "too_stale")]
    assert found(hands.send(read(4, "nearest"))) == [(4, "ok", '{"w": 1}')]


def test_a_master_refuses_a_bounded_read_where_its_log_cannot_say_how_old_it_is():
    hands = Hands(refresh_ms=5_000, log_capacity_operations=2)
    hands.send(insert(1))
    hands.advance(ms=6_000)
    bounded = read(9, "bounded_staleness", bound_ms=60_000)
    for request in (2, 3):
        hands.send(update(request))
    assert found(hands.send(bounded)) == [(9, "ok", '{"w": 1}')]
    hands.send(update(4))
    assert found(hands.send(bounded)) == [(9, "refused", "too_stale")]


def test_how_fresh_a_node_was_of_one_masters_history_says_nothing_of_the_next_ones():
    hands = Hands()
    hands.send(insert(1))
    hands.advance(ms=3_000)
    bounded = read(2, "bounded_staleness", bound_ms=1_500)
    assert found(hands.send(bounded, to="node-2")) == [(2, "ok", '{"w": 1}')]
    hands.cut = {"node-0", "node-1", "node-2"}
    hands.send(Announce(epoch_of(2, 1), 9, 0), to="node-2", source="node-1")
    assert found(hands.send(bounded, to="node-2")) == [(2, "refused", "too_stale")]


# Linearizable reads


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, False),
        ({"write_concern": WriteConcern(count=1, stage="received")}, False),
        ({"write_concern": WriteConcern(count=1, stage="flushed")}, True),
        ({"write_concern": WriteConcern(count="all", stage="visible")}, True),
        (
            {"write_concern": WriteConcern(count=1, stage="applied"), "has_durable_log": False},
            False,
        ),
    ],
)
def test_a_read_can_be_proven_where_writes_stand_on_the_disks_of_several_nodes(options, expected):
    assert proves_reads(ReplicationOptions(**options), nodes=3) is expected


def test_a_master_refuses_linearizable_reads_that_it_could_not_prove():
    hands = Hands()
    hands.send(insert(1))
    assert found(hands.send(read(2, "linearizable"))) == [(2, "refused", "write_concern_too_weak")]


class Rounds:
    """A master of three, n = 1, whose questions are answered by hand."""

    def __init__(self):
        self.hands = Hands(**ONE)
        self.hands.send(insert(1))
        self.hands.answered()
        self.hands.cut = {"node-1", "node-2"}

    def ask(self, request):
        effects = self.hands.master.receive("client-0", read(request, "linearizable"), 0)
        asked = [each.message for each in effects if hasattr(each, "message")]
        assert {type(each) for each in asked} == {ConfirmEpoch}
        assert len(asked) == 2
        return asked[0].round

    def confirm(self, number, index, epoch=FIRST_EPOCH):
        source = f"node-{index & 255}"
        self.hands.send(EpochConfirmed(epoch, number, index), source=source)
        return self.hands.answered()


def test_a_linearizable_read_waits_for_nodes_that_answer_a_round_begun_after_it():
    rounds = Rounds()
    first = rounds.ask(2)
    second = rounds.ask(3)
    assert rounds.confirm(first, 1) == [(2, "ok")]
    assert rounds.confirm(first, 2) == []
    assert rounds.confirm(second, 2) == [(3, "ok")]


def test_the_answer_to_a_later_round_is_one_to_all_before_it():
    rounds = Rounds()
    rounds.ask(2)
    assert rounds.confirm(rounds.ask(3), 1) == [(2, "ok"), (3, "ok")]


def test_answers_of_another_epoch_or_of_an_index_that_was_replaced_prove_nothing():
    rounds = Rounds()
    number = rounds.ask(2)
    assert rounds.confirm(number, 1, epoch=FIRST_EPOCH + 1) == []
    rounds.hands.master.member.learn(KnownIndices(newest=(0, 256 + 1)))
    assert rounds.confirm(number, 1) == []
    assert rounds.confirm(number, 256 + 1) == [(2, "ok")]


def test_what_was_read_must_be_confirmed_before_the_read_is_answered():
    hands = Hands(write_concern=majority())
    hands.send(insert(1))
    hands.answered()
    hands.slow = {"node-1", "node-2"}
    hands.send(update(2))
    hands.send(read(3, "linearizable"))
    assert hands.answered() == []
    hands.slow = set()
    hands.settle()
    assert found(hands.replies) == [(2, "ok", ""), (3, "ok", '{"w": 2}')]


def test_questions_that_went_unanswered_are_asked_again():
    hands = Hands(**ONE)
    hands.cut = {"node-1", "node-2"}
    hands.send(read(2, "linearizable"))
    hands.cut = set()
    assert hands.replies == []
    hands.advance(ms=200)
    assert hands.answered() == [(2, "ok")]


def test_a_linearizable_read_that_cannot_be_proven_in_time_times_out():
    hands = Hands(**ONE)
    hands.cut = {"node-1", "node-2"}
    hands.send(read(2, "linearizable"))
    hands.advance(ms=5_000)
    assert hands.answered() == [(2, "timeout")]


def test_readers_of_a_refreshed_snapshot_see_the_position_that_they_are_told():
    hands = Hands(refresh_ms=1_000)
    hands.send(insert(1))
    (before,) = hands.send(read(2, "nearest"), to="node-1")
    hands.advance(ms=1_000)
    (after,) = hands.send(read(3, "nearest"), to="node-1")
    hands.send(delete(4))
    (kept,) = hands.send(read(5, "nearest"), to="node-1")
    head = hands.master.log.head.offset
    assert (before.payload, before.position.offset) == ("", 1)  # Its epoch has begun.
    assert (after.payload, after.position.offset) == ('{"w": 1}', head - 1)
    assert (kept.payload, kept.position) == (after.payload, after.position)
