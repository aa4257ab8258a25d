"""Search for seeds that violate a check: draw, run, check and shrink random scenarios."""

from __future__ import annotations

import traceback
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from vectorkit.sim.checks.findings import VERDICT_WORDS
from vectorkit.sim.fuzzing.coverage import COVERAGE_GOALS, CoverageGoal, goals_reached
from vectorkit.sim.fuzzing.random_scenario import random_scenario
from vectorkit.sim.fuzzing.regression import KeptSeed
from vectorkit.sim.fuzzing.shrink import shrink
from vectorkit.sim.run import Run
from vectorkit.sim.scenario import Scenario
from vectorkit.sim.simulate import run_scenario

STUCK: Final = "no_node_stays_stuck"
REPLAY: Final = "the_same_seed_gives_the_same_trace"
RAISES: Final = "raises"
"""Findings beside those of the checks; that of an exception also names its class."""

_REPEAT_EVERY: Final = 16
_RUNS_MAX: Final = 300
"""Maximum number of smaller scenarios to try for a broken check."""
VERDICTS: Final = ("held", "not exercised", "seen, not promised", "broken")
"""All verdicts of a check."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """The result of one seed."""

    seed: int
    event_count: int = 0
    duration_ms: float = 0.0
    verdicts: tuple[tuple[str, str], ...] = ()
    """(check, verdict) pairs."""
    places: tuple[CoverageGoal, ...] = ()
    """The coverage goals that the run reached."""
    finds: tuple[KeptSeed, ...] = ()


def try_seed(seed: int, draw: Callable[[int], Scenario] = random_scenario) -> Trial:
    """Draw, run and check the scenario of a seed; shrink it for each violation.

    An exception counts as a find. One seed in sixteen runs twice and must give an equal trace.

    >>> trial = try_seed(14)
    >>> trial.seed, trial.finds
    (14, ())
    """
    scenario = draw(seed)
    run, problems = _tried(scenario, is_repeated=seed % _REPEAT_EVERY == 0)
    finds = tuple(
        KeptSeed(
            seed=seed,
            check=name,
            evidence=evidence,
            scenario=scenario,
            shrunk=_smaller(scenario, run, name),
        )
        for name, evidence in problems.items()
    )
    if run is None:
        return Trial(seed=seed, finds=finds)
    return Trial(
        seed=seed,
        event_count=run.event_count,
        duration_ms=run.duration_ms,
        verdicts=tuple((each.name, VERDICT_WORDS[each.verdict]) for each in run.check()),
        places=goals_reached(run),
        finds=finds,
    )


def problems_of(scenario: Scenario, *, is_repeated: bool = True) -> dict[str, tuple[str, ...]]:
    """Run a scenario and return all violations by name, with the evidence."""
    return _tried(scenario, is_repeated=is_repeated)[1]


def _smaller(scenario: Scenario, run: Run | None, problem: str) -> Scenario | None:
    if run is not None and problem in {each.name for each in run.check().broken}:
        return shrink(run, problem, runs_max=_RUNS_MAX).scenario
    return with_fewer_faults(scenario, problem)


def with_fewer_faults(scenario: Scenario, problem: str) -> Scenario | None:
    """Remove all faults that a problem does not need; return None if it needs all of them.

    This is for problems that no check covers: exceptions, stuck nodes, traces that differ.
    """
    smallest, size = scenario, len(scenario.faults)
    while size:
        first = 0
        while first < len(smallest.faults):
            faults = (*smallest.faults[:first], *smallest.faults[first + size :])
            candidate = replace(smallest, faults=faults)
            if problem in problems_of(candidate, is_repeated=problem == REPLAY):
                smallest = candidate
            else:
                first += size
        size //= 2
    return None if smallest is scenario else smallest


def _tried(
    scenario: Scenario, *, is_repeated: bool
) -> tuple[Run | None, dict[str, tuple[str, ...]]]:
    try:
        run = run_scenario(scenario)
        problems = {each.name: each.evidence for each in run.check().broken}
        again = run_scenario(scenario).trace_hash if is_repeated else run.trace_hash
    except Exception as error:  # Any exception of the engine is a find.
        last = traceback.extract_tb(error.__traceback__)[-1]
        text = traceback.format_exception_only(error)[-1].strip()
        return None, {f"{RAISES}_{type(error).__name__}": (text, f"in {last.name}: {last.line}")}
    if again != run.trace_hash:
        problems[REPLAY] = (f"trace hash {run.trace_hash}, then {again}",)
    if reasons := _out_of_line(run):
        problems[STUCK] = reasons
    return run, problems


def _out_of_line(run: Run) -> tuple[str, ...]:
    """What is wrong with how a run has ended; nothing where all are equal or could not be.

    Faults are over and all nodes are up, so they have no excuse but that none may be master: too
    many of them are without their state, or nobody but an operator promotes.
    """
    stuck = tuple(f"{each.node} ({each.role}) {each.reason}" for each in run.stuck)
    if not stuck:
        return () if run.is_converged else ("nodes differ, and none says why",)
    options, nodes = run.options, len(run.options.node_ids)
    if any(stats.role == "master" for stats in run.stats.values()):
        return stuck
    lost = [spans for spans in run.evidence.guarantee.stateless.values() if spans[-1][1] is None]
    asked = options.protocol.write_concern.replica_count(nodes)
    quorum = nodes - asked if asked else nodes // 2 + 1
    has_quorum = nodes - len(lost) >= quorum
    return stuck if has_quorum and options.protocol.failover is not None else ()


@dataclass(slots=True)
class HuntTally:
    """What a hunt has been through so far: counted seed by seed, in any order.

    >>> tally = HuntTally()
    >>> tally.add(try_seed(14))
    >>> tally.seed_count, tally.finds
    (1, [])
    """

    seed_count: int = 0
    event_count: int = 0
    duration_ms: float = 0.0
    verdicts: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """Of each check, in how many seeds it had which verdict."""
    places: Counter[CoverageGoal] = field(default_factory=Counter)
    """In how many seeds each of `COVERAGE_GOALS` was seen."""
    finds: list[KeptSeed] = field(default_factory=list)

    def add(self, trial: Trial) -> None:
        """One seed more."""
        self.seed_count += 1
        self.event_count += trial.event_count
        self.duration_ms += trial.duration_ms
        for check, verdict in trial.verdicts:
            self.verdicts[check][verdict] += 1
        self.places.update(trial.places)
        self.finds += trial.finds

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON has it; finds by the names of their files."""
        seen: dict[str, dict[str, int]] = {place.group: {} for place in COVERAGE_GOALS}
        for place in COVERAGE_GOALS:
            seen[place.group][place.name] = self.places[place]
        return {
            "seeds": self.seed_count,
            "events": self.event_count,
            "simulated_hours": round(self.duration_ms / 3_600_000, 3),
            "finds": sorted(kept.file_name for kept in self.finds),
            "checks": {
                check: {verdict: counts[verdict] for verdict in VERDICTS}
                for check, counts in self.verdicts.items()
            },
            "seen": seen,
        }
