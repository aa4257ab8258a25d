"""Fair timing: competitors in turn, compilation apart, medians over rounds."""

from __future__ import annotations

import functools
import gc
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from vectorkit.draws import address, draw_block

WARM_UPS = 2
COMPILED = "/jax/core/compile/backend_compile_duration"


class Lap(NamedTuple):
    """One call: how long it took, and what XLA compiled meanwhile."""

    seconds: float
    compile_s: float = 0.0
    compilations: int = 0


Call = Callable[[int], Lap]
"""A competitor: it is told the number of the round, below zero while it warms up."""


@dataclass(frozen=True)
class Timing:
    """The repeats of one competitor. The first call of all, which compiles, is apart."""

    seconds: tuple[float, ...] = ()
    warm_up_s: float = float("nan")
    compile_s: float = 0.0
    compilations: int = 0
    """Within the timed rounds; `compile_s` is of the rounds before."""
    error: str = ""

    @property
    def median_s(self) -> float:
        return float(np.median(self.seconds)) if self.seconds else float("nan")

    @property
    def best_s(self) -> float:
        """The quickest repeat: the least disturbed one, on a machine that others use."""
        return min(self.seconds, default=float("nan"))

    @property
    def iqr_s(self) -> float:
        if not self.seconds:
            return float("nan")
        low, high = np.quantile(self.seconds, (0.25, 0.75))
        return float(high - low)

    def ratio(self, other: Timing) -> float:
        """The median, over the rounds, of this time by the other's."""
        pairs = list(zip(self.seconds, other.seconds, strict=False))
        return float(np.median([mine / theirs for mine, theirs in pairs])) if pairs else np.nan


class Compilations:
    """What XLA really compiled in this process, by JAX's own event, whoever asked for it."""

    def __init__(self) -> None:
        from jax import monitoring

        self.count, self.seconds = 0, 0.0
        monitoring.register_event_duration_secs_listener(self._listen)

    def _listen(self, event: str, seconds: float, **_: object) -> None:
        if event == COMPILED:
            self.count += 1
            self.seconds += seconds


@functools.cache
def compilations() -> Compilations:
    """The one counter of this process."""
    return Compilations()


def lap(run: Callable[[], Any], *, has_jax: bool = True) -> tuple[Lap, Any]:
    """Run and wait for what it gives; without `has_jax` nothing is asked of JAX."""
    if not has_jax:
        started = perf_counter()
        given = run()
        return Lap(perf_counter() - started), given
    import jax

    counter = compilations()
    count, compiling, started = counter.count, counter.seconds, perf_counter()
    given = jax.block_until_ready(run())
    seconds = perf_counter() - started
    return Lap(seconds, counter.seconds - compiling, counter.count - count), given


def local(run: Callable[[int], Any]) -> Call:
    """A competitor that runs in this process."""
    return lambda number: lap(lambda: run(number))[0]


def in_turn(calls: Mapping[str, Call], repeats: int, *, budget_s: float = 8.0) -> dict[str, Timing]:
    """Time every competitor once a round, so that noise hits all of them.

    Whoever raises is out, with its error; whoever has used up its budget, its first call not
    counted, which may compile, has fewer repeats.
    """
    laps: dict[str, list[Lap]] = {name: [] for name in calls}
    errors: dict[str, str] = {}
    gc.collect()
    gc.freeze()  # What has been loaded slows down no collection of garbage from here on.
    for number in range(-WARM_UPS, repeats):
        for name in turned(list(calls), number):
            if name in errors or sum(each.seconds for each in laps[name][1:]) > budget_s:
                continue
            try:
                laps[name].append(calls[name](number))
            except Exception as error:  # A competitor's failure is a result, not ours.
                errors[name] = told(error)
    gc.unfreeze()
    return {
        name: Timing(error=errors[name]) if name in errors else _timing(each)
        for name, each in laps.items()
    }


def _timing(laps: list[Lap]) -> Timing:
    """What was timed: after the warm-ups, or what there is of somebody slow."""
    first = WARM_UPS if len(laps) > WARM_UPS else min(1, len(laps) - 1)
    before, timed = laps[:first], laps[first:]
    return Timing(
        seconds=tuple(each.seconds for each in timed),
        warm_up_s=laps[0].seconds,
        compile_s=sum(each.compile_s for each in before),
        compilations=sum(each.compilations for each in timed),
    )


def told(error: BaseException) -> str:
    """An error in one line that fits a table."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:200]


def turned(names: list[str], number: int) -> list[str]:
    """The names from another one on each round: nobody always follows the same neighbour."""
    start = number % len(names) if names else 0
    return names[start:] + names[:start]


def drawn(count: int, dim: int, seed: int = 7) -> np.ndarray:
    """Unit rows (count, dim) float32 of drawn directions."""
    rows = draw_block(address(seed), count * dim).astype(np.float32).reshape(count, dim)
    rows -= np.float32(2.0**31)
    rows /= np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, None]
    return rows


def unit(rows: np.ndarray) -> np.ndarray:
    """The rows, each of length 1; a row of zeros stays."""
    lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
    return (rows / np.maximum(lengths, 1e-30)[:, None]).astype(np.float32)


def shuffled(count: int, taken: int, seed: int) -> np.ndarray:
    """`taken` different slots of `count`, drawn."""
    return np.argsort(draw_block(address(seed), count), kind="stable")[:taken]


def names(count: int) -> list[str]:
    return [f"row-{index}" for index in range(count)]
