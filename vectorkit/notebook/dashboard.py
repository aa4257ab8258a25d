"""The dashboard of a finished run: time under a slider, and the cluster as it was then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, final

from vectorkit.errors import InvalidOption
from vectorkit.notebook.moments import Moment, Moments
from vectorkit.notebook.scene import Strip, page, summary
from vectorkit.notebook.widgets import Still, bundle, column, has_widgets, labelled, row

if TYPE_CHECKING:
    from vectorkit.sim import Run

_STEPS_MS: Final = (1, 10, 100, 1_000)
_STEPS_MAX: Final = 400
_TICK_MS: Final = 100
"""How often playing takes a step."""


@final
class Dashboard:
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
        self._moments, start_ms = _opened(run, at_ms)
        self._strip = Strip(self._moments)
        end_ms = int(self._moments.duration_ms)
        step_ms = next((s for s in _STEPS_MS if end_ms / s <= _STEPS_MAX), _STEPS_MS[-1])
        span = {"min": 0, "max": end_ms, "value": start_ms, "step": step_ms}
        self.play = labelled("Play", "play", interval=_TICK_MS, **span)
        self.time_ms = labelled(
            "IntSlider", "time (ms)", readout_format=",d", layout={"width": "460px"}, **span
        )
        self.step_ms = labelled(
            "Dropdown", "step (ms)", options=_STEPS_MS, value=step_ms, layout={"width": "130px"}
        )
        slim = {"width": "84px"}
        self.back = labelled("Button", "◀ event", tooltip="to the event before", layout=slim)
        self.forward = labelled("Button", "event ▶", tooltip="to the next event", layout=slim)
        self.html = labelled("HTML", "", value=self._page())
        controls = row(self.play, self.time_ms, self.step_ms, self.back, self.forward)
        self.view = column([controls, self.html])
        self._connect()

    @property
    def moment(self) -> Moment:
        """What is shown, as data."""
        return self._moments.at(self.time_ms.value)

    def _connect(self) -> None:
        from ipywidgets import link

        link((self.play, "value"), (self.time_ms, "value"))
        self.time_ms.observe(lambda _: self._show(), names="value")
        self.step_ms.observe(lambda change: self._set_step(change["new"]), names="value")
        self.back.on_click(lambda _: self._jump(self._moments.before(self.time_ms.value)))
        self.forward.on_click(lambda _: self._jump(self._moments.after(self.time_ms.value)))

    def _show(self) -> None:
        self.html.value = self._page()

    def _set_step(self, step_ms: int) -> None:
        self.time_ms.step = self.play.step = step_ms

    def _jump(self, time_ms: int | None) -> None:
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
    moments, start_ms = _opened(run, at_ms)
    return Still("Dashboard", page(moments.at(start_ms), Strip(moments).at(start_ms)))


def _opened(run: Run, at_ms: float | None) -> tuple[Moments, int]:
    """The moments of a run and where to begin: where it is asked, or where something breaks."""
    is_number = isinstance(at_ms, int | float) and not isinstance(at_ms, bool)
    if at_ms is not None and not (is_number and 0 <= at_ms <= run.duration_ms):
        raise InvalidOption(
            "the run has no such time",
            got=f"at_ms={at_ms!r}",
            wanted=f"0 to {run.duration_ms:,.0f}",
            remedy="leave it out to begin where the first fault does",
        )
    moments = Moments(run)
    if at_ms is None:
        at_ms = min((each.start_ms for each in moments.windows), default=run.duration_ms / 2)
    return moments, int(at_ms)
