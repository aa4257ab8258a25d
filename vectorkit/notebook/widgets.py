"""Shared parts of the dashboards: widgets with labels and tooltips, and a page without them."""

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
"""The background of a card: Jupyter's variable, so that it follows the theme."""
INK: Final = "var(--jp-ui-font-color0,#222222)"
"""The colour of text and lines on a card."""
_STEPS_MAX: Final = 400
_WIDGET: Final = "application/vnd.jupyter.widget-view+json"


def has_widgets() -> bool:
    """Return whether ipywidgets can be imported."""
    try:
        import ipywidgets  # noqa: F401 - Only the import is tested.
    except ImportError:
        return False
    return True


class Still(NotebookView):
    """The first page of a dashboard without controls, below the command that installs them.

    >>> print(Still("Dashboard", "<p>healthy</p>"))
    Still(Dashboard: to get the controls, run: pip install ipywidgets)
    """

    def __init__(self, name: str, html: str) -> None:
        self.name = name
        self.html = html

    def __repr__(self) -> str:
        return f"Still({self.name}: to get the controls, run: {REMEDY})"

    def _repr_html_(self) -> str:
        return (
            f"<p>{escape(self.name)} without controls. To get the controls, run "
            f"<code>{REMEDY}</code> and restart the kernel.</p>{self.html}"
        )


def bundle(view: Any, *, text: str, html: str) -> dict[str, Any]:
    """Return a widget as MIME data: live while its kernel runs, otherwise `html`."""
    live: Mapping[str, Any] = view._repr_mimebundle_()
    return {_WIDGET: live[_WIDGET], "text/plain": text, "text/html": html}


def labelled(kind: str, description: str, **options: Any) -> Any:
    """Return an ipywidgets control that shows its whole description."""
    import ipywidgets

    style = {"description_width": "initial"}
    return getattr(ipywidgets, kind)(description=description, style=style, **options)


def card(html: str) -> str:
    """Wrap HTML in a compact card with the background of the notebook's theme, or white."""
    return (
        f'<div style="background:{BACK};color:{INK};padding:8px 10px;text-align:left;'
        f'font:12px/1.35 system-ui,sans-serif">{html}</div>'
    )


def button(description: str, on_click: Callable[[], object], *, tooltip: str, width: str) -> Any:
    """Return a button that calls `on_click`."""
    import ipywidgets

    made = ipywidgets.Button(description=description, tooltip=tooltip, layout={"width": width})
    made.on_click(lambda _: on_click())
    return made


def step_of(length_ms: float) -> int:
    """Return the step of a slider over a length in ms: 1, 10, 100 or 1,000 ms.

    A browser moves a slider to the nearest multiple of its step and reports that value to the
    kernel, so code must set the slider to a multiple of the step.

    >>> step_of(300), step_of(8_000), step_of(3_600_000)
    (1, 100, 1000)
    """
    return next((step for step in STEPS_MS if length_ms / step <= _STEPS_MAX), STEPS_MS[-1])


def row(*children: Any) -> Any:
    """Lay out controls side by side, wrapped if there is not enough room."""
    import ipywidgets

    return ipywidgets.HBox(children, layout={"flex_flow": "row wrap", "align_items": "center"})


def column(children: Sequence[Any]) -> Any:
    """Lay out controls below each other."""
    import ipywidgets

    return ipywidgets.VBox(list(children), layout={"max_width": "1000px"})


def png(figure: Figure) -> bytes:
    """Return a figure as PNG, and close it, so that no cell shows it again."""
    from matplotlib import pyplot as plt

    held = BytesIO()
    figure.savefig(held, format="png", dpi=110)
    plt.close(figure)
    return held.getvalue()


def png_html(data: bytes, alt: str) -> str:
    """Return an HTML image that contains the PNG data."""
    from base64 import b64encode

    return f'<img alt="{escape(alt)}" src="data:image/png;base64,{b64encode(data).decode()}">'
