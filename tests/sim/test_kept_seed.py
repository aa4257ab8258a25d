"""A kept seed is a file: read back as it was written, or refused with the reason."""

import json

import pytest

from vectorkit import sim
from vectorkit.errors import InvalidOption

WHOLE = sim.Scenario(
    sim.ClusterOptions(replicas=2), faults=[sim.Pause(at_ms=5, node="node-1")], seed=7
)
SMALL = sim.Scenario(sim.ClusterOptions(replicas=1), seed=7)
KEPT = sim.KeptSeed(
    seed=7, check="linearizable", evidence=("read 3 is ≥ 5 ms old",), scenario=WHOLE, shrunk=SMALL
)


@pytest.mark.parametrize("shrunk", [SMALL, None])
def test_a_kept_seed_is_read_as_it_was_written(shrunk):
    kept = sim.KeptSeed(
        seed=7, check="linearizable", evidence=("a", "b"), scenario=WHOLE, shrunk=shrunk
    )
    assert sim.KeptSeed.from_json(kept.to_json()) == kept
    assert sim.KeptSeed.from_json(kept.to_json(indent=None)) == kept


def test_the_smallest_scenario_is_the_shrunk_one_where_there_is_one():
    assert KEPT.smallest is SMALL
    assert sim.KeptSeed(seed=7, check="linearizable", scenario=WHOLE).smallest is WHOLE


def test_a_file_is_for_people_too():
    assert json.loads(KEPT.to_json()) == {
        "version": 1,
        "seed": 7,
        "check": "linearizable",
        "evidence": ["read 3 is ≥ 5 ms old"],
        "scenario": json.loads(WHOLE.to_json()),
        "shrunk": json.loads(SMALL.to_json()),
    }
    assert "≥" in KEPT.to_json()
    assert KEPT.file_name == "seed-7-linearizable.json"


def changed(**changes):
    facts = {**json.loads(KEPT.to_json()), **changes}
    return json.dumps({name: value for name, value in facts.items() if value is not ...})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "this is no kept seed: got Expecting value"),
        (KEPT.to_json()[:-9], "this is no kept seed: got "),
        ("[]", "got a list, wanted a JSON object"),
        (changed(version=2), "got version=2, wanted version=1; use the vectorkit that wrote it"),
        (changed(version=...), "got version=None, wanted version=1"),
        (changed(evidence=..., check=...), "got no check, no evidence, wanted version, seed"),
        (changed(colour=1), "got 'colour', wanted version, seed, check"),
        (changed(seed="7"), "this cannot be a seed: got seed='7'"),
        (changed(check=3), "got check=3, evidence="),
        (changed(check="../up"), "got check='../up', evidence="),
        (changed(evidence="all"), "evidence='all', wanted a name, and a list of texts"),
        (changed(scenario=[]), "this is not a scenario: got a list"),
        (changed(scenario={"version": 9}), "this scenario has another format version: got"),
        (changed(shrunk={"version": 1, "sed": 7}), "got 'sed'"),
    ],
)
def test_a_damaged_file_or_one_of_a_newer_version_is_refused_with_the_reason(text, message):
    with pytest.raises(InvalidOption) as refused:
        sim.KeptSeed.from_json(text)
    assert message in str(refused.value)
