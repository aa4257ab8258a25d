"""Addressed randomness: a draw depends on its seed and address, and on nothing else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vectorkit.draws import (
    CERTAIN,
    MASK32,
    address,
    below,
    draw,
    draw_block,
    fold,
    threshold,
)

seeds = st.integers(0, 2**64 - 1)
words = st.integers(0, MASK32)


def lowbias32(word):
    """Chris Wellons' finaliser in uint32 arithmetic."""
    with np.errstate(over="ignore"):
        mixed = np.uint32(word)
        mixed = (mixed ^ (mixed >> np.uint32(16))) * np.uint32(0x7FEB352D)
        mixed = (mixed ^ (mixed >> np.uint32(15))) * np.uint32(0x846CA68B)
        return int(mixed ^ (mixed >> np.uint32(16)))


def test_draws_are_the_same_on_every_machine_and_in_every_release():
    assert [draw(7), draw(7, 1), draw(7, 1, 2), draw(2**63, 5)] == [
        2_082_769_736,
        1_591_493_979,
        2_659_624_400,
        4_289_917_097,
    ]


@given(words, words)
def test_a_step_is_an_xor_an_addition_and_the_finaliser(prefix, word):
    assert fold(prefix, word) == lowbias32(((prefix ^ word) + 0x9E3779B9) & MASK32)


@given(seeds, st.lists(words, max_size=6))
def test_a_draw_is_a_uint32_that_repeats(seed, where):
    assert 0 <= draw(seed, *where) == draw(seed, *where) <= MASK32


@given(seeds, st.lists(words, max_size=3), st.lists(words, max_size=3))
def test_an_address_may_be_extended_in_steps(seed, first, second):
    assert fold(fold(address(seed), *first), *second) == draw(seed, *first, *second)


@given(words, st.integers(0, 40))
def test_a_block_equals_draws_one_by_one(prefix, count):
    block = draw_block(prefix, count)
    assert block.dtype == np.uint32
    assert block.tolist() == [fold(prefix, number) for number in range(count)]


@given(seeds, words, words)
def test_one_step_never_maps_two_words_to_one_draw(seed, one, other):
    assert (draw(seed, one) == draw(seed, other)) == (one == other)


@given(seeds)
def test_both_halves_of_a_seed_count(seed):
    assert address(seed) != address(seed ^ (1 << 40))
    assert address(seed) != address(seed ^ 1)


@pytest.mark.parametrize(("chance", "expected"), [(0, 0), (0.25, 1 << 30), (1, CERTAIN)])
def test_a_chance_becomes_an_integer_threshold(chance, expected):
    assert threshold(chance) == expected


def test_a_chance_of_one_takes_every_draw():
    assert threshold(1.0) > MASK32


@given(words, st.integers(1, 2**31))
def test_below_stays_below_its_bound(word, bound):
    assert 0 <= below(word, bound) < bound


def test_below_gives_every_value_equally_often():
    step = (1 << 32) // 20
    counts = np.bincount([below(step * number + step // 2, 5) for number in range(20)])
    assert counts.tolist() == [4, 4, 4, 4, 4]
