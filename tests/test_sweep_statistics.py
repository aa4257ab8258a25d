"""Statistics of sweeps: published examples, coverage counted exactly, and pairs that are pairs."""

import math
from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom, multinomial

from vectorkit import sim
from vectorkit.errors import InvalidInput
from vectorkit.sim.sweeps.frames import sweep
from vectorkit.sim.sweeps.intervals import _rates_differ, wilson

INF = math.inf
LATENCY = "write_latency_ms_p50"


def frame(*runs, **settings):
    """`(setting values…, seed, {outcome})`: a run each."""
    names = list(settings)
    columns = {
        name: (labels, [labels.index(run[place]) for run in runs])
        for place, (name, labels) in enumerate(settings.items())
    }
    return sweep(columns, [{"seed": run[len(names)], **run[-1]} for run in runs])


def losses(**groups):
    """`a="101"`: one run a letter, by seed; "x" for one with an error."""
    runs = [
        (name, seed, {"error": "E"} if each == "x" else {"has_loss": each == "1"})
        for name, letters in groups.items()
        for seed, each in enumerate(letters)
    ]
    return frame(*runs, group=list(groups))


def latencies(**groups):
    runs = [
        (name, seed, {LATENCY: value})
        for name, values in groups.items()
        for seed, value in enumerate(values)
    ]
    return frame(*runs, group=list(groups))


# Rates


@pytest.mark.parametrize(
    ("k", "n", "interval"),
    [
        (0, 10, (0.0, 0.2775)),
        (1, 10, (0.0179, 0.4042)),
        (5, 10, (0.2366, 0.7634)),
        (10, 10, (0.7225, 1.0)),
        (0, 0, (0.0, 1.0)),
    ],
)
def test_intervals_of_rates_are_those_of_wilson(k, n, interval):
    assert wilson(k, n) == pytest.approx(interval, abs=5e-5)


def test_a_rate_is_counted_over_the_runs_without_an_error():
    told = sim.rates(losses(b="1100", a="x0xx"), "group")
    assert told["group"].tolist() == ["b", "a"]
    assert told[["n", "k", "error_count"]].to_numpy().tolist() == [[4, 2, 0], [1, 0, 3]]
    assert told["rate"].tolist() == [0.5, 0.0]
    assert told[["rate_low", "rate_high"]].to_numpy().tolist() == [
        list(wilson(2, 4)),
        list(wilson(0, 1)),
    ]


def test_where_every_run_had_an_error_the_rate_is_unknown_and_its_interval_all_rates():
    told = sim.rates(losses(a="xx")).iloc[0]
    assert told[["n", "k", "rate_low", "rate_high", "error_count"]].tolist() == [0, 0, 0.0, 1.0, 2]
    assert math.isnan(told["rate"])


def test_by_names_the_groups_all_settings_by_default_none_if_it_is_empty():
    runs = [(x, y, seed, {"has_loss": x == 1}) for x in (1, 2) for y in "qp" for seed in range(3)]
    table = frame(*runs, x=[1, 2], y=["q", "p"])
    told = sim.rates(table)
    assert told[["x", "y"]].to_numpy().tolist() == [[1, "q"], [1, "p"], [2, "q"], [2, "p"]]
    assert sim.rates(table, ["y", "x"]).columns[:2].tolist() == ["y", "x"]
    assert sim.rates(table, "x")["n"].tolist() == [6, 6]
    assert sim.rates(table, [])[["n", "k"]].to_numpy().tolist() == [[12, 6]]
    assert told["x"].dtype == table["x"].dtype


def test_any_column_of_truths_can_be_counted():
    table = latencies(a=[1.0, 9.0, 9.0])
    table["is_slow"] = table[LATENCY] > 5
    assert sim.rates(table, of="is_slow")["k"].tolist() == [2]


# Medians


def test_a_median_has_the_order_statistics_that_enclose_it_in_95_of_100_cases():
    values = [9.0, 1.0, 5.0, 3.0, 7.0, 2.0, 8.0, 4.0, 6.0, 10.0]
    told = sim.medians(latencies(a=values), of=LATENCY).iloc[0]
    assert told[["n", "median", "median_low", "median_high"]].tolist() == [10, 5.5, 2.0, 9.0]
    sure = binom.cdf(8, 10, 0.5) - binom.cdf(1, 10, 0.5)
    narrower = binom.cdf(7, 10, 0.5) - binom.cdf(2, 10, 0.5)
    assert sure >= 0.95 > narrower


def test_of_five_values_no_two_are_sure_to_enclose_the_median():
    five, six = [1.0, 2.0, 3.0, 4.0, 5.0], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    told = sim.medians(latencies(a=five, b=six), of=LATENCY)
    assert told[["median_low", "median_high"]].to_numpy().tolist() == [[-INF, INF], [1.0, 6.0]]


def test_a_value_that_is_missing_is_not_counted():
    table = latencies(a=[None, 4.0], b=[None, None])
    told = sim.medians(table, "group", of=LATENCY)
    assert told["n"].tolist() == [1, 0]
    assert told["median"][0] == 4.0
    assert math.isnan(told["median"][1])


# Pairs


def pairs(both, only_a, only_b, neither):
    a = [1.0] * (both + only_a) + [0.0] * (only_b + neither)
    b = [1.0] * both + [0.0] * only_a + [1.0] * only_b + [0.0] * neither
    return np.array(a), np.array(b)


def test_paired_rates_have_the_interval_of_newcombe():
    """His example of 50 pairs, of which 36 agree (Statistics in Medicine 17, 2635-2650, 1998)."""
    _, _, difference, low, high, _ = _rates_differ(*pairs(36, 2, 12, 0))
    assert difference == pytest.approx(0.2)
    assert (low, high) == pytest.approx((0.0569, 0.3404), abs=5e-5)


def test_pairs_that_all_agree_have_the_interval_of_two_rates_that_move_together():
    low_n, high_n = wilson(0, 20)
    test = _rates_differ(*pairs(0, 0, 0, 20))
    assert test == (0.0, 0.0, 0.0, -(high_n - low_n), high_n - low_n, 1.0)


@pytest.mark.parametrize(
    "chances",
    [(0.25, 0.25, 0.25, 0.25), (0.1, 0.6, 0.1, 0.2), (0.05, 0.05, 0.0, 0.9), (0.7, 0.1, 0.1, 0.1)],
)
def test_the_interval_of_paired_rates_covers_the_truth_in_93_of_100_cases_or_more(chances):
    """Counted over every outcome of 12 pairs, each with its probability."""
    size, covered = 12, 0.0
    truth = chances[2] - chances[1]
    for counts in product(range(size + 1), repeat=4):
        if sum(counts) == size:
            *_, low, high, _ = _rates_differ(*pairs(*counts))
            probability = multinomial.pmf(counts, size, chances)
            covered += probability if low <= truth <= high else 0.0
    assert covered > 0.93


def test_the_p_value_of_rates_is_that_of_a_coin_over_the_pairs_that_differ():
    assert _rates_differ(*pairs(5, 0, 6, 5))[-1] == pytest.approx(2 / 2**6)
    assert _rates_differ(*pairs(5, 6, 0, 5))[-1] == pytest.approx(2 / 2**6)
    assert _rates_differ(*pairs(5, 2, 2, 5))[-1] == 1.0


def test_a_comparison_pairs_the_runs_of_a_seed_and_leaves_out_those_without_a_partner():
    table = losses(a="1101x1", b="0000000", c="1111111")
    told = sim.compare(table, "group", "a", "b").iloc[0]
    assert (told["pairs"], told["value_a"], told["value_b"]) == (5, 0.8, 0.0)
    assert told["difference"] == -0.8
    assert told["difference_low"] < -0.8 < told["difference_high"] < 0
    other_way = sim.compare(table, "group", "b", "a").iloc[0]
    assert other_way["difference_low"] == pytest.approx(-told["difference_high"])
    assert other_way["p_value"] == told["p_value"]


def test_a_comparison_has_a_row_per_combination_of_the_other_settings():
    runs = [
        (x, y, seed, {LATENCY: 10.0 * x + seed * (y == "q")})
        for x in (1, 2)
        for y in "qp"
        for seed in range(6)
    ]
    told = sim.compare(frame(*runs, x=[1, 2], y=["q", "p"]), "y", "p", "q", of=LATENCY)
    assert told["x"].tolist() == [1, 2]
    assert told[["pairs", "value_a", "value_b"]].to_numpy().tolist() == [
        [6, 10.0, 12.5],
        [6, 20.0, 22.5],
    ]
    figures = ["difference", "difference_low", "difference_high"]
    assert told[figures].to_numpy().tolist() == [[2.5, 0.0, 5.0]] * 2


def test_numbers_differ_by_the_median_of_the_pairs_not_by_that_of_the_groups():
    a, b = [1.0, 2.0, 30.0, 40.0, 50.0, 60.0], [2.0, 3.0, 29.0, 41.0, 51.0, 61.0]
    told = sim.compare(latencies(a=a, b=b), "group", "a", "b", of=LATENCY).iloc[0]
    figures = ["value_a", "value_b", "difference", "difference_low", "difference_high"]
    assert told[figures].tolist() == [35.0, 35.0, 1.0, -1.0, 1.0]
    assert told["p_value"] == pytest.approx(2 * binom.cdf(1, 6, 0.5))


def test_without_a_pair_nothing_is_known():
    told = sim.compare(losses(a="1x", b="x1"), "group", "a", "b")
    assert told["pairs"].tolist() == [0]
    assert told[["difference_low", "difference_high", "p_value"]].to_numpy().tolist() == [
        [-1.0, 1.0, 1.0]
    ]
    assert told["difference"].isna().all()


@pytest.mark.parametrize(
    ("ask", "told"),
    [
        (lambda f: sim.rates(f, "groop"), "no such column: got 'groop', wanted 'group', 'seed', "),
        (lambda f: sim.rates(f, of="loss"), "no such column: got 'loss'"),
        (lambda f: sim.rates(f, of="writes"), "'writes' cannot be counted so: got values of type"),
        (lambda f: sim.medians(f, of="trace_hash"), "'trace_hash' cannot be counted so"),
        (lambda f: sim.medians(f, of="has_loss"), "'has_loss' cannot be counted so: got values of"),
        (lambda f: sim.compare(f, "seed", 0, 1), "no such setting: got 'seed', wanted 'group'"),
        (lambda f: sim.compare(f, "group", "a", "z"), "no such value: got 'z', wanted 'a', 'b'"),
        (lambda f: sim.compare(f, "group", "a", "a"), "is of two values: got group='a' twice"),
        (lambda f: sim.compare(f, "group", "a", "b", of="error"), "cannot be counted so"),
        (lambda f: sim.rates(f.drop(columns="seed")), "no such column: got 'seed'"),
    ],
)
def test_what_the_sweep_does_not_have_is_refused(ask, told):
    with pytest.raises(InvalidInput) as caught:
        ask(losses(a="10", b="01"))
    assert told in str(caught.value)


def test_a_frame_is_as_it_was_after_it_was_asked():
    table = losses(a="10", b="01")
    before = table.copy()
    sim.rates(table)
    sim.compare(table, "group", "a", "b")
    pd.testing.assert_frame_equal(table, before)
