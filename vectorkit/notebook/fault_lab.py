"""The fault lab: select faults and a write concern, simulate, and see which writes are lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from html import escape
from math import ceil
from typing import Any, Final, final

from vectorkit.accessors import NotebookView
from vectorkit.notebook.outcome import Outcome, outcome_html, outcome_of
from vectorkit.notebook.widgets import (
    Still,
    bundle,
    button,
    card,
    column,
    has_widgets,
    labelled,
    png,
    png_html,
    row,
    step_of,
)
from vectorkit.sim import (
    CURRENT_MASTER,
    ClusterOptions,
    Crash,
    Degrade,
    Failover,
    Fault,
    FullDisk,
    Link,
    Partition,
    Pause,
    Run,
    Scenario,
    SlowDisk,
    Workload,
    WriteConcern,
    majority,
    simulate,
)

NO_FAULT: Final = "no fault"
AS_GIVEN: Final = "as given"
MASTER: Final = "the master"

CUT_OFF_WITH_CLIENTS: Final = "cut off with its clients"
FAULTS: Final[dict[str, Callable[..., Fault]]] = {
    "crash": Crash,
    "crash, disk lost": partial(Crash, lose_disk=True),
    "cut off": lambda node, **times: Partition(isolate=[node], **times),
    "pause": Pause,
    "lossy links to the node": lambda node, **times: Degrade(target=node, loss=0.3, **times),
    "disk 200 × slower": partial(SlowDisk, factor=200),
    "disk full": FullDisk,
}
"""The faults of a single node, by label; each constructor accepts `node`, `at_ms`, `for_ms`."""
CONCERNS: Final = {
    "master's disk only": WriteConcern(count=0),
    "1 replica, received": WriteConcern(count=1, stage="received"),
    "1 replica, flushed": WriteConcern(count=1, stage="flushed"),
    "majority, flushed": majority(),
    "majority, applied": majority(stage="applied"),
    "all, applied": WriteConcern(count="all", stage="applied"),
}
FAILOVERS: Final = {
    "off": None,
    "after 2 s of silence": Failover(deadline_ms=2_000),
    "after 3 s of silence": Failover(deadline_ms=3_000),
    "phi accrual": Failover(detector="phi"),
}
_FIRST: Final = (CUT_OFF_WITH_CLIENTS, "master's disk only", "after 2 s of silence")
"""The first selection: a fault, a concern and a failover that lose acknowledged writes."""
_BASE: Final = Scenario(
    ClusterOptions(replicas=2, link=Link(delay_ms=10, jitter_ms=5)),
    workload=Workload(writes_per_s=50, source="uniform:200x8", client_timeout_ms=500),
    duration_ms=8_000,
    seed=7,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultChoice:
    """The selection of one fault: its kind, its node, its start and its duration."""

    kind: str = NO_FAULT
    node: str = MASTER
    at_ms: int = 2_000
    for_ms: int = 2_500

    def fault(self, base: Scenario) -> Fault | None:
        """Return the selected fault for a scenario, or None if no fault is selected."""
        if self.kind == NO_FAULT:
            return None
        node = CURRENT_MASTER if self.node == MASTER else self.node
        if self.kind == CUT_OFF_WITH_CLIENTS:
            clients = () if base.workload is None else base.workload.client_ids
            return Partition(at_ms=self.at_ms, for_ms=self.for_ms, isolate=[node, *clients])
        return FAULTS[self.kind](node=node, at_ms=self.at_ms, for_ms=self.for_ms)


def chosen(
    base: Scenario, faults: Sequence[FaultChoice], *, concern: str, failover: str, seed: int
) -> Scenario:
    """Return `base` with the selected write concern, failover and seed.

    The faults of `base` stay; the selected faults are added.

    >>> pause = FaultChoice(kind="pause", node="node-1", at_ms=500, for_ms=100)
    >>> chosen(Scenario(), [pause], concern="as given", failover="off", seed=3).faults
    (Pause(at_ms=500, for_ms=100, node='node-1'),)
    """
    options = base.options
    if concern != AS_GIVEN:
        options = replace(options, write_concern=CONCERNS[concern])
    if failover != AS_GIVEN:
        protocol = replace(options.replication, failover=None)
        options = replace(options, failover=FAILOVERS[failover], replication=protocol)
    own = [fault for each in faults if (fault := each.fault(base)) is not None]
    return replace(base, options=options, faults=(*base.faults, *own), seed=seed)


@final
class FaultLab(NotebookView):
    """Controls for faults, write concern, failover and seed; `simulate()` runs the selection.

    `run` is the last run, `outcome` its summary, `html.value` the summary as HTML, and
    `code.value` the Python code that repeats the run.

    Args:
        base: The scenario to start from; None selects a small cluster and a fault that loses
            acknowledged writes.

    >>> lab = FaultLab()
    >>> lab.outcome.lost
    160
    >>> lab.concern.value = "majority, flushed"
    >>> lab.simulate()
    >>> lab.outcome.lost
    0
    """

    run: Run
    outcome: Outcome

    def __init__(self, base: Scenario | None = None) -> None:
        self.base = _BASE if base is None else base
        kind, concern, failover = _FIRST if base is None else (NO_FAULT, AS_GIVEN, AS_GIVEN)
        first = FaultChoice(kind=kind)
        self.faults = tuple(_FaultRow(self.base, each) for each in (first, FaultChoice()))
        given = () if base is None else (AS_GIVEN,)
        self.concern = labelled(
            "Dropdown",
            "write concern",
            options=[*given, *CONCERNS],
            value=concern,
            layout={"width": "280px"},
        )
        self.failover = labelled(
            "Dropdown",
            "failover",
            options=[*given, *FAILOVERS],
            value=failover,
            layout={"width": "240px"},
        )
        self.seed = labelled(
            "BoundedIntText",
            "seed",
            value=self.base.seed,
            min=0,
            max=2**64 - 1,
            layout={"width": "110px"},
        )
        tooltip = "simulate the selection"
        self.button = button("Simulate", self.simulate, tooltip=tooltip, width="120px")
        self.html, self.image = labelled("HTML", ""), _image()
        self.code = labelled("Textarea", "", layout={"width": "100%"})
        self.view = column(
            [
                *(each.view for each in self.faults),
                row(self.concern, self.failover, self.seed, self.button),
                self.html,
                self.image,
                labelled("HTML", "", value="<b>Python code of this run</b>"),
                self.code,
            ]
        )
        self.simulate()
        for each in (self.concern, self.failover, self.seed):
            each.observe(lambda _: self._mark(), names="value")
        for fault in self.faults:
            fault.observe(self._mark)

    @property
    def scenario(self) -> Scenario:
        """The scenario that is selected now."""
        return chosen(
            self.base,
            [each.choice for each in self.faults],
            concern=self.concern.value,
            failover=self.failover.value,
            seed=self.seed.value,
        )

    def simulate(self) -> None:
        """Simulate the selected scenario and show its outcome."""
        scenario = self.scenario
        self.run = simulate(scenario)
        self.outcome = outcome_of(self.run)
        self.html.value = card(outcome_html(self.outcome))
        self.image.value = picture_of(self.run)
        self.code.value = scenario.to_code()
        self.code.rows = self.code.value.count("\n") + 2
        self._mark()

    def _mark(self) -> None:
        """Highlight the button while the shown run is not the selected one."""
        is_shown = self.code.value == self.scenario.to_code()
        self.button.button_style = "" if is_shown else "primary"

    def __repr__(self) -> str:
        lost = f"{self.outcome.lost} of {self.outcome.answered:,} answered writes lost"
        return f"FaultLab({lost}, {self.outcome.findings!r}, {self.outcome.trace_hash[:12]}…)"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        html = f"{self.html.value}<pre>{escape(self.code.value)}</pre>"
        return bundle(self.view, text=repr(self), html=html)


class _FaultRow:
    def __init__(self, base: Scenario, first: FaultChoice) -> None:
        step_ms = step_of(base.duration_ms)
        last_ms = (ceil(base.duration_ms) - 1) // step_ms * step_ms
        slider = {
            "step": step_ms,
            "readout_format": ",d",
            "layout": {"flex": "1 1 190px", "width": "auto"},
        }
        kinds = [NO_FAULT, *FAULTS, CUT_OFF_WITH_CLIENTS]
        nodes = [MASTER, *base.options.node_ids]
        self.kind = labelled(
            "Dropdown", "fault", options=kinds, value=first.kind, layout={"width": "220px"}
        )
        self.node = labelled("Dropdown", "node", options=nodes, layout={"width": "140px"})
        at_ms, for_ms = (
            min(each, last_ms) // step_ms * step_ms for each in (first.at_ms, first.for_ms)
        )
        longest_ms = max(last_ms, step_ms)
        self.at_ms = labelled("IntSlider", "start (ms)", min=0, max=last_ms, value=at_ms, **slider)
        self.for_ms = labelled(
            "IntSlider",
            "duration (ms)",
            min=step_ms,
            max=longest_ms,
            value=max(for_ms, step_ms),
            **slider,
        )
        self._all = (self.kind, self.node, self.at_ms, self.for_ms)
        self.view = row(*self._all)

    @property
    def choice(self) -> FaultChoice:
        values = {"kind": self.kind.value, "node": self.node.value}
        return FaultChoice(at_ms=self.at_ms.value, for_ms=self.for_ms.value, **values)

    def observe(self, changed: Callable[[], None]) -> None:
        for each in self._all:
            each.observe(lambda _: changed(), names="value")


def picture_of(run: Run) -> bytes:
    """Return the plots of health and lag, one above the other, as a PNG."""
    from matplotlib import pyplot as plt

    count = len(run.options.node_ids)
    figure, (upper, lower) = plt.subplots(
        2, figsize=(8, 2.9 + 0.25 * count), layout="constrained", sharex=True
    )
    run.plot.health(ax=upper)
    upper.set_xlabel("")
    run.plot.lag(ax=lower)
    return png(figure)


def fault_lab(base: Scenario | None = None) -> FaultLab | Still:
    """Return the fault lab, or the outcome of its first run if ipywidgets is missing.

    Args:
        base: The scenario to start from; None selects a small cluster and a fault that loses
            acknowledged writes.

    Returns:
        A `FaultLab`, or a `Still` with the command that installs ipywidgets.

    Raises:
        InvalidOption: `base` is not a `Scenario`.

    >>> fault_lab().outcome.lost
    160
    """
    if has_widgets():
        return FaultLab(base)
    kind, concern, failover = _FIRST
    choices = [FaultChoice(kind=kind)]
    scenario = base or chosen(_BASE, choices, concern=concern, failover=failover, seed=_BASE.seed)
    run = simulate(scenario)
    shown = card(outcome_html(outcome_of(run))) + png_html(picture_of(run), "health and lag")
    return Still("Fault lab", f"{shown}<pre>{escape(scenario.to_code())}</pre>")


def _image() -> Any:
    import ipywidgets

    return ipywidgets.Image(format="png", layout={"max_width": "880px"})
