"""Records as a run would have left them."""

from benchmarks.rows import Limits, Row, line

RUN = {
    "date": "2026-11-26T12:00:00+00:00",
    "form": "quick",
    "cpu": "a processor",
    "cores": 2,
    "python": "3.11.7",
    "dtype": "float32",
    "commit": "0123abcd",
    "versions": {"numpy": "2.0"},
}
LIMITS = Limits(bytes_per_s=1e9, flops_per_s=1e12)


def record(case="one row", value=1.0, *, suite="update", who="vectorkit", error="", **run):
    row = Row(case=case, who=who, values={} if error else {"by floor": value}, error=error)
    return line(suite, row, LIMITS, RUN | run)
