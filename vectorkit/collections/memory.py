"""What a collection holds in memory, counted from what is there and not from what should be."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from vectorkit.display import facts_table
from vectorkit.tabular import Schema, frame_of_rows

if TYPE_CHECKING:
    from vectorkit.tabular import DataFrame

MEMORY: Final[Schema] = {
    "place": "str",
    "part": "str",
    "bytes": "int64",
    "bytes_per_row": "float64",
}
"""Columns and dtypes of `Memory.to_frame()`."""

_POOLED_MAX: Final = 512
_POOL_STEP: Final = 16
_CACHED_INTS: Final = range(-5, 257)


@dataclass(frozen=True, slots=True, repr=False)
class Memory:
    """Bytes by what they hold: arrays on the devices, and Python's and NumPy's on the host.

    On the CPU both are the same memory. Ids and payloads count with the objects that they are,
    since the collection keeps them alive.

    >>> import vectorkit as vk
    >>> memory = vk.CpuCollection(dim=4).memory()
    >>> memory.device, memory.device_bytes
    ({'rows': 128, 'norms': 32}, 160)
    """

    row_count: int
    device: Mapping[str, int]
    host: Mapping[str, int]

    @property
    def device_bytes(self) -> int:
        """Bytes of all arrays on the devices."""
        return sum(self.device.values())

    @property
    def host_bytes(self) -> int:
        """Bytes of everything on the host."""
        return sum(self.host.values())

    @property
    def total_bytes(self) -> int:
        """All bytes."""
        return self.device_bytes + self.host_bytes

    def to_frame(self) -> DataFrame:
        """One row a part: place, part, bytes, bytes_per_row (missing where there are no rows)."""
        rows = [
            (place, part, count, count / self.row_count if self.row_count else math.nan)
            for place, parts in (("device", self.device), ("host", self.host))
            for part, count in parts.items()
        ]
        return frame_of_rows(rows, MEMORY)

    def _facts(self) -> dict[str, str]:
        facts = {"row count": f"{self.row_count:,}"}  # "rows" is a part: their vectors.
        for name, count in {**self.device, **self.host, "total": self.total_bytes}.items():
            facts[name] = f"{count:,} bytes"
        return facts

    def __repr__(self) -> str:
        counts = {**self.device, **self.host}
        parts = ", ".join(f"{name} {count:,}" for name, count in counts.items())
        return "Memory({total} for {row count} rows: {})".format(parts, **self._facts())

    def _repr_html_(self) -> str:
        return facts_table(self._facts())


def sizeof_ids(ids: list[Any], slot_of: dict[Any, int]) -> int:
    """Bytes of slot → id, id → slot and the objects in them."""
    tables = sys.getsizeof(ids) + sys.getsizeof(slot_of)
    return tables + _total(ids) + _total(slot_of.values())


def sizeof_payloads(payloads: list[Any]) -> int:
    """Bytes of slot → payload and of everything in the payloads, shared texts counted once."""
    return sys.getsizeof(payloads) + _total(_inside(payloads))


def _inside(values: Iterable[Any]) -> Iterator[Any]:
    """All objects in nested dicts and lists, each text and number object once."""
    waiting, seen = list(values), set[int]()
    while waiting:
        value = waiting.pop()
        if value is None or isinstance(value, bool) or id(value) in seen:
            continue
        seen.add(id(value))
        yield value
        if isinstance(value, dict):
            waiting += value.keys()
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


def _total(values: Iterable[Any]) -> int:
    """Bytes of objects as Python's allocator hands them out: in steps of 16 up to 512 bytes."""
    total = 0
    for value in values:
        if type(value) is int and value in _CACHED_INTS:
            continue
        size = sys.getsizeof(value)
        total += size if size > _POOLED_MAX else -(-size // _POOL_STEP) * _POOL_STEP
    return total
