"""Runbooks are plain data that can be followed, and each pattern does what its name says."""

import json
from collections import Counter

import pytest

from benchmarks import runbooks
from vectorkit.errors import InvalidOption

ROWS = 1_000


def writes(pattern, **options):
    steps = runbooks.steps_of(runbooks.runbook(pattern, ROWS, **options))
    return [step for step in steps if step["operation"] != "search"]


@pytest.mark.parametrize("pattern", runbooks.PATTERNS)
def test_a_runbook_has_about_as_many_steps_as_asked_for_and_ends_with_a_search(pattern):
    for rows in (ROWS, 20_000):
        steps = runbooks.steps_of(runbooks.runbook(pattern, rows))
        assert 150 <= len(steps) <= 260
        assert steps[-1]["operation"] == "search"
        assert sum(step["operation"] == "search" for step in steps) >= 50


@pytest.mark.parametrize("pattern", runbooks.PATTERNS)
def test_a_runbook_survives_being_written(pattern):
    book = runbooks.runbook(pattern, ROWS, steps=40)
    assert runbooks.parse(runbooks.text(book, "glove-50")) == ("glove-50", book)


@pytest.mark.parametrize("pattern", runbooks.PATTERNS)
def test_equal_questions_give_equal_runbooks(pattern):
    assert runbooks.runbook(pattern, ROWS) == runbooks.runbook(pattern, ROWS)


def test_the_form_is_that_of_big_ann_benchmarks():
    book = json.loads(runbooks.text(runbooks.runbook("random replace", 100, steps=8), "glove"))
    assert book["glove"]["max_pts"] == 50
    assert book["glove"]["1"] == {"operation": "insert", "start": 0, "end": 50}
    assert set(book["glove"]["2"]) == {
        "operation", "tags_start", "tags_end", "ids_start", "ids_end"
    }  # fmt: skip
    assert book["glove"]["4"] == {"operation": "search"}


def test_insert_only_inserts_everything_once():
    assert {step["operation"] for step in writes("insert only")} == {"insert"}
    assert sum(step["end"] - step["start"] for step in writes("insert only")) == ROWS


def test_delete_heavy_leaves_a_fifth():
    gone = [step for step in writes("delete heavy") if step["operation"] == "delete"]
    assert sum(step["end"] - step["start"] for step in gone) == ROWS * 4 // 5


def test_a_sliding_window_never_holds_more_than_half_and_a_piece():
    assert runbooks.runbook("sliding window", ROWS)["max_pts"] <= ROWS // 2 + 2 * ROWS // 70


def test_what_expires_goes_after_its_lifetime_and_a_third_stays():
    left = set()
    for step in writes("expiration"):
        tags = set(range(step["start"], step["end"]))
        left = left | tags if step["operation"] == "insert" else left - tags
    assert 0.3 * ROWS < len(left) < 0.5 * ROWS


def test_a_random_replace_gives_every_tag_rows_that_were_not_there():
    replaced = [step for step in writes("random replace") if step["operation"] == "replace"]
    assert all(step["ids_start"] >= ROWS // 2 for step in replaced)
    assert len({step["tags_start"] for step in replaced}) > 100


def test_hot_keys_are_replaced_again_and_again():
    replaced = [step for step in writes("hot-key replace") if step["operation"] == "replace"]
    counts = Counter(step["tags_start"] for step in replaced).most_common()
    assert counts[0][0] == 0
    assert counts[0][1] > 5 * counts[len(counts) // 2][1]


def test_clusters_are_replaced_whole_by_rows_of_other_places():
    bounds = [0, 100, 400, 1_000]
    replaced = writes("clustered replace", bounds=bounds)[1:]
    tags = {tag for step in replaced for tag in range(step["tags_start"], step["tags_end"])}
    assert tags >= set(range(500))
    assert all(step["ids_start"] >= ROWS // 2 for step in replaced)


INSERT = {"operation": "insert", "start": 0, "end": 4}


@pytest.mark.parametrize(
    ("step", "got"),
    [
        ({"operation": "move"}, "step 2: {'operation': 'move'}"),
        ({"operation": "insert", "start": 3, "end": 5}, "step 2 inserts tags that are there"),
        ({"operation": "insert", "start": 3}, "step 2: {'operation': 'insert', 'start': 3}"),
        (
            {"operation": "delete", "start": 3, "end": 5},
            "step 2: delete of tags that are not there",
        ),
        (
            {"operation": "replace", "tags_start": 0, "tags_end": 2, "ids_start": 0, "ids_end": 1},
            "step 2 has other numbers of tags and of rows",
        ),
    ],
)
def test_a_step_that_cannot_be_done_is_refused_with_its_number(step, got):
    with pytest.raises(InvalidOption) as error:
        runbooks.parse(json.dumps({"glove": {"max_pts": 4, "1": INSERT, "2": step}}))
    assert error.value.got == got


def test_what_was_deleted_is_gone_and_may_come_again():
    steps = {"1": INSERT, "2": {"operation": "delete", "start": 0, "end": 2}}
    again = {"operation": "insert", "start": 1, "end": 2}
    assert runbooks.parse(json.dumps({"glove": steps | {"3": again}}))[0] == "glove"
    with pytest.raises(InvalidOption, match="step 3: delete of tags that are not there"):
        runbooks.parse(json.dumps({"glove": steps | {"3": steps["2"]}}))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"a": {}, "b": {}}', '{"a": 3}'])
def test_a_text_of_another_kind_is_refused(text):
    with pytest.raises(InvalidOption, match="no runbook"):
        runbooks.parse(text)
