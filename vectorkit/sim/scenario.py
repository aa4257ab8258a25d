"""A whole experiment as data, and as text."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from vectorkit.display import options_table
from vectorkit.errors import InvalidOption
from vectorkit.records import (
    check_not_negative,
    check_seed,
    check_type,
    from_plain,
    json_text,
    short_repr,
    to_plain,
)
from vectorkit.sim.faults.codec import check_faults, fault_from_dict
from vectorkit.sim.faults.faults import Fault
from vectorkit.sim.load.workload import PlannedRequest, Workload
from vectorkit.sim.options import ClusterOptions
from vectorkit.sim.python_source import code_of
from vectorkit.store import VectorStore
from vectorkit.units import MIB

VERSION: Final = 1
"""Of the text; a reader refuses others."""

_ROW_BYTES: Final = 24
"""What a row takes beside its vector, about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A whole experiment as data: equal scenarios give equal runs.

    `to_json` writes what differs from the defaults; `from_json` reads it on any machine.

    >>> Scenario(duration_ms=5_000, seed=7).options.replicas
    3
    """

    options: ClusterOptions = field(default_factory=ClusterOptions, kw_only=False)
    workload: Workload | None = None
    faults: Sequence[Fault] = ()
    duration_ms: float = 10_000.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse a run of no length, a seed that is no seed, what would never come."""
        check_type("options", self.options, ClusterOptions)
        check_not_negative("duration_ms", self.duration_ms)
        check_seed(self.seed)
        object.__setattr__(self, "faults", check_faults(self.faults))
        requests = self.workload.requests if isinstance(self.workload, Workload) else None
        coming: list[Fault | PlannedRequest] = [*self.faults, *(requests or ())]
        for each in coming:
            if each.at_ms >= self.duration_ms:
                raise InvalidOption(
                    f"a {'fault' if isinstance(each, Fault) else 'request'} would never come",
                    got=f"{each} in a run of {self.duration_ms} ms",
                    wanted=f"at_ms below {self.duration_ms}",
                    remedy="let it begin earlier, or simulate longer",
                )
        if self.duration_ms == 0:
            raise InvalidOption(
                "a run needs a length",
                got=f"duration_ms={self.duration_ms}",
                wanted="above 0",
                remedy="pass how many virtual milliseconds to simulate",
            )

    def to_json(self, indent: int | None = 2) -> str:
        """The scenario as a text that `from_json` reads; what fits on a line stands on one.

        >>> print(Scenario(duration_ms=5_000, seed=7).to_json(indent=None))
        {"version": 1, "duration_ms": 5000, "seed": 7}
        """
        return json_text({"version": VERSION, **to_plain(self)}, indent=indent)

    def to_code(self) -> str:
        """The scenario as Python: executed, it leaves an equal `scenario` and its `run`.

        >>> print(Scenario(duration_ms=5_000, seed=7).to_code())
        from vectorkit import sim
        <BLANKLINE>
        scenario = sim.Scenario(duration_ms=5_000, seed=7)
        run = sim.simulate(scenario)
        """
        made = code_of(self)
        names = "replication, sim" if "replication.Repl" in made else "sim"
        return f"from vectorkit import {names}\n\nscenario = {made}\nrun = sim.simulate(scenario)"

    @classmethod
    def from_json(cls, text: str) -> Scenario:
        """The scenario of a text. Raises InvalidOption for unknown fields and newer versions.

        >>> Scenario.from_json('{"version": 1, "seed": 7}').seed
        7
        """
        try:
            data = json.loads(text)
        except ValueError as error:
            raise _unreadable(f"{error}") from error
        if not isinstance(data, dict):
            raise _unreadable(f"a {type(data).__name__}")
        version = data.pop("version", None)
        if version != VERSION:
            raise InvalidOption(
                "this scenario is of another version",
                got=f"version={version!r}",
                wanted=f"version={VERSION}",
                remedy="use the vectorkit that wrote it, or a newer one",
            )
        if isinstance(data.get("faults"), list):
            data["faults"] = [fault_from_dict(each) for each in data["faults"]]
        return from_plain(cls, data, "scenario")

    def __repr__(self) -> str:
        return short_repr(self)

    def _repr_html_(self) -> str:
        return options_table(self)


def warn_of_endless_syncs(store: VectorStore, scenario: Scenario) -> None:
    """Warn where more is written during a full sync than the log holds: it would never end."""
    options, workload = scenario.options, scenario.workload
    if workload is None or not options.replicas:
        return
    protocol = options.protocol
    held = [store[name] for name in store]
    snapshot_bytes = sum(len(each) * (_ROW_BYTES + 4 * each.dim) for each in held)
    chunks = -(-snapshot_bytes // protocol.chunk_bytes)
    rounds = -(-chunks // protocol.chunk_window)
    time_ms = 2 * options.link.typical_ms * rounds
    if options.link.mib_per_s:
        time_ms = max(time_ms, snapshot_bytes / (options.link.mib_per_s * MIB) * 1_000)
    written = time_ms * workload.writes_per_s / 1_000
    widest = max((each.dim for each in held), default=0)
    capacity = min(
        protocol.log_capacity_operations,
        protocol.log_capacity_bytes // (_ROW_BYTES + 4 * widest),
    )
    if written > capacity:
        warnings.warn(
            f"a full sync of {snapshot_bytes:,} bytes takes about {time_ms:,.0f} ms, in which "
            f"{written:,.0f} writes come, and the log holds {capacity:,}: it may never end. Give "
            "the log more capacity, the link more speed, or write less",
            stacklevel=4,
        )


def _unreadable(got: str) -> InvalidOption:
    return InvalidOption(
        "this is no scenario", got=got, wanted="a JSON object", remedy="pass what to_json gave"
    )
