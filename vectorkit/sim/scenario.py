"""An experiment as data, with its JSON and Python forms."""

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
"""Version of the JSON format; `from_json` refuses any other."""

_ROW_BYTES: Final = 24
"""Approximate size of a row without its vector."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Describe a complete experiment; equal scenarios give equal runs.

    Raises:
        InvalidOption: a value is invalid, or a fault or request begins at or after `duration_ms`.

    >>> Scenario(duration_ms=5_000, seed=7).options.replicas
    3
    """

    options: ClusterOptions = field(default_factory=ClusterOptions, kw_only=False)
    workload: Workload | None = None
    """Clients and their requests; None for no clients."""
    faults: Sequence[Fault] = ()
    duration_ms: float = 10_000.0
    """Virtual time with requests and faults, in ms, above 0."""
    seed: int = 0
    """Determines every random draw: an integer from 0 to 2**64 − 1."""

    def __post_init__(self) -> None:
        check_type("options", self.options, ClusterOptions)
        check_not_negative("duration_ms", self.duration_ms)
        check_seed(self.seed)
        object.__setattr__(self, "faults", check_faults(self.faults))
        requests = self.workload.requests if isinstance(self.workload, Workload) else None
        coming: list[Fault | PlannedRequest] = [*self.faults, *(requests or ())]
        for each in coming:
            if each.at_ms >= self.duration_ms:
                kind = "fault" if isinstance(each, Fault) else "request"
                raise InvalidOption(
                    f"a {kind} would begin after the run",
                    got=f"{each} in a run of {self.duration_ms} ms",
                    wanted=f"at_ms below {self.duration_ms}",
                    remedy="pass a smaller at_ms, or a larger duration_ms",
                )
        if self.duration_ms == 0:
            raise InvalidOption(
                "the duration of a run must be above 0",
                got=f"duration_ms={self.duration_ms}",
                wanted="above 0",
                remedy="pass how many virtual milliseconds to simulate",
            )

    def to_json(self, indent: int | None = 2) -> str:
        """Return the settings that differ from the defaults as JSON; `from_json` reads it.

        Args:
            indent: spaces per level; None for a single line.

        >>> print(Scenario(duration_ms=5_000, seed=7).to_json(indent=None))
        {"version": 1, "duration_ms": 5000, "seed": 7}
        """
        return json_text({"version": VERSION, **to_plain(self)}, indent=indent)

    def to_code(self) -> str:
        """Return Python code that defines an equal `scenario` and simulates its `run`.

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
        """Return the scenario that `to_json` wrote, on any machine.

        Raises:
            InvalidOption: the text is not such JSON, has unknown fields, or another version.

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
                "this scenario has another format version",
                got=f"version={version!r}",
                wanted=f"version={VERSION}",
                remedy="use the version of vectorkit that wrote it, or a newer one",
            )
        if isinstance(data.get("faults"), list):
            data["faults"] = [fault_from_dict(each) for each in data["faults"]]
        return from_plain(cls, data, "scenario")

    def __repr__(self) -> str:
        return short_repr(self)

    def _repr_html_(self) -> str:
        return options_table(self)


def warn_of_endless_syncs(store: VectorStore, scenario: Scenario) -> None:
    """Warn if a full sync may never end: clients overwrite the log before it completes."""
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
            f"clients make {written:,.0f} writes; the log holds {capacity:,}. The sync "
            "may never end. Increase the capacity of the log or the speed of the link, or reduce "
            "writes_per_s",
            stacklevel=4,
        )


def _unreadable(got: str) -> InvalidOption:
    return InvalidOption(
        "this is not a scenario", got=got, wanted="a JSON object", remedy="pass a text of to_json"
    )
