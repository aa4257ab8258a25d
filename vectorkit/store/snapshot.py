"""A store as it was, and the digest that stores and their snapshots share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import xxhash

from vectorkit.collections import Snapshot
from vectorkit.collections.readable import readers_table
from vectorkit.operations import CreateCollection, Operation, SetCodebook, Upsert

_SNAPSHOT_ROWS: Final = 4096


class StoreSnapshot:
    """All collections of a store as they were."""

    def __init__(self, snapshots: list[Snapshot]) -> None:
        self._snapshots = snapshots

    def __repr__(self) -> str:
        return f"StoreSnapshot({{{', '.join(f'{s.name!r}: {len(s):,}' for s in self)}}})"

    def _repr_html_(self) -> str:
        return readers_table(self)

    def __iter__(self) -> Iterator[Snapshot]:
        return iter(self._snapshots)

    def __contains__(self, name: object) -> bool:
        return any(each.name == name for each in self._snapshots)

    def __getitem__(self, name: str) -> Snapshot:
        """The collection that had this name."""
        return next(each for each in self._snapshots if each.name == name)

    def operations(self) -> Iterator[Operation]:
        """The operations that rebuild this store, slot by slot, from nothing."""
        for snapshot in self._snapshots:
            yield CreateCollection(snapshot.name, snapshot.config)
            for learned in snapshot.parameters().values():  # One array, or none.
                yield SetCodebook(snapshot.name, learned)
            ids, vectors, payloads = snapshot.ids(), snapshot.vectors(), snapshot.payloads()
            for start in range(0, len(ids), _SNAPSHOT_ROWS):
                block = slice(start, start + _SNAPSHOT_ROWS)
                some = tuple(payloads[block])
                has_any = any(payload is not None for payload in some)
                yield Upsert(
                    snapshot.name, tuple(ids[block]), vectors[block], some if has_any else None
                )

    def digest(self) -> str:
        """The store's digest when the snapshot was taken, recomputed from its rows."""
        return store_digest((each.name, each.digest()) for each in self._snapshots)


def store_digest(parts: Iterable[tuple[str, str]]) -> str:
    """The digest of a store from its collections' names and digests, in any order."""
    return xxhash.xxh3_128_hexdigest(repr(sorted(parts)).encode())
