"""Equal scenarios give equal runs, here and in any other process; a fault draws for itself."""

import os
import subprocess
import sys

import pytest

from tests.sim.checks import rows
from vectorkit.replication import ReplicationOptions
from vectorkit.replication.protocol.messages import Ack, Chunk, Records
from vectorkit.sim import ClusterOptions, Link, Partition, Scenario, Workload, simulate
from vectorkit.sim.world.clock import Scheduler
from vectorkit.sim.world.network import Network
from vectorkit.sim.world.trace import Trace
from vectorkit.sim.world.trace_events import MessageLost, MessageSent

SCENARIO = """
from vectorkit.sim import ClusterOptions, Link, Partition, Scenario, Workload, simulate
scenario = Scenario(
    options=ClusterOptions(replicas=2, link=Link(jitter_ms=15, loss=0.1)),
    workload=Workload(writes_per_s=40, source="uniform:30x4"),
    faults=[Partition(at_ms=500, for_ms=1_000, isolate=["node-2"])],
    duration_ms=2_500,
    seed=7,
)
"""
EXPECTED_HASH = "45610d9ffc2ec2e69b3d7ca01c5a61f2"
"""Change it only with the protocol, the trace or the draws: it is how a silent change shows."""


def scenario():
    names = {}
    exec(SCENARIO, names)
    return names["scenario"]


def test_the_same_scenario_gives_the_same_trace_twice():
    first, second = simulate(scenario()), simulate(scenario())
    assert first.trace.rows == second.trace.rows
    assert first.samples == second.samples
    assert first.trace_hash == second.trace_hash


def test_the_trace_of_a_known_scenario_has_not_changed():
    assert simulate(scenario()).trace_hash == EXPECTED_HASH


def test_other_processes_with_other_hash_seeds_get_the_same_trace():
    program = f"{SCENARIO}\nprint(simulate(scenario).trace_hash)"
    running = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in ("0", "1")
    ]
    answers = [process.communicate()[0].strip() for process in running]
    assert answers == [EXPECTED_HASH] * 2


def test_another_seed_gives_another_trace():
    hashes = {
        simulate(Scenario(options=scenario().options, duration_ms=500, seed=seed)).trace_hash
        for seed in (0, 1, 7, 7 + (1 << 32), (1 << 64) - 1)
    }
    assert len(hashes) == 5


def test_a_run_that_is_stepped_differently_has_the_same_trace():
    ticks = []
    whole = simulate(scenario())
    stepped = simulate(scenario(), progress=ticks.append)
    assert whole.trace_hash == stepped.trace_hash
    assert ticks == [1_000, 2_000, 2_500]


def test_the_hash_of_a_trace_covers_every_field_of_every_event():
    base = (5, "node-0", "node-1", "Ack", 3, 40, "x")
    changed = [
        (*base[:index], value, *base[index + 1 :])
        for index, value in enumerate((6, "node-2", "node-3", "Hello", 4, 41, "y"))
    ]
    events = [MessageSent(*base), MessageLost(*base), *(MessageSent(*each) for each in changed)]
    hashes = set()
    for event in events:
        trace = Trace()
        trace.add(event)
        hashes.add(trace.hash())
    assert len(hashes) == 9


def on_link(run, *nodes):
    """All that happened on the links between these nodes."""
    return [
        row
        for row in run.trace.rows
        if row.event in ("send", "lost", "deliver") and {row.node, row.peer} <= set(nodes)
    ]


def test_removing_a_replica_leaves_every_other_link_as_it_was():
    load = Workload(writes_per_s=37, source="uniform:30x4")  # Never due together with a timer.
    link = Link(jitter_ms=15, loss=0.1)
    three, two = (
        simulate(
            ClusterOptions(replicas=replicas, link=link),
            workload=load,
            duration_ms=3_000,
            seed=7,
        )
        for replicas in (3, 2)
    )
    for node in ("node-1", "node-2"):
        both = zip(on_link(three, "node-0", node), on_link(two, "node-0", node), strict=False)
        assert [one for one, other in both if one != other] == []
    assert len(on_link(two, "node-0", "node-1")) > 200


def test_removing_a_fault_leaves_the_other_links_as_they_were():
    options = ClusterOptions(replicas=2, link=Link(jitter_ms=15, loss=0.1))
    load = Workload(writes_per_s=37, source="uniform:30x4")  # Never due together with a timer.
    fault = Partition(at_ms=500, for_ms=1_000, isolate=["node-2"])
    with_it, without = (
        simulate(options, workload=load, faults=faults, duration_ms=3_000, seed=7)
        for faults in ([fault], [])
    )
    both = zip(
        on_link(with_it, "node-0", "node-1"), on_link(without, "node-0", "node-1"), strict=False
    )
    assert [one for one, other in both if one != other] == []


ACK = Ack(1, None, 5, 5, 5, 5)


def fates(messages, seed=7, node_ids=("a", "b", "c"), **link):
    """What becomes of messages from a to b: when each arrives, or None."""
    scheduler, trace = Scheduler(10_000), Trace()
    network = Network(node_ids, Link(**link), seed=seed, scheduler=scheduler, trace=trace)
    found = []
    for message in messages:
        network.send("a", "b", message, 10)
        event = scheduler.pop(scheduler.now_ns + 10**9)
        lost = trace.rows[-1].event == "lost"
        found.append(None if lost or event is None else event[0] - trace.rows[-1].time_ns)
        while scheduler.pop(scheduler.now_ns + 10**9) is not None:
            pass
    return found


def chunk(number, generation=1):
    return Chunk(generation, number, 0, b"")


def test_the_fate_of_a_message_does_not_depend_on_what_was_sent_before_it():
    some = [chunk(number) for number in range(60)]
    other = [each for number in range(60) for each in (ACK, chunk(number))]
    link = {"jitter_ms": 9, "loss": 0.3}
    assert fates(some, **link) == fates(other, **link)[1::2]


def test_the_fate_of_a_message_does_not_depend_on_the_connection():
    link = {"jitter_ms": 9, "loss": 0.3}
    some = [chunk(number) for number in range(60)]
    other = [chunk(number, generation=2) for number in range(60)]
    assert fates(some, **link) == fates(other, **link)


def test_each_attempt_has_a_fate_of_its_own():
    found = fates([chunk(3)] * 200, jitter_ms=9, loss=0.3)
    assert 40 <= found.count(None) <= 80
    assert len(set(found)) > 100


@pytest.mark.parametrize("link", [{"jitter_ms": 9}, {"loss": 0.3}], ids=["delay", "loss"])
@pytest.mark.parametrize(
    "change",
    [{"seed": 8}, {"node_ids": ("c", "a", "b")}, {"node_ids": ("a", "c", "b")}],
    ids=["seed", "source", "target"],
)
def test_delays_and_losses_depend_on_the_seed_and_on_both_ends_of_the_link(change, link):
    some = [chunk(number) for number in range(60)]
    assert fates(some, **link) != fates(some, **link, **change)


def test_without_jitter_and_loss_every_message_takes_the_delay():
    assert set(fates([chunk(number) for number in range(60)], delay_ms=3)) == {3_000_000}


def test_jitter_only_adds_to_the_delay_and_stays_below_its_bound():
    found = fates([chunk(number) for number in range(500)], delay_ms=3, jitter_ms=2)
    assert 3_000_000 <= min(found) < 3_050_000
    assert 4_950_000 < max(found) < 5_000_000


def test_a_link_that_loses_everything_delivers_nothing():
    assert set(fates([chunk(number) for number in range(60)], loss=1.0)) == {None}


def test_records_are_drawn_by_their_first_offset():
    run = simulate(scenario())
    first = rows(run, "send", node="node-0", kind=Records.__name__)[0]
    assert first.number == rows(run, "apply", kind="snapshot")[0].number + 1


def test_options_of_the_protocol_are_part_of_a_scenario():
    slow = ClusterOptions(replicas=1, replication=ReplicationOptions(heartbeat_ms=2_000))
    fast = ClusterOptions(replicas=1, replication=ReplicationOptions(heartbeat_ms=500))
    runs = [simulate(options, duration_ms=3_900, seed=7) for options in (slow, fast)]
    assert [len(rows(run, "send", kind="MasterHeartbeat")) for run in runs] == [1, 7]
