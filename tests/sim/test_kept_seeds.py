"""Scenarios that have once broken something: each stays, as small as it could be made.

`kept/` has their files, which the hunt writes; the other tests are about one of them each.
"""

from pathlib import Path

import pytest

from tests.sim.clusters import cluster, fill
from vectorkit import sim
from vectorkit.replication import ReplicationOptions

KEPT = Path(__file__).with_name("kept")


def scenario(name):
    return sim.KeptSeed.from_json((KEPT / f"{name}.json").read_text("utf-8")).smallest


@pytest.mark.parametrize("path", sorted(KEPT.iterdir()), ids=lambda path: path.stem)
def test_a_scenario_that_has_once_broken_something_breaks_nothing(path):
    kept = sim.KeptSeed.from_json(path.read_text("utf-8"))
    assert path.name == kept.file_name
    run = sim.simulate(kept.smallest)
    assert run.check().broken == ()
    assert run.is_converged


def test_replicas_of_a_master_whose_clock_has_jumped_connect_again_at_its_next_heartbeat():
    run = sim.simulate(scenario("seed-13-status_is_honest"))
    longest_ms = max(each.lag_ms_true for each in run.samples if each.time_ms > 1_276)
    assert longest_ms < 1_100
    assert {each.status for each in run.samples if each.lag_ms_true > 1_001} <= {"Lagging"}


def test_what_readers_see_goes_on_where_a_masters_disk_is_slower_than_the_renewal():
    options = sim.ClusterOptions(
        replicas=1,
        disk=sim.Disk(fsync_ms=120),
        replication=ReplicationOptions(refresh_ms=50),
    )
    load = sim.Workload(writes_per_s=50, source="uniform:30x4")
    run = sim.simulate(options, workload=load, duration_ms=3_000, seed=7)
    shown = [
        row.number for row in run.trace.rows if row.event == "visible" and row.node == "node-0"
    ]
    assert len(shown) > 10
    assert shown == sorted(set(shown))


def test_a_master_that_restarts_before_it_steps_down_still_counts_what_it_had_acknowledged():
    made = cluster(2)
    fill(made, 10)
    made.advance(ms=1_000)
    made.cut("node-0")
    fill(made, 4)
    made.advance(ms=100)
    made.crash("node-0")
    made.promote("node-1")
    made.restart("node-0")
    made.heal()
    assert made.finish().stats["node-0"].uncommitted_lost == 4
