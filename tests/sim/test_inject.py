"""What each fault does to a cluster: when it begins and ends, and what is whole after it."""

import json
import warnings
from itertools import pairwise

import pytest

from tests.sim.checks import rows
from vectorkit import sim
from vectorkit.errors import DiskFull, InvalidOption
from vectorkit.replication import Failover, ReplicationOptions, WriteConcern, majority
from vectorkit.sim.analysis.stuck import stuck_nodes
from vectorkit.sim.world.inject import cut_by

LOAD = sim.Workload(writes_per_s=40, source="uniform:30x4")
MS = 1_000_000


def run_of(*faults, replicas=2, load=LOAD, duration_ms=4_000, seed=7, **options):
    options = sim.ClusterOptions(replicas=replicas, **options)
    return sim.simulate(options, workload=load, faults=faults, duration_ms=duration_ms, seed=seed)


def cluster_of(replicas=2, **options):
    made = sim.Cluster(sim.ClusterOptions(replicas=replicas, **options), seed=7)
    made.store.create_collection("words", dim=2)
    made.store.upsert("words", ["king"], [[1, 0]])
    made.advance(ms=500)
    return made


def put(cluster, word):
    cluster.store.upsert("words", [word], [[0, 1]])


def times_ms(found):
    return [row.time_ns / MS for row in found]


# Partitions


NODES = ("a", "b", "c", "d", "e")
WAYS = [(x, y) for x in (*NODES, "client-0") for y in (*NODES, "client-0") if x != y]


def heard_by(node, fault):
    cut = cut_by(fault, NODES, WAYS, master="a")
    return sorted(
        source for source, target in WAYS if target == node and (source, target) not in cut
    )


def test_isolated_endpoints_are_one_group():
    fault = sim.Partition(at_ms=0, isolate=["a", "client-0"])
    assert heard_by("a", fault) == ["client-0"]
    assert heard_by("b", fault) == ["c", "d", "e"]


def test_whoever_is_in_no_group_is_in_one_more():
    fault = sim.Partition(at_ms=0, groups=[["a", "b"], ["c"]])
    assert heard_by("a", fault) == ["b"]
    assert heard_by("c", fault) == []
    assert heard_by("d", fault) == ["client-0", "e"]


def test_in_a_ring_each_hears_its_two_neighbours_and_clients_hear_all():
    fault = sim.Partition(at_ms=0, shape="ring")
    assert heard_by("a", fault) == ["b", "client-0", "e"]
    assert heard_by("c", fault) == ["b", "client-0", "d"]
    assert heard_by("client-0", fault) == list(NODES)


def test_a_bridge_is_two_halves_joined_by_one_node():
    fault = sim.Partition(at_ms=0, shape="bridge")
    assert heard_by("a", fault) == ["b", "c", "client-0"]
    assert heard_by("c", fault) == ["a", "b", "client-0", "d", "e"]
    assert heard_by("d", fault) == ["c", "client-0", "e"]


def test_the_current_master_is_found_when_the_fault_begins():
    assert heard_by("a", sim.Partition(at_ms=0, isolate=[sim.CURRENT_MASTER])) == []


def test_overlapping_cuts_end_one_by_one():
    run = run_of(
        sim.Partition(at_ms=1_000, for_ms=1_000, isolate=["node-2"]),
        sim.Cut(at_ms=1_500, for_ms=1_500, target="node-2"),
    )
    arrived = times_ms(rows(run, "deliver", node="node-2", peer="node-0"))
    assert [time for time in arrived if 1_000 <= time < 3_000] == []
    assert [time for time in arrived if time >= 3_000]
    back = times_ms(rows(run, "deliver", node="node-0", peer="node-2"))
    assert [time for time in back if 1_000 <= time < 2_000] == []
    assert [time for time in back if 2_000 <= time < 3_000]
    assert run.is_converged


# Crashes


def test_a_crashed_node_starts_again_when_the_last_of_its_crashes_ends():
    run = run_of(
        sim.Crash(at_ms=1_000, for_ms=500, node="node-1"),
        sim.Crash(at_ms=1_200, for_ms=1_000, node="node-1"),
    )
    assert times_ms(rows(run, "crash", node="node-1")) == [1_000]
    assert times_ms(rows(run, "start", node="node-1", kind="restart")) == [2_200]
    assert run.is_converged


def test_a_crash_without_end_lasts_until_the_faults_end():
    run = run_of(sim.Crash(at_ms=1_000, node="node-1"))
    assert times_ms(rows(run, "start", node="node-1", kind="restart")) == [4_000]
    assert run.is_converged


def test_a_restart_ends_the_crash_that_lasts():
    run = run_of(
        sim.Crash(at_ms=1_000, for_ms=2_000, node="node-1"),
        sim.Restart(at_ms=1_500, node="node-1"),
        sim.Crash(at_ms=2_000, for_ms=500, node="node-1"),
    )
    assert times_ms(rows(run, "start", node="node-1", kind="restart")) == [1_500, 2_500]


def test_the_master_that_crashes_is_named_in_the_trace():
    run = run_of(
        sim.Crash(at_ms=1_000, node=sim.CURRENT_MASTER),
        sim.Crash(at_ms=8_000, for_ms=100, node=sim.CURRENT_MASTER),
        duration_ms=9_000,
        write_concern=majority(),
        failover=Failover(),
    )
    crashed = [row.node for row in rows(run, "crash")]
    begun = [json.loads(row.text)["node"] for row in rows(run, "fault", kind="start")]
    assert begun == crashed
    assert crashed[0] == "node-0" != crashed[1]
    assert run.is_converged


def test_where_there_is_no_master_nothing_befalls_it():
    run = run_of(
        sim.Crash(at_ms=1_000, for_ms=1_000, node="node-0"),
        sim.Crash(at_ms=1_500, for_ms=1_000, node=sim.CURRENT_MASTER),
    )
    assert [row.node for row in rows(run, "crash")] == ["node-0"]
    assert [row.number for row in rows(run, "fault", kind="none")] == [1]


def test_a_torn_tail_is_cut_and_nothing_acknowledged_is_missing():
    made = cluster_of(disk=sim.Disk(fsync_ms=50))
    for word in "abcdef":
        put(made, word)
    made.inject(sim.Crash(at_ms=10, for_ms=100, node="node-0", lose_unsynced=False))
    made.advance(ms=20)
    run = made.finish()
    assert rows(run, "crash")[0].kind == "torn"
    assert run.is_converged


def test_a_lost_disk_brings_a_node_back_under_a_new_index_by_a_full_sync():
    run = run_of(
        sim.Crash(at_ms=1_000, for_ms=500, node="node-1", lose_disk=True),
        write_concern=majority(),
    )
    (lost,) = rows(run, "lost_state")
    assert (lost.node, lost.number, lost.text) == ("node-1", 1 << 8 | 1, "no state")
    assert [
        row.time_ns > lost.time_ns for row in rows(run, "apply", node="node-1", kind="snapshot")
    ][-1]
    assert run.is_converged


# Pauses and slow processors


def test_messages_to_a_paused_node_wait_until_it_resumes():
    run = run_of(sim.Pause(at_ms=1_000, for_ms=500, node="node-1"))
    arrived = times_ms(rows(run, "deliver", node="node-1"))
    assert [time for time in arrived if 1_000 <= time < 1_500] == []
    assert arrived.count(1_500) >= 20  # 40 writes a second for half a second.
    assert rows(run, "lost") == []
    assert rows(run, "start", node="node-1", kind="restart") == []
    assert run.is_converged


def test_pauses_add_up():
    run = run_of(
        sim.Pause(at_ms=1_000, for_ms=500, node="node-1"),
        sim.Pause(at_ms=1_200, for_ms=800, node="node-1"),
    )
    arrived = times_ms(rows(run, "deliver", node="node-1"))
    assert [time for time in arrived if 1_000 <= time < 2_000] == []


def test_what_waits_for_a_paused_node_is_lost_if_it_crashes():
    made = cluster_of()
    made.inject(sim.Pause(at_ms=0, for_ms=1_000, node="node-1"))
    made.inject(sim.Crash(at_ms=500, for_ms=100, node="node-1"))
    made.advance(ms=10)
    for word in "abc":
        put(made, word)
        made.advance(ms=10)
    assert made.links()["node-0", "node-1"].in_flight_count >= 3
    made.advance(ms=480)
    assert made.links()["node-0", "node-1"].in_flight_count == 0
    run = made.finish()
    assert {row.text for row in rows(run, "lost", peer="node-1")} == {"down"}
    assert run.is_converged


def test_timers_of_a_paused_node_come_late():
    run = run_of(sim.Pause(at_ms=600, for_ms=900, node="node-0"))
    beats = times_ms(rows(run, "send", node="node-0", peer="node-1", kind="MasterHeartbeat"))
    assert beats[0] == 1_500


def test_a_slow_processor_lets_messages_queue():
    load = sim.Workload(writes_per_s=200, source="uniform:30x4")
    fault = sim.SlowCpu(at_ms=1_000, for_ms=1_000, node="node-1", step_ms=4)
    run = run_of(fault, load=load, replicas=1)
    taken = [time for time in times_ms(rows(run, "deliver", node="node-1")) if 1_010 < time < 2_000]
    gaps = [later - earlier for earlier, later in pairwise(taken)]
    assert min(gaps) >= 4
    assert run.is_converged


# Disks


def delays_ms(run, node):
    """From each record's arrival in the log to the disk's word for it, by offset."""
    appended = {row.number: row.time_ns for row in rows(run, "append", node=node)}
    found = {}
    for row in rows(run, "flush", node=node):
        for offset in [each for each in appended if each <= row.number and each not in found]:
            found[offset] = (row.time_ns - appended[offset]) / MS, row.time_ns / MS
    return found


def test_a_slow_disk_takes_its_factor_longer_and_factors_multiply():
    made = cluster_of(replicas=0, disk=sim.Disk(fsync_ms=1))
    made.inject(sim.SlowDisk(at_ms=0, for_ms=1_000, node="node-0", factor=10))
    made.inject(sim.SlowDisk(at_ms=500, for_ms=1_000, node="node-0", factor=3))
    for word in "abcd":  # At 500, 1,000 … 2,000 ms: under one, two, one and no fault.
        made.advance(ms=400)
        put(made, word)
        made.advance(ms=100)
    run = made.finish()
    took = [delay for delay, _ in delays_ms(run, "node-0").values()]
    assert took[-4:] == [10, 30, 3, 1]


def test_a_stalled_disk_writes_nothing_until_it_goes_on():
    made = cluster_of(replicas=1, disk=sim.Disk(fsync_ms=1))
    made.inject(sim.StalledDisk(at_ms=0, for_ms=300, node="node-0"))
    made.advance(ms=10)
    put(made, "queen")
    made.advance(ms=1_000)
    run = made.finish()
    assert list(delays_ms(run, "node-0").values())[-1] == (291, 801)
    assert run.is_converged


def test_a_master_whose_disk_is_full_refuses_writes_and_loses_nothing():
    made = cluster_of(write_concern=majority())
    put(made, "queen")
    made.inject(sim.FullDisk(at_ms=0, for_ms=1_000, node=sim.CURRENT_MASTER))
    made.advance(ms=1)
    with pytest.raises(DiskFull) as caught:
        put(made, "prince")
    assert caught.value.to_dict()["details"] == {
        "got": "a full disk",
        "wanted": "room for its log",
        "remedy": "make room, or promote another node",
    }
    made.advance(ms=1_000)
    put(made, "prince")
    assert made.confirm() == 5
    run = made.finish()
    assert run.is_converged
    assert sorted(made.store["words"].ids()) == ["king", "prince", "queen"]


def test_a_node_that_restarts_with_a_full_disk_still_knows():
    made = cluster_of(replicas=0)
    made.inject(sim.FullDisk(at_ms=0, for_ms=1_000, node="node-0"))
    made.advance(ms=1)
    made.crash("node-0")
    made.restart("node-0")
    assert made._engine.node("node-0").member.is_disk_full
    run = made.finish()
    assert not made._engine.node("node-0").member.is_disk_full
    assert run.is_converged


@pytest.mark.parametrize(
    ("offset", "problem"), [(20, "record 20 is damaged, and"), (-1, "is damaged, and")]
)
def test_a_flipped_bit_is_noticed_at_the_next_start(offset, problem):
    run = run_of(
        sim.FlipBit(at_ms=1_000, node="node-1", offset=offset),
        sim.Crash(at_ms=1_001, for_ms=500, node="node-1"),
        write_concern=majority(),
    )
    (lost,) = rows(run, "lost_state")
    assert lost.node == "node-1"
    assert problem in lost.text
    assert lost.time_ns == 1_501 * MS
    assert run.is_converged


def test_a_damaged_checkpoint_is_noticed_at_the_next_start():
    run = run_of(
        sim.FlipBit(at_ms=2_000, node="node-1", offset=0),
        sim.Crash(at_ms=2_001, for_ms=500, node="node-1"),
        write_concern=majority(),
        replication=ReplicationOptions(checkpoint_operations=1_000),
    )
    (lost,) = rows(run, "lost_state")
    assert lost.text == "the checkpoint is damaged"
    assert run.is_converged


# Clocks


def test_an_offset_of_three_days_either_way_changes_nothing_but_what_clocks_show():
    offsets = [
        sim.ClockOffset(node=f"node-{slot}", offset_ms=sign * 3 * 86_400_000)
        for slot, sign in ((0, 1), (1, -1), (2, 1))
    ]
    plain, skewed = run_of(), run_of(*offsets)
    both = [
        [row for row in run.trace.rows if row.event not in ("fault", "digest")]
        for run in (plain, skewed)
    ]
    assert both[0] == both[1]
    assert all(sample.lag_ms >= 0 for sample in skewed.samples)


def beats_ms(run, node="node-0", peer="node-1"):
    found = rows(run, "send", node=node, peer=peer, kind="MasterHeartbeat")
    return [round(row.time_ns / MS, 3) for row in found]


def test_a_clock_that_gains_beats_early_and_one_that_loses_late():
    fast = run_of(sim.ClockDrift(at_ms=0, for_ms=10_000, node="node-0", ppm=250_000))
    slow = run_of(sim.ClockDrift(at_ms=0, node="node-0", ppm=-500_000))
    assert beats_ms(fast)[:3] == [800, 1_600, 2_400]
    assert beats_ms(slow)[:1] == [2_000]


def test_a_timer_that_was_set_follows_a_clock_that_jumps():
    run = run_of(sim.ClockJump(at_ms=300, node="node-0", by_ms=400), load=None)
    assert beats_ms(run)[:3] == [600, 1_600, 2_600]


def test_drifts_add_up_and_end_alone():
    run = run_of(
        sim.ClockDrift(at_ms=0, for_ms=1_000, node="node-0", ppm=500_000),
        sim.ClockDrift(at_ms=500, for_ms=1_500, node="node-0", ppm=500_000),
        load=None,
    )
    # It shows 750 at 500, 1,750 at 1,000, 3,250 at 2,000, and goes right from there on.
    assert beats_ms(run)[:4] == [625, 1_166.667, 1_833.333, 2_750]


# Operators


def test_an_operator_promotes_by_the_one_path():
    run = run_of(sim.Promote(at_ms=1_000, node="node-1"), load=None, write_concern=majority())
    roles = [(row.kind, row.value) for row in rows(run, "role", node="node-1")]
    assert roles[-2:] == [("candidate", 0), ("master", 0)]
    assert run.is_converged


def test_a_forced_promotion_is_marked():
    run = run_of(
        sim.Partition(at_ms=900, for_ms=2_900, groups=[["node-1"], ["node-2"]]),
        sim.Promote(at_ms=1_000, node="node-1", force=True),
        write_concern=majority(),
    )
    assert rows(run, "role", node="node-1", kind="master")[0].value == 1


def test_a_promotion_that_is_refused_is_only_noted():
    run = run_of(sim.Promote(at_ms=1_000, node="node-0"))
    assert [row.kind for row in rows(run, "role", node="node-0")] == ["master"]
    assert run.is_converged


def test_a_replaced_nodes_index_is_retired_on_every_node_that_is_up():
    run = run_of(
        sim.Crash(at_ms=1_000, node="node-1"),
        sim.Replace(at_ms=2_000, node="node-1"),
        write_concern=majority(),
    )
    retired = [(row.node, row.number) for row in rows(run, "retire")]
    assert retired == [("node-0", 1), ("node-2", 1)]
    assert {row.time_ns // MS for row in rows(run, "retire")} == {2_000}
    assert all(row.time_ns > 2_000 * MS for row in rows(run, "retire"))  # The disk has it first.
    assert [row.kind for row in rows(run, "crash", node="node-1")] == ["", "lost_disk"]
    assert rows(run, "lost_state")[0].number == 1 << 8 | 1
    assert run.is_converged


# By hand


def test_faults_by_hand_count_their_times_from_now():
    made = cluster_of()
    made.inject(sim.Pause(at_ms=100, for_ms=50, node="node-1"))
    made.advance(ms=1_000)
    run = made.finish()
    times = [(row.kind, row.time_ns / MS) for row in rows(run, "fault")]
    assert times == [("start", 600), ("end", 650)]


def test_a_cut_by_hand_lasts_until_it_is_healed():
    made = cluster_of()
    made.cut("node-2")
    put(made, "queen")
    made.advance(ms=200)
    assert "queen" not in made.stores["node-2"]["words"]
    made.heal()
    made.advance(ms=3_000)
    assert "queen" in made.stores["node-2"]["words"]


def test_a_clock_that_runs_cannot_be_set_by_hand():
    with pytest.raises(InvalidOption, match="ClockJump"):
        cluster_of().inject(sim.ClockOffset(node="node-1", offset_ms=1))
    with pytest.raises(InvalidOption, match="node-9"):
        cluster_of().inject(sim.Restart(at_ms=1, node="node-9"))


# The end


def test_after_the_faults_end_none_begins():
    made = cluster_of()
    made.inject(sim.Crash(at_ms=50, for_ms=100, node="node-1"))
    run = made.finish()
    assert rows(run, "crash") == []
    assert run.stuck == ()


def test_a_cluster_that_was_finished_can_be_broken_again():
    made = cluster_of()
    made.finish()
    made.inject(sim.Crash(at_ms=0, for_ms=100, node="node-1"))
    made.advance(ms=50)
    assert not made._engine.machines["node-1"].is_up
    assert made.finish().is_converged


def test_a_run_without_anybody_to_promote_says_why_every_node_is_stuck():
    run = run_of(
        sim.Crash(at_ms=1_000, for_ms=500, node="node-0", lose_disk=True), write_concern=majority()
    )
    assert not run.is_converged
    assert [(each.node, each.role, each.reason) for each in run.stuck] == [
        (node, "replica", "no master: only an operator promotes, and none does")
        for node in run.options.node_ids
    ]


def test_a_cluster_that_lost_too_much_names_the_nodes_without_state():
    run = run_of(
        sim.Crash(at_ms=1_000, for_ms=500, node="node-0", lose_disk=True),
        sim.Crash(at_ms=1_000, for_ms=500, node="node-1", lose_disk=True),
        write_concern=majority(),
        failover=Failover(),
    )
    reasons = {each.node: each.reason for each in run.stuck}
    nobody = "no master: node-0 and node-1 without state, and a promotion needs 2 intact nodes"
    assert reasons["node-0"] == reasons["node-1"] == nobody
    standing = f"stands for epoch {run.stuck[2].epoch} and lacks answers of node-0 and node-1"
    assert reasons["node-2"] in (nobody, standing)


def test_a_returning_node_that_cannot_hear_all_others_names_the_missing():
    made = cluster_of(write_concern=WriteConcern(count=1))
    made.crash("node-1")
    made.crash("node-2", lose_disk=True)
    made.restart("node-2")
    made.advance(ms=1_000)
    reasons = {each.node: each.reason for each in stuck_nodes(made._engine)}
    assert reasons == {"node-1": "is down", "node-2": "waits for the promise of node-1"}


def test_a_log_that_wraps_during_every_full_sync_is_warned_of():
    slow = sim.ClusterOptions(
        replicas=1,
        link=sim.Link(delay_ms=100, mib_per_s=0.01),
        replication=ReplicationOptions(log_capacity_operations=10),
    )
    load = sim.Workload(writes_per_s=100, source="uniform:1000x16")
    with pytest.warns(UserWarning, match="takes about 8,392 ms, in which clients make 839 writes"):
        sim.simulate(slow, workload=load, duration_ms=10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sim.simulate(workload=load, duration_ms=10)
