"""Candidates for smaller scenarios: parts removed, numbers rounded, times made earlier.

Each function yields candidates and judges none. It only removes parts or lowers numbers, so a
search that follows the candidates terminates.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, Final, cast

from vectorkit.sim.load.workload import Workload
from vectorkit.sim.scenario import Scenario

Plain = dict[str, Any]
"""A scenario as its JSON has it."""

Path = tuple[str | int, ...]

_USUAL: Final = Scenario()
_LOAD: Final = Workload()
"""What there is where the text says nothing."""
_STAY: Final = frozenset(
    {"version", "source", "target", "client", "is_read", "index"}
    | {"at_ms", "duration_ms", "options", "replicas", "clients", "faults", "requests"}
)
"""Fields that do not go: without them a scenario would say something else, or more."""
_UNROUNDED: Final = frozenset(
    {"version", "seed", "index", "replicas", "clients", "count", "duration_ms"}
)
_STEPS: Final = (1_000, 100, 10, 1, 0.1, 0.01, 0.001)
_GAPS_MS: Final = (10, 100, 1_000)


def copied(plain: Plain) -> Plain:
    """The same again, to be changed."""
    return cast("Plain", json.loads(json.dumps(plain)))


def requests_in(plain: Plain) -> list[Plain] | None:
    """Its requests; None where they come by rates, or not at all."""
    return cast("list[Plain] | None", (plain.get("workload") or {}).get("requests"))


def with_faults(plain: Plain, faults: Sequence[Plain]) -> Plain:
    """The scenario with these faults only."""
    return {**plain, "faults": list(faults)}


def with_requests(plain: Plain, requests: Sequence[Plain]) -> Plain:
    """The scenario with these requests only."""
    return {**plain, "workload": {**plain["workload"], "requests": list(requests)}}


def fewest(items: Sequence[Any], is_enough: Callable[[Sequence[Any]], bool]) -> Sequence[Any]:
    """Items of which none can be left out: halves, quarters, … are tried, at last single ones.

    The complements of delta debugging (Zeller and Hildebrandt, 2002), each tried once a round.

    >>> fewest(range(100), lambda some: 17 in some and 71 in some)
    [17, 71]
    """
    kept, size = list(items), len(items)
    while size:
        start = 0
        while start < len(kept):
            rest = kept[:start] + kept[start + size :]
            if is_enough(rest):
                kept = rest
            else:
                start += size
        size = min(size // 2, len(kept))
    return kept


# Nodes and clients


def count_of(plain: Plain, kind: str) -> int:
    """How many nodes, or clients, there are."""
    if kind == "node":
        return int((plain.get("options") or {}).get("replicas", _USUAL.options.replicas)) + 1
    return (
        int((plain.get("workload") or {}).get("clients", _LOAD.clients))
        if plain.get("workload")
        else 0
    )


def without_endpoint(plain: Plain, kind: str, number: int) -> Plain:
    """The scenario without a node (not the first) or a client; those behind it move up.

    Faults that name nobody else go with it, and so do its links and its requests.
    """
    made = copied(plain)
    names: dict[str, str | None] = {
        f"{kind}-{each}": f"{kind}-{each - 1}" for each in range(number, count_of(plain, kind))
    }
    names[f"{kind}-{number}"] = None
    made["faults"] = [
        fault for each in made.get("faults", ()) if (fault := _renamed(each, names)) is not None
    ]
    options = made.setdefault("options", {})
    if "links" in options:
        ends = [([names.get(name, name) for name in pair], link) for pair, link in options["links"]]
        options["links"] = [[pair, link] for pair, link in ends if None not in pair]
    requests = requests_in(made)
    if requests is not None:
        for each in requests:
            client = each.get("client", "client-0")
            each["client"] = names.get(client, client)
        kept = [each for each in requests if each["client"] is not None]
        made["workload"]["requests"] = kept
    if kind == "client":
        made["workload"]["clients"] = count_of(plain, kind) - 1
        return made
    options["replicas"] = replicas = count_of(plain, kind) - 2
    for holder in (options, options.get("replication", {})):
        concern = holder.get("write_concern") or {}
        if isinstance(concern.get("count"), int):
            concern["count"] = min(concern["count"], replicas)
    return made


def _renamed(fault: Plain, names: dict[str, str | None]) -> Plain | None:
    """The fault with other names; None where it names one that goes, and nobody else."""
    for field in ("node", "source", "target"):
        name = fault.get(field)
        if name in names:
            if names[name] is None:
                return None
            fault[field] = names[name]
    lists = {"isolate": [fault["isolate"]]} if "isolate" in fault else {}
    lists |= {"groups": fault["groups"]} if "groups" in fault else {}
    for field, groups in lists.items():
        named = [[names.get(name, name) for name in group] for group in groups]
        kept = [group for each in named if (group := [name for name in each if name is not None])]
        if not kept:
            return None
        fault[field] = kept[0] if field == "isolate" else kept
    return fault


def renumbered(plain: Plain) -> Plain:
    """The scenario whose clients' requests are their first ones: other rows, smaller numbers."""
    made = copied(plain)
    counts: dict[tuple[str, bool], int] = {}
    for each in sorted(requests_in(made) or (), key=lambda each: float(each["at_ms"])):
        whose = each.get("client", "client-0"), bool(each.get("is_read"))
        each["index"] = counts.get(whose, 0)
        counts[whose] = each["index"] + 1
    return made


# Fields and numbers


def value_at(plain: Plain, path: Path) -> Any:
    """What stands at a path; None where there is nothing any more."""
    value: Any = plain
    for step in path:
        is_there = step in value if isinstance(value, dict) else int(step) < len(value)
        if not is_there:
            return None
        value = value[step]
    return value


def without(plain: Plain, path: Path) -> Plain:
    """The scenario without the field, or the item of a list, at a path."""
    made = copied(plain)
    del value_at(made, path[:-1])[path[-1]]
    return made


def with_value(plain: Plain, path: Path, value: Any) -> Plain:
    """The scenario with another value at a path."""
    made = copied(plain)
    value_at(made, path[:-1])[path[-1]] = value
    return made


def with_default_options(plain: Plain) -> Plain:
    """The scenario whose options say nothing but how many nodes there are."""
    return {**plain, "options": {"replicas": count_of(plain, "node") - 1}}


def fields_that_may_go(plain: Plain) -> Iterator[Path]:
    """Fields that differ from their defaults, those of records before what they hold.

    Of the lists that faults and options hold, the items, the last ones first.
    """
    yield from _fields(plain, ())


def _fields(value: Any, path: Path) -> Iterator[Path]:
    if isinstance(value, dict):
        yield from ((*path, name) for name in value if name not in _STAY)
        for name, item in value.items():
            yield from _fields(item, (*path, name))
    elif isinstance(value, list):
        holds = path[-1] not in ("faults", "requests") and len(value) > 1
        is_pair = bool(value) and isinstance(value[-1], dict) and not isinstance(value[0], dict)
        for place in reversed(range(len(value))):
            if holds and not is_pair:
                yield (*path, place)
            yield from _fields(value[place], (*path, place))


def numbers(value: Any, path: Path = ()) -> Iterator[Path]:
    """All numbers that might be rounder."""
    if isinstance(value, dict | list):
        for step, item in value.items() if isinstance(value, dict) else enumerate(value):
            if step not in _UNROUNDED:
                yield from numbers(item, (*path, step))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path


def rounder(value: float) -> list[float]:
    """The number rounded towards zero, the roundest first.

    >>> rounder(1_276.5), rounder(-30), rounder(0.17)
    ([1000, 1200, 1270, 1276], [], [0.1])
    """
    counts = [(int(round(value / step, 6)), step) for step in _STEPS if step <= abs(value)]
    found = [round(count * step, 3) for count, step in counts]
    lower = [int(each) if float(each).is_integer() else each for each in found if each != value]
    return list(dict.fromkeys(lower))


def with_times_rounded(plain: Plain, step: int) -> Plain:
    """The scenario with the times of all faults and requests rounded down to multiples."""
    made = copied(plain)
    for each in [*made.get("faults", ()), *(requests_in(made) or ())]:
        for field in ("at_ms", "for_ms"):
            if isinstance(each.get(field), int | float):
                each[field] = each[field] // step * step
    return made


def smaller_sources(plain: Plain) -> Iterator[str]:
    """Sources of fewer rows, the fewest first, then of fewer numbers."""
    source = plain["workload"].get("source", _LOAD.source)
    name, _, size = source.partition(":")
    rows, _, dim = size.partition("x")
    dims = sorted({2, min(4, int(dim or 4))})
    if name != "uniform" or int(dim) > 2:
        powers = [1 << power for power in range(20) if 1 << power < int(rows)]
        for count in (*powers, int(rows)):
            yield from (f"uniform:{count}x{each}" for each in dims if f"{count}x{each}" != size)
    else:
        yield from (f"uniform:{1 << p}x{dim}" for p in range(20) if 1 << p < int(rows))


# Times


def cut_at(plain: Plain, end_ms: float) -> Plain:
    """The scenario that ends sooner, with what comes before its end."""
    made = {**copied(plain), "duration_ms": end_ms}
    made["faults"] = [each for each in made.get("faults", ()) if each.get("at_ms", 0) < end_ms]
    requests = requests_in(made)
    if requests is not None:
        made["workload"]["requests"] = [each for each in requests if each["at_ms"] < end_ms]
    return made


def with_end(plain: Plain, end_ms: float) -> Plain:
    """The scenario that ends at another time, its faults lasting as long as it does."""
    faults = [
        {name: value for name, value in each.items() if name != "for_ms"}
        for each in plain.get("faults", ())
    ]
    return {**plain, "faults": faults, "duration_ms": end_ms}


def marks_ms(plain: Plain) -> list[float]:
    """When anything begins or ends, in order."""
    times = {0.0}
    for each in [*plain.get("faults", ()), *(requests_in(plain) or ())]:
        at_ms = each.get("at_ms", 0)
        times |= {at_ms, at_ms + (each.get("for_ms") or 0)}
    return sorted(each for each in times if each <= duration_ms(plain))


def duration_ms(plain: Plain) -> float:
    """How long it lasts."""
    return float(plain.get("duration_ms", _USUAL.duration_ms))


def with_gap(plain: Plain, from_ms: float, to_ms: float, gap_ms: float) -> Plain:
    """The scenario with less time between two marks, and all that is later so much sooner."""
    made, sooner_ms = copied(plain), to_ms - from_ms - gap_ms
    for each in [*made.get("faults", ()), *(requests_in(made) or ())]:
        at_ms = each.get("at_ms", 0)
        if at_ms >= to_ms:
            each["at_ms"] = round(at_ms - sooner_ms, 6)
        elif each.get("for_ms") and at_ms + each["for_ms"] >= to_ms:
            each["for_ms"] = round(each["for_ms"] - sooner_ms, 6)
    made["duration_ms"] = round(duration_ms(plain) - sooner_ms, 6)
    return made


def smaller_gaps_ms(gap_ms: float) -> list[int]:
    """Times that might be enough between two marks, the shortest first."""
    return [each for each in _GAPS_MS if each < gap_ms]


def with_gaps_below(plain: Plain, longest_ms: float) -> Plain:
    """The scenario with no more than so much time between any two marks."""
    made, times = plain, marks_ms(plain)
    for before, after in reversed(list(pairwise(times))):
        if after - before > longest_ms:
            made = with_gap(made, before, after, longest_ms)
    return made


def sooner_ends_ms(plain: Plain) -> list[float]:
    """Ends after the last thing that begins, the soonest first: soon after it, or rounder."""
    times = [each.get("at_ms", 0) for each in plain.get("faults", ())]
    last_ms = max([0.0, *times, *(each["at_ms"] for each in requests_in(plain) or ())])
    ends = {(last_ms // step + 1) * step for step in _GAPS_MS} | {*rounder(duration_ms(plain))}
    return sorted(each for each in ends if last_ms < each < duration_ms(plain))


def rounder_ends_ms(plain: Plain) -> list[float]:
    """Rounder ends that are hardly later, the roundest first."""
    end_ms = duration_ms(plain)
    ends = [-(-end_ms // step) * step for step in (100, 10) if end_ms > step]
    return [each for each in ends if each != end_ms]
