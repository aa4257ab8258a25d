"""A scenario is a text: what differs from the defaults, nothing else, and equal runs anywhere."""

import dataclasses
import json
import os
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vectorkit import sim
from vectorkit.errors import InvalidOption
from vectorkit.replication import Failover, ReplicationOptions, WriteConcern, majority

FULL = sim.Scenario(
    sim.ClusterOptions(
        replicas=2,
        link=sim.Link(jitter_ms=3, law="lognormal", loss=0.02, duplication=0.01),
        links={("node-0", "node-1"): sim.Link(delay_ms=0.1, sample_ms=(1, 2.5))},
        disk=sim.Disk(fsync_ms=1),
        replication=ReplicationOptions(heartbeat_ms=500),
        write_concern=majority(stage="applied"),
        failover=Failover(),
    ),
    workload=sim.Workload(writes_per_s=40, source="uniform:30x4"),
    faults=[
        sim.Partition(at_ms=500, for_ms=700, groups=[["node-0"], ["node-1", "node-2"]]),
        sim.Crash(at_ms=1_500, for_ms=300, node=sim.CURRENT_MASTER, lose_unsynced=False),
        sim.ClockOffset(node="node-1", offset_ms=-86_400_000),
    ],
    duration_ms=2_500,
    seed=7,
)

RUN_IT = """
import sys
from vectorkit import sim
print(sim.simulate(sim.Scenario.from_json(sys.stdin.read())).trace_hash)
"""


def test_a_scenario_of_defaults_is_a_version_and_nothing_else():
    assert sim.Scenario().to_json() == '{\n  "version": 1\n}'
    assert sim.Scenario.from_json('{"version": 1}') == sim.Scenario()


def test_the_text_has_what_differs_from_the_defaults():
    assert json.loads(FULL.to_json()) == {
        "version": 1,
        "options": {
            "replicas": 2,
            "link": {"jitter_ms": 3, "loss": 0.02, "law": "lognormal", "duplication": 0.01},
            "links": [[["node-0", "node-1"], {"delay_ms": 0.1, "sample_ms": [1, 2.5]}]],
            "disk": {"fsync_ms": 1},
            "replication": {"heartbeat_ms": 500},
            "write_concern": {"count": "majority", "stage": "applied"},
            "failover": {},
        },
        "workload": {"writes_per_s": 40, "source": "uniform:30x4"},
        "faults": [
            {
                "kind": "Partition",
                "at_ms": 500,
                "for_ms": 700,
                "groups": [["node-0"], ["node-1", "node-2"]],
            },
            {
                "kind": "Crash",
                "at_ms": 1500,
                "for_ms": 300,
                "node": "CURRENT_MASTER",
                "lose_unsynced": False,
            },
            {"kind": "ClockOffset", "node": "node-1", "offset_ms": -86400000},
        ],
        "duration_ms": 2500,
        "seed": 7,
    }


def test_what_is_read_is_what_was_written():
    assert sim.Scenario.from_json(FULL.to_json()) == FULL
    without_disk = sim.Scenario(sim.ClusterOptions(disk=None))
    assert json.loads(without_disk.to_json()) == {"version": 1, "options": {"disk": None}}
    assert sim.Scenario.from_json(without_disk.to_json()) == without_disk


def test_requests_that_are_listed_survive_the_text():
    asked = [
        sim.PlannedRequest(at_ms=250),
        sim.PlannedRequest(at_ms=0.5, client="client-1", is_read=True),
    ]
    scenario = sim.Scenario(workload=sim.Workload(clients=2, requests=asked))
    assert json.loads(scenario.to_json())["workload"] == {
        "clients": 2,
        "requests": [{"at_ms": 250}, {"at_ms": 0.5, "client": "client-1", "is_read": True}],
    }
    assert sim.Scenario.from_json(scenario.to_json()) == scenario
    nothing = sim.Scenario(workload=sim.Workload(requests=[]))
    assert sim.Scenario.from_json(nothing.to_json()) == nothing


def test_what_fits_on_a_line_stands_on_one():
    lines = FULL.to_json().splitlines()
    assert lines[3:6] == [
        '    "replicas": 2,',
        '    "link": {"jitter_ms": 3, "loss": 0.02, "law": "lognormal", "duplication": 0.01},',
        '    "links": [[["node-0", "node-1"], {"delay_ms": 0.1, "sample_ms": [1, 2.5]}]],',
    ]
    assert lines[11] == '  "workload": {"writes_per_s": 40, "source": "uniform:30x4"},'
    assert len(lines) == 20
    assert max(map(len, lines)) <= 120
    assert FULL.to_json(indent=None).count("\n") == 0


@pytest.mark.parametrize("hash_seed", ["0", "4242"])
def test_the_text_gives_the_same_trace_in_another_process(hash_seed):
    done = subprocess.run(
        [sys.executable, "-c", RUN_IT],
        input=FULL.to_json(),
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
    )
    assert done.stdout.strip() == sim.simulate(FULL).trace_hash


def test_whole_numbers_and_fractions_give_the_same_trace():
    whole = dataclasses.replace(FULL, faults=[sim.Pause(at_ms=500, for_ms=100, node="node-1")])
    same = dataclasses.replace(FULL, faults=[sim.Pause(at_ms=500.0, for_ms=100.0, node="node-1")])
    assert sim.simulate(whole).trace_hash == sim.simulate(same).trace_hash


def test_a_random_scenario_survives_its_text():
    for seed in range(40):
        options = sim.rare_paths(FULL.options, seed=seed)
        faults = sim.random_faults(options, duration_ms=5_000, seed=seed, intensity=0.8)
        # A flipped bit's restart may come later than the run would end.
        scenario = sim.Scenario(options, faults=faults, duration_ms=20_000, seed=seed)
        assert sim.Scenario.from_json(scenario.to_json()) == scenario


concerns = st.builds(
    WriteConcern,
    count=st.sampled_from([0, 1, "majority", "all"]),
    stage=st.sampled_from(["received", "flushed", "applied", "visible"]),
    timeout_ms=st.integers(1, 10_000),
    on_timeout=st.sampled_from(["fail", "degrade"]),
)
links = st.builds(
    sim.Link,
    delay_ms=st.floats(0, 50),
    jitter_ms=st.floats(0, 10),
    loss=st.floats(0, 1),
    law=st.sampled_from(["uniform", "exponential", "lognormal"]),
    is_fifo=st.booleans(),
    mib_per_s=st.floats(0, 1_000),
)
clusters = st.builds(
    sim.ClusterOptions,
    replicas=st.integers(1, 6),
    link=links,
    links=st.dictionaries(st.just(("node-1", "node-0")), links, max_size=1),
    disk=st.none() | st.builds(sim.Disk, fsync_ms=st.floats(0, 10)),
    replication=st.builds(ReplicationOptions, refresh_ms=st.integers(0, 99)),
    write_concern=st.none() | concerns.filter(lambda each: each.stage != "flushed"),
    failover=st.none() | st.just(Failover()),
)


@settings(max_examples=200)
@given(
    st.builds(
        sim.Scenario,
        clusters,
        workload=st.none() | st.builds(sim.Workload, writes_per_s=st.floats(0, 1_000)),
        duration_ms=st.integers(1, 10**6) | st.floats(0.5, 10**6),
        seed=st.integers(0, (1 << 64) - 1),
    )
)
def test_any_scenario_survives_its_text(scenario):
    assert sim.Scenario.from_json(scenario.to_json(indent=None)) == scenario


REFUSED = {
    "no JSON": ("{", "this is not a scenario"),
    "no object": ("[1]", "a list"),
    "no version": ('{"seed": 1}', "version=None"),
    "a newer version": ('{"version": 2, "seed": 1}', "version=2"),
    "an unknown key": ('{"version": 1, "sede": 1}', "'sede'"),
    "an unknown option": ('{"version": 1, "options": {"speed": 1}}', "'speed'"),
    "an unknown option of a link": (
        '{"version": 1, "options": {"link": {"lag": 1}}}',
        "scenario.options.link has fields that Link does not have: got 'lag'",
    ),
    "an unknown fault": ('{"version": 1, "faults": [{"kind": "Fire"}]}', "'Fire'"),
    "a fault that is none": ('{"version": 1, "faults": ["crash"]}', "'crash'"),
    "faults that are no list": ('{"version": 1, "faults": 3}', "scenario.faults"),
    "options that are none": ('{"version": 1, "options": 3}', "scenario.options"),
    "a seed that is none": ('{"version": 1, "seed": "7"}', "scenario.seed"),
    "links that are no pairs": ('{"version": 1, "options": {"links": [3]}}', "a list of pairs"),
    "a fault too late": (
        '{"version": 1, "faults": [{"kind": "Restart", "at_ms": 1e9, "node": "node-1"}]}',
        "a fault would begin after the run",
    ),
    "a request too late": (
        '{"version": 1, "workload": {"requests": [{"at_ms": 1e9}]}}',
        "a request would begin after the run",
    ),
    "requests that are no list": ('{"version": 1, "workload": {"requests": 3}}', "a list"),
    "requests that are none": ('{"version": 1, "workload": {"requests": [3]}}', "an object"),
}


@pytest.mark.parametrize(("text", "said"), REFUSED.values(), ids=REFUSED)
def test_a_text_that_is_no_scenario_is_refused(text, said):
    with pytest.raises(InvalidOption) as caught:
        sim.Scenario.from_json(text)
    assert said in str(caught.value)
