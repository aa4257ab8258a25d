"""Each planted bug is found by its check in a kept seed; there the sound protocol is not blamed."""

import json
from pathlib import Path

import pytest

from tests.planted.bugs import BUGS
from tests.planted.edits import Edit, StaleEdit, function_of, planted
from tests.planted.places import PLACES
from tests.planted.trial import attempt, simulated
from vectorkit.replication import candidate
from vectorkit.replication.protocol.messages import Promise

KEPT = json.loads(Path(__file__).with_name("kept.json").read_text())


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_the_check_that_is_there_for_a_bug_finds_it_in_its_kept_seed(bug):
    (trial,) = attempt([(bug.name, KEPT[bug.name], True)])
    assert trial["error"] == ""
    assert bug.check in trial["broken"]


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_the_sound_protocol_is_not_blamed_for_the_same_scenario(bug):
    run = simulated(bug, bug.scenario(KEPT[bug.name]), is_planted=False)
    assert run.check().broken == ()
    assert run.event_count < 5_000


def test_every_row_of_the_catalogue_has_a_bug_and_every_bug_a_kept_seed():
    assert {bug.row for bug in BUGS} == set(range(1, 31))
    assert list(KEPT) == [bug.name for bug in BUGS]


def test_every_place_is_edited_by_a_bug_and_leads_to_a_function_of_its_own():
    edits = [edit for bug in BUGS for edit in (*bug.condition, *bug.edits)]
    assert {edit.target for edit in edits} == set(PLACES)
    assert len({function_of(name) for name in PLACES}) == len(PLACES)


def test_a_bug_is_there_within_its_block_only():
    edit = Edit("_rank", "answer.last_epoch, ", "")
    before = function_of(edit.target).__code__
    with pytest.raises(AttributeError), planted(edit):
        candidate._rank(Promise(7, 1, 7, 30, 30)).no_such_attribute  # noqa: B018
    assert candidate._rank.__code__ is before
    with planted(edit):
        assert candidate._rank(Promise(7, 1, 7, 30, 30)) == 30
    assert candidate._rank(Promise(7, 1, 7, 30, 30)) == (7, 30)


@pytest.mark.parametrize("text", ["no such text", "answer"])
def test_an_edit_whose_text_is_not_there_just_once_is_an_error_and_nothing_is_planted(text):
    sound = Edit("_rank", "answer.last_epoch, ", "")
    stale = Edit("status_of", text, "")
    before = function_of(sound.target).__code__
    with pytest.raises(StaleEdit, match="status_of"), planted(sound, stale):
        pass
    assert function_of(sound.target).__code__ is before
