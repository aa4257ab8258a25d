"""The schedules of the fault catalogue: each is a scenario as a function of a seed, and small."""

from dataclasses import replace

from vectorkit import sim
from vectorkit.draws import address, fold
from vectorkit.replication import ReplicationOptions
from vectorkit.sim.faults.draws import Draws

FAST = ReplicationOptions(
    heartbeat_ms=200,
    connection_timeout_ms=1_000,
    disconnected_after_ms=3_000,
    lagging_above_ms=500,
    backoff_ms_min=100,
    backoff_ms_max=2_000,
    stand_timeout_ms=1_000,
)
_STREAM = 98
MASTER = sim.CURRENT_MASTER


def draws(seed):
    """The choices of one schedule."""
    return Draws(fold(address(seed), _STREAM))


def options(seed, *, nodes=3, count="majority", stage="flushed", failover=True, **changed):
    """A small cluster that notices failures within a second; other options are the protocol's."""
    d = draws(seed).at(1)
    whole = {name: changed.pop(name) for name in ("link", "links", "disk") if name in changed}
    link = sim.Link(delay_ms=d.pick((1, 2, 4), 0), jitter_ms=d.pick((0, 3, 8), 1))
    detector = sim.Failover(deadline_ms=800, stagger_ms=d.pick((0, 60, 150), 2))
    return sim.ClusterOptions(
        replicas=nodes - 1,
        **{"link": link, **whole},
        write_concern=sim.WriteConcern(count=count, stage=stage, timeout_ms=600),
        failover=detector if failover else None,
        event_count_max=20_000,  # Without its safeguard a protocol may never come to rest.
        replication=replace(FAST, **changed),
    )


def load(seed, **changed):
    """A small load: rates are drawn unless they are given."""
    d = draws(seed).at(2)
    usual = {
        "writes_per_s": d.pick((10, 20, 30), 0),
        "source": "uniform:20x4",
        "arrivals": d.pick(("fixed", "exponential"), 1),
        "client_timeout_ms": 1_500,
        "avoid_ms": 500,
    }
    return sim.Workload(**{**usual, **changed})


def scenario(seed, made, workload, faults, duration_ms=4_000):
    """All of it, the faults in the order of their times."""
    listed = sorted((each for each in faults if each.at_ms < duration_ms), key=lambda f: f.at_ms)
    return sim.Scenario(made, workload=workload, faults=listed, duration_ms=duration_ms, seed=seed)


# What befalls nodes and links


def isolate_master_with_a_client(seed, **changed):
    """The master and a client are cut off from the majority, which promotes another; then heal."""
    d = draws(seed).at(3)
    faults = []
    for number in range(2):
        here, at_ms = d.at(number), 400 + 1_800 * number + d.between(0, 500, number, 0)
        names = [MASTER, "client-0"] if here.has(0.7, 1) else [MASTER]
        for_ms = here.between(900, 1_500, 2)
        faults.append(sim.Partition(at_ms=at_ms, for_ms=for_ms, isolate=names))
        if here.has(0.5, 3):
            node = f"node-{here.between(0, 2, 4)}"
            faults.append(sim.Promote(at_ms=at_ms + here.between(1, 400, 5), node=node))
    return scenario(seed, options(seed, **changed), load(seed, clients=2), faults)


def promotions(seed, *, duration_ms=3_000, every_ms=500, **changed):
    """Nodes are promoted again and again, some while disks and links are slow: elections race."""
    d = draws(seed).at(4)
    made = options(seed, **changed)
    nodes, faults = made.node_ids, []
    for number, start_ms in enumerate(range(300, duration_ms - 300, every_ms)):
        here = d.at(number)
        at_ms = start_ms + here.between(0, 200, 0)
        chosen = here.some(nodes, 2, 1)
        faults.append(sim.Promote(at_ms=at_ms, node=chosen[0]))
        if here.has(0.5, 2):
            faults.append(sim.Promote(at_ms=at_ms + here.between(0, 15, 3), node=chosen[1]))
        if here.has(0.4, 4):
            source, target = here.some(nodes, 2, 5)
            faults.append(
                sim.Clog(
                    at_ms=at_ms - here.between(0, 20, 6),
                    for_ms=here.between(10, 250, 7),
                    source=source,
                    target=target,
                )
            )
        if here.has(0.3, 8):
            node = here.pick(nodes, 9)
            factor = here.pick((10, 50, 100), 10)
            for_ms = here.between(20, 200, 11)
            faults.append(
                sim.SlowDisk(at_ms=max(0, at_ms - 10), for_ms=for_ms, node=node, factor=factor)
            )
    return scenario(seed, made, load(seed, clients=2), faults, duration_ms)


def laggard(seed, **changed):
    """A master is cut off with a client that writes on; another is promoted, then it returns."""
    d = draws(seed).at(6)
    faults = []
    at_ms = 400 + d.between(0, 200, 0)
    for number in range(2):
        here = d.at(number + 1)
        for_ms = here.between(1_000, 1_500, 0)
        faults.append(sim.Partition(at_ms=at_ms, for_ms=for_ms, isolate=[MASTER, "client-0"]))
        node = f"node-{here.between(1, 2, 1)}"
        faults.append(sim.Promote(at_ms=at_ms + here.between(50, 300, 2), node=node))
        at_ms += for_ms + here.between(-100, 400, 3)
    made = options(seed, **changed)
    return scenario(seed, made, load(seed, clients=2, writes_per_s=20), faults)


def crashes(seed, *, duration_ms=4_000, **changed):
    """Nodes crash and start again, the master more often than others; some logs are torn."""
    d = draws(seed).at(7)
    made = options(seed, **changed)
    faults = []
    for number in range(4):
        here = d.at(number)
        at_ms = 300 + number * (duration_ms - 800) // 4 + here.between(0, 300, 0)
        faults.append(
            sim.Crash(
                at_ms=at_ms,
                for_ms=here.between(50, 1_200, 4),
                node=here.pick((MASTER, *made.node_ids), 1),
                lose_unsynced=here.has(0.7, 5),
            )
        )
    return scenario(seed, made, load(seed, clients=2), faults, duration_ms)


def absent_replica(seed, *, workload, duration_ms=3_000, spells=2, **changed):
    """A replica is away while much is written: its log no longer goes on, it takes a full sync."""
    d = draws(seed).at(8)
    made = options(seed, **changed)
    faults = []
    share_ms = duration_ms // spells
    for number in range(spells):
        here = d.at(number)
        node = f"node-{here.between(1, made.replicas, 0)}"
        at_ms = 200 + number * share_ms + here.between(0, 200, 1)
        for_ms = here.between(300, max(301, share_ms - 500), 2)
        kind = here.pick((sim.Partition, sim.Crash), 3)
        if kind is sim.Partition:
            faults.append(sim.Partition(at_ms=at_ms, for_ms=for_ms, isolate=[node]))
        else:
            faults.append(sim.Crash(at_ms=at_ms, for_ms=for_ms, node=node))
    return scenario(seed, made, workload, faults, duration_ms)


def deaf_to_records(seed, *, workload, duration_ms=4_500, **changed):
    """A replica hears heartbeats and clients, but the records of its master do not reach it."""
    d = draws(seed).at(9)
    made = options(seed, **changed)
    node = f"node-{d.between(1, made.replicas, 0)}"
    at_ms, for_ms = 300 + d.between(0, 500, 1), d.between(1_000, 3_500, 2)
    block = sim.Block(at_ms=at_ms, for_ms=for_ms, message="Records", source=MASTER, target=node)
    return scenario(seed, made, workload, [block], duration_ms)


def lost_disks(seed, **changed):
    """A node loses its disk and starts again, while the master is gone or goes soon."""
    d = draws(seed).at(22)
    faults = []
    for number in range(2):
        here = d.at(number)
        at_ms = 400 + 1_800 * number + here.between(0, 400, 0)
        for_ms = here.between(20, 900, 2)
        faults.append(sim.Crash(at_ms=at_ms, for_ms=for_ms, node="node-1", lose_disk=True))
        gone_ms = at_ms + here.between(-200, for_ms, 3)
        node = here.pick((MASTER, "node-0", "node-2"), 1)
        faults.append(sim.Crash(at_ms=gone_ms, for_ms=here.between(300, 1_200, 4), node=node))
        promoted_ms = at_ms + for_ms + here.between(0, 60, 5)
        faults.append(sim.Promote(at_ms=promoted_ms, node=here.pick(("node-0", "node-2"), 6)))
    return scenario(seed, options(seed, **changed), load(seed, clients=2), faults, 4_500)


def endless_syncs(seed, **changed):
    """More is written during a full sync than the log holds: no stream can begin behind it."""
    d = draws(seed).at(10)
    link = sim.Link(delay_ms=d.pick((15, 20, 30), 0))
    small = {"log_capacity_operations": 2, "chunk_bytes": 64, "sync_attempts_max": 1}
    made = options(seed, failover=False, link=link, **small, **changed)
    load = sim.Workload(writes_per_s=d.pick((30, 40, 60), 1), source="uniform:60x4")
    at_ms = 300 + d.between(0, 200, 2)
    away = sim.Crash(at_ms=at_ms, for_ms=d.between(100, 300, 3), node="node-1")
    return scenario(seed, made, load, [away], 2_500)


def slow_replicas(seed, *, degrades=False, **changed):
    """Disks of replicas are slow, stalled, or cut off, for longer than a write waits."""
    d = draws(seed).at(11)
    made = options(seed, failover=False, **changed)
    if degrades:
        concern = replace(made.write_concern, on_timeout="degrade")
        made = replace(made, write_concern=concern)
    faults = []
    for number, node in enumerate(made.node_ids[1:]):
        here = d.at(number)
        at_ms, for_ms = 300 + here.between(0, 600, 0), here.between(800, 2_500, 1)
        kind = here.pick(("stall", "slow", "cut", "none"), 2)
        if kind == "stall":
            faults.append(sim.StalledDisk(at_ms=at_ms, for_ms=for_ms, node=node))
        elif kind == "slow":
            faults.append(sim.SlowDisk(at_ms=at_ms, for_ms=for_ms, node=node, factor=2_000))
        elif kind == "cut":
            faults.append(sim.Partition(at_ms=at_ms, for_ms=for_ms, isolate=[node]))
    return scenario(seed, made, load(seed, clients=2), faults)


def slow_processor(seed, **changed):
    """One replica takes long for every message, at a high rate of writes."""
    d = draws(seed).at(12)
    batch_bytes = d.pick((100, 200, 400), 0)
    made = options(
        seed, failover=False, batch_bytes=batch_bytes, window_bytes=2 * batch_bytes, **changed
    )
    slow = sim.SlowCpu(
        at_ms=300, for_ms=d.between(500, 1_500, 1), node="node-1", step_ms=d.between(10, 60, 2)
    )
    load = sim.Workload(writes_per_s=100, source="uniform:20x4")
    return scenario(seed, made, load, [slow], 2_500)


def quiet_spells(seed, *, duration_ms=5_000, **changed):
    """Heartbeats are lost or late now and then, never for as long as a detector's patience."""
    d = draws(seed).at(13)
    made = options(seed, **changed)
    faults = []
    for number, start_ms in enumerate(range(200, duration_ms - 700, 700)):
        here = d.at(number)
        at_ms, for_ms = start_ms + here.between(0, 200, 0), here.between(100, 450, 1)
        node = here.pick(made.node_ids, 2)
        if here.has(0.5, 3):
            faults.append(sim.Pause(at_ms=at_ms, for_ms=for_ms, node=node))
        else:
            faults.append(sim.Partition(at_ms=at_ms, for_ms=for_ms, isolate=[node]))
    return scenario(seed, made, load(seed, writes_per_s=5), faults, duration_ms)


def slow_clock_of_a_lone_master(seed, **changed):
    """The master's clock runs slow while it is cut off with a client that reads."""
    d = draws(seed).at(14)
    at_ms, for_ms = 500 + d.between(0, 300, 0), d.between(1_200, 2_000, 1)
    faults = [
        sim.ClockDrift(at_ms=100, for_ms=3_500, node="node-0", ppm=-d.between(700_000, 900_000, 2)),
        sim.Partition(at_ms=at_ms, for_ms=for_ms, isolate=["node-0", "client-0"]),
    ]
    load = sim.Workload(
        writes_per_s=0.8,
        reads_per_s=15,
        clients=5,
        arrivals="exponential",
        source="uniform:1x4",
        read_policy="linearizable",
        client_timeout_ms=800,
        avoid_ms=300,
    )
    return scenario(seed, options(seed, **changed), load, faults)


def syncs_cut_short(seed):
    """A replica's link is cut again and again during its first full sync, in small chunks."""
    d = draws(seed).at(24)
    faults, at_ms = [], 10 + d.between(0, 40, 0)
    for number in range(6):
        here = d.at(number)
        for_ms = here.between(220, 300, 1)
        faults.append(sim.Partition(at_ms=at_ms, for_ms=for_ms, isolate=["node-1"]))
        at_ms += for_ms + here.between(40, 160, 2)
    made = options(
        seed,
        failover=False,
        heartbeat_ms=50,
        connection_timeout_ms=150,
        backoff_ms_min=20,
        chunk_bytes=64,
        chunk_window=2,
    )
    return scenario(seed, made, load(seed, writes_per_s=30), faults, 2_500)


def asked_of_a_deposed_master(seed, *, policy="linearizable"):
    """A cut-off client asks its old master, idle for long, for what the next one has changed."""
    d = draws(seed).at(23)
    cut_ms, for_ms = 500 + d.between(0, 200, 0), d.between(1_800, 2_200, 1)
    late_ms = cut_ms + d.between(700, 1_100, 2)
    faults = [
        sim.Partition(at_ms=cut_ms, for_ms=for_ms, isolate=[MASTER, "client-0"]),
        sim.Promote(at_ms=cut_ms + d.between(20, 200, 3), node=f"node-{d.between(1, 2, 4)}"),
    ]
    writes = {
        "client-0": [*range(20, cut_ms - 100, 50), *range(late_ms, cut_ms + for_ms - 50, 70)],
        "client-1": range(20, 3_400, 50),
    }
    reads = {"client-1": range(45, 3_500, 30)}
    if policy != "linearizable":  # Another policy is what the cut-off client reads by.
        reads["client-0"] = range(45, 3_500, 30)
    requests = [
        sim.PlannedRequest(at_ms=at_ms, client=client, is_read=is_read, index=index)
        for is_read, listed in ((False, writes), (True, reads))
        for client, times in listed.items()
        for index, at_ms in enumerate(times)
    ]
    workload = load(
        seed,
        clients=2,
        source="uniform:6x4",
        preload=d.pick((0, 3, 6), 5),
        insert_share=0.3,
        delete_share=0.4,
        read_policy=policy,
        client_timeout_ms=300,
        requests=requests,
    )
    return scenario(seed, options(seed, failover=False), workload, faults)


def confirmed_by_too_few(seed):
    """A master keeps one replica too few, whose client reads what both lose to the others."""
    d = draws(seed).at(25)
    cut_ms, for_ms = 500 + d.between(0, 200, 0), d.between(1_200, 1_600, 1)
    names = [MASTER, "node-1", "client-0", "client-1"]
    faults = [
        sim.Partition(at_ms=cut_ms, for_ms=for_ms, isolate=names),
        sim.Promote(at_ms=cut_ms + d.between(20, 400, 2), node=f"node-{d.between(2, 4, 3)}"),
    ]
    workload = load(seed, clients=3, source="uniform:6x4", reads_per_s=30, read_policy="confirmed")
    return scenario(seed, options(seed, nodes=5, failover=False), workload, faults)


def figure_eight(seed):
    """The schedule of figure 8 of the Raft paper: an old record is copied, and its master dies."""
    d = draws(seed).at(15)
    made = options(seed, failover=False, batch_bytes=1, window_bytes=1)
    faults = [
        sim.Block(at_ms=300, for_ms=700, message="Records", source="node-0"),
        sim.Crash(at_ms=600, for_ms=400, node="node-0"),
        sim.Block(at_ms=601, for_ms=2_500, message="Records", source="node-1"),
        sim.Promote(at_ms=610, node="node-1"),
        sim.Crash(at_ms=800, for_ms=600, node="node-1"),
        sim.Promote(at_ms=1_050, node="node-0"),
        sim.Crash(at_ms=1_060 + d.between(0, 200, 0), for_ms=1_500, node="node-0"),
        sim.Promote(at_ms=1_600, node="node-1"),
    ]
    return scenario(seed, made, load(seed, writes_per_s=20, clients=2), faults)


def poisoned_while_another_returns(seed):
    """A node comes back without state, slowly; meanwhile another needs a snapshot too."""
    d = draws(seed).at(16)
    made = options(seed, failover=False, chunk_bytes=64)
    faults = [
        sim.Crash(at_ms=400 + d.between(0, 300, 0), for_ms=50, node="node-2", lose_disk=True),
        sim.SlowCpu(at_ms=401, for_ms=1_800, node="node-2", step_ms=d.between(20, 60, 1)),
    ]
    load = sim.Workload(writes_per_s=10, source="uniform:60x4")
    return scenario(seed, made, load, faults, 3_000)


def ack_from_before_the_loss(seed):
    """A replica acks what its master lacks on disk, loses its own, and takes an old snapshot."""
    d = draws(seed).at(17)
    link = sim.Link(delay_ms=2)
    made = options(seed, failover=False, chunk_bytes=64, chunk_window=8, link=link)
    until_ms = 1_200 + d.between(0, 100, 0)
    faults = [
        sim.Partition(at_ms=0, for_ms=350, isolate=["node-2"]),
        sim.SlowCpu(at_ms=310, for_ms=1_200, node="node-2", step_ms=d.between(3, 5, 1)),
        sim.StalledDisk(at_ms=700, for_ms=until_ms - 700, node="node-0"),
        sim.Crash(at_ms=800 + d.between(0, 150, 2), for_ms=30, node="node-1", lose_disk=True),
        sim.Block(at_ms=960, for_ms=1_400, message="Records", source="node-0"),
        sim.Partition(
            at_ms=until_ms + d.between(300, 400, 3), for_ms=900, isolate=["node-0", "client-0"]
        ),
        sim.Promote(at_ms=until_ms + 500, node="node-1"),
    ]
    return scenario(
        seed, made, load(seed, writes_per_s=20, clients=2, source="uniform:500x4"), faults
    )


def promise_forgotten_with_the_disk(seed):
    """A node acks a new master, loses its disk, and hears of the old master only."""
    d = draws(seed).at(18)
    made = options(seed, failover=False, count=2)
    lost_ms = 600 + d.between(0, 150, 0)
    healed_ms = lost_ms + d.between(150, 400, 1)
    faults = [
        sim.Cut(at_ms=300, for_ms=healed_ms - 300, source="node-0", target="node-1"),
        sim.Cut(at_ms=300, for_ms=healed_ms - 300, source="node-1", target="node-0"),
        sim.Block(at_ms=300, for_ms=lost_ms - 300, message="Seek", target="node-0"),
        sim.Promote(at_ms=350, node="node-1"),
        sim.Cut(at_ms=lost_ms, for_ms=1_500, source="node-1", target="node-2"),
        sim.Cut(at_ms=lost_ms, for_ms=1_500, source="node-2", target="node-1"),
        sim.Crash(at_ms=lost_ms + 1, for_ms=20, node="node-2", lose_disk=True),
        sim.Cut(at_ms=healed_ms, for_ms=800, source="node-2", target="node-0"),
        sim.Cut(at_ms=healed_ms, for_ms=800, source="node-0", target="node-2"),
        sim.Promote(at_ms=healed_ms + d.between(0, 300, 2), node="node-2"),
    ]
    return scenario(seed, made, load(seed, writes_per_s=10, clients=2), faults, 3_000)


def snapshot_of_a_dead_master(seed):
    """A node shakes hands with a new master, which dies; its answer comes much later."""
    d = draws(seed).at(19)
    link = sim.Link(delay_ms=2)
    made = options(seed, failover=False, count=2, backoff_ms_min=2_000, link=link)
    dead_ms = 320 + d.between(0, 40, 0)
    late_ms = d.between(600, 900, 1)
    faults = [
        sim.Cut(at_ms=0, for_ms=dead_ms, source="node-0", target="node-1"),
        sim.Cut(at_ms=0, for_ms=dead_ms, source="node-1", target="node-0"),
        sim.Block(at_ms=295, for_ms=20, message="Prepare", source="node-1", target="node-2"),
        sim.Promote(at_ms=300, node="node-1"),
        sim.Degrade(
            at_ms=302 + d.between(0, 4, 2),
            for_ms=5,
            source="node-1",
            target="node-2",
            delay_ms=late_ms,
        ),
        sim.Crash(at_ms=dead_ms, for_ms=20, node="node-1", lose_disk=True),
        sim.Promote(at_ms=320 + late_ms + d.between(0, 300, 3), node="node-2"),
    ]
    return scenario(seed, made, load(seed, writes_per_s=20, clients=2), faults, 3_000)


def answers_compared(seed):
    """All rows are equally good: what decides is their order. A node comes back without state."""
    d = draws(seed).at(20)
    made = replace(options(seed, failover=False), recall_every_ms=500)
    load = sim.Workload(writes_per_s=15, source="uniform:20x1", delete_share=0.3, insert_share=0.3)
    lost = sim.Crash(at_ms=800 + d.between(0, 300, 0), for_ms=100, node="node-1", lose_disk=True)
    return scenario(seed, made, load, [lost], 2_500)


def bursts(seed):
    """Several clients write in the same moment; links are cut amid what follows."""
    d = draws(seed).at(21)
    link = sim.Link(delay_ms=d.pick((1, 2), 0))
    load = sim.Workload(writes_per_s=5, clients=d.between(2, 4, 1), source="uniform:20x4")
    faults = [
        sim.Partition(at_ms=at_ms + d.between(0, 5, 2, at_ms), for_ms=150, isolate=["node-1"])
        for at_ms in (400, 1_000, 1_600)
    ]
    return scenario(seed, options(seed, link=link), load, faults, 2_200)


# What an operator replaces, and what a node without state has to hear


def replaced_then_another_lost(seed, *, how="damage", restarts_master=False, tells_again=False):
    """A machine is replaced and has promised more than the master when another loses its state.

    The replacement is cut off from the one that returns. `how` is "damage" of its log or "disk";
    `restarts_master` makes the third node forget what only its memory knows; with `tells_again`
    the command to retire the old machine comes once more, after the loss.
    """
    d = draws(seed).at(23)
    made = options(seed, failover=False, link=sim.Link(delay_ms=d.pick((1, 2), 0)))
    begin_ms, back_ms = 300 + d.between(0, 100, 1), 40 + d.between(0, 60, 2)
    cut_ms = begin_ms + back_ms + 300 + d.between(0, 100, 3)
    lost_ms = cut_ms + 60 + d.between(0, 40, 4)
    faults = [
        sim.Replace(at_ms=begin_ms, node="node-1"),
        sim.Restart(at_ms=begin_ms + back_ms, node="node-1"),
        # The replacement is elected by node-2, unknown to the old master ...
        sim.Cut(at_ms=cut_ms, for_ms=1_500, source="node-0", target="node-1"),
        sim.Cut(at_ms=cut_ms, for_ms=1_500, source="node-1", target="node-0"),
        sim.Block(at_ms=cut_ms, for_ms=1_500, message="Seek", target="node-0"),
        sim.Promote(at_ms=cut_ms + 5, node="node-1"),
        # ... and node-2 loses its state and can reach only that one.
        sim.Cut(at_ms=lost_ms, for_ms=1_400, source="node-1", target="node-2"),
        sim.Cut(at_ms=lost_ms, for_ms=1_400, source="node-2", target="node-1"),
    ]
    if how == "damage":
        faults.append(sim.FlipBit(at_ms=lost_ms, node="node-2", offset=-1))
    faults.append(sim.Crash(at_ms=lost_ms + 1, for_ms=60, node="node-2", lose_disk=how == "disk"))
    if restarts_master:
        faults.append(sim.Crash(at_ms=lost_ms - 30, for_ms=10, node="node-0"))
        faults.append(sim.Promote(at_ms=lost_ms + 300, node="node-0"))
    if tells_again:
        faults.append(sim.Retire(at_ms=lost_ms + 75, node="node-1", target="node-2"))
    return scenario(seed, made, load(seed, writes_per_s=30, clients=2), faults, 2_500)


def damage_after_a_promise(seed):
    """A candidate is gone for good after its only answer, whose node finds its log damaged."""
    d = draws(seed).at(24)
    made = options(seed, failover=False, link=sim.Link(delay_ms=2))
    at_ms = 400 + d.between(0, 200, 0)
    faults = [
        sim.Cut(at_ms=at_ms - 10, for_ms=1_500, source="node-1", target="node-0"),
        sim.Block(at_ms=at_ms - 10, for_ms=1_500, message="Seek", target="node-0"),
        sim.Promote(at_ms=at_ms, node="node-1"),
        sim.Replace(at_ms=at_ms + 14 + d.between(0, 2, 1), node="node-1"),
        sim.FlipBit(at_ms=at_ms + 40, node="node-2", offset=-1),
        sim.Crash(at_ms=at_ms + 41, for_ms=d.between(20, 60, 2), node="node-2"),
        sim.Retire(at_ms=at_ms + 200, node="node-1"),
    ]
    return scenario(seed, made, load(seed, clients=2), faults, 2_000)


# What a replica hears of a master that it is not connected with


def announcements_only(seed):
    """Handshakes of a replica are lost after a crash; its master announces itself all the time."""
    d = draws(seed).at(25)
    made = options(seed)
    at_ms = 400 + d.between(0, 300, 0)
    node = f"node-{d.between(1, 2, 1)}"
    faults = [
        sim.Block(at_ms=at_ms, for_ms=d.between(2_000, 2_800, 2), message="Hello", source=node),
        sim.Crash(at_ms=at_ms + 10, for_ms=d.between(20, 100, 3), node=node),
    ]
    return scenario(seed, made, load(seed, writes_per_s=10), faults, 3_500)


def heartbeats_of_an_older_connection(seed):
    """A replica has given a connection up that its master still uses; handshakes are lost."""
    d = draws(seed).at(26)
    made = options(seed, connection_timeout_ms=900, link=sim.Link(delay_ms=2))
    patient = sim.Failover(deadline_ms=1_250, stagger_ms=0)
    at_ms = 400 + d.between(0, 150, 0)
    faults = [
        sim.Cut(at_ms=at_ms, for_ms=950, source="node-0", target="node-1"),
        sim.Block(at_ms=at_ms, for_ms=2_000, message="Hello", source="node-1"),
        sim.Block(at_ms=at_ms, for_ms=2_000, message="Announce", target="node-1"),
    ]
    return scenario(
        seed, replace(made, failover=patient), load(seed, writes_per_s=10), faults, 3_500
    )
