"""What dashboards share: widgets with labels and tooltips, and what is shown without them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

from vectorkit.accessors import NotebookView

if TYPE_CHECKING:
    from matplotlib.figure import Figure

REMEDY: Final = "pip install ipywidgets"
STEPS_MS: Final = (1, 10, 100, 1_000)
BACK: Final = "var(--jp-layout-color0,#ffffff)"
"""What is behind a card: Jupyter's variable for it, so light or dark as the theme is."""
INK: Final = "var(--jp-ui-font-color0,#222222)"
"""Letters and lines on it."""
_STEPS_MAX: Final = 400
_WIDGET: Final = "application/vnd.jupyter.widget-view+json"


def has_widgets() -> bool:
    """Whether ipywidgets can be imported."""
    try:
        import ipywidgets  # noqa: F401 - Whether it is there is the question.
    except ImportError:
        return False
    return True


class Still(NotebookView):
    """What a dashboard would show, without controls: the command that brings them stands above.

    >>> print(Still("Dashboard", "<p>healthy</p>"))
    Still(Dashboard: for its controls, run: pip install ipywidgets)
    """

    def __init__(self, name: str, html: str) -> None:
        self.name = name
        self.html = html

    def __repr__(self) -> str:
        return f"Still({self.name}: for its controls, run: {REMEDY})"

    def _repr_html_(self) -> str:
        return (
            f"<p>{escape(self.name)} without its controls. For these, run "
            f"<code>{REMEDY}</code> and restart the kernel.</p>{self.html}"
        )


def bundle(view: Any, *, text: str, html: str) -> dict[str, Any]:
    """A widget as a notebook keeps it: live where its kernel runs, else `html`."""
    live: Mapping[str, Any] = view._repr_mimebundle_()
    return {_WIDGET: live[_WIDGET], "text/plain": text, "text/html": html}


def labelled(kind: str, description: str, **options: Any) -> Any:
    """A control of ipywidgets whose whole description is shown."""
    import ipywidgets

    style = {"description_width": "initial"}
    return getattr(ipywidgets, kind)(description=description, style=style, **options)


def card(html: str) -> str:
    """Dense HTML on the background of the notebook's theme, or on white where it has none."""
    return (
        f'<div style="background:{BACK};color:{INK};padding:8px 10px;text-align:left;'
        f'font:12px/1.35 system-ui,sans-serif">{html}</div>'
    )


def button(description: str, on_click: Callable[[], object], *, tooltip: str, width: str) -> Any:
    """A button that calls `on_click`."""
    import ipywidgets

    made = ipywidgets.Button(description=description, tooltip=tooltip, layout={"width": width})
    made.on_click(lambda _: on_click())
    return made


def step_of(length_ms: float) -> int:
    """Return the step in ms of a slider over this length.

    A browser moves a slider to the next multiple of its step and reports that to the kernel, so
    code that sets a slider must set a multiple.

    >>> step_of(300), step_of(8_000), step_of(3_600_000)
    (1, 100, 1000)
    """
    return next((step for step in STEPS_MS if length_ms / step <= _STEPS_MAX), STEPS_MS[-1])


def row(*children: Any) -> Any:
    """Controls beside each other, on more lines where there is less room."""
    import ipywidgets

    return ipywidgets.HBox(children, layout={"flex_flow": "row wrap", "align_items": "center"})


def column(children: Sequence[Any]) -> Any:
    """Controls below each other."""
    import ipywidgets

    return ipywidgets.VBox(list(children), layout={"max_width": "1000px"})


def png(figure: Figure) -> bytes:
    """A figure as the bytes of an `Image`; it is closed, so that no cell shows it again."""
    from matplotlib import pyplot as plt

    held = BytesIO()
    figure.savefig(held, format="png", dpi=110)
    plt.close(figure)
    return held.getvalue()


def png_html(data: bytes, alt: str) -> str:
    """A picture within HTML."""
    from base64 import b64encode

    return f'<img alt="{escape(alt)}" src="data:image/png;base64,{b64encode(data).decode()}">'
