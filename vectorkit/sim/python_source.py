"""Records as the Python that makes them: what a notebook pastes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any, Final

from vectorkit.records import non_default_fields
from vectorkit.sim.faults.faults import CURRENT_MASTER

_COLUMNS: Final = 88
_ALSO_IN_SIM: Final = ("Failover", "WriteConcern")


def code_of(value: Any, *, indent: int = 0, used: int = 0) -> str:
    """An expression that gives an equal value, where `sim` and `replication` are imported.

    Records name what differs from their defaults. Lines are broken as a formatter breaks them,
    where the expression stands behind `used` letters on a line that is indented by `indent`.

    >>> from vectorkit.sim.faults.faults import Crash
    >>> code_of(Crash(at_ms=6_000, for_ms=1_500.0, node=CURRENT_MASTER))
    'sim.Crash(at_ms=6_000, for_ms=1_500.0, node=sim.CURRENT_MASTER)'
    """
    if is_dataclass(value):
        kind = type(value)
        is_in_sim = kind.__module__.startswith("vectorkit.sim.") or kind.__name__ in _ALSO_IN_SIM
        opening = f"{'sim' if is_in_sim else 'replication'}.{kind.__name__}("
        parts = [(f"{name}=", item) for name, item in non_default_fields(value).items()]
        return _laid_out(opening, parts, ")", indent, used)
    if isinstance(value, Mapping):
        parts = [(f"{_key(key)}: ", item) for key, item in value.items()]
        return _laid_out("{", parts, "}", indent, used)
    if isinstance(value, list | tuple):
        return _laid_out("[", [("", item) for item in value], "]", indent, used)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:_}"
    if value == CURRENT_MASTER:
        return "sim.CURRENT_MASTER"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _key(key: Any) -> str:
    return f"({', '.join(map(code_of, key))})" if isinstance(key, tuple) else code_of(key)


def _laid_out(
    opening: str, parts: list[tuple[str, Any]], closing: str, indent: int, used: int
) -> str:
    """On one line if it is short enough, else one line a part."""
    line = opening + ", ".join(head + code_of(item) for head, item in parts) + closing
    if "\n" not in line and indent + used + len(line) < _COLUMNS:
        return line
    deeper = indent + 4
    lines = [
        f"{' ' * deeper}{head}{code_of(item, indent=deeper, used=len(head))},\n"
        for head, item in parts
    ]
    return f"{opening}\n{''.join(lines)}{' ' * indent}{closing}"
