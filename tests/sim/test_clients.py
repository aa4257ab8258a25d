"""Clients on the network: what they ask, whom, and what their trace says of the answers."""

import json
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest

from vectorkit.errors import InvalidOption
from vectorkit.replication.protocol.log import Position
from vectorkit.replication.protocol.messages import ClientReply
from vectorkit.sim import (
    Cluster,
    ClusterOptions,
    Link,
    Partition,
    Workload,
    WriteConcern,
    majority,
    simulate,
)
from vectorkit.sim.load.clients import Client, value_of

SMALL = "uniform:20x4"
LOAD = Workload(writes_per_s=20, source=SMALL)


def rows(run, event, **wanted):
    found = (row for row in run.trace.rows if row.event == event)
    return [row for row in found if all(getattr(row, k) == v for k, v in wanted.items())]


def requests(run, client=None):
    """Each request: its `invoke`, and its `complete` or None."""
    asked = [row for row in rows(run, "invoke") if client in (None, row.node)]
    done = {row.number: row for row in rows(run, "complete")}
    return [(row, done.get(row.number)) for row in asked]


def text(row):
    return json.loads(row.text)


def test_a_write_is_traced_from_its_first_to_its_last_moment():
    run = simulate(ClusterOptions(replicas=1), workload=LOAD, duration_ms=220, seed=7)
    (first, answer), (second, _), *rest = requests(run)
    assert (first.time_ns, first.node, first.peer) == (50_000_000, "client-0", "node-0")
    assert (first.kind, first.number, first.value) == ("write", 1_000, 0)
    assert text(first) == {"key": text(first)["key"], "policy": "", "token": [0, 0]}
    assert answer.time_ns == first.time_ns + 4_500_000  # There and back, and one flush.
    assert (answer.node, answer.peer, answer.kind) == ("client-0", "node-0", "ok")
    written = rows(run, "append", kind="UpdateVectors")[0]
    assert (answer.number, answer.value) == (1_000, written.number)
    assert (written.peer, written.text.partition("|")[2]) == ("client-0", "1000")
    assert text(answer) == {
        "epoch": written.value,
        "error": "",
        "hash": written.text.partition("|")[0],
        "value": 1_000,
    }
    assert text(second)["token"] == [written.value, written.number]
    assert [row.number for row, _ in rest] == [3_000, 4_000]


def test_a_read_tells_which_write_its_row_came_from_or_that_there_is_none():
    load = Workload(
        writes_per_s=100, reads_per_s=100, source="uniform:9x4", delete_share=0.3, insert_share=0.4
    )
    run = simulate(ClusterOptions(replicas=0), workload=load, duration_ms=2_000, seed=7)
    now = dict.fromkeys(range(9), 0)
    seen = Counter()
    for row in rows(run, "complete", kind="ok"):
        invoke = next(each for each in rows(run, "invoke", number=row.number))
        key, value = text(invoke)["key"], text(row)["value"]
        if invoke.kind == "read":
            seen[min(value, 1)] += 1
            assert value == now[key]
        else:
            now[key] = value
            assert value == (-1 if invoke.kind == "delete" else row.number)
    assert set(seen) == {-1, 0, 1}


def test_a_refused_write_tells_the_code_of_its_error():
    load = Workload(writes_per_s=10, source=SMALL, preload=0)
    run = simulate(ClusterOptions(replicas=0), workload=load, duration_ms=1_000, seed=7)
    ends = {(row.kind, text(row)["error"]) for row in rows(run, "complete")}
    assert ends == {("refused", "vector_not_found")}


def test_a_load_makes_the_writes_and_reads_that_it_promises_of_each_client():
    load = Workload(writes_per_s=20, reads_per_s=50, clients=3, source=SMALL)
    run = simulate(ClusterOptions(replicas=1), workload=load, duration_ms=2_000, seed=7)
    counts = Counter((row.node, row.kind) for row in rows(run, "invoke"))
    assert counts == {
        (f"client-{each}", kind): count
        for each in range(3)
        for kind, count in (("write", 40), ("read", 100))
    }


def test_no_request_is_sent_twice_and_each_has_one_end_whatever_the_network_does():
    options = ClusterOptions(replicas=2, link=Link(loss=0.1, jitter_ms=30))
    load = Workload(writes_per_s=50, reads_per_s=50, source=SMALL, client_timeout_ms=300)
    run = simulate(options, workload=load, duration_ms=5_000, seed=7)
    sent = rows(run, "send", node="client-0")
    assert len(sent) == len({row.number for row in sent}) == 500
    ends = Counter(row.number for row in rows(run, "complete"))
    assert set(ends.values()) == {1}
    kinds = Counter(row.kind for row in rows(run, "complete"))
    assert kinds["silent"] > 50
    late = [end for start, end in requests(run) if end and end.time_ns - start.time_ns > 3e8]
    assert late == []


def test_a_client_that_is_cut_off_hears_nothing_and_gives_up_in_time():
    load = Workload(writes_per_s=10, source=SMALL, clients=2, client_timeout_ms=500)
    cut = Partition(at_ms=950, for_ms=1_000, isolate=["client-1"])
    run = simulate(workload=load, faults=[cut], duration_ms=4_000, seed=7)
    assert {end.kind for _, end in requests(run, "client-0")} == {"ok"}
    silent = [(start, end) for start, end in requests(run, "client-1") if end.kind == "silent"]
    assert [start.time_ns / 1e6 for start, _ in silent] == [1_000 + 100 * n for n in range(10)]
    assert {end.time_ns - start.time_ns for start, end in silent} == {500_000_000}
    assert {(end.value, text(end)["error"]) for _, end in silent} == {(0, "")}


def test_a_client_can_be_cut_off_together_with_a_node():
    load = Workload(writes_per_s=10, source=SMALL, clients=2, client_timeout_ms=500)
    cut = Partition(at_ms=950, for_ms=2_000, isolate=["node-0", "client-1"])
    options = ClusterOptions(replicas=2, write_concern=majority(timeout_ms=200))
    run = simulate(options, workload=load, faults=[cut], duration_ms=2_500, seed=7)
    during = [
        (start.node, start.peer, end.kind)
        for start, end in requests(run)
        if end and 1_000 <= start.time_ns / 1e6 < 1_400
    ]
    assert set(during) == {("client-0", "node-0", "silent"), ("client-1", "node-0", "timeout")}


def test_only_nodes_can_be_crashed_and_clients_without_a_load_are_not_there():
    cluster = Cluster(seed=7, workload=LOAD)
    cluster.cut("client-0")
    with pytest.raises(InvalidOption, match="no such node"):
        cluster.crash("client-0")
    with pytest.raises(InvalidOption, match="no such node"):
        Cluster(seed=7).cut("client-0")


def test_clients_find_the_new_master_after_a_failover():
    load = Workload(writes_per_s=20, source=SMALL, client_timeout_ms=200)
    options = ClusterOptions(replicas=2, write_concern=majority(timeout_ms=1_000))
    cluster = Cluster(options, seed=7, workload=load)
    cluster.advance(ms=1_000)
    cluster.crash("node-0")
    cluster.promote("node-2")
    cluster.advance(ms=3_000)
    run = cluster.finish()
    last = requests(run)[-20:]
    assert {(start.peer, end.kind) for start, end in last} == {("node-2", "ok")}
    kinds = Counter(end.kind for _, end in requests(run))
    assert kinds["silent"] == 4  # Those of the 200 ms before it began to look elsewhere.


def test_one_more_client_changes_nothing_of_what_the_others_ask():
    load = replace(LOAD, reads_per_s=20, arrivals="exponential", clients=2)
    few, many = (
        simulate(workload=replace(load, clients=clients), duration_ms=2_000, seed=7)
        for clients in (2, 3)
    )

    def asked(run):
        return [
            (start.time_ns, start.node, start.kind, start.number, text(start)["key"])
            for start, _ in requests(run)
            if start.node != "client-2"
        ]

    assert asked(few) == asked(many)
    assert len(rows(many, "invoke", node="client-2")) > 0


def test_a_closed_loop_asks_again_a_pause_after_each_answer():
    load = Workload(
        writes_per_s=1, reads_per_s=1, loop="closed", think_ms=5, source=SMALL, clients=2
    )
    run = simulate(ClusterOptions(replicas=0), workload=load, duration_ms=1_000, seed=7)
    for client in ("client-0", "client-1"):
        mine = requests(run, client)
        ends = [end.time_ns for _, end in mine[:-1]]
        assert [start.time_ns for start, _ in mine[1:]] == [end + 5_000_000 for end in ends]
        kinds = Counter(start.kind for start, _ in mine)
        assert kinds["read"] + kinds["write"] > 100
        assert 0.35 < kinds["read"] / len(mine) < 0.65


def test_a_closed_loop_of_no_rate_asks_nothing():
    load = Workload(writes_per_s=0, loop="closed", source=SMALL)
    run = simulate(ClusterOptions(replicas=0), workload=load, duration_ms=500, seed=7)
    assert rows(run, "invoke") == []


# Reads


@pytest.mark.parametrize(
    ("policy", "asked"),
    [
        ("master", {"client-0": {"node-0"}, "client-1": {"node-0"}}),
        ("nearest", {"client-0": {"node-0"}, "client-1": {"node-1"}}),
        ("sticky", {"client-0": {"node-0"}, "client-1": {"node-1"}}),
        (
            "round_robin",
            {each: {"node-0", "node-1", "node-2"} for each in ("client-0", "client-1")},
        ),
    ],
)
def test_each_policy_asks_the_nodes_that_it_says(policy, asked):
    load = Workload(writes_per_s=5, reads_per_s=20, read_policy=policy, clients=2, source=SMALL)
    run = simulate(ClusterOptions(replicas=2), workload=load, duration_ms=2_000, seed=7)
    found = {}
    for row in rows(run, "invoke", kind="read"):
        found.setdefault(row.node, set()).add(row.peer)
    assert found == asked
    assert {end.kind for start, end in requests(run) if start.kind == "read"} == {"ok"}


def test_a_node_that_is_down_is_skipped_for_a_time_and_then_asked_again():
    load = Workload(
        writes_per_s=1,
        reads_per_s=20,
        read_policy="round_robin",
        source=SMALL,
        client_timeout_ms=200,
        avoid_ms=1_000,
    )
    cluster = Cluster(ClusterOptions(replicas=2), seed=7, workload=load)
    cluster.advance(ms=1_000)
    cluster.crash("node-1")
    cluster.advance(ms=3_000)
    cluster.restart("node-1")
    cluster.advance(ms=2_000)
    run = cluster.finish()
    there = [row.time_ns / 1e6 for row in rows(run, "invoke", kind="read", peer="node-1")]
    gaps = [(a, b) for a, b in pairwise(there) if b - a > 500]
    assert gaps == [(1_150, 2_350), (2_500, 3_700), (3_850, 5_050)]
    assert there[-1] > 5_800


@pytest.mark.parametrize("seed", range(3))
def test_a_client_sees_its_own_writes_on_every_node_that_serves_it(seed):
    load = Workload(
        writes_per_s=50,
        reads_per_s=200,
        read_policy="read_your_writes",
        clients=3,
        source="uniform:3x4",
    )
    options = ClusterOptions(replicas=2, link=Link(delay_ms=5, jitter_ms=40))
    run = simulate(options, workload=load, duration_ms=3_000, seed=seed)
    served, outcomes = set(), Counter()
    appended = {row.number: row.time_ns for row in rows(run, "append")}
    for start, end in requests(run):
        if start.kind != "read" or end is None:
            continue
        outcomes[end.kind, text(end)["error"]] += 1
        if end.kind == "ok":
            served.add(start.peer)
            assert end.value >= text(start)["token"][1]
    assert served == {"node-0", "node-1", "node-2"}
    assert set(outcomes) == {("ok", ""), ("refused", "write_not_in_history")}
    assert len(appended) > 400


def test_linearizable_reads_of_a_cluster_that_cannot_prove_them_are_refused_before_the_run():
    load = Workload(reads_per_s=5, read_policy="linearizable", source=SMALL)
    with pytest.raises(InvalidOption, match="cannot prove a read linearizable"):
        Cluster(ClusterOptions(write_concern=WriteConcern()), workload=load)
    options = ClusterOptions(replicas=2, write_concern=majority())
    run = simulate(options, workload=load, duration_ms=1_000, seed=7)
    assert Counter(row.kind for row in rows(run, "complete", node="client-0"))["ok"] == 105


# What a client knows


def reply(outcome, *, master="", position=None):
    return ClientReply(1, outcome, position or Position(), "", "", 0, master)


def test_a_client_follows_the_hint_of_who_is_master_and_else_tries_the_next():
    client = Client(0, ("node-0", "node-1", "node-2"), (1.0, 1.0, 1.0))
    client.heard("node-0", reply("not_master", master="node-2"), asks_master=True, is_read=False)
    assert client.master == "node-2"
    client.heard("node-2", reply("not_master"), asks_master=True, is_read=False)
    assert client.master == "node-0"
    client.missed("node-0", 10, asks_master=True)
    client.missed("node-0", 10, asks_master=True)  # A second request to it: it has turned away.
    assert client.master == "node-1"
    client.missed("node-1", 10, asks_master=False)
    assert client.master == "node-1"


def test_a_client_avoids_whom_it_missed_until_it_hears_of_it_or_time_has_passed():
    client = Client(0, ("node-0", "node-1"), (1.0, 1.0))
    client.missed("node-0", 10, asks_master=False)
    client.missed("node-1", 20, asks_master=False)
    assert client.view(9, 0).silent == {"node-0", "node-1"}
    assert client.view(10, 0).silent == {"node-1"}
    client.heard("node-1", reply("refused"), asks_master=False, is_read=True)
    assert client.view(11, 0).silent == frozenset()


def test_the_token_is_the_newest_history_that_an_acknowledgement_or_a_read_has_named():
    client = Client(0, ("node-0",), (1.0,))
    for outcome, epoch, offset in (
        ("ok", 2, 5),
        ("ok", 2, 4),
        ("timeout", 2, 9),
        ("refused", 2, 9),
        ("degraded", 2, 6),
        ("ok", 3, 1),
    ):
        here = Position(epoch, offset)
        client.heard("node-0", reply(outcome, position=here), asks_master=False, is_read=False)
    assert client.token == client.written == Position(3, 1)


def test_a_read_of_newer_history_does_not_replace_the_position_of_the_last_own_write():
    client = Client(0, ("node-0", "node-1"), (1.0, 1.0))
    for epoch, offset, is_read in ((2, 6, False), (4, 5, True), (3, 7, False), (1, 9, False)):
        answer = reply("ok", position=Position(epoch, offset))
        client.heard("node-0", answer, asks_master=not is_read, is_read=is_read)
    assert (client.token, client.written) == (Position(4, 5), Position(3, 7))


@pytest.mark.parametrize(
    ("payload", "expected"),
    [("", -1), ("null", 0), ("{}", 0), ('{"label": 3}', 0), ('{"filler": "w", "w": 7003}', 7003)],
)
def test_the_value_of_a_read_is_the_number_of_a_write(payload, expected):
    assert value_of(payload) == expected


def test_the_nearest_node_is_that_with_the_shortest_link():
    far, near = Link(delay_ms=20), Link(delay_ms=1)
    options = ClusterOptions(replicas=2, link=far, links={("client-0", "node-2"): near})
    load = Workload(writes_per_s=0, reads_per_s=20, source=SMALL, read_policy="nearest")
    run = simulate(options, workload=load, duration_ms=1_000, seed=7)
    assert {row.peer for row in rows(run, "invoke", kind="read")} == {"node-2"}


def test_a_run_waits_a_second_for_the_last_answers_and_gives_up_the_others():
    load = Workload(writes_per_s=10, source=SMALL, client_timeout_ms=60_000)
    lost = Partition(at_ms=500, for_ms=5_000, isolate=["client-0"])
    run = simulate(
        ClusterOptions(replicas=1), workload=load, faults=[lost], duration_ms=1_000, seed=7
    )
    ends = [row.kind for row in rows(run, "complete")]
    assert ends == ["ok"] * 4 + ["silent"] * 6
    assert run.duration_ms == 2_000
