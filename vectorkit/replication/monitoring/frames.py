"""What a master knows of its replicas, as a DataFrame."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from vectorkit.replication.monitoring.stats import ReplicaInfo
from vectorkit.tabular import Schema, frame_of_columns

if TYPE_CHECKING:
    from vectorkit.tabular import DataFrame

REPLICAS: Final[Schema] = {
    "id": "str",
    "status": "str",
    "lag_ms": "float64",
    "lag_operations": "int64",
    "lag_bytes": "int64",
    "last_heartbeat": "float64",
    "last_heartbeat_sent": "float64",
    "round_trip_ms": "float64",
    "operations_synced": "int64",
    "sent_offset": "int64",
    "received_offset": "int64",
    "flushed_offset": "int64",
    "applied_offset": "int64",
    "visible_offset": "int64",
    "epoch": "int64",
    "sync_reason": "str",
    "sync_attempts": "int64",
    "sync_progress": "float64",
    "digest": "str",
    "address": "str",
}
"""Columns and dtypes of `replicas()`."""


def replicas(infos: Iterable[ReplicaInfo]) -> DataFrame:
    """Return one row per ReplicaInfo.

    >>> from vectorkit import sim
    >>> cluster = sim.Cluster(sim.ClusterOptions(replicas=2))
    >>> cluster.advance(ms=100)
    >>> replicas(cluster.replicas())["status"].tolist()
    ['Connected', 'Connected']
    """
    listed = list(infos)
    columns = {name: [getattr(each, name) for each in listed] for name in REPLICAS}
    columns["status"] = [each.status.value for each in listed]
    return frame_of_columns(columns, REPLICAS)
