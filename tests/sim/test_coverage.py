"""What a run has been through, told from its trace."""

from types import SimpleNamespace

import pytest

from tests.sim.tape import FIRST, SECOND, Tape
from vectorkit import sim
from vectorkit.replication.protocol.messages import MESSAGE_NAMES
from vectorkit.sim.faults.codec import FAULTS
from vectorkit.sim.fuzzing.coverage import COVERAGE_GOALS, goals_reached

PAUSE = '{"kind": "Pause", "at_ms": 0, "node": "node-1"}'


def seen(tape, stuck=()):
    run = SimpleNamespace(trace=tape.trace(), stuck=stuck)
    return [tuple(place) for place in goals_reached(run)]


def row(*fields, **named):
    return seen(Tape().add(0, *fields, **named))


@pytest.mark.parametrize(
    ("found", "name"),
    [
        (row("send", kind="Resume"), "gap resumed"),
        (row("send", kind="StartElection"), "candidacy delegated"),
        (row("send", kind="Reject"), "promise refused"),
        (row("send", kind="Chunk", text="corrupt"), "chunk corrupted"),
        (row("send", kind="Ack", text="copy"), "message duplicated"),
        (row("lost", kind="Ack", text="loss"), "message lost"),
        (row("lost", kind="Ack", text="cut"), "message cut"),
        (row("lost", kind="Ack", text="blocked"), "message blocked"),
        (row("lost", kind="Ack", text="down"), "message to a node that is down"),
        (row("crash", kind="lost_disk"), "disk lost"),
        (row("crash", kind="torn", number=2), "unsynced records kept"),
        (row("fault", kind="none", text=PAUSE), "fault without a master to befall"),
        (row("lost_state", number=258), "state lost"),
        (row("retire", number=2), "index retired"),
        (row("quarantine", number=9), "operation quarantined"),
        (row("discard", number=3), "acknowledged write given up"),
        (row("degrade", number=3), "write answered as degraded"),
        (row("timeout", number=3), "write concern timed out"),
    ],
    ids=str,
)
def test_a_rare_path_is_told_by_its_row(found, name):
    assert found == [("rare path", name)]


@pytest.mark.parametrize(
    ("found", "places"),
    [
        (row("fault", kind="start", text=PAUSE), [("fault", "Pause")]),
        (row("fault", kind="end", text=PAUSE), []),
        (row("sync", kind="partial", text="started"), [("sync", "partial")]),
        (
            row("sync", kind="full", text="started too_old"),
            [("full sync", "too_old"), ("sync", "full")],
        ),
        (row("sync", kind="partial", text="lost"), [("sync", "lost")]),
        (row("role", kind="candidate", number=SECOND), [("role", "candidate")]),
        (
            row("role", kind="master", number=SECOND, value=1),
            [("role", "master"), ("rare path", "epoch forced")],
        ),
        (row("status", kind="Lagging"), [("status", "Lagging")]),
        (row("complete", kind="silent"), [("outcome", "silent")]),
        (row("deliver", kind="Hello"), [("message", "Hello")]),
        (row("send", kind="Hello"), []),
        (row("crash", kind="torn"), []),
    ],
)
def test_a_row_tells_what_it_is_about(found, places):
    assert found == places


def test_a_node_that_starts_from_a_checkpoint_replays_from_the_middle():
    whole = Tape().start(0, "node-1").apply(1, "node-1", FIRST, 1, 2, by="replay")
    assert seen(whole) == []
    later = Tape().start(0, "node-1").apply(1, "node-1", FIRST, 7, 8, by="replay")
    assert seen(later) == [("rare path", "checkpoint replayed")]
    streamed = Tape().start(0, "node-1").apply(1, "node-1", FIRST, 7, by="stream")
    assert seen(streamed) == []


def test_nodes_that_are_stuck_are_told_and_nothing_is_told_twice():
    tape = Tape().add(0, "send", kind="Resume").add(1, "send", kind="Resume")
    assert seen(tape, stuck=["node-1"]) == [
        ("rare path", "gap resumed"),
        ("rare path", "nobody left to be master"),
    ]


def test_every_place_is_listed_once_with_all_kinds_of_faults_and_messages():
    assert len(set(COVERAGE_GOALS)) == len(COVERAGE_GOALS)
    assert [place.name for place in COVERAGE_GOALS if place.group == "fault"] == list(FAULTS)
    assert [place.name for place in COVERAGE_GOALS if place.group == "message"] == list(
        MESSAGE_NAMES
    )


def test_all_that_a_run_can_tell_is_listed():
    run = sim.simulate(sim.random_scenario(7))
    kinds = {row.kind for row in run.trace.rows if row.event in ("status", "complete", "role")}
    assert kinds <= {place.name for place in COVERAGE_GOALS}
