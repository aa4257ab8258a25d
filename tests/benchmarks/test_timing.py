"""Competitors take turns; what is timed is what the rounds after the warm-up took."""

import jax
import numpy as np
import pytest

from benchmarks.timing import Lap, Timing, in_turn, lap, told, turned, unit


def test_competitors_take_turns_and_nobody_always_follows_the_same():
    seen = []

    def call(name):
        def run(number):
            seen.append((number, name))
            return Lap(1.0)

        return run

    in_turn({"a": call("a"), "b": call("b")}, repeats=2)
    assert seen[:4] == [(-2, "a"), (-2, "b"), (-1, "b"), (-1, "a")]
    assert seen[4:] == [(0, "a"), (0, "b"), (1, "b"), (1, "a")]


def test_the_first_call_is_apart_and_so_is_what_was_compiled_before_the_rounds():
    laps = iter([Lap(9.0, 8.0, 3), Lap(2.0, 1.0, 1), Lap(1.0), Lap(3.0, 0.5, 1), Lap(2.0)])
    timing = in_turn({"a": lambda _: next(laps)}, repeats=3, budget_s=100)["a"]
    assert timing == Timing((1.0, 3.0, 2.0), warm_up_s=9.0, compile_s=9.0, compilations=1)
    assert (timing.median_s, timing.best_s, timing.iqr_s) == (2.0, 1.0, 1.0)


def test_who_raises_is_out_with_its_error_and_the_others_go_on():
    def fails(number):
        raise ValueError("broken\n  here")

    timings = in_turn({"a": fails, "b": lambda _: Lap(1.0)}, repeats=3)
    assert timings["a"].error == "ValueError: broken here"
    assert timings["b"].seconds == (1.0,) * 3


def test_who_has_used_up_its_budget_has_fewer_repeats():
    timing = in_turn({"a": lambda _: Lap(3.0)}, repeats=10, budget_s=8.0)["a"]
    assert timing.seconds == (3.0, 3.0)


def test_who_is_slower_than_its_budget_from_the_start_has_one_repeat():
    timing = in_turn({"a": lambda _: Lap(30.0)}, repeats=10, budget_s=8.0)["a"]
    assert (timing.seconds, timing.warm_up_s) == ((30.0,), 30.0)


def test_a_ratio_is_the_median_over_rounds_and_not_the_ratio_of_medians():
    mine, theirs = Timing((1.0, 10.0, 3.0)), Timing((1.0, 2.0, 2.0))
    assert mine.ratio(theirs) == 1.5
    assert np.isnan(mine.ratio(Timing()))


def test_compilations_are_counted_where_they_happen():
    run = jax.jit(lambda x: x * 3 + 1)
    first, _ = lap(lambda: run(np.ones(7, np.float32)))
    again, given = lap(lambda: run(np.ones(7, np.float32)))
    assert (first.compilations, again.compilations) == (1, 0)
    assert given.tolist() == [4.0] * 7


@pytest.mark.parametrize(("number", "order"), [(-2, "ab"), (-1, "ba"), (0, "ab"), (3, "ba")])
def test_names_are_turned_by_the_round(number, order):
    assert turned(["a", "b"], number) == list(order)


def test_rows_of_zeros_stay_zeros():
    assert unit(np.array([[3, 4], [0, 0]], np.float32)).tolist() == [
        [pytest.approx(0.6), pytest.approx(0.8)],
        [0.0, 0.0],
    ]


def test_an_error_is_told_in_one_short_line():
    assert told(OSError("a\n\n" + "b" * 300)) == f"OSError: a {'b' * 189}"
    assert len(told(OSError("b" * 300))) == 200
