"""What a sweep can say for sure: rates, medians and paired differences, each with its interval.

Intervals are 95 %. The unit is the run: writes of one run share their fate.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from vectorkit.errors import InvalidInput

RATES: Final = ("n", "k", "rate", "rate_low", "rate_high", "error_count")
MEDIANS: Final = ("n", "median", "median_low", "median_high", "error_count")
COMPARISON: Final = (
    *("pairs", "value_a", "value_b"),
    *("difference", "difference_low", "difference_high", "p_value"),
)

Interval = tuple[float, float]
Floats = NDArray[np.float64]


def rates(frame: pd.DataFrame, by: str | Sequence[str] | None, of: str) -> pd.DataFrame:
    """A row per setting: of `n` runs, `k` have it, with Wilson's interval of the rate."""
    _check_dtype(frame, of, "true or false", is_bool_dtype)

    def row(values: pd.Series[Any]) -> list[float]:
        n, k = len(values), int(values.sum())
        return [n, k, k / n if n else math.nan, *wilson(k, n)]

    return _grouped(frame, by, of, row, RATES)


def medians(frame: pd.DataFrame, by: str | Sequence[str] | None, of: str) -> pd.DataFrame:
    """A row per setting: the median of `n` runs, with its exact interval."""
    _check_dtype(frame, of, "numbers", _is_number_dtype)

    def row(values: pd.Series[Any]) -> list[float]:
        numbers = values.to_numpy(np.float64)
        return [len(numbers), _median(numbers), *_median_test(numbers)[0]]

    return _grouped(frame, by, of, row, MEDIANS)


def compare(frame: pd.DataFrame, setting: str, a: Any, b: Any, of: str) -> pd.DataFrame:
    """A row per combination of the other settings: b against a, over the seeds of both."""
    _check_dtype(frame, of, "true or false, or numbers", is_numeric_dtype)
    names = settings_of(frame)
    _check_known("setting", [setting], names)
    known = frame[setting].unique().tolist()
    _check_known("value", [a, b], known)
    if a == b:
        raise InvalidInput(
            "a comparison is of two values",
            got=f"{setting}={a!r} twice",
            wanted=f"two of {', '.join(map(repr, known))}",
            remedy="name another one",
        )
    others = [name for name in names if name != setting]
    sides = [
        frame.loc[(frame[setting] == value) & frame[of].notna(), [*others, "seed", of]].rename(
            columns={of: side}
        )
        for value, side in ((a, "a"), (b, "b"))
    ]
    pairs = sides[0].merge(sides[1], on=[*others, "seed"], how="inner")
    test = _rates_differ if is_bool_dtype(frame[of].dtype) else _medians_differ
    rows = [
        (*key, len(part), *test(part["a"].to_numpy(np.float64), part["b"].to_numpy(np.float64)))
        for key, part in _parts(pairs, others)
    ]
    return _typed(rows, (*others, *COMPARISON), frame)


def settings_of(frame: pd.DataFrame) -> list[str]:
    """The settings of a sweep: the columns before the seed. Raises InvalidInput without one."""
    _check_known("column", ["seed"], list(frame.columns))
    names: list[str] = frame.columns[: frame.columns.get_loc("seed")].tolist()
    return names


def wilson(k: int, n: int) -> Interval:
    """The 95 % score interval of a chance, after k hits in n trials (Wilson, 1927).

    >>> low, high = wilson(0, 20)
    >>> low, round(high, 3)
    (0.0, 0.161)
    """
    from scipy.stats import binomtest

    if not n:
        return 0.0, 1.0
    low, high = binomtest(k, n).proportion_ci(0.95, method="wilson")
    return float(low), float(high)


Test = tuple[float, float, float, float, float, float]
"""The value of a and of b, how much b is above a, the interval of that, and its p-value."""


def _rates_differ(a: Floats, b: Floats) -> Test:
    """Paired rates: the exact test of McNemar (1947), the interval of Newcombe (1998), method 10.

    Only pairs that differ can tell a from b; under the null hypothesis each goes either way.
    """
    from scipy.stats import binomtest

    n = len(a)
    if not n:
        return math.nan, math.nan, math.nan, -1.0, 1.0, 1.0
    both, only_a = int((a * b).sum()), int((a * (1 - b)).sum())
    only_b, neither = int(((1 - a) * b).sum()), int(((1 - a) * (1 - b)).sum())
    rate_a, rate_b = (both + only_a) / n, (both + only_b) / n
    (low_a, high_a), (low_b, high_b) = wilson(both + only_a, n), wilson(both + only_b, n)
    margins = (both + only_a) * (only_b + neither) * (both + only_b) * (only_a + neither)
    product = float(both * neither - only_a * only_b)
    if product > 0:  # A correction for continuity.
        product = max(0.0, product - n / 2)
    phi = product / math.sqrt(margins) if margins else 0.0
    below = _side(rate_b - low_b, high_a - rate_a, phi)
    above = _side(high_b - rate_b, rate_a - low_a, phi)
    difference = rate_b - rate_a
    differing = only_a + only_b
    p_value = float(binomtest(only_b, differing).pvalue) if differing else 1.0
    return rate_a, rate_b, difference, difference - below, difference + above, p_value


def _side(one: float, other: float, phi: float) -> float:
    return math.sqrt(max(0.0, one**2 - 2 * phi * one * other + other**2))


def _medians_differ(a: Floats, b: Floats) -> Test:
    """Paired differences: their median, its exact interval, and the sign test."""
    (low, high), p_value = _median_test(b - a)
    return _median(a), _median(b), _median(b - a), low, high, p_value


def _median_test(values: Floats) -> tuple[Interval, float]:
    """The exact interval of a median, by order statistics, and whether 0 could be it.

    Of fewer than six values no two are sure to enclose it: the interval is all numbers.
    """
    from scipy.stats import quantile_test

    if not len(values):
        return (-math.inf, math.inf), 1.0
    test = quantile_test(values, q=0, p=0.5)
    low, high = test.confidence_interval(0.95)
    is_known = not math.isnan(low)
    return (float(low), float(high)) if is_known else (-math.inf, math.inf), float(test.pvalue)


def _median(values: Floats) -> float:
    return float(np.median(values)) if len(values) else math.nan


def _grouped(
    frame: pd.DataFrame,
    by: str | Sequence[str] | None,
    of: str,
    row: Callable[[pd.Series[Any]], list[float]],
    columns: Sequence[str],
) -> pd.DataFrame:
    """A row per group, in the order of the grid, with how many runs had an error and count not."""
    settings = settings_of(frame)
    names = settings if by is None else [by] if isinstance(by, str) else list(by)
    _check_known("column", names, list(frame.columns))
    rows = [
        (*key, *row(part[of].dropna()), int(part["error"].notna().sum()))
        for key, part in _parts(frame, names)
    ]
    return _typed(rows, (*names, *columns), frame)


def _parts(frame: pd.DataFrame, by: list[str]) -> Iterator[tuple[tuple[Any, ...], pd.DataFrame]]:
    """The groups of a frame, in the order of the categories; without names, all of it."""
    if not by:
        yield (), frame
        return
    yield from frame.groupby(by, observed=True)


def _typed(rows: list[Any], columns: Sequence[str], frame: pd.DataFrame) -> pd.DataFrame:
    """The rows as a frame, in which settings are what they were."""
    made = pd.DataFrame(rows, columns=list(columns))
    counts = {name: "int64" for name in ("n", "k", "pairs", "error_count") if name in made}
    floats = {name: "float64" for name in (*RATES, *MEDIANS, *COMPARISON) if name in made}
    kept = {name: frame[name].dtype for name in columns if name in frame}
    return made.astype({**floats, **counts, **kept})


def _is_number_dtype(kind: Any) -> bool:
    """To pandas truths are numbers, too."""
    return is_numeric_dtype(kind) and not is_bool_dtype(kind)


def _check_dtype(
    frame: pd.DataFrame, of: str, wanted: str, is_right: Callable[[Any], bool]
) -> None:
    _check_known("column", [of], list(frame.columns))
    if not is_right(frame[of].dtype):
        raise InvalidInput(
            f"the column {of!r} cannot be counted so",
            got=f"values of type {frame[of].dtype}",
            wanted=f"a column of {wanted}",
            remedy="use rates for what is true or false, medians for numbers",
        )


def _check_known(what: str, names: Sequence[Any], known: Sequence[Any]) -> None:
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InvalidInput(
            f"the sweep has no such {what}",
            got=", ".join(map(repr, unknown)),
            wanted=", ".join(map(repr, known)),
            remedy="name one of these",
        )
