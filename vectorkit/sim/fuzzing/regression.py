"""Scenarios that have once broken something, as files that tests replay."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from vectorkit.display import record_table
from vectorkit.errors import InvalidOption
from vectorkit.records import check_seed
from vectorkit.sim.scenario import Scenario

VERSION: Final = 1
"""Of the text; a reader refuses others."""

_FIELDS: Final = ("version", "seed", "check", "evidence", "scenario", "shrunk")
_REMEDY: Final = "pass a file that the hunt has left, whole"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptSeed:
    """A scenario that has broken `check`, with the evidence; a test replays it from its text.

    `shrunk` is a smaller scenario that breaks the same, None where there is none.

    >>> kept = KeptSeed(seed=7, check="linearizable", scenario=Scenario(seed=7))
    >>> KeptSeed.from_json(kept.to_json()) == kept, kept.file_name
    (True, 'seed-7-linearizable.json')
    """

    seed: int
    check: str
    evidence: tuple[str, ...] = ()
    scenario: Scenario
    shrunk: Scenario | None = None

    @property
    def smallest(self) -> Scenario:
        """What to replay."""
        return self.scenario if self.shrunk is None else self.shrunk

    @property
    def file_name(self) -> str:
        """A name that no other seed, and no other check of this one, has."""
        return f"seed-{self.seed}-{self.check}.json"

    def to_json(self, indent: int | None = 2) -> str:
        """The text that `from_json` reads."""
        facts: dict[str, Any] = {
            "version": VERSION,
            "seed": self.seed,
            "check": self.check,
            "evidence": list(self.evidence),
            "scenario": json.loads(self.scenario.to_json()),
        }
        if self.shrunk is not None:
            facts["shrunk"] = json.loads(self.shrunk.to_json())
        return json.dumps(facts, indent=indent, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> KeptSeed:
        """The kept seed of a text. Raises InvalidOption for what is damaged or of a newer version.

        >>> KeptSeed.from_json("{}")
        Traceback (most recent call last):
        ...
        vectorkit.errors.InvalidOption: this kept seed is of another version: got version=None, \
wanted version=1; use the vectorkit that wrote it, or a newer one
        """
        try:
            data = json.loads(text)
        except ValueError as error:
            raise _damaged(f"{error}", "a JSON object") from error
        if not isinstance(data, dict):
            raise _damaged(f"a {type(data).__name__}", "a JSON object")
        if data.get("version") != VERSION:
            raise InvalidOption(
                "this kept seed is of another version",
                got=f"version={data.get('version')!r}",
                wanted=f"version={VERSION}",
                remedy="use the vectorkit that wrote it, or a newer one",
            )
        _check_fields(data)
        shrunk = data.get("shrunk")
        return cls(
            seed=data["seed"],
            check=data["check"],
            evidence=tuple(data["evidence"]),
            scenario=Scenario.from_json(json.dumps(data["scenario"])),
            shrunk=None if shrunk is None else Scenario.from_json(json.dumps(shrunk)),
        )

    def _repr_html_(self) -> str:
        return record_table(self)


def _check_fields(data: Mapping[str, Any]) -> None:
    lacking = [name for name in _FIELDS[:-1] if name not in data]
    unknown = [name for name in data if name not in _FIELDS]
    if lacking or unknown:
        got = [f"no {name}" for name in lacking] + [f"{name!r}" for name in unknown]
        raise _damaged(", ".join(got), ", ".join(_FIELDS))
    check_seed(data["seed"])
    check, evidence = data["check"], data["evidence"]
    is_list = isinstance(evidence, list) and all(isinstance(line, str) for line in evidence)
    if not isinstance(check, str) or not check.isidentifier() or not is_list:
        raise _damaged(f"check={check!r}, evidence={evidence!r}", "a name, and a list of texts")


def _damaged(got: str, wanted: str) -> InvalidOption:
    return InvalidOption("this is no kept seed", got=got, wanted=wanted, remedy=_REMEDY)
