"""Frozen records: what differs from their defaults, their JSON, and the checks of values."""

import json
from dataclasses import FrozenInstanceError, dataclass, field, fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vectorkit import records
from vectorkit.errors import InvalidOption


@dataclass(frozen=True)
class Inner:
    rate: float = 1.0


@dataclass(frozen=True)
class Outer:
    name: str = ""
    count: int = 3
    inner: Inner = field(default_factory=Inner)
    parts: tuple[Inner, ...] = ()
    length: int = field(default=0, init=False)

    def __post_init__(self):
        object.__setattr__(self, "length", len(self.name))


INNER = st.builds(Inner, rate=st.floats(allow_nan=False, allow_infinity=False))
OUTER = st.builds(
    Outer,
    name=st.text(max_size=5),
    count=st.integers(-(2**40), 2**40),
    inner=INNER,
    parts=st.lists(INNER, max_size=3).map(tuple),
)


@given(OUTER)
def test_a_record_comes_back_from_its_json(record):
    text = records.json_text(records.to_plain(record), indent=None)
    assert records.from_plain(Outer, json.loads(text), "record") == record


@given(OUTER, st.sampled_from([None, 1, 2, 4]))
def test_indented_json_holds_the_same_values(record, indent):
    plain = records.to_plain(record)
    assert json.loads(records.json_text(plain, indent=indent)) == json.loads(json.dumps(plain))


@given(OUTER)
def test_only_what_differs_from_the_defaults_is_named(record):
    default = Outer()
    named = records.non_default_fields(record)
    for each in (each.name for each in fields(Outer) if each.init):
        assert (each in named) == (getattr(record, each) != getattr(default, each))
    assert "length" not in named


@given(OUTER)
def test_a_short_repr_is_one_bounded_line(record):
    line = records.short_repr(record)
    assert line.startswith("Outer(")
    assert line.endswith(")")
    assert len(line) <= 150


WRONG = {
    "unknown field": ({"title": "a"}, "does not have"),
    "number for a text": ({"name": 1}, "record.name is of another type"),
    "truth for a number": ({"count": True}, "record.count is of another type"),
    "fraction for a whole number": ({"count": 1.5}, "record.count is of another type"),
    "list for a record": ({"inner": []}, "record.inner is of another type"),
    "record for a list": ({"parts": {}}, "record.parts is of another type"),
}


@pytest.mark.parametrize(("plain", "message"), WRONG.values(), ids=WRONG)
def test_plain_values_of_another_shape_are_refused(plain, message):
    with pytest.raises(InvalidOption, match=message):
        records.from_plain(Outer, plain, "record")


ACCEPTED = {
    "zero": lambda: records.check_not_negative("x", 0),
    "fraction": lambda: records.check_not_negative("x", 0.5),
    "least": lambda: records.check_range("x", 1, 1, 3),
    "most": lambda: records.check_range("x", 3, 1, 3),
    "choice": lambda: records.check_choice("x", "b", ("a", "b")),
    "never": lambda: records.check_probability("x", 0),
    "always": lambda: records.check_probability("x", 1.0),
    "type": lambda: records.check_type("x", Inner(), Inner),
    "largest seed": lambda: records.check_seed(2**64 - 1),
}
REFUSED = {
    "negative": lambda: records.check_not_negative("x", -1e-9),
    "infinite": lambda: records.check_not_negative("x", float("inf")),
    "no number": lambda: records.check_not_negative("x", float("nan")),
    "truth": lambda: records.check_not_negative("x", True),
    "below": lambda: records.check_range("x", 0, 1, 3),
    "above": lambda: records.check_range("x", 4, 1, 3),
    "no whole number": lambda: records.check_range("x", 2.0, 1, 3),
    "no choice": lambda: records.check_choice("x", "c", ("a", "b")),
    "above one": lambda: records.check_probability("x", 1.01),
    "another type": lambda: records.check_type("x", Outer(), Inner),
    "seed too large": lambda: records.check_seed(2**64),
    "negative seed": lambda: records.check_seed(-1),
}


@pytest.mark.parametrize("check", ACCEPTED.values(), ids=ACCEPTED)
def test_a_value_within_its_bounds_passes(check):
    assert check() is None


@pytest.mark.parametrize("check", REFUSED.values(), ids=REFUSED)
def test_a_value_outside_of_its_bounds_is_refused(check):
    with pytest.raises(InvalidOption):
        check()


def test_fast_frozen_records_have_equality_a_hash_and_slots():
    @records.fast_frozen
    class Beat:
        number: int

    assert Beat(7) == Beat(7) != Beat(8)
    assert len({Beat(7), Beat(7), Beat(8)}) == 2
    assert not hasattr(Beat(7), "__dict__")
    with pytest.raises(FrozenInstanceError):
        Inner().rate = 2.0
