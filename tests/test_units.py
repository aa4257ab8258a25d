"""Units: whole nanoseconds inside, milliseconds at the edge."""

from hypothesis import given
from hypothesis import strategies as st

from vectorkit.units import KIB, MIB, NS_PER_MS, ms_to_ns, ns_to_ms


@given(st.integers(0, 10**9))
def test_whole_milliseconds_survive_the_round_trip(ms):
    assert ns_to_ms(ms_to_ns(ms)) == ms


@given(st.integers(0, 2**52))
def test_nanoseconds_survive_the_round_trip(ns):
    assert ms_to_ns(ns_to_ms(ns)) == ns


def test_fractions_round_to_the_nearest_nanosecond():
    assert [ms_to_ns(ms) for ms in (0.0000004, 0.0000006, 2.5)] == [0, 1, 2_500_000]


def test_nanoseconds_are_integers():
    assert type(ms_to_ns(1.5)) is int


def test_the_constants_are_what_their_names_say():
    assert (NS_PER_MS, KIB, MIB) == (10**6, 1024, 1024**2)
