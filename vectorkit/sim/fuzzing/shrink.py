"""Shrink a run that violates a check to a smaller scenario that still does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from vectorkit.display import counted, facts_table, preformatted
from vectorkit.errors import InvalidInput
from vectorkit.records import check_range, check_type
from vectorkit.sim.checks import Finding
from vectorkit.sim.checks.run_all import findings_of, owner_of
from vectorkit.sim.fuzzing.reducer import Reducer, Reduction
from vectorkit.sim.run import Run
from vectorkit.sim.scenario import Scenario
from vectorkit.sim.simulate import run_scenario
from vectorkit.sim.world.trace_events import (
    NodeCrashed,
    RequestCompleted,
    RequestInvoked,
    RoleTaken,
    TraceEvent,
)
from vectorkit.tabular import Schema, frame_of_rows
from vectorkit.units import ns_to_ms

if TYPE_CHECKING:
    from vectorkit.accessors import Axes
    from vectorkit.tabular import DataFrame

REDUCTIONS: Final[Schema] = {
    "runs": "int64",
    "what": "str",
    "before": "str",
    "after": "str",
}
"""Columns and dtypes of `Shrunk.steps`."""

_AFTER_MS: Final = 2_000


@dataclass(frozen=True)
class Shrunk:
    """The smallest scenario found that violates a check; `print` shows its JSON.

    `sim.simulate(sim.Scenario.from_json(shrunk.to_json()))` runs it again.

    >>> from vectorkit import sim
    >>> scenario = sim.Scenario(sim.ClusterOptions(replicas=1), duration_ms=500)
    >>> run = sim.simulate(scenario)
    >>> found = run.check()["nodes_converge"]
    >>> sim.Shrunk(found.name, scenario, run, found, runs=0, is_minimal=False)
    Shrunk(nodes_converge: 0 faults, 2 nodes, 0 clients, 0 operations, 500 ms; 0 runs, not minimal)
    """

    check: str
    scenario: Scenario
    run: Run
    """The run of `scenario`."""
    finding: Finding | None
    """The finding of the check; None if a function decided."""
    runs: int
    """Number of simulated candidates."""
    is_minimal: bool
    """Whether no further reduction is possible; else `runs_max` ended the search."""
    reductions: tuple[Reduction, ...] = ()

    @property
    def fault_count(self) -> int:
        """Number of remaining faults."""
        return len(self.scenario.faults)

    @property
    def node_count(self) -> int:
        """Number of remaining nodes."""
        return len(self.scenario.options.node_ids)

    @property
    def client_count(self) -> int:
        """Number of remaining clients."""
        load = self.scenario.workload
        return 0 if load is None else load.clients

    @property
    def operation_count(self) -> int:
        """Number of requests that the clients make."""
        return len(self.run.trace.of(RequestInvoked))

    @property
    def duration_ms(self) -> float:
        """Duration of the scenario, in virtual ms."""
        return self.scenario.duration_ms

    @property
    def steps(self) -> DataFrame:
        """One row per reduction: runs so far, what, before and after."""
        return frame_of_rows(self.reductions, REDUCTIONS)

    def to_json(self, indent: int | None = 2) -> str:
        """Return the scenario as JSON; `Scenario.from_json` reads it."""
        return self.scenario.to_json(indent)

    def plot_timeline(self, *, ax: Axes | None = None, **kwargs: Any) -> Axes:
        """Draw the remaining requests and faults over time; `from_ms=`, `to_ms=` limit it."""
        from_ms, to_ms = _window_ms(self.run, self.scenario)
        window = {"from_ms": from_ms, "to_ms": to_ms, **kwargs}
        return self.run.plot_timeline(ax=ax, **window)

    def __str__(self) -> str:
        evidence = "" if self.finding is None else f": {self.finding.evidence[0]}"
        return f"{self.to_json()}\n{self.check}{evidence}"

    def _facts(self) -> dict[str, object]:
        return {
            "check": self.check.replace("_", " "),
            "faults": self.fault_count,
            "nodes": self.node_count,
            "clients": self.client_count,
            "operations": self.operation_count,
            "virtual time": f"{self.duration_ms:,.0f} ms",
            "runs": f"{self.runs:,}",
            "minimal": "yes" if self.is_minimal else "not yet",
        }

    def __repr__(self) -> str:
        sizes = (
            counted(self.fault_count, "fault"),
            counted(self.node_count, "node"),
            counted(self.client_count, "client"),
            counted(self.operation_count, "operation"),
        )
        minimal = "minimal" if self.is_minimal else "not minimal"
        line = "Shrunk({}: {}, {virtual time}; {runs} runs, {})"
        return line.format(self.check, ", ".join(sizes), minimal, **self._facts())

    def _repr_html_(self) -> str:
        facts = self._facts()
        if self.finding is not None:
            facts["evidence"] = self.finding.evidence[0]
        return facts_table(facts) + preformatted(self.to_json())


def shrink(
    run: Run,
    check: str | Callable[[Run], bool],
    *,
    runs_max: int = 1_000,
    progress: Callable[[int], None] | None = None,
) -> Shrunk:
    """Find a smaller scenario that still violates `check`.

    The search removes faults, nodes, clients and requests, resets options to their defaults, and
    shortens and rounds times, as long as the same check stays broken. It is deterministic.

    Args:
        run: a run of `sim.simulate` that violates the check.
        check: name of the check, or a function of a run that is true if the problem is present.
        runs_max: maximum number of simulations; after it the smallest scenario so far is returned.
        progress: called with the number of simulations, after each one.

    Raises:
        InvalidInput: the run comes from a Cluster that was stepped by hand, there is no such check,
            the check is not broken, or the function is false for the run.

    >>> from vectorkit import sim
    >>> run = sim.simulate(sim.ClusterOptions(replicas=1), duration_ms=500)
    >>> try:
    ...     sim.shrink(run, "nodes_converge")
    ... except InvalidInput as error:
    ...     print(error.got)
    nodes_converge, which is held
    """
    check_type("run", run, Run)
    check_range("runs_max", runs_max, 1, 1 << 40)
    if not isinstance(check, str) and not callable(check):
        raise InvalidInput(
            "check must be a name or a function",
            got=f"check={check!r}",
            wanted="the name of a check, or a function of a run that is true or false",
            remedy="pass one of run.check().broken by its name",
        )
    is_broken = _by_name(run, check) if isinstance(check, str) else check
    if run.scenario is None:
        raise InvalidInput(
            "this run has no scenario to shrink",
            got="a run of a Cluster that was stepped by hand",
            wanted="a run of sim.simulate",
            remedy="let sim.simulate do the same, with a workload and faults",
        )
    name = check if isinstance(check, str) else getattr(check, "__name__", repr(check))
    if not is_broken(run):
        raise _not_broken(run, name, has_check=isinstance(check, str))
    search = Reducer(run, run.scenario, is_broken, runs_max, progress)
    is_minimal = search.go()
    last = run_scenario(search.scenario)
    return Shrunk(
        check=name,
        scenario=search.scenario,
        run=last,
        finding=last.check()[check] if isinstance(check, str) else None,
        runs=search.runs,
        is_minimal=is_minimal,
        reductions=tuple(search.reductions),
    )


def _by_name(run: Run, check: str) -> Callable[[Run], bool]:
    """Return a test for a broken check. It runs only the function that makes this finding."""
    owner = owner_of(run.check()[check].name, run.evidence)

    def is_broken(candidate: Run) -> bool:
        findings = findings_of(owner, candidate.evidence)
        return any(each.name == check and each.verdict == "broken" for each in findings)

    return is_broken


def _not_broken(run: Run, name: str, *, has_check: bool) -> InvalidInput:
    if not has_check:
        return InvalidInput(
            "the function is false for this run",
            got=f"{name}, which is false",
            wanted="a function that is true for the run to shrink",
            remedy="pass a run for which the function is true",
        )
    others = ", ".join(each.name for each in run.check().broken)
    return InvalidInput(
        "only a broken check can be kept broken",
        got=f"{name}, which is {run.check()[name].verdict}",
        wanted=f"one of {others}" if others else "a run that has broken a check",
        remedy="pass one that is broken" if others else "look for another seed",
    )


def _window_ms(run: Run, scenario: Scenario) -> tuple[float, float]:
    """Return the time window of all requests and faults, with a margin, in ms."""
    seen = [ns_to_ms(event.time_ns) for event in run.trace.events if _is_shown(event)]
    begun = [each.at_ms for each in scenario.faults if each.at_ms > 0]
    first_ms = min([*begun, *seen], default=0.0)
    soon_ms = scenario.duration_ms + _AFTER_MS
    last_ms = max((each for each in (*begun, *seen) if each <= soon_ms), default=soon_ms)
    margin_ms = max(5.0, (last_ms - first_ms) / 20)
    return max(0.0, first_ms - margin_ms), min(run.duration_ms, last_ms + margin_ms)


def _is_shown(event: TraceEvent) -> bool:
    """Whether the diagram must show this event besides the faults."""
    if isinstance(event, RoleTaken):
        return event.time_ns > 0 and event.role != "candidate"
    shown = (RequestInvoked, RequestCompleted, NodeCrashed)
    return isinstance(event, shown) and event.time_ns > 0
