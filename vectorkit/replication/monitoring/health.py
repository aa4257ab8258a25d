"""Health of a replica: a pure function of what its master knows, computed when it is read."""

from __future__ import annotations

from enum import StrEnum

from vectorkit.replication.protocol.options import ReplicationOptions
from vectorkit.units import NS_PER_MS


class ReplicaStatus(StrEnum):
    """What a master says of a replica. The value is the text for people and files.

    >>> str(ReplicaStatus.LAGGING)
    'Lagging'
    """

    CONNECTED = "Connected"
    LAGGING = "Lagging"
    DISCONNECTED = "Disconnected"
    SYNCING = "Syncing"


def status_of(
    *, silent_ns: int, is_syncing: bool, lag_ns: int, options: ReplicationOptions
) -> ReplicaStatus:
    """The first of these that holds: long silent, in a sync, far behind, else connected.

    `silent_ns` is the time since the last heartbeat, `is_syncing` holds during a full or partial
    sync and before the first, `lag_ns` is the age of the oldest operation not yet applied.

    >>> options = ReplicationOptions()
    >>> [status_of(silent_ns=0, is_syncing=False, lag_ns=ms * 1_000_000, options=options).value
    ...  for ms in (1_000, 1_001)]
    ['Connected', 'Lagging']
    """
    if silent_ns > options.disconnected_after_ms * NS_PER_MS:
        return ReplicaStatus.DISCONNECTED
    if is_syncing:
        return ReplicaStatus.SYNCING
    if lag_ns > options.lagging_above_ms * NS_PER_MS:
        return ReplicaStatus.LAGGING
    return ReplicaStatus.CONNECTED
