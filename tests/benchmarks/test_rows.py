"""The line that is kept of a row: per operation, under the machine's roof, and plain JSON."""

import json

import pytest

from benchmarks.rows import Limits, Plan, Row, key, line, number_of
from benchmarks.timing import Timing
from tests.benchmarks.made import LIMITS, RUN, record

TIMING = Timing((2e-3, 1e-3, 3e-3), warm_up_s=0.5, compile_s=0.25, compilations=1)


def test_times_are_microseconds_of_one_operation():
    kept = line("update", Row(case="a", timing=TIMING, operations=1_000), LIMITS, RUN)
    assert (kept["median_us"], kept["iqr_us"], kept["best_us"]) == (2.0, 1.0, 1.0)
    assert (kept["repeats"], kept["operations"], kept["compilations"]) == (3, 1_000, 1)
    assert (kept["warm_up_s"], kept["compile_s"]) == (0.5, 0.25)


@pytest.mark.parametrize(
    ("moved_bytes", "flops", "share", "of"),
    [
        (1e6, 0, 0.5, "bytes"),
        (0, 1e9, 0.5, "flops"),
        (1e6, 1e8, 0.5, "bytes"),
        (1e5, 1e9, 0.5, "flops"),
        (0, 0, None, None),
    ],
)
def test_the_roof_of_one_operation_is_the_limit_that_is_nearer(moved_bytes, flops, share, of):
    halved = {"moved_bytes": moved_bytes / 2, "flops": flops / 2, "operations": 2}
    row = Row(case="a", timing=TIMING, **halved)
    kept = line("search", row, LIMITS, RUN)
    assert (kept["roofline_share"], kept["roofline_of"]) == (share, of)


def test_what_was_not_measured_is_null_and_the_line_is_plain_json():
    row = Row(case="a", values={"by floor": float("nan"), "n_count": 2}, moved_bytes=8)
    kept = line("update", row, Limits(float("nan"), float("nan")), RUN)
    assert kept["median_us"] is kept["roofline_share"] is kept["values"]["by floor"] is None
    assert json.loads(json.dumps(kept, allow_nan=False)) == kept


def test_an_error_of_the_row_or_of_its_timing_is_kept():
    assert line("a", Row(case="a", error="broken"), LIMITS, RUN)["error"] == "broken"
    failed = Row(case="a", timing=Timing(error="ValueError: no"))
    assert line("a", failed, LIMITS, RUN)["error"] == "ValueError: no"


def test_another_form_or_core_count_is_another_row():
    keys = {key(record()), key(record(form="full")), key(record(cores=1)), key(record(date="b"))}
    assert len(keys) == 3


def test_a_number_is_a_value_or_one_that_every_line_has():
    kept = line("update", Row(case="a", timing=TIMING, values={"x": 3}), LIMITS, RUN)
    assert (number_of(kept, "x"), number_of(kept, "compilations")) == (3.0, 1)
    assert number_of(kept, "case") is number_of(kept, "nothing") is None
    assert number_of(kept | {"error": "broken"}, "x") is None


def test_a_plan_picks_by_its_form():
    assert Plan(form="quick").pick(1, 2) == 1
    assert Plan(form="full").pick(1, 2) == 2
