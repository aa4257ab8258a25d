"""Plots of DataFrames. Each returns its Axes; none calls `show` or changes matplotlib settings."""

from vectorkit.plot.health import plot_health
from vectorkit.plot.lag import plot_lag
from vectorkit.plot.loss import plot_loss
from vectorkit.plot.operations import plot_operation_life
from vectorkit.plot.recall import plot_recall
from vectorkit.plot.recall_latency import plot_recall_latency
from vectorkit.plot.runbook import plot_runbook
from vectorkit.plot.staleness import plot_staleness
from vectorkit.plot.sweep import plot_sweep
from vectorkit.plot.timeline import plot_timeline
from vectorkit.plot.update_spread import plot_update_spread
from vectorkit.plot.updates import plot_update_latency

__all__ = [
    "plot_health",
    "plot_lag",
    "plot_loss",
    "plot_operation_life",
    "plot_recall",
    "plot_recall_latency",
    "plot_runbook",
    "plot_staleness",
    "plot_sweep",
    "plot_timeline",
    "plot_update_latency",
    "plot_update_spread",
]


def __dir__() -> list[str]:
    """Return the public names, for completion."""
    return sorted(__all__)
