"""The dashboard of a finished run: time under a slider, and the cluster as it was then."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import TYPE_CHECKING, Any, Final, final

import numpy as np

from vectorkit.accessors import NotebookView
from vectorkit.errors import InvalidOption
from vectorkit.notebook.events import Event
from vectorkit.notebook.moments import Moment, Moments
from vectorkit.notebook.scene import Strip, page, summary
from vectorkit.notebook.widgets import (
    STEPS_MS,
    Still,
    bundle,
    button,
    column,
    has_widgets,
    labelled,
    row,
    step_of,
)

if TYPE_CHECKING:
    from vectorkit.sim import Run

_TICK_MS: Final = 100
"""How often playing takes a step."""
_NUMBERS: Final = (int, float, np.integer, np.floating)
"""A time may come out of a frame."""


@final
class Dashboard(NotebookView):
    """A run under a slider. What is seen depends on `time_ms.value` alone; `html.value` is it.

    `play`, `back` and `forward` move the slider, the latter to the event before and after, and
    `step_ms` says how far an arrow key goes.

    >>> from vectorkit import sim
    >>> shown = Dashboard(sim.simulate(sim.ClusterOptions(replicas=2), duration_ms=500))
    >>> shown.time_ms.value = 100
    >>> shown
    Dashboard(At 100 ms node-0 is master; 2 Connected.)
    """

    def __init__(self, run: Run, *, at_ms: float | None = None) -> None:
        self._moments, start_ms, step_ms = _opened(run, at_ms)
        self._strip = Strip(self._moments)
        end_ms = ceil(self._moments.duration_ms)
        span = {"min": 0, "max": end_ms, "value": start_ms, "step": step_ms}
        stretched = {"flex": "1 1 260px", "width": "auto"}
        self.play = labelled("Play", "play", interval=_TICK_MS, **span)
        self.time_ms = labelled(
            "IntSlider", "time (ms)", readout_format=",d", layout=stretched, **span
        )
        self.step_ms = labelled(
            "Dropdown", "step (ms)", options=STEPS_MS, value=step_ms, layout={"width": "130px"}
        )
        self.back = button(
            "◀ event",
            lambda: self._jump(self._moments.before),
            tooltip="to the event before",
            width="84px",
        )
        self.forward = button(
            "event ▶",
            lambda: self._jump(self._moments.after),
            tooltip="to the next event",
            width="84px",
        )
        self.html = labelled("HTML", "", value=self._page())
        controls = row(self.play, self.time_ms, self.step_ms, self.back, self.forward)
        self.view = column([controls, self.html])
        self._connect()

    @property
    def moment(self) -> Moment:
        """What is shown, as data."""
        return self.at(self.time_ms.value)

    def at(self, time_ms: float) -> Moment:
        """What there is to see at another time, wherever the slider stands."""
        return self._moments.at(time_ms)

    @property
    def events(self) -> tuple[Event, ...]:
        """Everything that happened and is worth a line, in order."""
        return tuple(self._moments.events)

    def _connect(self) -> None:
        from ipywidgets import link

        link((self.play, "value"), (self.time_ms, "value"))
        self.time_ms.observe(lambda _: self._show(), names="value")
        self.step_ms.observe(lambda change: self._set_step(change["new"]), names="value")

    def _show(self) -> None:
        self.html.value = self._page()

    def _set_step(self, step_ms: int) -> None:
        """Move to the next multiple of the step first: the browser would."""
        self.time_ms.value = round(self.time_ms.value / step_ms) * step_ms
        self.time_ms.step = self.play.step = step_ms

    def _jump(self, to: Callable[..., int | None]) -> None:
        time_ms = to(self.time_ms.value, step_ms=self.step_ms.value)
        if time_ms is not None:
            self.time_ms.value = time_ms

    def _page(self) -> str:
        return page(self.moment, self._strip.at(self.time_ms.value))

    def __repr__(self) -> str:
        return f"Dashboard({summary(self.moment)})"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return bundle(self.view, text=repr(self), html=self.html.value)


def dashboard(run: Run, *, at_ms: float | None = None) -> Dashboard | Still:
    """The dashboard of a run; without ipywidgets what it shows first, and how to get the rest.

    >>> from vectorkit import sim
    >>> run = sim.simulate(sim.ClusterOptions(replicas=2), duration_ms=500)
    >>> dashboard(run, at_ms=100)
    Dashboard(At 100 ms node-0 is master; 2 Connected.)
    """
    if has_widgets():
        return Dashboard(run, at_ms=at_ms)
    moments, start_ms, _ = _opened(run, at_ms)
    return Still("Dashboard", page(moments.at(start_ms), Strip(moments).at(start_ms)))


def _opened(run: Run, at_ms: float | None) -> tuple[Moments, int, int]:
    """The moments of a run, where to begin (as asked, or where something breaks), and the step."""
    is_number = isinstance(at_ms, _NUMBERS) and not isinstance(at_ms, bool)
    if at_ms is not None and not (is_number and 0 <= at_ms <= run.duration_ms):
        raise InvalidOption(
            "the run has no such time",
            got=f"at_ms={at_ms!r}",
            wanted=f"0 to {run.duration_ms:,.0f}",
            remedy="leave it out to begin where the first fault does",
        )
    moments, step_ms = Moments(run), step_of(run.duration_ms)
    if at_ms is not None:
        start_ms = round(at_ms)
        fitting = [step for step in STEPS_MS if step <= step_ms and start_ms % step == 0]
        return moments, start_ms, fitting[-1]
    begun_ms = min((each.start_ms for each in moments.windows), default=run.duration_ms / 2)
    return moments, ceil(begun_ms / step_ms) * step_ms, step_ms
