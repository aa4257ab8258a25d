"""Answers that rest on state, refusals and writes without effect, are linearizable reads."""

import numpy as np
import pytest

from tests.replication.hands import CLIENT, Hands, delete, insert, read, update
from vectorkit.operations import (
    CollectionConfig,
    CreateCollection,
    Delete,
    DropCollection,
    RenameCollection,
    UpdateVectors,
    Upsert,
)
from vectorkit.replication import WriteConcern, majority
from vectorkit.replication.protocol.epochs import FIRST_EPOCH, epoch_of
from vectorkit.replication.protocol.messages import (
    ClientWrite,
    ConfirmEpoch,
    EpochConfirmed,
    Prepare,
)
from vectorkit.types import KEEP

ONE = {"write_concern": WriteConcern(count=1, timeout_ms=1_000)}
OTHERS = {"node-1", "node-2"}


def rows(*numbers):
    return np.array([numbers], np.float32)


# Each needs a row "king" in a collection "words" of two dimensions, and nothing else.
FROM_STATE = {
    "delete of an absent row": (Delete("words", ("queen",)), "ok", ""),
    "update of an absent row": (
        UpdateVectors("words", ("queen",), rows(1, 0), KEEP),
        "refused",
        "vector_not_found",
    ),
    "update of no row": (
        UpdateVectors("words", (), np.empty((0, 2), np.float32), KEEP),
        "ok",
        "",
    ),
    "upsert of no row": (Upsert("words", (), np.empty((0, 2), np.float32), None), "ok", ""),
    "upsert into an absent collection": (
        Upsert("cities", ("paris",), rows(1, 0), None),
        "refused",
        "collection_not_found",
    ),
    "delete in an absent collection": (Delete("cities", ("p",)), "refused", "collection_not_found"),
    "create an existing collection": (
        CreateCollection("words", CollectionConfig(2, "dot", "cpu")),
        "refused",
        "collection_exists",
    ),
    "drop an absent collection": (DropCollection("cities"), "refused", "collection_not_found"),
    "rename an absent collection": (
        RenameCollection("cities", "towns"),
        "refused",
        "collection_not_found",
    ),
    "rename to an existing name": (
        RenameCollection("words", "words"),
        "refused",
        "collection_exists",
    ),
    "a dimension that the collection does not have": (
        Upsert("words", ("queen",), rows(1, 0, 0), None),
        "refused",
        "invalid_vector",
    ),
    "an id of another kind than the collection's": (
        Upsert("words", (7,), rows(1, 0), None),
        "refused",
        "invalid_id",
    ),
}
BY_STATE = pytest.mark.parametrize("case", FROM_STATE)


def filled(**options):
    """Three nodes of which every one has the row "king", and node-0 serves."""
    hands = Hands(**(options or ONE))
    hands.send(insert(1))
    hands.advance(ms=50)
    assert hands.answered() == [(1, "ok")]
    return hands


def elect(hands, node_id):
    """Let another node become master; node-0 is cut off and hears nothing of it."""
    hands.cut = {"node-0"}
    hands.take(node_id, hands.nodes[node_id].promote(hands.now_ns))
    hands.settle()
    hands.advance(ms=100)
    assert hands.nodes[node_id].role.name == "master"


def test_a_deposed_master_does_not_call_a_row_absent_that_another_has_acknowledged():
    hands = filled(write_concern=majority())
    elect(hands, "node-1")
    assert [each.outcome for each in hands.send(insert(2, "queen"), to="node-1")] == ["ok"]
    hands.advance(ms=30_000, step_ms=500)
    assert hands.nodes["node-0"].role.name == "master"  # It knows of no other.
    assert hands.send(delete(3, "queen"), source="client-9") == []
    hands.answered()
    hands.advance(ms=6_000)
    (reply,) = hands.replies
    assert (reply.request, reply.outcome, reply.error) == (3, "timeout", "nothing_written")
    hands.cut = set()
    hands.advance(ms=40_000, step_ms=500)
    assert hands.nodes["node-0"].role.name == "replica"
    assert all("queen" in node.store["words"] for node in hands.nodes.values())


@BY_STATE
def test_an_answer_from_state_is_given_once_n_minus_n_nodes_answer_a_later_round(case):
    operation, outcome, error = FROM_STATE[case]
    hands = filled()
    head = hands.master.log.head
    (reply,) = hands.send(ClientWrite(2, operation))
    assert (reply.outcome, reply.error) == (outcome, error)
    assert hands.master.log.head == head
    assert hands.master.stats(hands.now_ns).unproven_answers == 0


@BY_STATE
def test_a_deposed_master_that_knows_of_no_other_answers_nothing_from_its_state(case):
    operation, _, _ = FROM_STATE[case]
    hands = filled()
    elect(hands, "node-1")
    assert hands.send(ClientWrite(2, operation)) == []
    hands.advance(ms=1_000)
    (reply,) = hands.replies
    assert (reply.outcome, reply.error) == ("timeout", "nothing_written")
    assert hands.master.stats(hands.now_ns).write_concern_timeouts == 0


@BY_STATE
def test_what_the_answer_saw_is_confirmed_before_it_leaves(case):
    operation, outcome, error = FROM_STATE[case]
    hands = filled()
    hands.slow = OTHERS
    hands.send(update(2))
    assert hands.send(ClientWrite(3, operation)) == []  # The round is answered, the state is not.
    hands.slow = set()
    hands.settle()
    told = [(each.request, each.outcome, each.error) for each in hands.replies]
    assert told == [(2, "ok", ""), (3, outcome, error)]


@pytest.mark.parametrize(
    ("operation", "error"),
    [
        (Upsert("words", ("a", "a"), np.ones((2, 2), np.float32), None), "duplicate_id"),
        (Upsert("words", ("a",), rows(1, 0), ([1],)), "invalid_payload"),
        (UpdateVectors("words", ("king",), KEEP, KEEP), "invalid_input"),
    ],
)
def test_a_refusal_by_form_rests_on_no_state_and_leaves_at_once(operation, error):
    hands = filled()
    hands.cut = OTHERS
    (reply,) = hands.send(ClientWrite(2, operation))
    assert (reply.outcome, reply.error) == ("refused", error)


def test_a_full_disk_is_told_at_once():
    hands = filled()
    hands.cut = OTHERS
    hands.master.disk_full(is_full=True)
    (reply,) = hands.send(insert(2))
    assert (reply.outcome, reply.error) == ("refused", "disk_full")


@BY_STATE
@pytest.mark.parametrize(
    "concern", [WriteConcern(), WriteConcern(count=1, stage="received", timeout_ms=1_000)]
)
def test_where_nothing_can_be_proven_the_answer_waits_for_the_concern_only_and_is_counted(
    concern, case
):
    operation, outcome, error = FROM_STATE[case]
    hands = filled(write_concern=concern)
    elect(hands, "node-1")
    (reply,) = hands.send(ClientWrite(2, operation))  # Not promised to be true, and it is not.
    assert (reply.outcome, reply.error) == (outcome, error)
    assert hands.master.stats(hands.now_ns).unproven_answers == 1


def test_without_a_concern_an_answer_tells_nothing_that_the_masters_own_disk_does_not_have():
    hands = filled(write_concern=WriteConcern())
    hands.slow = {"node-0"}
    hands.send(delete(2))
    assert hands.send(delete(3)) == []
    hands.slow = set()
    hands.settle()
    assert hands.answered() == [(2, "ok"), (3, "ok")]


def test_answers_of_an_earlier_round_or_another_epoch_prove_no_refusal():
    hands = filled()
    hands.cut = OTHERS

    def ask(request):
        effects = hands.master.receive(CLIENT, update(request, "queen"), hands.now_ns)
        sent = [each.message for each in effects if hasattr(each, "message")]
        assert [type(each) for each in sent] == [ConfirmEpoch, ConfirmEpoch]
        return sent[0].round

    def confirm(number, epoch=FIRST_EPOCH):
        hands.send(EpochConfirmed(epoch, number, 1), source="node-1")
        return hands.answered()

    first, second = ask(2), ask(3)
    assert confirm(second, epoch=FIRST_EPOCH + 1) == []
    assert confirm(first) == [(2, "refused")]
    assert confirm(second) == [(3, "refused")]


def test_refusals_and_linearizable_reads_are_proven_by_the_same_rounds():
    hands = filled()
    hands.cut = OTHERS
    assert hands.send(update(2, "queen")) == hands.send(read(3, "linearizable")) == []
    hands.cut = {"node-2"}
    hands.advance(ms=200)
    assert hands.answered() == [(2, "refused"), (3, "ok")]


def test_a_refusal_is_told_once_however_often_its_message_comes():
    hands = filled()
    assert len(hands.send(update(2, "queen"))) == 1
    assert hands.send(update(2, "queen")) == []


def test_a_master_that_has_promised_higher_tells_nobody_of_its_state_nor_that_time_is_up():
    hands = filled()
    hands.cut = OTHERS
    hands.send(update(2, "queen"))
    hands.master.member.promise += 1
    hands.cut = set()
    hands.advance(ms=2_000)
    assert hands.replies == []
    hands = filled()
    hands.cut = OTHERS
    hands.send(update(2, "queen"))
    hands.slow = {"node-0"}
    hands.send(Prepare(epoch_of(2, 1), 1), source="node-1")
    hands.advance(ms=2_000)
    assert hands.replies == []


def test_a_concern_that_degrades_degrades_writes_not_answers_from_state():
    hands = filled(write_concern=WriteConcern(count=1, timeout_ms=1_000, on_timeout="degrade"))
    hands.cut = OTHERS
    hands.send(delete(2, "queen"))
    hands.send(update(3))
    hands.advance(ms=1_000)
    told = {each.request: (each.outcome, each.error) for each in hands.replies}
    assert told == {2: ("timeout", "nothing_written"), 3: ("degraded", "")}
