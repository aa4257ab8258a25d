"""An exception at any bytecode of a simulated cluster: the run goes on as if nothing had been, or
every later call is refused."""

import gc
from functools import partial

import pytest

from tests.interrupts import AlarmRang, Interrupt, files_of, interrupted_at, points_of
from vectorkit import sim
from vectorkit.errors import (
    ClusterInterrupted,
    InvalidOption,
    LimitReached,
    PromotionRefused,
    WriteRefused,
)
from vectorkit.sim import cluster
from vectorkit.sim.world import clock, engine, garbage, inject, machine
from vectorkit.sim.world.trace_events import DigestTaken

WORLD = files_of(cluster, engine, clock, machine, inject, garbage)
EVENTS = files_of(engine, clock)
LOAD = sim.Workload(writes_per_s=100, reads_per_s=100, source="uniform:8x2")
CALLS = {
    "advance": lambda made: made.advance(ms=1),
    "store": lambda made: made.store,
    "stores": lambda made: made.stores,
    "master": lambda made: made.master,
    "now_ms": lambda made: made.now_ms,
    "cut": lambda made: made.cut("node-1"),
    "heal": lambda made: made.heal(),
    "inject": lambda made: made.inject(sim.Pause(at_ms=1, for_ms=1, node="node-1")),
    "crash": lambda made: made.crash("node-1"),
    "restart": lambda made: made.restart("node-1"),
    "promote": lambda made: made.promote("node-1"),
    "confirm": lambda made: made.confirm(),
    "stats": lambda made: made.stats("node-0"),
    "status": lambda made: made.status("node-0"),
    "replicas": lambda made: made.replicas(),
    "links": lambda made: made.links(),
    "finish": lambda made: made.finish(),
}
COMMANDS = {
    "crash": lambda made: made.crash("node-1"),
    "restart": lambda made: made.restart("node-2"),
    "cut": lambda made: made.cut("node-1"),
    "heal": lambda made: made.heal(),
    "inject": lambda made: made.inject(sim.Pause(at_ms=1, for_ms=5, node="node-1")),
}


def running(faults=()):
    """A cluster with clients, a node that is down, and links that are cut."""
    options = sim.ClusterOptions(replicas=2, sample_every_ms=20)
    made = sim.Cluster(options, seed=7, workload=LOAD, faults=faults)
    made.advance(ms=20)
    made.crash("node-2")
    made.cut("node-1")
    return made


def small():
    return sim.Cluster(sim.ClusterOptions(replicas=1), seed=7)


def broken_off():
    """A cluster that an exception of a handler has stopped in an event."""
    made = running()
    made._engine.on("sample", stopping)
    with pytest.raises(Interrupt):
        made.advance(ms=50)
    return made


def stopping(data):
    raise Interrupt


def is_refused(call, made):
    try:
        call(made)
    except ClusterInterrupted:
        return True
    return False


def trace_after(made, until_ms):
    made.advance(ms=until_ms - made.now_ms)
    return made._engine.trace.copy().hash()


@pytest.mark.parametrize("name", CALLS)
def test_every_call_of_a_cluster_that_was_stopped_in_an_event_is_refused(name):
    assert is_refused(CALLS[name], broken_off())


def test_every_public_member_is_refused_or_part_of_the_remedy():
    members = {name for name in vars(sim.Cluster) if not name.startswith("_")}
    assert members == set(CALLS)
    made = broken_off()
    assert (made.seed, made.faults, made.options.replicas) == (7, (), 2)


def test_the_refusal_names_the_cluster_and_the_remedy():
    made = broken_off()
    with pytest.raises(ClusterInterrupted) as caught:
        made.advance(ms=1)
    error = caught.value
    assert error.got == repr(made)
    assert repr(made).endswith(", interrupted)")
    assert "interrupted" in made._repr_html_()
    assert "new cluster" in error.remedy


def test_a_new_cluster_of_the_same_seed_gives_the_run_that_was_interrupted():
    expected, made = running(), broken_off()
    again = sim.Cluster(made.options, seed=made.seed, workload=LOAD, faults=made.faults)
    again.advance(ms=20)
    again.crash("node-2")
    again.cut("node-1")
    assert again.finish().trace_hash == expected.finish().trace_hash


@pytest.mark.parametrize("error", [Interrupt, AlarmRang])
def test_an_interrupted_advance_goes_on_to_the_same_trace_or_is_refused(error):
    faults = [sim.Pause(at_ms=1, for_ms=2, node="node-1")]

    def made():
        return sim.Cluster(
            sim.ClusterOptions(replicas=1, sample_every_ms=4), seed=7, workload=LOAD, faults=faults
        )

    def call(each):
        each.advance(ms=8)

    expected = trace_after(made(), 8)
    points = points_of(partial(call, made()), EVENTS)
    seen = set()
    for point in points[:: 1 if error is Interrupt else 7]:
        each = made()
        assert interrupted_at(point, partial(call, each), EVENTS, error), point
        if is_refused(CALLS["now_ms"], each):
            seen.add("refused")
        else:
            assert trace_after(each, 8) == expected, point
            seen.add("whole")
    assert seen == {"refused", "whole"}


@pytest.mark.parametrize("name", COMMANDS)
def test_an_interrupted_command_can_be_repeated_or_is_refused(name):
    command = COMMANDS[name]
    reference = running()
    command(reference)
    expected, seen = trace_after(reference, 40), set()
    for point in points_of(partial(command, running()), WORLD)[::2]:
        made = running()
        before = len(made._engine.trace), len(made._engine.scheduler._heap)
        assert interrupted_at(point, partial(command, made), WORLD), point
        if is_refused(CALLS["now_ms"], made):
            seen.add("refused")
            continue
        after = len(made._engine.trace), len(made._engine.scheduler._heap)
        if after == before:
            command(made)
        seen.add("whole")
        assert trace_after(made, 40) == expected, point
    assert seen == {"refused", "whole"}


def test_an_interrupted_promotion_leaves_no_master_in_between():
    def made():
        each = sim.Cluster(sim.ClusterOptions(replicas=2), seed=7)
        each.advance(ms=100)
        return each

    def promote(each):
        each.promote("node-1")

    seen = set()
    for point in points_of(partial(promote, made()), files_of(cluster)):
        each = made()
        assert interrupted_at(point, partial(promote, each), files_of(cluster)), point
        if is_refused(CALLS["now_ms"], each):
            seen.add("refused")
        else:
            run = each.finish()
            assert run.is_converged, point
            assert run.check().broken == (), point
            seen.add("whole")
    assert seen == {"refused", "whole"}


def test_an_interrupted_end_gives_a_run_with_one_digest_of_each_node_or_is_refused():
    files, seen = files_of(cluster), set()
    for point in points_of(small().finish, files):
        made = small()
        assert interrupted_at(point, made.finish, files), point
        if is_refused(CALLS["now_ms"], made):
            seen.add("refused")
            continue
        seen.add("whole")
        digests = made._engine.trace.copy().of(DigestTaken)
        ends = [each.node for each in digests if each.moment == "end"]
        assert ends in ([], ["node-0", "node-1"]), point
    assert seen == {"refused", "whole"}


def test_ordinary_refusals_leave_the_cluster_as_it_is():
    made = running()
    offset = sim.ClockOffset(node="node-1", offset_ms=1)
    for call, error in [
        (lambda: made.cut("node-9"), InvalidOption),
        (lambda: made.advance(ms=-1), InvalidOption),
        (lambda: made.inject(offset), InvalidOption),
        (lambda: made.promote("node-2"), PromotionRefused),  # It is down.
        (lambda: made.promote("node-0"), PromotionRefused),  # It is master.
    ]:
        with pytest.raises(error):
            call()
    store = made.store
    made.crash("node-0")
    with pytest.raises(WriteRefused):
        store.create_collection("more", dim=1)
    with pytest.raises(WriteRefused):
        _ = made.store
    assert made.finish().is_converged


def test_the_bound_of_events_is_met_between_two_events_and_loses_none():
    made = sim.Cluster(sim.ClusterOptions(replicas=1, event_count_max=50), seed=7)
    for _ in range(2):
        with pytest.raises(LimitReached) as caught:
            made.advance(ms=60_000)
        assert caught.value.details["event_count"] == 51
    assert made._engine.scheduler.event_count == 50
    now_ms = made.now_ms
    larger = sim.Cluster(sim.ClusterOptions(replicas=1), seed=7)
    larger.advance(ms=now_ms)
    assert made.stats("node-1") == larger.stats("node-1")
    made._engine.scheduler._event_count_max = 1_000_000
    assert trace_after(made, 20_000) == trace_after(larger, 20_000)


def test_a_node_that_has_started_too_often_is_refused_before_anything_changes():
    made = small()
    made.crash("node-1")
    made._engine.machines["node-1"].incarnation = machine.INCARNATIONS_MAX
    events = len(made._engine.trace)
    with pytest.raises(LimitReached, match="too often"):
        made.restart("node-1")
    assert len(made._engine.trace) == events
    assert not made._engine.machines["node-1"].is_up
    assert made.stats("node-0").role == "master"


@pytest.mark.parametrize("is_ordinary", [True, False])
def test_a_subscriber_that_raises_stops_the_cluster_unless_its_error_is_ordinary(is_ordinary):
    made = small()
    made.store.create_collection("words", dim=2)
    made.advance(ms=100)

    def raising(operation):
        raise AlarmRang if is_ordinary else Interrupt

    made.stores["node-1"].subscribe(raising)
    made.store.upsert("words", ["king"], [[1, 0]])
    if is_ordinary:
        with pytest.warns(RuntimeWarning, match="the write stands"):
            made.advance(ms=100)
        assert made.finish().is_converged
    else:
        with pytest.raises(Interrupt):
            made.advance(ms=100)
        assert is_refused(CALLS["stats"], made)


def test_a_subscriber_may_read_the_cluster_in_the_middle_of_an_event():
    made, heard = small(), []
    made.advance(ms=100)
    made.stores["node-1"].subscribe(lambda _: heard.append((made.now_ms, made.master)))
    made.store.create_collection("words", dim=2)
    made.advance(ms=100)
    assert [master for _, master in heard] == ["node-0"]


def test_a_write_that_is_interrupted_between_events_leaves_the_cluster_usable():
    made = small()
    made.store.create_collection("words", dim=2)
    end = made.store.subscribe(stopping)
    with pytest.raises(Interrupt):
        made.store.upsert("words", ["king"], [[1, 0]])
    end()
    made.advance(ms=100)
    assert made.stores["node-1"]["words"].ids() == ["king"]


def test_the_collector_of_cycles_is_on_after_an_interrupt_before_or_in_its_call():
    reached = []

    def call():
        reached.append(gc.isenabled())
        raise Interrupt

    assert gc.isenabled()
    points = iter(range(1, 1_000))
    try:
        while not reached:
            point = next(points)
            assert interrupted_at(point, partial(garbage.uncollected, call), files_of(garbage))
            assert reached or gc.isenabled(), point
    finally:
        gc.enable()
    assert reached == [False]
    assert point > 5


def test_a_simulation_after_an_interrupted_one_is_the_same_as_ever():
    scenario = sim.Scenario(sim.ClusterOptions(replicas=1), workload=LOAD, duration_ms=20, seed=7)
    expected = sim.simulate(scenario).trace_hash
    files = files_of(engine)
    for point in points_of(partial(sim.simulate, scenario), files)[::40]:
        assert interrupted_at(point, partial(sim.simulate, scenario), files)
        assert sim.simulate(scenario).trace_hash == expected, point
