"""Plots: a frame in, Axes out. None shows itself, none changes matplotlib's settings."""

from vectorkit.plot.health import plot_health
from vectorkit.plot.lag import plot_lag
from vectorkit.plot.updates import plot_update_latency

__all__ = ["plot_health", "plot_lag", "plot_update_latency"]
