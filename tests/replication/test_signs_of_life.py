"""What a replica takes for a sign of life of its master: whatever that master sends."""

import pytest

from tests.replication.alone import Alone
from vectorkit import sim
from vectorkit.replication import Failover, Position, ReplicationOptions, WriteConcern, majority
from vectorkit.replication.protocol.epochs import FIRST_EPOCH, epoch_of
from vectorkit.replication.protocol.failure_detectors import PhiAccrual
from vectorkit.replication.protocol.messages import (
    Ack,
    Announce,
    Close,
    ConfirmEpoch,
    Hello,
    MasterHeartbeat,
    StartPartial,
)
from vectorkit.units import NS_PER_MS

DEADLINE_MS = 3_000
OPTIONS = ReplicationOptions(
    failover=Failover(deadline_ms=DEADLINE_MS, stagger_ms=0),
    write_concern=WriteConcern(count=1),
)
SECOND = epoch_of(2, 0)
"""Another epoch of the same node-0."""


def replica(epoch=FIRST_EPOCH):
    """node-1, which follows node-0, and the generations of its first two connections."""
    alone = Alone("node-1", options=OPTIONS)
    if epoch != FIRST_EPOCH:
        alone.receive("node-0", Announce(epoch, 1, 0))
        alone.write()
    alone.tick(ms=1)
    first = hello(alone).generation
    alone.receive("node-0", StartPartial(first, epoch, 0))
    alone.receive("node-0", Close(first, "too_old"))
    alone.tick(ms=600)
    return alone, first, hello(alone).generation


def hello(alone):
    return [message for _, message in alone.sent if isinstance(message, Hello)][-1]


def elects_after(alone, message, *, times=10, every_ms=1_000):
    """The time in ms until it starts an election, while this message keeps coming."""
    begin_ns = alone.now_ns
    for _ in range(times):
        for _ in range(every_ms // 100):
            alone.tick(ms=100)
            if alone.node.role.name == "candidate":
                return (alone.now_ns - begin_ns) // NS_PER_MS
        alone.receive("node-0", message)
        alone.write()
    return None


def test_a_master_that_says_nothing_is_suspected_after_the_deadline():
    alone, _, second = replica()
    alone.receive("node-0", StartPartial(second, FIRST_EPOCH, 0))
    assert elects_after(alone, Ack(0, Position(), 0, 0, 0, 0)) == DEADLINE_MS


@pytest.mark.parametrize(
    "message",
    [
        lambda first, second: MasterHeartbeat(second, 1, 0, 0, 0),
        lambda first, second: MasterHeartbeat(first, 1, 0, 0, 0),
        lambda first, second: Close(first, "too_old"),
        lambda first, second: Announce(FIRST_EPOCH, 5, 0),
        lambda first, second: ConfirmEpoch(FIRST_EPOCH, 1),
    ],
    ids=["this connection", "an older one", "its end", "Announce", "ConfirmEpoch"],
)
def test_a_master_that_is_heard_in_any_way_is_not_suspected(message):
    alone, first, second = replica()
    assert elects_after(alone, message(first, second)) is None


@pytest.mark.parametrize(
    "message",
    [
        lambda old: MasterHeartbeat(old, 1, 0, 0, 0),
        lambda old: Announce(FIRST_EPOCH, 5, 0),
        lambda old: ConfirmEpoch(FIRST_EPOCH, 1),
        lambda old: Ack(1 << 40, Position(), 0, 0, 0, 0),
    ],
    ids=["an older connection", "Announce", "ConfirmEpoch", "not a master's message"],
)
def test_what_the_same_node_has_sent_in_an_earlier_epoch_is_no_sign_of_life(message):
    alone, old, _ = replica()
    alone.receive("node-0", Announce(SECOND, 5, 0))
    alone.write()
    alone.tick(ms=1)
    assert alone.node.role.epoch == SECOND
    assert elects_after(alone, message(old)) < 2 * DEADLINE_MS


def test_another_nodes_words_are_no_sign_of_life_of_the_master():
    alone, first, _ = replica()
    begin_ns = alone.now_ns
    while alone.node.role.name != "candidate":
        alone.tick(ms=100)
        alone.receive("node-2", MasterHeartbeat(first, 1, 0, 0, 0))
        alone.receive("node-2", ConfirmEpoch(FIRST_EPOCH, 1))
    assert alone.now_ns - begin_ns <= (DEADLINE_MS + 100) * NS_PER_MS


def test_replicas_that_hear_announcements_and_cannot_connect_start_no_election():
    options = sim.ClusterOptions(
        replicas=2, write_concern=majority(), failover=sim.Failover(deadline_ms=2_500)
    )
    block = sim.Block(at_ms=0, for_ms=5_000, message="Hello")
    run = sim.simulate(options, faults=[block], duration_ms=5_000, seed=3)
    heard = [
        row
        for row in run.trace.rows
        if row.event == "deliver" and row.kind == "Announce" and row.time_ns < 5_000 * NS_PER_MS
    ]
    assert len(heard) >= 8
    assert [row.node for row in run.trace.rows if row.event == "role" and row.kind == "master"] == [
        "node-0"
    ]
    assert not any(row.event == "role" and row.kind == "candidate" for row in run.trace.rows)


@pytest.mark.parametrize("phi", [2.0, 8.0])
def test_a_load_that_stops_does_not_look_like_a_master_that_died(phi):
    """Records come every 20 ms, then only heartbeats."""
    options = sim.ClusterOptions(
        replicas=2,
        link=sim.Link(delay_ms=2),
        write_concern=majority(),
        failover=sim.Failover(detector="phi", phi=phi),
    )
    requests = [sim.PlannedRequest(at_ms=1_000 + 20 * number, index=number) for number in range(80)]
    load = sim.Workload(source="uniform:20x4", requests=requests)
    run = sim.simulate(options, workload=load, duration_ms=8_000, seed=3)
    assert not any(row.event == "role" and row.kind == "candidate" for row in run.trace.rows)


def test_records_end_a_silence_and_teach_no_interval():
    second = 1_000 * NS_PER_MS
    quiet, busy = (PhiAccrual(8.0, heartbeat_ns=second, now_ns=0) for _ in range(2))
    for beat in range(1, 9):
        for detector in (quiet, busy):
            detector.heard(now_ns=beat * second, is_beat=True)
        for record in range(1, 40):
            busy.heard(now_ns=beat * second + record * second // 50, is_beat=False)
    late_ns = busy.suspects_at_ns() - quiet.suspects_at_ns()
    assert late_ns == 39 * second // 50
