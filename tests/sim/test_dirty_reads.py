"""What became of the records that reads have shown."""

import pandas as pd
import pytest

from tests.sim.tape import FIRST, SAFE, SECOND, WEAK, Tape
from vectorkit import sim
from vectorkit.sim.checks.dirty import check_dirty_reads, shown_by_reads


def told(finding):
    return finding.verdict, finding.is_promised, finding.observed_count


def read_twice(policy, options=SAFE, *, confirmed_ms=None):
    """Writes at offsets 2 and 3 of the first epoch, each read by a client; the second is lost."""
    tape = Tape(options).begin().write(10, 1, FIRST, 2).confirm(13, "node-0", FIRST, 2)
    tape.read(20, 2, FIRST, 2, 1, policy=policy)
    tape.invoke(30, 3, "write").append(31, "node-0", FIRST, 3, request=3)
    if confirmed_ms is not None:
        tape.confirm(confirmed_ms, "node-0", FIRST, 3)
    return tape.read(40, 4, FIRST, 3, 3, policy=policy)


def lost(policy, options=SAFE, **how):
    tape = read_twice(policy, options, **how).crash(50, "node-0")
    tape.apply(55, "node-1", FIRST, 2, by="snapshot")
    return tape.promote(60, "node-1", SECOND, 3)


def fates(tape):
    return [(each.place, each.fate) for each in shown_by_reads(tape.evidence()).values()]


def test_a_record_is_confirmed_kept_or_lost():
    assert fates(read_twice("nearest")) == [((FIRST, 2), "confirmed"), ((FIRST, 3), "kept")]
    late = read_twice("nearest", confirmed_ms=35)
    assert fates(late) == [((FIRST, 2), "confirmed"), ((FIRST, 3), "confirmed")]
    assert fates(lost("nearest")) == [((FIRST, 2), "confirmed"), ((FIRST, 3), "lost")]
    assert fates(lost("nearest", confirmed_ms=35))[1] == ((FIRST, 3), "lost")


def test_the_fate_is_that_of_the_moment_in_which_the_node_answered():
    tape = Tape().begin().invoke(10, 1, "write").append(11, "node-0", FIRST, 2, request=1)
    tape.invoke(12, 2, "read", policy="nearest").answer(13, "node-0", 2, FIRST, 2)
    tape.confirm(14, "node-0", FIRST, 2).complete(15, 2, "ok", FIRST, 2, value=1)
    assert fates(tape) == [((FIRST, 2), "kept")]


def test_a_read_that_found_a_row_deleted_has_shown_the_delete():
    tape = Tape().begin().write(10, 1, FIRST, 2)
    tape.write(20, 2, FIRST, 3, kind="delete").read(30, 3, FIRST, 3, -1)
    assert fates(tape) == [((FIRST, 3), "kept")]


def test_a_read_of_a_row_that_no_client_wrote_has_no_fate():
    tape = Tape().begin().write(10, 1, FIRST, 2, key="b").read(30, 3, FIRST, 2, 0)
    assert fates(tape) == []
    found = check_dirty_reads(tape.evidence())
    assert (found.verdict, found.evidence) == (
        "not_exercised",
        ("no read found a client's write",),
    )


@pytest.mark.parametrize("policy", ["linearizable", "confirmed"])
def test_a_policy_that_promises_it_is_blamed(policy):
    found = check_dirty_reads(read_twice(policy).evidence())
    assert (told(found), found.evidence) == (("held", True, 0), ("2 reads of what clients wrote",))
    found = check_dirty_reads(lost(policy).evidence())
    assert told(found) == ("broken", True, 1)
    assert found.evidence[0] == (
        f"read 4 of 'a' at node-0 ({policy}) showed offset 3 of node-0@1 at 42.0 ms, which is "
        "lost: node-1@2 began without it"
    )


@pytest.mark.parametrize("policy", ["nearest", "read_your_writes", "master", "bounded_staleness"])
def test_a_policy_that_does_not_is_counted(policy):
    assert told(check_dirty_reads(lost(policy).evidence())) == ("seen_not_promised", False, 1)


def test_outside_the_guarantee_nothing_is_promised():
    assert told(check_dirty_reads(lost("confirmed", WEAK).evidence())) == (
        "seen_not_promised",
        False,
        1,
    )
    forced = read_twice("confirmed").crash(50, "node-0")
    forced.apply(55, "node-1", FIRST, 2, by="snapshot").promote(60, "node-1", SECOND, 3, forced=1)
    assert told(check_dirty_reads(forced.evidence())) == ("seen_not_promised", False, 1)


def cut_off(policy, seed):
    """A master that is cut off with a client that goes on writing to it and reading from it."""
    options = sim.ClusterOptions(
        replicas=2, write_concern=sim.majority(), failover=sim.Failover(deadline_ms=2_000)
    )
    load = sim.Workload(
        writes_per_s=20, reads_per_s=40, source="uniform:4x2", read_policy=policy, clients=2
    )
    cut = sim.Partition(at_ms=1_000, for_ms=4_000, groups=[["node-0", "client-0"]])
    return sim.simulate(options, workload=load, faults=[cut], duration_ms=6_000, seed=seed)


def test_reads_of_a_master_that_is_cut_off_show_what_is_lost_and_the_frame_says_so():
    run = cut_off("nearest", 7)
    frame = run.reads
    found = run.check()["reads_show_nothing_lost"]
    lost_count = (frame["fate"] == "lost").sum()
    assert lost_count > 10
    assert (found.verdict, found.is_promised, found.observed_count) == (
        "seen_not_promised",
        False,
        lost_count,
    )
    assert frame["fate"].isin(["confirmed", "kept", "lost"]).sum() == frame["fate"].notna().sum()
    assert pd.isna(frame[frame["outcome"] != "ok"]["fate"]).all()


@pytest.mark.parametrize("policy", ["confirmed", "linearizable"])
def test_reads_that_wait_for_the_write_concern_show_nothing_that_is_lost(policy):
    run = cut_off(policy, 7)
    assert set(run.reads["fate"].dropna()) == {"confirmed"}
    found = run.check()["reads_show_nothing_lost"]
    assert (found.verdict, found.is_promised) == ("held", True)
