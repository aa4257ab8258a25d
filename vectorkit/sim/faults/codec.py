"""Lists of faults: from plain values, checked against a cluster, resolved for a moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, cast

from vectorkit.errors import InvalidOption
from vectorkit.records import from_plain
from vectorkit.sim.faults.faults import CURRENT_MASTER, FAULTS, Fault, Partition

_ENDS: Final = ("node", "source", "target")


def fault_from_dict(data: Mapping[str, Any]) -> Fault:
    """The fault that `to_dict` gave. Raises InvalidOption for an unknown kind or key.

    >>> fault_from_dict({"kind": "Pause", "at_ms": 5, "for_ms": 10, "node": "node-1"})
    Pause(at_ms=5, for_ms=10, node='node-1')
    """
    kind = data.get("kind", data) if isinstance(data, Mapping) else data
    if not isinstance(kind, str) or kind not in FAULTS or not isinstance(data, Mapping):
        raise InvalidOption(
            "there is no such fault",
            got=f"kind={kind!r}",
            wanted=", ".join(FAULTS),
            remedy="name one of them",
        )
    rest = {name: value for name, value in data.items() if name != "kind"}
    return from_plain(FAULTS[kind], rest, kind)


def check_faults(
    faults: object, node_ids: Sequence[str] | None = None, client_ids: Sequence[str] = ()
) -> tuple[Fault, ...]:
    """A list of faults as a tuple; with `node_ids`, of these nodes and clients only."""
    is_list = isinstance(faults, Sequence) and all(type(each) in FAULTS.values() for each in faults)
    if not is_list:
        raise InvalidOption(
            "faults come as a list",
            got=f"faults={faults!r}",
            wanted="a list of Partition(…), Crash(…) or others of vectorkit.sim",
            remedy='pass faults=[sim.Partition(at_ms=…, for_ms=…, isolate=["node-1"])]',
        )
    listed = tuple(cast("Sequence[Fault]", faults))
    for fault in listed if node_ids is not None else ():
        known = (*(node_ids or ()), CURRENT_MASTER)
        if not hasattr(fault, "node"):
            known = (*known, *client_ids)
        unknown = [name for name in fault.names if name not in known]
        if unknown:
            raise InvalidOption(
                f"a {type(fault).__name__} names what the cluster does not have",
                got=", ".join(map(repr, unknown)),
                wanted=" or ".join(known),
                remedy="name nodes and clients of this cluster",
            )
    return listed


def resolved(fault: Fault, master: str | None) -> Fault:
    """The fault with CURRENT_MASTER replaced by the node that is master now.

    >>> from vectorkit.sim import Pause
    >>> resolved(Pause(at_ms=5, for_ms=10, node=CURRENT_MASTER), "node-2").names
    ('node-2',)
    """
    if master is None or CURRENT_MASTER not in fault.names:
        return fault
    if isinstance(fault, Partition):
        seen: set[str] = set()  # A master that is named itself too is where it comes first.
        isolate = _named_once(fault.isolate, master, seen)
        groups = tuple(_named_once(group, master, seen) for group in fault.groups)
        return replace(fault, isolate=isolate, groups=groups)
    ends: dict[str, Any] = {each: getattr(fault, each, None) for each in _ENDS}
    changes: dict[str, Any] = {each: master for each, end in ends.items() if end == CURRENT_MASTER}
    return replace(fault, **changes)


def _named_once(names: Sequence[str], master: str, seen: set[str]) -> tuple[str, ...]:
    kept = []
    for name in names:
        real = master if name == CURRENT_MASTER else name
        if real not in seen:
            seen.add(real)
            kept.append(real)
    return tuple(kept)
