"""The life of one write, and the frames of writes, reads and findings."""

from types import SimpleNamespace

import numpy as np
import pytest

from tests.sim.tape import FIRST, SAFE, SECOND, WEAK, Tape
from vectorkit import frames
from vectorkit.errors import InvalidInput
from vectorkit.sim.analysis.explain import explain_evidence
from vectorkit.sim.analysis.write_history import write_histories
from vectorkit.sim.checks import Finding, Findings, check


def lived(options=SAFE):
    """A client's write goes through every stage; a second client reads it."""
    tape = Tape(options).begin().flush(1, "node-0", 1)
    tape.flush(5, "node-1", 1).apply(5, "node-1", FIRST, 1, by="snapshot")
    tape.invoke(10, 1, "write").append(11, "node-0", FIRST, 2, request=1).flush(12, "node-0", 2)
    tape.flush(13, "node-1", 2).apply(14, "node-1", FIRST, 2).ack(14, "node-1", "node-0", FIRST, 2)
    tape.confirm(15, "node-0", FIRST, 2).complete(16, 1, "ok", FIRST, 2)
    return tape.read(20, 2, FIRST, 2, 1, client="client-1", node="node-1")


def test_the_life_of_a_write_is_told_in_order():
    told = explain_evidence(lived().evidence(), 2)
    assert told.is_kept
    assert str(told) == (
        "Offset 2 of node-0@1 (Upsert) is kept: the final history holds it.\n"
        "      10.000 ms  asked      client-0  write 1 of 'a', to node-0\n"
        "      11.000 ms  written    node-0    Upsert\n"
        "      11.000 ms  applied    node-0    by append\n"
        "      12.000 ms  flushed    node-0    its disk holds it\n"
        "      13.000 ms  flushed    node-1    its disk holds it\n"
        "      14.000 ms  applied    node-1    by stream\n"
        "      14.000 ms  acked      node-1    to its master\n"
        "      15.000 ms  confirmed  node-0    the write concern holds\n"
        "      16.000 ms  answered   client-0  ok, by node-0\n"
        "      22.000 ms  read       client-1  first read of it, at node-1"
    )


def lost(options=SAFE, **how):
    tape = lived(options).invoke(30, 3, "write").append(31, "node-0", FIRST, 3, request=3)
    tape.complete(32, 3, "ok", FIRST, 3).crash(33, "node-0")
    return tape.promote(40, "node-1", SECOND, 3, **how)


def test_a_lost_write_is_told_with_why_and_what_was_promised():
    told = explain_evidence(lost().evidence(), 3, epoch=FIRST)
    assert not told.is_kept
    assert told.headline == (
        "Offset 3 of node-0@1 (Upsert) is lost: node-1@2 began without it. It had been "
        "acknowledged, and was promised to stay. Other histories have another write there: "
        "node-1@2."
    )
    assert told.steps[-1] == (40.0, "lost", "node-1", "node-1@2 began from offset 2")


@pytest.mark.parametrize(
    ("tape", "why"),
    [
        (lost(WEAK), "not promised: the write concern asks for no replica."),
        (lost(forced=1), "not promised: the epoch of node-1 was forced."),
    ],
)
def test_a_lost_write_that_was_not_promised_says_why(tape, why):
    assert (
        f"It had been acknowledged; {why}"
        in explain_evidence(tape.evidence(), 3, epoch=FIRST).headline
    )


def test_a_lost_write_that_nobody_acknowledged_or_only_as_degraded_says_so():
    tape = lived().append(31, "node-0", FIRST, 3).crash(33, "node-0")
    told = explain_evidence(tape.promote(40, "node-1", SECOND, 3).evidence(), 3, epoch=FIRST)
    assert "It had not been acknowledged." in told.headline
    tape = lived().invoke(30, 3, "write").append(31, "node-0", FIRST, 3, request=3)
    tape.add(32, "degrade", "node-0", number=3, value=0).complete(33, 3, "degraded", FIRST, 3)
    tape.crash(34, "node-0").promote(40, "node-1", SECOND, 3)
    told = explain_evidence(tape.evidence(), 3, epoch=FIRST)
    assert "acknowledged as degraded, which promises nothing" in told.headline
    assert (32.0, "degraded", "node-0", "0 replicas had confirmed it") in told.steps


def test_a_record_beyond_the_final_history_is_lost_by_its_end():
    tape = lived().append(31, "node-0", FIRST, 3).crash(33, "node-0", kind="lost_disk")
    told = explain_evidence(tape.evidence(), 3, epoch=FIRST)
    assert told.headline.endswith("is lost: the final history ends before it.")


def test_an_offset_that_nobody_wrote_is_refused_and_names_the_epochs_that_have_it():
    with pytest.raises(InvalidInput, match="up to 2") as refused:
        explain_evidence(lived().evidence(), 9)
    assert refused.value.remedy == "look at run.operations"
    tape = lived().append(31, "node-0", FIRST, 3).crash(33, "node-0", kind="lost_disk")
    with pytest.raises(InvalidInput) as refused:
        explain_evidence(tape.evidence(), 3)
    assert refused.value.remedy == f"pass epoch={FIRST}"


def test_an_explanation_is_a_frame_too():
    frame = explain_evidence(lived().evidence(), 2).to_frame()
    assert frame.columns.tolist() == list(frames.EXPLANATION)
    assert frame["stage"].tolist()[:3] == ["asked", "written", "applied"]


# Lives and frames


def test_a_flush_that_repeats_a_mark_does_not_move_the_time_of_the_first():
    tape = lived().append(30, "node-0", FIRST, 3).flush(31, "node-1", 3).flush(32, "node-1", 3)
    tape.apply(33, "node-1", FIRST, 3).flush(40, "node-0", 3)
    life = write_histories(tape.evidence())[FIRST, 3]
    assert life.flushed_ns == {"node-1": 31_000_000, "node-0": 40_000_000}


def test_a_snapshot_brings_all_records_that_a_node_lacked():
    tape = lived().append(30, "node-0", FIRST, 3, 4).apply(35, "node-2", FIRST, 4, by="snapshot")
    lives = write_histories(tape.evidence())
    assert [lives[FIRST, offset].applied_ns["node-2"] for offset in (2, 3, 4)] == (
        [(35_000_000, "snapshot")] * 3
    )


def run_of(tape):
    return SimpleNamespace(evidence=tape.evidence())


def test_operations_have_a_row_for_each_record_with_its_stages_and_its_fate():
    frame = frames.operations(run_of(lost()))
    assert frame.dtypes.astype(str).to_dict() == frames.OPERATIONS
    assert frame[["epoch", "offset"]].to_numpy().tolist() == [
        [FIRST, 2],
        [FIRST, 3],
        [SECOND, 3],
    ]
    first = frame.iloc[0]
    stages = first["invoked_ms":"answered_ms"]
    assert stages.tolist() == [10.0, 11.0, 12.0, 14.0, 14.0, 14.0, 14.0, 15.0, 16.0]
    assert (first["client"], first["request"], first["key"]) == ("client-0", 1, "a")
    assert first[["outcome", "copy_count", "fate"]].tolist() == ["ok", 2, "kept"]
    assert frame["fate"].tolist() == ["kept", "lost", "kept"]
    assert np.isnan(frame["confirmed_ms"].tolist()[1])
    assert frame["outcome"].isna().tolist() == [False, False, True]


def test_reads_have_a_row_each_with_what_they_found_and_how_stale_it_was():
    tape = lived().append(30, "node-0", FIRST, 3).invoke(40, 5, "read", policy="nearest")
    tape.complete(42, 5, "refused", error="too_stale").invoke(50, 6, "read")
    tape.read(60, 7, FIRST, 2, 1, policy="sticky", node="node-1")
    frame = frames.reads(run_of(tape))
    assert frame.dtypes.astype(str).to_dict() == frames.READS
    assert frame["request"].tolist() == [2, 5, 6, 7]
    assert frame["outcome"].tolist() == ["ok", "refused", "open", "ok"]
    assert frame["error"].tolist()[1] == "too_stale"
    assert frame["staleness_ms"].fillna(-1).tolist() == [0.0, -1.0, -1.0, 32.0]
    assert frame["staleness_operations"].fillna(-1).tolist() == [0, -1, -1, 1]
    assert frame["latency_ms"].fillna(-1).tolist() == [2.0, 2.0, -1.0, 2.0]
    assert frame["value"].fillna(-9).tolist() == [1, -9, -9, 1]


def test_frames_without_rows_have_the_same_columns_and_types():
    empty = run_of(Tape())
    assert frames.operations(empty).dtypes.astype(str).to_dict() == frames.OPERATIONS
    assert frames.reads(empty).dtypes.astype(str).to_dict() == frames.READS
    assert Findings([]).to_frame().dtypes.astype(str).to_dict() == frames.FINDINGS


# Findings

HELD = Finding("one", "held", True, 0, ("12 samples",))
BROKEN = Finding("two", "broken", True, 2, ("first", "second"))
IDLE = Finding("three", "seen_not_promised", False, 1, ("not promised: <why>",))


def test_findings_are_a_sequence_that_is_also_asked_by_name():
    found = Findings([HELD, BROKEN, IDLE])
    assert repr(found) == "Findings(1 held; 1 broken; 1 seen, not promised; 0 not exercised)"
    assert (len(found), found[1], found["two"], list(found)[2]) == (3, BROKEN, BROKEN, IDLE)
    assert list(found[1:]) == [BROKEN, IDLE]
    assert found.broken == (BROKEN,)
    assert repr(BROKEN) == "Finding(two broken: first)"
    assert repr(IDLE) == "Finding(three seen_not_promised: not promised: <why>)"
    with pytest.raises(InvalidInput, match="wanted one, two, three"):
        found["four"]


def test_findings_are_a_table_with_the_broken_ones_first():
    html = Findings([HELD, IDLE, BROKEN])._repr_html_()
    assert html.index("two") < html.index("three") < html.index("one")
    assert "seen, not promised" in html
    assert "not exercised" not in html
    assert "not promised: &lt;why&gt;" in html


@pytest.mark.parametrize(
    ("verdict", "count"),
    [("held", 1), ("not_exercised", 160), ("seen_not_promised", 0), ("broken", 0)],
)
def test_a_verdict_that_does_not_go_with_its_count_is_refused(verdict, count):
    with pytest.raises(InvalidInput, match=f"{verdict}' with {count} violations"):
        Finding("four", verdict, False, count, ())


def test_findings_are_a_frame():
    frame = Findings([HELD, BROKEN]).to_frame()
    assert frame["check"].tolist() == ["one", "two"]
    assert frame["evidence"].tolist() == ["12 samples", "first\nsecond"]


def test_every_violation_is_counted_and_the_first_eight_are_told():
    tape = Tape().begin().append(1, "node-0", FIRST, *range(2, 6))
    tape.apply(2, "node-1", FIRST, 1, by="snapshot")
    for _ in range(12):
        tape.apply(3, "node-1", FIRST, 1)
    found = check(tape.evidence())["applied_exactly_once"]
    assert found.observed_count == 12
    assert len(found.evidence) == 10
    assert found.evidence[8:] == ("… and 4 more", "among 12 operations from a stream")


def test_an_empty_trace_exercises_nothing_but_breaks_nothing():
    found = check(Tape().evidence())
    assert {each.verdict for each in found} == {"not_exercised"}
    assert len({each.name for each in found}) == len(found) == 37
