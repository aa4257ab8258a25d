"""A finished run, its DataFrames and its plots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, final

from vectorkit.accessors import load
from vectorkit.display import counted, facts_table
from vectorkit.replication import ReplicaInfo, ReplicationStats
from vectorkit.sim.analysis import frames
from vectorkit.sim.analysis.explain import Explanation, explain
from vectorkit.sim.analysis.observer import HealthSample, LogSample
from vectorkit.sim.analysis.recall_probe import AnswerSample, RecallSample
from vectorkit.sim.analysis.stuck import StuckNode
from vectorkit.sim.checks import Evidence, Findings, check
from vectorkit.sim.faults.faults import Fault
from vectorkit.sim.options import ClusterOptions
from vectorkit.sim.scenario import Scenario
from vectorkit.sim.world.trace import Trace
from vectorkit.sim.world.trace_events import DigestTaken

if TYPE_CHECKING:
    from vectorkit.accessors import Axes, NotebookView
    from vectorkit.tabular import DataFrame


@dataclass(frozen=True)
class Run:
    """The result of a simulation: its trace, samples, DataFrames, checks and plots.

    Each DataFrame has its key columns first. Times are virtual; the name gives the unit.


    >>> from vectorkit import sim
    >>> run = sim.simulate(sim.ClusterOptions(replicas=1), duration_ms=500, seed=7)
    >>> run.is_converged, run.nodes["digest"].nunique()
    (True, 1)
    """

    options: ClusterOptions
    seed: int
    faults: tuple[Fault, ...]
    trace: Trace
    samples: tuple[HealthSample, ...]
    stats: Mapping[str, ReplicationStats]
    replicas: tuple[ReplicaInfo, ...]
    duration_ms: float
    event_count: int
    log_samples: tuple[LogSample, ...] = ()
    recall_samples: tuple[RecallSample, ...] = ()
    answer_samples: tuple[AnswerSample, ...] = ()
    stuck: tuple[StuckNode, ...] = ()
    """The nodes that had not converged when the run stopped waiting, and the reasons."""
    scenario: Scenario | None = None
    """The scenario that `simulate` ran; None for a Cluster that you stepped yourself."""

    @cached_property
    def trace_hash(self) -> str:
        """32 hexadecimal digits, equal for equal scenarios on every machine."""
        return self.trace.hash()

    @property
    def is_converged(self) -> bool:
        """Whether all nodes ended with the same history and equal content."""
        digests = (event for event in self.trace.of(DigestTaken) if event.moment == "end")
        ends = {event.node: (event.offset, event.history, event.digest) for event in digests}
        return len(set(ends.values())) == 1

    @cached_property
    def evidence(self) -> Evidence:
        """The data that the checks read, with results that they share."""
        return Evidence(
            self.options, self.trace.events, self.samples, self.stats, self.answer_samples
        )

    def check(self) -> Findings:
        """Check every guarantee: held, broken, or never put to the test, each with evidence.

        >>> from vectorkit import sim
        >>> run = sim.simulate(sim.ClusterOptions(replicas=1), duration_ms=500, seed=7)
        >>> run.check()["nodes_converge"].verdict, run.check().broken
        ('held', ())
        """
        return check(self.evidence)

    def explain(self, offset: int, *, epoch: int | None = None) -> Explanation:
        """Explain one write: its request, replication, confirmation, reads, or loss and cause.

        Args:
            offset: log offset of the write.
            epoch: the epoch whose history holds the write; None for the final history.

        Raises:
            InvalidInput: that history has no record at `offset`.
        """
        return explain(self, offset, epoch=epoch)

    @property
    def health(self) -> DataFrame:
        """Health: one row per replica and sample, and per change of status."""
        return frames.health(self)

    @property
    def operations(self) -> DataFrame:
        """Writes: one row per record of a master, with the time of each stage and its fate."""
        return frames.operations(self)

    @property
    def reads(self) -> DataFrame:
        """Client reads: one row per read, with node, result and staleness."""
        return frames.reads(self)

    @property
    def recall(self) -> DataFrame:
        """Recall: one row per replica and probe, against the master's k best, with causes of loss.

        Empty without a workload and `ClusterOptions(recall_every_ms=…)`.
        """
        return frames.recall(self)

    @property
    def messages(self) -> DataFrame:
        """Messages: one row each, with source, target, send time, and arrival or cause of loss."""
        return frames.messages(self)

    @property
    def roles(self) -> DataFrame:
        """Roles: one row per interval in which a node was master, replica, candidate, … or down."""
        return frames.roles(self)

    @property
    def fault_windows(self) -> DataFrame:
        """Faults: one row per fault that happened, with kind, nodes, start and end."""
        return frames.fault_windows(self)

    @property
    def syncs(self) -> DataFrame:
        """Syncs: one row per sync that a master began, with kind, reason, duration and result."""
        return frames.syncs(self)

    @property
    def nodes(self) -> DataFrame:
        """Nodes: one row per node at the end, with offset, digest and its ReplicationStats."""
        return frames.nodes(self)

    def dashboard(self, *, at_ms: float | None = None) -> NotebookView:
        """Show nodes, links, health, logs and faults at any time of the run, with a slider.

        Arrow keys move the slider. Without ipywidgets the view is static.

        Args:
            at_ms: the time to show first, in virtual ms; None for the start of the first fault.

        Raises:
            InvalidOption: `at_ms` is outside of the run.
        """
        view: NotebookView = load("dashboard")(self, at_ms=at_ms)
        return view

    @property
    def plot(self) -> RunPlots:
        """The plots of this run: `run.plot.health()`, `run.plot.timeline(from_ms=…)`."""
        return RunPlots(self)

    def plot_health(self, *, ax: Axes | None = None, **kwargs: Any) -> Axes:
        """Alias of `run.plot.health`."""
        return self.plot.health(ax=ax, **kwargs)

    def plot_lag(self, *, ax: Axes | None = None, **kwargs: Any) -> Axes:
        """Alias of `run.plot.lag`."""
        return self.plot.lag(ax=ax, **kwargs)

    def plot_timeline(
        self,
        *,
        from_ms: float = 0.0,
        to_ms: float | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> Axes:
        """Alias of `run.plot.timeline`."""
        return self.plot.timeline(from_ms=from_ms, to_ms=to_ms, ax=ax, **kwargs)

    def plot_recall(self, *, ax: Axes | None = None, **kwargs: Any) -> Axes:
        """Alias of `run.plot.recall`."""
        return self.plot.recall(ax=ax, **kwargs)

    def plot_staleness(self, *, ax: Axes | None = None, **kwargs: Any) -> Axes:
        """Alias of `run.plot.staleness`."""
        return self.plot.staleness(ax=ax, **kwargs)

    def plot_operation_life(self, *, ax: Axes | None = None, **kwargs: Any) -> Axes:
        """Alias of `run.plot.operation_life`."""
        return self.plot.operation_life(ax=ax, **kwargs)

    def _facts(self) -> dict[str, object]:
        return {
            "nodes": len(self.stats),
            "virtual time": f"{self.duration_ms:,.0f} ms",
            "events": f"{self.event_count:,}",
            "seed": self.seed,
            "converged": "yes" if self.is_converged else "no",
        }

    def __repr__(self) -> str:
        state = "converged" if self.is_converged else "not converged"
        line = "Run({}, {virtual time}, {events} events, seed {seed}, {})"
        return line.format(counted(len(self.stats), "node"), state, **self._facts())

    def _repr_html_(self) -> str:
        return facts_table({**self._facts(), "trace hash": f"{self.trace_hash[:12]}…"})


@final
class RunPlots:
    """Draw the DataFrames of a run; every method returns the Axes that it drew on.

    Each method draws on `ax`, by default on new Axes. It passes other options to the function of
    the same name in `vectorkit.plot`.

    >>> from vectorkit import sim
    >>> run = sim.simulate(sim.ClusterOptions(replicas=1), duration_ms=500, seed=7)
    >>> run.plot
    RunPlots(health, lag, operation_life, recall, staleness, timeline)
    """

    def __init__(self, run: Run) -> None:
        self._run = run

    def health(self, *, ax: Axes | None = None, **kwargs: Any) -> Axes:
        """Draw each replica's status as seen by its master, and the masters; cuts are shaded."""
        given = {"roles": self._run.roles, "faults": self._run.fault_windows, **kwargs}
        axes: Axes = load("plot").plot_health(self._run.health, ax=ax, **given)
        return axes

    def lag(self, *, ax: Axes | None = None, **kwargs: Any) -> Axes:
        """Draw the true and the observed lag of each replica over time; cuts are shaded."""
        given = {"roles": self._run.roles, **kwargs}
        axes: Axes = load("plot").plot_lag(self._run.health, ax=ax, **given)
        return axes

    def timeline(
        self,
        *,
        from_ms: float = 0.0,
        to_ms: float | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> Axes:
        """Draw the messages between `from_ms` and `to_ms`, the roles of nodes, and the faults."""
        window = {"from_ms": from_ms, "to_ms": to_ms}
        given = {"roles": self._run.roles, "faults": self._run.fault_windows, **window, **kwargs}
        axes: Axes = load("plot").plot_timeline(self._run.messages, ax=ax, **given)
        return axes

    def recall(self, *, ax: Axes | None = None, **kwargs: Any) -> Axes:
        """Draw the recall of each replica; with `node=` that of one replica, with its losses."""
        given = {"faults": self._run.fault_windows, **kwargs}
        axes: Axes = load("plot").plot_recall(self._run.recall, ax=ax, **given)
        return axes

    def staleness(self, *, ax: Axes | None = None, **kwargs: Any) -> Axes:
        """Draw the staleness of reads: one curve per policy, or per node with `by="node"`."""
        axes: Axes = load("plot").plot_staleness(self._run.reads, ax=ax, **kwargs)
        return axes

    def operation_life(self, *, ax: Axes | None = None, **kwargs: Any) -> Axes:
        """Draw the time that writes took to reach each stage."""
        axes: Axes = load("plot").plot_operation_life(self._run.operations, ax=ax, **kwargs)
        return axes

    def __repr__(self) -> str:
        names = (name for name in dir(type(self)) if not name.startswith("_"))
        return f"RunPlots({', '.join(names)})"
