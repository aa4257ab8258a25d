"""Messages, roles and faults of a run as frames: every row of the trace is somewhere, once."""

from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pytest

from tests.sim.tape import FIRST, SECOND, Tape
from vectorkit import frames, sim
from vectorkit.replication import ReplicationOptions

LOAD = sim.Workload(writes_per_s=40, reads_per_s=20, source="uniform:20x4", client_timeout_ms=300)
ROUGH = sim.Link(delay_ms=5, jitter_ms=20, loss=0.05, duplication=0.1)
FRAMES = {
    "messages": frames.MESSAGES,
    "roles": frames.ROLES,
    "fault_windows": frames.FAULT_WINDOWS,
}


def told(tape, *, end_ms=100.0):
    """What frames may know of a run, from a trace made by hand."""
    return SimpleNamespace(
        trace=tape.trace(), evidence=tape.evidence(), options=tape.options, duration_ms=end_ms
    )


def send(tape, ms, number=1, *, size=10, text=""):
    return tape.add(ms, "send", "node-0", "node-1", "Records", number, size, text)


def deliver(tape, ms, number=1, *, size=10):
    return tape.add(ms, "deliver", "node-1", "node-0", "Records", number, size)


def lose(tape, ms, why, number=1, *, size=10):
    return tape.add(ms, "lost", "node-0", "node-1", "Records", number, size, why)


def fates(tape):
    frame = frames.messages(told(tape))
    times = frame[["sent_ms", "arrived_ms", "lost_ms"]].astype(object)
    times = times.where(times.notna(), None)
    return list(zip(*(times[name] for name in times), frame["fate"], strict=True))


@pytest.fixture(scope="module")
def rough():
    return sim.simulate(
        sim.ClusterOptions(
            replicas=2,
            link=ROUGH,
            failover=sim.Failover(deadline_ms=1_000),
            replication=ReplicationOptions(heartbeat_ms=500),
        ),
        workload=LOAD,
        faults=[
            sim.Crash(at_ms=1_000, for_ms=2_000, node=sim.CURRENT_MASTER),
            sim.Cut(at_ms=500, for_ms=200, source="node-0", target="node-2"),
            sim.Block(at_ms=100, for_ms=200, message="Ack"),
            sim.Promote(at_ms=3_500, node="node-2"),
        ],
        duration_ms=4_000,
        seed=7,
    )


@pytest.mark.parametrize("name", FRAMES)
def test_frames_have_the_columns_and_dtypes_of_their_schema(rough, name):
    full = getattr(rough, name)
    empty = getattr(sim.simulate(sim.ClusterOptions(replicas=0), duration_ms=10), name)
    assert len(full) > 0
    for frame in (full, empty):
        assert {column: str(kind) for column, kind in frame.dtypes.items()} == FRAMES[name]


# Messages


def test_a_message_arrives_is_lost_or_is_in_flight():
    tape = send(deliver(send(Tape(), 1, 1), 3, 1), 4, 2)
    assert fates(tape) == [(1, 3, None, "delivered"), (4, None, None, "in_flight")]
    tape = lose(send(Tape(), 1), 1, "cut")
    assert fates(tape) == [(1, None, 1, "cut")]


def test_a_loss_right_after_the_sending_is_of_the_message_just_sent():
    tape = deliver(lose(send(send(Tape(), 1), 2), 2, "loss"), 6)
    assert fates(tape) == [(1, 6, None, "delivered"), (2, None, 2, "loss")]


def test_a_loss_on_arrival_is_of_the_message_sent_first():
    tape = deliver(lose(send(send(Tape(), 1), 2), 5, "down"), 6)
    tape.events.insert(2, replace(tape.events[0], time_ns=3_000_000, source="node-2"))
    frame = frames.messages(told(tape))
    assert frame["fate"].tolist() == ["down", "delivered", "in_flight"]


def test_a_copy_is_a_message_of_its_own():
    tape = deliver(deliver(send(send(Tape(), 1), 1, text="copy"), 4), 9)
    frame = frames.messages(told(tape))
    assert frame[["arrived_ms", "is_copy"]].to_numpy().tolist() == [[4.0, False], [9.0, True]]


def test_messages_add_up_to_what_the_links_have_counted(rough):
    frame, events = rough.messages, Counter(row.event for row in rough.trace.rows)
    assert len(frame) == events["send"]
    assert frame["arrived_ms"].notna().sum() == events["deliver"]
    assert frame["lost_ms"].notna().sum() == events["lost"]
    lost = Counter(row.text for row in rough.trace.rows if row.event == "lost")
    assert set(lost) == {"loss", "cut", "down", "blocked"}
    assert Counter(frame.loc[frame["lost_ms"].notna(), "fate"]) == lost
    assert frame["is_copy"].sum() == sum(row.text == "copy" for row in rough.trace.rows) > 0


def test_no_message_arrives_before_the_shortest_time_on_its_way(rough):
    taken = rough.messages["arrived_ms"] - rough.messages["sent_ms"]
    assert taken.min() >= ROUGH.delay_ms
    assert taken.max() <= ROUGH.delay_ms + ROUGH.jitter_ms


# Roles


def test_roles_are_stretches_that_follow_each_other_without_gaps(rough):
    frame = rough.roles
    assert list(dict.fromkeys(frame["node"])) == ["node-0", "node-1", "node-2"]
    for _, mine in frame.groupby("node"):
        assert mine["started_ms"].iloc[0] == 0
        assert mine["ended_ms"].iloc[-1] == rough.duration_ms
        assert mine["started_ms"].iloc[1:].tolist() == mine["ended_ms"].iloc[:-1].tolist()
        assert (mine["ended_ms"] > mine["started_ms"]).all()
    down = frame[frame["role"] == "down"]
    assert down[["node", "started_ms", "ended_ms", "cause"]].to_numpy().tolist() == [
        ["node-0", 1_000.0, 3_000.0, "crash"]
    ]


def test_epochs_are_those_of_masters_and_candidates():
    tape = Tape().begin()
    tape.add(5, "role", "node-1", kind="candidate", number=SECOND)
    tape.add(6, "role", "node-1", kind="master", number=SECOND)
    tape.add(7, "role", "node-0", kind="replica", number=FIRST)
    tape.add(8, "crash", "node-0", kind="lost_disk")
    tape.add(9, "start", "node-0", kind="restart", number=2)
    tape.add(9.5, "role", "node-0", kind="returning")
    frame = frames.roles(told(tape, end_ms=20))
    frame["epoch"] = frame["epoch"].astype(object).where(frame["epoch"].notna(), None)
    columns = ["node", "started_ms", "ended_ms", "role", "epoch", "cause"]
    assert frame[columns].to_numpy().tolist() == [
        ["node-0", 0.0, 7.0, "master", "node-0@1", "role"],
        ["node-0", 7.0, 8.0, "replica", None, "role"],
        ["node-0", 8.0, 9.0, "down", None, "lost_disk"],
        ["node-0", 9.0, 9.5, "starting", None, "restart"],
        ["node-0", 9.5, 20.0, "returning", None, "role"],
        ["node-1", 5.0, 6.0, "candidate", "node-1@2", "role"],
        ["node-1", 6.0, 20.0, "master", "node-1@2", "role"],
    ]


# Faults


def test_faults_are_told_as_they_came_with_whom_they_befell(rough):
    frame = rough.fault_windows.sort_values("number")
    columns = ["kind", "started_ms", "ended_ms", "node"]
    rows = frame[columns].astype(object).where(frame[columns].notna(), None).to_numpy().tolist()
    assert rows == [
        ["Crash", 1_000.0, 3_000.0, "node-0"],
        ["Cut", 500.0, 700.0, "node-0 node-2"],
        ["Block", 100.0, 300.0, None],
        ["Promote", 3_500.0, 3_500.0, "node-2"],
    ]


def test_a_cut_by_hand_is_a_fault_until_it_is_healed():
    cluster = sim.Cluster(sim.ClusterOptions(replicas=2))
    cluster.advance(ms=100)
    cluster.cut("node-1", "node-2")
    cluster.advance(ms=50)
    cluster.heal()
    frame = cluster.finish().fault_windows
    assert frame[["kind", "started_ms", "ended_ms", "node"]].to_numpy().tolist() == [
        ["Partition", 100.0, 150.0, "node-1 node-2"]
    ]


def test_a_fault_that_found_no_master_has_no_window():
    tape = Tape()
    tape.fault(5, sim.Crash(at_ms=5, node=sim.CURRENT_MASTER), phase="none")
    assert frames.fault_windows(told(tape)).empty
    assert isinstance(frames.fault_windows(told(tape)), pd.DataFrame)
