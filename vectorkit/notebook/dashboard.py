"""The dashboard of a finished run: a slider for time, and the cluster at that time."""

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
"""The time between two steps while playing."""
_NUMBERS: Final = (int, float, np.integer, np.floating)
"""Accepts the numbers of a DataFrame too."""


@final
class Dashboard(NotebookView):
    """Show a finished run at the time of a slider.

    The page `html.value` depends only on `time_ms.value`. `play` plays the run, `back` and
    `forward` go to the previous and the next event, and `step_ms` sets the step of an arrow key.

    Args:
        run: The finished run.
        at_ms: The time at which it opens, in ms; None opens at the first fault, or in the middle
            of a run without faults.

    Raises:
        InvalidOption: The run has no such time.

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
            tooltip="go to the previous event",
            width="84px",
        )
        self.forward = button(
            "event ▶",
            lambda: self._jump(self._moments.after),
            tooltip="go to the next event",
            width="84px",
        )
        self.html = labelled("HTML", "", value=self._page())
        controls = row(self.play, self.time_ms, self.step_ms, self.back, self.forward)
        self.view = column([controls, self.html])
        self._connect()

    @property
    def moment(self) -> Moment:
        """The moment that is shown, as data."""
        return self.at(self.time_ms.value)

    def at(self, time_ms: float) -> Moment:
        """Return the cluster at a time in ms, independent of the slider."""
        return self._moments.at(time_ms)

    @property
    def events(self) -> tuple[Event, ...]:
        """The listed events of the run, in order."""
        return tuple(self._moments.events)

    def _connect(self) -> None:
        from ipywidgets import link

        link((self.play, "value"), (self.time_ms, "value"))
        self.time_ms.observe(lambda _: self._show(), names="value")
        self.step_ms.observe(lambda change: self._set_step(change["new"]), names="value")

    def _show(self) -> None:
        self.html.value = self._page()

    def _set_step(self, step_ms: int) -> None:
        """Round the time to a multiple of the new step first, as the browser would."""
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
    """Return the dashboard of a run, or its first page without controls if ipywidgets is missing.

    Args:
        run: The finished run.
        at_ms: The time at which it opens, in ms; None opens at the first fault, or in the middle
            of a run without faults.

    Returns:
        A `Dashboard`, or a `Still` with the command that installs ipywidgets.

    Raises:
        InvalidOption: The run has no such time.

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
    """Return the moments of a run, the time at which to open (ms) and the step (ms)."""
    is_number = isinstance(at_ms, _NUMBERS) and not isinstance(at_ms, bool)
    if at_ms is not None and not (is_number and 0 <= at_ms <= run.duration_ms):
        raise InvalidOption(
            "the time is outside the run",
            got=f"at_ms={at_ms!r}",
            wanted=f"0 to {run.duration_ms:,.0f}",
            remedy="omit at_ms to open at the first fault",
        )
    moments, step_ms = Moments(run), step_of(run.duration_ms)
    if at_ms is not None:
        start_ms = round(at_ms)
        fitting = [step for step in STEPS_MS if step <= step_ms and start_ms % step == 0]
        return moments, start_ms, fitting[-1]
    begun_ms = min((each.start_ms for each in moments.windows), default=run.duration_ms / 2)
    return moments, ceil(begun_ms / step_ms) * step_ms, step_ms
