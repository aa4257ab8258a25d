"""The search for the smallest scenario in which a check is still broken."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, NamedTuple

from vectorkit.errors import InvalidInput
from vectorkit.sim.fuzzing import reductions
from vectorkit.sim.fuzzing.reductions import Path, Plain
from vectorkit.sim.load.requests import request_of
from vectorkit.sim.load.workload import PlannedRequest
from vectorkit.sim.run import Run
from vectorkit.sim.scenario import Scenario
from vectorkit.sim.simulate import run_scenario
from vectorkit.sim.world.trace_events import RequestInvoked

_BY_RATES: Final = ("writes_per_s", "reads_per_s", "loop", "arrivals", "think_ms")
_HALVINGS: Final = 5
_MANY: Final = 3
_LEAPS: Final = (0, 1, 2, 4, 8)
_SEEDS: Final = range(4)
_ROUND_MS: Final = (1_000, 100, 10, 1)


class Reduction(NamedTuple):
    """Something that was made smaller: after how many runs, what, from what, to what."""

    runs: int
    what: str
    before: str
    after: str


class _OutOfRuns(Exception):
    """All the simulations that were allowed have been made."""


class Reducer:
    """The smallest scenario so far, and what has been tried."""

    def __init__(
        self,
        run: Run,
        scenario: Scenario,
        is_broken: Callable[[Run], bool],
        runs_max: int,
        progress: Callable[[int], None] | None,
    ) -> None:
        self.scenario = scenario
        self.plain: Plain = json.loads(scenario.to_json())
        self.runs = 0
        self._is_done = False
        self.reductions: list[Reduction] = []
        self._requests = _requests_of(run)
        self._is_broken_in = is_broken
        self._runs_max, self._progress = runs_max, progress
        self._is_broken: dict[str, bool] = {scenario.to_json(): False}  # All that was tried.
        self._longest_ms = scenario.duration_ms
        # What is smaller has fewer events; a run that does not settle would have very many.
        self._events_max = 2 * run.event_count + 1_000

    def go(self) -> bool:
        """Reduce until nothing more goes: True, or until the runs are used up: False."""
        try:
            while True:
                before = self.plain
                self._list_requests()
                self._cut_the_end()
                self._drop_faults()
                self._drop_nodes()
                self._drop_requests()
                self._drop_clients()
                self._drop_fields()
                self._drop_rows()
                self._round_numbers()
                self._close_gaps()
                if self.plain is before:
                    self._is_done = True
                    self._round_the_end()
                    return True
        except _OutOfRuns:
            return False

    # Candidates

    def _try(self, candidate: Plain, what: str, before: object, after: object) -> bool:
        """Take a candidate for the smallest so far if the check is broken in it."""
        scenario = _scenario(candidate)
        if scenario is None:
            return False
        text = scenario.to_json()
        is_new = text not in self._is_broken
        if is_new:
            self._is_broken[text] = self._simulate(scenario)
        if not self._is_broken[text] or not (is_new or self._is_done):
            return False  # A repeated scenario could make the search cycle.
        self.scenario, self.plain = scenario, json.loads(text)
        self._note(what, str(before), str(after))
        return True

    def _simulate(self, scenario: Scenario) -> bool:
        """Whether a scenario breaks the check."""
        if self.runs >= self._runs_max:
            raise _OutOfRuns
        self.runs += 1
        is_broken = self._breaks(scenario)
        if self._progress is not None:
            self._progress(self.runs)
        return is_broken

    def _breaks(self, scenario: Scenario) -> bool:
        options = scenario.options
        most = min(options.event_count_max, self._events_max)
        bounded = replace(scenario, options=replace(options, event_count_max=most))
        try:
            return self._is_broken_in(run_scenario(bounded))
        except Exception:  # A protocol that is broken may fail in any way: that is not this one.
            return False

    def _note(self, what: str, before: str, after: str) -> None:
        if self.reductions and self.reductions[-1].what == what:
            before = self.reductions.pop().before
        self.reductions.append(Reduction(self.runs, what, before, after))

    # Ways to make it smaller, the greatest first

    def _list_requests(self) -> None:
        """Put a list of requests in the place of rates, so that each can go by itself."""
        load, end_ms = self.scenario.workload, self.scenario.duration_ms
        if load is None or load.requests is not None:
            return
        listed = [
            each
            for each in self._requests
            if each.at_ms < end_ms and each.client in load.client_ids
        ]
        listing = replace(load, requests=listed)
        plain = json.loads(replace(self.scenario, workload=listing).to_json())
        for name in _BY_RATES:
            plain["workload"].pop(name, None)
        self._try(plain, "requests", "by rates", f"{len(listed):,} listed")

    def _cut_the_end(self) -> None:
        """End as soon as a few halvings find."""
        low_ms, high_ms = 0.0, reductions.duration_ms(self.plain)
        for _ in range(_HALVINGS):
            middle_ms = float(round((low_ms + high_ms) / 2))
            if middle_ms in (low_ms, high_ms):
                return
            if self._end_at(reductions.cut_at(self.plain, middle_ms), middle_ms):
                high_ms = middle_ms
            else:
                low_ms = middle_ms

    def _end_at(self, candidate: Plain, end_ms: float) -> bool:
        before_ms = reductions.duration_ms(self.plain)
        return self._try(candidate, "duration_ms", f"{before_ms:g}", f"{end_ms:g}")

    def _drop_faults(self) -> None:
        faults = self.plain.get("faults", [])
        reductions.fewest(
            faults,
            lambda some: self._try(
                reductions.with_faults(self.plain, some),
                "faults",
                len(self.plain.get("faults", [])),
                len(some),
            ),
        )

    def _drop_nodes(self) -> None:
        """As few as possible from the end, by which all draws stay; then any replica."""
        count = reductions.count_of(self.plain, "node")
        smaller, candidates = self.plain, []
        for number in reversed(range(1, count)):
            smaller = reductions.without_endpoint(smaller, "node", number)
            candidates.append((number, smaller))
        for number, candidate in reversed(candidates):
            if self._try(candidate, "nodes", count, number):
                break
        self._drop_endpoints("node", 1)

    def _drop_endpoints(self, kind: str, first: int) -> None:
        for number in reversed(range(first, reductions.count_of(self.plain, kind))):
            count = reductions.count_of(self.plain, kind)
            candidate = reductions.without_endpoint(self.plain, kind, number)
            self._try(candidate, f"{kind}s", count, count - 1)

    def _drop_requests(self) -> None:
        requests = reductions.requests_in(self.plain)
        if requests is None:
            return
        for is_read in (True, False):
            self._keep_requests([x for x in requests if x.get("is_read", False) is not is_read])
        reductions.fewest(reductions.requests_in(self.plain) or [], self._keep_requests)
        if self._leap():
            reductions.fewest(reductions.requests_in(self.plain) or [], self._keep_requests)

    def _leap(self) -> bool:
        """Out of a dead end: far fewer requests, for which it may take longer, or other draws.

        Records take their draws by their offsets, so one write less can move an election.
        """
        requests = reductions.requests_in(self.plain) or []
        leaps = [count for count in _LEAPS if count < len(requests) > _MANY]
        for count in leaps:
            few = reductions.with_requests(self.plain, requests[-count:] if count else [])
            few = reductions.with_end(few, self._longest_ms)
            for seed in dict.fromkeys((self.plain.get("seed", 0), *_SEEDS)):
                if self._try({**few, "seed": seed}, "requests", len(requests), count):
                    return True
        return False

    def _keep_requests(self, some: Any) -> bool:
        count = len(reductions.requests_in(self.plain) or [])
        candidate = reductions.with_requests(self.plain, some)
        return self._try(candidate, "requests", count, len(some))

    def _drop_clients(self) -> None:
        if "workload" not in self.plain:
            return
        self._drop_endpoints("client", 0)
        if reductions.requests_in(self.plain):
            self._try(reductions.renumbered(self.plain), "indices", "as they were", "the first")

    def _drop_fields(self) -> None:
        """Return options and parts of faults to their defaults."""
        self._try(reductions.with_default_options(self.plain), "options", "as they were", "default")
        for path in list(reductions.fields_that_may_go(self.plain)):
            value = reductions.value_at(self.plain, path)
            if value is not None:
                is_item = isinstance(path[-1], int)
                after = "gone" if is_item else "default"
                self._try(
                    reductions.without(self.plain, path), _named(path), json.dumps(value), after
                )

    def _drop_rows(self) -> None:
        if "workload" not in self.plain:
            return
        path: Path = ("workload", "source")
        before = reductions.value_at(self.plain, path)
        for source in reductions.smaller_sources(self.plain):
            if self._try(
                reductions.with_value(self.plain, path, source), _named(path), before, source
            ):
                return

    def _round_numbers(self) -> None:
        for step in _ROUND_MS:
            candidate = reductions.with_times_rounded(self.plain, step)
            if self._try(candidate, "times", "as they were", f"multiples of {step} ms"):
                break
        for path in list(reductions.numbers(self.plain)):
            value = reductions.value_at(self.plain, path)
            for number in reductions.rounder(value):
                if self._try(
                    reductions.with_value(self.plain, path, number), _named(path), value, number
                ):
                    break

    def _close_gaps(self) -> None:
        """Let everything come sooner, and end soon after the last of it."""
        for longest_ms in (10, 100, 1_000):
            candidate = reductions.with_gaps_below(self.plain, longest_ms)
            if self._try(candidate, "gaps", "as they were", f"up to {longest_ms} ms"):
                break
        for end_ms in reductions.sooner_ends_ms(self.plain):
            if self._end_at({**self.plain, "duration_ms": end_ms}, end_ms):
                break
        place = 0
        while place + 1 < len(times := reductions.marks_ms(self.plain)):
            before, after = times[place : place + 2]
            for gap_ms in reductions.smaller_gaps_ms(after - before):
                candidate = reductions.with_gap(self.plain, before, after, gap_ms)
                name = f"gap after {before:g} ms"
                if self._try(candidate, name, f"{after - before:g} ms", f"{gap_ms} ms"):
                    break
            place += 1

    def _round_the_end(self) -> None:
        """A round number reads better, and costs nothing."""
        for end_ms in reductions.rounder_ends_ms(self.plain):
            if self._end_at({**self.plain, "duration_ms": end_ms}, end_ms):
                return


def _scenario(plain: Plain) -> Scenario | None:
    """The scenario of a candidate; None where there is no such scenario."""
    try:
        return Scenario.from_json(json.dumps(plain))
    except InvalidInput:
        return None


def _requests_of(run: Run) -> list[PlannedRequest]:
    """What the clients have asked in a run, and when."""
    return [request_of(each.request, each.time_ns) for each in run.trace.of(RequestInvoked)]


def _named(path: Path) -> str:
    """A path as a reader of the JSON would say it.

    >>> _named(("faults", 0, "at_ms"))
    'faults[0].at_ms'
    """
    parts = [f"[{step}]" if isinstance(step, int) else f".{step}" for step in path]
    return "".join(parts).removeprefix(".")
