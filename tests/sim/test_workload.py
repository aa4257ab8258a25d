"""Workloads as data: what they refuse, which rows they choose, and requests that stand alone."""

import json
from collections import Counter
from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vectorkit.draws import draw_block
from vectorkit.errors import InvalidInput, InvalidOption
from vectorkit.operations import Delete, UpdateVectors, Upsert, encode
from vectorkit.sim import (
    ClusterOptions,
    PlannedRequest,
    Scenario,
    Workload,
    WriteConcern,
    majority,
    simulate,
)
from vectorkit.sim.load.distributions import exponential_ns, key_distribution
from vectorkit.sim.load.requests import Requests, request_number, request_of
from vectorkit.sim.load.workload import check_read_policy
from vectorkit.store import VectorStore
from vectorkit.types import KEEP

SMALL = "uniform:50x4"


@pytest.mark.parametrize(
    "options",
    [
        {"writes_per_s": -1},
        {"reads_per_s": float("nan")},
        {"source": "word2vec:5"},
        {"source": "glove"},
        {"metric": "l2"},
        {"kind": "disk"},
        {"codec": "int8"},
        {"kind": "quantized", "codec": "zip"},
        {"preload": 51, "source": SMALL},
        {"preload": -1},
        {"keys": "latest"},
        {"zipf_exponent": -0.5},
        {"insert_share": 0.6, "delete_share": 0.5},
        {"delete_share": -0.1},
        {"moves_vectors": None},
        {"payload_bytes": -1},
        {"clients": 0},
        {"clients": 501},
        {"clients": True},
        {"loop": "half-open"},
        {"arrivals": "poisson"},
        {"think_ms": -1},
        {"read_policy": "fastest"},
        {"bound_ms": 0},
        {"client_timeout_ms": 0},
        {"avoid_ms": 1.5},
    ],
)
def test_loads_that_cannot_be_are_refused_with_what_was_wanted(options):
    with pytest.raises(InvalidInput) as caught:
        Workload(**options)
    assert all((caught.value.got, caught.value.wanted, caught.value.remedy))


@pytest.mark.parametrize("source", ["glove:9", "minilm:9", "patches:9", "fashion_mnist:9"])
def test_real_vectors_come_from_the_data_sets_by_name(source):
    load = Workload(source=source)
    assert (load.collection, load.row_count) == (source[:-2], 9)


def test_a_load_is_plain_data():
    load = Workload(keys="zipf", clients=3, read_policy="bounded_staleness", preload=7)
    assert Workload(**json.loads(json.dumps(asdict(load)))) == load


@pytest.mark.parametrize(
    "concern", [WriteConcern(), WriteConcern(count=1, stage="received")], ids=["none", "received"]
)
def test_linearizable_reads_are_refused_where_the_concern_does_not_carry_them(concern):
    load = Workload(read_policy="linearizable")
    with pytest.raises(InvalidInput, match="cannot prove a read linearizable"):
        check_read_policy(load, ClusterOptions(write_concern=concern))
    check_read_policy(load, ClusterOptions(write_concern=majority()))
    check_read_policy(Workload(), ClusterOptions(write_concern=concern))


# Laws


def test_uniform_keys_are_equally_likely_and_sequential_ones_go_round():
    uniform, sequential = (
        key_distribution("uniform", 4, exponent=1),
        key_distribution("sequential", 4, exponent=1),
    )
    assert [uniform(9, word) for word in (0, (1 << 30) - 1, 1 << 30, (1 << 32) - 1)] == [0, 0, 1, 3]
    assert [sequential(index, 77) for index in range(6)] == [0, 1, 2, 3, 0, 1]


def test_zipf_keys_are_drawn_as_often_as_one_over_their_rank():
    words = draw_block(12345, 60_000).tolist()
    law = key_distribution("zipf", 3, exponent=1.0)
    counts = Counter(law(0, word) for word in words)
    expected = [60_000 * share / 11 for share in (6, 3, 2)]
    assert [counts[place] for place in range(3)] == pytest.approx(expected, rel=0.02)
    even = key_distribution("zipf", 4, exponent=0.0)
    assert [even(0, word) for word in (0, 1 << 30, (1 << 32) - 1)] == [0, 1, 3]


def test_exponential_gaps_have_their_mean_and_the_spread_of_a_poisson_process():
    gaps = np.array([exponential_ns(word, 1_000_000) for word in draw_block(77, 40_000).tolist()])
    assert gaps.mean() == pytest.approx(1_000_000, rel=0.02)
    assert gaps.std() == pytest.approx(1_000_000, rel=0.03)
    assert exponential_ns(0, 1) == 1
    assert exponential_ns((1 << 32) - 1, 1_000_000) == 9_010_912


# Requests


def requests(**options):
    return Requests(Workload(**{"source": SMALL} | options), seed=7)


def test_numbers_are_unique_over_clients_kinds_and_indices():
    numbers = {
        request_number(client, index, is_read=is_read)
        for client in range(500)
        for index in range(20)
        for is_read in (False, True)
    }
    assert len(numbers) == 500 * 20 * 2
    assert min(numbers) == 1_000


def test_an_update_moves_a_row_a_quarter_of_the_way_and_names_its_request():
    made = requests()
    kind, key, operation = made.write(2, 5)
    assert (kind, operation.ids, operation.payloads) == ("write", (key,), ({"w": 6_002},))
    start = made.vectors[made.ids.index(key)]
    moved = (operation.vectors[0] - start) * np.float32(4) + start
    assert any(np.allclose(moved, row, atol=1e-5) for row in made.vectors)


def test_a_request_depends_on_seed_client_and_index_alone():
    alone, among = requests(delete_share=0.2), requests(delete_share=0.2, clients=9, reads_per_s=5)
    for index in (3, 0, 9):
        same = [encode(each.write(1, index).operation) for each in (alone, among)]
        assert same[0] == same[1]
        assert alone.read(1, index) == among.read(1, index)
    others = {encode(alone.write(client, 3).operation) for client in range(20)}
    assert len(others) == 20


def test_the_mix_of_writes_is_as_asked():
    made = requests(insert_share=0.25, delete_share=0.5)
    kinds = Counter(type(made.write(0, index).operation) for index in range(4_000))
    shares = [kinds[kind] / 4_000 for kind in (Upsert, Delete, UpdateVectors)]
    assert shares == pytest.approx([0.25, 0.5, 0.25], abs=0.02)
    assert {made.write(0, index).kind for index in range(20)} == {"write", "delete"}
    whole = requests(insert_share=1.0)
    assert {type(whole.write(0, index).operation) for index in range(50)} == {Upsert}


def test_updates_of_payloads_alone_carry_no_vector_and_payloads_are_filled_up():
    operation = requests(moves_vectors=False, payload_bytes=10).write(0, 0).operation
    assert operation.vectors is KEEP
    assert operation.payloads == ({"w": 1_000, "filler": "x" * 10},)


def test_rows_of_a_data_set_keep_their_payload_beside_the_number_of_the_write():
    made = requests(source="glove:5")
    operation = made.write(0, 0).operation
    assert operation.payloads[0].keys() == {"rank", "w"}
    assert all("w" not in payload for payload in made.payloads)


def test_the_rows_at_the_start_are_those_that_were_asked_for():
    store = VectorStore()
    requests(preload=3, kind="quantized", codec="int8", metric="dot").load(store)
    assert (len(store["uniform"]), store["uniform"].config.codec) == (3, "int8")


def test_fixed_arrivals_keep_time_however_many_and_a_rate_of_zero_never_comes():
    made = requests(writes_per_s=3, reads_per_s=0)
    times = [made.time_ns(0, index, 0, is_read=False) for index in (0, 1, 2, 299)]
    assert times == [333_333_333, 666_666_667, 1_000_000_000, 100_000_000_000]
    assert made.time_ns(0, 0, 0, is_read=True) is None


def test_exponential_arrivals_are_each_clients_own_and_as_many_as_asked_for():
    made = requests(writes_per_s=100, arrivals="exponential")
    ends = []
    for client in (0, 1):
        now_ns = 0
        for index in range(2_000):
            now_ns = made.time_ns(client, index, now_ns, is_read=False)
        ends.append(now_ns / 1e9)
    assert ends[0] != ends[1]
    assert ends == pytest.approx([20, 20], rel=0.06)


# Requests that are listed


def invocations(run):
    """When each request was made, by whom, its number and its row."""
    return [
        (row.time_ns, row.node, row.number, json.loads(row.text)["key"])
        for row in run.trace.rows
        if row.event == "invoke"
    ]


def listed(run):
    return [request_of(number, time_ns) for time_ns, _, number, _ in invocations(run)]


OPEN = Workload(
    writes_per_s=20,
    reads_per_s=10,
    source=SMALL,
    clients=2,
    arrivals="exponential",
    insert_share=0.2,
    delete_share=0.2,
)
ALL = Scenario(ClusterOptions(replicas=1), workload=OPEN, duration_ms=500, seed=7)


def test_an_open_loop_and_the_list_of_its_requests_are_the_same_run():
    run = simulate(ALL)
    again = replace(ALL, workload=replace(OPEN, requests=listed(run)))
    assert len(invocations(run)) == 30
    assert simulate(again).trace_hash == run.trace_hash


@settings(max_examples=10)
@given(st.sets(st.integers(0, 29)))
def test_a_request_left_out_leaves_the_others_as_they_were(left_out):
    run = simulate(ALL)
    kept = [place for place in range(30) if place not in left_out]
    some = [listed(run)[place] for place in kept]
    load = replace(OPEN, requests=some)
    fewer = simulate(replace(ALL, workload=load))
    assert invocations(fewer) == [invocations(run)[place] for place in kept]
    before, after = Requests(OPEN, seed=7), Requests(load, seed=7)
    for each in (each for each in some if not each.is_read):
        client = int(each.client[-1])
        was, now = (made.write(client, each.index) for made in (before, after))
        assert encode(now.operation) == encode(was.operation)


def test_listed_requests_take_the_place_of_any_loop_and_come_by_their_times():
    load = Workload(
        source=SMALL,
        clients=2,
        loop="closed",
        requests=[
            PlannedRequest(at_ms=30, client="client-1", index=4),
            PlannedRequest(at_ms=10, client="client-1", index=9),
            PlannedRequest(at_ms=20.5, is_read=True, index=2),
        ],
    )
    run = simulate(ClusterOptions(replicas=0), workload=load, duration_ms=200)
    assert [each[:3] for each in invocations(run)] == [
        (10_000_000, "client-1", 10_001),
        (20_500_000, "client-0", 3_500),
        (30_000_000, "client-1", 5_001),
    ]


@pytest.mark.parametrize(
    ("requests", "said"),
    [
        (3, "requests=3"),
        (["client-0"], "requests=['client-0']"),
        ([PlannedRequest(at_ms=1, client="client-2")], "client-2"),
        ([PlannedRequest(at_ms=1), PlannedRequest(at_ms=2)], "index=0"),
    ],
)
def test_lists_of_requests_that_cannot_be_made_are_refused(requests, said):
    with pytest.raises(InvalidOption) as caught:
        Workload(clients=2, requests=requests)
    assert said in caught.value.got


@pytest.mark.parametrize(
    "options", [{"at_ms": -1}, {"client": 0}, {"is_read": "yes"}, {"index": -1}]
)
def test_a_request_that_cannot_be_is_refused(options):
    with pytest.raises(InvalidOption):
        PlannedRequest(**{"at_ms": 1} | options)
