"""Candidates: what is left when something of a scenario goes, or comes sooner, as plain data."""

import pytest

from vectorkit.sim.fuzzing import reductions

PLAIN = {
    "version": 1,
    "options": {
        "replicas": 2,
        "links": [[["node-0", "node-1"], {"loss": 0.5}], [["node-2", "client-1"], {"loss": 0.25}]],
        "write_concern": {"count": 2},
    },
    "workload": {
        "clients": 2,
        "requests": [
            {"at_ms": 20, "client": "client-1", "index": 7},
            {"at_ms": 30, "index": 3},
            {"at_ms": 90, "client": "client-1", "is_read": True, "index": 5},
        ],
    },
    "faults": [
        {"kind": "Pause", "at_ms": 10, "for_ms": 50, "node": "node-1"},
        {"kind": "Cut", "at_ms": 40, "source": "node-2", "target": "client-1"},
        {"kind": "Partition", "at_ms": 50, "isolate": ["node-1", "client-0"]},
        {"kind": "Partition", "at_ms": 55, "groups": [["node-1"], ["node-2", "node-0"]]},
        {"kind": "ClockOffset", "node": "node-2", "offset_ms": -5},
    ],
    "duration_ms": 100,
}


def test_a_node_goes_with_what_names_only_it_and_those_behind_it_move_up():
    made = reductions.without_endpoint(PLAIN, "node", 1)
    assert made["faults"] == [
        {"kind": "Cut", "at_ms": 40, "source": "node-1", "target": "client-1"},
        {"kind": "Partition", "at_ms": 50, "isolate": ["client-0"]},
        {"kind": "Partition", "at_ms": 55, "groups": [["node-1", "node-0"]]},
        {"kind": "ClockOffset", "node": "node-1", "offset_ms": -5},
    ]
    assert made["options"] == {
        "replicas": 1,
        "links": [[["node-1", "client-1"], {"loss": 0.25}]],
        "write_concern": {"count": 1},
    }
    clients = [each["client"] for each in made["workload"]["requests"]]
    assert clients == ["client-1", "client-0", "client-1"]


def test_a_client_goes_with_its_requests_and_those_behind_it_move_up():
    made = reductions.without_endpoint(PLAIN, "client", 0)
    assert made["workload"] == {
        "clients": 1,
        "requests": [
            {"at_ms": 20, "client": "client-0", "index": 7},
            {"at_ms": 90, "client": "client-0", "is_read": True, "index": 5},
        ],
    }
    assert made["faults"][2]["isolate"] == ["node-1"]
    assert made["options"]["links"][1][0] == ["node-2", "client-0"]
    alone = {"version": 1, "faults": [{"kind": "Partition", "at_ms": 0, "isolate": ["client-0"]}]}
    load = {"workload": {"clients": 2}}
    assert reductions.without_endpoint(alone | load, "client", 0)["faults"] == []


def test_what_is_given_stays_as_it_is():
    before = reductions.copied(PLAIN)
    reductions.without_endpoint(PLAIN, "node", 2)
    reductions.renumbered(PLAIN)
    reductions.with_gap(PLAIN, 20, 30, 1)
    reductions.with_times_rounded(PLAIN, 100)
    assert before == PLAIN


def test_the_requests_of_a_client_become_its_first_ones():
    made = reductions.renumbered(PLAIN)["workload"]["requests"]
    assert [each["index"] for each in made] == [0, 0, 0]


def test_an_end_that_comes_sooner_leaves_out_what_would_come_later():
    made = reductions.cut_at(PLAIN, 50.0)
    assert [each["kind"] for each in made["faults"]] == ["Pause", "Cut", "ClockOffset"]
    assert [each["at_ms"] for each in made["workload"]["requests"]] == [20, 30]
    assert made["duration_ms"] == 50


def test_at_another_end_faults_last_as_long_as_the_scenario():
    made = reductions.with_end(PLAIN, 500)
    assert made["duration_ms"] == 500
    assert [each["kind"] for each in made["faults"]] == [each["kind"] for each in PLAIN["faults"]]
    assert not any("for_ms" in each for each in made["faults"])


def test_a_write_concern_among_the_options_of_replication_asks_for_no_more_than_is_left():
    plain = {"options": {"replicas": 2, "replication": {"write_concern": {"count": 2}}}}
    made = reductions.without_endpoint(plain, "node", 2)
    assert made["options"]["replication"]["write_concern"] == {"count": 1}


def test_a_gap_that_closes_brings_all_that_follows_and_shortens_what_lasts():
    assert reductions.marks_ms(PLAIN) == [0, 10, 20, 30, 40, 50, 55, 60, 90]
    made = reductions.with_gap(PLAIN, 60, 90, 10)
    assert [each["at_ms"] for each in made["workload"]["requests"]] == [20, 30, 70]
    assert made["faults"] == PLAIN["faults"]
    assert made["duration_ms"] == 80
    sooner = reductions.with_gap(PLAIN, 10, 20, 1)
    assert sooner["faults"][0] == {"kind": "Pause", "at_ms": 10, "for_ms": 41, "node": "node-1"}
    assert reductions.marks_ms(reductions.with_gaps_below(PLAIN, 5))[-3:] == [30, 35, 40]


def test_ends_come_soon_after_the_last_that_begins_and_are_round():
    plain = {"workload": {"requests": [{"at_ms": 1_204}]}, "duration_ms": 2_345}
    assert reductions.sooner_ends_ms(plain) == [1_210, 1_300, 2_000, 2_300, 2_340]
    assert reductions.rounder_ends_ms(plain) == [2_400, 2_350]
    assert reductions.rounder_ends_ms({"duration_ms": 40}) == []


def test_fields_go_before_what_they_hold_and_what_names_a_thing_stays():
    paths = list(reductions.fields_that_may_go(PLAIN))
    assert ("options", "write_concern") in paths
    assert ("faults", 0, "for_ms") in paths
    assert ("faults", 2, "isolate", 1) in paths
    assert ("faults", 3, "groups", 0) in paths
    assert ("options", "links", 1) in paths
    assert paths.index(("options", "links")) < paths.index(("options", "links", 0, 1, "loss"))
    stays = {"version", "source", "target", "client", "is_read", "index", "at_ms", "replicas"}
    assert stays & {path[-1] for path in paths} == set()
    assert reductions.without(PLAIN, ("faults", 2, "isolate", 1))["faults"][2]["isolate"] == [
        "node-1"
    ]


def test_numbers_that_may_be_rounder_are_times_and_strengths():
    paths = set(reductions.numbers(PLAIN))
    assert {("faults", 0, "for_ms"), ("options", "links", 0, 1, "loss")} <= paths
    assert not {path[-1] for path in paths} & {"index", "replicas", "clients", "count"}
    made = reductions.with_value(PLAIN, ("faults", 0, "for_ms"), 40)
    assert reductions.value_at(made, ("faults", 0, "for_ms")) == 40
    assert reductions.value_at(made, ("faults", 9, "for_ms")) is None
    assert reductions.value_at(made, ("options", "disk", "fsync_ms")) is None


@pytest.mark.parametrize(
    ("number", "wanted"),
    [(40, []), (42.25, [40, 42, 42.2]), (-1_500, [-1_000]), (0.059, [0.05]), (0, [])],
)
def test_a_number_is_rounded_towards_zero(number, wanted):
    assert reductions.rounder(number) == wanted


def test_sources_have_fewer_rows_then_fewer_numbers():
    def smaller(source):
        return list(reductions.smaller_sources({"workload": {"source": source}}))

    assert smaller("uniform:3x8")[:4] == [
        "uniform:1x2",
        "uniform:1x4",
        "uniform:2x2",
        "uniform:2x4",
    ]
    assert smaller("uniform:5x2") == ["uniform:1x2", "uniform:2x2", "uniform:4x2"]
    assert smaller("uniform:1x2") == []
    assert smaller("glove:2") == ["uniform:1x2", "uniform:1x4", "uniform:2x2", "uniform:2x4"]
