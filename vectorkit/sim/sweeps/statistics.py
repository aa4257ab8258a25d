"""What a sweep can say for sure. Every figure has a 95 % interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vectorkit.tabular import DataFrame


def rates(
    frame: DataFrame, by: str | Sequence[str] | None = None, *, of: str = "has_loss"
) -> DataFrame:
    """How often something is so, by setting: of `n` runs `k`, `rate`, and Wilson's interval.

    `frame` is what `sweep` gave, `of` a column that is true or false, `by` one setting or more,
    by default all. Runs with an error are in `error_count` only. Runs of one seed share draws: over
    settings that `by` leaves out they are not quite independent. Raises InvalidInput.

    >>> from vectorkit import sim
    >>> load = sim.Workload(writes_per_s=20, source="uniform:20x4")
    >>> base = sim.Scenario(sim.ClusterOptions(replicas=1), workload=load, duration_ms=500)
    >>> frame = sim.sweep({"loss": [0, 0.1]}, seeds=range(5), base=base)
    >>> sim.rates(frame, "loss", of="is_converged").round(2).iloc[0].tolist()
    [0.0, 5.0, 5.0, 1.0, 0.57, 1.0, 0.0]
    """
    from vectorkit.sim.sweeps import intervals

    return intervals.rates(frame, by, of)


def medians(frame: DataFrame, by: str | Sequence[str] | None = None, *, of: str) -> DataFrame:
    """The median of a column of numbers by setting, with its exact order-statistic interval.

    `n` are the runs that have a value. Below six no interval is sure at 95 %, and it is all
    numbers. `by` and `error_count` are as for `rates`. Raises InvalidInput.

    >>> from vectorkit import sim
    >>> load = sim.Workload(writes_per_s=20, source="uniform:20x4")
    >>> base = sim.Scenario(sim.ClusterOptions(replicas=1), workload=load, duration_ms=500)
    >>> frame = sim.sweep({"delay_ms": [1, 5]}, seeds=range(6), base=base)
    >>> sim.medians(frame, of="write_latency_ms_p50")["median"].tolist()
    [2.5, 10.5]
    """
    from vectorkit.sim.sweeps import intervals

    return intervals.medians(frame, by, of)


def compare(frame: DataFrame, setting: str, a: Any, b: Any, *, of: str = "has_loss") -> DataFrame:
    """How much b is above a over the same seeds: a row per combination of the other settings.

    Rates differ by the exact test of McNemar, with Newcombe's interval; numbers by the sign test,
    with the exact interval of the median of the differences. A pair is the two runs of a seed that
    differ in `setting` only; those without a value are left out. No p-value is corrected for the
    number of rows. Raises InvalidInput.

    >>> from vectorkit import sim
    >>> load = sim.Workload(writes_per_s=20, source="uniform:20x4")
    >>> base = sim.Scenario(sim.ClusterOptions(replicas=1), workload=load, duration_ms=500)
    >>> frame = sim.sweep({"delay_ms": [1, 5]}, seeds=range(6), base=base)
    >>> compared = sim.compare(frame, "delay_ms", 1, 5, of="write_latency_ms_p50")
    >>> compared[["pairs", "difference", "p_value"]].to_numpy().tolist()
    [[6.0, 8.0, 0.03125]]
    """
    from vectorkit.sim.sweeps import intervals

    return intervals.compare(frame, setting, a, b, of)
