"""A finished run: everything that can be asked of it, as frames and figures."""

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
    """What a simulation leaves behind. Frames have one row an observation, key columns first.

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
    """The nodes that had not come into line when the run gave up waiting, and why."""
    scenario: Scenario | None = None
    """What `simulate` ran; None where a cluster was stepped by hand."""

    @cached_property
    def trace_hash(self) -> str:
        """32 hexadecimal digits that are equal for equal scenarios, on any machine."""
        return self.trace.hash()

    @property
    def is_converged(self) -> bool:
        """Whether all nodes ended with the same history and equal content."""
        digests = (event for event in self.trace.of(DigestTaken) if event.moment == "end")
        ends = {event.node: (event.offset, event.history, event.digest) for event in digests}
        return len(set(ends.values())) == 1

    @cached_property
    def evidence(self) -> Evidence:
        """What the checks may know of the run, and what they have worked out."""
        return Evidence(
            self.options, self.trace.events, self.samples, self.stats, self.answer_samples
        )

    def check(self) -> Findings:
        """What was promised and kept, broken, or never put to the test, each with the evidence.

        >>> from vectorkit import sim
        >>> run = sim.simulate(sim.ClusterOptions(replicas=1), duration_ms=500, seed=7)
        >>> run.check()["nodes_converge"].verdict, run.check().broken
        ('held', ())
        """
        return check(self.evidence)

    def explain(self, offset: int, *, epoch: int | None = None) -> Explanation:
        """The life of one write: asked for, written, copied, confirmed, read, or lost, and why.

        The record at an offset of the final history, or of the history of `epoch`. Raises
        InvalidInput where there is none.
        """
        return explain(self, offset, epoch=epoch)

    @property
    def health(self) -> DataFrame:
        """A row per replica and sample, and per change of status."""
        return frames.health(self)

    @property
    def operations(self) -> DataFrame:
        """A row per record that a master has written: every stage's time, and its fate."""
        return frames.operations(self)

    @property
    def reads(self) -> DataFrame:
        """A row per read of a client: what it found where, and how stale that was."""
        return frames.reads(self)

    @property
    def recall(self) -> DataFrame:
        """A row per replica and probe: how much of its master's k best it answers, and why not all.

        Empty without a workload and `ClusterOptions(recall_every_ms=…)`.
        """
        return frames.recall(self)

    @property
    def messages(self) -> DataFrame:
        """A row per message: from whom to whom, when it was sent, when it arrived or why not."""
        return frames.messages(self)

    @property
    def roles(self) -> DataFrame:
        """A row per stretch of time in which a node was master, replica, candidate, … or down."""
        return frames.roles(self)

    @property
    def fault_windows(self) -> DataFrame:
        """A row per fault that befell the cluster: what, whom, from when to when."""
        return frames.fault_windows(self)

    @property
    def syncs(self) -> DataFrame:
        """A row per sync that a master began: kind, reason, how long it took, how it ended."""
        return frames.syncs(self)

    @property
    def nodes(self) -> DataFrame:
        """A row per node at the end: offset, digest and its ReplicationStats."""
        return frames.nodes(self)

    def dashboard(self, *, at_ms: float | None = None) -> NotebookView:
        """The run under a slider: nodes, links, health, logs and faults at any time.

        It opens at `at_ms`, or where the first fault begins. Arrow keys move the slider. Without
        ipywidgets that moment is shown as it stands. Raises InvalidOption.
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
    """The plots of a run, each of its own frames; every method returns the Axes that it drew on.

    `ax` is where to draw, by default new Axes; other options are those of the function of the
    same name in `vectorkit.plot`.

    >>> from vectorkit import sim
    >>> run = sim.simulate(sim.ClusterOptions(replicas=1), duration_ms=500, seed=7)
    >>> run.plot
    RunPlots(health, lag, operation_life, recall, staleness, timeline)
    """

    def __init__(self, run: Run) -> None:
        self._run = run

    def health(self, *, ax: Axes | None = None, **kwargs: Any) -> Axes:
        """Draw what its master took each replica for, and who was master; cuts are shaded."""
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
        """Draw the recall of each replica over time; with `node=` that of one, and its losses."""
        given = {"faults": self._run.fault_windows, **kwargs}
        axes: Axes = load("plot").plot_recall(self._run.recall, ax=ax, **given)
        return axes

    def staleness(self, *, ax: Axes | None = None, **kwargs: Any) -> Axes:
        """Draw how stale reads were: a curve per policy, or per node with `by="node"`."""
        axes: Axes = load("plot").plot_staleness(self._run.reads, ax=ax, **kwargs)
        return axes

    def operation_life(self, *, ax: Axes | None = None, **kwargs: Any) -> Axes:
        """Draw how long writes took to reach each stage."""
        axes: Axes = load("plot").plot_operation_life(self._run.operations, ax=ax, **kwargs)
        return axes

    def __repr__(self) -> str:
        names = (name for name in dir(type(self)) if not name.startswith("_"))
        return f"RunPlots({', '.join(names)})"
