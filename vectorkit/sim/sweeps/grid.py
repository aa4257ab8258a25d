"""Grids: settings with their values, crossed with each other and with seeds to scenarios."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import product
from typing import Any, Final, cast

import numpy as np

from vectorkit.collections.values.conversion import whole_number
from vectorkit.errors import InvalidInput, InvalidOption
from vectorkit.records import check_seed
from vectorkit.replication import ReplicationOptions
from vectorkit.sim.faults.codec import check_faults
from vectorkit.sim.faults.faults import Fault
from vectorkit.sim.load.workload import Workload, check_read_policy
from vectorkit.sim.options import ClusterOptions, Disk, Link
from vectorkit.sim.scenario import Scenario
from vectorkit.sim.sweeps.setting_labels import Label, label_of

Path = tuple[str, ...]
"""The fields on the way from a scenario to a setting."""

_RECORDS: Final[dict[Path, type]] = {
    (): Scenario,
    ("options",): ClusterOptions,
    ("workload",): Workload,
    ("options", "link"): Link,
    ("options", "disk"): Disk,
    ("options", "replication"): ReplicationOptions,
}


@dataclass(frozen=True, slots=True)
class Setting:
    """One field of a scenario, the values that it takes, and what they are called."""

    name: str
    path: Path
    values: tuple[Any, ...]
    labels: tuple[Label, ...]


@dataclass(frozen=True, slots=True)
class Planned:
    """A scenario of a grid, with the number of its value in each setting."""

    numbers: tuple[int, ...]
    scenario: Scenario


def settings_of(grid: Mapping[str, Any]) -> tuple[Setting, ...]:
    """The settings of a grid, in its order. Raises InvalidOption for one that there is not.

    >>> [setting.labels for setting in settings_of({"replicas": [2, 4], "failover": [None]})]
    [(2, 4), ('none',)]
    """
    if not isinstance(grid, Mapping) or not grid:
        raise InvalidOption(
            "a grid names settings",
            got=repr(grid),
            wanted="at least one name with its values",
            remedy='pass {"replicas": [2, 4]}',
        )
    known = _known_paths()
    settings: dict[Path, Setting] = {}
    for name, values in grid.items():
        path = _path_of(name, known)
        if path in settings:
            raise InvalidOption(
                "a grid names one setting twice",
                got=f"{settings[path].name!r} and {name!r}",
                wanted="each setting once",
                remedy="put all values under one of the names",
            )
        settings[path] = Setting(name, path, *_values_of(name, values))
    return tuple(settings.values())


def check_seeds(seeds: object) -> list[int]:
    """The seeds as plain integers. Raises InvalidOption for none, and for one that comes twice."""
    given = list(seeds) if isinstance(seeds, Iterable) else []
    numbers = [whole_number(seed) for seed in given]
    listed = [seed if n is None else n for seed, n in zip(given, numbers, strict=True)]
    for seed in listed:
        check_seed(seed)
    twice = [seed for seed, count in Counter(listed).items() if count > 1]
    if twice or not listed:
        raise InvalidOption(
            "a sweep runs each combination once for each of its seeds",
            got=f"the seeds {twice} more than once" if twice else f"seeds={seeds!r}",
            wanted="one seed or more, each once",
            remedy="pass seeds=range(20)",
        )
    return listed


def planned(settings: Sequence[Setting], base: Scenario, seeds: Sequence[int]) -> Iterator[Planned]:
    """Every combination of values with every seed, seeds innermost.

    Raises InvalidOption for the first combination that no cluster can run, and names it.
    """
    for indices in product(*(range(len(setting.values)) for setting in settings)):
        chosen = {each.path: each.values[i] for each, i in zip(settings, indices, strict=True)}
        try:
            nemesis = chosen.get(("faults",))
            if callable(nemesis):
                chosen["faults",] = ()
            template = _changed(base, chosen)
            for seed in seeds:
                yield Planned(indices, _scenario(template, seed, nemesis))
        except (InvalidInput, TypeError) as error:
            listed = ", ".join(
                f"{each.name}={each.labels[i]!r}" for each, i in zip(settings, indices, strict=True)
            )
            raise InvalidOption(
                "a combination of the grid cannot run",
                got=f"{listed}: {error}",
                wanted="values that go together",
                remedy="nothing has run yet: take the value out, or change the base",
            ) from error


def _scenario(template: Scenario, seed: int, nemesis: object) -> Scenario:
    """One experiment, with all that a cluster would refuse refused now."""
    scenario = replace(template, seed=seed)
    if callable(nemesis):
        make = cast("Callable[..., Sequence[Fault]]", nemesis)
        duration_ms = int(scenario.duration_ms)
        faults = make(scenario.options, duration_ms=duration_ms, seed=seed)
        scenario = replace(scenario, faults=faults)
    load = scenario.workload
    node_ids = scenario.options.node_ids
    check_faults(scenario.faults, node_ids, () if load is None else load.client_ids)
    if load is not None:
        check_read_policy(load, scenario.options)
    return scenario


def _changed(record: Any, values: Mapping[Path, Any]) -> Any:
    """The record with these values, each record on the way made once, with all that is new."""
    own = {path[0]: value for path, value in values.items() if len(path) == 1}
    deeper: dict[str, dict[Path, Any]] = defaultdict(dict)
    for path, value in values.items():
        if len(path) > 1:
            deeper[path[0]][path[1:]] = value
    for name, inner in deeper.items():
        part = own.get(name, getattr(record, name))
        if part is None:
            raise InvalidOption(
                f"there is no {name} to set",
                got=f"{name}=None",
                wanted=f"a {name} with {', '.join(path[-1] for path in inner)}",
                remedy=f"give the base a {name}",
            )
        own[name] = _changed(part, inner)
    return replace(record, **own)


def _known_paths() -> dict[str, list[Path]]:
    """Where each name leads: by a field alone, or by its record and the field."""
    known: dict[str, list[Path]] = defaultdict(list)
    for prefix, kind in _RECORDS.items():
        for each in fields(kind):
            path = (*prefix, each.name)
            if path != ("seed",):
                known[each.name].append(path)
                if prefix:
                    known[f"{prefix[-1]}.{each.name}"].append(path)
    return known


def _path_of(name: str, known: Mapping[str, list[Path]]) -> Path:
    """Where a name leads; `write_concern` and `failover` to the options, which go first."""
    paths = known.get(name, [])
    nearest = [path for path in paths if len(path) == min(map(len, paths))]
    if len(nearest) == 1:
        return nearest[0]
    if nearest:
        raise InvalidOption(
            "a setting is ambiguous",
            got=repr(name),
            wanted=" or ".join(repr(".".join(path[-2:])) for path in nearest),
            remedy="say which",
        )
    raise InvalidOption(
        "there is no such setting",
        got=repr(name),
        wanted=", ".join(sorted(each for each in known if "." not in each)),
        remedy="name a field; seeds are an argument of their own",
    )


def _values_of(name: str, given: Any) -> tuple[tuple[Any, ...], tuple[Label, ...]]:
    """The values of a setting and their labels, each of them once."""
    given = given.tolist() if hasattr(given, "tolist") else given  # Of NumPy, or of pandas.
    if not isinstance(given, Sequence | Mapping) or isinstance(given, str) or not len(given):
        raise InvalidOption(
            "a setting takes its values from a list",
            got=f"{name}: {given!r}",
            wanted="one value or more, or labels with their values",
            remedy=f"pass {{{name!r}: [ … ]}}",
        )
    listed = given.values() if isinstance(given, Mapping) else given
    values = tuple(each.item() if isinstance(each, np.generic) else each for each in listed)
    if name == "faults":
        values = tuple([each] if isinstance(each, Fault) else each for each in values)
    labels = tuple(given) if isinstance(given, Mapping) else tuple(map(label_of, values))
    unnamed = [label for label in labels if not isinstance(label, str | int | float)]
    if unnamed:
        raise InvalidOption(
            "a label is a text or a number",
            got=f"{name}: {unnamed[0]!r}",
            wanted="labels that a table can show",
            remedy=f"pass {{{name!r}: {{label: value, …}}}}",
        )
    if len({type(label) is str for label in labels}) > 1:
        labels = tuple(map(str, labels))
    if len(set(labels)) < len(labels):
        twice = next(label for label in labels if labels.count(label) > 1)
        raise InvalidOption(
            "two values of a setting have one name",
            got=f"{name}: {twice!r} twice",
            wanted="values that a reader can tell apart",
            remedy=f"leave one out, or name them: {{{name!r}: {{label: value, …}}}}",
        )
    return values, labels
