"""Which indices count: what a node has learnt of them is durable before it answers anybody."""

import pytest

from tests.replication.alone import IDS, Alone, answers_of
from vectorkit.errors import InvalidInput
from vectorkit.replication.node import first_image
from vectorkit.replication.protocol.durable import Frame, Image
from vectorkit.replication.protocol.epochs import FIRST_EPOCH, KnownIndices, epoch_of, index_of
from vectorkit.replication.protocol.log import Position
from vectorkit.replication.protocol.messages import (
    Announce,
    AskPromise,
    ConfirmEpoch,
    EpochConfirmed,
    Hello,
    Prepare,
    Promise,
    Seek,
    StartFull,
    TellPromise,
)
from vectorkit.store import VectorStore

NEWER = index_of(1, 1)
"""The second index of node-1."""
FRESH = KnownIndices.of_nodes(3)
RETIRED = KnownIndices((0, 1, 2), (-1, 1, -1))


def ask(index, known=FRESH):
    return AskPromise(index, known.with_newest(index))


def test_who_tells_its_promise_has_stored_the_askers_new_index_before():
    alone = Alone()
    assert alone.receive("node-1", ask(NEWER)) == []
    alone.write()
    (told,) = answers_of(TellPromise, alone.sent)
    assert (told.asker, told.index, told.promise) == (NEWER, 0, FIRST_EPOCH)
    assert told.known == alone.disk.known == KnownIndices((0, NEWER, 2), (-1, -1, -1))
    assert alone.restarted().known.refuses(1)


def test_a_second_message_of_the_new_index_is_answered_no_sooner_than_the_first():
    alone = Alone()
    assert alone.receive("node-1", ask(NEWER)) == []
    assert alone.receive("node-1", ask(NEWER)) == []
    alone.write()
    assert len(answers_of(TellPromise, alone.sent)) == 2
    assert len(answers_of(TellPromise, alone.receive("node-1", ask(NEWER)))) == 1


def test_a_crash_before_the_write_leaves_no_answer_and_nothing_learnt():
    alone = Alone()
    assert alone.receive("node-1", ask(NEWER)) == []
    assert alone.restarted().known == FRESH


MESSAGES = (
    Hello(7, 1, FIRST_EPOCH, (0, 0, bytes(16)), ""),
    Seek(1, 0),
    Prepare(epoch_of(9, 1), 1),
    AskPromise(1, FRESH),
    ConfirmEpoch(epoch_of(9, 1), 1),
    Announce(epoch_of(9, 1), 5, 0),
)


@pytest.mark.parametrize("message", MESSAGES, ids=lambda each: type(each).__name__)
@pytest.mark.parametrize(
    "known",
    [KnownIndices(newest=(0, NEWER, 2)), KnownIndices(retired=(-1, 1))],
    ids=["replaced", "retired"],
)
def test_a_message_of_an_index_that_was_replaced_or_retired_is_dropped(message, known):
    alone = Alone()
    alone.node.member.learn(known)
    promise = alone.node.member.promise
    assert alone.receive("node-1", message) == []
    alone.write()
    assert (alone.sent, alone.node.member.promise) == ([], promise)
    assert alone.node.role.name == "master"


@pytest.mark.parametrize(
    "message",
    [
        Promise(epoch_of(2, 2), 1, 0, 0, 0),
        EpochConfirmed(FIRST_EPOCH, 1, 1),
        TellPromise(2, 1, FIRST_EPOCH, False, FRESH),
    ],
    ids=lambda each: type(each).__name__,
)
def test_an_answer_of_an_index_that_was_replaced_teaches_and_counts_nothing(message):
    alone = Alone("node-2")
    alone.node.member.learn(KnownIndices(newest=(0, NEWER, 2)))
    before = alone.known
    assert alone.receive("node-1", message) == []
    assert alone.known == before
    assert alone.node.member.heard == {}


def test_the_messages_of_a_newer_master_teach_its_index_before_they_are_answered():
    alone = Alone("node-2")
    epoch = epoch_of(9, NEWER)
    assert alone.receive("node-1", ConfirmEpoch(epoch, 1)) == []
    alone.write()
    assert answers_of(EpochConfirmed, alone.sent) == [EpochConfirmed(epoch, 1, 2)]
    assert alone.disk.known.newest == (0, NEWER, 2)


def test_a_retirement_is_confirmed_once_it_is_durable():
    alone = Alone()
    alone.retire(1)
    assert ("retire", 1) not in alone.noted
    assert alone.known.refuses(1)
    alone.write()
    assert alone.noted[-1] == ("retire", 1)
    assert alone.restarted().known == RETIRED


def test_a_retirement_that_is_repeated_or_late_is_confirmed_again_and_does_no_harm():
    alone = Alone()
    for _ in range(2):
        alone.retire(1)
        alone.write()
    alone.receive("node-1", ask(NEWER))
    alone.write()
    alone.retire(1)
    alone.write()
    assert alone.noted.count(("retire", 1)) == 3
    assert not alone.known.refuses(NEWER)
    assert not alone.known.is_gone(1)
    assert alone.node.newest_index("node-1") == NEWER
    alone.retire(NEWER)  # The next machine takes another command.
    alone.write()
    assert alone.restarted().known.is_gone(1)


@pytest.mark.parametrize("index", [3, -1, 255, index_of(3, 4)])
def test_what_is_no_index_cannot_be_retired(index):
    with pytest.raises(InvalidInput, match="there is no such index to retire"):
        Alone().node.retire(index, 0)


def returning(id="node-2", known=FRESH, promise=0):
    """A node whose disk says that it is without state, under its second index."""
    index = index_of(IDS.index(id), 1)
    image = Image(index=index, is_lost=True, promise=promise, known=known.with_newest(index))
    return Alone(id, image, 1)


def tell(alone, slot, *, index=None, promise=FIRST_EPOCH, known=FRESH):
    index = slot if index is None else index
    told = TellPromise(alone.node.member.index, index, promise, False, known.with_newest(index))
    alone.receive(IDS[slot], told)
    alone.write()


def test_a_node_without_state_asks_under_its_new_index_and_tells_all_that_it_knows():
    alone = returning(known=RETIRED)
    asked = AskPromise(index_of(2, 1), RETIRED.with_newest(index_of(2, 1)))
    assert alone.sent == [("node-0", asked)]


def test_a_retired_slot_counts_as_heard_until_its_replacement_is_known():
    alone = returning(known=RETIRED)
    assert alone.node.role.missing == ["node-0"]
    tell(alone, 0, known=FRESH.with_newest(NEWER))  # node-0 knows that it is back.
    assert alone.node.role.name == "returning"
    assert alone.node.role.missing == ["node-1"]
    assert alone.disk.known == KnownIndices((0, NEWER, index_of(2, 1)), (-1, 1, -1))
    tell(alone, 1, index=NEWER, promise=epoch_of(7, NEWER))
    assert alone.node.role.name == "replica"
    assert alone.node.member.promise == epoch_of(7, NEWER)


def test_what_another_node_knows_of_a_retirement_counts_too():
    alone = returning()
    tell(alone, 0, known=RETIRED)
    assert alone.node.role.name == "replica"


def test_a_late_command_does_not_stand_for_a_replacement_that_is_known():
    alone = returning()
    tell(alone, 0, known=FRESH.with_newest(NEWER))
    alone.retire(1)
    alone.write()
    alone.tick(ms=600)
    assert alone.node.role.missing == ["node-1"]


def test_what_a_replaced_life_has_told_does_not_stand_for_the_life_that_is_back():
    alone = returning()
    tell(alone, 1)
    tell(alone, 0, known=FRESH.with_newest(NEWER))
    assert alone.node.role.missing == ["node-1"]


def test_a_node_that_has_gone_on_without_a_retired_slot_waits_again_when_it_is_back():
    alone = returning(known=RETIRED)
    tell(alone, 0)
    assert alone.node.role.name == "replica"
    alone.receive("node-1", ask(NEWER))
    assert alone.node.role.name == "returning"
    assert alone.node.role.missing == ["node-1"]
    alone.write()
    tell(alone, 1, index=NEWER)
    assert alone.node.role.name == "replica"


def test_promises_told_to_an_earlier_index_count_for_nothing():
    alone = returning()
    alone.receive("node-0", TellPromise(2, 0, FIRST_EPOCH, False, FRESH))
    assert alone.node.role.missing == ["node-0", "node-1"]


def damaged(promise):
    """The disk of node-2 with a promise, a retirement, and a record that cannot be read."""
    image = Image.of_first_master(index=2, epoch=promise)
    image.known = RETIRED
    (frame,) = image.frames
    image.frames = [Frame(frame.record, frame.hash, frame.checksum ^ 1)]
    return image


def test_a_damaged_log_takes_the_state_and_leaves_promise_and_known_indices():
    promise = epoch_of(5, 2)
    alone = Alone("node-2", damaged(promise), 4)
    member = alone.node.member
    assert (member.is_lost, member.index) == (True, index_of(2, 4))
    assert (member.promise, member.durable_promise) == (promise, promise)
    assert alone.disk.known == RETIRED.with_newest(index_of(2, 4))
    tell(alone, 0, promise=FIRST_EPOCH)  # node-1 is retired.
    assert (alone.node.role.name, member.promise) == ("replica", promise)
    answered = alone.receive("node-0", Announce(FIRST_EPOCH, 9, 0))
    assert answered_hello(answered) == []  # It does not follow a master below its promise.


def answered_hello(messages):
    return answers_of(Hello, messages)


def test_a_lost_disk_takes_everything():
    alone = Alone("node-2", Image(), 4)
    assert alone.known == FRESH.with_newest(index_of(2, 4))
    assert alone.node.member.promise == 0


@pytest.mark.parametrize(
    "known",
    [KnownIndices((0, 1, index_of(2, 5)), ()), KnownIndices((), (-1, -1, index_of(2, 5)))],
    ids=["superseded", "retired"],
)
def test_a_node_that_starts_under_a_refused_index_drops_its_state(known):
    image = first_image(2)
    image.known = known
    alone = Alone("node-2", image, 1)
    assert alone.node.member.is_lost
    assert alone.node.member.index == index_of(2, 6)
    assert (alone.disk.index, alone.disk.is_lost) == (index_of(2, 6), True)


@pytest.mark.parametrize("id", IDS)
def test_a_node_that_learns_that_its_own_index_is_refused_drops_its_state_and_returns(id):
    slot, alone = IDS.index(id), Alone(id)
    alone.node.member.promise = promise = max(FIRST_EPOCH, alone.node.member.promise)
    newer, other = index_of(slot, 2), (slot + 1) % 3
    asked = index_of(other, 1)
    assert alone.receive(IDS[other], ask(asked, FRESH.with_retired(newer))) == []
    assert alone.receive(IDS[other], ask(asked)) == []  # It is mute until that is durable.
    alone.write()
    member = alone.node.member
    assert (member.is_lost, member.index, len(alone.node.store)) == (True, index_of(slot, 3), 0)
    assert (alone.disk.is_lost, alone.disk.index) == (True, member.index)
    assert alone.node.role.name == "returning"
    assert member.promise == promise
    assert {type(message) for _, message in alone.sent} == {AskPromise}
    assert alone.restarted().node.member.index == member.index


def test_an_answer_that_waits_for_the_disk_is_not_given_by_a_node_that_has_dropped_its_state():
    alone = Alone("node-2")
    assert alone.receive("node-1", Prepare(epoch_of(5, 1), 1)) == []
    alone.retire(2)
    alone.write()
    assert answers_of(Promise, alone.sent) == []


def test_an_installation_under_way_does_not_give_a_refused_node_its_state_back():
    alone = Alone("node-2")
    alone.tick(ms=1)
    (hello,) = answered_hello(alone.sent)
    digest = VectorStore().digest()
    position = Position(FIRST_EPOCH, 5, bytes(16))
    header = StartFull(
        generation=hello.generation,
        epoch=FIRST_EPOCH,
        reason="too_old",
        position=position,
        epochs=(FIRST_EPOCH, 1),
        shared_offset=0,
        digest=digest,
        chunk_count=0,
        snapshot_bytes=0,
        chunk_bytes=64,
    )
    alone.receive("node-0", header)
    assert alone.node.role.state == "installing"
    alone.retire(2)
    alone.write()
    assert (alone.node.member.is_lost, alone.disk.is_lost) == (True, True)
    assert alone.node.member.flushed == Position()
    assert alone.node.role.name == "returning"
